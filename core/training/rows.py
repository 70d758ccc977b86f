"""Rows that a model is fine-tuned on, in TRL's formats: demonstrations and comparisons, a JSON object a line.

    {"prompt": "2 + 2 =", "completion": " 4"}                      text, as it stands
    {"prompt": [{"role": "user", "content": "Hello."}],            turns of a chat
     "completion": [{"role": "assistant", "content": "Hi!"}]}
    {"messages": [..., {"role": "assistant", "content": "Hi!"}]}   the last turn is the completion
    {"prompt": ..., "chosen": ..., "rejected": ...}                one answer is better than the other

(https://huggingface.co/docs/trl/dataset_formats.) Other columns are passed over. What is wrong with a row is
said with its line; nothing is mended silently. How rows become tokens is told in `pieces.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.formats.bounded_json import parse_json
from core.formats.files import decode_text, quoted, read_bytes, shown
from core.problems import LabError
from core.stages import Finished, Progress

ROLES = ("system", "user", "assistant")
FILE_AT_MOST = 256 << 20  # bytes
ROW_AT_MOST = 1_000_000  # characters
_TOLD = 6  # faults that a message names
_AT_ONCE = 500  # rows between two events


@dataclass(frozen=True)
class Turn:
    """What one side of a chat says."""

    role: str
    content: str


Said = str | tuple[Turn, ...]
"""Text as it stands, or turns of a chat."""


@dataclass(frozen=True)
class Demonstration:
    """A prompt and how it shall be answered; `line` is where it was read, 0 where nobody read it."""

    prompt: Said
    completion: Said
    line: int = 0


@dataclass(frozen=True)
class Comparison:
    """A prompt with a better and a worse answer."""

    prompt: Said
    chosen: Said
    rejected: Said
    line: int = 0


Row = Demonstration | Comparison
Rows = tuple[Demonstration, ...] | tuple[Comparison, ...]


def asked(text: str) -> tuple[Turn, ...]:
    """A prompt of one turn.

    >>> asked("Hello.")
    (Turn(role='user', content='Hello.'),)
    """
    return (Turn("user", text),)


def answered(text: str) -> tuple[Turn, ...]:
    """An answer of one turn."""
    return (Turn("assistant", text),)


def read_rows(path: Path) -> Iterator[Progress | Finished[Rows]]:
    """Read demonstrations or comparisons; a file holds one of the two.

    Args:
        path: A file of JSON Lines.

    Raises:
        LabError: The file cannot be read; or rows are at fault, of which the first few are named by line.
    """
    lines = decode_text(read_bytes(path, FILE_AT_MOST), shown(path)).split("\n")
    return _read(path, lines)


def _read(path: Path, lines: list[str]) -> Iterator[Progress | Finished[Rows]]:
    rows: list[Row] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found = parse_row(line, number)
            if isinstance(found, str):
                faults.append(f"line {number:,}: {found}")
            else:
                rows.append(found)
        if number % _AT_ONCE == 0:
            yield Progress(f"Reading {shown(path)}", number, len(lines), "lines")
    yield Finished(f"{len(rows):,} rows were read.", checked(rows, faults, shown(path)))


def checked(rows: Sequence[Row], faults: Sequence[str], name: str) -> Rows:
    """The rows, if there are some, all of one kind, and none is at fault.

    Raises:
        LabError: With the first faults in it.
    """
    told = [fault.rstrip(".") for fault in faults]
    if rows and not told:
        kind = type(rows[0])
        told = [
            f"line {row.line:,}: a {_KINDS[type(row)]} among {_KINDS[kind]}s"
            for row in rows
            if type(row) is not kind
        ]
    if told:
        more = f"; and {len(told) - _TOLD:,} more" if len(told) > _TOLD else ""
        raise LabError(
            f"{name}, {'; '.join(told[:_TOLD])}{more}.",
            'Mend these rows. Each is an object with "prompt" and "completion", or "prompt", "chosen" and '
            '"rejected": texts, or lists of {"role", "content"}.',
        )
    if not rows:
        raise LabError(f"{name} holds no row.", "Choose a file with a JSON object on each line.")
    return tuple(rows)  # type: ignore[return-value]  # all of one kind: checked above


_KINDS: dict[type, str] = {Demonstration: "demonstration", Comparison: "comparison"}


def parse_row(text: str, line: int) -> Row | str:
    """A row, or what is wrong with it.

    >>> parse_row('{"prompt": "2 + 2 =", "completion": " 4"}', 3)
    Demonstration(prompt='2 + 2 =', completion=' 4', line=3)
    >>> parse_row('{"prompt": "Hi", "chosen": "a", "rejected": "a"}', 1)
    '"chosen" and "rejected" are the same'
    >>> parse_row('{"prompt": "Hi"}', 1)
    'neither "completion" nor "chosen" and "rejected" stands in it'
    """
    if len(text) > ROW_AT_MOST:
        return f"it has {len(text):,} characters, more than {ROW_AT_MOST:,}"
    try:
        values = parse_json(text, "it")
    except LabError as error:
        return error.problem.removeprefix("it, line 1, ").removeprefix("it, ")
    if not isinstance(values, dict):
        return f"{quoted(text.strip(), 40)} is no object"
    return _of_values(values, line)


def _of_values(values: dict[str, Any], line: int) -> Row | str:
    if "messages" in values and "prompt" not in values:
        if not isinstance(values["messages"], list):
            return '"messages" is no list of turns'
        values = {"prompt": values["messages"][:-1], "completion": values["messages"][-1:]}
    keys: tuple[str, ...]
    if "completion" in values:
        keys = ("prompt", "completion")
    elif "chosen" in values and "rejected" in values:
        keys = ("prompt", "chosen", "rejected")
    else:
        return 'neither "completion" nor "chosen" and "rejected" stands in it'
    if "prompt" not in values:
        return '"prompt" is missing; it must stand on its own, apart from the answers'
    said: list[Said] = []
    for key in keys:
        part = _said(key, values[key])
        if isinstance(part, _Fault):
            return part.text
        said.append(part)
    if len({type(part) for part in said}) > 1:
        return "some of its parts are texts and some are turns of a chat"
    if len(keys) == 2:
        return Demonstration(said[0], said[1], line)
    if said[1] == said[2]:
        return '"chosen" and "rejected" are the same'
    return Comparison(said[0], said[1], said[2], line)


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a part of a row."""

    text: str


def _said(key: str, value: Any) -> Said | _Fault:
    if isinstance(value, str):
        return value if value.strip() or key == "prompt" else _Fault(f'"{key}" is empty')
    if not isinstance(value, list):
        return _Fault(f'"{key}" is {quoted(json.dumps(value), 40)}, neither text nor turns of a chat')
    if not value:
        return _Fault(f'"{key}" has no turn')
    turns = []
    for turn in value:
        if not isinstance(turn, dict) or not isinstance(turn.get("content"), str):
            return _Fault(f'"{key}" has a turn without "role" and "content"')
        if turn.get("role") not in ROLES:
            role = quoted(str(turn.get("role")), 20)
            return _Fault(f'"{key}" has a turn of {role}; roles are {", ".join(ROLES)}')
        turns.append(Turn(turn["role"], turn["content"]))
    if key != "prompt":
        if turns[0].role != "assistant" or turns[-1].role != "assistant":
            return _Fault(f'"{key}" must begin and end with a turn of the assistant')
        if not all(turn.content.strip() for turn in turns):
            return _Fault(f'"{key}" has an empty turn')
    return tuple(turns)


def as_line(row: Row) -> str:
    """A row as it stands in a file, without a line break.

    >>> as_line(Demonstration("2 + 2 =", " 4"))
    '{"prompt": "2 + 2 =", "completion": " 4"}'
    """
    named = {"prompt": row.prompt}
    named |= (
        {"completion": row.completion}
        if isinstance(row, Demonstration)
        else {"chosen": row.chosen, "rejected": row.rejected}
    )
    return json.dumps({key: _plain(part) for key, part in named.items()}, ensure_ascii=False)


def _plain(said: Said) -> Any:
    if isinstance(said, str):
        return said
    return [{"role": turn.role, "content": turn.content} for turn in said]


def chosen_alone(rows: Iterable[Comparison]) -> tuple[Demonstration, ...]:
    """The better answers as demonstrations: what fine-tuning makes of the same prompts.

    >>> chosen_alone([Comparison("Hi", " a", " b", 4)])
    (Demonstration(prompt='Hi', completion=' a', line=4),)
    """
    return tuple(Demonstration(row.prompt, row.chosen, row.line) for row in rows)


def flipped(rows: Iterable[Comparison], percent: int) -> tuple[Comparison, ...]:
    """Comparisons of which some have their answers swapped, as a careless person would: chosen by their text.

    >>> rows = [Comparison(str(n), "a", "b") for n in range(1000)]
    >>> abs(sum(row.chosen == "b" for row in flipped(rows, 25)) - 250) < 40
    True
    """
    return tuple(
        Comparison(row.prompt, row.rejected, row.chosen, row.line) if _share(row) < percent / 100 else row
        for row in rows
    )


def split_rows(rows: Sequence[Row], held_out: float) -> tuple[Rows, Rows]:
    """Rows to learn from, and rows to look at: all rows of a prompt go the same way.

    At least one prompt goes each way where there are two.

    Args:
        rows: All of one kind.
        held_out: Share of the prompts to look at.
    """
    prompts = sorted({row.prompt for row in rows}, key=_of_prompt)
    count = min(max(1, round(held_out * len(prompts))), len(prompts) - 1) if held_out > 0 else 0
    held = set(prompts[:count])
    kept = tuple(row for row in rows if row.prompt not in held)
    return kept, tuple(row for row in rows if row.prompt in held)  # type: ignore[return-value]


def _of_prompt(prompt: Said) -> bytes:
    return hashlib.sha256(json.dumps(_plain(prompt)).encode()).digest()


def _share(row: Comparison) -> float:
    return int.from_bytes(hashlib.sha256(as_line(row).encode()).digest()[:6], "big") / 2**48
