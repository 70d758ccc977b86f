"""The vocabulary in the header of a GGUF file: `tokenizer.ggml.*`, of the kind "gpt2" (byte-level BPE).

Tokens of type control, user-defined and unknown are special tokens, spelled as they are; unused ones have no
bytes. Taken over are bos, eos, unknown and padding where they name a special token, and the chat template.
Whether bos or eos is put around a text is for the model's labs. Tensor data are not read.
"""

from __future__ import annotations

import os
from typing import Any

from core.formats.files import StringArray, quoted, shown
from core.formats.gguf import GgufHeader, read_gguf_header
from core.problems import LabError
from core.tokenizer.patterns import Pattern, match_gguf_pre
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.vocabulary import (
    TEMPLATE_AT_MOST,
    Places,
    halves,
    ordinary_tokens,
    refuse,
    spelled_merges,
    spelled_tokens,
)

_P = "tokenizer.ggml."
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 1, 2, 3, 4, 5
_WHOLE_WORDS_FIRST = ("llama-bpe", "llama3", "llama-v3")  # llama.cpp sets ignore_merges for these names


def read_gguf_tokenizer(path: str | os.PathLike[str], name: str = "") -> Tokenizer:
    """The tokenizer in a GGUF file, called `name` or else as the file is.

    Raises:
        LabError: The header is refused, or the vocabulary is missing, of another kind or contradicts itself;
            file and byte are named.
    """
    header = read_gguf_header(path)
    return gguf_tokenizer(header, name or shown(os.path.splitext(os.fspath(path))[0]))


def gguf_tokenizer(header: GgufHeader, name: str) -> Tokenizer:
    """As `read_gguf_tokenizer`, from a header that was read.

    Raises:
        LabError: As there.
    """
    kind = _needed(header, _P + "model", "string")
    if kind != "gpt2":
        refuse(
            header.name,
            _at(header, _P + "model"),
            f"the vocabulary is of the kind {quoted(kind)}, and only gpt2 (byte-level BPE) is read",
            "Choose a model with a byte-level BPE tokenizer.",
        )
    pattern, before = _pattern(header)
    raw = _needed(header, _P + "tokens", "array of string")
    if not raw:
        refuse(header.name, _at(header, _P + "tokens"), "the list of tokens is empty")
    texts = _texts(raw, header.name, "token")
    places = _places(header, texts, raw)
    ids = {text: id_ for id_, text in enumerate(texts)}
    if len(ids) < len(texts):
        again = next(id_ for id_, text in enumerate(texts) if ids[text] != id_)
        refuse(
            header.name,
            f"byte {raw.place(ids[texts[again]]):,}",
            f"token {ids[texts[again]]:,} is spelled as token {again:,} is",
        )
    vocab, special = _by_type(header, texts)
    merges = _texts(_needed(header, _P + "merges", "array of string"), header.name, "merge")
    pairs = [halves(merge, places, number) for number, merge in enumerate(merges, start=1)]
    vocab = ordinary_tokens(vocab | special, special, pairs)
    tokens = spelled_tokens(vocab, special, places)
    _check_rows(header, len(texts))
    template = header.value("tokenizer.chat_template", "string")
    if template is not None and len(template) > TEMPLATE_AT_MOST:
        refuse(header.name, _at(header, "tokenizer.chat_template"), f"it has {len(template):,} characters")
    return Tokenizer(
        name=name,
        pattern=pattern,
        tokens=tokens,
        merges=spelled_merges(pairs, vocab, places),
        special_tokens=special,
        chat_template=template,
        ignore_merges=before in _WHOLE_WORDS_FIRST,
        bos=_named(header, "bos", texts, special),
        eos=_named(header, "eos", texts, special),
        unk=_named(header, "unknown", texts, special),
        pad=_named(header, "padding", texts, special),
    )


def _pattern(header: GgufHeader) -> tuple[Pattern, str]:
    before = _needed(header, _P + "pre", "string")
    try:
        return match_gguf_pre(before), before
    except LabError as error:
        raise LabError(
            f"{header.name}, {_at(header, _P + 'pre')}: {_P}pre: {quoted(before)} is unknown.", error.remedy
        ) from None


def _needed(header: GgufHeader, key: str, kind: str) -> Any:
    value = header.value(key, kind)
    if value is None:
        refuse(
            header.name,
            f"byte {header.data_start:,}",
            f"the header ends without the key {key}",
            "Choose a model's GGUF file that holds its tokenizer.",
        )
    return value


def _at(header: GgufHeader, key: str) -> str:
    return f"byte {header.places[key]:,}"


def _texts(raw: StringArray, name: str, what: str) -> list[str]:
    try:
        return [text.decode("utf-8") for text in raw]
    except UnicodeDecodeError:
        for number, text in enumerate(raw):
            try:
                text.decode("utf-8")
            except UnicodeDecodeError as error:
                refuse(
                    name, f"byte {raw.place(number) + error.start:,}", f"{what} {number:,} is not valid UTF-8"
                )
        raise


def _places(header: GgufHeader, texts: list[str], raw: StringArray) -> Places:
    def token(text: str) -> str:
        id_ = texts.index(text)
        return f"byte {raw.place(id_):,} (token {id_:,}, {quoted(text)})"

    def merge(number: int) -> str:
        merges = _needed(header, _P + "merges", "array of string")
        return f"byte {merges.place(number - 1):,} (merge {number:,})"

    return Places(header.name, token, merge)


def _by_type(header: GgufHeader, texts: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Ids of the ordinary and of the special tokens."""
    key = _P + "token_type"
    types = header.value(key, "array of i32")
    if types is None:
        return {text: id_ for id_, text in enumerate(texts)}, {}
    if len(types) != len(texts):
        refuse(header.name, _at(header, key), f"{len(types):,} types are given for {len(texts):,} tokens")
    vocab: dict[str, int] = {}
    special: dict[str, int] = {}
    for id_, (text, kind) in enumerate(zip(texts, types.tolist(), strict=True)):
        if kind == _NORMAL:
            vocab[text] = id_
        elif kind in (_CONTROL, _USER_DEFINED, _UNKNOWN):
            special[text] = id_
        elif kind != _UNUSED:
            refuse(
                header.name,
                _at(header, key),
                f"token {id_:,} has the type {kind:,}, which byte-level BPE does not have",
            )
    return vocab, special


def _named(header: GgufHeader, part: str, texts: list[str], special: dict[str, int]) -> str | None:
    """The special token that an id names; None where it is missing or names an ordinary token."""
    key = f"{_P}{part}_token_id"
    id_ = header.value(key, "u32")
    if id_ is None:
        return None
    if id_ >= len(texts):
        refuse(
            header.name, _at(header, key), f"{key} is {id_:,}, and the vocabulary has {len(texts):,} tokens"
        )
    return texts[id_] if texts[id_] in special else None


def _check_rows(header: GgufHeader, count: int) -> None:
    """The embedding has a row for each token."""
    for name in ("token_embd.weight", "output.weight"):
        tensor = header.tensor(name)
        if tensor is not None and (len(tensor.shape) != 2 or tensor.shape[1] != count):
            refuse(
                header.name,
                _at(header, _P + "tokens"),
                f"{count:,} tokens are listed, but {name} has the shape {list(tensor.shape)}",
            )
