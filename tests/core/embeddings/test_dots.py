"""The dot product taken apart, and how many pairs lie below zero."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.dots import examples_of, explain_dot, share_below_zero
from core.embeddings.neighbors import Space
from core.problems import LabError
from tests.core.embeddings.small_spaces import cloud, named


def test_products_add_up_to_the_dot_product() -> None:
    a, b = cloud(2)
    made = explain_dot(a, b)
    assert made.dot == pytest.approx(float(a.astype(float) @ b.astype(float)))
    assert np.allclose(np.cumsum(made.products), made.running, atol=1e-4)
    assert made.dot == pytest.approx(made.norm_a * made.norm_b * np.cos(np.radians(made.angle)))


@pytest.mark.parametrize(("b", "angle"), [([2, 0], 0), ([0, 3], 90), ([-1, 0], 180), ([1, 1], 45)])
def test_angles_are_in_degrees(b: list[float], angle: float) -> None:
    assert explain_dot(np.array([1.0, 0]), np.array(b)).angle == pytest.approx(angle, abs=1e-6)


def test_a_vector_without_length_has_no_angle_but_breaks_nothing() -> None:
    made = explain_dot(np.zeros(3), np.ones(3))
    assert (made.dot, made.cosine, made.angle) == (0, 0, 90)


def test_about_half_of_all_pairs_lie_below_zero_around_their_mean_and_hardly_one_away_from_it() -> None:
    made = named(cloud(width=40))
    raw, centered = (share_below_zero(Space(made, way), 5000) for way in (False, True))
    assert raw.share < 0.01 < 0.4 < centered.share < 0.6
    assert centered.low < centered.share < centered.high
    assert centered.n == 5000


def test_the_same_seed_draws_the_same_pairs() -> None:
    space = Space(named(cloud()))
    assert share_below_zero(space, 500, seed=3) == share_below_zero(space, 500, seed=3)
    assert share_below_zero(space, 500, seed=3) != share_below_zero(space, 500, seed=4)


def test_examples_are_what_they_are_called() -> None:
    space = Space(named(cloud()))
    made = examples_of(space, 4, pairs=3000)
    assert len(made.positive) == len(made.near_zero) == len(made.negative) == 4
    assert min(pair.cosine for pair in made.positive) > 0.5
    assert max(abs(pair.cosine) for pair in made.near_zero) < 0.05
    assert max(pair.cosine for pair in made.negative) < -0.5
    assert all(pair.a < pair.b for pair in made.positive)
    assert made.positive[0].cosine == pytest.approx(
        space.similarity(made.positive[0].a, made.positive[0].b), abs=1e-5
    )


def test_a_space_without_pairs_below_zero_has_no_example_of_one() -> None:
    assert examples_of(Space(named([[1, 0], [1, 1]]), False), pairs=50).negative == ()


def test_one_vector_makes_no_pair() -> None:
    with pytest.raises(LabError, match="make no pair"):
        share_below_zero(Space(named([[1, 0]]), False))
