"""The merges learned so far, and what every view needs to show any one of them again, exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.stages import Finished, Progress
from core.tokenizer.explain import MergeNode, TokenUse, count_uses
from core.tokenizer.learn import Merged
from core.tokenizer.merging import Segmenter
from core.tokenizer.patterns import ALPHABET, pattern
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.words import WordCounts

FIRST_WORDS = 6  # words named that hold a token


class History:
    """Grows by one `Merged` at a time; nothing in it changes afterwards, so going back is exact.

    Attributes:
        merges: The events, oldest first.
        tokens: The bytes of every id so far; special tokens have none.
        words: The words of the corpus and how often each is there.
    """

    def __init__(self, words: WordCounts, special_tokens: tuple[str, ...] = ()) -> None:
        self.words = words
        self.special_tokens = {text: i for i, text in enumerate(special_tokens)}
        self.tokens: list[bytes | None] = [None] * len(special_tokens)
        self.tokens += [bytes([byte]) for byte in ALPHABET]
        self.merges: list[Merged] = []
        self.segmenter = Segmenter(list(self.tokens), [])
        self.last_leading = np.zeros((0, 3), dtype=np.int64)
        self.start_tokens = words.bytes
        self._lengths = [len(token) for token in self.tokens if token is not None]
        self._made_by: dict[int, int] = {}

    def add(self, merged: Merged) -> None:
        """Take in the next merge."""
        left, right = self.token(merged.left), self.token(merged.right)
        if merged.id == len(self.tokens):
            self.tokens.append(left + right)
            self._lengths.append(len(left + right))
        self._made_by.setdefault(merged.id, len(self.merges))
        self.merges.append(merged)
        self.segmenter.append((merged.left, merged.right, merged.id))

    def token(self, token_id: int) -> bytes:
        """The bytes of an id; a special token's are its text."""
        token = self.tokens[token_id]
        if token is not None:
            return token
        return next(text for text, i in self.special_tokens.items() if i == token_id).encode()

    def leading(self, step: int) -> np.ndarray:
        """The most frequent pairs after `step` merges, best first: rows of (left, right, count)."""
        return self.merges[step].leading if step < len(self.merges) else self.last_leading

    def tree(self, token_id: int) -> MergeNode:
        """Where a token comes from."""
        made = self._made_by.get(token_id)
        if made is None:
            return MergeNode(token_id, self.token(token_id), None, None)
        merge = self.merges[made]
        return MergeNode(token_id, self.token(token_id), self.tree(merge.left), self.tree(merge.right), made)

    def use(self, token_id: int, step: int) -> Iterator[Progress | Finished[TokenUse]]:
        """A stage that counts how often a token stands in the corpus after `step` merges."""
        apart = Segmenter(list(self.tokens), [(m.left, m.right, m.id) for m in self.merges[:step]])
        yield from count_uses(
            self.words.words,
            self.token(token_id),
            token_id,
            lambda word: apart.pieces(word, step),
            FIRST_WORDS,
        )

    def spans(self, word: bytes, step: int) -> list[tuple[int, int]]:
        """The tokens of a word after `step` merges: (id, length in bytes)."""
        return [(piece, len(self.tokens[piece] or b"")) for piece in self.segmenter.pieces(word, step)]

    def corpus_tokens(self, step: int) -> int:
        """Tokens of the whole corpus after `step` merges."""
        return self.merges[step - 1].corpus_tokens if step else self.start_tokens

    def vocab_size(self, step: int) -> int:
        """Ids there are after `step` merges, special tokens included."""
        return self.merges[step - 1].vocab_size if step else len(self.special_tokens) + len(ALPHABET)

    def curves(self) -> dict[str, np.ndarray]:
        """What is plotted against the number of merges, from 0 on."""
        totals = np.array([self.start_tokens, *(m.corpus_tokens for m in self.merges)], dtype=float)
        sizes = np.array([self.vocab_size(step) for step in range(len(self.merges) + 1)])
        lengths = np.array(self._lengths, dtype=float)
        made = sizes - len(self.special_tokens)
        return {
            "step": np.arange(len(totals)),
            "characters": self.words.characters / np.maximum(totals, 1),
            "tokens": totals,
            "mean length": np.cumsum(lengths)[made - 1] / made,
            "longest": np.maximum.accumulate(lengths)[made - 1],
        }

    def length_counts(self, step: int) -> np.ndarray:
        """How many tokens of the vocabulary have 0, 1, 2, … bytes after `step` merges."""
        return np.bincount(self._lengths[: self.vocab_size(step) - len(self.special_tokens)])

    def tokenizer(self, step: int, pattern_name: str, name: str) -> Tokenizer:
        """The tokenizer with the first `step` merges."""
        size = self.vocab_size(step)
        merges = dict.fromkeys((m.left, m.right, m.id) for m in self.merges[:step])
        end = "<|endoftext|>" if "<|endoftext|>" in self.special_tokens else None
        return Tokenizer(
            name=name,
            pattern=pattern(pattern_name),
            tokens=tuple(self.tokens[:size]),
            merges=tuple(merges),
            special_tokens=dict(self.special_tokens),
            bos=end,
            eos=end,
        )
