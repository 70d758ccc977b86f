"""Small valid vocabularies of each format, and the pieces to build damaged ones of."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.tokenizer.patterns import ALPHABET, BYTE_TO_CHAR, PATTERNS

PAIRS = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ã", "©"), ("o", "o")]
SPECIAL = ["<|end|>", "<|start|>"]
SPELLED = [BYTE_TO_CHAR[byte] for byte in ALPHABET] + [left + right for left, right in PAIRS]
IDS = {name: id_ for id_, name in enumerate(SPELLED + SPECIAL)}


# tokenizer.json


def tokenizer_value() -> dict[str, Any]:
    """The value of a small tokenizer.json."""
    added = [
        {"id": IDS[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for name in SPECIAL
    ]  # fmt: skip
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": dict(IDS), "merges": [list(pair) for pair in PAIRS],
    }  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": copy.deepcopy(PATTERNS["gpt2"].pre_tokenizer), "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": model,
    }  # fmt: skip


def tokenizer_json(change: Callable[[dict[str, Any]], Any] | None = None) -> bytes:
    """The bytes of a small tokenizer.json, after `change` did something to its value."""
    value = tokenizer_value()
    if change is not None:
        change(value)
    return json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")


# Rank files


def rank_tokens() -> list[bytes]:
    """The tokens of a small rank file, in order."""
    return [bytes([byte]) for byte in ALPHABET] + [b"th", b"the", b" the", "é".encode(), b"oo"]


def rank_lines(tokens: Iterable[bytes] | None = None) -> list[bytes]:
    """The lines of a rank file, without their ends."""
    tokens = rank_tokens() if tokens is None else tokens
    return [b"%s %d" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens)]


def ranks(tokens: Iterable[bytes] | None = None) -> bytes:
    """The bytes of a rank file."""
    return b"".join(line + b"\n" for line in rank_lines(tokens))


def gz(data: bytes) -> bytes:
    """One gzip stream, the same on every run."""
    return gzip.compress(data, mtime=0)


# GGUF

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_CODES = "BbHhIif?  QqdX"


def string(value: str | bytes) -> bytes:
    """A string as GGUF has it: the length in 8 bytes, then its bytes."""
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def scalar(kind: int, value: Any) -> bytes:
    """A scalar's bytes."""
    return string(value) if kind == STRING else struct.pack("<" + _CODES[kind], value)


def entry(key: str | bytes, kind: int, value: Any) -> bytes:
    """A metadata entry."""
    return string(key) + struct.pack("<I", kind) + scalar(kind, value)


def array(key: str | bytes, kind: int, values: Sequence[Any], count: int | None = None) -> bytes:
    """A metadata entry that is a list; `count` lies about its length."""
    head = struct.pack("<IIQ", ARRAY, kind, len(values) if count is None else count)
    return string(key) + head + b"".join(scalar(kind, value) for value in values)


def tensor(
    name: str | bytes = "token_embd.weight",
    dims: Sequence[int] = (4, len(IDS)),
    kind: int = 0,
    offset: int = 0,
    count: int | None = None,
) -> bytes:
    """A line of the tensor table; `count` lies about the number of dimensions."""
    head = string(name) + struct.pack("<I", len(dims) if count is None else count)
    return head + struct.pack(f"<{len(dims)}q", *dims) + struct.pack("<IQ", kind, offset)


P = "tokenizer.ggml."


def entries() -> dict[str, bytes]:
    """The metadata of a small GGUF file, by key."""
    types = [1] * len(SPELLED) + [3] * len(SPECIAL)
    return {
        "general.architecture": entry("general.architecture", STRING, "llama"),
        P + "model": entry(P + "model", STRING, "gpt2"),
        P + "pre": entry(P + "pre", STRING, "gpt-2"),
        P + "tokens": array(P + "tokens", STRING, list(IDS)),
        P + "token_type": array(P + "token_type", I32, types),
        P + "merges": array(P + "merges", STRING, [" ".join(pair) for pair in PAIRS]),
        P + "bos_token_id": entry(P + "bos_token_id", U32, IDS["<|start|>"]),
        P + "eos_token_id": entry(P + "eos_token_id", U32, IDS["<|end|>"]),
        P + "add_bos_token": entry(P + "add_bos_token", BOOL, False),
        "tokenizer.chat_template": entry("tokenizer.chat_template", STRING, "{{ messages }}"),
    }


DATA = b"\0" * (4 * len(IDS) * 4)


def gguf(
    changes: dict[str, bytes | None] | None = None,
    *,
    tensors: Sequence[bytes] | None = None,
    data: bytes = DATA,
    version: int = 3,
    n_tensors: int | None = None,
    n_kv: int | None = None,
    alignment: int = 32,
    magic: bytes = b"GGUF",
) -> bytes:
    """A small GGUF file; `changes` replaces, adds or (None) removes entries by key."""
    kept = {k: v for k, v in (entries() | (changes or {})).items() if v is not None}
    tensors = [tensor()] if tensors is None else tensors
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    n_kv = len(kept) if n_kv is None else n_kv
    head = magic + struct.pack("<I", version) + _count(n_tensors) + _count(n_kv)
    head += b"".join(kept.values()) + b"".join(tensors)
    data += b"\0" * (-len(data) % alignment if tensors else 0)
    return head + b"\0" * (-len(head) % alignment) + data


def _count(number: int) -> bytes:
    return struct.pack("<Q", number & (1 << 64) - 1)
