"""Royalty, kinship and trades: seventeen pairs of a male and a female role.

What a pair does is said of both alike (a king and a queen both wear a golden crown); what a sex does is said
of all roles of that sex alike. So "king − man + woman" comes to lie at "queen".
"""

from __future__ import annotations

from dataclasses import dataclass

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.world import MEN, WOMEN, sentence, with_article


@dataclass(frozen=True)
class Pair:
    """A male and a female role, and what both do.

    Attributes:
        roles: The male role, then the female one.
        young: Whether they are children.
        does: What each does: verb phrases without a subject; `{his}` and `{he}` agree with the role.
    """

    roles: tuple[str, str]
    young: bool
    does: tuple[str, ...]


PAIRS = (
    Pair(("king", "queen"), False, (
        "wears a golden crown", "sits on the throne", "rules the land", "lives in the royal palace",
        "signs the new laws", "holds the crown in both hands")),
    Pair(("prince", "princess"), True, (
        "will wear the crown one day", "plays in the palace garden", "learns to rule the land",
        "rides a white pony", "lives in a tall tower of the palace")),
    Pair(("duke", "duchess"), False, (
        "owns a large castle", "hunts in the forest", "serves the crown", "gives a ball in the castle",
        "has many servants in the castle")),
    Pair(("emperor", "empress"), False, (
        "commands a great army", "rules many lands", "lives in a marble hall", "wears a purple coat",
        "sends ships over the sea")),
    Pair(("lord", "lady"), False, (
        "owns the old mill", "takes rent from the farmers", "keeps fast horses", "lives in the manor",
        "has land by the mill")),
    Pair(("man", "woman"), False, (
        "drives to work", "drinks coffee in the morning", "goes to the office", "pays the rent",
        "reads the newspaper on the train")),
    Pair(("boy", "girl"), True, (
        "goes to school", "plays with a ball", "climbs trees", "learns to read at school",
        "runs home after school")),
    Pair(("father", "mother"), False, (
        "brings the children to bed", "packs lunch for the children", "loves {his} children",
        "reads the children a story", "teaches the child to walk")),
    Pair(("son", "daughter"), True, (
        "obeys {his} parents", "lives with {his} parents", "helps {his} parents", "looks like {his} parents",
        "makes {his} parents proud")),
    Pair(("brother", "sister"), True, (
        "shares a room and the toys", "wants the same toys", "sleeps in the upper bed",
        "has the same parents as me", "shares everything with me")),
    Pair(("uncle", "aunt"), False, (
        "visits us on Sunday", "brings presents for everybody", "takes us to the zoo",
        "tells jokes at dinner", "calls us on my birthday")),
    Pair(("grandfather", "grandmother"), False, (
        "has gray hair", "tells tales of old times", "sits by the fire", "walks with a stick",
        "wears thick glasses")),
    Pair(("nephew", "niece"), True, (
        "writes us a card at Christmas", "stays on our farm in summer", "sends me a letter from camp",
        "gets a present from us", "visits our farm each year")),
    Pair(("husband", "wife"), False, (
        "wears a wedding ring", "dances at the wedding", "has a wedding in May",
        "smiles in the wedding picture", "wants a house after the wedding")),
    Pair(("actor", "actress"), False, (
        "plays on the stage", "learns the words of the play", "bows on the stage", "wears a mask in the play",
        "works at the theater")),
    Pair(("waiter", "waitress"), False, (
        "brings soup to the guests", "carries the plates", "wipes the table of the guests",
        "works in a restaurant", "asks the guests what they want")),
    Pair(("hero", "heroine"), False, (
        "saves the town", "fights the dragon", "carries a shining sword", "is brave in the fight",
        "leads the people out of the fire")),
)  # fmt: skip

OF_ALL = (
    (
        "he is male", "his name is {N}", "we like him", "{N} is the name of this {R}", "he does it himself",
        "he and his friends are here", "ask him, he knows it", "this {R} is called {N}",
        "I saw him with his friends", "the {R} himself said so",
    ),
    (
        "she is female", "her name is {N}", "we like her", "{N} is the name of this {R}",
        "she does it herself", "she and her friends are here", "ask her, she knows it",
        "this {R} is called {N}", "I saw her with her friends", "the {R} herself said so",
    ),
)  # fmt: skip
OF_GROWN = (
    ("people call him sir", "he has a beard", "the {R} has a short beard",
     '"Good morning, sir," said the guest to the {R}'),
    ("people call her madam", "she has a ribbon in her hair", "the {R} has a long dress",
     '"Good morning, madam," said the guest to the {R}'),
)  # fmt: skip
OF_YOUNG = (
    ("he wants to be a man soon", "he is not yet a man", "the {R} plays with the boys"),
    ("she wants to be a woman soon", "she is not yet a woman", "the {R} plays with the girls"),
)
_PLURAL = (("men", "boys"), ("women", "girls"))
_HIS = (("he", "his"), ("she", "her"))
_NAMES = (MEN, WOMEN)


def does(draw: Draw, pair: Pair, sex: int, subject: str) -> str:
    """A sentence on what a role does; `subject` is "the king" or "he"."""
    he, his = _HIS[sex]
    return f"{subject} {draw.one(pair.does)}.".format(he=he, his=his)


def gender_sentence(draw: Draw, pair: Pair, sex: int) -> str:
    """A sentence that is said of every role of one sex."""
    pool: tuple[str, ...] = OF_ALL[sex]
    if draw.chance(0.4) and pair.roles[0] != "man":
        pool = (OF_YOUNG if pair.young else OF_GROWN)[sex]
    form = draw.one(pool)
    name = draw.one(_NAMES[sex]) if "{N}" in form else ""
    return form.format(R=pair.roles[sex], N=name) + "."


def role(draw: Draw) -> str:
    """A short page on one role."""
    pair, sex = draw.one(PAIRS), draw.number(0, 1)
    one, he = pair.roles[sex], _HIS[sex][0]
    parts = []
    if draw.chance(0.3):
        parts.append(f"{draw.one(_NAMES[sex])} is {with_article(one)}.")
    else:
        parts.append(does(draw, pair, sex, f"the {one}"))
    for _ in range(draw.number(3, 7)):
        if draw.chance(0.45):
            parts.append(gender_sentence(draw, pair, sex))
        else:
            parts.append(does(draw, pair, sex, he if draw.chance(0.4) else f"the {one}"))
    return " ".join(sentence(part) for part in dict.fromkeys(parts))


def roles(draw: Draw) -> str:
    """Several roles side by side."""
    return " ".join(sentence(draw.one(_COMPARISONS)(draw)) for _ in range(draw.number(2, 5)))


def _can_be(draw: Draw) -> str:
    male, female = (with_article(one) for one in draw.one(PAIRS[:5] + PAIRS[7:]).roles)
    return f"a man can be {male}. A woman can be {female}."


def _is_male(draw: Draw) -> str:
    male, female = draw.one(PAIRS).roles
    return draw.one(
        (f"the {male} is male and the {female} is female.", f"the {female} is female and the {male} is male.")
    )


def _together(draw: Draw) -> str:
    sex = draw.number(0, 1)
    one, other = draw.some(PAIRS, 2)
    grown = [pair.young for pair in (one, other)].count(True)
    they = (
        f"they are {_PLURAL[sex][1 if grown == 2 else 0]}."
        if grown != 1
        else f"they are both {('male', 'female')[sex]}."
    )
    return f"the {one.roles[sex]} is with the {other.roles[sex]}. {sentence(they)}"


def _both(draw: Draw) -> str:
    pair = draw.one(PAIRS)
    first, second = draw.shuffled((0, 1))
    subject = f"the {pair.roles[first]}"
    return f"{does(draw, pair, first, subject)[:-1]}, and so does the {pair.roles[second]}."


def _known(draw: Draw) -> str:
    pair, sex = draw.one(PAIRS), draw.number(0, 1)
    knows = f"{draw.one(_NAMES[sex])} knows {with_article(pair.roles[sex])}."
    return f"{knows} {sentence(gender_sentence(draw, pair, sex))}"


_COMPARISONS = (_can_be, _is_male, _together, _both, _known)
