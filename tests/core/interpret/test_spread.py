"""Why scores are divided by √d, on random vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.interpret.spread import LONGEST, STEP, SpreadAt, entropy, measure_spread, softmax
from core.problems import LabError


def measured(keys: int, seed: int = 0) -> list[SpreadAt]:
    return [at for batch in measure_spread(keys, seed) if isinstance(batch, tuple) for at in batch]


def test_the_spread_of_products_grows_as_the_root_of_their_length() -> None:
    found = measured(16)
    assert [at.d for at in found] == list(range(STEP, LONGEST + 1, STEP))
    for at in found:
        assert at.plain.spread == pytest.approx(math.sqrt(at.d), rel=0.06)
        assert at.scaled.spread == pytest.approx(1, rel=0.06)
        assert at.scaled.spread == pytest.approx(at.plain.spread / math.sqrt(at.d))


def test_without_the_division_one_key_takes_nearly_everything() -> None:
    first, last = measured(16)[0], measured(16)[-1]
    assert last.plain.largest > 0.95
    assert last.plain.entropy < 0.12
    assert last.plain.slope < 0.03
    assert last.scaled.largest == pytest.approx(first.scaled.largest, abs=0.05)
    assert last.scaled.entropy < math.log(16)


def test_the_same_seed_draws_the_same_vectors() -> None:
    assert np.array_equal(measured(8, 3)[-1].products, measured(8, 3)[-1].products)
    assert not np.array_equal(measured(8, 3)[-1].products, measured(8, 4)[-1].products)


def test_softmax_and_entropy_of_far_apart_scores_stay_numbers() -> None:
    weights = softmax(np.array([[1000.0, -1000.0], [-np.inf, 0.0]]))
    assert weights.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert entropy(weights).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("keys", [-1, 0, 1, 65])
def test_a_softmax_over_one_key_is_refused(keys: int) -> None:
    with pytest.raises(LabError, match=str(keys)):
        measure_spread(keys, 0)
