"""Answers from many machines put together: databases and files that were handed in.

The same task is recognized by its content. An event that is there already is passed over, so merging twice
changes nothing. Two answers of the same person to the same item that did not know of each other are both
kept; the later one counts, and it is reported. A file that is not of this task, or damaged, is named and
left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from core.formats.files import shown
from core.preferences import queue, schema
from core.preferences.events import fold
from core.preferences.hand_in import ENDING, event_rows, read_answers
from core.preferences.store import Store, create_store, open_store
from core.preferences.task import Task
from core.preferences.transfer import COLUMNS, EventRow, row_of
from core.problems import LabError
from core.stages import Finished, Progress

_AT_ONCE = 2_000  # events


@dataclass(frozen=True)
class Conflict:
    """Two answers of one person to one item, neither of which knew the other; `kept` counts."""

    annotator: str
    item_id: str
    other: str
    kept: str


@dataclass(frozen=True)
class Merged:
    """What one file gave.

    Attributes:
        path: The file.
        people: How many people's events it holds.
        events: Events in it.
        new: Events that were not there before.
        changed: Ids of events that are there with other content: ours was kept.
        conflicts: Answers that did not know of each other.
        fault: Why nothing was taken, or "".
    """

    path: Path
    people: int = 0
    events: int = 0
    new: int = 0
    changed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class MergeReport:
    """What all files gave, one `Merged` each."""

    files: tuple[Merged, ...]

    @property
    def new(self) -> int:
        """Events that were not there before."""
        return sum(one.new for one in self.files)

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """All answers that did not know of each other."""
        return tuple(conflict for one in self.files for conflict in one.conflicts)

    @property
    def faults(self) -> tuple[Merged, ...]:
        """Files of which nothing was taken."""
        return tuple(one for one in self.files if one.fault)


def merge_into(store: Store, paths: Sequence[Path]) -> Iterator[Progress | Merged | Finished[MergeReport]]:
    """Take the events of databases and handed-in files into a store; each file whole or not at all.

    Raises:
        LabError: No file was given, or the store is open for reading only.
    """
    if not paths:
        raise LabError("There is no file to merge.", "Choose databases or files that were handed in.")
    if store.read_only:
        raise LabError(f"{store.name} is open for reading only.", "Open it for writing.")
    return _merge(store, [Path(path) for path in paths])


def _merge(store: Store, paths: Sequence[Path]) -> Iterator[Progress | Merged | Finished[MergeReport]]:
    outputs: dict[str, frozenset[str]] = {}
    for number, item in enumerate(store.items(), 1):
        outputs[item.id] = frozenset(output.id for output in item.outputs)
        if number % _AT_ONCE == 0:
            yield Progress("Reading the items", number, store.task.items, "items")
    done: list[Merged] = []
    for number, path in enumerate(paths, 1):
        try:
            rows = _rows_of(store, path, outputs)
            merged = _take(store, path, rows)
        except LabError as error:
            merged = Merged(path, fault=error.problem)
        done.append(merged)
        yield merged
        yield Progress("Merging", number, len(paths), "files")
    report = MergeReport(tuple(done))
    faults = f" {len(report.faults):,} files gave nothing." if report.faults else ""
    yield Finished(
        f"{report.new:,} new events from {len(paths):,} files; {len(report.conflicts):,} conflicts.{faults}",
        report,
    )


def _rows_of(store: Store, path: Path, outputs: dict[str, frozenset[str]]) -> list[EventRow]:
    if path.name.endswith(ENDING):
        facts, rows = read_answers(path, outputs.get)
        _check_task(store, facts.task_sha256, path)
        return rows
    if store.path is not None and path.exists() and os.path.samefile(path, store.path):
        raise LabError(f"{shown(path)} is the database itself.", "Choose another file.")
    with open_store(path, read_only=True) as other:
        _check_task(store, other.task.sha256, path)
        return [row_of(row.values(), shown(path), outputs.get) for row in event_rows(other)]


def _check_task(store: Store, sha256: str, path: Path) -> None:
    if sha256 != store.task.sha256:
        raise LabError(
            f"{shown(path)} belongs to another task.",
            f"Choose files of “{store.task.name}”, made from its .llmlab.",
        )


def _take(store: Store, path: Path, rows: Sequence[EventRow]) -> Merged:
    """Write what is new, in one transaction; then see what does not fit together."""
    with store.writing() as connection:
        known = _known(connection, [row.id for row in rows])
        new = [row for row in rows if row.id not in known]
        changed = tuple(row.id for row in rows if row.id in known and known[row.id] != row)
        before = {
            id: len(fold(row.event() for row in some).conflicts)
            for id, some in _people(known.values()).items()
        }
        for start in range(0, len(new), _AT_ONCE):
            connection.execute(insert(schema.event), [row.columns() for row in new[start : start + _AT_ONCE]])
        key = f"merged {os.path.abspath(path)}"
        connection.execute(delete(schema.note).where(schema.note.c.key == key))
        connection.execute(insert(schema.note).values(key=key, value=os.path.abspath(path)))
        if store.task.settings.overlap:
            for row in new:
                if row.type == "submit" and not row.attempt and row.item:
                    queue.settle(connection, row.annotator, row.item, done=True, now=store.now())
    people = sorted({row.annotator for row in rows if row.annotator})
    conflicts: list[Conflict] = []
    for annotator in people if new else ():
        state = fold(row.event() for row in event_rows(store, annotator))
        items = {event.id: event.item for chain in state.answers.values() for event in chain}
        fresh = state.conflicts[before.get(annotator, 0) :]
        conflicts += [Conflict(annotator, items.get(kept, ""), other, kept) for other, kept in fresh]
    return Merged(path, len(people), len(rows), len(new), changed, tuple(conflicts))


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, EventRow]:
    columns = schema.event.c
    found: dict[str, EventRow] = {}
    for start in range(0, len(ids), 500):
        wanted = select(*(columns[name] for name in COLUMNS)).where(columns.id.in_(ids[start : start + 500]))
        found |= {row.id: EventRow(*row) for row in connection.execute(wanted).all()}
    return found


def _people(rows: Iterable[EventRow]) -> dict[str, list[EventRow]]:
    found: dict[str, list[EventRow]] = {}
    for row in rows:
        found.setdefault(row.annotator, []).append(row)
    return found


def task_of(store: Store) -> Task:
    """The task of a store, items and all: to hand it out again, or to begin an empty store of it."""
    facts = store.task
    return Task(
        facts.id,
        facts.name,
        facts.created,
        facts.guidelines,
        facts.settings,
        tuple(store.items()),
        facts.key_id,
    )


def new_store_like(path: Path, other: Path) -> Store:
    """An empty store of the same task as `other`, which stays as it is."""
    with open_store(other, read_only=True) as store:
        return create_store(path, task_of(store))
