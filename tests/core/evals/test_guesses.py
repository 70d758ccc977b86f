"""The perplexity of a person beside a model's."""

from __future__ import annotations

import math
import random

import pytest

from core.evals.guesses import Guess, Round, make_round, standing
from core.problems import LabError

BEST = [(10, 0.5), (11, 0.2), (12, 0.1), (13, 0.05), (14, 0.05)]


def test_the_right_token_is_always_among_the_candidates_with_its_own_probability() -> None:
    for truth, loss in ((11, -math.log(0.2)), (99, 6.0)):
        made = make_round(BEST, truth, loss, random.Random(0))
        assert len(made.candidates) == 5
        assert made.candidates[made.truth] == truth
        assert made.shares[made.truth] == pytest.approx(math.exp(-loss))
    assert set(made.candidates) == {10, 11, 12, 13, 99}, "the least probable one makes room"


def test_the_order_gives_nothing_away() -> None:
    rng = random.Random(1)
    places = {make_round(BEST, 10, math.log(2), rng).truth for _ in range(60)}
    assert places == {0, 1, 2, 3, 4}


def test_who_has_no_idea_has_a_perplexity_of_five() -> None:
    five = Round((1, 2, 3, 4, 5), truth=2, shares=(0.1, 0.1, 0.6, 0.1, 0.1))
    now = standing([Guess(five, choice, 0.2) for choice in range(5)])
    assert (now.rounds, now.right) == (5, 1)
    assert now.person == pytest.approx(5)
    assert now.model == pytest.approx(1 / 0.6)


def test_being_sure_and_wrong_costs_more_than_being_unsure() -> None:
    five = Round((1, 2, 3, 4, 5), truth=2, shares=(0.2,) * 5)
    assert Guess(five, 0, 0.95).loss == pytest.approx(math.log(4 / 0.05))
    assert Guess(five, 0, 0.95).loss > Guess(five, 0, 0.2).loss > Guess(five, 2, 0.95).loss


def test_nothing_is_said_of_no_guess() -> None:
    with pytest.raises(LabError, match="no guess"):
        standing([])
    with pytest.raises(LabError, match="one token only"):
        make_round([(3, 1.0)], 3, 0.0, random.Random(0))
