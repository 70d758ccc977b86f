"""JSON of other people: bounded, and refused where two readers could understand it differently.

Python's own parser keeps the last of two equal keys, takes NaN, and makes an infinity of 1e999; here each is
a LabError with line and column. The fast parser of the standard library does the work; only where it finds a
fault does `_first_fault` walk through the text to say where it is.
"""

from __future__ import annotations

import json
import math
import os
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any

from core.formats.files import decode_text, quoted, read_bytes, shown
from core.problems import LabError

AT_MOST = 64 << 20  # bytes of a file
_CONTAINERS = 700_000  # lists and objects; the largest vocabulary known (Gemma's) has 515,000 pairs of merges
_ITEMS = 2_000_000  # commas
_DEPTH = 100
_WALKED = 2_000_000  # characters of a text up to which the first fault is placed exactly: 0.7 s
_DIGITS = 19  # of a whole number: what fits into 64 bits

# Runs are possessive (`*+`): however a text ends, this finds no second way to read it.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]|-?[0-9][0-9.eE+-]*+|-?Infinity|NaN', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MEND = "Mend the file, or get it again from its source."


class _Found(Exception):  # noqa: N818 - no fault by itself: it ends the fast parser
    """The fast parser met a fault that it cannot place; its argument is a key that stands twice, if any."""


def read_json(path: str | os.PathLike[str], at_most: int = AT_MOST) -> Any:
    """The value in a JSON file.

    Args:
        path: A regular file in UTF-8.
        at_most: Bytes that it may hold.

    Raises:
        LabError: The file cannot be read, is too large, or is refused by `parse_json`.
    """
    return parse_json(read_bytes(path, at_most), shown(path))


def parse_json(data: str | bytes, name: str) -> Any:
    """The value of a JSON text; `name` is what messages call it.

    Raises:
        LabError: It is no JSON; or holds a key twice in an object, NaN, an infinite number, a whole number of
            more than 19 digits, half a surrogate pair, more than 100 levels, or more than 2,000,000 values.
    """
    text = decode_text(data, name) if isinstance(data, bytes) else data
    if text.count("[") + text.count("{") > _CONTAINERS or text.count(",") > _ITEMS:
        raise LabError(
            f"{name}, line 1: it may hold more than {_CONTAINERS:,} lists or {_ITEMS:,} values.",
            "No known tokenizer needs that: the file is damaged or made to harm.",
        )
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno:,}, column {error.colno:,}"
        raise LabError(f"{name}, {place}: this is not JSON ({error.msg}).", _MEND) from None
    except (_Found, RecursionError) as error:
        value = None
        twice = error.args[0] if isinstance(error, _Found) and error.args and len(text) > _WALKED else None
        fault = _first_fault(text) if twice is None else _last_place_of(text, twice)
    else:
        deep = _deeper_than(value, _DEPTH)
        fault = _first_fault(text) if deep or _SURROGATE.search(text) else None
        if fault is None:
            return value
    at, what = fault or (0, "a fault that could not be placed")
    raise LabError(f"{name}, {_place(text, at)}: {what}.", _MEND)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise _Found(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def _int(digits: str) -> int:
    if len(digits) > _DIGITS and len(digits.lstrip("-")) > _DIGITS:
        raise _Found
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Found
    return number


def _constant(_name: str) -> float:
    raise _Found


def _deeper_than(value: Any, depth: int) -> bool:
    """Whether lists and objects lie more than `depth` deep.

    >>> _deeper_than([[1]], 1), _deeper_than([{"a": 1}], 2)
    (True, False)
    """
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _first_fault(text: str) -> tuple[int, str] | None:
    """Index and name of the first thing in valid JSON that `parse_json` refuses, or None."""
    keys: list[set[str] | None] = []  # one for each open object (its keys) or list (None)
    seen: set[str] | None = None  # the last of them
    expects_key = False
    for found in _TOKENS.finditer(text):
        token = found.group()
        kind = token[0]
        if kind == '"':
            word = token[1:-1] if "\\" not in token else scanstring(token, 1)[0]
            if not word.isascii() and any("\ud800" <= c <= "\udfff" for c in word):
                return found.start(), f"{quoted(word)} holds half a surrogate pair, which is no character"
            if expects_key and seen is not None:
                if word in seen:
                    return found.start(), f"the key {quoted(word)} stands here a second time"
                seen.add(word)
                expects_key = False
        elif kind == ",":
            expects_key = seen is not None
        elif kind in "[{":
            seen = set() if kind == "{" else None
            keys.append(seen)
            if len(keys) > _DEPTH:
                return found.start(), f"lists and objects lie more than {_DEPTH} deep"
            expects_key = kind == "{"
        elif kind in "]}":
            keys.pop()
            seen = keys[-1] if keys else None
            expects_key = False
        elif fault := _number_fault(token):
            return found.start(), fault
    return None


def _last_place_of(text: str, key: str) -> tuple[int, str]:
    """Where a key stands last, which is a second time in some object; for a text too long to walk through."""
    at = text.rfind(json.dumps(key, ensure_ascii=False))
    return max(0, at), f"the key {quoted(key)} stands here a second time"


def _number_fault(token: str) -> str:
    """Why a number is refused, or "".

    >>> _number_fault("1e999"), _number_fault("12")
    ('the number 1e999 is too large', '')
    """
    if token[-1] in "Ny":
        return f"{token} is not a number in JSON"
    digits = token.lstrip("-")
    if digits.isdigit():
        return (
            f"a whole number has {len(digits):,} digits; at most {_DIGITS} are read"
            if len(digits) > _DIGITS
            else ""
        )
    return "" if math.isfinite(float(token)) else f"the number {token[:40]} is too large"


def _place(text: str, at: int) -> str:
    """Line and column, both from 1, of the character `at`."""
    return f"line {text.count(chr(10), 0, at) + 1:,}, column {at - text.rfind(chr(10), 0, at):,}"
