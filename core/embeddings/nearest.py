"""The k nearest of many vectors at once, exactly, block by block: for t-SNE and for what a picture distorts.

All distances are compared, none is skipped. N vectors, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.embeddings.vectors import Numbers, Rows

_DISTANCES_AT_ONCE = 4 << 20  # 16 MB of them: below 0.1 s of work


@dataclass(frozen=True, eq=False)
class Nearest:
    """The neighbors of some rows, the nearest first.

    Attributes:
        begin: Place of the first of these rows in the rows that were asked for.
        rows: Shape (n, k).
        distances: Euclidean, shape (n, k).
    """

    begin: int
    rows: Rows
    distances: Numbers


def nearest_of(values: Numbers, k: int, rows: Rows | None = None) -> Iterator[Nearest]:
    """The k nearest of each of some rows among all N, without itself, by Euclidean distance.

    Args:
        values: Shape (N, W).
        k: At most N − 1.
        rows: Whose neighbors; None: of all.
    """
    n = len(values)
    asked = np.arange(n) if rows is None else rows
    center = values.mean(axis=0, dtype=np.float64).astype(np.float32)
    moved = values - center  # distances stay; numbers far from 0 would lose their last digits
    squares = np.einsum("ij,ij->i", moved, moved)  # (N,)
    step = max(1, _DISTANCES_AT_ONCE // n)
    for begin in range(0, len(asked), step):
        part = asked[begin : begin + step]
        near = moved[part] @ moved.T  # (n, N)
        near *= -2
        near += squares  # less the row's own square, which changes no order
        near[np.arange(len(part)), part] = np.inf
        found = np.argpartition(near, k - 1, axis=1)[:, :k] if k < n - 1 else np.argsort(near, axis=1)[:, :k]
        exact = np.linalg.norm(moved[found] - moved[part][:, None], axis=2)  # (n, k)
        order = np.lexsort((found, exact), axis=1)
        yield Nearest(
            begin, np.take_along_axis(found, order, axis=1), np.take_along_axis(exact, order, axis=1)
        )
