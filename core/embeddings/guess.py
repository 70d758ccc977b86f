"""Guess the word: a secret word, guesses scored by cosine and by rank.

As in Semantle, where the cosine counts and length does not. The word of the day follows from the date alone.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.embeddings.neighbors import Neighbor, Space
from core.embeddings.vectors import Rows
from core.problems import LabError

NEAREST = 1000  # shown afterwards


@dataclass(frozen=True)
class Guess:
    """A guess and its score.

    Attributes:
        name: The word.
        row: Its row.
        similarity: Cosine to the secret word.
        rank: Its place among the words around the secret one, from 1; 0 for the secret word itself.
        of: How many words have a place.
        right: Whether it is the secret word.
    """

    name: str
    row: int
    similarity: float
    rank: int
    of: int
    right: bool


class Game:
    """One secret word.

    Args:
        space: Centered or raw; the game says which.
        secret: Row of the secret word.
        words: Rows that have a place; None: the words of the vectors.

    Attributes:
        space: See above.
        secret: See above.
        best: Cosine of the word nearest to the secret one, which tells how near one can come.
    """

    def __init__(self, space: Space, secret: int, words: Rows | None = None) -> None:
        self.space = space
        self.secret = secret
        rows = space.vectors.words if words is None else words
        rows = rows[rows != secret]
        if len(rows) == 0:
            raise LabError("There is no word to guess with.", "Choose more vectors.")
        self._cosines = space.measure(space.vector(secret))
        order = np.lexsort((rows, -self._cosines[rows]))
        self._ranked: Rows = rows[order]
        self._place = {int(row): at + 1 for at, row in enumerate(self._ranked)}
        self.best = float(self._cosines[self._ranked[0]])

    def score(self, word: int | str) -> Guess:
        """Score a guess.

        Raises:
            LabError: The word is not there, or is none of those that have a place.
        """
        row = self.space.vectors.row(word) if isinstance(word, str) else int(word)
        name = self.space.vectors.names[row].strip()
        if row != self.secret and row not in self._place:
            raise LabError(f"{name!r} has no place in this game.", "Guess a whole word of letters.")
        rank = self._place.get(row, 0)
        similarity = 1.0 if row == self.secret else float(self._cosines[row])
        return Guess(name, row, similarity, rank, len(self._ranked), row == self.secret)

    def nearest(self, count: int = NEAREST) -> list[Neighbor]:
        """The words nearest to the secret one, the nearest first; for afterwards."""
        names = self.space.vectors.names
        return [Neighbor(int(r), names[r], float(self._cosines[r])) for r in self._ranked[:count]]

    def hint(self, rank: int) -> Neighbor:
        """The word of a rank, from 1; the nearest there is where the rank is too high."""
        at = min(max(1, rank), len(self._ranked)) - 1
        row = int(self._ranked[at])
        return Neighbor(row, self.space.vectors.names[row], float(self._cosines[row]))


def daily_word(day: datetime.date, words: Sequence[str]) -> str:
    """The word of a day: the same on every machine that has the same list.

    Raises:
        LabError: The list is empty.

    >>> daily_word(datetime.date(2026, 11, 25), ["river", "king", "street"])
    'king'
    """
    if not words:
        raise LabError("There is no word to choose from.", "Choose a list of words.")
    digest = hashlib.sha256(day.isoformat().encode("ascii")).digest()
    return words[int.from_bytes(digest[:8], "big") % len(words)]
