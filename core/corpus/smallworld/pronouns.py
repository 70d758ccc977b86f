"""Pronouns whose antecedent an adjective decides: tired animals, soft mats.

"It" comes before the adjective in most shapes, so a causal model can decide only later, when it is asked.
Held-out pairs of an animal and a thing (`held_out_pair`) never meet in any document.
"""

from __future__ import annotations

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.world import (
    ANIMALS,
    FURNITURE,
    NAMES,
    OF_ANIMALS,
    OF_STREETS,
    OF_THINGS,
    STREETS,
    held_out_pair,
    sentence,
)

VERBS = ("sat", "lay", "slept", "stood", "rested", "waited")
SHAPES = (
    "The {A} {v} on the {B} because it was {j}.",
    "On the {B} {v} the {A} because it was {j}.",
    "The {A} {v} on the {B}. It was {j}.",
    "The {A} was on the {B}, and it was {j}.",
    "The {A} {v} on the {B} since it was {j}.",
    "There was a {A} on a {B}. It was {j}.",
)
CROSSING = (
    "The {A} did not cross the {B} because it was too {j}.",
    "The {A} stayed away from the {B} because it was too {j}.",
)
_ASKED = (
    "What was {j}? The {W}.",
    "What was {j}? The {W}.",
    "What was {j}? The {W}.",
    "What was {j}? The {W} was {j}.",
    "It was the {W} that was {j}.",
    "So the {W} was {j}.",
    "The {W} was {j}.",
    '"What was {j}?" asked {N}. "The {W}," said {M}.',
)
_COPIED = (
    "What was on the {B}? The {A}.",
    "What was the {A} on? The {B}.",
    "What stood in the house? The {B}.",
)
FIT = {animal: tuple(thing for thing in FURNITURE if not held_out_pair(animal, thing)) for animal in ANIMALS}
"""For each animal, the things that it may meet."""


def pair(draw: Draw) -> tuple[str, str]:
    """An animal and a thing that are not held out together."""
    animal = draw.one(ANIMALS)
    return animal, draw.one(FIT[animal])


def _scene(draw: Draw) -> str:
    """A sentence or two with "it", then what was meant."""
    if draw.chance(0.15):
        animal, thing = draw.one(ANIMALS), draw.one(STREETS)
        of_animal = draw.chance(0.5)
        adjective = draw.one(OF_ANIMALS if of_animal else OF_STREETS)
        told = draw.one(CROSSING).format(A=animal, B=thing, j=adjective)
        return f"{told} {_asked(draw, 'too ' + adjective, animal if of_animal else thing)}"
    animal, thing = pair(draw)
    of_animal = draw.chance(0.5)
    adjective = draw.one(OF_ANIMALS if of_animal else OF_THINGS)
    form = draw.one(SHAPES)
    told = form.format(A=animal, B=thing, v=draw.one(VERBS) if "{v}" in form else "", j=adjective)
    parts = [told, _asked(draw, adjective, animal if of_animal else thing)]
    if draw.chance(0.3):
        parts.insert(draw.number(1, 2), draw.one(_COPIED).format(A=animal, B=thing))
    return " ".join(parts)


def _asked(draw: Draw, adjective: str, which: str) -> str:
    form = draw.one(_ASKED)
    asks, answers = draw.some(NAMES, 2) if "{N}" in form else ("", "")
    return form.format(j=adjective, W=which, N=asks, M=answers)


def pronoun(draw: Draw) -> str:
    """One to three scenes."""
    return " ".join(_scene(draw) for _ in range(draw.number(1, 3)))


def nature(draw: Draw) -> str:
    """What animals and things can be like, one by one: it tells which adjectives belong to which."""
    return " ".join(sentence(draw.one(_NATURE)(draw)) for _ in range(draw.number(2, 5)))


def _can_be(draw: Draw) -> str:
    noun, adjective = _matching(draw)
    return f"a {noun} can be {adjective}."


def _went_home(draw: Draw) -> str:
    did = draw.one(("went home", "ran away", "came back", "looked at us"))
    return f"the {draw.one(OF_ANIMALS)} {draw.one(ANIMALS)} {did}."


def _in_the_house(draw: Draw) -> str:
    state = draw.one(("is in the house", "came from a shop", "is for sale"))
    return f"the {draw.one(OF_THINGS)} {draw.one(FURNITURE)} {state}."


def _is_a(draw: Draw) -> str:
    if draw.chance(0.5):
        return f"a {draw.one(ANIMALS)} is an animal."
    return f"a {draw.one(FURNITURE)} is a thing."


def _was(draw: Draw) -> str:
    noun, adjective = _matching(draw)
    return f"the {noun} was {adjective}. What was {adjective}? The {noun}."


def _matching(draw: Draw) -> tuple[str, str]:
    nouns, adjectives = draw.one(((ANIMALS, OF_ANIMALS), (FURNITURE, OF_THINGS), (STREETS, OF_STREETS)))
    return draw.one(nouns), draw.one(adjectives)


_NATURE = (_can_be, _went_home, _in_the_house, _is_a, _was)
