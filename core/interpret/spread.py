"""What √d is for: random queries and keys of more and more numbers, and what the softmax makes of them.

Every number is drawn from a normal distribution of mean 0 and spread 1. A product qᵢkᵢ then has spread 1, and
the sum of d of them, q · k, has √d (Vaswani et al., Attention Is All You Need, section 3.2.1, note 4). A
softmax over numbers that lie far apart puts all weight on one of them, and hardly changes when they change.

This is numpy alone: nothing of a model is needed. N queries, n keys for each, d numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.problems import LabError
from core.stages import Finished

Numbers = npt.NDArray[np.float64]
LONGEST = 1024  # numbers of a vector
STEP = 4  # numbers from one measurement to the next
QUERIES = 400  # drawn at random
KEYS_AT_MOST = 64
_AT_ONCE = 16  # measurements between two events


@dataclass(frozen=True)
class Weighed:
    """What the softmax made of the scores of one length.

    Attributes:
        spread: Standard deviation of the scores.
        entropy: Of the weights, mean over queries, nats; ln n where all weights are alike.
        largest: The largest weight, mean over queries.
        slope: w (1 − w) of the largest weight, mean over queries: how much it changes with its score.
    """

    spread: float
    entropy: float
    largest: float
    slope: float


@dataclass(frozen=True, eq=False)
class SpreadAt:
    """Vectors of one length.

    Attributes:
        d: How many numbers a vector has.
        plain: With q · k as the score.
        scaled: With q · k / √d.
        products: q · k of the first query, shape (n,).
    """

    d: int
    plain: Weighed
    scaled: Weighed
    products: Numbers


def softmax(scores: Numbers) -> Numbers:
    """Along the last axis.

    >>> softmax(np.array([0.0, 0.0, -np.inf])).tolist()
    [0.5, 0.5, 0.0]
    """
    raised: Numbers = np.exp(scores - scores.max(-1, keepdims=True))
    total: Numbers = raised / raised.sum(-1, keepdims=True)
    return total


def entropy(weights: Numbers) -> Numbers:
    """In nats, along the last axis.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [0.693, 0.0]
    """
    logs = np.log(np.where(weights > 0, weights, 1.0))
    total: Numbers = -(weights * logs).sum(-1) + 0.0
    return total


def weigh(scores: Numbers) -> Weighed:
    """Measure scores, shape (N, n)."""
    weights = softmax(scores)
    largest = weights.max(-1)
    return Weighed(
        float(scores.std()),
        float(entropy(weights).mean()),
        float(largest.mean()),
        float((largest * (1 - largest)).mean()),
    )


def measure_spread(keys: int, seed: int) -> Iterator[tuple[SpreadAt, ...] | Finished[None]]:
    """Yield measurements for d = 4, 8, … 1,024, some at a time; a longer vector begins with the shorter one.

    Args:
        keys: How many keys the softmax is over.
        seed: Of the random numbers.

    Raises:
        LabError: There are fewer than 2 keys, or too many.
    """
    if not 2 <= keys <= KEYS_AT_MOST:
        raise LabError(f"A softmax over {keys} keys cannot be measured.", f"Choose 2 to {KEYS_AT_MOST}.")
    return _measure(keys, np.random.default_rng(seed))


def _measure(keys: int, rng: np.random.Generator) -> Iterator[tuple[SpreadAt, ...] | Finished[None]]:
    products = np.zeros((QUERIES, keys))  # q · k so far
    made: list[SpreadAt] = []
    for d in range(STEP, LONGEST + 1, STEP):
        q = rng.standard_normal((QUERIES, 1, STEP))
        k = rng.standard_normal((QUERIES, keys, STEP))
        products = products + (q * k).sum(-1)  # (N, n)
        made.append(SpreadAt(d, weigh(products), weigh(products / math.sqrt(d)), products[0]))
        if len(made) == _AT_ONCE or d == LONGEST:
            yield tuple(made)
            made = []
    yield Finished(f"{QUERIES:,} queries with {keys} keys each were measured.", None)
