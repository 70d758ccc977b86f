"""The dot product, term by term, and what it has to do with length and angle.

a·b = |a||b| cos θ. Attention compares by the plain dot product (divided by √d); a game such as Semantle
compares by the cosine, in which length does not count.

W width.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from core.embeddings.neighbors import Space
from core.embeddings.vectors import Numbers, Rows
from core.evals.intervals import wilson
from core.problems import LabError

PAIRS = 200_000  # drawn where nothing else is said


@dataclass(frozen=True, eq=False)
class Dot:
    """A dot product, taken apart.

    Attributes:
        products: a·b term by term, shape (W,).
        running: Their sums from the first on, shape (W,); the last is the dot product.
        dot: The dot product.
        norm_a: |a|.
        norm_b: |b|.
        cosine: dot / (|a||b|); 0 where a length is 0.
        angle: In degrees.
    """

    products: Numbers
    running: Numbers
    dot: float
    norm_a: float
    norm_b: float
    cosine: float
    angle: float


@dataclass(frozen=True)
class BelowZero:
    """How many pairs of vectors have a dot product below zero.

    Attributes:
        below: So many.
        n: Of so many pairs, drawn at random; each of two different vectors.
        low: Lower limit of the share, with 95 % confidence.
        high: Upper limit.
        mean: Mean cosine of these pairs.
        seed: Of the draw.
    """

    below: int
    n: int
    low: float
    high: float
    mean: float
    seed: int

    @property
    def share(self) -> float:
        """Below zero of all."""
        return self.below / self.n


@dataclass(frozen=True)
class PairOfWords:
    """Two rows and their cosine."""

    a: int
    b: int
    cosine: float


@dataclass(frozen=True)
class Examples:
    """Pairs found in the data, each with its cosine."""

    positive: tuple[PairOfWords, ...]
    near_zero: tuple[PairOfWords, ...]
    negative: tuple[PairOfWords, ...]
    n: int


def explain_dot(a: Numbers, b: Numbers) -> Dot:
    """Two vectors, their dot product and all that it is made of; computed in float64.

    >>> made = explain_dot(np.array([3.0, 4.0]), np.array([4.0, 3.0]))
    >>> made.products.tolist(), made.dot, made.norm_a, round(made.cosine, 2), round(made.angle, 2)
    ([12.0, 12.0], 24.0, 5.0, 0.96, 16.26)
    """
    wide_a, wide_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    products = wide_a * wide_b
    running = np.cumsum(products)
    dot = float(running[-1])
    norm_a, norm_b = float(np.linalg.norm(wide_a)), float(np.linalg.norm(wide_b))
    scale = norm_a * norm_b
    cosine = min(1.0, max(-1.0, dot / scale)) if scale > 0 else 0.0
    return Dot(
        products.astype(np.float32), running.astype(np.float32), dot, norm_a, norm_b, cosine,
        math.degrees(math.acos(cosine)),
    )  # fmt: skip


def share_below_zero(space: Space, pairs: int = PAIRS, seed: int = 0, among: Rows | None = None) -> BelowZero:
    """Draw pairs of vectors and count the dot products below zero.

    Args:
        space: Raw or centered: around their mean, about half of all pairs lie below zero.
        pairs: How many are drawn.
        seed: The same seed draws the same.
        among: Rows to draw from; None: all.

    Raises:
        LabError: There are fewer than two vectors.
    """
    a, b = _draw(len(space), pairs, random.Random(seed), among)
    cosines = _cosines(space, a, b)
    below = int((cosines < 0).sum())
    low, high = wilson(below, len(cosines))
    return BelowZero(below, len(cosines), low, high, float(cosines.mean()), seed)


def examples_of(
    space: Space, count: int = 5, seed: int = 0, among: Rows | None = None, pairs: int = PAIRS
) -> Examples:
    """The most alike, the most nearly unrelated and the most opposed of so many random pairs.

    Raises:
        LabError: There are fewer than two vectors.
    """
    a, b = _draw(len(space), pairs, random.Random(seed), among)
    cosines = _cosines(space, a, b)
    order = np.argsort(cosines)
    nearest = np.argsort(np.abs(cosines))

    def chosen(places: Rows) -> tuple[PairOfWords, ...]:
        found: dict[tuple[int, int], PairOfWords] = {}
        for at in places:
            pair = (int(min(a[at], b[at])), int(max(a[at], b[at])))
            found.setdefault(pair, PairOfWords(*pair, float(cosines[at])))
            if len(found) == count:
                break
        return tuple(found.values())

    below = order[cosines[order] < 0]
    return Examples(chosen(order[::-1]), chosen(nearest), chosen(below), len(cosines))


def _draw(n: int, pairs: int, chance: random.Random, among: Rows | None) -> tuple[Rows, Rows]:
    rows = np.arange(n) if among is None else among
    if len(rows) < 2:
        raise LabError(f"{len(rows):,} vectors make no pair.", "Choose two or more.")
    draw = np.random.default_rng(chance.getrandbits(64))
    a = draw.integers(0, len(rows), pairs)
    b = (a + draw.integers(1, len(rows), pairs)) % len(rows)  # never the same one
    return rows[a], rows[b]


def _cosines(space: Space, a: Rows, b: Rows) -> Numbers:
    made = np.empty(len(a), np.float32)
    values, center = space.vectors.values, space.center
    for begin in range(0, len(a), 4096):
        part = slice(begin, begin + 4096)
        dots = np.einsum("ij,ij->i", values[a[part]] - center, values[b[part]] - center)
        scale = space.norms[a[part]] * space.norms[b[part]]
        made[part] = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
    return made
