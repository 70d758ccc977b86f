"""Ranking by pairs: which two outputs to show next, and the order that the verdicts make.

Outputs are inserted one after the other by binary search (about K log₂ K comparisons); a tie puts an output
into the tier it was compared with. "Both bad" is a tie here; that an item's outputs are all bad is the
answer's own mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VERDICTS = ("left", "right", "tie", "both_bad")


@dataclass(frozen=True)
class Judged:
    """Two outputs as they were shown, and what was said: "left", "right", "tie" or "both_bad"."""

    left: str
    right: str
    verdict: str


def next_pair(outputs: Sequence[str], judged: Sequence[Judged]) -> tuple[str, str] | None:
    """The next two outputs to compare, or None where the order is known.

    >>> next_pair(["a", "b", "c"], [])
    ('a', 'b')
    >>> next_pair(["a", "b", "c"], [Judged("a", "b", "right")])
    ('b', 'c')
    """
    return _insert(outputs, judged)[1]


def tiers_of(outputs: Sequence[str], judged: Sequence[Judged]) -> tuple[tuple[str, ...], ...]:
    """The order that the verdicts make; outputs that are not placed yet are left out.

    >>> tiers_of(["a", "b", "c"], [Judged("a", "b", "right"), Judged("b", "c", "tie")])
    (('b', 'c'), ('a',))
    """
    return _insert(outputs, judged)[0]


def _insert(
    outputs: Sequence[str], judged: Sequence[Judged]
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, str] | None]:
    said = {}
    for one in judged:
        worth = {"left": 1, "right": -1}.get(one.verdict, 0)
        said[one.left, one.right] = worth
        said[one.right, one.left] = -worth
    tiers: list[list[str]] = []
    for output in outputs:
        low, high, tied = 0, len(tiers), False
        while low < high:
            middle = (low + high - 1) // 2
            other = tiers[middle][0]
            if (other, output) not in said:
                return tuple(map(tuple, tiers)), (other, output)
            worth = said[other, output]
            if worth == 0:
                tiers[middle].append(output)
                tied = True
                break
            low, high = (middle + 1, high) if worth > 0 else (low, middle)
        if not tied:
            tiers.insert(low, [output])
    return tuple(map(tuple, tiers)), None
