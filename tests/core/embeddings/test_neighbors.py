"""Neighbors, exactly: by cosine, dot product and distance, raw and centered."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.neighbors import Space, best_rows
from core.problems import LabError
from tests.core.embeddings.small_spaces import cloud, named


@pytest.mark.parametrize("centered", [False, True, [0, 3, 5]])
@pytest.mark.parametrize("by", ["cosine", "dot", "distance"])
def test_neighbors_are_those_of_plain_formulas(centered: bool | list[int], by: str) -> None:
    values = cloud()
    rows = {False: [], True: list(range(len(values)))}.get(centered if isinstance(centered, bool) else None)  # type: ignore[arg-type]
    chosen = centered if isinstance(centered, list) else rows
    x = values.astype(np.float64) - (values[chosen].mean(axis=0, dtype=np.float64) if chosen else 0)
    measured = {
        "dot": x @ x[7],
        "cosine": x @ x[7] / np.linalg.norm(x, axis=1) / np.linalg.norm(x[7]),
        "distance": np.linalg.norm(x - x[7], axis=1),
    }[by]
    order = np.argsort(measured if by == "distance" else -measured, kind="stable")
    expected = [int(row) for row in order if row != 7][:12]
    space = Space(named(values), centered)
    found = space.neighbors(7, by, 12)  # type: ignore[arg-type]
    assert [one.row for one in found] == expected
    assert np.allclose([one.value for one in found], measured[expected], atol=2e-6)
    assert [space.rank(7, row, by) for row in expected] == list(range(1, 13))  # type: ignore[arg-type]


def test_what_is_measured_from_is_said() -> None:
    made = named(cloud(20))
    assert Space(made, False).centered_on == "raw: measured from the origin"
    assert Space(made).centered_on == "centered on the mean of 20 vectors"
    assert Space(made, [1, 2]).centered_on == "centered on the mean of 2 chosen vectors"


def test_some_rows_are_left_out_and_some_alone_are_looked_at() -> None:
    space = Space(named(cloud()), False)
    first, second, third = (one.row for one in space.neighbors(0, k=3))
    assert [one.row for one in space.neighbors(0, k=1, exclude=(first,))] == [second]
    assert [one.row for one in space.neighbors(0, among=np.array([0, third, second]))] == [second, third]
    assert space.rank(0, third, exclude=(first,)) == 2
    assert space.rank(0, third, among=np.array([third, first])) == 2


def test_equal_vectors_stand_in_the_order_of_their_rows() -> None:
    space = Space(named([[1, 0], [1, 0], [1, 0], [0, 1]]), False)
    assert [one.row for one in space.neighbors(1, k=3)] == [0, 2, 3]
    assert best_rows(np.zeros(5), 2).tolist() == [0, 1]


def test_a_vector_without_length_is_like_none() -> None:
    space = Space(named([[0, 0], [1, 0], [0, 2]]), False)
    assert [one.value for one in space.neighbors(0)] == [0.0, 0.0]
    assert space.unit(0).tolist() == [0, 0]
    assert np.linalg.norm(space.unit(2)) == 1


def test_more_neighbors_than_there_are_vectors_are_all_of_them() -> None:
    assert len(Space(named(cloud(5)), False).neighbors(0, k=100)) == 4


def test_a_distance_near_zero_is_no_rounding() -> None:
    """Two vectors of length 1,000 that are 0.001 apart: sums of squares in float32 would lose the distance."""
    space = Space(named([[1000, 0], [1000, 0.001], [0, 1]]), False)
    assert space.neighbors(0, "distance", 1)[0].value == pytest.approx(0.001, rel=1e-3)


def test_a_measure_or_a_center_that_is_none_is_refused() -> None:
    space = Space(named(cloud(5)), False)
    with pytest.raises(LabError, match="no measure 'angle'"):
        space.neighbors(0, "angle")  # type: ignore[arg-type]
    with pytest.raises(LabError, match="no vector to center on"):
        Space(named(cloud(5)), [])
