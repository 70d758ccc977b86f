"""A figure about a model: how many answers of how many were right, within which limits, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.evals.intervals import wilson

WRONG_SHOWN, RIGHT_SHOWN = 3, 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        prompt: What it was asked.
        expected: What would be right.
        got: What it said.
        right: Whether that counts as right.
        group: Which questions it belongs to.
    """

    prompt: str
    expected: str
    got: str
    right: bool
    group: str = ""


@dataclass(frozen=True)
class Scored:
    """A figure.

    Attributes:
        name: "P1"; what belongs to one phenomenon begins alike: "P5 pairs".
        title: In plain words.
        right: How many were right; in a difference, how many more.
        n: Of how many.
        low: Lower limit of the share, with 95 % confidence.
        high: Upper limit.
        bar: The share that a model of the small world is to reach, or None.
        groups: Parts of it: what, right, n.
        detail: What else is to be said, in a sentence or two, or "".
        examples: A few answers, wrong ones first.
    """

    name: str
    title: str
    right: int
    n: int
    low: float
    high: float
    bar: float | None = None
    groups: tuple[tuple[str, int, int], ...] = ()
    detail: str = ""
    examples: tuple[Answer, ...] = ()

    @property
    def share(self) -> float:
        """Right of all; 0 where nothing was asked."""
        return self.right / self.n if self.n else 0.0

    @property
    def reached(self) -> bool:
        """Whether the share is at the bar or above; true where there is none."""
        return self.bar is None or (self.n > 0 and self.share >= self.bar)


def score_answers(
    name: str, title: str, answers: Sequence[Answer], bar: float | None, detail: str = ""
) -> Scored:
    """Count answers, all together and by group.

    >>> answers = [Answer("a", "b", "b", True), Answer("a", "b", "c", False)]
    >>> made = score_answers("P2", "Capitals", answers, 0.5)
    >>> made.right, made.n, made.reached, [one.got for one in made.examples]
    (1, 2, True, ['c', 'b'])
    """
    groups = dict.fromkeys(one.group for one in answers)
    rows = tuple(
        (
            group,
            sum(one.right for one in answers if one.group == group),
            sum(one.group == group for one in answers),
        )
        for group in groups
    )
    right = sum(one.right for one in answers)
    low, high = wilson(right, len(answers))
    shown = [one for one in answers if not one.right][:WRONG_SHOWN]
    shown += [one for one in answers if one.right][:RIGHT_SHOWN]
    return Scored(
        name, title, right, len(answers), low, high, bar, rows if len(rows) > 1 else (), detail, tuple(shown)
    )


def evenly(items: Sequence[Item], most: int | None) -> tuple[Item, ...]:
    """At most so many of the items, evenly chosen.

    >>> evenly("abcdef", 3)
    ('a', 'c', 'e')
    """
    if most is None or len(items) <= most:
        return tuple(items)
    return tuple(items[n * len(items) // most] for n in range(most))
