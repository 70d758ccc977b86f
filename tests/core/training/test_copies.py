"""What of a written text stands word for word in the training text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.stages import Progress, run_to_end
from core.training import copies
from core.training.copies import Copies, CopyIndex, Match, find_copies, index_tokens


def indexed(train: Sequence[int], shortest: int = 4, dtype: str = "<u2") -> CopyIndex:
    made = run_to_end(index_tokens(np.array(train, dtype), shortest)).result
    assert isinstance(made, CopyIndex)
    return made


def found(train: Sequence[int], text: Sequence[int], shortest: int = 4, begin: int = 0) -> Copies:
    made = run_to_end(find_copies(indexed(train, shortest), text, begin)).result
    assert isinstance(made, Copies)
    return made


def by_force(train: Sequence[int], text: Sequence[int], shortest: int) -> list[int]:
    """For each token the longest run around it that stands in the training text, by looking everywhere."""
    runs = {tuple(train[a:b]) for a in range(len(train)) for b in range(a + shortest, len(train) + 1)}
    lengths = [0] * len(text)
    for a in range(len(text)):
        for b in range(a + shortest, len(text) + 1):
            if tuple(text[a:b]) in runs:
                lengths[a:b] = [max(known, b - a) for known in lengths[a:b]]
    return lengths


few = st.lists(st.integers(0, 2), min_size=4, max_size=40)


@given(few, st.lists(st.integers(0, 2), max_size=20), st.integers(1, 4))
def test_lengths_are_those_that_looking_everywhere_finds(
    train: list[int], text: list[int], shortest: int
) -> None:
    got = found(train, text, shortest)
    assert list(got.lengths) == by_force(train, text, shortest)
    for at, match in enumerate(got.matches):
        if match is not None:
            run = text[match.begin : match.begin + match.length]
            assert match.begin <= at < match.begin + match.length
            assert train[match.place : match.place + match.length] == run
            starts = range(len(train) - match.length + 1)
            assert match.times == sum(train[i : i + match.length] == run for i in starts)


def test_runs_with_an_equal_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(keys: np.ndarray, ids: np.ndarray) -> None:
        """Every run gets the number 0."""

    monkeypatch.setattr(copies, "_add", nothing)
    train, text = [1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 3, 4, 5, 6, 9, 9]
    assert list(found(train, text).lengths) == [0, 4, 4, 4, 4, 0, 0]


def test_the_prompt_may_be_part_of_a_match_and_is_not_counted() -> None:
    train = list(range(100, 120))
    got = found(train, [*train[:10], 7, 7], begin=6)
    assert got.lengths == (*[10] * 10, 0, 0)
    assert got.counted == 6
    assert got.share_copied() == pytest.approx(4 / 6)
    assert got.share_copied(least=11) == 0


def test_of_two_matches_a_token_belongs_to_the_longer_one_and_else_to_the_earlier_one() -> None:
    got = found([1, 2, 3, 4, 9, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7])
    assert got.matches[0] == Match(begin=0, length=4, place=0, times=1)
    assert got.matches[2] == Match(begin=2, length=5, place=5, times=1)
    even = found([1, 2, 3, 4, 9, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert even.matches[2] == Match(begin=0, length=4, place=0, times=1)


def test_ids_of_32_bits_are_found() -> None:
    index = indexed([70_000, 80_000, 90_000, 100_000], dtype="<u4")
    got = run_to_end(find_copies(index, [70_000, 80_000, 90_000, 100_000])).result
    assert got.lengths == (4, 4, 4, 4)


@pytest.mark.parametrize("text", [[], [1], [1, 2, 3]])
def test_a_text_shorter_than_a_match_ends_calmly(text: list[int]) -> None:
    got = found([1, 2, 3, 4], text)
    assert got.lengths == (0,) * len(text)
    assert got.share_copied() == 0


def test_what_cannot_be_indexed_is_said() -> None:
    with pytest.raises(LabError, match="has 3 tokens"):
        index_tokens(np.array([1, 2, 3]))
    with pytest.raises(LabError, match="0 tokens is none"):
        index_tokens(np.array([1, 2, 3]), shortest=0)
    with pytest.raises(LabError, match="its prompt 3"):
        find_copies(indexed([1, 2, 3, 4]), [1], begin=3)


def test_both_stages_tell_how_far_they_are() -> None:
    train = np.arange(1000, dtype="<u2")
    assert any(isinstance(event, Progress) for event in index_tokens(train))
    steps = [e for e in find_copies(indexed(train.tolist()), list(range(100))) if isinstance(e, Progress)]
    assert [step.done for step in steps] == list(range(0, 97, 16))
