"""t-SNE, live, and what a picture distorts."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.distortion import distortion
from core.embeddings.nearest import nearest_of
from core.embeddings.projection import Projection, pca
from core.embeddings.tsne import TsneSettings, TsneStep, tsne
from core.problems import LabError
from core.stages import run_to_end
from tests.core.embeddings.small_spaces import cloud

SMALL = TsneSettings(perplexity=8.0, early=20, iterations=30)


def three_groups() -> np.ndarray:
    draw = np.random.default_rng(3)
    return (draw.standard_normal((90, 10)) + np.repeat(np.eye(10)[:3] * 40, 30, axis=0)).astype(np.float32)


def test_neighbors_are_those_of_a_plain_sort() -> None:
    values = cloud(120, 8)
    distances = np.linalg.norm(values[:, None] - values[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    (block,) = nearest_of(values, 9)
    assert np.array_equal(block.rows, np.argsort(distances, axis=1)[:, :9])
    (few,) = nearest_of(values, 119, np.array([5, 3]))
    assert np.array_equal(few.rows, np.argsort(distances[[5, 3]], axis=1)[:, :119])


def test_groups_come_apart_and_each_step_is_a_picture_of_its_own() -> None:
    *events, last = tsne(three_groups(), SMALL)
    steps = [event for event in events if isinstance(event, TsneStep)]
    assert [step.iteration for step in steps] == [20, 50]
    assert [step.early for step in steps] == [True, False]
    assert steps[0].points is not steps[1].points
    assert not np.array_equal(steps[0].points, steps[1].points)
    assert steps[1].kl < steps[0].kl
    made: Projection = last.result
    groups = made.points.reshape(3, 30, 2)
    apart = np.linalg.norm(groups.mean(axis=1)[:, None] - groups.mean(axis=1)[None], axis=2)[
        np.triu_indices(3, 1)
    ]
    wide = np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2)
    assert apart.min() > wide.mean()
    assert "exact neighbors, perplexity 8, 50 iterations, seed 0" in made.solver


def test_the_same_seed_gives_the_same_picture() -> None:
    one, other = (run_to_end(tsne(three_groups(), SMALL)).result.points for _ in range(2))
    assert np.array_equal(one, other)


def test_a_picture_of_tsne_says_that_nothing_can_be_placed_into_it() -> None:
    made = run_to_end(tsne(three_groups(), SMALL)).result
    with pytest.raises(LabError, match="t-SNE has no axes"):
        made.place(three_groups())


def test_equal_vectors_do_not_stop_it() -> None:
    values = np.ones((30, 4), np.float32)
    assert np.isfinite(
        run_to_end(tsne(values, TsneSettings(perplexity=3.0, early=5, iterations=5))).result.points
    ).all()


@pytest.mark.parametrize(
    ("n", "perplexity", "said"),
    [(3, 2.0, "there are 3"), (20, 30.0, "more than 90 vectors"), (90, 1.0, "below 2")],
)
def test_settings_that_do_not_fit_are_refused(n: int, perplexity: float, said: str) -> None:
    with pytest.raises(LabError, match=said):
        tsne(cloud(n, 4), TsneSettings(perplexity=perplexity))


def test_a_picture_that_keeps_everything_loses_no_neighbor() -> None:
    values = cloud(80, 3)
    made = run_to_end(distortion(values, pca(values, 3).points)).result
    assert made.overall == pytest.approx(1)
    assert made.n == made.of == 80
    assert made.seed is None


def test_lost_neighbors_are_counted_point_by_point() -> None:
    """On a line 0 1 2 … 9 with one neighbor each (of equals the lower), and the line shown with 0 and 5 exchanged."""
    values = np.arange(10.0).reshape(-1, 1) * np.linspace(1, 1.2, 10).reshape(-1, 1)
    shown = values.copy()
    shown[[0, 5]] = shown[[5, 0]]
    made = run_to_end(distortion(values.astype(np.float32), shown.astype(np.float32), k=1)).result
    true = [int(np.abs(values - v)[:, 0].argsort(kind="stable")[1]) for v in values[:, 0]]
    seen = [int(np.abs(shown - v)[:, 0].argsort(kind="stable")[1]) for v in shown[:, 0]]
    assert made.per_point.tolist() == [float(a == b) for a, b in zip(true, seen, strict=True)]
    assert 0 < made.overall < 1


def test_a_picture_of_chance_keeps_as_many_as_chance() -> None:
    draw = np.random.default_rng(4)
    made = run_to_end(distortion(cloud(400), draw.standard_normal((400, 2)).astype(np.float32))).result
    assert made.overall < 0.05
    assert made.by_chance == pytest.approx(10 / 399)


def test_a_sample_of_rows_is_measured_among_all() -> None:
    values = cloud(200)
    points = pca(values, 2).points
    some = run_to_end(distortion(values, points, rows=50, seed=6)).result
    whole = run_to_end(distortion(values, points)).result
    assert (some.n, some.of, some.seed) == (50, 200, 6)
    assert np.array_equal(some.per_point, whole.per_point[some.rows])


def test_neighbors_that_cannot_be_are_refused() -> None:
    with pytest.raises(LabError, match="have no 10 neighbors"):
        distortion(cloud(10), np.zeros((10, 2), np.float32))
    with pytest.raises(LabError, match="do not belong together"):
        distortion(cloud(10), np.zeros((9, 2), np.float32))
