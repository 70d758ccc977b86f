"""The part of a text that is shown: read, split into words, and said how much of the whole it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.formats.files import open_bounded
from core.stages import Finished, Progress
from core.tokenizer.patterns import Pattern
from core.tokenizer.starts import line_starts, word_starts
from core.tokenizer.words import Text

SHOWN_AT_MOST = 20_000_000  # bytes of a text that are kept for showing


@dataclass(frozen=True)
class Shown:
    """A text as `TokenText` takes it.

    Attributes:
        data: What is shown, in UTF-8.
        total: Bytes of the whole text, shown or not.
        starts: Where its words begin, in bytes.
        lines: Where its lines begin, in bytes.
    """

    data: bytes
    total: int
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lines: np.ndarray = field(default_factory=lambda: np.zeros(1, dtype=np.int64))


def read_shown(
    texts: Sequence[Text], pattern: Pattern, at_most: int = SHOWN_AT_MOST
) -> Iterator[Progress | Finished[Shown]]:
    """A stage that reads the first `at_most` bytes of texts and finds where their words begin."""
    data, total = bytearray(), 0
    for text in texts:
        if text.path is None:
            whole = (text.text or "").encode("utf-8", "ignore")
            total += len(whole)
            data += whole[: at_most - len(data)]
        else:
            with open_bounded(text.path) as file:
                total += file.size
                data += file.read(min(file.size, at_most - len(data)))
    shown = bytes(data).decode("utf-8", "ignore")  # the learner names what is not UTF-8; here it is left out
    exact = shown.encode("utf-8")
    for event in word_starts(shown, pattern):
        if isinstance(event, Finished):
            yield Finished(event.reason, Shown(exact, total, event.result, line_starts(exact)))
        else:
            yield event
