"""What can still be read of a damaged store, put into a new one; the damaged file is never written to.

Rows come straight off the pages (`sqlite_pages.py`) and are believed only where they fit: an item by its
hash, an event by what an event can be. Where the task's header or some items are lost, the .llmlab file of
the task brings them back; answers whose item is lost are written beside, as JSON Lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert

from core.artifacts import durable
from core.formats.bounded_json import parse_json
from core.formats.files import shown
from core.preferences import schema
from core.preferences.sqlite_pages import Value, rows_in
from core.preferences.store import DATABASE, create_store
from core.preferences.task import Item, Task, content_of
from core.preferences.task_json import header_of, item_of
from core.preferences.texts import as_json
from core.preferences.transfer import COLUMNS, EventRow, row_of
from core.problems import LabError
from core.stages import Finished, Progress

LOST = "answers-without-item.jsonl"
_AT_ONCE = 1_000
_EVENT_WIDTH = len(schema.event.columns)


@dataclass(frozen=True)
class Rescued:
    """What was found.

    Attributes:
        store: The new store, or None where the task itself is lost.
        items: Items found in the damaged file.
        events: Events found that belong to an item of the task.
        homeless: Events found whose item is lost; they are in `answers-without-item.jsonl`.
    """

    store: Path | None
    items: int
    events: int
    homeless: int


@dataclass
class _Found:
    header: str | None = None
    items: dict[int, Item] = field(default_factory=dict)
    events: dict[str, EventRow] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)


def rescue(path: Path, folder: Path, task: Task | None = None) -> Iterator[Progress | Finished[Rescued]]:
    """Read what can be read of a damaged store into a new folder.

    Args:
        path: The damaged store; what lies beside it with -wal is read, too.
        folder: New, or empty.
        task: From its .llmlab file: where the damaged file has lost it, or some of its items.

    Raises:
        LabError: The file cannot be read, or the folder is taken.
    """
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        raise LabError(f"{shown(path)} does not exist or is no file.", "Check the name and the folder.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(f"{shown(folder)} exists already and is not empty.", "Choose another folder.")
    return _rescue(path, folder, task)


def _rescue(path: Path, folder: Path, task: Task | None) -> Iterator[Progress | Finished[Rescued]]:
    found = _Found()
    try:
        for number, (rowid, values) in enumerate(rows_in(path), 1):
            _take(found, rowid, values)
            if number % _AT_ONCE == 0:
                yield Progress("Reading what can be read", number, None, "rows")
    except OSError as error:
        raise LabError(
            f"{shown(path)} cannot be read: {error.strerror}.", "Copy it from its disk first."
        ) from error
    made = _task(found, task)
    outputs = {
        item.id: frozenset(output.id for output in item.outputs)
        for item in (*found.items.values(), *(made.items if made else ()))
    }
    homes, homeless = [], []
    for row in sorted(found.events.values(), key=lambda one: (one.annotator, one.turn, found.order[one.id])):
        try:
            homes.append(row_of(row.values(), shown(path), outputs.get))
        except LabError:
            homeless.append(row)
    durable.ensure_folder(folder)
    if made is None:
        homeless = homes + homeless
        homes = []
    if homeless:
        lines = "".join(as_json(row.values()) + "\n" for row in homeless)
        durable.write_file(folder / LOST, lines.encode("utf-8"))
    target = folder / DATABASE if made else None
    if made and target:
        with create_store(target, made) as store, store.writing() as connection:
            for start in range(0, len(homes), _AT_ONCE):
                some = homes[start : start + _AT_ONCE]
                connection.execute(insert(schema.event), [row.columns() for row in some])
    yield Finished(
        f"{len(homes):,} answers and other events were rescued; {len(homeless):,} have no home.",
        Rescued(target, len(found.items), len(homes), len(homeless)),
    )


def _take(found: _Found, rowid: int, values: list[Value]) -> None:
    """Believe a row where it fits one of the tables, by its shape and its content."""
    if len(values) == _EVENT_WIDTH and values[0] is None:
        named = dict(zip((column.name for column in schema.event.columns), values, strict=True))
        texts = (named["id"], named["annotator"], named["type"], named["payload"], named["shown"])
        plain = all(named[name] is None or isinstance(named[name], str | int) for name in COLUMNS)
        if plain and all(isinstance(text, str) for text in texts):
            row = EventRow(**{name: named[name] for name in COLUMNS})  # type: ignore[arg-type]
            if row.sum() == named["sum"] and _reads(row.payload) and row.id not in found.events:
                found.events[row.id] = row
                found.order[row.id] = rowid
    elif len(values) == len(schema.item.columns) and values[0] is None and isinstance(values[4], str):
        try:
            item = item_of(values[4], "an item")
        except LabError:
            return
        if item.id == values[1]:
            found.items.setdefault(rowid, item)
    elif len(values) == len(schema.task.columns) and isinstance(values[2], str) and found.header is None:
        try:
            header_of(parse_json(values[2], "the task"), "the task")
        except LabError:
            return
        found.header = values[2]


def _reads(payload: str) -> bool:
    try:
        return isinstance(json.loads(payload), dict)
    except ValueError:
        return False


def _task(found: _Found, given: Task | None) -> Task | None:
    """The task with all its items: as found, or as given where something is lost."""
    items = tuple(found.items[number] for number in sorted(found.items))
    if found.header is not None:
        task, _, sha256 = header_of(parse_json(found.header, "the task"), "the task")
        if content_of(item.id for item in items) == sha256:
            return Task(task.id, task.name, task.created, task.guidelines, task.settings, items, task.key_id)
        if given is not None and given.sha256 != sha256:
            raise LabError(
                f"“{given.name}” is another task than the damaged file's.",
                "Choose the .llmlab file that it was made from.",
            )
    return given
