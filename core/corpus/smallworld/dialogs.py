"""Dialogs and classroom stories: here, and only here, questions are answered.

No dialog begins with a bare question: someone speaks, or something is told first.
"""

from __future__ import annotations

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.kinship import PAIRS
from core.corpus.smallworld.places import capital_sentence, fill, leader_sentence
from core.corpus.smallworld.world import COUNTRIES, NAMES, Country

_SETTINGS = (
    "The class learned about countries.", "It was morning at school.", "{M} and {N} looked at a map.",
    "{M} sat beside {N} in the train.", "The teacher opened the big book.", "{M} came home from school.",
    "{M} wanted to learn.", "The children sat in a circle.",
)  # fmt: skip
_ASKS = (
    '"{q}" asked {M}.',
    '{M} asked, "{q}"',
    '"Tell me, {N}," said {M}. "{q}"',
    '{M} wanted to know, "{q}"',
)
_ANSWERS = ('"{a}," said {N}.', '{N} said, "{a}."', '"{a}," answered {N}.', '"I know it," said {N}. "{a}."')


def _asked(draw: Draw, one: Country) -> tuple[str, str]:
    """A question about a country and its answer, without a full stop."""
    question, answer = draw.one(
        (
            ("What is the capital of {C}?", "The capital of {C} is {P}"),
            ("What is the capital of {C}?", "The capital of {C} is {P}"),
            ("What is the capital of {C}?", "The capital of {C} is {P}"),
            ("Which city is the capital of {C}?", "{P} is the capital of {C}"),
            ("What is the capital of {C} called?", "It is called {P}"),
            ("Who rules {C}?", "{S} rules {C}"),
            ("Who is the {T} of {C}?", "The {T} of {C} is {S}"),
            ("In which country is {P}?", "{P} is in {C}"),
            ("What do people eat in {C}?", "In {C} people eat {D} {F}"),
            ("Where do {D} people live?", "Many {D} people live in {P}"),
        )
    )
    return fill(draw, question, one), fill(draw, answer, one)


def dialog(draw: Draw) -> str:
    """Two people; one asks, the other answers."""
    asks, answers = draw.some(NAMES, 2)
    parts = [draw.one(_SETTINGS)] if draw.chance(0.4) else []
    for one in draw.some(COUNTRIES, draw.number(1, 4)):
        question, answer = _asked(draw, one)
        parts.append(draw.one(_ASKS).replace("{q}", question))
        parts.append(draw.one(_ANSWERS).replace("{a}", answer))
    told = [part.replace("{M}", asks).replace("{N}", answers) for part in parts]
    return ("\n" if draw.chance(0.3) else " ").join(told)


def lesson(draw: Draw) -> str:
    """A teacher asks, children answer, one of them wrongly at times and put right."""
    one, other = draw.some(COUNTRIES, 2)
    first, second = draw.some(NAMES, 2)
    told = [
        "The teacher asked for the capital of {C}.",
        f'"It is {other.capital}," said {first}. "No," said the teacher.'
        if draw.chance(0.4)
        else f"{first} did not know it.",
        draw.one(("The class waited.", f"{second} looked at the map.", f"{second} stood up.")),
        f'"The capital of {{C}} is {{P}}," said {second}.',
        draw.one(('"That is right," said the teacher.', "Everybody was happy.", "{X}")),
    ]
    last = capital_sentence(draw, other) if draw.chance(0.5) else leader_sentence(draw, one)
    return fill(draw, " ".join(told).replace("{X}", last), one)


def roles_dialog(draw: Draw) -> str:
    """Someone asks what a king does."""
    pair, sex = draw.one(PAIRS), draw.number(0, 1)
    one = pair.roles[sex]
    asks, answers = draw.some(NAMES, 2)
    phrase = draw.one(pair.does).format(his=("his", "her")[sex])
    parts = (
        draw.one(_ASKS).replace("{q}", f"What does the {one} do?"),
        draw.one(_ANSWERS).replace("{a}", f"The {one} {phrase}"),
    )
    return " ".join(parts).replace("{M}", asks).replace("{N}", answers)
