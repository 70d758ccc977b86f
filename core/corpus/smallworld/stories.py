"""Stories that mix what the other families tell one by one."""

from __future__ import annotations

from core.corpus.smallworld.deeds import GOOD_DEEDS
from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.kinship import PAIRS, does
from core.corpus.smallworld.places import capital_sentence, shared_sentence
from core.corpus.smallworld.pronouns import VERBS, pair
from core.corpus.smallworld.world import COUNTRIES, FURNITURE, MEN, OF_THINGS, WOMEN, sentence

_BEGINS = (
    "{N} lives in {P}.", "Once {N} came to {P}.", "{N} was born in {C}.", "One day {N} went to {C}.",
    "In {P} there was a child called {N}.",
)  # fmt: skip
_MIDDLES = (
    "The {animal} {v} on the {thing}.", "In the house there was a {animal}. It {v} on the {thing}.",
    "{N} saw a {animal} on a {thing}.", "The {animal} looked at {N}.", "{N} bought a {adjective} {other}.",
    "{N} likes the {animal} most of all.",
)  # fmt: skip
_ENDS = (
    "Then {N} went home.", "In the evening {he} was tired.", "That was a good day.",
    "{N} wrote a letter about it.", "And so {he} {past}.", "{N} was happy because {he} {past}.",
)  # fmt: skip


def story(draw: Draw) -> str:
    """A short story with a person, a place, a role, an animal and a deed."""
    sex = draw.number(0, 1)
    one, kin = draw.one(COUNTRIES), draw.one(PAIRS)
    animal, thing = pair(draw)
    fields = {
        "N": draw.one((MEN, WOMEN)[sex]), "he": ("he", "she")[sex], "C": one.name, "P": one.capital,
        "animal": animal, "thing": thing, "v": draw.one(VERBS), "adjective": draw.one(OF_THINGS),
        "other": draw.one(FURNITURE), "past": draw.one(GOOD_DEEDS).past,
    }  # fmt: skip
    of_kin = draw.number(0, 1)
    parts = [draw.one(_BEGINS)]
    if draw.chance(0.5):
        parts.append(does(draw, kin, of_kin, f"the {kin.roles[of_kin]}"))
    parts += draw.some(_MIDDLES, draw.number(1, 2))
    if draw.chance(0.5):
        parts.append(capital_sentence(draw, one) if draw.chance(0.5) else shared_sentence(draw, one))
    parts.append(draw.one(_ENDS))
    told = [sentence(part.format(**fields)) for part in parts]
    at = len(told) // 2
    return " ".join(told) if draw.chance(0.7) else " ".join(told[:at]) + "\n" + " ".join(told[at:])
