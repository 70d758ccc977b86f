"""Pictures and neighbors against float64: NumPy's SVD, scikit-learn's PCA and its exact neighbors.

With `--long`, PCA of SmolLM2's whole table, 49,152 × 576, against the SVD in float64 within 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.embeddings.distortion import distortion
from core.embeddings.neighbors import Space
from core.embeddings.projection import pca
from core.embeddings.vectors import Numbers, Vectors, read_token_vectors
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.known import known_path

sklearn_pca = pytest.importorskip("sklearn.decomposition").PCA
sklearn_neighbors = pytest.importorskip("sklearn.neighbors").NearestNeighbors
WITHIN = 1e-4


def skewed(n: int, width: int) -> Numbers:
    draw = np.random.default_rng(8)
    turn, _ = np.linalg.qr(draw.standard_normal((width, width)))
    return ((draw.standard_normal((n, width)) * 1.2 ** -np.arange(width)) @ turn.T + 0.7).astype(np.float32)


def by_svd(values: Numbers, k: int) -> tuple[Any, Any, Any]:
    """Points, axes and shares of the variance in float64."""
    centered = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    _, lengths, axes = np.linalg.svd(centered, full_matrices=False)
    return centered @ axes[:k].T, axes[:k], (lengths**2 / (lengths**2).sum())[:k]


def compare(values: Numbers, k: int = 10) -> float:
    """Largest difference of points and axes up to sign; shares must agree too."""
    made = pca(values, k)
    points, axes, shares = by_svd(values, k)
    signs = np.sign((made.axes * axes).sum(axis=1))
    assert made.explained is not None
    assert np.allclose(made.explained, shares, atol=1e-6)
    return float(
        max(np.abs(made.points - points * signs).max(), np.abs(made.axes - axes * signs[:, None]).max())
    )


@pytest.mark.parametrize(("n", "width"), [(3000, 40), (9000, 64), (30, 90)])
def test_pca_is_a_float64_svd_up_to_sign(n: int, width: int) -> None:
    assert compare(skewed(n, width)) < WITHIN


def test_pca_of_the_whole_table_of_smollm2(long: bool, report: Callable[[str, Any], None]) -> None:
    if not long:
        pytest.skip("an SVD of 49,152 × 576 in float64 takes some seconds: python run.py test --long")
    try:
        path = known_path("smollm2")
    except LabError as error:
        pytest.skip(str(error))
    vectors: Vectors = run_to_end(read_token_vectors(path)).result
    worst = compare(vectors.values)
    report("embeddings: PCA of 49,152 × 576 against a float64 SVD, largest difference", f"{worst:.1e}")
    assert worst < WITHIN


def test_pca_is_scikit_learns_up_to_sign() -> None:
    values = skewed(4000, 48)
    theirs = sklearn_pca(5, svd_solver="full").fit(values.astype(np.float64))
    made = pca(values, 5)
    signs = np.sign((made.axes * theirs.components_).sum(axis=1))
    assert np.allclose(made.points, theirs.transform(values) * signs, atol=WITHIN)
    assert np.allclose(made.explained, theirs.explained_variance_ratio_, atol=1e-6)


@pytest.mark.parametrize(("by", "metric"), [("cosine", "cosine"), ("distance", "euclidean")])
def test_neighbors_are_scikit_learns(by: str, metric: str) -> None:
    values = skewed(2000, 32)
    space = Space(Vectors("", tuple(map(str, range(2000))), values))
    centered = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    theirs = sklearn_neighbors(n_neighbors=21, metric=metric, algorithm="brute").fit(centered)
    _, rows = theirs.kneighbors(centered[:20])
    for row in range(20):
        assert [one.row for one in space.neighbors(row, by, 20)] == rows[row, 1:].tolist()  # type: ignore[arg-type]


def test_distortion_is_that_of_scikit_learns_neighbors() -> None:
    values = skewed(400, 16)
    points = pca(values, 2).points
    true = sklearn_neighbors(n_neighbors=10).fit(values.astype(float)).kneighbors(return_distance=False)
    seen = sklearn_neighbors(n_neighbors=10).fit(points.astype(float)).kneighbors(return_distance=False)
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(true.tolist(), seen.tolist(), strict=True)]
    made = run_to_end(distortion(values, points)).result
    assert np.allclose(made.per_point, shares)
