"""How far a share may be trusted: 95 % intervals of counts."""

from __future__ import annotations

import math

Z = 1.959963984540054
"""Between −Z and Z lies 95 % of a normal distribution."""


def wilson(right: int, n: int) -> tuple[float, float]:
    """Limits of the share that `right` of `n` stands for; nothing is known of none.

    Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927: the shares
    from which the observed one lies at most Z standard errors away.

    >>> tuple(round(limit, 4) for limit in wilson(8, 10))
    (0.4902, 0.9433)
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if n == 0:
        return 0.0, 1.0
    share, square = right / n, Z * Z / n
    center = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    low = 0.0 if right == 0 else center - half  # exactly, whatever is rounded
    return low, 1.0 if right == n else center + half


def difference(right: int, n: int, other: int, other_n: int) -> tuple[float, float]:
    """Limits of the share of `right` in `n` less that of `other` in `other_n`, the two being independent.

    Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine
    17, 1998, method 10; the example is his. Where both were asked the same questions and agree more than
    chance would have it, the limits are wider than they need be.

    >>> tuple(round(limit, 4) for limit in difference(56, 70, 48, 80))
    (0.0524, 0.3339)
    """
    if n == 0 or other_n == 0:
        return -1.0, 1.0
    (low, high), (other_low, other_high) = wilson(right, n), wilson(other, other_n)
    share, other_share = right / n, other / other_n
    gap = share - other_share
    return (
        gap - math.hypot(share - low, other_high - other_share),
        gap + math.hypot(high - share, other_share - other_low),
    )
