"""Agreement and strengths equal those of scipy, statsmodels, krippendorff, choix and evalica, and known
figures.

The reference figures were computed with these packages; krippendorff is GPL and is used by tests alone.
"""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest

from core.preferences.fitting import Pattern, bradley_terry, plackett_luce
from core.preferences.measures import LEVELS, alpha, fleiss_kappa, kendall_w, tau_b

NAN = math.nan
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]  # fmt: skip
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
WINS = np.array([[0, 7, 8], [3, 0, 6], [2, 4, 0]], float)
RANKINGS = [(0, 1, 2), (0, 1, 2), (1, 0, 2), (0, 2, 1)]


def test_the_reference_figures_hold_within_1e_5() -> None:
    assert tau_b([1, 2, 2, 4, 5], [1, 1, 3, 4, 5]) == pytest.approx(0.888889, abs=1e-5)
    assert math.isnan(tau_b([1, 1, 1], [1, 2, 3]))
    for level, value in zip(LEVELS, (0.7434, 0.8154, 0.8491, 0.7974), strict=True):
        assert alpha(KRIPPENDORFF, level) == pytest.approx(value, abs=5e-5)  # four digits are printed
    assert fleiss_kappa(FLEISS) == pytest.approx(0.209931, abs=1e-5)
    assert kendall_w([[1, 2, 3, 4], [1, 2, 2, 4], [2, 1, 3, 4]]) == pytest.approx(0.862069, abs=1e-5)
    assert bradley_terry(WINS) == pytest.approx([0.74057, -0.14910, -0.59147], abs=1e-5)
    assert fitted(RANKINGS, 3) == pytest.approx([1.36351, -0.09763, -1.26588], abs=1e-5)


def fitted(rankings: list[tuple[int, ...]], count: int) -> Any:
    patterns: list[Pattern] = [tuple((thing,) for thing in one) for one in rankings]
    return plackett_luce(patterns, np.ones(len(patterns)), count)


def test_tau_b_against_scipy() -> None:
    from scipy.stats import kendalltau

    chance = random.Random(1)
    for _ in range(200):
        size = chance.randrange(2, 10)
        x, y = ([chance.randrange(4) for _ in range(size)] for _ in range(2))
        theirs = float(kendalltau(x, y).statistic)
        ours = tau_b(x, y)
        assert (math.isnan(ours) and math.isnan(theirs)) or ours == pytest.approx(theirs, abs=1e-12)


def test_alpha_against_krippendorff() -> None:
    import krippendorff

    chance = random.Random(2)
    for _ in range(60):
        values = [chance.choice([-1.0, 0.0, 1.0, NAN]) for _ in range(4 * 15)]
        table = np.array(values).reshape(4, 15)
        for level in ("nominal", "ordinal", "interval"):
            theirs = krippendorff.alpha(reliability_data=table, level_of_measurement=level)
            assert alpha(table.tolist(), level) == pytest.approx(theirs, abs=1e-10)
    theirs = krippendorff.alpha(reliability_data=np.array(KRIPPENDORFF), level_of_measurement="ratio")
    assert alpha(KRIPPENDORFF, "ratio") == pytest.approx(theirs, abs=1e-10)


def test_kappa_against_statsmodels() -> None:
    from statsmodels.stats.inter_rater import aggregate_raters
    from statsmodels.stats.inter_rater import fleiss_kappa as theirs

    assert fleiss_kappa(FLEISS) == pytest.approx(theirs(np.array(FLEISS)), abs=1e-12)
    chance = np.random.default_rng(3)
    for raters in (2, 3, 7):
        table, _ = aggregate_raters(chance.integers(-1, 2, (40, raters)))
        assert fleiss_kappa(table.tolist()) == pytest.approx(theirs(table), abs=1e-12)


def test_bradley_terry_against_choix_and_evalica() -> None:
    import choix
    import evalica

    data = [pair for i, j in itertools.permutations(range(3), 2) for pair in [(i, j)] * int(WINS[i, j])]
    assert bradley_terry(WINS) == pytest.approx(
        choix.ilsr_pairwise(3, data, max_iter=1000, tol=1e-12), abs=1e-8
    )
    names = "abc"
    result = evalica.bradley_terry(
        [names[i] for i, _ in data],
        [names[j] for _, j in data],
        [evalica.Winner.X] * len(data),
        tolerance=1e-12,
    )
    theirs = np.log(result.scores.loc[list(names)].to_numpy())
    assert bradley_terry(WINS) == pytest.approx(theirs - theirs.mean(), abs=1e-6)


def test_plackett_luce_against_choix_and_as_bradley_terry_for_two() -> None:
    import choix

    chance = random.Random(4)
    for _ in range(10):
        rankings = [tuple(chance.sample(range(5), 5)) for _ in range(40)]
        assert fitted(rankings, 5) == pytest.approx(
            choix.ilsr_rankings(5, rankings, max_iter=1000, tol=1e-12), abs=1e-8
        )
    pairs = [(0, 1)] * 7 + [(1, 0)] * 3
    wins = np.array([[0, 7], [3, 0]], float)
    assert fitted(list(pairs), 2) == pytest.approx(bradley_terry(wins), abs=1e-9)


def test_w_against_its_tie_to_spearman() -> None:
    """Without ties W = (r̄ (m − 1) + 1) / m, with r̄ the mean Spearman correlation of two raters (scipy)."""
    from scipy.stats import spearmanr

    chance = random.Random(5)
    ranks = [chance.sample(range(6), 6) for _ in range(4)]
    mean = np.mean([spearmanr(a, b).statistic for a, b in itertools.combinations(ranks, 2)])
    assert kendall_w(ranks) == pytest.approx((mean * 3 + 1) / 4, abs=1e-12)
