"""Vectors with names: the table of a model's token embeddings, or what a file holds (`files.py`).

Nothing is centered, scaled or left out here; `neighbors.py` centers, and says on what.

N vectors, W width.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import regex as patterns

from core.formats.files import quoted
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer, readable

if TYPE_CHECKING:
    import os

    from core.model.source import ModelSource
    from core.model.transformer import Transformer

Numbers = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

LONGEST_PATTERN = 1000  # characters of a regular expression
_SEARCH_S = 2.0  # seconds that a search may take
_NEAR = 5  # names that an error offers
_COPIED = 4096  # rows that are copied at once


@dataclass(frozen=True, eq=False)
class Vectors:
    """N named vectors.

    Attributes:
        title: What they are, as a picture's heading: "SmolLM2-135M, token embeddings".
        names: One for each; a token's with its space: " king". They may repeat in a file.
        values: Shape (N, W), float32, row by row, finite.
        columns: What else is known of each, by the column's name.
        ids: Token ids, or None where the vectors are no tokens.
        source: Where they come from, in one sentence.
        notes: What was handled while reading, a sentence each.
    """

    title: str
    names: tuple[str, ...]
    values: Numbers
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ids: tuple[int, ...] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def width(self) -> int:
        """How many numbers each has."""
        return int(self.values.shape[1])

    @cached_property
    def words(self) -> Rows:
        """Rows of the tokens that begin a word and hold letters only; all rows where there are no tokens.

        >>> made = Vectors("", (" king", "king", " 7"), np.zeros((3, 2), np.float32), ids=(0, 1, 2))
        >>> made.words.tolist()
        [0]
        """
        if self.ids is None:
            return np.arange(len(self.names))
        return np.array([row for row, name in enumerate(self.names) if is_word(name)], np.intp)

    @property
    def words_said(self) -> str:
        """What `words` are, for a sentence on screen: "27,316 word-start tokens"."""
        kind = "vectors" if self.ids is None else "tokens of letters that begin a word"
        return f"{len(self.words):,} {kind}"

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in reversed(list(enumerate(self.names)))}  # the first of equals

    def row(self, name: str) -> int:
        """The row of a name; among tokens "king" is found as " king", the token of the whole word.

        Raises:
            LabError: There is none; names like it are offered.
        """
        choices = (name,) if self.ids is None or name.startswith(" ") else (" " + name, name)
        for choice in choices:
            if (found := self._rows.get(choice)) is not None:
                return found
        near = self.near(name)
        offered = ", ".join(quoted(n.strip(), 24) for n in near)
        whole = " as one token" if self.ids is not None else ""
        raise LabError(
            f"{quoted(name, 40)} is not there{whole}.",
            f"Names like it: {offered}." if near else "Choose another word.",
        )

    def at(self, name: str) -> int | None:
        """The first row of exactly this name, or None."""
        return self._rows.get(name)

    def near(self, name: str, count: int = _NEAR) -> list[str]:
        """Names like this one: the same in other letters, what begins so, what is spelled much alike."""
        wanted = name.strip().casefold()
        if not wanted:
            return []
        folded = {self.names[row].strip().casefold(): self.names[row] for row in reversed(self.words)}
        found = [folded[wanted]] if wanted in folded else []
        found += islice((n for f, n in folded.items() if f != wanted and f.startswith(wanted)), count)
        if len(found) < count:
            likely = [f for f in folded if f[:1] == wanted[:1] and abs(len(f) - len(wanted)) <= 2]
            close = get_close_matches(wanted, likely, count, 0.6)
            found += [folded[f] for f in close if folded[f] not in found]
        return found[:count]

    def complete(self, typed: str, count: int = 8) -> list[str]:
        """Names that begin with what was typed, in the order of the table: frequent tokens first."""
        wanted = typed.strip().casefold()
        rows = iter(self.words.tolist())
        names = (self.names[row] for row in rows)
        return list(islice((n for n in names if n.strip().casefold().startswith(wanted)), count))

    def find(self, text: str, regex: bool = False) -> list[int]:
        """Rows whose name holds a text, whatever its case, or matches a regular expression.

        Raises:
            LabError: The expression is none, is too long, or takes too long.
        """
        if not text:
            return []
        if not regex:
            wanted = text.casefold()
            return [row for row, name in enumerate(self.names) if wanted in name.casefold()]
        return _matching(self.names, text)


def is_word(name: str) -> bool:
    """Whether a token begins a word and holds nothing but letters.

    >>> [is_word(name) for name in (" king", "king", " 7", " ", " don't")]
    [True, False, False, False, False]
    """
    return name[:1] == " " and name[1:].isalpha()


def _matching(names: Sequence[str], text: str) -> list[int]:
    if len(text) > LONGEST_PATTERN:
        raise LabError(f"The expression has {len(text):,} characters.", f"Use {LONGEST_PATTERN:,} at most.")
    try:
        pattern = patterns.compile(text)
        end = time.monotonic() + _SEARCH_S
        return [
            row
            for row, name in enumerate(names)
            if pattern.search(name, timeout=max(0.001, end - time.monotonic()))
        ]
    except patterns.error as error:
        raise LabError(
            f"{quoted(text, 40)} is no regular expression: {error}.",
            'Write one such as "^ king", or search for plain text.',
        ) from error
    except TimeoutError as error:
        raise LabError(
            f"{quoted(text, 40)} takes longer than {_SEARCH_S:g} s.", "Write a simpler expression."
        ) from error


def select(vectors: Vectors, rows: Sequence[int] | Rows) -> Vectors:
    """Some of the vectors, in the order given."""
    chosen = [int(row) for row in rows]
    return Vectors(
        vectors.title,
        tuple(vectors.names[row] for row in chosen),
        np.ascontiguousarray(vectors.values[chosen]),
        {title: tuple(column[row] for row in chosen) for title, column in vectors.columns.items()},
        None if vectors.ids is None else tuple(vectors.ids[row] for row in chosen),
        f"{vectors.source} {len(chosen):,} of {len(vectors):,} are shown.",
    )


# A model's table of tokens


def token_vectors(model: Transformer, tokenizer: Tokenizer, title: str) -> Vectors:
    """The token embeddings of a model in memory; rows without a token are left out."""
    table = model.embed.weight.detach()
    values = np.empty(tuple(table.shape), np.float32)
    for begin in range(0, len(values), _COPIED):  # the table may lie column by column
        values[begin : begin + _COPIED] = table[begin : begin + _COPIED].numpy()
    return _named(values, tokenizer, title)


def read_token_vectors(
    path: str | os.PathLike[str], title: str = ""
) -> Iterator[Progress | Finished[Vectors]]:
    """Read the token embeddings of a model's files, and nothing else of them; Progress counts bytes.

    Args:
        path: A GGUF file, or a folder with config.json and safetensors; with a tokenizer.
        title: What to call it; else the name of the file or folder.

    Raises:
        LabError: It is no model, has no tokenizer, or the file is damaged.
    """
    from core.model.source import open_model
    from core.tokenizer.gguf_vocabulary import gguf_tokenizer
    from core.tokenizer.reading import read_tokenizer

    source = open_model(path, title)
    if source.header is not None:
        tokenizer = gguf_tokenizer(source.header, source.name)
    else:
        tokenizer = read_tokenizer(source.path)
    return _read_table(source, tokenizer)


def _read_table(source: ModelSource, tokenizer: Tokenizer) -> Iterator[Progress | Finished[Vectors]]:
    import torch

    from core.formats.weights import WeightReader

    (piece,) = source.parameters["embed.weight"]
    values = np.empty(piece.stored.shape, np.float32)
    with WeightReader() as reader:
        for read in reader.read(piece.stored, torch.from_numpy(values)):
            yield Progress(f"Reading {source.name}", read, piece.stored.size, "bytes")
    made = _named(values, tokenizer, source.name)
    yield Finished(f"{len(made):,} token embeddings of {source.name} are read.", made)


def _named(values: Numbers, tokenizer: Tokenizer, title: str) -> Vectors:
    """A table with the names of its rows."""
    special = set(tokenizer.special_tokens.values())
    texts: list[str] = []
    kinds: list[str] = []
    ids: list[int] = []
    for id_ in range(min(len(values), tokenizer.vocab_size)):
        spelled = tokenizer.tokens[id_] if id_ < len(tokenizer.tokens) else None
        if spelled is None and id_ not in special:
            continue
        name, kind = named_token(tokenizer, id_)
        texts.append(name)
        kinds.append("special" if id_ in special else kind)
        ids.append(id_)
    left_out = len(values) - len(ids)
    kept = values if left_out == 0 else np.ascontiguousarray(values[ids])
    source = f"The token embeddings of {title}: {len(ids):,} tokens, {values.shape[1]:,} numbers each."
    if left_out:
        source += f" {left_out:,} rows without a token are left out."
    columns = {"kind": tuple(kinds), "length": tuple(str(len(text.strip())) for text in texts)}
    return Vectors(title, tuple(texts), kept, columns, tuple(ids), source)


def named_token(tokenizer: Tokenizer, id_: int) -> tuple[str, str]:
    """The name of a token, with its space, bytes that are no character as ⟨hex⟩; and what kind it is."""
    parts = readable(tokenizer.token_bytes(id_))
    name = "".join(part.text or f"⟨{part.hex}⟩" for part in parts)
    return name, _kind(name, any(part.hex for part in parts))


def _kind(text: str, has_bytes: bool) -> str:
    """What a token is.

    >>> [_kind(text, False) for text in (" king", "ing", " 12", "!?", "\\n")]
    ['word start', 'inside a word', 'number', 'punctuation', 'punctuation']
    """
    bare = text.strip()
    if has_bytes:
        return "bytes"
    if bare.isnumeric():
        return "number"
    if any(char.isalpha() for char in bare):
        return "word start" if text[:1] == " " else "inside a word"
    return "punctuation"
