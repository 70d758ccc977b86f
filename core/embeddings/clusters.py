"""Clusters of vectors by k-means: every vector belongs to the nearest of k means.

Lloyd, Least squares quantization in PCM, IEEE Transactions on Information Theory 28, 1982; begun as in Arthur
and Vassilvitskii, k-means++, SODA 2007. Written out here because each round is an event, which scikit-learn
has not.

N vectors, W width, k clusters.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.embeddings.vectors import Numbers, Rows
from core.problems import LabError
from core.stages import Finished, Progress

ROUNDS = 60  # at most
ENOUGH = 0.001  # share of the vectors that change their cluster below which it ends
_AT_ONCE = 4096  # rows that are compared at once


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which vector belongs where.

    Attributes:
        labels: Cluster of each vector, the largest cluster is 0; shape (N,).
        sizes: Vectors in each.
        within: Share of the variance that is left within clusters.
        rounds: How many rounds it took.
        settled: Whether hardly a vector moved in the last round.
    """

    labels: Rows
    sizes: tuple[int, ...]
    within: float
    rounds: int
    settled: bool


def cluster(values: Numbers, k: int, seed: int = 0) -> Iterator[Progress | Finished[Clusters]]:
    """Find k clusters; one event a round.

    Args:
        values: Shape (N, W), finite.
        k: How many.
        seed: Of the vectors that are begun with.

    Raises:
        LabError: There are fewer vectors than clusters.
    """
    if not 1 <= k <= len(values):
        raise LabError(f"{len(values):,} vectors make no {k} clusters.", f"Choose 1 to {len(values):,}.")
    return _cluster(values, k, random.Random(seed))


def _cluster(values: Numbers, k: int, chance: random.Random) -> Iterator[Progress | Finished[Clusters]]:
    means = np.empty((0, values.shape[1]), np.float32)
    nearest = np.full(len(values), np.inf, np.float32)  # squared distance to the nearest mean
    for n in range(k):
        row = _drawn(nearest, chance) if n else chance.randrange(len(values))
        means = np.concatenate([means, values[row : row + 1]])
        nearest = np.minimum(nearest, _squares(values, means[-1:])[:, 0])
        yield Progress("Choosing where to begin", n + 1, k, "clusters")
    labels = np.full(len(values), -1, np.intp)
    rounds, moved = 0, len(values)
    while rounds < ROUNDS and moved > ENOUGH * len(values):
        squares = _squares(values, means)  # (N, k)
        found = squares.argmin(axis=1)
        moved = int((found != labels).sum())
        labels, rounds = found, rounds + 1
        means = np.stack([_mean(values, labels == n, means[n]) for n in range(k)])
        yield Progress("Moving the means", rounds, None, "rounds")
    sizes = np.bincount(labels, minlength=k)
    order = np.argsort(-sizes, kind="stable")
    place = np.empty(k, np.intp)
    place[order] = np.arange(k)
    left = float(_squares(values, means)[np.arange(len(values)), labels].sum(dtype=np.float64))
    total = float(
        _squares(values, values.mean(axis=0, dtype=np.float64, keepdims=True)).sum(dtype=np.float64)
    )
    made = Clusters(
        place[labels], tuple(int(size) for size in sizes[order]), left / total if total > 0 else 0.0, rounds,
        moved <= ENOUGH * len(values),
    )  # fmt: skip
    yield Finished(f"{k} clusters after {rounds} rounds.", made)


def _drawn(weights: Numbers, chance: random.Random) -> int:
    """A row drawn as often as its weight says; any where all weigh nothing."""
    sums = np.cumsum(weights, dtype=np.float64)
    if sums[-1] <= 0:
        return chance.randrange(len(weights))
    return min(int(np.searchsorted(sums, chance.random() * sums[-1], "right")), len(weights) - 1)


def _squares(values: Numbers, means: Numbers) -> Numbers:
    """Squared distances of all vectors to some means, shape (N, k).

    >>> _squares(np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])).tolist()
    [[0.0], [25.0]]
    """
    narrow = np.asarray(means, np.float32)
    made = np.empty((len(values), len(narrow)), np.float32)
    norms = np.einsum("ij,ij->i", narrow, narrow)
    for begin in range(0, len(values), _AT_ONCE):
        part = values[begin : begin + _AT_ONCE]
        made[begin : begin + _AT_ONCE] = (
            np.einsum("ij,ij->i", part, part)[:, None] - 2 * (part @ narrow.T) + norms
        )
    return np.maximum(made, 0)


def _mean(values: Numbers, members: np.ndarray, before: Numbers) -> Numbers:
    """The mean of a cluster; one that has lost all its members stays where it was."""
    n = int(members.sum())
    made: Numbers = (values[members].sum(axis=0, dtype=np.float64) / n).astype(np.float32) if n else before
    return made
