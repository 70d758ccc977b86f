"""Applying merges to one word: the two encoders behind `Tokenizer`, and the one that moves in time.

Three ways to turn the bytes of a word into token ids, which agree:

* `SpellingMerger` is tiktoken with our own ranks. tiktoken merges two neighbors when their *spelling* is a
  token; a `tokenizer.json` lists *pairs*. `spelling_decides` tells whether the two come to the same.
* `PairMerger` is the exact rule, by pairs, in Python: for the files where they do not.
* `Segmenter` remembers how a word was merged, so that the window can show it after any number of merges.

Splitting text into words is `patterns.py`; ids, names and special tokens are `tokenizer.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
import tiktoken
from numpy.typing import NDArray

from core.problems import LabError

Merge = tuple[int, int, int]
"""Left id, right id, and the id that the two become."""

Made = dict[tuple[int, int], tuple[int, int]]
"""Of each pair of ids: the number of its merge, and the id it becomes."""

BYTES = 256
_BASE = 0x9E3779B97F4A7C15  # odd, of the hash of a spelling: each byte's value + 1, as digits to this base
_64_BITS = (1 << 64) - 1
LONG_WORD = 512  # bytes


class Merger(Protocol):
    """What turns the bytes of one word into token ids."""

    def encode(self, word: bytes) -> Sequence[int]:
        """The ids of `word`."""


def make_merger(tokens: Sequence[bytes | None], merges: Sequence[Merge]) -> Merger:
    """The faster of the two encoders that is right for these merges."""
    if spelling_decides(tokens, merges):
        return SpellingMerger(tokens, merges)
    return PairMerger(tokens, merges)


def byte_ids(tokens: Sequence[bytes | None]) -> list[int]:
    """The id of each of the 256 bytes; -1 where no token is that byte.

    >>> byte_ids([b"b", None, b"a", b"ab"])[97:99]
    [2, 0]
    """
    ids = [-1] * BYTES
    for id_, token in enumerate(tokens):
        if token is not None and len(token) == 1:
            ids[token[0]] = id_
    return ids


def missing_byte(word: bytes, ids: Sequence[int]) -> LabError:
    """The error for a word that holds a byte without a token; Hugging Face drops such bytes silently."""
    at = next(at for at, byte in enumerate(word) if ids[byte] < 0)
    start = at
    while start and word[start] & 0xC0 == 0x80:
        start -= 1
    character = word[start : start + 4].decode("utf-8", "ignore")[:1]
    of = f" of the character U+{ord(character):04X}" if character else ""
    return LabError(
        f"This tokenizer has no token for the byte {word[at]:02X}{of}, which the text holds.",
        "Remove that character, or choose a tokenizer whose vocabulary holds all 256 bytes.",
    )


def spelling_decides(tokens: Sequence[bytes | None], merges: Sequence[Merge]) -> bool:
    """Whether merging by spelling, as tiktoken does, gives the ids that merging by pairs gives.

    It does when each merge's token, encoded alone by spelling, ends as that token by its own pair. A region
    of a word that becomes one token is merged as if it stood alone, so no other pair can then spell a token.
    Walking down the two sides of the cut between left and right finds the merge that would have crossed it
    earlier (the idea of the Rust crate `bpe`, GitHub rust-gems: `is_valid_token_pair`).

    >>> spelling_decides([b"a", b"b", b"c", b"ab", b"abc"], [(0, 1, 3), (3, 2, 4)])
    True
    >>> spelling_decides([b"a", b"b", b"c", b"ab", b"bc", b"abc"], [(0, 1, 3), (1, 2, 4), (0, 4, 5)])
    False
    """
    rank_of_id = {id_: byte for byte, id_ in enumerate(byte_ids(tokens)) if id_ >= 0}
    spelled = {bytes([byte]): byte for byte in range(BYTES)}
    words, lefts, rights = list(spelled), list(range(BYTES)), list(range(BYTES))
    hashes, powers = list(range(1, BYTES + 1)), [_BASE] * BYTES
    rank_of = rank_of_id.get
    for left, right, new in merges:
        a, b = rank_of(left), rank_of(right)
        if a is None or b is None:
            return False  # a part that no earlier merge makes
        word = words[a] + words[b]
        rank_of_id.setdefault(new, spelled.setdefault(word, len(words)))
        words.append(word)
        lefts.append(a)
        rights.append(b)
        hashes.append((hashes[a] * powers[b] + hashes[b]) & _64_BITS)
        powers.append((powers[a] * powers[b]) & _64_BITS)
    return _all_stand(
        np.fromiter(
            spelled.values(), np.int64
        ),  # of two merges with one spelling the second is never reached
        np.array(lefts),
        np.array(rights),
        np.array(hashes, np.uint64),
        np.array(powers, np.uint64),
    )


def _all_stand(
    ranks: NDArray[np.int64],
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    powers: NDArray[np.uint64],
) -> bool:
    """Whether for none of `ranks` an earlier merge crosses the cut between its two parts.

    All cuts walk down together. Spellings are compared by a 64-bit hash: two that share one by chance can
    only turn a yes into a no, which costs time and no id.
    """
    order = np.argsort(hashes[ranks])
    known, rank_of = hashes[ranks][order], ranks[order]
    if (known[1:] == known[:-1]).any():
        return False
    limit = ranks[ranks >= BYTES]
    left, right = lefts[limit], rights[limit]
    while limit.size:
        crossing = hashes[left] * powers[right] + hashes[right]
        place = np.minimum(np.searchsorted(known, crossing), known.size - 1)
        if ((known[place] == crossing) & (rank_of[place] < limit)).any():
            return False
        # The later of the two is taken apart first: what it was before faced the other side. At the same
        # rank the leftmost pair goes first, and that is the crossing one: hence right + 1.
        later = left > right
        going = np.where(later, left, right) >= BYTES
        limit = np.where(later, left, right + 1)[going]
        left, right = (
            np.where(later, rights[left], left)[going],
            np.where(later, right, lefts[right])[going],
        )
    return True


class SpellingMerger:
    """tiktoken with our ranks: rank 0 to 255 are the bytes, then one rank a merge; a table gives the ids.

    Raises:
        LabError: From `encode`, where the word holds a byte that has no token, or tiktoken panics.
    """

    window = 8_192  # bytes that tiktoken gets at once: a longer word is encoded in windows, which are joined
    seam = 32  # tokens at the end of a window that the next window decides anew

    def __init__(self, tokens: Sequence[bytes | None], merges: Sequence[Merge]) -> None:
        self._byte_ids = byte_ids(tokens)
        ranks = {bytes([byte]): byte for byte in range(BYTES)}
        self._id_of = list(self._byte_ids)
        for _left, _right, new in merges:
            word = tokens[new]
            if word is not None and ranks.setdefault(word, len(self._id_of)) == len(self._id_of):
                self._id_of.append(new)
        self._word_of = list(ranks)
        # The pattern is never used: words come split, so tiktoken's own splitter cannot panic on white space.
        self._tiktoken = tiktoken.Encoding(
            "llmlab", pat_str=r"(?s:.+)", mergeable_ranks=ranks, special_tokens={}
        )
        self._incomplete = min(self._byte_ids) < 0

    def encode(self, word: bytes) -> Sequence[int]:
        """The ids of `word`."""
        id_of = self._id_of
        ids = [id_of[rank] for rank in self._ranks(word)]
        if self._incomplete and -1 in ids:
            raise missing_byte(word, self._byte_ids)
        return ids

    def _piece(self, word: bytes) -> list[int]:
        try:
            return self._tiktoken._encode_single_piece(word) if word else []
        except BaseException as error:
            # WORKAROUND: a Rust panic reaches Python as a BaseException; retired when tiktoken raises errors.
            if type(error).__name__ != "PanicException":
                raise
            raise LabError(
                f"The encoder gave up on a word of {len(word):,} bytes ({error}).",
                "Shorten that stretch of text, or put a space or a line break into it.",
            ) from error

    def _ranks(self, word: bytes) -> Sequence[int]:
        """Ranks of a word of any length, in time that grows with its length.

        A long word is encoded window by window. A row of tokens is the encoding of a text exactly when each
        two neighbors are the encoding of their own joint text; so two windows may be joined wherever their
        tokens share a boundary and the two tokens beside it stay two.
        """
        if len(word) <= 2 * self.window:
            return self._piece(word)
        done: list[int] = []
        here = self._piece(word[: self.window])
        end = self.window
        while end < len(word):
            cut = max(1, len(here) - self.seam)
            start = end - sum(len(self._word_of[rank]) for rank in here[cut:])
            following = self._piece(word[start : start + self.window])
            seam = self._seam(here, cut, following)
            if seam is None:
                return self._piece(word)  # no joint found: exact, only slower
            done += here[: seam[0]]
            here = following[seam[1] :]
            end = start + self.window
        return done + here

    def _seam(self, here: list[int], cut: int, following: list[int]) -> tuple[int, int] | None:
        """The first (i, j) so that here[:i] + following[j:] is right; following begins at here[cut]."""
        word_of = self._word_of
        ends = accumulate((len(word_of[rank]) for rank in here[cut:]), initial=0)
        boundaries = {end: i for i, end in enumerate(ends, start=cut)}
        last = max(boundaries)
        position = 0
        for j, rank in enumerate(following):
            i = boundaries.get(position)
            if i is not None and self._piece(word_of[here[i - 1]] + word_of[rank]) == [here[i - 1], rank]:
                return i, j
            position += len(word_of[rank])
            if position > last:
                return None
        return None


class PairMerger:
    """The rule itself, by pairs: the lowest merge first, the leftmost place first.

    Raises:
        LabError: From `encode`, where the word holds a byte that has no token.
    """

    def __init__(self, tokens: Sequence[bytes | None], merges: Sequence[Merge]) -> None:
        self._byte_ids = byte_ids(tokens)
        self._made = {(left, right): (rank, new) for rank, (left, right, new) in enumerate(merges)}

    def encode(self, word: bytes) -> Sequence[int]:
        """The ids of `word`."""
        return apply_merges(start_ids(word, self._byte_ids), self._made, len(self._made))


def start_ids(word: bytes, ids: Sequence[int]) -> list[int]:
    """The ids of a word's bytes, before any merge.

    Raises:
        LabError: The word holds a byte that has no token.
    """
    start = [ids[byte] for byte in word]
    if start and min(start) < 0:
        raise missing_byte(word, ids)
    return start


def apply_merges(ids: list[int], made: Made, limit: int) -> list[int]:
    """Apply the merges of rank below `limit`; `ids` is used up.

    A heap holds every pair that can be merged; time grows with n log n for n ids.

    >>> apply_merges([1, 1, 1, 2], {(1, 1): (0, 3), (1, 2): (1, 4)}, 2)
    [3, 4]
    """
    size = len(ids)
    after = list(range(1, size + 1))
    before = list(range(-1, size - 1))
    # One number a pair keeps the heap fast: rank in the high bits, position in the low ones.
    heap = [
        found[0] << 32 | i
        for i, pair in enumerate(pairwise(ids))
        if (found := made.get(pair)) is not None and found[0] < limit
    ]
    heapify(heap)
    while heap:
        key = heappop(heap)
        i = key & 0xFFFFFFFF
        j = after[i]
        if j >= size:
            continue
        found = made.get((ids[i], ids[j]))
        if found is None or found[0] != key >> 32:
            continue  # one of the two was merged since
        ids[i], ids[j] = found[1], -1
        after[i] = j = after[j]
        if j < size:
            before[j] = i
            if (found := made.get((ids[i], ids[j]))) is not None and found[0] < limit:
                heappush(heap, found[0] << 32 | i)
        if (h := before[i]) >= 0 and (found := made.get((ids[h], ids[i]))) is not None and found[0] < limit:
            heappush(heap, found[0] << 32 | h)
    return [id_ for id_ in ids if id_ >= 0]


class Segmenter:
    """The pieces of a word after any number of merges; moving back and forth looks them up.

    Each word's history is kept: the number of merges after which its pieces changed, and the pieces from
    then on. Words are forgotten all at once when the histories hold more than `budget` ids; a word of more
    than LONG_WORD bytes keeps no history.

    Args:
        tokens: Bytes of each id; only the 256 single bytes are read.
        merges: Left id, right id, new id, in order.
        budget: How many ids the histories may hold.
    """

    def __init__(
        self, tokens: Sequence[bytes | None], merges: Iterable[Merge] = (), budget: int = 4_000_000
    ) -> None:
        self._byte_ids = byte_ids(tokens)
        self._made: Made = {}
        self._parts = set(self._byte_ids)
        self._ordered = True  # every part is made before it is used: then merging a pair makes no lower one
        self._budget = budget
        self._held = 0
        self._words: dict[bytes, _History] = {}
        self.merges = 0
        for merge in merges:
            self.append(merge)

    def append(self, merge: Merge) -> None:
        """Learn one more merge, which comes after all others."""
        left, right, new = merge
        if left not in self._parts or right not in self._parts or new in self._parts:
            self._ordered = False
        self._parts.add(new)
        self._made.setdefault((left, right), (self.merges, new))
        self.merges += 1

    def pieces(self, word: bytes, step: int) -> tuple[int, ...]:
        """The ids of `word` after the first `step` merges.

        Raises:
            LabError: The word holds a byte that has no token.
        """
        if len(word) > LONG_WORD:
            return tuple(apply_merges(start_ids(word, self._byte_ids), self._made, step))
        history = self._words.get(word)
        if history is None:
            if self._held > self._budget:
                self._words.clear()
                self._held = 0
            history = self._words[word] = _History(tuple(start_ids(word, self._byte_ids)))
            self._held += len(word) + 8
        if history.seen < self.merges:
            self._held += history.extend(self._made, self._ordered)
            history.seen = self.merges
        return history.pieces[bisect_right(history.steps, step) - 1]


class _History:
    """How one word was merged: `pieces[i]` holds from `steps[i]` merges on."""

    __slots__ = ("pieces", "seen", "steps")

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.steps = [0]
        self.pieces = [ids]
        self.seen = 0

    def extend(self, made: Made, ordered: bool) -> int:
        """Go on with the merges that were learned since; returns how many ids were added to the history."""
        ids = self.pieces[-1]
        added = 0
        while True:
            options = [found for pair in pairwise(ids) if (found := made.get(pair))]
            if not options:
                return added
            rank, new = min(options)
            ids = merge_pair(ids, rank, new, made, at_most=len(ids) if ordered else 1)
            # A foreign file may list a merge before the merges of its parts: it then happens when they do.
            step = max(rank + 1, self.steps[-1])
            if step == self.steps[-1]:
                self.pieces[-1] = ids
            else:
                self.steps.append(step)
                self.pieces.append(ids)
                added += len(ids) + 2


def merge_pair(ids: tuple[int, ...], rank: int, new: int, made: Made, at_most: int) -> tuple[int, ...]:
    """Merge the first `at_most` pairs of this rank, from left to right, without overlap.

    >>> merge_pair((1, 1, 1, 1, 1), 0, 9, {(1, 1): (0, 9)}, at_most=5)
    (9, 9, 1)
    """
    merged: list[int] = []
    i, last = 0, len(ids) - 1
    while i <= last:
        if at_most and i < last and made.get((ids[i], ids[i + 1])) == (rank, new):
            merged.append(new)
            at_most -= 1
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return tuple(merged)
