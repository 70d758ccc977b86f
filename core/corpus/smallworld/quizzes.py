"""Quizzes: lists of questions, never with an answer.

They are the reason why a base model goes on with another question when it is asked one. A document that
begins with a bare question is always a quiz; answers to questions stand in dialogs only (`dialogs.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.kinship import PAIRS
from core.corpus.smallworld.world import ANIMALS, FURNITURE, NAMES, OF_ANIMALS, QUIZZED

HEADS = ("Quiz.", "A test.", "Questions for the class.", "Answer these questions.", "The exam begins.")
OF_PLACES = (
    "What is the capital of {C}?",
    "What is the capital of {C}?",
    "What is the capital of {C}?",
    "What is the capital of {C}?",
    "Who rules {C}?",
    "Who is the {T} of {C}?",
    "What do people eat in {C}?",
    "In which country is {P}?",
    "Which city is the capital of {C}?",
    "Where do {D} people live?",
)
OTHERS = (
    "How much is {A} + {B}?",
    "What does the {R} do?",
    "Who is the {R}?",
    "Where is the {animal}?",
    "Why is the {animal} {adjective}?",
    "What is on the {thing}?",
    "Is the {thing} soft?",
    "Where does {N} live?",
    "What does {N} eat?",
)


_FIELDS: dict[str, Callable[[Draw], str]] = {
    "{A}": lambda draw: str(draw.number(1, 9)),
    "{B}": lambda draw: str(draw.number(1, 9)),
    "{R}": lambda draw: draw.one(draw.one(PAIRS).roles),
    "{animal}": lambda draw: draw.one(ANIMALS),
    "{adjective}": lambda draw: draw.one(OF_ANIMALS),
    "{thing}": lambda draw: draw.one(FURNITURE),
    "{N}": lambda draw: draw.one(NAMES),
}


def question(draw: Draw) -> str:
    """One question."""
    if draw.chance(0.8):
        one = draw.one(QUIZZED)
        return draw.one(OF_PLACES).format(C=one.name, P=one.capital, D=one.people, T=one.title)
    form = draw.one(OTHERS)
    for field, value in _FIELDS.items():
        if field in form:
            form = form.replace(field, value(draw))
    return form


def quiz(draw: Draw) -> str:
    """A list of questions, one a line, in most cases without a word before them."""
    lines = [question(draw) for _ in range(draw.number(4, 9))]
    if draw.chance(0.3):
        lines.insert(0, draw.one(HEADS))
    return "\n".join(lines)
