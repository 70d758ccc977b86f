"""k-means: clusters that are there are found, and nothing depends on chance but the seed."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.clusters import cluster
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end


def three_heaps(n: int = 60) -> np.ndarray:
    draw = np.random.default_rng(3)
    middles = np.float32([[0, 0, 0, 0], [20, 0, 0, 0], [0, 20, 0, 0]])
    sizes = (n, n // 2, n // 4)
    return np.concatenate(
        [m + draw.standard_normal((s, 4)).astype(np.float32) for m, s in zip(middles, sizes, strict=True)]
    )


def test_heaps_are_found_and_the_largest_comes_first() -> None:
    made = run_to_end(cluster(three_heaps(), 3, seed=1)).result
    assert made.sizes == (60, 30, 15)
    assert made.labels.tolist() == [0] * 60 + [1] * 30 + [2] * 15
    assert made.settled
    assert made.within < 0.05


def test_the_same_seed_gives_the_same_clusters() -> None:
    values = np.random.default_rng(5).standard_normal((300, 8)).astype(np.float32)
    first, second = (run_to_end(cluster(values, 5, seed=7)).result for _ in range(2))
    assert (first.labels == second.labels).all()


def test_every_round_is_an_event_and_the_last_is_finished() -> None:
    events = list(cluster(three_heaps(), 3))
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Progress) for event in events) == len(events) - 1 > 3


def test_equal_vectors_end_calmly() -> None:
    made = run_to_end(cluster(np.ones((10, 3), np.float32), 4)).result
    assert sum(made.sizes) == 10
    assert made.within == 0


@pytest.mark.parametrize("k", [0, 11])
def test_more_clusters_than_vectors_are_refused(k: int) -> None:
    with pytest.raises(LabError, match="10 vectors"):
        cluster(np.ones((10, 3), np.float32), k)


def test_against_scikit_learn() -> None:
    """From the same data Lloyd's rounds leave no more within the clusters than scikit-learn's, within 3 %."""
    from sklearn.cluster import KMeans

    values = np.random.default_rng(9).standard_normal((500, 6)).astype(np.float32)
    best = min(run_to_end(cluster(values, 4, seed)).result.within for seed in range(5))
    theirs = KMeans(4, n_init=5, random_state=0).fit(values)
    total = float(((values - values.mean(0)) ** 2).sum())
    assert best <= theirs.inertia_ / total * 1.03
