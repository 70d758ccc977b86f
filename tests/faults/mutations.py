"""Mutations of small vocabularies that know the format: most of them hit what gives a file its structure.

A mutation returns the bytes and whether it hit a structural field: a key, a type, a count, a length, an id, a
rank, a merge. The others flip, cut, insert or move bytes anywhere.
"""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable
from typing import Any

from tests.faults.small_files import (
    ARRAY,
    BOOL,
    F32,
    I32,
    IDS,
    PAIRS,
    SPECIAL,
    SPELLED,
    STRING,
    U8,
    U32,
    U64,
    P,
    array,
    entries,
    entry,
    gguf,
    rank_lines,
    rank_tokens,
    ranks,
    tensor,
    tokenizer_json,
    tokenizer_value,
)

Mutation = tuple[bytes, bool]
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    255,
    256,
    261,
    262,
    263,
    264,
    300,
    4_096,
    2**22,
    2**31 - 1,
    2**31,
    2**32,
    2**63,
    10**19,
    1.5,
    1e300,
)
WORDS = (
    "",
    " ",
    "a",
    "th",
    "the",
    "Ġ",
    "Ġthe",
    "é",
    "\ufeff",
    "<|end|>",
    "<|x|>",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "e\u0301",
    "BPE",
    "ByteLevel",
    "x" * 300,
)


def rough(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, insert, repeat or overwrite bytes anywhere."""
    at = rng.randrange(len(data))
    size = rng.choice((1, 1, 2, 4, 8, 64))
    kind = rng.randrange(6)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + rng.randbytes(size) + data[at:]
    if kind == 3:
        return data[:at] + data[at + size :]
    if kind == 4:
        return data[:at] + data[at : at + size] * 2 + data[at + size :]
    return data[:at] + rng.randbytes(size) + data[at + size :]


def value(rng: random.Random) -> Any:
    """Some JSON value."""
    return rng.choice(
        (None, True, False, [], {}, [1], {"a": 1}, rng.choice(NUMBERS), rng.choice(WORDS), ["t", "h"])
    )


# tokenizer.json


def mutate_json(rng: random.Random) -> Mutation:
    """A tokenizer.json with one to three mutations."""
    if rng.random() < 0.2:
        return rough(rng, tokenizer_json()), False
    root = tokenizer_value()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        whole = isinstance(root.get("model"), dict)  # an earlier one may have taken it away
        (rng.choice(_JSON) if whole else _anywhere)(rng, root)
    text = json.dumps(root, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
    if rng.random() < 0.1:  # a key twice, which no writer of JSON makes
        at = text.index("{", rng.randrange(text.rindex("{")))
        text = f'{text[: at + 1]}"{rng.choice(WORDS[2:8])}": 1, {text[at + 1 :]}'
    return text.encode("utf-8", "surrogatepass"), True


def _anywhere(rng: random.Random, root: dict[str, Any]) -> None:
    """Change, remove or add at a random place."""
    here: Any = root
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            here["x" if isinstance(here, dict) else slice(0, 0)] = (
                value(rng) if isinstance(here, dict) else [value(rng)]
            )
            return
        key = rng.choice(keys)
        if isinstance(here[key], dict | list) and rng.random() < 0.8:
            here = here[key]
            continue
        kind = rng.randrange(4)
        if kind == 0:
            del here[key]
        elif kind == 1 and isinstance(here, dict):
            here[rng.choice(WORDS)] = here.pop(key)
        else:
            here[key] = value(rng)
        return


def _ids(rng: random.Random, root: dict[str, Any]) -> None:
    vocab = root["model"].get("vocab")
    if not isinstance(vocab, dict) or len(vocab) < 2:
        return
    one, other = rng.sample(list(vocab), 2)
    kind = rng.randrange(4)
    if kind == 0:
        vocab[one], vocab[other] = vocab[other], vocab[one]
    elif kind == 1:
        vocab[one] = rng.choice(NUMBERS)
    elif kind == 2:
        vocab[rng.choice(WORDS)] = len(vocab)
    else:
        vocab.pop(one)


def _merges(rng: random.Random, root: dict[str, Any]) -> None:
    merges, vocab = root["model"].get("merges"), root["model"].get("vocab")
    if not isinstance(merges, list) or not isinstance(vocab, dict) or not merges:
        return
    kind = rng.randrange(6)
    at = rng.randrange(len(merges))
    if kind == 0:
        merges.pop(at)
    elif kind == 1:
        rng.shuffle(merges)
    elif kind == 2:
        merges.append(merges[at])
    elif kind == 3:
        merges[at] = [rng.choice(WORDS), rng.choice(WORDS)]
    elif kind == 4:
        root["model"]["merges"] = [" ".join(map(str, m)) if isinstance(m, list) else m for m in merges]
    else:  # one that is right, with its token
        left, right = rng.choice(SPELLED), rng.choice(SPELLED)
        merges.append([left, right])
        vocab.setdefault(left + right, max((i for i in vocab.values() if type(i) is int), default=0) + 1)


def _added(rng: random.Random, root: dict[str, Any]) -> None:
    added = root.get("added_tokens")
    if not isinstance(added, list):
        return
    kind = rng.randrange(4)
    if kind == 0:
        added.append({"id": rng.choice((263, 264, 300, 5, -1, 2**40)), "content": rng.choice(WORDS)})
    elif kind == 1:
        added.clear()
    elif kind == 2:
        rng.shuffle(added)
    elif added and isinstance(added[0], dict):
        added[0][rng.choice(("id", "content", "lstrip", "special", "normalized"))] = value(rng)


def _steps(rng: random.Random, root: dict[str, Any]) -> None:
    from core.tokenizer.patterns import PATTERNS

    key = rng.choice(
        ("pre_tokenizer", "pre_tokenizer", "normalizer", "decoder", "post_processor", "truncation")
    )
    if key == "pre_tokenizer":
        step = json.loads(json.dumps(rng.choice(list(PATTERNS.values())).pre_tokenizer))
        if rng.random() < 0.3 and step["type"] == "ByteLevel":
            step["add_prefix_space"] = rng.choice((True, False, 1, None))
        root[key] = step
    else:
        root[key] = rng.choice(
            (None, {"type": rng.choice(WORDS)}, {"type": "Sequence", "decoders": [value(rng)]})
        )


_JSON: tuple[Callable[[random.Random, dict[str, Any]], None], ...] = (
    _anywhere,
    _ids,
    _ids,
    _merges,
    _merges,
    _added,
    _steps,
)


# Rank files


def mutate_ranks(rng: random.Random) -> Mutation:
    """A rank file with one to three mutations."""
    if rng.random() < 0.2:
        return rough(rng, ranks()), False
    lines = rank_lines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        lines = _change_lines(rng, lines)
    return rng.choice((b"\n", b"\n", b"\n", b"\r\n")).join(lines) + rng.choice(
        (b"\n", b"\n", b"", b"\n\n")
    ), True


def _change_lines(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    token, _, rank = lines[at].partition(b" ")
    kind = rng.randrange(9)
    if kind == 0:
        lines[at] = token + b" " + str(rng.choice(NUMBERS)).encode()
    elif kind == 1:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 2:
        lines.pop(at)
    elif kind == 3:
        lines.insert(at, lines[other])
    elif kind == 4:
        lines[at] = rng.choice((b" ", b"\t", b"  ", b"")).join((token, rank))
    elif kind == 5:
        lines[at] = rough(rng, lines[at] or b"x")
    elif kind == 6:  # two ranks exchanged
        lines[at] = token + b" " + lines[other].partition(b" ")[2]
        lines[other] = lines[other].partition(b" ")[0] + b" " + rank
    else:  # tokens that are right, or that nothing makes
        parts = rank_tokens()
        made = b"".join(rng.choices(parts, k=rng.choice((2, 2, 2, 3, 5))))
        lines.append(base64.b64encode(made) + b" %d" % len(lines))
    return lines


# GGUF


def mutate_gguf(rng: random.Random) -> Mutation:
    """A GGUF file with one to three mutations of its entries or of its bytes."""
    kind = rng.random()
    if kind < 0.2:
        return rough(rng, gguf()), False
    if kind < 0.45:
        return _numbers(rng, gguf()), True
    changes: dict[str, bytes | None] = {}
    for _ in range(rng.choice((1, 1, 1, 2))):
        key, made = rng.choice(_GGUF)(rng)
        changes[key] = made
    tensors = None
    if rng.random() < 0.15:
        dims = [rng.choice((0, 1, 4, 5, len(IDS), 2**32, 2**62)) for _ in range(rng.randrange(1, 5))]
        tensors = [
            tensor(
                rng.choice(("token_embd.weight", "a", "")), dims, rng.randrange(45), rng.choice((0, 0, 32))
            )
        ]
    if P + "tokens" in changes and tensors is None:
        tensors = []
    return gguf(changes, tensors=tensors, version=rng.choice((2, 3, 3, 3, 3))), True


def _numbers(rng: random.Random, data: bytes) -> bytes:
    """Overwrite one of the numbers that hold the file together: a count, a length or a type."""
    at, width = rng.choice(_FIELDS)
    old = int.from_bytes(data[at : at + width], "little")
    new = rng.choice(
        (
            *(n for n in NUMBERS if isinstance(n, int)),
            old + 1,
            old - 1,
            old * 2,
            old + 8,
            rng.getrandbits(8 * width),
        )
    )
    return data[:at] + (new % (1 << 8 * width)).to_bytes(width, "little") + data[at + width :]


def _fields(data: bytes) -> list[tuple[int, int]]:
    """Place and width of every count, length and type of the seed."""
    places = [(4, 4), (8, 8), (16, 8)]
    at = 24
    u32, u64 = (
        (lambda p: struct.unpack_from("<I", data, p)[0]),
        (lambda p: struct.unpack_from("<Q", data, p)[0]),
    )
    widths = {U8: 1, BOOL: 1, U32: 4, I32: 4, F32: 4, U64: 8}
    for _ in range(u64(16)):
        places.append((at, 8))
        at += 8 + u64(at)
        places.append((at, 4))
        kind, at = u32(at), at + 4
        count = 1
        if kind == ARRAY:
            places += [(at, 4), (at + 4, 8)]
            kind, count, at = u32(at), u64(at + 4), at + 12
        for i in range(count):
            if kind != STRING:
                at += widths[kind]
                continue
            if i % 20 == 0 or count < 20:  # the lengths of the many tokens shall not crowd out the rest
                places.append((at, 8))
            at += 8 + u64(at)
    places.append((at, 8))
    at += 8 + u64(at)
    return [*places, (at, 4), (at + 4, 8), (at + 12, 8), (at + 20, 4), (at + 24, 8)]


_FIELDS = _fields(gguf())


def _types(rng: random.Random) -> tuple[str, bytes | None]:
    types = [1] * len(SPELLED) + [3] * len(SPECIAL)
    for _ in range(rng.choice((1, 2, 5))):
        types[rng.randrange(len(types))] = rng.choice((0, 1, 2, 3, 3, 4, 5, 6, 99, -1))
    return P + "token_type", array(
        P + "token_type", rng.choice((I32, I32, I32, U32)), [abs(t) for t in types]
    )


def _tokens(rng: random.Random) -> tuple[str, bytes | None]:
    tokens: list[Any] = list(IDS)
    kind = rng.randrange(4)
    at, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    if kind == 0:
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif kind == 1:
        tokens[at] = rng.choice((*WORDS, b"\xff", "a" * 70_000))
    elif kind == 2:
        tokens.pop(at)
    else:
        tokens[at] = tokens[other]
    return P + "tokens", array(P + "tokens", STRING, tokens)


def _gguf_merges(rng: random.Random) -> tuple[str, bytes | None]:
    merges: list[str] = [" ".join(pair) for pair in PAIRS]
    kind = rng.randrange(4)
    if kind == 0:
        rng.shuffle(merges)
    elif kind == 1:
        merges.pop(rng.randrange(len(merges)))
    elif kind == 2:
        merges.append(f"{rng.choice(WORDS)}{rng.choice((' ', '  ', ''))}{rng.choice(WORDS)}")
    else:
        merges.append(rng.choice(merges))
    return P + "merges", array(P + "merges", STRING, merges)


def _special_id(rng: random.Random) -> tuple[str, bytes | None]:
    key = f"{P}{rng.choice(('bos', 'eos', 'unknown', 'padding'))}_token_id"
    kind = rng.choice((U32, U32, U32, U64, I32, STRING))
    return key, entry(
        key, kind, rng.choice(WORDS) if kind == STRING else rng.choice((0, 261, 262, 263, 2**31 - 1))
    )


def _text(rng: random.Random) -> tuple[str, bytes | None]:
    key = rng.choice((P + "model", P + "pre", P + "pre", "tokenizer.chat_template", "general.name", "x"))
    word = rng.choice((*WORDS, "gpt2", "llama", "gpt-2", "smollm", "qwen2", "llama-bpe", "gpt-4o"))
    return key, entry(key, STRING, word)


def _removed(rng: random.Random) -> tuple[str, bytes | None]:
    return rng.choice(list(entries())), None


def _alignment(rng: random.Random) -> tuple[str, bytes | None]:
    kind = rng.choice((U32, U32, U64))
    return "general.alignment", entry("general.alignment", kind, rng.choice((0, 1, 3, 8, 16, 32, 64, 2**31)))


_GGUF: tuple[Callable[[random.Random], tuple[str, bytes | None]], ...] = (
    _types, _types, _tokens, _gguf_merges, _gguf_merges, _special_id, _special_id, _text, _text, _removed, _alignment
)  # fmt: skip
