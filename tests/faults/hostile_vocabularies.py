"""The table of hostile vocabularies: name, file, bytes, and what the message must say.

The letters are those of the catalog: H any file, G GGUF, V vocabularies, J JSON. A case with `legal` set is a
strange file that is right, and must load as what it is.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults.small_files import (
    ARRAY,
    BOOL,
    DATA,
    F32,
    I32,
    IDS,
    PAIRS,
    SPELLED,
    STRING,
    U8,
    U32,
    U64,
    P,
    array,
    entry,
    gguf,
    gz,
    rank_lines,
    rank_tokens,
    ranks,
    string,
    tensor,
    tokenizer_json,
    tokenizer_value,
)


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: Letter, number and what is wrong.
        file: Name of the file that is opened.
        content: Its bytes, made when needed.
        says: What the message must contain, or "" where the file is legal.
        legal: Whether it loads.
        beside: Files that lie in the same folder.
    """

    name: str
    file: str
    content: Callable[[], bytes]
    says: str = ""
    legal: bool = False
    beside: dict[str, bytes] = field(default_factory=dict)


def _json(name: str, change: Callable[[dict[str, Any]], Any], says: str = "", **more: Any) -> Case:
    return Case(name, "tokenizer.json", lambda: tokenizer_json(change), says, **more)


def _text(name: str, content: bytes | Callable[[], bytes], says: str, file: str = "tokenizer.json") -> Case:
    return Case(name, file, content if callable(content) else lambda: content, says)


def _gguf(name: str, says: str, legal: bool = False, **parts: Any) -> Case:
    changes = parts.pop("changes", None)
    return Case(name, "model.gguf", lambda: gguf(changes, **parts), says, legal)


def _set(*path: Any) -> Callable[[dict[str, Any]], Any]:
    """A change that sets the value at a path; the last argument is the value."""
    *keys, last, value = path

    def change(root: dict[str, Any]) -> None:
        for key in keys:
            root = root[key]
        root[last] = value

    return change


def _vocab(**ids: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: value["model"]["vocab"].update(ids)


def _raw_vocab(extra: str) -> Callable[[], bytes]:
    """A tokenizer.json with text put at the beginning of its vocabulary, past every JSON writer."""
    return lambda: tokenizer_json().replace(
        b'"vocab": {', b'"vocab": {' + extra.encode("utf-8", "surrogatepass"), 1
    )


def any_file() -> Iterator[Case]:
    """H: what may be wrong with any file."""
    noise = random.Random(1).randbytes(4_000)
    for file in ("tokenizer.json", "vocab.json", "ranks.tiktoken", "ranks.tiktoken.gz", "model.gguf"):
        beside = {"merges.txt": b"#version: 0.2\n"} if file == "vocab.json" else {}
        yield Case(f"H1 empty {file}", file, lambda: b"", "byte 0: the file is empty", beside=beside)
        for size in (1, 2, 3, 4, 5, 6, 7):
            valid = _valid(file)[:size]
            yield Case(f"H2 {size} bytes of {file}", file, lambda v=valid: v, file, beside=beside)
        yield Case(f"H6 noise as {file}", file, lambda: noise, file, beside=beside)
    yield _text("H4 cut in the tensor data", gguf()[:-40], "inside tensor token_embd.weight", "model.gguf")
    yield _text("H5 bytes behind JSON", tokenizer_json() + b"\n{}", "Extra data")
    yield _text("H5 bytes behind GGUF", gguf() + b"PK\3\4" * 20, "80 bytes lie behind", "model.gguf")
    yield _text("H5 bytes behind ranks", ranks() + b"tail", "line 262", "ranks.tiktoken")
    yield _text("H5 bytes behind gzip", gz(ranks()) + b"tail", "something follows", "ranks.tiktoken.gz")
    yield _text("H6 GGUF and noise", b"GGUF" + noise, "model.gguf, byte 4", "model.gguf")
    yield _text("H6 version and noise", gguf()[:8] + noise, "model.gguf, byte 8", "model.gguf")
    yield _text("H6 gzip and noise", gz(ranks())[:10] + noise, "gzip stream is damaged", "ranks.tiktoken.gz")
    yield _text("H6 brace and noise", b"{" + noise, "tokenizer.json, byte")
    yield _text("H7 JSON named gguf", tokenizer_json(), "byte 0: a GGUF file begins with GGUF", "model.gguf")
    yield _text("H7 picture named tiktoken", b"\x89PNG\r\n\x1a\n" + noise, "line 1", "ranks.tiktoken")
    yield _text("H7 unknown extension", b"hello world", "no kind of tokenizer file", "letter.doc")
    yield Case("H7 GGUF named json", "tokenizer.json", gguf, legal=True)
    yield _text("H14 byte-swapped", _swapped(), "byte-swapped", "model.gguf")
    yield Case("H13 weights that are NaN", "model.gguf", lambda: gguf(data=b"\xff" * len(DATA)), legal=True)
    yield _text(
        "gzip that inflates a thousandfold", gz(b"\0" * (40 << 20)), "more than 16,777,216", "r.tiktoken.gz"
    )
    yield _text("gzip cut short", gz(ranks())[:-9], "cut short", "ranks.tiktoken.gz")


def _valid(file: str) -> bytes:
    return {
        "tokenizer.json": tokenizer_json(),
        "vocab.json": json.dumps(IDS).encode(),
        "ranks.tiktoken": ranks(),
        "ranks.tiktoken.gz": gz(ranks()),
        "model.gguf": gguf(),
    }[file]


def _swapped() -> bytes:
    return b"GGUF" + struct.pack(">IQQ", 3, 1, 2) + gguf()[24:]


def gguf_counts() -> Iterator[Case]:
    """G1 to G11: versions, counts, lengths, types and keys."""
    for version in (0, 1, 4, 0x03000000):
        yield _gguf(f"G1 version {version:#x}", "byte 4", version=version)
    yield _gguf("G1 version 2 is read", "", legal=True, version=2)
    for count in (-1, 2**63, 2**32, (2**64 - 1) // 56, 2**62):
        yield _gguf(f"G2 {count} tensors", "byte 8", n_tensors=count)
        yield _gguf(f"G3 {count} keys", "byte 16", n_kv=count)
    yield _gguf("G2 one tensor too many", "byte", n_tensors=2)
    yield _gguf("G3 one key too many", "model.gguf", n_kv=11)
    yield _gguf("G3 one key too few", "model.gguf", n_kv=9)
    for length in (0, 2**64 - 1, 2**63, 5_000_000, 2**32):
        key = struct.pack("<Q", length) + b"key" + struct.pack("<IB", U8, 1)
        yield _gguf(f"G4 key of {length} bytes", "byte", changes={"x": key})
    for length in (2**64 - 1, 2**63, 5_000_000, 2**32):
        text = string("x") + struct.pack("<IQ", STRING, length) + b"abc"
        yield _gguf(f"G5 string of {length} bytes", "a string of", changes={"x": text})
        in_list = array("x", STRING, [], 1) + struct.pack("<Q", length) + b"abc"
        yield _gguf(f"G5 string of {length} bytes in a list", "a string of", changes={"x": in_list})
    for count in (2**64 - 1, 2**63, 2**61, 2**32, 2**30, 3_000):
        for kind in (U8, U32, U64, STRING):
            says = "x announces" if count > 2**30 or kind != U8 or count > 8_000 else "byte"
            if count == 3_000:
                says = "model.gguf"
            yield _gguf(
                f"G6 {count} elements of type {kind}", says, changes={"x": array("x", kind, [], count)}
            )
    yield _gguf("G7 list of lists", "list of lists", changes={"x": array("x", ARRAY, [], 1)})
    deep = string("x") + struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * 10_000
    yield _gguf("G7 lists 10,000 deep", "list of lists", changes={"x": deep})
    for kind in (13, 255, 2**32 - 1):
        unknown = string("x") + struct.pack("<I", kind) + b"\0" * 8
        yield _gguf(f"G8 value type {kind}", "does not exist", changes={"x": unknown})
        listed = string("x") + struct.pack("<IIQ", ARRAY, kind, 1) + b"\0" * 8
        yield _gguf(f"G8 element type {kind}", "does not exist", changes={"x": listed})
    narrow = array(P + "token_type", U8, [1] * len(IDS))
    yield _gguf("G9 token types as u8", "declared as array of u8", changes={P + "token_type": narrow})
    wide = entry(P + "bos_token_id", U64, 1)
    yield _gguf("G9 bos as u64", "declared as u64", changes={P + "bos_token_id": wide})
    yield _gguf("G9 tokens as numbers", "declared as", changes={P + "tokens": array(P + "tokens", I32, [1])})
    yield _gguf("G9 model as a number", "declared as", changes={P + "model": entry(P + "model", U32, 1)})
    yield _gguf(
        "G9 scores as u8 are passed over", "", True, changes={P + "scores": array(P + "scores", U8, [1])}
    )
    yield _gguf("G10 key twice", "a second time", changes={"x": entry(P + "pre", STRING, "gpt-2")})
    names = [tensor("a", (8,)), tensor("a", (8,), offset=32)]
    yield _gguf("G11 tensor twice", "a second time", tensors=names, data=b"\0" * 64)
    yield _gguf("G21 bool of 7", "neither", changes={"x": string("x") + struct.pack("<IB", BOOL, 7)})
    yield _gguf(
        "G21 bool of 7 in a list", "its byte is 7", changes={"x": array("x", BOOL, [0, 1])[:-1] + b"\7"}
    )


def gguf_tensors() -> Iterator[Case]:
    """G12 to G20: the table of tensors."""
    for bad in (
        b"",
        b"a" * 64,
        b"a\0b",
        b"../up",
        b"a\xff",
        b"\x1b[2J",
        b"a b",
        "a\u202eb".encode(),
        b"/abs",
    ):
        yield _gguf(f"G12 tensor named {bad[:9]!r}", "tensor name", tensors=[tensor(bad)])
    for bad in (b"a\0b", b"k\xff", b"a b", "\u202e".encode(), b"\x1b[2J"):
        yield _gguf(f"G12 key named {bad!r}", "metadata key", changes={"x": entry(bad, U8, 1)})
    for count in (0, 5, 2**32 - 1):
        yield _gguf(f"G13 {count} dimensions", "dimensions", tensors=[tensor(count=count)])
    for dims in ((0,), (4, 0), (-1,), (4, -(2**63))):
        yield _gguf(f"G14 size {dims}", "every size must be 1 or more", tensors=[tensor(dims=dims)])
    for dims in ((2**62,), (2**40, 2**40), (2**32, 2**32), (2**62, 4, 1, 1), (2**31, 2**31, 4)):
        yield _gguf(f"G15 product of {dims}", "needs", tensors=[tensor(dims=dims)])
    many = [tensor(f"t{i}", (2**61,), offset=i * 2**63 % 2**64) for i in range(8)]
    yield _gguf("G16 padded sizes that wrap", "needs", tensors=many)
    for value in (0, 3, 33, 2**31):
        alignment = {"general.alignment": entry("general.alignment", U32, value)}
        yield _gguf(f"G17 alignment {value}", "power of two", changes=alignment)
    for kind, value in ((U64, 32), (U8, 32), (STRING, "32"), (F32, 32.0)):
        alignment = {"general.alignment": entry("general.alignment", kind, value)}
        yield _gguf(f"G17 alignment of type {kind}", "not as u32", changes=alignment)
    alignment = {"general.alignment": entry("general.alignment", U32, 64)}
    yield _gguf("G17 alignment 64 is read", "", True, changes=alignment, alignment=64)
    two = (tensor("a", (8,)), tensor("b", (8,), offset=32))
    yield _gguf("G18 two tensors are read", "", True, tensors=two, data=b"\0" * 64)
    for name, offset in (("unaligned", 33), ("overlapping", 0), ("over the end", 2**40), ("with a hole", 64)):
        tensors = (tensor("a", (8,)), tensor("b", (8,), offset=offset))
        yield _gguf(f"G18 offset {name}", "was expected", tensors=tensors, data=b"\0" * 64)
    descending = (tensor("a", (8,), offset=32), tensor("b", (8,)))
    yield _gguf("G18 offsets descending", "was expected", tensors=descending, data=b"\0" * 64)
    yield _gguf("G19 rows that are no blocks", "packs 32 each", tensors=[tensor("a", (100,), kind=2)])
    for kind in (4, 5, 31, 36, 200, 2**32 - 1):
        yield _gguf(f"G20 type {kind}", "does not exist or was removed", tensors=[tensor(kind=kind)])


def gguf_vocabulary() -> Iterator[Case]:
    """G22 to G27: what the header says of tokens."""
    tokens, merges = list(IDS), [" ".join(pair) for pair in PAIRS]

    def with_tokens(changed: list[Any], **more: bytes | None) -> dict[str, bytes | None]:
        return {P + "tokens": array(P + "tokens", STRING, changed), **more}

    def with_merges(changed: list[Any]) -> dict[str, bytes | None]:
        return {P + "merges": array(P + "merges", STRING, changed)}

    rows = [tensor(dims=(4, len(IDS) + 1))]
    yield _gguf("G22 rows other than tokens", "has the shape", tensors=rows, data=DATA + b"\0" * 16)
    yield _gguf("G24 no tokens", "empty", changes=with_tokens([]))
    yield _gguf("G24 a token twice", "is spelled as", changes=with_tokens([*tokens[:-1], "th"]))
    yield _gguf("G24 an empty token", "has no bytes", changes=with_tokens(["", *tokens[1:]]))
    huge = {P + "token_type": None}
    yield _gguf(
        "G24 a token of 1 MB",
        "65,536",
        tensors=[],
        data=b"",
        changes=with_tokens([*tokens[:-3], "a" * 1_000_000], **huge),
    )
    yield _gguf(
        "G24 a token of 2 MB", "above the limit", changes=with_tokens([*tokens[:-1], "a" * 2_000_000])
    )
    yield _gguf(
        "G24 a token that is no UTF-8", "is not valid UTF-8", changes=with_tokens([b"\xff\xfe", *tokens[1:]])
    )
    yield _gguf(
        "G24 a token that is not byte-level", "stands for no byte", changes=with_tokens(["▁the", *tokens[1:]])
    )
    for part in ("bos", "eos", "unknown", "padding"):
        key = f"{P}{part}_token_id"
        for id_ in (len(IDS), 2**32 - 1):
            yield _gguf(f"G25 {part} is {id_}", "the vocabulary has", changes={key: entry(key, U32, id_)})
    for merge in ("x yz", "th zz", "t", " t h", "t  h", "t h e", "", "h t", "t\x1b h"):
        yield _gguf(f"G26 merge {merge!r}", "(merge 6)", changes=with_merges([*merges, merge]))
    yield _gguf("G26 merge twice", "(merge 6)", changes=with_merges([*merges, merges[0]]))
    yield _gguf("G26 merge of a special token", "(merge 6)", changes=with_merges([*merges, "<|end|> t"]))
    template = {
        "tokenizer.chat_template": entry("tokenizer.chat_template", STRING, "{{ ''.__class__.__mro__ }}")
    }
    yield _gguf("G27 a template with an escape is text", "", True, changes=template)
    template = {"tokenizer.chat_template": entry("tokenizer.chat_template", STRING, b"\xff")}
    yield _gguf("G27 a template that is no UTF-8", "not valid UTF-8", changes=template)
    for key in ("model", "pre", "tokens", "merges"):
        yield _gguf(f"no {key}", f"without the key tokenizer.ggml.{key}", changes={P + key: None})
    yield _gguf(
        "vocabulary of another kind", "llama", changes={P + "model": entry(P + "model", STRING, "llama")}
    )
    yield _gguf("pre that is unknown", "pre", changes={P + "pre": entry(P + "pre", STRING, "\x1b(a+)+$")})
    short = array(P + "token_type", I32, [1])
    yield _gguf("types that are too few", "1 types are given", changes={P + "token_type": short})
    for kind in (0, 6, 7, -1, 2**31 - 1):
        types = array(P + "token_type", I32, [kind] + [1] * (len(IDS) - 1))
        yield _gguf(f"token of type {kind}", "has the type", changes={P + "token_type": types})
    yield _gguf("no tensors at all", "", True, tensors=[], data=b"")


def vocabularies() -> Iterator[Case]:
    """V: tokens, ids, merges and patterns."""
    for pattern in ("(a+)+$", "(x*)*y", "(?:a|a)*b", ".*" * 50, "(?R)", "\\p{L}+"):
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        steps = {"type": "Sequence", "pretokenizers": [split, level]}
        yield _json(f"V1 own pattern {pattern[:9]}", _set("pre_tokenizer", steps), "pre_tokenizer")
    for step in (None, 1, [], {}, {"type": "Whitespace"}, {"type": "Metaspace"}, {"type": ["ByteLevel"]}):
        yield _json(f"V1 pre_tokenizer {step}", _set("pre_tokenizer", step), "pre_tokenizer")
    yield _json(
        "V1 space that is neither", _set("pre_tokenizer", "add_prefix_space", "yes"), "add_prefix_space"
    )
    for kind in ("NFC", "NFKC", "Replace", "Prepend", "Lowercase"):
        yield _json(f"V1 normalizer {kind}", _set("normalizer", {"type": kind}), f'normalizer "{kind}"')
    for id_ in (-1, -(2**31), 2**31, 2**22, 2**63 - 1, 1.5, True, None, "1", [1], {}):
        yield _json(f"V2 id {id_}", _vocab(zz=id_), 'model.vocab, "zz"')
    yield _json("V2 id of another token", _vocab(zz=3), "was given before")
    yield _json("V2 id of a special token", _vocab(zz=IDS["<|end|>"]), "special token")
    yield _json("V2 gap", _vocab(zz=500), "no token has the id 263")
    for id_ in (-1, 2**31, 1.5, True, None, "1"):
        yield _json(f"V2 added id {id_}", _set("added_tokens", 0, "id", id_), "added_tokens[0]")
    yield _json(
        "V2 added id twice", lambda v: v["added_tokens"].append({"id": 262, "content": "<x>"}), "was given to"
    )
    yield _json(
        "V2 gap between special tokens",
        lambda v: v["added_tokens"].append({"id": 900, "content": "<x>"}),
        legal=True,
    )
    yield _text("V2 rank gap", b"\n".join([*rank_lines(), b"YWI= 300"]), "none is 261", "r.tiktoken")
    for rank in (b"-1", b"2147483648", b"1e3", b"", b"1_0", b" 5", b"99999999999999999999"):
        yield _text(
            f"V2 rank {rank!r}", b"\n".join([*rank_lines(), b"YWI= " + rank]), "line 262", "r.tiktoken"
        )
    yield _text("V2 rank twice", b"\n".join([*rank_lines(), b"YWI= 3"]), "stands in line 4 too", "r.tiktoken")
    yield _text("V3 key twice", _raw_vocab('"th": 256,'), 'the key "th" stands here a second time')
    yield _text("V3 key twice in escapes", _raw_vocab('"\\u0074h": 256,'), "a second time")
    yield _text(
        "V3 rank token twice", b"\n".join([*rank_lines(), b"dGg= 261"]), "a second time", "r.tiktoken"
    )
    yield _text("V3 byte missing", ranks(rank_tokens()[1:]), "no token is the byte 0x21", "r.tiktoken")
    yield _text("V3 not base64", b"\n".join([*rank_lines(), b"*** 261"]), "is not base64", "r.tiktoken")
    yield _text(
        "V3 base64 without end", b"\n".join([*rank_lines(), b"YWI 261"]), "is not base64", "r.tiktoken"
    )
    yield _text("V3 empty rank token", b"\n".join([*rank_lines(), b" 261"]), "0 bytes", "r.tiktoken")
    for merge in (
        ["ab", ""],
        ["", "ab"],
        ["th", "th"],
        ["zz", "e"],
        ["t"],
        ["t", "h", "e"],
        "t h",
        7,
        None,
        ["t", 1],
        ["the", "the"],
    ):
        yield _json(
            f"V4 merge {merge}", lambda v, m=merge: v["model"]["merges"].append(m), "model.merges, merge 6"
        )
    yield _json("V4 merge twice", lambda v: v["model"]["merges"].append(["t", "h"]), "merge 6")
    yield _json("V4 merge of what comes later is read", lambda v: v["model"]["merges"].reverse(), legal=True)
    yield _json(
        "V4 merges as text", _set("model", "merges", ["t h", "th e", "Ġ the", "Ã ©", "o o"]), legal=True
    )
    for line in ("t", "t h e", " t h", "x yz", "t\th", "", "t h\x1b"):
        text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in PAIRS) + line + "\n"
        vocab = json.dumps({name: id_ for name, id_ in IDS.items() if id_ < len(SPELLED)}).encode()
        yield Case(
            f"V4 line {line!r}",
            "merges.txt",
            lambda t=text: t.encode(),
            "line 7 (merge 6)",
            beside={"vocab.json": vocab},
        )
    yield _text("V5 half a pair in escapes", _raw_vocab('"\\ud800": 900,'), "half a surrogate pair")
    yield _text("V5 half a pair in bytes", _raw_vocab('"\ud800": 900,'), "is not valid UTF-8")
    marks = "e" + "\u0301" * 1_000_000
    yield _json("V5 a million marks", _vocab(**{marks: 900}), "U+0301 stands for no byte")
    yield _json(
        "V5 a million marks, special", _set("added_tokens", 0, "content", marks), "1,000,001 characters"
    )
    yield _json("V6 a token of 1 MB", _vocab(**{"a" * 1_000_000: 263}), "65,536")
    yield _text(
        "V7 a rank token of 1 MB", lambda: ranks([*rank_tokens(), b"a" * 1_000_000]), "65,536", "r.tiktoken"
    )
    yield _text(
        "V7 a tower of ranks",
        lambda: ranks([*rank_tokens(), *(b"a" * k for k in range(2, 2_500))]),
        "too long",
        "r.tiktoken",
    )
    yield Case(
        "V7 white space up to 128",
        "cl100k.tiktoken",
        lambda: ranks([*rank_tokens(), *(b" " * k for k in range(2, 129))]),
        legal=True,
    )
    yield Case(
        "V7 a rank that no merge makes", "r.tiktoken", lambda: ranks([*rank_tokens(), b"xyz"]), legal=True
    )


def settings() -> Iterator[Case]:
    """What a tokenizer.json can set that would change ids, and its neighbor tokenizer_config.json."""
    for key, value in (
        ("dropout", 0.1), ("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>"), ("byte_fallback", True),
        ("fuse_unk", 1), ("ignore_merges", "yes"), ("unk_token", 5), ("vocab", []), ("merges", {}), ("type", "WordPiece"),
    ):  # fmt: skip
        yield _json(f"model.{key}", _set("model", key, value), f"model.{key}")
    for key, value in (
        ("decoder", {"type": "Metaspace"}),
        ("post_processor", {"type": "\x1b[2J"}),
        ("model", 3),
        ("added_tokens", {"a": 1}),
    ):
        yield _json(f"another {key}", _set(key, value), key)
    for flag in ("lstrip", "rstrip", "single_word"):
        yield _json(
            f"added token with {flag}", _set("added_tokens", 1, flag, True), f"added_tokens[1]: {flag}"
        )
    yield _json("added token without content", _set("added_tokens", 1, {"id": 3}), "added_tokens[1]")
    yield _json(
        "added token with an id of its own", _set("added_tokens", 1, "id", 800), "another one in model.vocab"
    )
    yield _json(
        "added token twice", lambda v: v["added_tokens"].append(v["added_tokens"][0]), "was added before"
    )
    yield _json(
        "special as ordinary", lambda v: v["added_tokens"].append({"id": 900, "content": "<x>"}), legal=True
    )
    yield _json("model missing", lambda v: v.pop("model"), "model")
    for key, value in (
        ("bos_token", "<|none|>"), ("eos_token", 7), ("chat_template", 7), ("added_tokens_decoder", [1]),
        ("added_tokens_decoder", {"x": {"content": "<|x|>"}}), ("added_tokens_decoder", {"5": {"content": "<|end|>"}}),
        ("chat_template", "x" * 1_100_000),
    ):  # fmt: skip
        config = json.dumps({key: value}).encode()
        yield Case(
            f"config {key} {str(value)[:30]}",
            "tokenizer.json",
            tokenizer_json,
            f"tokenizer_config.json, {key}",
            beside={"tokenizer_config.json": config},
        )
    config = json.dumps({"auto_map": {"AutoTokenizer": "evil.Evil"}, "trust_remote_code": True}).encode()
    yield Case(
        "P5 auto_map is passed over",
        "tokenizer.json",
        tokenizer_json,
        legal=True,
        beside={"tokenizer_config.json": config},
    )
    other = json.dumps({"tokenizer_class": "Qwen2Tokenizer"}).encode()
    pair = {"merges.txt": b"", "tokenizer_config.json": other}
    yield Case(
        "pair of another pattern", "vocab.json", lambda: _valid("vocab.json"), "tokenizer_class", beside=pair
    )
    yield Case("vocab.json alone", "vocab.json", lambda: _valid("vocab.json"), "needs merges.txt")
    yield Case("merges.txt alone", "merges.txt", lambda: b"t h\n", "needs vocab.json")
    yield Case("ids without merges", "other.json", lambda: _valid("vocab.json"), "without its merges")


def json_texts() -> Iterator[Case]:
    """J: JSON that two readers could understand differently, or that is made to harm."""
    nested = b"[" * 100_000
    yield _text("J lists 100,000 deep", nested, "100 deep")
    yield _text("J closed lists 100,000 deep", nested + b"]" * 100_000, "100 deep")
    yield _text("J objects 50,000 deep", b'{"a":' * 50_000, "100 deep")
    yield _text("J 101 deep", b"[" * 101 + b"]" * 101, "line 1, column 101")
    yield _text("J 5,000 digits", _raw_vocab('"zz": ' + "9" * 5_000 + ","), "a whole number has 5,000 digits")
    for word in ("NaN", "Infinity", "-Infinity"):
        yield _text(f"J {word}", _raw_vocab(f'"zz": {word},'), f"{word} is not a number")
    yield _text("J 1e999", _raw_vocab('"zz": 1e999,'), "is too large")
    yield _text("J a byte order mark", b"\xef\xbb\xbf" + tokenizer_json(), "line 1, column 1")
    yield _text("J UTF-16", tokenizer_json().decode().encode("utf-16"), "byte 0")
    yield _text("J no UTF-8", tokenizer_json().replace(b'"th"', b'"t\xff"', 1), "0xff is not valid UTF-8")
    yield _text(
        "J a raw control character", tokenizer_json().replace(b'"th"', b'"t\x1b"', 1), "Invalid control"
    )
    for text in (b"[]", b"7", b'"x"', b"null", b"true"):
        yield _text(f"J {text.decode()}", text, "line 1")
    yield _text("J three million lists", lambda: b"[" + b"[]," * 3_000_000 + b"[]]", "may hold more")
    yield _text("J six hundred thousand lists", lambda: b'{"model":[' + b"[]," * 600_000 + b"[]]}", "model")
    yield _text("J a duplicate at the end of 100,000 keys", lambda: _many_keys(), "a second time")
    yield _json("J a key of control characters", _vocab(**{"\x1b[31m\u202e": 900}), "model.vocab")
    yield _text("J trailing comma", tokenizer_json().replace(b'"version"', b',"version"', 1), "line 2")


def _many_keys() -> bytes:
    value = tokenizer_value()
    value["model"]["vocab"] = {f"k{i}": i for i in range(100_000)}
    return json.dumps(value).replace('"k99999": 99999', '"k99999": 99999, "k7": 1').encode()


CASES = [
    *any_file(), *gguf_counts(), *gguf_tensors(), *gguf_vocabulary(), *vocabularies(), *settings(), *json_texts()
]  # fmt: skip
