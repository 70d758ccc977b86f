"""Attention on a handful of numbers that a person can edit: every step is kept, and each can be left out.

    softmax(Q Kᵀ / √d + M) V

Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762, section 3.2.1. Beside it stands
an ordinary dictionary: it gives the value of the key that equals the query, or nothing. This is numpy alone.

T tokens, d numbers of a query, a key and a value alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.interpret.spread import softmax
from core.problems import LabError

Numbers = npt.NDArray[np.float64]
TOKENS = (3, 6)  # fewest and most
WIDTHS = (2, 4)  # numbers of a vector, fewest and most
LARGEST = 100.0  # of a number, in either direction
SHARPEST = 20.0


@dataclass(frozen=True)
class Steps:
    """Which steps are taken.

    Attributes:
        scaling: Whether products are divided by √d.
        mask: Whether a token sees only itself and those before it.
        softmax: Whether scores become weights by a softmax; without it they are the weights.
        sharpness: By which all queries are multiplied.
    """

    scaling: bool = True
    mask: bool = True
    softmax: bool = True
    sharpness: float = 1.0


@dataclass(frozen=True)
class Example:
    """What a person edits; plain values, so that an earlier one can be taken back.

    Attributes:
        tokens: Their names.
        q: Queries, a row of d numbers for each token.
        k: Keys, alike.
        v: Values, alike.
        steps: Which steps are taken.
    """

    tokens: tuple[str, ...]
    q: tuple[tuple[float, ...], ...]
    k: tuple[tuple[float, ...], ...]
    v: tuple[tuple[float, ...], ...]
    steps: Steps = Steps()

    @property
    def width(self) -> int:
        """d."""
        return len(self.q[0])

    def with_number(self, table: str, row: int, column: int, value: float) -> Example:
        """With another number in q, k or v.

        Raises:
            LabError: The number is not finite or too large.
        """
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise LabError(
                f"{value:g} cannot be used here.", f"Type a number from −{LARGEST:g} to {LARGEST:g}."
            )
        rows = [list(numbers) for numbers in getattr(self, table)]
        rows[row][column] = float(value)
        changed: dict[str, Any] = {table: tuple(tuple(numbers) for numbers in rows)}
        return replace(self, **changed)

    def with_size(self, tokens: int, width: int) -> Example:
        """With more or fewer tokens and numbers: what is new is 0, what is too much goes.

        Raises:
            LabError: There would be too few or too many.
        """
        for what, n, (low, high) in (("tokens", tokens, TOKENS), ("numbers", width, WIDTHS)):
            if not low <= n <= high:
                raise LabError(f"{n} {what} are not possible here.", f"Choose {low} to {high}.")
        names = [*self.tokens, *(f"token {i + 1}" for i in range(len(self.tokens), tokens))][:tokens]

        def fit(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
            wide = [(*row, *([0.0] * width))[:width] for row in rows]
            return (*wide, *([(0.0,) * width] * tokens))[:tokens]

        return Example(tuple(names), fit(self.q), fit(self.k), fit(self.v), self.steps)


@dataclass(frozen=True, eq=False)
class Worked:
    """An example, worked out.

    Attributes:
        products: q · k of every pair, queries sharpened, shape (T, T).
        scores: The same divided, or not.
        masked: The same with −∞ where a token may not look, or 0 without a softmax.
        weights: What the values are weighed by.
        output: The weighed sums of values, shape (T, d).
    """

    products: Numbers
    scores: Numbers
    masked: Numbers
    weights: Numbers
    output: Numbers


def work_out(example: Example) -> Worked:
    """All steps.

    >>> same = ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    >>> work_out(Example(("a", "b", "c"), same, same, same)).weights.round(2).tolist()
    [[1.0, 0.0, 0.0], [0.33, 0.67, 0.0], [0.33, 0.33, 0.33]]
    """
    steps = example.steps
    q, k, v = np.array(example.q), np.array(example.k), np.array(example.v)  # each (T, d)
    products = steps.sharpness * q @ k.T  # (T, T)
    scores = products / math.sqrt(example.width) if steps.scaling else products
    forbidden = np.triu(np.ones(scores.shape, dtype=bool), 1) if steps.mask else np.zeros(scores.shape, bool)
    masked = np.where(forbidden, -np.inf if steps.softmax else 0.0, scores)
    weights = softmax(masked) if steps.softmax else masked
    return Worked(products, scores, masked, weights, weights @ v)


def look_up(example: Example, row: int) -> int | None:
    """What a dictionary finds for a token's query: the last key that equals it, or None.

    >>> look_up(Example(("a", "b"), ((1.0, 2.0), (0.0, 0.5)), ((0.0, 1.0), (1.0, 2.0)), ()), 0)
    1
    >>> look_up(Example(("a", "b"), ((1.0, 2.0), (0.0, 0.5)), ((0.0, 1.0), (1.0, 2.0)), ()), 1) is None
    True
    """
    found = {key: i for i, key in enumerate(example.k)}
    return found.get(example.q[row])


def read_example(data: dict[str, Any]) -> Example:
    """An example from JSON values.

    Raises:
        LabError: A table is missing, or its numbers are not of one size.
    """
    try:
        tokens = tuple(str(token) for token in data["tokens"])
        q, k, v = (
            tuple(tuple(float(number) for number in row) for row in data[name]) for name in ("q", "k", "v")
        )
        given = data.get("steps")
        steps = Steps(**given) if isinstance(given, dict) else Steps()
        example = Example(tokens, q, k, v, steps)
        sizes = {len(row) for row in (*q, *k, *v)}
        fits = len(sizes) == 1 and len(q) == len(k) == len(v) == len(tokens)
        good = all(math.isfinite(x) and abs(x) <= LARGEST for row in (*q, *k, *v) for x in row)
        right = all(type(x) is bool for x in (steps.scaling, steps.mask, steps.softmax))
        sharp = 0 < float(steps.sharpness) <= SHARPEST
    except (KeyError, TypeError, ValueError):
        fits = False
        good = right = sharp = False
    if not (fits and good and right and sharp):
        raise LabError(
            "These numbers are no example.", "Each token needs a query, a key and a value of one size."
        )
    return example.with_size(len(tokens), example.width)
