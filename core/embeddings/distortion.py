"""What a picture distorts: which share of the true nearest neighbors is still nearest in it.

The share of common neighbors is measured point by point and for all together (Lee and Verleysen, Quality
assessment of dimensionality reduction, Neurocomputing 72, 2009, there called Q_NX). A picture of 576 numbers
in 2 or 3 keeps few of them, and which ones is worth knowing before a distance in it is believed.

N vectors, W width, k neighbors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.embeddings.nearest import nearest_of
from core.embeddings.vectors import Numbers, Rows
from core.problems import LabError
from core.stages import Finished, Progress

NEIGHBORS = 10


@dataclass(frozen=True, eq=False)
class Distortion:
    """How many of the true neighbors survive.

    Attributes:
        overall: Share of the true k nearest that are among the k nearest in the picture, over all rows.
        by_chance: That share in a picture that has forgotten everything: k / (N − 1).
        per_point: The share of each row, shape (n,), float32.
        rows: Which rows were measured, shape (n,).
        n: How many.
        of: N: neighbors were looked for among all of these.
        k: How many neighbors.
        seed: Of the draw of rows; None where all were measured.
    """

    overall: float
    by_chance: float
    per_point: Numbers
    rows: Rows
    n: int
    of: int
    k: int
    seed: int | None


def distortion(
    values: Numbers, points: Numbers, k: int = NEIGHBORS, rows: int | Rows | None = None, seed: int = 0
) -> Iterator[Progress | Finished[Distortion]]:
    """Compare the neighbors of vectors with those of their points in a picture, by Euclidean distance.

    Args:
        values: Shape (N, W).
        points: Shape (N, 2 or 3).
        k: How many neighbors.
        rows: Which rows are measured: all (None), so many drawn at random, or these. Their neighbors are
            looked for among all N in every case.
        seed: Of the draw.

    Raises:
        LabError: There are not more than k vectors, or no row.
    """
    n = len(values)
    if len(points) != n:
        raise LabError(f"{len(points):,} points and {n:,} vectors do not belong together.", "Draw anew.")
    if not 1 <= k < n:
        raise LabError(
            f"{n:,} vectors have no {k:,} neighbors each.", f"Ask for 1 to {max(1, n - 1):,} neighbors."
        )
    drawn: int | None = None
    if rows is None or (isinstance(rows, int) and rows >= n):
        chosen = np.arange(n)
    elif isinstance(rows, int):
        chosen, drawn = np.sort(np.random.default_rng(seed).choice(n, rows, replace=False)), seed
    else:
        chosen = np.asarray(rows, np.intp)
    if len(chosen) == 0:
        raise LabError("No row is to be measured.", "Choose at least one.")
    return _distortion(values, points, k, chosen, drawn)


def _distortion(
    values: Numbers, points: Numbers, k: int, rows: Rows, seed: int | None
) -> Iterator[Progress | Finished[Distortion]]:
    from scipy.spatial import KDTree

    tree = KDTree(points)
    shares = np.empty(len(rows), np.float32)
    for block in nearest_of(values, k, rows):
        end = block.begin + len(block.rows)
        asked = rows[block.begin : end]
        _, found = tree.query(points[asked], k + 1)
        for at, (row, true, seen) in enumerate(zip(asked, block.rows, found, strict=True)):
            kept = seen[seen != row][:k]
            shares[block.begin + at] = np.isin(true, kept).sum() / k
        yield Progress("Comparing neighbors", end, len(rows), "points")
    overall = float(shares.mean(dtype=np.float64))
    made = Distortion(overall, k / (len(values) - 1), shares, rows, len(rows), len(values), k, seed)
    yield Finished(
        f"{overall:.1%} of the {k} nearest neighbors survive in the picture, over {len(rows):,} of "
        f"{len(values):,} points.",
        made,
    )
