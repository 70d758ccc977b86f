"""Prompts and candidates of other people: text, CSV or JSON Lines, read whole or not at all.

    text    a prompt a line, or a prompt a paragraph
    CSV     a header with "prompt"; "category", "output 1", … and "model 1", … where they are given
    JSONL   {"prompt": …, "category": …, "outputs": ["…", {"text": …, "model": …, "settings": {…}}]}

`Imported` names every fault by its line; `checked` gives the prompts only where there is none. Text stays
what it is: nothing in it is run, cleaned or cut.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.formats.bounded_json import parse_json
from core.formats.files import decode_text, quoted, read_bytes, shown
from core.preferences.task import GOLD, KINDS, MOST, MOST_ITEMS, PRACTICE, WORK, Item, Maker, make_item
from core.preferences.texts import TEXT_AT_MOST, Said, checked_text, said_of
from core.problems import LabError

FILE_AT_MOST = 512 << 20  # bytes
FORMS = ("lines", "paragraphs", "csv", "jsonl")
_TOLD = 6  # faults that a message names
_COLUMN = re.compile(r"(?:output|answer|response|completion)[ _]?(\d)")


@dataclass(frozen=True)
class DraftPrompt:
    """A prompt as it was read, with candidates where the file brought some.

    Attributes:
        prompt: Text or turns.
        category: What one can opt out of, or "".
        outputs: Text and maker of each candidate.
        line: Where it was read, from 1.
        kind: "work", "gold" or "practice".
        key: The known order, as places in `outputs`.
    """

    prompt: Said
    category: str = ""
    outputs: tuple[tuple[str, Maker], ...] = ()
    line: int = 0
    kind: str = WORK
    key: tuple[tuple[int, ...], ...] = ()

    def item(self) -> Item:
        """The prompt with its candidates.

        Raises:
            LabError: It has fewer than two different ones, or more than nine.
        """
        return make_item(self.prompt, self.outputs, kind=self.kind, category=self.category, key=self.key)


@dataclass(frozen=True)
class Fault:
    """What is wrong in a line of a file."""

    line: int
    text: str


@dataclass(frozen=True)
class Imported:
    """What a text or file gave.

    Attributes:
        name: What messages call it.
        prompts: Those that are sound.
        faults: What is wrong, by line.
    """

    name: str
    prompts: tuple[DraftPrompt, ...]
    faults: tuple[Fault, ...]

    def checked(self) -> tuple[DraftPrompt, ...]:
        """The prompts, if nothing is wrong.

        Raises:
            LabError: Something is wrong, with the first faults in it; or there is no prompt.
        """
        if self.faults:
            told = [f"line {fault.line:,}: {fault.text.rstrip('.')}" for fault in self.faults[:_TOLD]]
            more = f"; and {len(self.faults) - _TOLD:,} more" if len(self.faults) > _TOLD else ""
            raise LabError(
                f"{self.name}, {'; '.join(told)}{more}.", "Mend these lines; nothing was imported."
            )
        if not self.prompts:
            raise LabError(f"{self.name} holds no prompt.", "Give at least one.")
        return self.prompts


def read_prompts(path: str | os.PathLike[str]) -> Imported:
    """Read a file; its ending says how: .csv, .jsonl, else a prompt a line.

    Raises:
        LabError: It cannot be read, or is no text in UTF-8.
    """
    name = shown(path)
    text = decode_text(read_bytes(path, FILE_AT_MOST), name)
    form = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl"}.get(Path(path).suffix.lower(), "lines")
    return read_prompts_text(text, form, name)


def read_prompts_text(text: str, form: str = "lines", name: str = "The text") -> Imported:
    r"""Read prompts from a text.

    Args:
        form: "lines", "paragraphs" (with empty lines between them), "csv" or "jsonl".
        name: What messages call it.

    >>> [prompt.prompt for prompt in read_prompts_text("Hello.\n\nWho are you?").checked()]
    ['Hello.', 'Who are you?']
    """
    if form not in FORMS:
        raise ValueError(f"form {form!r}")
    text = text.removeprefix("\ufeff")
    prompts: list[DraftPrompt] = []
    faults: list[Fault] = []
    seen: dict[Any, int] = {}
    for line, found in {"csv": _csv, "jsonl": _jsonl}.get(form, _texts)(text, form):
        if isinstance(found, str):
            faults.append(Fault(line, found))
            continue
        first = seen.setdefault((found.prompt, tuple(text for text, _ in found.outputs)), line)
        if first != line:
            faults.append(Fault(line, f"the same prompt stands in line {first:,}"))
        prompts.append(found)
    if len(prompts) > MOST_ITEMS:
        faults.append(Fault(0, f"{len(prompts):,} prompts; at most {MOST_ITEMS:,} are taken"))
    return Imported(name, tuple(prompts), tuple(faults))


Found = Iterator[tuple[int, DraftPrompt | str]]


def _texts(text: str, form: str) -> Found:
    pieces = re.split(r"(\n[ \t\r]*\n+)", text) if form == "paragraphs" else re.split(r"(\n)", text)
    line = 1
    for piece in pieces:
        if piece.strip():
            yield line + len(piece) - len(piece.lstrip("\n")), _sound(piece.strip())
        line += piece.count("\n")


def _sound(text: str) -> DraftPrompt | str:
    try:
        return DraftPrompt(checked_text(text, "the prompt"))
    except LabError as error:
        return error.problem


def _csv(text: str, _form: str) -> Found:
    limit = csv.field_size_limit(TEXT_AT_MOST)
    try:
        rows = list(_rows(text))
    finally:
        csv.field_size_limit(limit)
    if not rows:
        return
    line, header = rows[0]
    if isinstance(header, str):
        yield line, header
        return
    names = [name.strip().lower() for name in header]
    if "prompt" not in names or len(set(names)) != len(names):
        yield (
            1,
            f'the first line is {quoted(",".join(header), 60)}; it must name each column once, and "prompt"',
        )
        return
    for line, row in rows[1:]:
        if isinstance(row, str):
            yield line, row
        elif any(row):
            yield (
                line,
                _of_row(dict(zip(names, row, strict=False)))
                if len(row) == len(names)
                else (f"{len(row)} columns; the first line has {len(names)}"),
            )


def _rows(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Rows with the line that each begins in; what Python's reader refuses is one fault, and the last."""
    first = text.split("\n", 1)[0]
    comma = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"this is not CSV ({error})"
            return
        yield line, row
        line = reader.line_num + 1


def _of_row(row: dict[str, str]) -> DraftPrompt | str:
    outputs = []
    for name, value in row.items():
        found = _COLUMN.fullmatch(name)
        if found and value.strip():
            outputs.append(
                {"text": value, "model": row.get(f"model {found[1]}", row.get(f"model_{found[1]}", ""))}
            )
    return _of_values({"prompt": row["prompt"], "category": row.get("category", ""), "outputs": outputs})


def _jsonl(text: str, _form: str) -> Found:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = parse_json(line, "it")
        except LabError as error:
            yield number, error.problem.removeprefix("it, line 1, ").removeprefix("it, ")
            continue
        if isinstance(values, dict) and "prompt" in values:
            yield number, _of_values(values)
        else:
            yield number, f'{quoted(line.strip(), 40)} is no object with "prompt"'


def _of_values(values: dict[str, Any]) -> DraftPrompt | str:
    category, kind = values.get("category") or "", values.get("kind", WORK)
    given = values.get("outputs", values.get("completions")) or []
    if not isinstance(category, str) or kind not in KINDS or not isinstance(given, list):
        return '"category" is text, "kind" is work, gold or practice, and "outputs" is a list'
    try:
        prompt = said_of(values["prompt"], "the prompt")
        outputs = tuple(_output(value, number) for number, value in enumerate(given, 1))
        made = DraftPrompt(prompt, category, outputs, 0, kind, _key(values.get("key", []), len(outputs)))
        if len(outputs) > MOST:
            return f"{len(outputs)} outputs; at most {MOST} are taken"
        if outputs:
            made.item()
        elif kind in (GOLD, PRACTICE):
            return f"a {kind} prompt without outputs"
    except LabError as error:
        return error.problem
    return made


def _output(value: Any, number: int) -> tuple[str, Maker]:
    if isinstance(value, str):
        return checked_text(value, f"output {number}"), Maker()
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise LabError(f'output {number} is neither text nor an object with "text"', "Mend it.")
    model, settings = value.get("model", ""), value.get("settings", {})
    if not isinstance(model, str) or len(model) > 200 or not isinstance(settings, dict):
        raise LabError(f'output {number}: "model" is text and "settings" an object', "Mend it.")
    return checked_text(value["text"], f"output {number}"), Maker(model, settings)


def _key(value: Any, outputs: int) -> tuple[tuple[int, ...], ...]:
    tiers: Sequence[Any] = value if isinstance(value, list) else [None]
    read = tuple(tuple(tier) if isinstance(tier, list) else (tier,) for tier in tiers)
    if any(type(place) is not int or not 0 <= place < outputs for tier in read for place in tier):
        raise LabError('"key" is a list of places of outputs, counted from 0', "Mend it.")
    return read
