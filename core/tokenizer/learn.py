"""Learn the merges of byte-level BPE, one event per merge, exactly as Hugging Face's BpeTrainer does.

Start from bytes. Count every pair of neighbors in every word, times how often the word occurs. Make the most
frequent pair one token, everywhere. Again. This file holds that loop and its bookkeeping; `patterns.py` says
what a word is, `words.py` counts them, `tokenizer.py` uses what was learned.

The rules that make merges identical to those of `tokenizers` 0.23.3 (ByteLevel, full byte alphabet):

- Special tokens take the first ids, then the 256 bytes in the order of `ALPHABET`, then merges.
- Pairs are counted at every position, overlaps included ("aaa" holds (a, a) twice); a merge is applied from
  left to right without overlap ("aaa" becomes "aa", "a").
- The highest count wins; among equals the smallest left id, then the smallest right id.
- A merge that spells a special token takes that token's id. Nothing else is ever spelled twice: two stretches
  that hold the same bytes between borders of tokens are split alike inside. (By induction over the merges:
  only the pairing of a run of one token depends on what stands outside, and then a pair crosses the border.)
  So every pair comes into being in one merge, and afterwards its count can only fall.

Time per merge is proportional to the places changed: all words lie in one linked list of symbols, and every
pair keeps the places where it began. A place that another merge swallowed is noticed when it is visited. The
queue is a heap of counts that may be too high; a wrong one is mended when it comes to the top.
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from core.problems import LabError
from core.settings import setting
from core.stages import Finished, Progress
from core.tokenizer.patterns import ALPHABET, CHAR_TO_BYTE, PATTERNS

MOST_TOKENS = 1_000_000
"""The largest vocabulary that can be learned, in tokens."""

_SHIFT = 21  # a pair is one number, left << 21 | right: ids stay below 2,097,152
_MASK = (1 << _SHIFT) - 1
_PAIR = (1 << 2 * _SHIFT) - 1
_CHUNK = 16_384  # places that are changed, or symbols laid out, between two events: about 20 ms
_LARGE = 2_000_000  # symbols from which on compact arrays take the place of lists
_SEPARATOR = -1  # stands between words
_DEAD = -2  # a symbol that was merged into the one before it

Table = NDArray[np.int64]
Places = Sequence[int] | NDArray[np.int32]


@dataclass(frozen=True)
class LearnSettings:
    """What a person chooses before learning."""

    vocab_size: int = setting(
        2048,
        title="Vocabulary size",
        help="How many tokens there are in the end: special tokens, 256 bytes, and one for each merge.",
        unit="tokens",
        more_means="longer tokens, shorter sequences, and a larger embedding table in the model",
        low=256,
        high=MOST_TOKENS,
    )
    min_frequency: int = setting(
        2,
        title="Smallest count",
        help="How often a pair must occur to be merged. Learning ends when no pair occurs so often.",
        unit="times",
        more_means="fewer tokens that only fit this one text",
        low=1,
        high=1_000_000_000,
    )
    pattern: str = setting(
        "gpt2",
        title="Split pattern",
        help="How the text is split into words first. No token reaches over the border of a word.",
        choices=tuple(PATTERNS),
    )


@dataclass(frozen=True, slots=True)
class Merged:
    """One merge.

    Attributes:
        step: Number of the merge, from 1.
        left: Id of the left token of the pair.
        right: Id of the right token of the pair.
        id: Id of the token that the pair became; not a new one where another merge spelled it before.
        count: How often the pair occurred in the text, overlaps included.
        places: How many places of the text changed: in "aaa" the pair (a, a) occurs twice and changes one.
        corpus_tokens: Tokens in the text after this merge.
        vocab_size: Tokens in the vocabulary after this merge.
        leading: The most frequent pairs before this merge, best first, the first being the merged one: shape
            (n, 3) of left id, right id and count; empty where none were asked for.
    """

    step: int
    left: int
    right: int
    id: int
    count: int
    places: int
    corpus_tokens: int
    vocab_size: int
    leading: Table


@dataclass(frozen=True)
class Learned:
    """What learning gave.

    Attributes:
        tokens: The bytes of every id; a special token's are its text in UTF-8.
        merges: (left id, right id) in the order of their ranks, each once.
        merged_ids: The id that each of these merges makes.
        special_tokens: Id of each special token.
        corpus_tokens: Tokens in the text at the end.
        leading: The most frequent pairs at the end, as in `Merged`.
    """

    tokens: tuple[bytes, ...]
    merges: tuple[tuple[int, int], ...]
    merged_ids: tuple[int, ...]
    special_tokens: dict[str, int]
    corpus_tokens: int
    leading: Table


def learn_merges(
    words: Mapping[bytes, int],
    vocab_size: int,
    min_frequency: int = 2,
    special_tokens: Sequence[str] = (),
    leading: int = 0,
) -> Iterator[Merged | Progress | Finished[Learned]]:
    """Yield one Merged per merge, then one Finished that says why learning ended.

    Progress comes before the first merge and within a merge that changes very many places.

    Args:
        words: How often each word occurs, as `count_words` gives it.
        vocab_size: Tokens wanted, special tokens and the 256 bytes included.
        min_frequency: Learning ends when no pair occurs so often.
        special_tokens: Texts that get the first ids and are never merged.
        leading: How many of the most frequent pairs each event shows.

    Raises:
        LabError: The vocabulary cannot hold every byte and special token, or an argument is out of range.
    """
    if len(set(special_tokens)) < len(special_tokens) or "" in special_tokens:
        raise LabError(
            f"The special tokens {', '.join(map(repr, special_tokens))} are not all different and filled.",
            "Name each special token once.",
        )
    vocabulary = _Vocabulary(special_tokens)
    if vocab_size < len(vocabulary.tokens):
        named = f" and {len(special_tokens)} special tokens" if special_tokens else ""
        raise LabError(
            f"Vocabulary size {vocab_size:,} is below {len(vocabulary.tokens):,}.",
            f"Each of 256 bytes{named} needs an id: choose {len(vocabulary.tokens):,} or more.",
        )
    if vocab_size > MOST_TOKENS:
        raise LabError(
            f"Vocabulary size {vocab_size:,} is above {MOST_TOKENS:,}.", f"Choose {MOST_TOKENS:,} or less."
        )
    if min_frequency < 1 or leading < 0:
        raise LabError(
            f"A smallest count of {min_frequency} with {leading} leading pairs makes no sense.",
            "The count starts at 1, the pairs shown at 0.",
        )
    return _learn(words, vocabulary, vocab_size, min_frequency, leading)


def _learn(
    words: Mapping[bytes, int], vocabulary: _Vocabulary, vocab_size: int, min_frequency: int, leading: int
) -> Iterator[Merged | Progress | Finished[Learned]]:
    corpus = _Corpus(1 if leading else min_frequency)
    yield from corpus.lay_out(words, vocabulary.byte_ids)
    merges: list[tuple[int, int]] = []
    merged_ids: list[int] = []
    while True:
        reason = _why_end(corpus, vocabulary, vocab_size, min_frequency)
        table = corpus.leading(leading)
        if reason:
            break
        count, left, right = corpus.pop()
        new = vocabulary.join(left, right)
        merges.append((left, right))
        merged_ids.append(new)
        places = yield from corpus.merge(left, right, new)
        yield Merged(
            len(merges), left, right, new, count, places, corpus.tokens, len(vocabulary.tokens), table
        )
    result = Learned(
        tokens=tuple(vocabulary.tokens),
        merges=tuple(merges),
        merged_ids=tuple(merged_ids),
        special_tokens=vocabulary.special_tokens,
        corpus_tokens=corpus.tokens,
        leading=table,
    )
    yield from corpus.let_go()
    yield Finished(reason, result)


def _why_end(corpus: _Corpus, vocabulary: _Vocabulary, vocab_size: int, min_frequency: int) -> str:
    """Why learning ends here, or "" where it goes on."""
    if len(vocabulary.tokens) >= vocab_size:
        return f"The vocabulary has its {vocab_size:,} tokens."
    if corpus.best_count() >= min_frequency:
        return ""
    if not corpus.tokens:
        return "There is no text to learn from."
    if corpus.tokens == corpus.words:
        return "No pair is left: every word is one token."
    return f"No pair occurs {'twice' if min_frequency == 2 else f'{min_frequency:,} times'}."


class _Vocabulary:
    """Tokens by id and ids by bytes."""

    def __init__(self, special_tokens: Sequence[str]) -> None:
        self.tokens: list[bytes] = []
        self.special_tokens: dict[str, int] = {}
        self._ids: dict[bytes, int] = {}
        for text in special_tokens:
            self.special_tokens[text] = len(self.tokens)
            # A file shows bytes as characters, so a special token may be spelled as a merge would be.
            if all(character in CHAR_TO_BYTE for character in text):
                self._ids[bytes(CHAR_TO_BYTE[character] for character in text)] = len(self.tokens)
            self.tokens.append(text.encode("utf-8", "surrogatepass"))
        self.byte_ids = [0] * 256
        for byte in ALPHABET:
            self.byte_ids[byte] = self._id(bytes([byte]))

    def join(self, left: int, right: int) -> int:
        """The id of two tokens as one: a new one, or the one that is spelled so already."""
        return self._id(self.tokens[left] + self.tokens[right])

    def _id(self, token: bytes) -> int:
        known = self._ids.setdefault(token, len(self.tokens))
        if known == len(self.tokens):
            self.tokens.append(token)
        else:
            self.tokens[known] = token
        return known


class _Change:
    """What one merge does to the counts of other pairs, gathered in parts."""

    def __init__(self, left: int, right: int, new: int) -> None:
        self.left, self.right, self.new = left, right, new
        self.began: dict[int, int] = {}
        self.places: dict[int, MutableSequence[int]] = {}
        self.ended: list[tuple[int, int]] = []

    def add(self, began: int, ended: int, places: list[int], weights: Sequence[int]) -> None:
        """At these places one pair began and another ended."""
        count = weights[places[0]] if len(places) == 1 else sum(map(weights.__getitem__, places))
        self.ended.append((ended, count))
        if began in self.began:
            self.began[began] += count
            self.places[began].extend(places)
        else:
            self.began[began] = count
            self.places[began] = places if len(places) <= 64 else array("i", places)


class _Corpus:
    """All words as one linked list of symbols, with the counts and places of the pairs in it.

    Letters: p a place (index of a symbol), o the place before it, q the place of its right partner, r the one
    after that. A pair is one number, see `_SHIFT`.
    """

    def __init__(self, least: int) -> None:
        self.tokens = 0  # in the text
        self.words = 0  # in the text
        self._least = least  # pairs that are rarer are not kept: counts only fall
        self._ids: MutableSequence[int] = []
        self._next: MutableSequence[int] = []
        self._previous: MutableSequence[int] = []
        self._weights: MutableSequence[int] = []  # how often the symbol's word occurs
        self._counts: dict[int, int] = {}
        self._places: dict[int, Places] = {}  # where each queued pair began, ascending; some may be gone
        self._heap: list[int] = []  # pair - (count << 42): the smallest number is the best pair

    def lay_out(self, words: Mapping[bytes, int], byte_ids: list[int]) -> Iterator[Progress]:
        """Lay the words out, separated, and count their pairs."""
        total = sum(map(len, words)) + len(words)
        large = total >= _LARGE
        ids: MutableSequence[int] = array("i") if large else []
        weights: MutableSequence[int] = array("q") if large else []
        id_of = byte_ids.__getitem__
        shown = 0
        for word, weight in words.items():
            self.tokens += len(word) * weight
            self.words += weight
            ids.append(_SEPARATOR)
            for start in range(0, len(word), _CHUNK):
                ids.extend(map(id_of, word[start : start + _CHUNK]))
                weights.extend(repeat(weight, len(ids) - len(weights)))
                if len(ids) - shown >= _CHUNK:
                    shown = len(ids)
                    yield Progress("Laying out the words", shown, total, "bytes")
        ids.append(_SEPARATOR)
        weights.append(0)
        self._ids, self._weights = ids, weights
        self._next, self._previous = (array("i"), array("i")) if large else ([], [])
        for start in range(0, len(ids), 4 * _CHUNK):
            end = min(start + 4 * _CHUNK, len(ids))
            self._next.extend(range(start + 1, end + 1))
            self._previous.extend(range(start - 1, end - 1))
            yield Progress("Linking the symbols", end, len(ids), "bytes")
        yield from self._count(byte_ids)

    def _count(self, byte_ids: list[int]) -> Iterator[Progress]:
        """Count the pairs of bytes, and sort their places by pair."""
        byte_of = np.zeros(max(byte_ids) + 1, dtype=np.uint16)
        byte_of[byte_ids] = np.arange(256)
        found: defaultdict[int, list[NDArray[np.int32]]] = defaultdict(list)
        counts: defaultdict[int, int] = defaultdict(int)
        for start in range(0, len(self._ids) - 1, 8 * _CHUNK):
            ids = np.array(self._ids[start : start + 8 * _CHUNK + 1], dtype=np.int32)
            weights = np.array(self._weights[start : start + 8 * _CHUNK], dtype=np.int64)
            raw = byte_of[ids]  # a separator reads as some byte; its pairs are left out
            places = np.flatnonzero((ids[:-1] >= 0) & (ids[1:] >= 0))
            keys = (raw[:-1] << 8 | raw[1:])[places]
            places = places[np.argsort(keys, kind="stable")]  # of 16 bits: by radix, linear
            sizes = np.bincount(keys, minlength=1 << 16)
            begin = 0
            for key in np.flatnonzero(sizes).tolist():
                some = places[begin : (begin := begin + int(sizes[key]))]
                counts[key] += int(weights[some].sum())
                found[key].append((some + start).astype(np.int32))
            yield Progress("Counting pairs", start + len(weights), len(self._ids), "bytes")
        for key, parts in found.items():
            pair = byte_ids[key >> 8] << _SHIFT | byte_ids[key & 255]
            self._queue(pair, counts[key], np.concatenate(parts))

    def best_count(self) -> int:
        """The count of the best pair, which is then at the top of the queue; 0 where there is none."""
        heap, counts = self._heap, self._counts
        while heap:
            item = heap[0]
            current = counts[item & _PAIR]
            if item >> 2 * _SHIFT == -current:
                return current
            if current >= self._least:
                heapq.heapreplace(heap, (item & _PAIR) - (current << 2 * _SHIFT))
            else:
                heapq.heappop(heap)
                del self._places[item & _PAIR]
        return 0

    def pop(self) -> tuple[int, int, int]:
        """Take the best pair out of the queue: count, left id, right id. `best_count` comes first."""
        item = heapq.heappop(self._heap)
        pair = item & _PAIR
        return -(item >> 2 * _SHIFT), pair >> _SHIFT, pair & _MASK

    def leading(self, at_most: int) -> Table:
        """The best pairs, best first, shape (n, 3): left id, right id, count."""
        rows: list[tuple[int, int, int]] = []
        taken: list[int] = []
        while len(rows) < at_most and (count := self.best_count()):
            taken.append(item := heapq.heappop(self._heap))
            rows.append(((item & _PAIR) >> _SHIFT, item & _MASK, count))
        for item in taken:
            heapq.heappush(self._heap, item)
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def merge(self, left: int, right: int, new: int) -> Generator[Progress, None, int]:
        """Make one symbol of the pair wherever it occurs; return how many places of the text changed."""
        places = self._places.pop(left << _SHIFT | right)
        change = _Change(left, right, new)
        tokens = self.tokens
        for start in range(0, len(places), _CHUNK):
            if start:
                yield Progress("Merging", start, len(places), "places")
            part = places[start : start + _CHUNK]
            self._merge_at(part.tolist() if isinstance(part, np.ndarray) else part, change)
        # What one place began, the next may have ended: "abab" holds (ab, a) for a moment.
        for pair, count in change.ended:
            if pair in change.began:
                change.began[pair] -= count
            elif pair in self._counts:
                self._counts[pair] -= count
        for pair, count in change.began.items():
            self._queue(pair, count, change.places[pair])
        return tokens - self.tokens

    def _merge_at(self, places: Sequence[int], change: _Change) -> None:
        """Merge the pair at these places, ascending, and gather what that changes."""
        ids, following, previous, weights = self._ids, self._next, self._previous, self._weights
        left, right, new = change.left, change.right, change.new
        before: defaultdict[int, list[int]] = defaultdict(list)  # by neighbor: where new pairs begin
        after: defaultdict[int, list[int]] = defaultdict(list)
        changed = 0
        for p in places:
            if ids[p] != left:
                continue
            q = following[p]
            if ids[q] != right:
                continue
            ids[p] = new
            ids[q] = _DEAD
            following[p] = r = following[q]
            previous[r] = p
            changed += weights[p]
            if (neighbor := ids[r]) >= 0:
                after[neighbor].append(p)
            o = previous[p]
            if (neighbor := ids[o]) >= 0:
                before[neighbor].append(o)
        self.tokens -= changed
        for neighbor, some in before.items():
            change.add(neighbor << _SHIFT | new, neighbor << _SHIFT | left, some, weights)
        for neighbor, some in after.items():
            change.add(new << _SHIFT | neighbor, right << _SHIFT | neighbor, some, weights)

    def let_go(self) -> Iterator[Progress]:
        """Free what was kept, in parts: freeing millions of numbers at once holds up every other thread."""
        symbols = len(self._ids)
        for table in (self._places, self._counts):
            while table:
                for _ in range(min(_CHUNK, len(table))):
                    table.popitem()
                yield Progress("Clearing up", 0, symbols, "bytes")
        for row in (self._heap, self._weights, self._previous, self._next, self._ids):
            while row:
                del row[-4 * _CHUNK :]
                yield Progress("Clearing up", symbols - len(row), symbols, "bytes")

    def _queue(self, pair: int, count: int, places: Places) -> None:
        if count >= self._least:
            self._counts[pair] = count
            self._places[pair] = places
            heapq.heappush(self._heap, pair - (count << 2 * _SHIFT))
