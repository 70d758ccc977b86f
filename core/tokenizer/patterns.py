"""How text is split into words before BPE sees it: the known patterns, and nothing else.

BPE never merges across the border of a word, so the pattern decides what a token can be. One table holds
every pattern in the three spellings of the field: an expression, the `pre_tokenizer` object of a Hugging
Face `tokenizer.json`, and the name that a GGUF file gives it. A pattern in a file is looked up in that table
and never compiled, because a foreign expression can run for ever.

What splits alike, and what does not (each is a test):

- The words are exactly those of `tokenizers` 0.23.3, whose Oniguruma knows Unicode 16, and of tiktoken 0.14,
  which agrees with it on all code points. `regex` knows Unicode 18: 21,000 characters that are letters,
  numbers or marks to it are unassigned to them. `Pattern.split` shows `regex` a stand-in for those. U+0295 is
  one more: lowercase in Unicode 16, without case in 18; only o200k looks at case.
- smollm's first step takes numbers out with Rust's own tables (Unicode 17). Thirteen numbers of Unicode 17
  are therefore named in its expression.
- `(?i:'s)` also finds `'S` and `'ſ` (U+017F, the long s); all engines agree. gpt2 and smollm find
  lowercase only.
- cl100k and llama3 differ in one place. tiktoken takes white space at the very end of a text as one word;
  llama3's expression, which was copied from an earlier tiktoken, ends a word at the last line break: "a\\n  "
  is "a", "\\n  " in cl100k and "a", "\\n", "  " in llama3. GGUF has one name for both, `llama-bpe`, and
  llama.cpp splits as llama3 does; so do most `tokenizer.json` files that were made from cl100k.
- qwen2's normalizer (NFC) comes before its pattern and is not part of it.

This file reads no text files and counts nothing: see `words.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

import regex

from core.problems import LabError

PIECE = 32_768
"""Characters that one call of an expression is given at most (where the text can be cut): it holds the
interpreter's lock for about 3 ms."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CL100K = _LLAMA3.replace(r"|\s*[\r\n]+", r"|\s+\z|\s*[\r\n]+")
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_O200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTIONS + "?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTIONS + "?",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    )
)

# Numbers of Unicode 17, which smollm's first step takes out; its second step is of Unicode 16.
_SMOLLM_NUMBERS = "\U00011de0-\U00011de9\U00016ff4-\U00016ff6"
# Digits are taken out before the rest is split, so a digit ends a run of white space as the text's end does.
_SMOLLM = (
    rf"[\p{{N}}{_SMOLLM_NUMBERS}]|'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+"
    rf"| ?[^\s\p{{L}}\p{{N}}{_SMOLLM_NUMBERS}]+|\s+(?![^\s\p{{N}}{_SMOLLM_NUMBERS}])|\s+"
)

# The same expressions for ASCII text, in Python's own `re`, which takes 0.4 of the time of `regex`.
# Runs are possessive and the frequent case comes first where the alternatives begin differently.
_ASCII_ENDINGS = r"'(?:[sdmt]|ll|ve|re)"
_ASCII_REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_ASCII_CALLED = r"(?i:" + _ASCII_ENDINGS + r")|[^\r\nA-Za-z0-9]?[A-Za-z]++| ?[^\sA-Za-z0-9]++[\r\n]*+"
_ASCII_LLAMA3 = rf"{_ASCII_CALLED}|[0-9]{{1,3}}|{_ASCII_REST}"
_ASCII_CL100K = rf"{_ASCII_CALLED}|[0-9]{{1,3}}|\s+\Z|{_ASCII_REST}"
_ASCII_O200K = (
    rf"[^\r\nA-Za-z0-9]?(?:[A-Z]*+[a-z]++|[A-Z]++)(?i:{_ASCII_ENDINGS})?"
    rf"|[0-9]{{1,3}}| ?[^\sA-Za-z0-9]++[\r\n/]*+|{_ASCII_REST}"
)
_ASCII_GPT2 = rf" ?[A-Za-z]++|{_ASCII_ENDINGS}| ?[^\sA-Za-z0-9]++| ?[0-9]++|\s+(?!\S)|\s+"
_ASCII_SMOLLM = rf" ?[A-Za-z]++|{_ASCII_ENDINGS}| ?[^\sA-Za-z0-9]++|[0-9]|\s+(?![^\s0-9])|\s+"

# Letters, numbers and marks of `regex` 2026.11.15 (Unicode 18) that Unicode 16 has not assigned.
_SINCE_UNICODE_16 = """
558 58B-58C 5C8-5C9 88F B53-B54 C5C CDC 1ACF-1AF0 208F 209D-209F A7CE-A7CF A7D2 A7D4 A7DD A7E2 A7F1
AB6C-AB6D 107BB-107BF 10940-10959 10EC5-10EC7 10ECB-10ECF 10ED9-10EEE 10EF0-10EFB 11B0A 11B60-11B67
11DB0-11DDB 11DE0-11DE9 11DF0-11DF1 1246F 12475-1247F 12550-12686 16EA0-16EB8 16EBB-16ED3
16FF2-16FF6 187F8-187FF 18CD6-18CDA 18D09-18D20 18D80-18DF2 18E00-19191 191A0-191D2 1B123-1B128
1B168 1D127-1D128 1D250-1D252 1D25B-1D25C 1D25F 1D280-1D281 1D6A6 1DF1F-1DF24 1DF2B-1DF81
1DF90-1DF96 1DFCD-1DFFF 1E6C0-1E6DE 1E6E0-1E6F5 1E6FE-1E6FF 2B73A-2B73F 2B81E 2CEA2-2CEAD
323B0-33479 3D000-3FC3F
"""
_STAND_IN = "\uffff"  # a noncharacter: neither letter, number, mark nor white space in any Unicode
_CHANGED_CASE = {"\u0295": "a"}  # lowercase in Unicode 16, caseless in 18; "a" occurs in no contraction

# Where any of the patterns may be cut: before white space that is no line break and follows something
# visible (no word holds that), and between a letter or digit and what is neither letter, mark, digit nor
# apostrophe (the group; no word goes on there, and none looks ahead from there).
_CUT = regex.compile(r"(?r)(?<=\S)[^\S\r\n]|(?<=[\p{L}\p{N}])([^\p{L}\p{M}\p{N}'])")


@dataclass(frozen=True)
class Pattern:
    """One known way to split text into words.

    Attributes:
        name: Short name: "gpt2".
        title: What a person reads: "GPT-2".
        expression: One expression that equals the pattern's steps. tiktoken and `tokenizers` split by it as
            `split` does; `regex` does so except for characters newer than Unicode 16 (see above).
        pre_tokenizer: The `pre_tokenizer` object of a tokenizer.json that splits alike.
        gguf_pre: The value of `tokenizer.ggml.pre` that splits alike, or "" where none does.
        ascii: The expression for ASCII text in the syntax of `re`; "" where the whole text is one word.
    """

    name: str
    title: str
    expression: str
    pre_tokenizer: dict[str, Any] = field(hash=False)
    gguf_pre: str
    ascii: str = field(repr=False)

    def split(self, text: str) -> Iterator[str]:
        """The words of a text, lazily and in order; joined, they are the text.

        >>> list(PATTERNS["gpt2"].split("it's 12  m"))
        ['it', "'s", ' 12', ' ', ' m']
        """
        if not self.ascii:
            if text:
                yield text
            return
        start = 0
        while start < len(text):
            end, window = len(text), PIECE
            while start + window < len(text):
                seen = 1 if window == PIECE else window // 2
                cut = self.last_cut(text[start : start + window], seen)
                if cut:
                    end = start + cut
                    break
                window *= 2
            for batch in self.batches(text[start:end]):
                yield from batch
            start = end

    def last_cut(self, text: str, low: int = 1) -> int:
        """The last place from `low` on where the text can be cut in two, or 0 where there is none.

        The words of `text[:place]` followed by those of `text[place:]`, whatever comes after, are the
        words of the whole. That holds because the character before the place ends a word in each
        pattern: none of the alternatives goes on over that border, the only ones that look ahead do so
        after white space, which does not stand before it, and none looks behind.

        >>> PATTERNS["gpt2"].last_cut("one two")
        3
        """
        if not self.ascii:
            return 0
        newer = None if text.isascii() else _newer()
        for found in _CUT.finditer(text, max(low - 1, 0), concurrent=len(text) > 4 * PIECE):
            place = int(found.start())
            if place < max(low, 1):
                break
            # What is a letter to `regex` only is punctuation to the pattern, which may run on.
            if not (newer and found[1] and text[place - 1] in newer):
                return place
        return 0

    def batches(self, piece: str, at_most: int = 16_384) -> Iterator[list[str]]:
        """The words of a piece in lists of bounded length, so that no call holds the interpreter long.

        A piece of up to four times `PIECE` characters is one list. A longer one (a text that could not be
        cut) is matched without the interpreter's lock, `at_most` words at a time.
        """
        if not self.ascii:
            if piece:
                yield [piece]
        elif len(piece) <= 4 * PIECE:
            yield self.find(piece)
        else:
            shown = self._as_unicode_16(piece)
            spans = _compiled(self.expression).finditer(shown, concurrent=True)
            while batch := [piece[m.start() : m.end()] for m in islice(spans, at_most)]:
                yield batch

    def find(self, piece: str) -> list[str]:
        """The words of a short piece of text in one call."""
        if not self.ascii:
            return [piece] if piece else []
        if piece.isascii():
            return _compiled_ascii(self.ascii).findall(piece)
        shown = self._as_unicode_16(piece)
        if shown is piece:
            return list(_compiled(self.expression).findall(piece))
        return [piece[m.start() : m.end()] for m in _compiled(self.expression).finditer(shown)]

    def _as_unicode_16(self, text: str) -> str:
        """The text, or one of equal length that `regex` splits as Unicode 16 would split the text."""
        if text.isascii():
            return text
        characters = set(text)
        replaced = dict.fromkeys(characters & _newer(), _STAND_IN)
        if self.name == "smollm":
            replaced = {c: s for c, s in replaced.items() if not regex.match(f"[{_SMOLLM_NUMBERS}]", c)}
        if self.name == "o200k":
            replaced |= {c: s for c, s in _CHANGED_CASE.items() if c in characters}
        return text.translate({ord(c): s for c, s in replaced.items()}) if replaced else text


@cache
def _compiled(expression: str) -> regex.Pattern[str]:
    return regex.compile(expression)


@cache
def _compiled_ascii(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.ASCII)


@cache
def _newer() -> frozenset[str]:
    characters: set[str] = set()
    for span in _SINCE_UNICODE_16.split():
        first, _, last = span.partition("-")
        characters.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(characters)


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def _split(expression: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    return _sequence(split, _byte_level(use_regex=False))


_SMOLLM_STEPS = _sequence({"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True))

_TABLE = (
    ("none", "No splitting: the whole text is one word", "(?s:.+)", _byte_level(False), "", ""),
    ("gpt2", "GPT-2", _GPT2, _byte_level(True), "gpt-2", _ASCII_GPT2),
    ("smollm", "SmolLM2: GPT-2 with single digits", _SMOLLM, _SMOLLM_STEPS, "smollm", _ASCII_SMOLLM),
    ("qwen2", "Qwen 2 and 3", _QWEN2, _split(_QWEN2), "qwen2", rf"{_ASCII_CALLED}|[0-9]|{_ASCII_REST}"),
    ("cl100k", "GPT-4 (cl100k)", _CL100K, _split(_CL100K), "llama-bpe", _ASCII_CL100K),
    ("llama3", "Llama 3", _LLAMA3, _split(_LLAMA3), "llama-bpe", _ASCII_LLAMA3),
    ("o200k", "GPT-4o (o200k)", _O200K, _split(_O200K), "gpt-4o", _ASCII_O200K),
)

PATTERNS: dict[str, Pattern] = {row[0]: Pattern(*row) for row in _TABLE}
"""Every pattern by its name."""

# Other spellings of the expressions above, found in files, that split alike.
_SPELLINGS: dict[str, str] = {
    **{p.expression: p.name for p in PATTERNS.values() if p.name not in ("none", "smollm")},
    _GPT2.replace("| ?\\p{L}+| ?\\p{N}+|", "| ?[\\p{L}]+| ?[\\p{N}]+|"): "gpt2",
}

# GGUF names whose expression in llama.cpp is one of ours; others are unknown.
_GGUF_NAMES: dict[str, str] = {
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "jais", "mpt"), "gpt2"),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"), "smollm"),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen"), "qwen2"),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe"), "llama3"),
    **dict.fromkeys(("gpt-4o", "llama4"), "o200k"),
}


def pattern(name: str) -> Pattern:
    """The pattern of a name.

    Raises:
        LabError: No pattern has that name.
    """
    if name not in PATTERNS:
        raise LabError(f"There is no split pattern {name!r}.", f"Choose one of {', '.join(PATTERNS)}.")
    return PATTERNS[name]


def match_gguf_pre(name: str) -> Pattern:
    """The pattern that a GGUF file names in `tokenizer.ggml.pre`.

    Raises:
        LabError: The name is none of the known ones.
    """
    if name not in _GGUF_NAMES:
        raise LabError(
            f"The pre-tokenizer {name!r} is unknown.",
            f"Known are {', '.join(_GGUF_NAMES)}: choose such a file.",
        )
    return PATTERNS[_GGUF_NAMES[name]]


def match_pre_tokenizer(value: Any) -> Pattern:
    """The pattern that the `pre_tokenizer` object of a tokenizer.json stands for; nothing is compiled.

    `add_prefix_space` of a single ByteLevel is left to the reader: it adds a space and splits nothing.

    Args:
        value: The object as read from JSON: a ByteLevel, or a Sequence of a Digits or a Split and
            a ByteLevel.

    Raises:
        LabError: It is none of the known shapes, or its expression is none of the known ones.
    """
    steps = [value]
    if isinstance(value, dict) and value.get("type") == "Sequence":
        steps = value.get("pretokenizers")  # type: ignore[assignment]
    if not isinstance(steps, list) or not all(isinstance(s, dict) for s in steps) or not 1 <= len(steps) <= 2:
        raise _unknown(value)
    last = steps[-1]
    if last.get("type") != "ByteLevel" or not isinstance(use_regex := last.get("use_regex", True), bool):
        raise _unknown(value)
    if len(steps) == 1:
        return PATTERNS["gpt2" if use_regex else "none"]
    if last.get("add_prefix_space", True) is not False:
        raise _unknown(value)  # it would add a space to every word
    first = steps[0]
    if first.get("type") == "Digits" and first.get("individual_digits") is True and use_regex:
        return PATTERNS["smollm"]
    if first.get("type") == "Split" and not use_regex:
        # The expressions find every character, so what they leave out (nothing) may be removed as well.
        how = (first.get("behavior"), first.get("invert", False))
        name = _spelled(first.get("pattern"))
        if name and how in (("Isolated", False), ("Removed", True)):
            return PATTERNS[name]
    raise _unknown(value)


def _spelled(found: Any) -> str | None:
    expression = found.get("Regex") if isinstance(found, dict) else None
    return _SPELLINGS.get(expression) if isinstance(expression, str) else None


def _unknown(value: Any) -> LabError:
    shown = repr(value)
    shown = shown if len(shown) <= 200 else shown[:200] + "…"
    return LabError(
        f"The pre-tokenizer {shown} is none of the known ones.",
        f"Known are those of {', '.join(p.title for p in PATTERNS.values() if p.name != 'none')}.",
    )


def _byte_characters() -> tuple[str, ...]:
    """GPT-2's table: printable bytes stand for themselves, the others for U+0100, U+0101, … in order."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return tuple(chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256))


BYTE_TO_CHAR: tuple[str, ...] = _byte_characters()
"""The character that files show for each byte (GPT-2's `bytes_to_unicode`)."""

CHAR_TO_BYTE: dict[str, int] = {character: byte for byte, character in enumerate(BYTE_TO_CHAR)}
"""The byte that each of the 256 characters stands for."""

ALPHABET: tuple[int, ...] = tuple(sorted(range(256), key=BYTE_TO_CHAR.__getitem__))
"""The bytes in the order of their ids in a tokenizer that Hugging Face's trainer made: id 0 is "!"."""
