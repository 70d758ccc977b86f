"""Which tokens a step learns from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.training.batches import Batches, validation_batches

IDS = np.arange(1000)


def test_each_sequence_is_a_piece_of_the_text_with_the_token_after_it() -> None:
    rows = Batches(IDS, 16, 4, seed=0).at(0)
    assert rows.shape == (4, 17)
    assert rows.dtype == torch.int64
    assert (rows.diff(dim=1) == 1).all()


@given(st.integers(0, 2**31 - 1), st.integers(0, 500))
def test_a_step_gives_the_same_tokens_whatever_was_asked_before(seed: int, step: int) -> None:
    fresh, used = Batches(IDS, 16, 4, seed), Batches(IDS, 16, 4, seed)
    used.at(step + 40)
    used.at(max(0, step - 1))
    assert torch.equal(fresh.at(step), used.at(step))


def test_a_pass_reads_every_piece_once() -> None:
    """(1000 − 1) // 16 − 1 = 61 pieces a pass, one a step."""
    batches = Batches(IDS, 16, 1, seed=3)
    starts = [int(batches.at(n)[0, 0]) for n in range(61)]
    assert len({start // 16 for start in starts}) == 61
    assert len({start % 16 for start in starts}) == 1
    assert starts != sorted(starts)


def test_the_second_pass_cuts_elsewhere_or_in_another_order() -> None:
    batches = Batches(IDS, 16, 61, seed=3)
    assert not torch.equal(batches.at(0), batches.at(1))


def test_a_text_that_is_too_short_for_the_context_is_said() -> None:
    with pytest.raises(LabError, match="a sequence of 16 does not fit twice"):
        Batches(np.arange(32), 16, 4, seed=0)
    assert Batches(np.arange(33), 16, 4, seed=0).at(0).shape == (4, 17)


def test_validation_is_spread_evenly_over_its_text() -> None:
    batches = validation_batches(IDS, 16, 4, 160)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    starts = torch.cat(batches)[:, 0].tolist()
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert max(starts) > 800


def test_a_validation_text_shorter_than_the_context_is_read_whole() -> None:
    (batch,) = validation_batches(np.arange(10), 16, 4, 160)
    assert batch.tolist() == [list(range(10))]
