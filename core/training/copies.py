"""What of a written text stands word for word in the training text: the longest match that covers each token.

The training text is indexed by its runs of `shortest` tokens: a number is made of each run, and the places
are sorted by it. The places where a run of the written text may stand are found by bisection; then token by
token is compared there until no place is left. So the answer is exact for matches of `shortest` tokens or
more: equal runs have equal numbers, and what only has an equal number is thrown out by the comparison. A run
that stands in very many places is compared in all of them: a text of one token repeated is slow.

Left out: likeness. A sentence with one word changed counts as two shorter matches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.problems import LabError
from core.stages import Finished, Progress

SHORTEST = 4  # tokens; shorter matches are everywhere
COPIED = 8  # tokens of a match from which on a text counts as copied
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, from the golden ratio: numbers of runs are spread evenly
_MOST = 2**31 - 1  # tokens: places are kept in 32 bits
_AT_ONCE = 16  # positions of the written text between two events

Ids = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class CopyIndex:
    """A training text in which runs of tokens are found.

    Attributes:
        ids: The training text, shape (N,).
        shortest: Tokens of the shortest match that is found.
        keys: Numbers of all runs of `shortest` tokens, rising, shape (N − shortest + 1,).
        places: Where each of these runs begins, shape (N − shortest + 1,).
    """

    ids: Ids
    shortest: int
    keys: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Match:
    """A run of the written text that stands in the training text, too, and cannot be made longer.

    Attributes:
        begin: Where it begins in the written text.
        length: Tokens of it.
        place: Where it begins in the training text: the first of its places.
        times: In how many places it stands there.
    """

    begin: int
    length: int
    place: int
    times: int


@dataclass(frozen=True)
class Copies:
    """What was found of a written text.

    Attributes:
        matches: For each token the longest match that covers it, the earlier of two equally long ones; None
            where there is none of `shortest` tokens.
        begin: The first token that counts; those before it are the prompt.
    """

    matches: tuple[Match | None, ...]
    begin: int = 0

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each token's match, 0 where there is none."""
        return tuple(0 if match is None else match.length for match in self.matches)

    @property
    def counted(self) -> int:
        """Tokens that count."""
        return len(self.matches) - self.begin

    def share_copied(self, least: int = COPIED) -> float:
        """Share of the tokens that stand in a match of at least so many tokens; the others are new.

        >>> match = Match(begin=1, length=9, place=40, times=1)
        >>> Copies((None, *[match] * 9)).share_copied()
        0.9
        """
        copied = sum(length >= least for length in self.lengths[self.begin :])
        return copied / self.counted if self.counted else 0.0


def index_tokens(ids: Ids, shortest: int = SHORTEST) -> Iterator[Progress | Finished[CopyIndex]]:
    """Make a training text ready for `find_copies`.

    Args:
        ids: The text, shape (N,).
        shortest: Tokens of the shortest match that is to be found.

    Raises:
        LabError: The shortest match has no token, or the text is shorter than it or too long.
    """
    if shortest < 1:
        raise LabError(f"A match of {shortest} tokens is none.", "Choose 1 or more.")
    if not shortest <= len(ids) <= _MOST:
        raise LabError(
            f"The training text has {len(ids):,} tokens.",
            f"Choose one of {shortest:,} to {_MOST:,} tokens.",
        )
    return _index(ids, shortest)


def _index(ids: Ids, shortest: int) -> Iterator[Progress | Finished[CopyIndex]]:
    total = len(ids)
    yield Progress("Reading the training text", 0, total, "tokens")
    known = np.array(ids)  # out of the mapped file
    keys = np.zeros(total - shortest + 1, np.uint64)
    for at in range(shortest):
        _add(keys, known[at : at + len(keys)])
        yield Progress("Numbering runs of tokens", (at + 1) * total // (shortest + 1), total, "tokens")
    order = np.argsort(keys)  # 0.5 s for 5 million
    yield Progress("Sorting runs of tokens", total, total, "tokens")
    index = CopyIndex(known, shortest, keys[order], order.astype(np.int32))
    yield Finished(f"{total:,} tokens are indexed.", index)


def _add(keys: npt.NDArray[np.uint64], ids: Ids) -> None:
    """Go on with the numbers of runs by one token, in place; arithmetic is modulo 2**64."""
    keys += ids.astype(np.uint64)
    keys += np.uint64(1)
    keys *= _FACTOR
    keys ^= keys >> np.uint64(29)


def find_copies(
    index: CopyIndex, ids: Sequence[int], begin: int = 0
) -> Iterator[Progress | Finished[Copies]]:
    """Find for each token of a written text the longest match in the training text that covers it.

    Args:
        index: Of the training text.
        ids: The written text, with its prompt.
        begin: Tokens of the prompt: they may be part of a match, and are not counted.

    Raises:
        LabError: The prompt is longer than the text.
    """
    if not 0 <= begin <= len(ids):
        raise LabError(f"The text has {len(ids):,} tokens, its prompt {begin:,}.", "Give both together.")
    return _find(index, np.array(ids, np.int64), begin)


def _find(index: CopyIndex, text: npt.NDArray[np.int64], begin: int) -> Iterator[Progress | Finished[Copies]]:
    found: list[Match] = []
    runs = len(text) - index.shortest + 1
    for at in range(runs):
        match = _longest(index, text, at)
        if match is not None:
            found.append(match)
        if at % _AT_ONCE == 0:
            yield Progress("Looking in the training text", at, runs, "tokens")
    covering: list[Match | None] = [None] * len(text)
    for match in sorted(found, key=lambda one: (one.length, -one.begin)):  # longer ones over shorter ones
        covering[match.begin : match.begin + match.length] = [match] * match.length
    copies = Copies(tuple(covering), begin)
    yield Finished(f"{100 * copies.share_copied():.0f} % of {copies.counted:,} tokens are copied.", copies)


def _longest(index: CopyIndex, text: npt.NDArray[np.int64], at: int) -> Match | None:
    """The longest match that begins at a token of the text."""
    key = np.zeros(1, np.uint64)
    for step in range(index.shortest):
        _add(key, text[at + step : at + step + 1])
    low, high = np.searchsorted(index.keys, key[0], "left"), np.searchsorted(index.keys, key[0], "right")
    places: npt.NDArray[np.int64] = index.places[low:high].astype(np.int64)
    for step in range(index.shortest):  # the same number may have been made of another run
        places = places[index.ids[places + step] == text[at + step]]
    if not len(places):
        return None
    length = index.shortest
    while at + length < len(text):
        longer = places[places + length < len(index.ids)]
        longer = longer[index.ids[longer + length] == text[at + length]]
        if not len(longer):
            break
        places, length = longer, length + 1
    return Match(at, length, int(places.min()), len(places))
