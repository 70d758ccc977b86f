"""Read texts in blocks and count their words: what merges are learned from.

A file is never held whole: blocks of 32 KB are decoded, cut where the pattern allows it (`Pattern.last_cut`)
and counted, so memory holds the different words and no more. What cannot be cut (a megabyte without white
space or punctuation) is gathered up to `LONGEST`, more is refused.

Files are UTF-8. Nothing is translated or dropped: line breaks stay as they are, and a byte order mark stays
a character at the start of the text, as `tokenizers` keeps it when it trains on files.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.formats.files import open_bounded, shown
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.patterns import PIECE, Pattern

LONGEST = 10 << 20
"""The longest stretch of text that may have no place to cut, in characters (pattern none: bytes): 10 MB."""

_BLOCK = PIECE  # bytes decoded and counted between two events
# Bytes read at once. A read gives the interpreter's lock away for a moment, and a thread that waits for it
# then begins to wait anew: a read for every block kept it waiting 40 to 100 ms, this one at most 20.
_READ = 1 << 20


@dataclass(frozen=True)
class Text:
    """A text to learn from: a file, or a string.

    Attributes:
        name: What messages call it.
        path: The file, or None.
        text: The string, or None.
    """

    name: str
    path: Path | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.text is None):
            raise TypeError(f"Text {self.name!r} needs a path or a text, not both.")


@dataclass(frozen=True)
class WordCounts:
    """The words of texts.

    Attributes:
        words: How often each word occurs, in the order of first appearance.
        bytes: Length of the texts in bytes of UTF-8.
        characters: Length of the texts in characters.
        pre_tokens: Words in all, repeated ones included.
    """

    words: dict[bytes, int]
    bytes: int
    characters: int
    pre_tokens: int


def count_words(sources: Sequence[Text], pattern: Pattern) -> Iterator[Progress | Finished[WordCounts]]:
    """Split texts by a pattern and count the words; each text is split on its own.

    Progress comes with every block of 32 KB and counts bytes.

    Raises:
        LabError: A file is missing, unreadable or not UTF-8 (its first bad byte is named), a text holds half
            a surrogate pair, or a stretch without a place to cut is longer than `LONGEST`.
    """
    sizes = [_size(source, pattern) for source in sources]
    return _count(sources, pattern, sum(sizes))


def _size(source: Text, pattern: Pattern) -> int:
    """Bytes of a source (characters of a string), after what can be checked at the click."""
    if source.path is not None:
        with open_bounded(source.path) as file:
            size = encoded = file.size
    else:
        size = encoded = len(source.text or "")
        if pattern.name == "none" and size <= LONGEST:
            encoded = len((source.text or "").encode("utf-8", "surrogatepass"))
    if pattern.name == "none" and encoded > LONGEST:
        raise _too_long(source, encoded, "without a split pattern the whole text is one word")
    return size


def _count(
    sources: Sequence[Text], pattern: Pattern, total: int
) -> Iterator[Progress | Finished[WordCounts]]:
    counter = _Counter(pattern)
    done = characters = length = 0
    for source in sources:
        doing = f"Reading {source.name}"
        with closing(_blocks(source)) as blocks:
            for block, size in blocks:
                characters += len(block)
                length += size
                for _ in counter.feed(block):
                    yield Progress(doing, done, total, "bytes")
                if counter.waiting > LONGEST:
                    raise _too_long(
                        source,
                        counter.waiting,
                        f"there is no place to split it after character {counter.cut_at:,}",
                    )
                done += size if source.path is not None else len(block)
                yield Progress(doing, done, total, "bytes")
        for _ in counter.finish():
            yield Progress(doing, done, total, "bytes")
    words = {word.encode(): count for word, count in counter.words.items()}
    reason = f"{counter.total:,} words, {len(words):,} of them different."
    yield Finished(reason, WordCounts(words, length, characters, counter.total))


class _Counter:
    """Cuts the blocks of one text after the other into pieces and counts their words."""

    def __init__(self, pattern: Pattern) -> None:
        self.words: Counter[str] = Counter()
        self.total = 0
        self.waiting = 0  # characters that could not be cut yet
        self.cut_at = 0  # where they begin in their text
        self._pattern = pattern
        self._parts: list[str] = []

    def feed(self, block: str) -> Iterator[None]:
        """Count up to the last place in the block where the text may be cut; keep the rest."""
        last = self._parts[-1][-1] if self._parts else ""
        cut = self._pattern.last_cut(last + block) - len(last)
        if cut >= 0 and (cut or last):
            self._parts.append(block[:cut])
            yield from self._count_parts()
            block = block[cut:]
        if block:
            self._parts.append(block)
            self.waiting += len(block)

    def finish(self) -> Iterator[None]:
        """Count what is left: the text ends here."""
        yield from self._count_parts()
        self.cut_at = 0

    def _count_parts(self) -> Iterator[None]:
        piece = "".join(self._parts)
        self._parts.clear()
        self.waiting = 0
        self.cut_at += len(piece)
        for words in self._pattern.batches(piece):
            self.words.update(words)
            self.total += len(words)
            yield


def _blocks(source: Text) -> Generator[tuple[str, int]]:
    """The blocks of a text, each with its length in bytes of UTF-8."""
    if source.path is None:
        yield from _slices(source.name, source.text or "")
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bounded(source.path) as file:
        while file.remaining:
            begin = file.position
            data = file.read(min(_READ, file.remaining))
            for start in range(0, len(data), _BLOCK):
                block = data[start : start + _BLOCK]
                yield _decoded(decoder, block, begin + start + len(block), source), len(block)
        _decoded(decoder, b"", file.position, source, final=True)


def _decoded(
    decoder: codecs.IncrementalDecoder, data: bytes, end: int, source: Text, final: bool = False
) -> str:
    try:
        return decoder.decode(data, final)
    except UnicodeDecodeError as error:
        place = (
            end - len(error.object) + error.start
        )  # the object is what was kept of earlier blocks, and data
        name = shown(source.path or source.name)
        raise LabError(
            f"{name} is not UTF-8: byte {place:,} (0x{error.object[error.start]:02x}) does not belong there.",
            "Open it in an editor and save it as UTF-8.",
        ) from None


def _slices(name: str, text: str) -> Iterator[tuple[str, int]]:
    for start in range(0, len(text), _BLOCK):
        block = text[start : start + _BLOCK]
        try:
            size = len(block) if block.isascii() else len(block.encode())
        except UnicodeEncodeError as error:
            place, half = start + error.start, ord(block[error.start])
            raise LabError(
                f"{name}: character {place:,} is half of a surrogate pair (U+{half:04X}).",
                "Copy the text again, or read it from a UTF-8 file.",
            ) from None
        yield block, size


def _too_long(source: Text, size: int, why: str) -> LabError:
    return LabError(
        f"{shown(source.path or source.name)}: {why}, and {size:,} are above the limit of {LONGEST:,}.",
        "Use a split pattern such as gpt2, a text with spaces, or a shorter text.",
    )
