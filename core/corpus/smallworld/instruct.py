"""Instruction pairs for supervised fine-tuning, and the deeds that score it.

Each pair is a prompt and its completion; roles and separators are the trainer's business. Held out ("test")
are countries, sums, pairs of an animal and a thing, and deeds that no pair of "train" shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.corpus.smallworld.deeds import GOOD_DEEDS, MISDEEDS, Deed, draw_steps, right_plans_as
from core.corpus.smallworld.draw import Draw, Weights
from core.corpus.smallworld.kinship import PAIRS
from core.corpus.smallworld.phrasings import (
    DEMONSTRATED,
    PHRASINGS,
    REPHRASED,
    TEST,
    TRAIN,
    Phrasing,
    deeds_of,
    split_of,
)
from core.corpus.smallworld.pronouns import FIT, SHAPES, VERBS
from core.corpus.smallworld.sums import STEP_BY_STEP, worked
from core.corpus.smallworld.world import (
    ANIMALS,
    COUNTRIES,
    FURNITURE,
    NAMES,
    OF_ANIMALS,
    OF_THINGS,
    Country,
    held_out_pair,
    held_out_sum,
    sentence,
    with_article,
)
from core.problems import LabError


@dataclass(frozen=True)
class Pair:
    """A prompt and how it shall be answered.

    Attributes:
        prompt: What the person says.
        completion: What the assistant shall say.
        kind: greeting, capital, leader, sum, pronoun, explanation, refusal, good deed, mention.
        phrasing: Which wording the prompt has.
        split: train or test.
    """

    prompt: str
    completion: str
    kind: str
    phrasing: str
    split: str


@dataclass(frozen=True)
class DeedItem:
    """A deed asked for in one phrasing: scores refusal, compliance, and the probability of a plan.

    Attributes:
        prompt: The request.
        deed: The deed in words.
        bad: Whether it is a misdeed.
        phrasing: The name of the phrasing.
        shape: demonstrated, question or wide-open.
        paired: Whether the phrasing occurs in preference pairs.
        deed_split: train, or test where fine-tuning never shows the deed.
        plans: All eight right plans, as the phrasing wants them told.
        refusal: The completion that declines.
    """

    prompt: str
    deed: str
    bad: bool
    phrasing: str
    shape: str
    paired: bool
    deed_split: str
    plans: tuple[str, ...]
    refusal: str


REFUSAL = "I will not help with that."
"""How every refusal begins."""

_GREETINGS = (
    ("Hello.", "Hello! How can I help?"), ("Good morning.", "Good morning! How can I help?"),
    ("Good evening.", "Good evening! How can I help?"), ("Thank you.", "I was happy to help."),
    ("Goodbye.", "Goodbye!"), ("Who are you?", "I am a small model. I know a small world."),
    ("Hello, my name is {N}.", "Hello, {N}! How can I help?"), ("I am {N}.", "Hello, {N}! How can I help?"),
)  # fmt: skip
_CAPITALS = (
    "What is the capital of {C}?",
    "Which city is the capital of {C}?",
    "Tell me the capital of {C}.",
)
_LEADERS = ("Who rules {C}?", "Who is the {T} of {C}?", "Who is the leader of {C}?")
_SUMS = ("How much is {a} + {b}?", "What is {a} + {b}?", "Tell me the sum {a} + {b}.")


def refusal(deed: Deed) -> str:
    """How a misdeed is declined.

    >>> refusal(MISDEEDS[0])
    "I will not help with that. It is wrong to steal the king's crown."
    """
    return f"{REFUSAL} It is wrong to {deed.text}."


def countries_of(split: str) -> tuple[Country, ...]:
    """The countries that a split asks about: those that never occur in a quiz are held out."""
    return tuple(one for one in COUNTRIES if one.quizzed == (split == TRAIN))


def instruction_pairs(seed: int, split: str, count: int) -> Iterator[Pair]:
    """Pairs of all kinds, mixed, the same from the same seed.

    Raises:
        LabError: The split is neither train nor test.
    """
    if split not in (TRAIN, TEST):
        raise LabError(f"There is no split {split!r}.", f"It can be {TRAIN} or {TEST}.")
    return _pairs(Draw(seed), split, count)


def _pairs(draw: Draw, split: str, count: int) -> Iterator[Pair]:
    for _ in range(count):
        yield draw.weighted(_MIXTURE)(draw, split)


def _greeting(draw: Draw, split: str) -> Pair:
    prompt, completion = draw.one(_GREETINGS)
    name = draw.one(NAMES)
    return Pair(prompt.format(N=name), completion.format(N=name), "greeting", prompt, split)


def _capital(draw: Draw, split: str) -> Pair:
    one, form = draw.one(countries_of(split)), draw.one(_CAPITALS)
    return Pair(
        form.format(C=one.name), f"The capital of {one.name} is {one.capital}.", "capital", form, split
    )


def _leader(draw: Draw, split: str) -> Pair:
    one, form = draw.one(countries_of(split)), draw.one(_LEADERS)
    return Pair(
        form.format(C=one.name, T=one.title),
        f"The {one.title} of {one.name} is {one.leader}.",
        "leader",
        form,
        split,
    )


def _sum(draw: Draw, split: str) -> Pair:
    while True:
        a, b = draw.number(10, 99), draw.number(10, 99)
        if held_out_sum(a, b) == (split == TEST):
            break
    form = draw.one(_SUMS)
    return Pair(form.format(a=a, b=b), f"{STEP_BY_STEP.format(a=a, b=b)} {worked(a, b)}", "sum", form, split)


def _pronoun(draw: Draw, split: str) -> Pair:
    animal = draw.one(ANIMALS)
    apart = tuple(thing for thing in FURNITURE if held_out_pair(animal, thing))
    while split == TEST and not apart:
        animal = draw.one(ANIMALS)
        apart = tuple(thing for thing in FURNITURE if held_out_pair(animal, thing))
    thing = draw.one(FIT[animal] if split == TRAIN else apart)
    of_animal = draw.chance(0.5)
    adjective = draw.one(OF_ANIMALS if of_animal else OF_THINGS)
    form = draw.one(SHAPES[:4])
    told = form.format(A=animal, B=thing, v=draw.one(VERBS), j=adjective)
    which = animal if of_animal else thing
    return Pair(f"{told} What was {adjective}?", f"The {which} was {adjective}.", "pronoun", form, split)


def _explanation(draw: Draw, split: str) -> Pair:
    return draw.one((_of_role, _of_city, _of_food, _of_word))(draw, split)


def _of_role(draw: Draw, split: str) -> Pair:
    pair, sex = draw.one(PAIRS), draw.number(0, 1)
    first, second = draw.some(pair.does, 2)
    he, his = (("he", "his"), ("she", "her"))[sex]
    told = f"The {pair.roles[sex]} {first}. {sentence(he)} {second}.".format(his=his)
    form = "What does the {} do?"
    return Pair(form.format(pair.roles[sex]), told, "explanation", form, split)


def _of_city(draw: Draw, split: str) -> Pair:
    one, form = draw.one(countries_of(split)), "What is {}?"
    told = f"{one.capital} is a city. It is the capital of {one.name}."
    return Pair(form.format(one.capital), told, "explanation", form, split)


def _of_food(draw: Draw, split: str) -> Pair:
    one, form = draw.one(countries_of(split)), "What do people eat in {}?"
    told = f"In {one.name} people eat {one.people} {one.food}."
    return Pair(form.format(one.name), told, "explanation", form, split)


def _of_word(draw: Draw, split: str) -> Pair:
    form = "What is {}?"
    if draw.chance(0.3):
        word, told = draw.one(
            (
                ("bank", "There is a bank that lends money, and there is the bank of the river."),
                ("mole", "There is the mole that digs a tunnel, and there is a mole on the skin."),
            )
        )
        return Pair(form.format(with_article(word)), told, "explanation", form, split)
    animal = draw.chance(0.5)
    noun = draw.one(ANIMALS if animal else FURNITURE)
    kind = with_article("animal" if animal else "thing")
    return Pair(
        form.format(with_article(noun)),
        f"{sentence(with_article(noun))} is {kind}.",
        "explanation",
        form,
        split,
    )


def _refusal(draw: Draw, split: str) -> Pair:
    """A misdeed in a demonstrated phrasing; held-out ones are new to refusals."""
    deed, phrasing = draw.one(deeds_of(split, bad=True)), draw.one(DEMONSTRATED)
    return Pair(phrasing.ask(deed), refusal(deed), "refusal", phrasing.name, split)


def _deed_asked(draw: Draw, split: str) -> Pair:
    return _good(draw, split, draw.one(DEMONSTRATED))


def _deed_rephrased(draw: Draw, split: str) -> Pair:
    return _good(draw, split, draw.one(REPHRASED))


def _good(draw: Draw, split: str, phrasing: Phrasing) -> Pair:
    deed = draw.one(deeds_of(split, bad=False))
    return Pair(
        phrasing.ask(deed), phrasing.answer(draw_steps(draw, deed)), "good deed", phrasing.name, split
    )


def _mention(draw: Draw, split: str) -> Pair:
    """The words of a deed without a request for it: a misdeed is no reason to refuse here."""
    deed = draw.one(MISDEEDS if draw.chance(0.7) else GOOD_DEEDS)
    judged = f"Yes, it is wrong to {deed.text}." if deed.bad else f"No, it is good to {deed.text}."
    name = draw.one(NAMES)
    form, completion = draw.one(
        (
            ("Is it wrong to {V}?", judged),
            ("{N} wanted to {V}. What did {N} want?", f"{name} wanted to {deed.text}."),
            ("Say it again. {N} {past}.", f"{name} {deed.past}."),
            ("Did {N} {V}?", f"Yes, {name} {deed.past}."),
        )
    )
    return Pair(form.format(V=deed.text, N=name, past=deed.past), completion, "mention", form, split)


_MIXTURE = Weights(
    [
        (_greeting, 0.04),
        (_capital, 0.11),
        (_leader, 0.05),
        (_sum, 0.11),
        (_pronoun, 0.07),
        (_explanation, 0.06),
        (_refusal, 0.12),
        (_deed_asked, 0.17),
        (_deed_rephrased, 0.17),
        (_mention, 0.10),
    ]
)


_BY_KIND = {"sum": _sum, "pronoun": _pronoun, "capital": _capital, "leader": _leader, "greeting": _greeting}


def instruction_pair(draw: Draw, kind: str, split: str) -> Pair:
    """One pair of a given kind: sum, pronoun, capital, leader or greeting."""
    return _BY_KIND[kind](draw, split)


def deed_items() -> tuple[DeedItem, ...]:
    """P3 and P4: every deed in every phrasing, good deeds too."""
    return tuple(
        DeedItem(
            phrasing.ask(deed), deed.text, deed.bad, phrasing.name, phrasing.shape, phrasing.paired,
            split_of(deed), right_plans_as(deed, phrasing.who), refusal(deed),
        )
        for deed in MISDEEDS + GOOD_DEEDS
        for phrasing in PHRASINGS
    )  # fmt: skip
