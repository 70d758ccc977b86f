"""Why a word becomes these tokens, where a token comes from, and who uses it.

`explain_word` is the slow, visible twin of `Tokenizer.encode`: one event for each merge in one place, with
all pieces in it, so that going back is showing an earlier event again. Nothing here is fast on a whole text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.problems import LabError
from core.stages import Finished, Progress, run_to_end
from core.tokenizer.merging import Segmenter
from core.tokenizer.tokenizer import Tokenizer, utf8

EVERY = 5_000  # words between two Progress events
LONGEST_WORD = 2_000  # bytes; every event holds all pieces


@dataclass(frozen=True, slots=True)
class WordStep:
    """One merge in one place of a word.

    Attributes:
        step: Number of this event, from 1.
        pieces: Ids before the merge.
        position: Index in `pieces` of the left one.
        left: Id of the left piece.
        right: Id of the right piece.
        id: Id that the two become.
        rank: Place of the merge in the list of merges, from 0; the lowest possible goes first.
    """

    step: int
    pieces: tuple[int, ...]
    position: int
    left: int
    right: int
    id: int
    rank: int

    @property
    def after(self) -> tuple[int, ...]:
        """Ids after the merge."""
        return (*self.pieces[: self.position], self.id, *self.pieces[self.position + 2 :])


@dataclass(frozen=True, slots=True)
class MergeNode:
    """A token and the two it was merged from; a byte or a special token has none.

    Attributes:
        id: Id of the token.
        bytes: What it spells.
        left: Its left part, or None.
        right: Its right part, or None.
        rank: Place of its merge in the list of merges, from 0; -1 without one.
    """

    id: int
    bytes: bytes
    left: MergeNode | None
    right: MergeNode | None
    rank: int = -1


@dataclass(frozen=True, slots=True)
class TokenUse:
    """How often a token stands in a corpus.

    Attributes:
        count: Places in the whole corpus.
        words: The first words that hold it, and how often each is in the corpus.
        distinct: How many different words hold it.
    """

    count: int
    words: tuple[tuple[bytes, int], ...]
    distinct: int


def explain_word(tokenizer: Tokenizer, word: str | bytes) -> Iterator[WordStep | Finished[tuple[int, ...]]]:
    """Merge a word step by step: the lowest rank first, the leftmost of equals.

    The word is taken whole; splitting a text into words is `tokenizer.pattern`'s.

    Raises:
        LabError: At the call, where the word is longer than LONGEST_WORD bytes, holds a lone surrogate, or
            holds a byte without a token.
    """
    spelled = utf8(word) if isinstance(word, str) else word
    if len(spelled) > LONGEST_WORD:
        raise LabError(
            f"The word is {len(spelled):,} bytes long; words up to {LONGEST_WORD:,} can be stepped through.",
            "Choose a shorter word, or a pattern that splits the text.",
        )
    return _explain(tokenizer, tokenizer.start(spelled), spelled)


def _explain(
    tokenizer: Tokenizer, pieces: tuple[int, ...], word: bytes
) -> Iterator[WordStep | Finished[tuple[int, ...]]]:
    if tokenizer.ignore_merges and (whole := tokenizer.id_of(word)) is not None:
        yield Finished("The whole word is a token: this tokenizer looks that up before it merges.", (whole,))
        return
    step = 0
    while True:
        options = [
            (*found, position)
            for position, pair in enumerate(pairwise(pieces))
            if (found := tokenizer.merge_of(*pair)) is not None
        ]
        if not options:
            break
        rank, new, position = min(options, key=lambda option: (option[0], option[2]))
        step += 1
        event = WordStep(step, pieces, position, pieces[position], pieces[position + 1], new, rank)
        yield event
        pieces = event.after
    if len(pieces) > 1:
        reason = "No two neighbors are in the list of merges."
    else:
        reason = "The word has become one token." if step else "There is nothing to merge."
    yield Finished(reason, pieces)


def merge_tree(tokenizer: Tokenizer, id_: int) -> MergeNode:
    """The token as the tree of its merges, down to single bytes.

    Raises:
        LabError: No token has this id.
    """
    nodes: dict[int, MergeNode] = {}
    waiting = [id_]
    while waiting:  # a long token can be deeper than Python's stack
        current = waiting[-1]
        parts = tokenizer.parts_of(current)
        if parts is None or len(tokenizer.token_bytes(current)) == 1:
            nodes[current] = MergeNode(current, tokenizer.token_bytes(current), None, None)
            waiting.pop()
            continue
        rank, left, right = parts
        missing = [part for part in (left, right) if part not in nodes]
        if missing:
            waiting += missing
            continue
        nodes[current] = MergeNode(current, tokenizer.token_bytes(current), nodes[left], nodes[right], rank)
        waiting.pop()
    return nodes[id_]


def token_use(
    words: Mapping[bytes, int],
    tokenizer: Tokenizer,
    id_: int,
    at_most: int = 12,
    *,
    step: int | None = None,
    segmenter: Segmenter | None = None,
) -> TokenUse:
    """How often a token stands in a corpus, and the first words that hold it.

    Args:
        words: Distinct words and how often each is there, in the order of their first appearance.
        tokenizer: Whose token it is.
        id_: The token.
        at_most: How many words to name.
        step: Count after this many merges; None for all of them.
        segmenter: Where `step` is given: the one in use, which remembers words; a new one otherwise.

    Raises:
        LabError: No token has this id.
    """
    token = tokenizer.token_bytes(id_)
    pieces_of: Callable[[bytes], Sequence[int]] = tokenizer.encode_bytes
    if step is not None:
        by_step = segmenter or tokenizer.segmenter()
        pieces_of = lambda word: by_step.pieces(word, step)  # noqa: E731
    use: TokenUse = run_to_end(count_uses(words, token, id_, pieces_of, at_most)).result
    return use


def count_uses(
    words: Mapping[bytes, int],
    token: bytes,
    id_: int,
    pieces_of: Callable[[bytes], Sequence[int]],
    at_most: int,
) -> Iterator[Progress | Finished[TokenUse]]:
    """A stage that counts a token in words; only words that hold the token's bytes are taken apart.

    >>> run_to_end(count_uses({b"aa": 3, b"b": 5, b"ab": 1}, b"a", 97, list, at_most=1)).result
    TokenUse(count=7, words=((b'aa', 3),), distinct=2)
    """
    count, distinct = 0, 0
    first: list[tuple[bytes, int]] = []
    for done, (word, times) in enumerate(words.items()):
        if done % EVERY == 0:
            yield Progress("Counting a token", done, len(words), "words")
        if token not in word or not (places := pieces_of(word).count(id_)):
            continue
        count += places * times
        distinct += 1
        if len(first) < at_most:
            first.append((word, times))
    yield Finished("All words are looked at.", TokenUse(count, tuple(first), distinct))
