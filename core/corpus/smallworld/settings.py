"""What a person chooses before a small world is written."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import setting

QUIZ_SHARE = 0.07
"""Share of quizzes among the documents where nothing else is said."""


@dataclass(frozen=True)
class SmallWorldSettings:
    """Size, seed and mixture of a corpus."""

    words: int = setting(
        3_600_000,
        help="How many words of text are written.",
        unit="words",
        more_means="More different documents; the facts stay the same.",
        low=100,
        high=200_000_000,
    )
    seed: int = setting(
        1, help="Where chance begins: the same seed gives the same text.", low=0, high=2_147_483_647
    )
    quiz_share: float = setting(
        QUIZ_SHARE,
        title="Share of quizzes",
        help="Share of the documents that are lists of questions without answers.",
        more_means="The base model answers a question with another question more often.",
        low=0.0,
        high=0.5,
    )
    raw: bool = setting(
        False,
        title="Raw",
        help="Mix in noise, copies, boilerplate, made-up personal data and junk, each labeled, for cleaning.",
    )
