"""Where the words and tokens of a text begin, in bytes: what a view needs to draw only what is visible.

A word is what the pattern makes; a special token that is recognized is a word of its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.stages import Finished, Progress
from core.tokenizer.patterns import Pattern
from core.tokenizer.tokenizer import Tokenizer

EVERY = 20_000  # words between two Progress events, some 10 ms


def word_starts(text: str, pattern: Pattern) -> Iterator[Progress | Finished[np.ndarray]]:
    """A stage whose result is an int64 array: where each word begins in the text's UTF-8, in bytes.

    Args:
        text: The text, without lone surrogates.
        pattern: How it is split.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    starts = array("q")
    at = 0
    for word in pattern.split(text):
        starts.append(at)
        at += len(word) if word.isascii() else len(word.encode("utf-8", "surrogatepass"))
        if len(starts) % EVERY == 0:
            yield Progress("Splitting the text into words", at, size, "bytes")
    yield Finished("All words are found.", np.frombuffer(starts, dtype=np.int64).copy())


def line_starts(data: bytes) -> np.ndarray:
    """Where each line of a text begins, in bytes, as int64; at least the first one, at 0.

    >>> line_starts(b"a\\n\\nb\\n").tolist(), line_starts(b"").tolist()
    ([0, 2, 3], [0])
    """
    breaks = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A) + 1
    return np.concatenate([[0], breaks[breaks < len(data)]])


def word_spans(tokenizer: Tokenizer, word: bytes) -> list[tuple[int, int]]:
    """The tokens of one word: (id, length in bytes).

    Raises:
        LabError: A byte of it has no token.
    """
    return [(i, len(tokenizer.tokens[i] or b"")) for i in tokenizer.encode_bytes(word)]


@dataclass(frozen=True)
class Encoded:
    """A text in tokens, laid out in bytes.

    Attributes:
        data: The text in UTF-8.
        words: Where each word begins, in bytes.
        ids: The tokens.
        starts: Where each token begins, in bytes; one more at the end of the text.
    """

    data: bytes
    words: np.ndarray
    ids: np.ndarray
    starts: np.ndarray

    def token_at(self, offset: int) -> int:
        """The number of the token that holds a byte."""
        return int(np.searchsorted(self.starts, offset, "right")) - 1


def encode_text(
    text: str, tokenizer: Tokenizer, with_special: bool = False
) -> Iterator[Progress | Finished[Encoded]]:
    """A stage that encodes a text of any length word by word.

    Args:
        text: What to encode.
        tokenizer: By what.
        with_special: Whether special tokens' texts are recognized.

    Raises:
        LabError: The text holds a lone surrogate, or a byte that the vocabulary lacks; named when reached.
    """
    words, ids, starts = array("q"), array("q"), array("q")
    data = text.encode("utf-8", "surrogatepass")
    at = 0
    for part, special in tokenizer.parts(text) if with_special else [(text, None)]:
        lead = tokenizer.add_prefix_space and not part.startswith(" ")
        here = at - int(lead)  # that space is not in the text
        for _, _, word_ids in tokenizer.encode_words(part):
            words.append(at)
            for token_id in word_ids:
                ids.append(token_id)
                starts.append(at)
                here += len(tokenizer.tokens[token_id] or b"")
                at = here
            if len(words) % EVERY == 0:
                yield Progress("Encoding", at, len(data), "bytes")
        if special is not None:
            words.append(at)
            starts.append(at)
            ids.append(special)
            at += len(tokenizer.token_bytes(special))
    starts.append(at)
    found = (np.frombuffer(made, dtype=np.int64).copy() for made in (words, ids, starts))
    yield Finished("The text is encoded.", Encoded(data, *found))
