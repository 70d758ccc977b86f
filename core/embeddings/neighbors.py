"""The nearest vectors, exactly and over all of them, by cosine, dot product or distance; raw or centered.

Cosines of raw token embeddings are all rather alike, since the vectors share a direction: their mean. A
space is therefore measured raw or less the mean of stated rows. Nothing is approximated or sampled.

N vectors, W width, k neighbors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.embeddings.vectors import Numbers, Rows, Vectors
from core.problems import LabError

By = Literal["cosine", "dot", "distance"]
MEASURES: tuple[By, ...] = ("cosine", "dot", "distance")

_AT_ONCE = 4096  # rows that are centered at once: 9 MB at a width of 576


@dataclass(frozen=True)
class Neighbor:
    """A vector near another one.

    Attributes:
        row: Its row.
        name: Its name.
        value: Cosine, dot product or distance, as was asked.
    """

    row: int
    name: str
    value: float


@dataclass(frozen=True, eq=False)
class Origin:
    """A point to measure from.

    Attributes:
        point: Shape (W,), float32.
        said: What it is, for a sentence on screen: "the mean of 20 other sentences".
    """

    point: Numbers
    said: str


class Space:
    """Vectors with an origin, ready to be measured. No second copy of the vectors is made.

    Args:
        vectors: The vectors.
        centered: False measures from the raw origin, True from the mean of `vectors.words`, rows from the
            mean of these, an `Origin` from there.

    Attributes:
        vectors: The vectors.
        center: The origin, shape (W,); zeros where it is raw.
        centered_on: What the origin is, for a sentence on screen.
        norms: Length of each vector, shape (N,).
    """

    def __init__(self, vectors: Vectors, centered: bool | Sequence[int] | Rows | Origin = True) -> None:
        self.vectors = vectors
        if isinstance(centered, Origin):
            self.center = centered.point
            self.centered_on = f"centered on {centered.said}"
        elif centered is False:
            self.center = np.zeros(vectors.width, np.float32)
            self.centered_on = "raw: measured from the origin"
        else:
            rows = vectors.words if centered is True else np.asarray(centered, np.intp)
            said = vectors.words_said if centered is True else f"{len(rows):,} chosen vectors"
            self.center = mean_of(vectors.values, rows)
            self.centered_on = f"centered on the mean of {said}"
        self.norms = _norms(vectors.values, self.center)

    def __len__(self) -> int:
        return len(self.vectors)

    def vector(self, row: int) -> Numbers:
        """One vector, from this space's origin; shape (W,)."""
        made: Numbers = self.vectors.values[row] - self.center
        return made

    def unit(self, row: int) -> Numbers:
        """One vector, from this space's origin, with length 1; one without length stays as it is."""
        length = self.norms[row]
        made: Numbers = self.vector(row) / (length if length > 0 else np.float32(1))
        return made

    def measure(self, vector: Numbers, by: By = "cosine") -> Numbers:
        """Cosine, dot product or distance of a vector of this space to all N; shape (N,).

        A cosine with a vector of length 0 is 0.

        Raises:
            LabError: There is no such measure.
        """
        _check_measure(by)
        vector = np.asarray(vector, np.float32)
        dots: Numbers = self.vectors.values @ vector - np.float32(self.center @ vector)  # (N,)
        length = float(np.linalg.norm(vector))
        if by == "dot":
            return dots
        if by == "cosine":
            scale = self.norms * np.float32(length)
            cosines = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
            return np.asarray(np.clip(cosines, -1, 1), np.float32)
        squares = self.norms * self.norms - 2 * dots + np.float32(length * length)
        return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)

    def neighbors(
        self,
        of: int | Numbers,
        by: By = "cosine",
        k: int = 10,
        exclude: Collection[int] = (),
        among: Rows | None = None,
    ) -> list[Neighbor]:
        """The k nearest, the nearest first; of equals the one with the lower row.

        Args:
            of: A row, which is then left out itself, or a vector of this space.
            by: How near is measured: largest cosine, largest dot product, or smallest distance.
            k: How many; fewer where there are fewer.
            exclude: Rows that are left out.
            among: Rows that may be found; None: all.
        """
        if isinstance(of, (int, np.integer)):
            exclude = {*exclude, int(of)}
            of = self.vector(int(of))
        values = self.measure(of, by)
        best = best_rows(-values if by == "distance" else values, k, exclude, among)
        exact = self._exactly(of, best, by)
        names = self.vectors.names
        return [Neighbor(int(row), names[row], value) for row, value in zip(best, exact, strict=True)]

    def rank(
        self,
        of: int | Numbers,
        target: int,
        by: By = "cosine",
        exclude: Collection[int] = (),
        among: Rows | None = None,
    ) -> int:
        """Which place a row has among the neighbors of a row or vector, counted from 1."""
        if isinstance(of, (int, np.integer)):
            exclude = {*exclude, int(of)} - {target}
            of = self.vector(int(of))
        values = self.measure(of, by)
        values = -values if by == "distance" else values
        better = values > values[target]
        if among is not None:
            better = better[[row for row in among.tolist() if row not in exclude]]
            return 1 + int(better.sum())
        better[[*exclude]] = False
        return 1 + int(better.sum())

    def similarity(self, a: int, b: int, by: By = "cosine") -> float:
        """How near two rows are."""
        return self._exactly(self.vector(a), np.array([b]), by)[0]

    def _exactly(self, vector: Numbers, rows: Rows, by: By) -> list[float]:
        """Measured again in float64, for the few that are shown: a distance near 0 is otherwise rounding."""
        wide = vector.astype(np.float64)
        others = self.vectors.values[rows].astype(np.float64) - self.center.astype(np.float64)  # (k, W)
        if by == "distance":
            return [float(value) for value in np.linalg.norm(others - wide, axis=1)]
        dots = others @ wide
        if by == "cosine":
            scale = np.linalg.norm(others, axis=1) * np.linalg.norm(wide)
            dots = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
        return [float(value) for value in dots]


def mean_of(values: Numbers, rows: Rows) -> Numbers:
    """The mean of some rows, summed in float64; shape (W,).

    Raises:
        LabError: There is no row.
    """
    if len(rows) == 0:
        raise LabError("There is no vector to center on.", "Choose words, or measure raw.")
    total = np.zeros(values.shape[1], np.float64)
    for begin in range(0, len(rows), _AT_ONCE):
        total += values[rows[begin : begin + _AT_ONCE]].sum(axis=0, dtype=np.float64)
    return (total / len(rows)).astype(np.float32)


def best_rows(values: Numbers, k: int, exclude: Collection[int] = (), among: Rows | None = None) -> Rows:
    """The rows of the k largest values, the largest first; of equals the lower row.

    >>> best_rows(np.array([0.1, 0.9, 0.5, 0.9]), 2).tolist()
    [1, 3]
    >>> best_rows(np.array([0.1, 0.9, 0.5, 0.9]), 2, exclude=[1], among=np.array([0, 1, 2])).tolist()
    [2, 0]
    """
    rows = np.arange(len(values)) if among is None else np.asarray(among)
    if exclude:
        rows = rows[~np.isin(rows, list(exclude))]
    chosen = values[rows]
    k = min(k, len(rows))
    if k <= 0:
        return rows[:0]
    if k < len(rows):
        least = np.partition(chosen, len(chosen) - k)[len(chosen) - k]
        at = np.flatnonzero(chosen >= least)  # with all that are equal to the last one
        rows, chosen = rows[at], chosen[at]
    order = np.lexsort((rows, -chosen))[:k]
    made: Rows = rows[order]
    return made


def _norms(values: Numbers, center: Numbers) -> Numbers:
    norms = np.empty(len(values), np.float32)
    for begin in range(0, len(values), _AT_ONCE):
        part = values[begin : begin + _AT_ONCE] - center
        norms[begin : begin + _AT_ONCE] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return norms


def _check_measure(by: str) -> None:
    if by not in MEASURES:
        raise LabError(f"There is no measure {by!r}.", f"The measures are {', '.join(MEASURES)}.")
