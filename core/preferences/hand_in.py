"""One person's answers as one file: what a pupil puts into the class folder or onto a stick.

A file of JSON Lines, not a database: a share may hold it. It appears by one rename, holds this person's
events alone, and its first line has the hash of all others, so that a half-copied one is noticed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.artifacts import durable
from core.formats.bounded_json import parse_json
from core.formats.files import decode_text, read_bytes, shown
from core.preferences import schema
from core.preferences.database import readable
from core.preferences.events import fold
from core.preferences.store import Store
from core.preferences.task import PRACTICE
from core.preferences.texts import as_json
from core.preferences.transfer import COLUMNS, EventRow, row_of
from core.problems import LabError

ENDING = ".answers.jsonl"
FORMAT = 1
_KIND = "llmlab-answers"
_AT_MOST = 1 << 30  # bytes
_AGAIN = "Wait until it is copied whole, or hand it in again."


@dataclass(frozen=True)
class HandedIn:
    """A file that somebody handed in.

    Attributes:
        path: Where it lies.
        annotator: Id of the person.
        name: As that person is called.
        answers: Items with an answer.
        items: Items to be answered.
        task_sha256: Of which task.
        stamp: Size and time of the file: another one means that it was handed in again.
        fault: Why it cannot be read yet, or "".
    """

    path: Path
    annotator: str
    name: str
    answers: int
    items: int
    task_sha256: str
    stamp: tuple[int, int]
    fault: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to answer."""
        return not self.fault and self.answers >= self.items


def event_rows(store: Store, annotator: str | None = None) -> list[EventRow]:
    """The events of a store, or of one person, in order.

    Raises:
        LabError: One of them was changed since it was written: a bit flipped.
    """
    columns = schema.event.c
    wanted = select(*(columns[name] for name in COLUMNS), columns.sum).order_by(
        columns.annotator, columns.turn, columns.seq
    )
    if annotator is not None:
        wanted = wanted.where(columns.annotator == annotator)
    with store.reading() as connection:
        found = [(EventRow(*row[:-1]), row[-1]) for row in connection.execute(wanted).all()]
    with readable(store.name):
        wrong = sum(row.sum() != known for row, known in found)
    if wrong:
        raise LabError(
            f"{store.name} is damaged: {wrong:,} events are not what was written.",
            "Restore the newest backup beside it, or rescue what can be read into a new file.",
        )
    return [row for row, _ in found]


def hand_in(store: Store, annotator: str, folder: Path) -> Path:
    """Write the answers of one person into a folder; handing in again replaces the file.

    Raises:
        LabError: The person has done nothing, or the folder cannot be written; an older file is untouched.
    """
    rows = event_rows(store, annotator)
    if len(rows) < 2:
        raise LabError("There is nothing to hand in yet.", "Answer an item first.")
    people = {person.id: person for person in store.annotators()}
    name = people[annotator].name
    state = fold(row.event() for row in rows)
    kinds = {entry.id: entry.kind for entry in store.entries()}
    answered = sum(not key[1] and kinds.get(key[0]) != PRACTICE for key in state.answers)
    body = "".join(as_json(row.values()) + "\n" for row in rows).encode("utf-8")
    header = {
        "kind": _KIND, "format": FORMAT, "task": store.task.name, "task_sha256": store.task.sha256,
        "annotator": annotator, "name": name, "answers": answered,
        "items": sum(kind != PRACTICE for kind in kinds.values()), "events": len(rows),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    path = folder / f"{slug(store.task.name)}-{slug(name)}-{annotator[:8]}{ENDING}"
    durable.write_file(path, (as_json(header) + "\n").encode("utf-8") + body)
    if _read(path)[1] != body:
        raise LabError(f"{shown(path)} does not read back as it was written.", "Try another folder or stick.")
    return path


def slug(text: str) -> str:
    """A name as a part of a file's name on any system.

    >>> slug("Zoë / ../x"), slug("\u6f22\u5b57")
    ('Zo-x', 'x')
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40] or "x"


def read_answers(
    path: Path, outputs_of: Callable[[str], frozenset[str] | None]
) -> tuple[HandedIn, list[EventRow]]:
    """Read a file that was handed in, whole and checked.

    Raises:
        LabError: It is no such file, cut short, changed, or of a newer format.
    """
    header, body = _read(path)
    lines = decode_text(body, shown(path)).split("\n")[:-1]
    rows = []
    for number, line in enumerate(lines, 2):
        values = parse_json(line, f"{shown(path)}, line {number:,}")
        if not isinstance(values, dict):
            raise LabError(f"{shown(path)}, line {number:,} is no event.", _AGAIN)
        rows.append(row_of(values, f"{shown(path)}, line {number:,}", outputs_of))
    facts = _facts(path, header)
    if any(row.annotator != facts.annotator for row in rows):
        raise LabError(f"{shown(path)} holds answers of somebody else.", _AGAIN)
    return facts, rows


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    first, _, body = read_bytes(path, _AT_MOST).partition(b"\n")
    name = shown(path)
    header = parse_json(decode_text(first[:100_000], name), name) if first.startswith(b"{") else None
    if (
        not isinstance(header, dict)
        or header.get("kind") != _KIND
        or not isinstance(header.get("format"), int)
    ):
        raise LabError(f"{name} holds no answers of LLM Lab.", f"Choose a file that ends in {ENDING}.")
    if header["format"] > FORMAT:
        raise LabError(
            f"{name} has format {header['format']}; this LLM Lab reads {FORMAT}.", "Update LLM Lab."
        )
    if hashlib.sha256(body).hexdigest() != header.get("body_sha256"):
        raise LabError(f"{name} is cut short or was changed.", _AGAIN)
    return header, body


def _facts(path: Path, header: Mapping[str, Any]) -> HandedIn:
    texts = [header.get(key) for key in ("annotator", "name", "task_sha256")]
    counts = [header.get(key) for key in ("answers", "items")]
    if any(not isinstance(text, str) for text in texts) or any(type(count) is not int for count in counts):
        raise LabError(f"{shown(path)} has no sound first line.", _AGAIN)
    found = path.stat()
    return HandedIn(
        path, str(texts[0]), str(texts[1])[:200], int(counts[0] or 0), int(counts[1] or 0), str(texts[2]),
        (found.st_size, found.st_mtime_ns),
    )  # fmt: skip


def watch_folder(folder: Path, seen: Mapping[Path, tuple[int, int]]) -> tuple[HandedIn, ...]:
    """What was handed in, or handed in again, since `seen` (path to `stamp`); faulty files are named, too.

    Raises:
        LabError: The folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(ENDING))
    except OSError as error:
        raise LabError(
            f"{shown(folder)} cannot be read: {error.strerror}.", "Check that the folder is there."
        ) from error
    fresh = []
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue  # just replaced: it is there at the next look
        stamp = (found.st_size, found.st_mtime_ns)
        if seen.get(path) == stamp:
            continue
        try:
            fresh.append(_facts(path, _read(path)[0]))
        except LabError as error:
            fresh.append(HandedIn(path, "", "", 0, 0, "", stamp, error.problem))
    return tuple(fresh)
