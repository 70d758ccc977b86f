"""t-SNE, live: a picture in which near neighbors stay near, and nothing else is promised.

van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008; openTSNE does the descent (Barnes-Hut
below 10,000 points, interpolation from there on). The neighbors are found exactly, here. Distances between
clusters and sizes of clusters mean nothing; the same vectors, settings and seed give the same picture.

openTSNE draws in two dimensions. N vectors, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.embeddings.nearest import nearest_of
from core.embeddings.projection import Projection, pca
from core.embeddings.vectors import Numbers
from core.problems import LabError
from core.settings import check, setting
from core.stages import Finished, Progress

_START_SPREAD = 1e-4  # standard deviation of the first picture along its first axis
_POINT_STEPS = 50_000  # points × iterations between two events: some 0.2 s


@dataclass(frozen=True)
class TsneSettings:
    """What decides a picture of t-SNE."""

    perplexity: float = setting(
        30.0,
        help="About how many neighbors each point is to keep near.",
        unit="neighbors",
        more_means="larger groups hold together, and fine ones blur",
        low=2.0,
        high=200.0,
    )
    exaggeration: float = setting(
        12.0,
        help="How many times stronger neighbors attract each other in the early phase.",
        title="Early exaggeration",
        more_means="clusters form earlier and farther apart",
        low=1.0,
        high=50.0,
    )
    early: int = setting(
        250, help="Iterations with early exaggeration.", title="Early iterations", unit="iterations", low=0,
        high=10_000,
    )  # fmt: skip
    iterations: int = setting(
        500,
        help="Iterations after the early ones.",
        unit="iterations",
        more_means="a more settled picture",
        low=1,
        high=100_000,
    )
    late_exaggeration: float = setting(
        1.0, help="Exaggeration after the early phase; 1 is none.", low=1.0, high=50.0
    )
    components: int = setting(
        50,
        help="PCA to so many numbers first; 0 takes the vectors as they are.",
        title="PCA first",
        unit="components",
        low=0,
        high=1000,
    )
    seed: int = setting(0, help="The same seed gives the same picture.", low=0, high=2**31 - 1)


@dataclass(frozen=True, eq=False)
class TsneStep:
    """The picture after some iterations.

    Attributes:
        iteration: How many were made.
        total: How many will be.
        points: Shape (N, 2), float32; a copy.
        kl: Kullback-Leibler divergence from the neighborhoods of the vectors to those of the points, in
            nats, as openTSNE approximates it; without exaggeration.
        early: Whether the early phase is still going on.
    """

    iteration: int
    total: int
    points: Numbers
    kl: float
    early: bool


def tsne(
    values: Numbers, settings: TsneSettings | None = None
) -> Iterator[Progress | TsneStep | Finished[Projection]]:
    """Draw vectors by t-SNE: Progress while neighbors are found, then a TsneStep every 0.2 s or so.

    Two calls of openTSNE cannot be interrupted: on two busy cores the affinities of 31,664 points took 2 s,
    and one iteration of them 0.3 s.

    Args:
        values: Shape (N, W).
        settings: None: as they stand there.

    Raises:
        LabError: A setting is outside its limits, or the perplexity is too large for so few vectors.
    """
    settings = settings or TsneSettings()
    check(settings)
    n = len(values)
    if n < 4 or settings.perplexity > (n - 1) / 3:
        raise LabError(
            f"A perplexity of {settings.perplexity:g} needs more than {3 * settings.perplexity:,.0f} "
            f"vectors, and there are {n:,}.",
            f"Set it to {max(1, (n - 1) // 3):,} or less." if n > 6 else "Choose more vectors.",
        )
    return _tsne(values, settings)


def _tsne(values: Numbers, settings: TsneSettings) -> Iterator[Progress | TsneStep | Finished[Projection]]:
    n, k = len(values), int(3 * settings.perplexity)
    yield Progress("Looking along the main directions", 0, None, "")
    reduced = values
    start = pca(values, max(2, min(settings.components, values.shape[1])), settings.seed)
    if 0 < settings.components < values.shape[1]:
        reduced = start.points
    rows, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float64)
    for block in nearest_of(reduced, k):
        end = block.begin + len(block.rows)
        rows[block.begin : end], distances[block.begin : end] = block.rows, block.distances
        yield Progress("Finding neighbors", end, n, "points")
    yield Progress("Weighing neighbors", 0, None, "")
    picture = _begin(start.points[:, :2], rows, distances, settings)
    total = settings.early + settings.iterations
    step = max(1, _POINT_STEPS // n)
    done = 0
    kl = float("nan")
    for until, factor, momentum in (
        (settings.early, settings.exaggeration, 0.5),
        (total, settings.late_exaggeration, 0.8),
    ):
        while done < until:
            count = min(step, until - done)
            picture.optimize(count, inplace=True, exaggeration=factor, momentum=momentum)
            done, kl = done + count, float(picture.kl_divergence)
            yield TsneStep(done, total, np.array(picture, np.float32), kl, done <= settings.early)
    first = f"PCA to {reduced.shape[1]} numbers first, " if reduced is not values else ""
    made = Projection(
        np.array(picture, np.float32), np.empty((0, values.shape[1]), np.float32),
        np.zeros(values.shape[1], np.float32), None,
        f"{first}exact neighbors, perplexity {settings.perplexity:g}, {total:,} iterations, "
        f"seed {settings.seed}, divergence {kl:.3f} nats",
        "t-SNE", ("t-SNE, across", "t-SNE, up"),
    )  # fmt: skip
    yield Finished(f"{total:,} iterations are done; the divergence is {kl:.3f} nats.", made)


def _begin(points: Numbers, rows: object, distances: object, settings: TsneSettings):  # type: ignore[no-untyped-def]
    """openTSNE's picture before the first iteration, begun from the two main directions."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    weights = PerplexityBasedNN(
        perplexity=settings.perplexity, knn_index=PrecomputedNeighbors(rows, distances)
    )
    start = points.astype(np.float64)
    spread = start[:, 0].std()
    start *= _START_SPREAD / (spread if spread > 0 else 1.0)
    noise = np.random.default_rng(settings.seed).standard_normal(start.shape)
    start += 0.01 * _START_SPREAD * noise  # equal vectors would stay one point
    return TSNEEmbedding(start, weights, random_state=settings.seed)
