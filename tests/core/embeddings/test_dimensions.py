"""Directions, the coordinates that carry them, and the space turned."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.dimensions import direction, rank_along, rotate_space, separate, share_carried
from core.embeddings.neighbors import Space
from core.problems import LabError
from core.stages import run_to_end
from tests.core.embeddings.small_spaces import cloud, named


def two_kinds(seed: int = 5) -> tuple[Space, list[int], list[int]]:
    """Twenty words of 60 numbers in two kinds that differ by a little everywhere."""
    draw = np.random.default_rng(seed)
    values = draw.standard_normal((20, 60))
    values[:10] += 0.6
    return Space(named(values)), list(range(10)), list(range(10, 20))


def test_the_vocabulary_is_ranked_from_one_end_to_the_other() -> None:
    space = Space(named([[3, 0], [1, 0], [-2, 0], [0, 1]], "a", "b", "c", "d"), False)
    made = rank_along(space, np.array([2.0, 0], np.float32), 2, by_cosine=False)
    assert [one.name for one in made.top] == ["a", "b"]
    assert [one.value for one in made.top] == [3, 1]
    assert [one.name for one in made.bottom] == ["c", "d"]
    others = rank_along(space, np.array([1.0, 0], np.float32), exclude=[0], by_cosine=False)
    assert others.top[0].name == "b"


def test_a_direction_without_words_against_begins_at_the_center() -> None:
    space = Space(named([[4, 0], [0, 0]]))
    assert direction(space, [0], []).tolist() == [1, 0]
    with pytest.raises(LabError, match="no word at its positive end"):
        direction(space, [], [])


def test_how_many_coordinates_carry_a_direction() -> None:
    assert share_carried(np.array([0, 1, 0, 0], np.float32)).effective == pytest.approx(1)
    even = share_carried(np.ones(100, np.float32))
    assert (even.half, even.most) == (50, 90)
    assert even.effective == pytest.approx(100)
    assert 25 < even.of_random < 45  # W / 3
    assert even.shares[-1] == pytest.approx(1)


def test_a_direction_separates_words_left_out_better_than_any_coordinate() -> None:
    space, plus, minus = two_kinds()
    made = run_to_end(separate(space, plus, minus)).result
    assert made.pairs == 100
    assert made.direction > 0.8 > made.coordinate
    assert made.seen_coordinate > made.coordinate  # searching among 60 coordinates finds one in any words
    assert sum(times for _, times in made.chosen) == 100


def test_words_that_do_not_differ_are_separated_by_neither() -> None:
    """Twelve draws of two kinds that are one: neither is better than chance on words left out."""
    scores = []
    for seed in range(12):
        values = np.random.default_rng(seed).standard_normal((20, 60))
        made = run_to_end(separate(Space(named(values)), range(10), range(10, 20))).result
        scores.append((made.direction, made.coordinate))
        assert made.seen_coordinate > 0.75
    assert np.allclose(np.mean(scores, axis=0), 0.5, atol=0.12)


def test_a_coordinate_that_is_the_difference_is_found() -> None:
    values = np.random.default_rng(1).standard_normal((12, 30))
    values[:6, 17] -= 50
    made = run_to_end(separate(Space(named(values)), range(6), range(6, 12))).result
    assert (made.best, made.coordinate, made.seen_coordinate) == (17, 1, 1)


def test_words_that_are_too_few_or_on_both_sides_are_refused() -> None:
    space, plus, minus = two_kinds()
    with pytest.raises(LabError, match="too few to leave some out"):
        separate(space, plus[:2], minus)
    with pytest.raises(LabError, match="'word 0' stands on both sides"):
        separate(space, plus, [*minus, 0])


def test_turning_the_space_changes_every_coordinate_and_no_similarity() -> None:
    vectors = named(cloud(500, 20))
    made = run_to_end(rotate_space(vectors, seed=2)).result
    assert np.allclose(made.rotation @ made.rotation.T, np.eye(20), atol=1e-5)
    assert made.similarity < 1e-5
    assert made.changed > 0.5
    assert made.vectors.names == vectors.names
    before, after = Space(vectors), Space(made.vectors)
    assert [n.row for n in before.neighbors(3)] == [n.row for n in after.neighbors(3)]
    assert not np.isclose(vectors.values, made.vectors.values, atol=1e-4).all(axis=0).any()


def test_a_direction_survives_turning() -> None:
    space, plus, minus = two_kinds()
    turned = Space(run_to_end(rotate_space(space.vectors)).result.vectors)
    one, other = (run_to_end(separate(s, plus, minus)).result for s in (space, turned))
    assert one.direction == other.direction
