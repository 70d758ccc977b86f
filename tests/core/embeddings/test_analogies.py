"""Analogies: a − b + c, both ranks, how far the answer is, and suites."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.embeddings.analogies import (
    Suite,
    analogy,
    compare_arrows,
    load_suites,
    miss,
    score_suite,
    score_suites,
)
from core.embeddings.neighbors import Space
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end
from tests.core.embeddings.small_spaces import kingdom, named


def test_king_minus_man_plus_woman_worked_out() -> None:
    """(1, 0) − (0, ½) + (0, 1½) = (1, 1), which is queen; with lengths of 1, man − woman is nothing: (1, 0)."""
    space = Space(kingdom(), False)
    plain = analogy(space, "king", "man", "woman", unit=False)
    assert plain.point.tolist() == [1, 1]
    assert plain.ranked[0].name == " queen"
    assert plain.ranked[0].value == pytest.approx(1)
    scaled = analogy(space, "king", "man", "woman")
    assert scaled.point.tolist() == [1, 0]
    assert scaled.ranked[0].name == " duke"


def test_ranks_are_given_with_and_without_the_input_words() -> None:
    vectors = kingdom()
    solved = analogy(Space(vectors, False), "king", "man", "woman")
    king, queen, duke = (vectors.row(name) for name in ("king", "queen", "duke"))
    assert solved.rank_with_inputs(king) == 1
    assert solved.rank_without(king) is None
    assert (solved.rank_with_inputs(duke), solved.rank_without(duke)) == (2, 1)
    assert (solved.rank_with_inputs(queen), solved.rank_without(queen)) == (3, 2)
    assert solved.rank_with_inputs(vectors.row("ing")) is None  # a part of a word is no candidate
    assert len(solved.rows) == 5
    assert np.all(np.diff(solved.values) <= 0)


def test_the_full_list_begins_as_the_ranked_one() -> None:
    solved = analogy(Space(kingdom()), "king", "man", "woman")
    without = [row for row in solved.rows if row not in solved.inputs]
    assert [one.row for one in solved.ranked] == without


def test_why_not_exactly() -> None:
    """Plain sums: the point is queen itself, and both arrows are (1, −½) and (1, −½)."""
    vectors = kingdom()
    space = Space(vectors, False)
    made = miss(space, analogy(space, "king", "man", "woman", unit=False), vectors.row("queen"))
    assert made.distance == 0
    assert made.cosine == pytest.approx(1)
    assert made.arrows.cosine == pytest.approx(1)
    assert made.arrows.gap == 0
    assert made.usual > 0


def test_two_arrows_are_compared() -> None:
    space = Space(named([[0, 0], [2, 0], [0, 0], [0, 3]]), False)
    made = compare_arrows(space, 1, 0, 3, 2, unit=False)
    assert (made.cosine, made.angle, made.first, made.second) == (0, 90, 2, 3)
    assert made.gap == pytest.approx(np.hypot(2, 3))


def test_a_word_that_is_not_there_is_named() -> None:
    with pytest.raises(LabError, match='"emperor" is not there'):
        analogy(Space(kingdom()), "emperor", "man", "woman")


def perfect() -> tuple[Space, Suite]:
    """Four pairs around the origin whose second word lies one to the right of the first, and a stray word."""
    draw = np.random.default_rng(2)
    values = draw.standard_normal((9, 20))
    values[1:8:2] = values[0:8:2] + 3 * draw.standard_normal(20)
    names = tuple(f"{side}{n}" for n in range(4) for side in "ab")
    suite = Suite("made", "Made up", (*((f"a{n}", f"b{n}") for n in range(4)), ("a0", "unknown")))
    return Space(named(values, *names, "stray"), False), suite


def test_a_suite_asks_every_two_pairs_and_says_what_is_missing() -> None:
    space, suite = perfect()
    *events, last = score_suite(space, suite)
    (made,) = last.result
    assert (made.n, made.pairs, made.missing) == (12, 4, ("unknown",))
    assert made.right >= made.right_with_inputs
    assert 0 <= made.low < made.share <= made.high <= 1
    assert made.said == "raw: measured from the origin"
    assert all(isinstance(event, Progress) or event is made for event in events)
    assert isinstance(last, Finished)


def test_a_suites_answers_are_those_of_single_analogies() -> None:
    space, suite = perfect()
    (made,) = run_to_end(score_suite(space, suite)).result
    for asked in made.asked:
        solved = analogy(space, asked.b, asked.a, asked.c)
        expected = space.vectors.row(asked.expected)
        assert asked.got == solved.ranked[0].name
        assert asked.rank == solved.rank_without(expected)
        assert asked.right_with_inputs == (solved.rank_with_inputs(expected) == 1)
        assert asked.right == (asked.rank == 1)


def test_a_suite_of_unknown_words_is_scored_as_nothing() -> None:
    space, _ = perfect()
    (made,) = run_to_end(score_suite(space, Suite("none", "None", (("x", "y"), ("u", "v"))))).result
    assert (made.n, made.share, made.low, made.high) == (0, 0, 0, 1)


def test_the_suites_that_ship_have_no_pair_twice() -> None:
    for suite in load_suites():
        assert len(set(suite.pairs)) == len(suite.pairs) >= 12
        assert all(a != b and a.isalpha() and b.isalpha() for a, b in suite.pairs)


def test_events_are_plain_values() -> None:
    space, suite = perfect()
    events = list(score_suites(space, [suite]))
    assert json.dumps([event.done for event in events if isinstance(event, Progress)]) == "[12]"
