"""Pictures: PCA by its three ways, axes of words, coordinates, the plane of a few points."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings import projection
from core.embeddings.projection import (
    axis_projection,
    difference_direction,
    outside,
    pca,
    plane_through,
    raw_dimensions,
)
from core.problems import LabError
from tests.core.embeddings.small_spaces import cloud


def test_pca_of_points_on_a_line_worked_out() -> None:
    """(0, 0), (3, 4), (6, 8): the axis is (0.6, 0.8), the points lie at −5, 0 and 5, and all variance is there."""
    made = pca(np.array([[0, 0], [3, 4], [6, 8]], np.float32), 2)
    assert np.allclose(made.axes[0], [0.6, 0.8], atol=1e-6)
    assert np.allclose(made.points[:, 0], [-5, 0, 5], atol=1e-5)
    assert made.explained is not None
    assert np.allclose(made.explained, [1, 0], atol=1e-6)


@pytest.mark.parametrize(("n", "width", "solver"), [(300, 12, "covariance"), (8, 12, "singular values")])
def test_pca_says_how_it_was_solved(n: int, width: int, solver: str) -> None:
    assert solver in pca(cloud(n, width)).solver


def test_pca_is_randomized_where_vectors_are_wide_and_many(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = pca(cloud(200, 40), 3)
    monkeypatch.setattr(projection, "EXACT_UP_TO", 30)
    made = pca(cloud(200, 40), 3, seed=4)
    assert made.solver == "randomized (scikit-learn), seed 4"
    assert np.allclose(made.points, exact.points, atol=1e-2)
    assert made.explained is not None
    assert exact.explained is not None
    assert np.allclose(made.explained, exact.explained, atol=1e-4)


def test_pca_far_from_the_origin_is_that_near_it() -> None:
    values = cloud()
    far = pca((values + 1000).astype(np.float32), 2)
    assert np.allclose(far.points, pca(values, 2).points, atol=2e-3)


def test_vectors_that_are_all_the_same_have_no_variance() -> None:
    made = pca(np.ones((5, 3), np.float32), 2)
    assert made.points.tolist() == [[0, 0]] * 5
    assert made.explained is not None
    assert made.explained.tolist() == [0, 0]


def test_one_vector_has_no_picture() -> None:
    with pytest.raises(LabError, match="PCA of 1 vectors"):
        pca(np.ones((1, 3), np.float32))


def test_any_components_can_be_picked_and_others_placed() -> None:
    values = cloud()
    made = pca(values, 6).pick([4, 0, 2])
    assert made.labels == ("component 5", "component 1", "component 3")
    assert np.allclose(made.place(values), made.points, atol=1e-5)
    with pytest.raises(LabError, match="axis 7 was asked for"):
        pca(values, 6).pick([6])


def test_an_axis_of_words_leads_from_one_mean_to_the_other() -> None:
    """Means (1, 0) and (1, 4): the direction is (0, 1); measured from the mean of all."""
    values = np.array([[0, 4], [2, 4], [0, 0], [2, 0]], np.float32)
    direction = difference_direction(values, [0, 1], [2, 3])
    assert direction.tolist() == [0, 1]
    made = axis_projection(values, [direction], ["up − down"])
    assert made.points[:, 0].tolist() == [2, 2, -2, -2]
    assert made.labels == ("up − down",)
    assert made.explained is not None
    assert made.explained[0] == pytest.approx(0.8)  # 16 of 20


def test_an_axis_without_words_or_length_is_refused() -> None:
    values = cloud(10)
    with pytest.raises(LabError, match="no word at its positive end"):
        difference_direction(values, [], [1])
    with pytest.raises(LabError, match="the same point"):
        difference_direction(values, [1], [1])
    with pytest.raises(LabError, match="No direction"):
        axis_projection(values, [])
    with pytest.raises(LabError, match="no length"):
        axis_projection(values, [np.zeros(12, np.float32)])


def test_raw_dimensions_are_the_numbers_themselves() -> None:
    values = cloud()
    made = raw_dimensions(values, [7, 0])
    assert np.array_equal(made.points, values[:, [7, 0]])
    assert np.array_equal(made.place(values), made.points)
    with pytest.raises(LabError, match="no coordinate 12"):
        raw_dimensions(values, [12])


def test_the_plane_of_three_words_holds_them_and_what_is_made_of_them() -> None:
    a, b, c, d = cloud(4)
    made = plane_through(np.array([a, b, c]))
    assert np.allclose(outside(made, np.array([a, b, c, a - b + c])), 0, atol=1e-5)
    assert outside(made, d[None])[0] > 0.1
    flat = made.points
    assert np.allclose(np.linalg.norm(flat[0] - flat[1]), np.linalg.norm(a - b), atol=1e-5)
    assert flat[1][1] == pytest.approx(flat[0][1], abs=1e-5)  # the first arrow lies flat


def test_points_on_a_line_have_a_plane_and_one_point_has_none() -> None:
    line = np.array([[0, 0, 0], [1, 2, 3], [2, 4, 6]], np.float32)
    made = plane_through(line)
    assert np.allclose(made.axes @ made.axes.T, np.eye(2), atol=1e-6)
    assert np.allclose(outside(made, line), 0, atol=1e-6)
    with pytest.raises(LabError, match="all the same"):
        plane_through(np.ones((3, 3), np.float32))


def test_a_picture_faces_the_way_of_another_one_of_the_same_points() -> None:
    made = pca(cloud(40, 8), 3)
    signs = np.array([-1, 1, -1], np.float32)
    other = made.points * signs + 7
    turned = made.facing(other)
    assert np.allclose(turned.points, made.points * signs)
    assert np.allclose(turned.place(cloud(40, 8)), turned.points, atol=1e-4), "the axes turn with the points"
    assert turned.labels == made.labels
