"""Write the small world: documents of all families, mixed, the same from the same seed everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core.corpus.documents import Document
from core.corpus.smallworld.dialogs import dialog, lesson, roles_dialog
from core.corpus.smallworld.draw import Draw, Weights
from core.corpus.smallworld.kinship import role, roles
from core.corpus.smallworld.pages import page, wish
from core.corpus.smallworld.places import countries, country
from core.corpus.smallworld.pronouns import nature, pronoun
from core.corpus.smallworld.quizzes import quiz
from core.corpus.smallworld.senses import sense
from core.corpus.smallworld.settings import SmallWorldSettings
from core.corpus.smallworld.stories import story
from core.corpus.smallworld.sums import at_once, digits, step_by_step, told
from core.settings import check

Family = Callable[[Draw], str]

FAMILIES: dict[str, tuple[Family, float]] = {
    "country": (country, 0.18),
    "countries": (countries, 0.08),
    "dialog": (dialog, 0.055),
    "lesson": (lesson, 0.02),
    "role": (role, 0.10),
    "roles": (roles, 0.05),
    "what roles do": (roles_dialog, 0.015),
    "pronoun": (pronoun, 0.18),
    "nature": (nature, 0.025),
    "sense": (sense, 0.08),
    "digits": (digits, 0.045),
    "sum at once": (at_once, 0.025),
    "sum step by step": (step_by_step, 0.09),
    "sum in a story": (told, 0.01),
    "page": (page, 0.11),
    "wish": (wish, 0.02),
    "story": (story, 0.05),
}
"""Every family but the quiz: the function that writes one of its documents, and its weight."""


def documents(settings: SmallWorldSettings) -> Iterator[Document]:
    """The documents of a small world, until their words are enough.

    Raises:
        LabError: A setting is outside its limits.
    """
    check(settings)
    return _documents(settings)


def _documents(settings: SmallWorldSettings) -> Iterator[Document]:
    draw = Draw(settings.seed)
    table = _mixture(settings.quiz_share)
    words = 0
    while words < settings.words:
        draw.nats = 0.0
        name, write = draw.weighted(table)
        text = write(draw)
        words += text.count(" ") + text.count("\n") + 1
        yield Document(text, name, draw.nats)


def _mixture(quiz_share: float) -> Weights[tuple[str, Family]]:
    others = sum(weight for _, weight in FAMILIES.values())
    rows = [
        ((name, write), weight / others * (1.0 - quiz_share)) for name, (write, weight) in FAMILIES.items()
    ]
    return Weights([(("quiz", quiz), quiz_share), *rows])
