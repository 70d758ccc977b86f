"""JSON of the workspace's own small files, bounded before it is believed.

Foreign people's files come into a workspace (a stick, a copied folder), so a manifest is read like a hostile
file: regular files only, a size limit, no duplicate keys, no NaN, no endless numbers, no deep nesting.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from core.artifacts import durable
from core.problems import LabError

MOST_BYTES = 2 << 20  # bytes of one manifest or work.json; hostile ones take 30 times as much memory
MOST_DEPTH = 100  # arrays and objects inside one another
MOST_DIGITS = 19  # of a whole number: what fits 64 bits

FOREIGN = (
    "It is damaged or was not made by LLM Lab: "
    "restore it from a copy, or move its folder out of the workspace."
)


def read_json(path: Path, at_most: int = MOST_BYTES) -> Any:
    """The JSON value in a regular file.

    Raises:
        LabError: The file is missing, a link, not a regular file, too large, or not sound JSON.
    """
    return parse_json(_read_bytes(path, at_most), durable.shown(path))


def parse_json(data: bytes, name: str) -> Any:
    """The JSON value in `data`; `name` says in errors whose it is.

    Raises:
        LabError: The bytes are not sound JSON.

    >>> parse_json(b'{"a": [1, 2.5, null]}', "x.json")
    {'a': [1, 2.5, None]}
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_number,
            parse_constant=_constant,
        )
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode(
                "utf-8"
            )  # half a surrogate pair cannot be shown or saved
    except UnicodeDecodeError as error:
        raise LabError(f"{name} is not UTF-8 at byte {error.start}.", FOREIGN) from error
    except UnicodeEncodeError as error:
        raise LabError(f"{name} holds half a character (a lone surrogate).", FOREIGN) from error
    except RecursionError as error:
        raise LabError(f"{name} is nested deeper than {MOST_DEPTH} levels.", FOREIGN) from error
    except json.JSONDecodeError as error:
        raise LabError(f"{name} is not JSON: line {error.lineno}, column {error.colno}.", FOREIGN) from error
    except ValueError as error:
        raise LabError(f"{name}: {error}", FOREIGN) from error
    if _deeper_than(value, MOST_DEPTH):
        raise LabError(f"{name} is nested deeper than {MOST_DEPTH} levels.", FOREIGN)
    return value


def dump(value: Any, name: str) -> bytes:
    """The bytes of `value` as this module writes it; what would be too large to read back is refused.

    Raises:
        LabError: It is too large; `name` says what.
    """
    try:
        data = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8") + b"\n"
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.end]
        raise LabError(
            f"{name} would hold half a character ({half!r}).", "Remove it from the text."
        ) from error
    if len(data) > MOST_BYTES:
        raise LabError(
            f"{name} would have {durable.in_words(len(data))}; the limit is {durable.in_words(MOST_BYTES)}.",
            "Keep large results in a file of their own beside it.",
        )
    return data


def write_json(path: Path, value: Any) -> None:
    """Write `value` durably.

    Raises:
        LabError: It is too large, or the disk refused.
    """
    durable.write_file(path, dump(value, str(path)))


def plain(value: Any, where: str) -> Any:
    """`value` as JSON can hold it: tuples become lists, numpy numbers plain ones, non-finite ones their name.

    Raises:
        TypeError: Something that is no plain value: a bug of the caller.

    >>> plain({"loss": float("nan"), "shape": (2, 3)}, "metrics")
    {'loss': 'nan', 'shape': [2, 3]}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN, and a diverged run must still be told as it was
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if callable(getattr(value, "item", None)) and getattr(value, "ndim", None) == 0:
        return plain(value.item(), where)
    raise TypeError(f"{where} is a {type(value).__name__}, which JSON cannot hold.")


def _read_bytes(path: Path, at_most: int) -> bytes:
    try:
        return durable.patiently(lambda: _read_regular(path, at_most))
    except FileNotFoundError as error:
        raise LabError(f"{durable.shown(path)} is missing.", FOREIGN) from error
    except OSError as error:
        raise LabError(
            f"{durable.shown(path)} cannot be read: {error.strerror or error}.", FOREIGN
        ) from error


def _read_regular(path: Path, at_most: int) -> bytes:
    _check_regular(os.lstat(path), path, at_most)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(
        os, "O_NONBLOCK", 0
    )  # a pipe put there meanwhile must not hang us
    handle = os.open(path, flags)
    with open(handle, "rb") as file:
        _check_regular(os.fstat(file.fileno()), path, at_most)
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise _too_large(path, len(data), at_most)
    return data


def _check_regular(facts: os.stat_result, path: Path, at_most: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        what = "a link" if stat.S_ISLNK(facts.st_mode) else "not a regular file"
        raise LabError(f"{durable.shown(path)} is {what}.", FOREIGN)
    if facts.st_size > at_most:
        raise _too_large(path, facts.st_size, at_most)


def _too_large(path: Path, size: int, at_most: int) -> LabError:
    return LabError(
        f"{durable.shown(path)} has {durable.in_words(size)}; the limit is {durable.in_words(at_most)}.",
        FOREIGN,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} appears twice.")
    return made


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a whole number has {len(digits):,} digits; the limit is {MOST_DIGITS}.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:40]} is too large.")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows.")


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [item for one in level if isinstance(one, dict | list) for item in _items(one)]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _items(one: dict[str, Any] | list[Any]) -> list[Any]:
    return list(one.values()) if isinstance(one, dict) else one
