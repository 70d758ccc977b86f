"""Measures of agreement as formulas, each with a worked example; nan where one is undefined, never zero.

Percent agreement, Kendall's τ-b and W, Krippendorff's α, Fleiss' κ. What they are applied to is
`agreement.py`'s business. Letters: m raters, K outputs, n_c how often the value c was given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
NAN = math.nan
LEVELS = ("nominal", "ordinal", "interval", "ratio")


def tau_b(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's τ-b: (P − Q) / √((P + Q + T)(P + Q + U)); nan where one side is all tied.

    Source: M. G. Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).

    >>> round(tau_b([1, 2, 2, 4, 5], [1, 1, 3, 4, 5]), 6), tau_b([1, 1, 1], [1, 2, 3])
    (0.888889, nan)
    """
    upper = np.triu_indices(len(x), 1)
    a, b = (np.sign(np.subtract.outer(np.asarray(v, float), np.asarray(v, float)))[upper] for v in (x, y))
    return tau_of_relations(a, b)


def tau_of_relations(a: Numbers, b: Numbers) -> float:
    """The same from −1, 0, 1 for each two outputs."""
    spread = float((a * a).sum() * (b * b).sum())
    return float((a * b).sum()) / math.sqrt(spread) if spread else NAN


def kendall_w(ranks: Sequence[Sequence[float]]) -> float:
    """Kendall's W of m rankings of the same K outputs, with ties as mid-ranks; nan where all are tied.

    W = 12 S / (m² (K³ − K) − m Σ (t³ − t)), S the squared deviations of the rank sums, t the sizes of ties.

    >>> round(kendall_w([[1, 2, 3, 4], [1, 2, 2, 4], [2, 1, 3, 4]]), 6)
    0.862069
    """
    given = np.asarray(ranks, float)  # (m, K)
    m, count = given.shape
    if m < 2 or count < 2:
        return NAN
    middle, ties = np.empty_like(given), 0
    for row, one in enumerate(given):
        _, inverse, sizes = np.unique(one, return_inverse=True, return_counts=True)
        ends = np.cumsum(sizes)
        middle[row] = (ends - (sizes - 1) / 2)[inverse]
        ties += int((sizes**3 - sizes).sum())
    sums = middle.sum(0)
    spread = float(((sums - sums.mean()) ** 2).sum())
    below = m * m * (count**3 - count) - m * ties
    return 12 * spread / below if below else NAN


def coincidences(ratings: Numbers, values: Sequence[float]) -> Numbers:
    """Krippendorff's matrix o_ck of raters × units, nan where missing; units with one rating drop out."""
    hits = np.stack([(ratings == value) for value in values]).astype(float)  # (C, m, units)
    counts = hits.sum(1)  # (C, units)
    per_unit = counts.sum(0)
    kept = counts[:, per_unit > 1]
    weight = 1 / (per_unit[per_unit > 1] - 1)
    return np.asarray((kept * weight) @ kept.T - np.diag((kept * weight).sum(1)))


def alpha_of(pairs: Numbers, values: Sequence[float], level: str = "ordinal") -> float:
    """Krippendorff's α from the matrix of coincidences; nan where only one value occurs.

    D_e comes from the counts of values, not from all pairs: that would take their number squared.
    """
    of_value = pairs.sum(1)  # n_c
    total = of_value.sum()
    apart = _distances(of_value, np.asarray(values, float), level)
    expected = float((np.outer(of_value, of_value) * apart).sum())
    if expected <= 0 or total <= 1:
        return NAN
    return 1 - float((total - 1) * (pairs * apart).sum()) / expected


def alpha(ratings: Sequence[Sequence[float]], level: str = "ordinal") -> float:
    """Krippendorff's α of raters × units, nan where a rating is missing.

    Source: K. Krippendorff, Computing Krippendorff's alpha-reliability (2011).

    >>> n = float("nan")
    >>> table = [[1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
    ...          [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n]]
    >>> [round(alpha(table, level), 4) for level in LEVELS]
    [0.7434, 0.8154, 0.8491, 0.7974]
    """
    given = np.asarray(ratings, float)
    values = np.unique(given[~np.isnan(given)]).tolist()
    return alpha_of(coincidences(given, values), values, level) if values else NAN


def _distances(of_value: Numbers, values: Numbers, level: str) -> Numbers:
    """δ²(c, k) for each two values."""
    apart = np.subtract.outer(values, values)
    match level:
        case "nominal":
            return np.asarray(apart != 0, float)
        case "ordinal":
            ends = np.cumsum(of_value)
            middle = ends - of_value / 2
            return np.asarray(np.subtract.outer(middle, middle) ** 2)
        case "interval":
            return np.asarray(apart**2)
        case "ratio":
            sums = np.add.outer(values, values)
            return np.asarray(np.divide(apart, sums, out=np.zeros_like(apart), where=sums != 0) ** 2)
    raise ValueError(f"level {level!r}")


def fleiss_kappa(table: Sequence[Sequence[float]]) -> float:
    """Fleiss' κ of a table of units × categories whose rows all add up to the same number of raters.

    κ = (P̄ − P_e) / (1 − P_e); nan where only one category occurs.

    >>> usual = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    ...          [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    >>> round(fleiss_kappa(usual), 6)
    0.209931
    """
    given = np.asarray(table, float)
    raters = given.sum(1)
    if not len(given) or raters[0] < 2 or (raters != raters[0]).any():
        return NAN
    n = float(raters[0])
    same = ((given**2).sum(1) - n) / (n * (n - 1))  # P_i
    return kappa_of(float(same.sum()), given.sum(0), len(given), n)


def kappa_of(same: float, of_category: Numbers, units: float, raters: float) -> float:
    """κ from sums over units: of P_i, and of each category."""
    if not units:
        return NAN
    shares = of_category / (units * raters)
    expected = float((shares**2).sum())
    return (same / units - expected) / (1 - expected) if expected < 1 - 1e-12 else NAN


def interval(samples: Numbers, share: float = 0.95) -> tuple[float, float]:
    """The percentile interval of bootstrap samples; nan where fewer than half of them are defined.

    >>> tuple(round(end, 6) for end in interval(np.arange(1001) / 1000))
    (0.025, 0.975)
    """
    defined = samples[~np.isnan(samples)]
    if len(defined) < max(1, len(samples) / 2):
        return NAN, NAN
    low, high = np.quantile(defined, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def resampled(count: int, samples: int, seed: int) -> Numbers:
    """How often each of `count` things is drawn in each bootstrap sample, shape (samples, count)."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(count, np.full(count, 1 / count), size=samples).astype(float)
