"""A byte-level BPE tokenizer: text to ids and back, whatever file it came from.

What it does: splits text by a known pattern, turns each word into ids (`merging.py`), recognizes special
tokens where asked, and says which characters each token covers. A tokenizer never changes; `at(step)` gives
the one that knew only the first merges. Learning, reading, writing and explaining are files of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import accumulate, chain, groupby
from typing import TYPE_CHECKING, Literal

from core.problems import LabError
from core.tokenizer.merging import Merge, Merger, Segmenter, byte_ids, make_merger, start_ids
from core.tokenizer.patterns import Pattern

if TYPE_CHECKING:
    from core.tokenizer.learn import Learned

__all__ = ["Part", "Segmenter", "TokenSpan", "Tokenizer", "readable"]

Special = Literal["text", "all"]

CACHED_WORDS = 50_000
CACHED_WORD_LENGTH = 100  # characters


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """One token of a text.

    Attributes:
        start: First character that the token touches.
        end: One past the last character that it touches.
        id: Its id.
        bytes: Its bytes.
        partial: Whether it holds only some of the bytes of a character; that character is then in the spans
            of the neighbors too.
    """

    start: int
    end: int
    id: int
    bytes: bytes
    partial: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of bytes as a person can read it: `text`, or, where no character is, `hex` ("E2 80")."""

    text: str
    hex: str


@dataclass(frozen=True, repr=False)
class Tokenizer:
    """A byte-level BPE tokenizer.

    Attributes:
        name: What people call it: "gpt2". Tokenizers that differ in nothing else are equal.
        pattern: How text is split into words before any merge.
        tokens: Bytes of each id; None for a gap and for a special token, unless merges spell that too. Gaps
            at the end are dropped.
        merges: Left id, right id, new id, in order.
        special_tokens: Id of each special token's text.
        chat_template: Jinja template of its model's chat, or None. It is never run here.
        ignore_merges: A word that is a token becomes that token, whatever the merges say (llama-bpe).
        add_prefix_space: Text that begins without a space is encoded as if it had one.
        bos: Text of the special token that begins a text, or None.
        eos: ... that ends it.
        unk: ... for what is unknown; unused where all 256 bytes have tokens.
        pad: ... that fills up.

    Raises:
        LabError: A merge names an id that is none, does not spell its parts, or is there twice; two ids have
            the same bytes; or a special token's id is taken.
    """

    name: str = field(compare=False)
    pattern: Pattern
    tokens: tuple[bytes | None, ...]
    merges: tuple[Merge, ...]
    special_tokens: dict[str, int] = field(default_factory=dict)
    chat_template: str | None = None
    ignore_merges: bool = False
    add_prefix_space: bool = False
    bos: str | None = None
    eos: str | None = None
    unk: str | None = None
    pad: str | None = None

    def __post_init__(self) -> None:
        used = next((i for i in range(len(self.tokens), 0, -1) if self.tokens[i - 1] is not None), 0)
        object.__setattr__(self, "tokens", self.tokens[:used])
        _check_tokens(self)
        _check_merges(self)

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name!r}: {self.vocab_size} ids, {len(self.merges)} merges>"

    def __hash__(self) -> int:
        return hash((len(self.tokens), len(self.merges)))

    @classmethod
    def from_learned(
        cls,
        learned: Learned,
        pattern: Pattern,
        name: str,
        *,
        chat_template: str | None = None,
        bos: str | None = None,
        eos: str | None = None,
        unk: str | None = None,
        pad: str | None = None,
    ) -> Tokenizer:
        """The tokenizer that `learn_merges` ended with; its special tokens come from `learned`."""
        special = set(learned.special_tokens.values()) - set(learned.merged_ids)
        tokens = tuple(None if id_ in special else token for id_, token in enumerate(learned.tokens))
        merges = tuple(
            (left, right, new) for (left, right), new in zip(learned.merges, learned.merged_ids, strict=True)
        )
        return cls(
            name=name,
            pattern=pattern,
            tokens=tokens,
            merges=merges,
            special_tokens=dict(learned.special_tokens),
            chat_template=chat_template,
            bos=bos,
            eos=eos,
            unk=unk,
            pad=pad,
        )

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return max(len(self.tokens), 1 + max(self.special_tokens.values(), default=-1))

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens with which a model ends its text; empty where none is known."""
        return frozenset({self.special_tokens[self.eos]}) if self.eos else frozenset()

    def token_bytes(self, id_: int) -> bytes:
        """The bytes of a token; a special token's are its text in UTF-8.

        Raises:
            LabError: No token has this id.
        """
        if 0 <= id_ < len(self.tokens) and (token := self.tokens[id_]) is not None:
            return token
        special = self._special_names.get(id_)
        if special is None:
            raise LabError(
                f"No token of {self.name} has the id {id_}.",
                f"Its ids lie between 0 and {self.vocab_size - 1}.",
            )
        return special.encode("utf-8")

    def id_of(self, token: bytes) -> int | None:
        """The id of the token with these bytes, or None; special tokens are found by their text instead."""
        return self._ids.get(token)

    def encode(self, text: str, special: Special = "text") -> list[int]:
        """The ids of a text.

        Args:
            text: Any text without lone surrogates.
            special: "all" recognizes special tokens, the longest first; "text" takes them for text.

        Raises:
            LabError: The text holds a lone surrogate, or a byte for which this vocabulary has no token.
        """
        if special == "text" or not self.special_tokens:
            return self._encode_part(text)
        ids: list[int] = []
        for part, special_id in self.parts(text):
            ids += self._encode_part(part)
            if special_id is not None:
                ids.append(special_id)
        return ids

    def encode_bytes(self, word: bytes) -> tuple[int, ...]:
        """The ids of one word given as bytes, which need not be characters; it is not split.

        Raises:
            LabError: A byte of it has no token.
        """
        whole = self._ids.get(word) if self.ignore_merges else None
        return tuple(self._merger.encode(word)) if whole is None else (whole,)

    def encode_words(self, text: str) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Each word that the pattern makes: (start, end) in characters of `text`, and its ids.

        Raises:
            LabError: As `encode`, when the word is reached.
        """
        lead = self._lead(text)
        for start, word, ids in self._split(text):
            yield max(0, start - lead), start + len(word) - lead, ids

    def token_spans(self, text: str) -> Iterator[TokenSpan]:
        """Each token with the characters it touches.

        Raises:
            LabError: As `encode`, when the word is reached.
        """
        lead = self._lead(text)
        for start, word, ids in self._split(text):
            for low, high, id_, partial in _spans(word, ids, self.tokens):
                low, high = max(0, start + low - lead), max(0, start + high - lead)
                yield TokenSpan(low, high, id_, self.tokens[id_] or b"", partial)

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes of a row of ids; special tokens give their text. `readable` makes text of bytes.

        Raises:
            LabError: An id is no token's.
        """
        return b"".join(map(self.token_bytes, ids))

    def decode_text(self, ids: Iterable[int]) -> str:
        """The text of a row of ids; bytes that are no character appear as ⟨E2 80⟩, never as a U+FFFD."""
        return "".join(part.text or f"⟨{part.hex}⟩" for part in readable(self.decode(ids)))

    def start(self, word: bytes) -> tuple[int, ...]:
        """The ids of the bytes of a word, before any merge.

        Raises:
            LabError: A byte of it has no token.
        """
        return tuple(start_ids(word, byte_ids(self.tokens)))

    def merge_of(self, left: int, right: int) -> tuple[int, int] | None:
        """The merge of two ids: its rank (from 0) and the id it makes; None where they are not merged."""
        return self._made.get((left, right))

    def parts_of(self, id_: int) -> tuple[int, int, int] | None:
        """How a token was made: rank (from 0), left id, right id of its first merge; None for a byte."""
        return self._parts_of.get(id_)

    def at(self, step: int) -> Tokenizer:
        """The tokenizer with only the first `step` merges: ids stay the same, later ones become gaps.

        Raises:
            LabError: There are fewer merges.
        """
        if not 0 <= step <= len(self.merges):
            raise LabError(
                f"Merge {step} of {self.name} was asked for; it has {len(self.merges)}.",
                "Choose a number of merges between 0 and that.",
            )
        if step == len(self.merges):
            return self
        known = {new for _, _, new in self.merges[:step]}
        gone = {new for _, _, new in self.merges[step:]} - known - set(byte_ids(self.tokens))
        tokens = tuple(None if id_ in gone else token for id_, token in enumerate(self.tokens))
        return replace(self, tokens=tokens, merges=self.merges[:step])

    def segmenter(self) -> Segmenter:
        """A new `Segmenter` for these merges."""
        return Segmenter(self.tokens, self.merges)

    # What is worked out once, when first needed.

    @cached_property
    def _merger(self) -> Merger:
        return make_merger(self.tokens, self.merges)

    @cached_property
    def _made(self) -> dict[tuple[int, int], tuple[int, int]]:
        return {(left, right): (rank, new) for rank, (left, right, new) in enumerate(self.merges)}

    @cached_property
    def _parts_of(self) -> dict[int, tuple[int, int, int]]:
        last_first = reversed(list(enumerate(self.merges)))
        return {new: (rank, left, right) for rank, (left, right, new) in last_first}

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {token: id_ for id_, token in enumerate(self.tokens) if token is not None}

    @cached_property
    def _special_names(self) -> dict[int, str]:
        return {id_: name for name, id_ in self.special_tokens.items()}

    @cached_property
    def _words(self) -> _Words:
        return _Words(self._merger, self._ids if self.ignore_merges else {})

    def _lead(self, text: str) -> int:
        """1 where a space is put before the text, else 0."""
        return int(self.add_prefix_space and bool(text) and not text.startswith(" "))

    def _encode_part(self, text: str) -> list[int]:
        split = self.pattern.split(" " + text if self._lead(text) else text)
        return list(chain.from_iterable(map(self._words.__getitem__, split)))

    def _split(self, text: str) -> Iterator[tuple[int, str, tuple[int, ...]]]:
        """Where each word starts, the word, its ids; a space that was put before the text counts."""
        known, start = self._words, 0
        for word in self.pattern.split(" " + text if self._lead(text) else text):
            yield start, word, known[word]
            start += len(word)

    def parts(self, text: str) -> Iterator[tuple[str, int | None]]:
        """Text up to each special token, and that token's id; the last part has None.

        At one place the longest wins. Each name is looked for by itself, as plain text: no pattern is built
        of what a file says.
        """
        names = self.special_tokens
        heap = [(at, -len(name), name) for name in names if name and (at := text.find(name)) >= 0]
        heapify(heap)
        done = 0
        while heap:
            at, _, name = heappop(heap)
            if at >= done:
                yield text[done:at], names[name]
                done = at + len(name)
            if (following := text.find(name, done)) >= 0:
                heappush(heap, (following, -len(name), name))
        yield text[done:], None


class _Words(dict[str, tuple[int, ...]]):
    """The ids of words seen before; a new word is encoded when it is looked up."""

    def __init__(self, merger: Merger, whole: Mapping[bytes, int]) -> None:
        super().__init__()
        self._merger = merger
        self._whole = whole

    def __missing__(self, word: str) -> tuple[int, ...]:
        spelled = utf8(word)
        whole = self._whole.get(spelled)
        ids = tuple(self._merger.encode(spelled)) if whole is None else (whole,)
        if len(word) <= CACHED_WORD_LENGTH:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids


def readable(data: bytes) -> list[Part]:
    """Bytes as text where they are characters, and as hex where they are not; joined, nothing is lost.

    >>> readable("é!".encode()[1:])
    [Part(text='', hex='A9'), Part(text='!', hex='')]
    """
    text = data.decode("utf-8", "surrogateescape")  # each byte that is no character becomes U+DC80 and above
    if text.isprintable() or not any("\udc80" <= char <= "\udcff" for char in text):
        return [Part(text, "")] if text else []
    parts = []
    for bad, run in groupby(text, key=lambda char: "\udc80" <= char <= "\udcff"):
        stretch = "".join(run)
        if bad:
            parts.append(Part("", stretch.encode("utf-8", "surrogateescape").hex(" ").upper()))
        else:
            parts.append(Part(stretch, ""))
    return parts


def utf8(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        LabError: The text holds a lone surrogate, which is no character.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LabError(
            f"The text holds half a character: the lone surrogate U+{ord(text[error.start]):04X}.",
            "Remove it, or copy the text again from where it came.",
        ) from None


def _spans(
    word: str, ids: tuple[int, ...], tokens: tuple[bytes | None, ...]
) -> Iterator[tuple[int, int, int, bool]]:
    """The tokens of one word: first and last character (one past), id, and whether a character is split."""
    sizes = [1] * len(word) if word.isascii() else [len(char.encode("utf-8")) for char in word]
    of_byte = list(chain.from_iterable([i] * size for i, size in enumerate(sizes)))
    boundaries = set(accumulate(sizes, initial=0))
    at = 0
    for id_ in ids:
        end = at + len(tokens[id_] or b"")
        yield of_byte[at], of_byte[end - 1] + 1, id_, at not in boundaries or end not in boundaries
        at = end


def _check_tokens(tokenizer: Tokenizer) -> None:
    seen: dict[bytes, int] = {}
    for id_, token in enumerate(tokenizer.tokens):
        if token is not None and seen.setdefault(token, id_) != id_:
            raise LabError(
                f"Ids {seen[token]} and {id_} of {tokenizer.name} spell the same ({token[:40].hex(' ')}).",
                "Each token may be there once: check the file it came from.",
            )
    if b"" in seen:
        raise LabError(f"Id {seen[b'']} of {tokenizer.name} has no bytes.", "Check the file it came from.")
    taken: dict[int, str] = {}
    for name, id_ in tokenizer.special_tokens.items():
        token = tokenizer.tokens[id_] if 0 <= id_ < len(tokenizer.tokens) else None
        if (
            not utf8(name)
            or id_ < 0
            or token not in (None, utf8(name))
            or taken.setdefault(id_, name) != name
        ):
            raise LabError(
                f"The special token {name[:80]!r} of {tokenizer.name} cannot have the id {id_}.",
                "Give each special token an id of its own.",
            )


def _check_merges(tokenizer: Tokenizer) -> None:
    tokens, size = tokenizer.tokens, len(tokenizer.tokens)
    seen: set[tuple[int, int]] = set()
    for number, (left, right, new) in enumerate(tokenizer.merges, start=1):
        fault = ""
        if not (0 <= left < size and 0 <= right < size and 0 <= new < size):
            fault = f"names an id outside 0 to {size - 1}"
        else:
            a, b, c = tokens[left], tokens[right], tokens[new]
            if a is None or b is None or c is None:
                fault = "names an id that has no bytes"
            elif len(c) != len(a) + len(b) or not (c.startswith(a) and c.endswith(b)):
                fault = "does not spell its two parts"
            elif (left, right) in seen:
                fault = "was there before"
        if fault:
            raise LabError(
                f"Merge {number} of {tokenizer.name}, ({left}, {right}) to {new}, {fault}.",
                "Check the file it came from.",
            )
        seen.add((left, right))
