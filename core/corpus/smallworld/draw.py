"""Chance for the generator: a seeded source of choices that counts how much was chosen.

Only `random.Random.random` is used, whose numbers are promised to be the same on every platform and in every
version of Python; what is built on it here is ours and stays.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Generic, TypeVar

Item = TypeVar("Item")

_LOGS = [0.0, *(math.log(n) for n in range(1, 4096))]


class Draw:
    """Choices from one seed.

    Attributes:
        nats: Sum of −ln p of everything drawn since it was last set to zero.
    """

    __slots__ = ("_random", "nats")

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self.nats = 0.0

    def one(self, options: Sequence[Item]) -> Item:
        """One of the options, each equally likely."""
        count = len(options)
        self.nats += _LOGS[count]
        return options[int(self._random() * count)]

    def some(self, options: Sequence[Item], count: int) -> list[Item]:
        """Different options in random order; all of them where there are no more than `count`."""
        left = list(options)
        taken = []
        for _ in range(min(count, len(left))):
            self.nats += _LOGS[len(left)]
            at = int(self._random() * len(left))
            taken.append(left[at])
            left[at] = left[-1]
            left.pop()
        return taken

    def shuffled(self, options: Sequence[Item]) -> list[Item]:
        """All options in random order."""
        return self.some(options, len(options))

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        self.nats += _LOGS[high - low + 1]
        return low + int(self._random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in a share of all cases."""
        yes = self._random() < share
        self.nats -= math.log(share if yes else 1.0 - share) if 0.0 < share < 1.0 else 0.0
        return yes

    def weighted(self, table: Weights[Item]) -> Item:
        """One option of a table, as likely as its weight says."""
        at = self._random() * table.total
        for option, upto, nats in table.rows:
            if at < upto:
                self.nats += nats
                return option
        self.nats += table.rows[-1][2]
        return table.rows[-1][0]


class Weights(Generic[Item]):
    """Options with weights, ready to be drawn from."""

    def __init__(self, options: Sequence[tuple[Item, float]]) -> None:
        kept = [(option, weight) for option, weight in options if weight > 0]
        sums = list(accumulate(weight for _, weight in kept))
        self.total = sums[-1]
        self.rows = [
            (option, upto, -math.log(weight / self.total))
            for (option, weight), upto in zip(kept, sums, strict=True)
        ]


def share_of(text: str, parts: int) -> int:
    """A number from 0 to `parts` − 1 that a text always has, everywhere: it decides what is held out.

    >>> share_of("cat mat", 6) == share_of("cat mat", 6)
    True
    """
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big") % parts
