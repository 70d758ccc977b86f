"""Erasing a person, so that no byte is left in any file within reach.

SQLite leaves deleted rows in free pages, so nothing is deleted here: a new database is built without the
person, checked, and put into the place of the old one while nobody else can open it. Then copies go, and
the old file is overwritten before it is unlinked. What a disk keeps of unlinked blocks, and files that were
handed out, are out of reach: exports are listed, so that somebody can go after them. On PostgreSQL the
owner's role deletes; dead rows stay until VACUUM, and archives of the server are out of reach.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, text, update
from sqlalchemy.engine import Connection

from core.artifacts import durable
from core.formats.files import shown
from core.preferences import schema
from core.preferences.backups import FOLDER, back_up
from core.preferences.database import sqlite_engine, told
from core.preferences.store import Store, open_store
from core.problems import LabError
from core.stages import Finished, Progress

_AT_ONCE = 1_000  # rows
_SCRUBBED = 1 << 20  # bytes overwritten at a time
_PEOPLES = (schema.event, schema.draft, schema.place)


@dataclass(frozen=True)
class Erased:
    """What was erased.

    Attributes:
        events: Events of the person that are gone.
        kept: Events of others, all of which are there.
        copies: Backups that were deleted; a new one was made.
        exports: Exports and handed-in files that were written from this store and are out of reach.
        ids: The ids that are gone: the person and those joined to it.
    """

    events: int
    kept: int
    copies: int
    exports: tuple[str, ...]
    ids: tuple[str, ...]


def note_export(store: Store, place: Path) -> None:
    """Remember that something was written from this store, for the day on which somebody is erased.

    Raises:
        LabError: The store is open for reading only, or could not be written.
    """
    with store.writing() as connection:
        connection.execute(
            insert(schema.note).values(key=f"export {secrets.token_hex(6)}", value=os.path.abspath(place))
        )


def exports_of(store: Store) -> tuple[str, ...]:
    """What was written from this store or merged into it: files that may hold what is to be erased."""
    with store.reading() as connection:
        key = schema.note.c.key
        rows = connection.execute(
            select(schema.note.c.value).where(or_(key.startswith("export "), key.startswith("merged ")))
        ).all()
    return tuple(sorted({str(row[0]) for row in rows}))


def erase_annotator(path: Path, annotator: str) -> Iterator[Progress | Finished[Erased]]:
    """Erase a person from the store at `path` and from its copies; the store must be closed everywhere.

    Args:
        annotator: Id of the person; those who were joined to that person go, too.

    Raises:
        LabError: Nobody has this id, or the store is open somewhere: nothing was changed.
    """
    with open_store(path) as store:
        ids = _ids(store, annotator)
        exports = exports_of(store)
    return _erase(Path(path), ids, exports)


def _ids(store: Store, annotator: str) -> tuple[str, ...]:
    people = store.annotators()
    if annotator not in {person.id for person in people}:
        raise LabError(
            f"Nobody of the id {annotator[:40]!r} is in {store.name}.", "Look into the list of people."
        )
    return (annotator, *(person.id for person in people if person.joined_to == annotator))


def _erase(
    path: Path, ids: tuple[str, ...], exports: tuple[str, ...]
) -> Iterator[Progress | Finished[Erased]]:
    yield Progress("Building a database without the person", 0, 3, "steps")
    fresh = path.with_name(f".{secrets.token_hex(8)}.part")
    old = _alone(path)
    try:
        gone, kept = _build(old, fresh, ids)
        _verify(fresh, kept, ids)
        aside = path.with_name(f".{secrets.token_hex(8)}.gone")
        durable.sync_file(fresh)
        if durable.ON_WINDOWS:  # no file is replaced there while it is open
            old.close()
            os.replace(path, aside)
        else:
            os.link(path, aside)
        os.replace(fresh, path)
        durable.sync_folder(path.parent)
        _scrub(aside)  # a program that waits for the old file finds that it is no database any more
    except OSError as error:
        raise durable.explain(error, path) from error
    finally:
        old.close()
        for end in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(f"{fresh}{end}")
    yield Progress("Deleting copies", 1, 3, "steps")
    copies = _scrub_copies(path)
    yield Progress("Making a new copy", 2, 3, "steps")
    with open_store(path) as store:
        back_up(store, always=True)
    yield Finished(
        f"{gone:,} events are gone; {kept:,} of others stay.", Erased(gone, kept, copies, exports, ids)
    )


def _alone(path: Path) -> sqlite3.Connection:
    """The old database, opened so that nobody else has it or can get it."""
    connection = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
    problem = LabError(
        f"{shown(path)} is open in another window or program.",
        "Close it everywhere and try again; nothing was changed.",
    )  # fmt: skip
    try:
        # The journal can be changed only by who is alone; with it, the WAL is folded in and deleted.
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        if mode != "delete":
            raise problem  # noqa: TRY301 - closed below like every other failure
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise problem from error
    except BaseException:
        connection.close()
        raise
    return connection


def _build(old: sqlite3.Connection, fresh: Path, ids: Sequence[str]) -> tuple[int, int]:
    """A new database with everything but the person; events gone and kept."""
    engine = sqlite_engine(fresh)
    gone = kept = 0
    try:
        with told(shown(fresh)), engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                schema.create(connection)
                for table in schema.metadata.sorted_tables:
                    count, left = _copy(old, connection, table, ids)
                    if table is schema.event:
                        gone, kept = left, count
            raw: Any = plain.connection.driver_connection
            raw.execute(f"PRAGMA application_id={schema.APPLICATION}")
            raw.execute(f"PRAGMA user_version={schema.SCHEMA}")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        engine.dispose()
    return gone, kept


def _copy(old: sqlite3.Connection, connection: Connection, table: Any, ids: Sequence[str]) -> tuple[int, int]:
    """Rows copied and left out."""
    names = [column.name for column in table.columns]
    listed = ", ".join(f'"{name}"' for name in names)
    cursor = old.execute(f"SELECT {listed} FROM {table.name}")
    count = left = 0
    while rows := cursor.fetchmany(_AT_ONCE):
        made = [dict(zip(names, row, strict=True)) for row in rows]
        if table in _PEOPLES:
            keep = [row for row in made if row["annotator"] not in ids and not _tells(row, ids)]
            left += len(made) - len(keep)
            made = keep
        if table is schema.note:  # paths of handed-in files hold names: they are told in the result and go
            made = [row for row in made if not row["key"].startswith("merged ")]
        if table is schema.slot:
            for row in made:
                row["done"] = bool(row["done"])
                if row["annotator"] in ids:
                    row |= {"annotator": None, "until": 0.0, "done": False}
        if made:
            connection.execute(insert(table), made)
        count += len(made)
    return count, left


def _tells(row: dict[str, Any], ids: Sequence[str]) -> bool:
    """Whether an event of somebody else says who the person was: a joining."""
    return row.get("type") == "join" and json.loads(row["payload"]).get("to") in ids


def _verify(fresh: Path, kept: int, ids: Sequence[str]) -> None:
    with open_store(fresh) as store:
        faults = store.check()
        with store.reading() as connection:
            count = connection.execute(select(func.count()).select_from(schema.event)).scalar_one()
    if faults or count != kept:
        raise LabError(
            f"The new database is not sound: {faults[0] if faults else f'{count:,} events'}.",
            "Nothing was changed.",
        )
    for end in ("", "-wal"):
        if any(_holds(Path(f"{fresh}{end}"), id.encode()) for id in ids):
            raise LabError("The new database still names the person.", "Nothing was changed; report this.")


def _holds(path: Path, what: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            before = b""
            while block := file.read(_SCRUBBED):
                if what in before + block:
                    return True
                before = block[-len(what) :]
    except FileNotFoundError:
        pass
    return False


def _scrub(path: Path) -> None:
    """Overwrite a file with zeros, then unlink it."""
    size = path.stat().st_size
    handle = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    try:
        while size > 0:
            size -= os.write(handle, bytes(min(size, _SCRUBBED)))
        os.fsync(handle)
    finally:
        os.close(handle)
    os.unlink(path)


def _scrub_copies(path: Path) -> int:
    """Delete every copy of the old store: backups, their halves, damaged ones put aside."""
    count = 0
    places = [*path.parent.glob(f"{path.name}.damaged-*"), *path.parent.glob(f"{path.name}-*")]
    folder = path.parent / FOLDER
    places += list(folder.iterdir()) if folder.is_dir() else []
    for place in places:
        with contextlib.suppress(OSError):
            if place.is_file():
                _scrub(place)
                count += place.suffix == ".db"
    return count


def rewrite_snapshots(workspace: Any, path: Path, erased_events: frozenset[str]) -> Iterator[Any]:
    """Publish anew, without the person, each snapshot that holds one of these answers; delete the old one.

    Args:
        workspace: A `core.artifacts.Workspace`.
        path: The store, after the erasing.
        erased_events: Ids of the answers that are gone, read before the erasing by `answers_of`.
    """
    from core.preferences.export_settings import ExportSettings
    from core.preferences.publishing import publish_preferences
    from core.preferences.results import read_results

    with open_store(path, read_only=True) as store:
        results = read_results(store)
    done = 0
    for artifact in [*workspace.artifacts("preferences"), *workspace.trashed()]:
        if artifact.kind != "preferences" or artifact.read_only or not _names(artifact.folder, erased_events):
            continue
        known = {
            name: value for name, value in artifact.settings.items() if name in ExportSettings.__annotations__
        }
        if artifact.state == "here" and results.work():
            yield from (
                event
                for event in publish_preferences(
                    workspace, results, artifact.name, ExportSettings(**known), artifact.parents
                )
                if isinstance(event, Progress)
            )
        for file in sorted(artifact.folder.rglob("*")):
            if file.is_file():
                _scrub(file)
        shutil.rmtree(artifact.folder, ignore_errors=True)
        done += 1
    yield Finished(f"{done:,} snapshots were rewritten or deleted.", done)


def answers_of(store: Store, annotator: str) -> frozenset[str]:
    """Ids of everything that a person did, and of those joined to that person."""
    ids = _ids(store, annotator)
    event = schema.event.c
    with store.reading() as connection:
        return frozenset(
            row[0] for row in connection.execute(select(event.id).where(event.annotator.in_(ids))).all()
        )


def _names(folder: Path, events: frozenset[str]) -> bool:
    for file in folder.glob("rankings*.jsonl"):
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                if any(one.get("annotation_id") in events for one in json.loads(line).get("annotations", ())):
                    return True
    return False


def erase_on_server(store: Store, annotator: str) -> Erased:
    """Erase a person from a PostgreSQL store; only the owner of the tables may.

    Raises:
        LabError: Nobody has this id, or the role may not: nothing was changed.
    """
    ids, exports = _ids(store, annotator), exports_of(store)
    event, slot = schema.event.c, schema.slot.c
    with store.writing() as connection:
        connection.execute(text("ALTER TABLE event DISABLE TRIGGER event_kept"))
        gone = connection.execute(delete(schema.event).where(event.annotator.in_(ids))).rowcount
        for id in ids:
            joined = select(event.id).where(event.type == "join", event.payload.contains(f'"{id}"'))
            gone += connection.execute(delete(schema.event).where(event.id.in_(joined))).rowcount
        for table in (schema.draft, schema.place):
            connection.execute(delete(table).where(table.c.annotator.in_(ids)))
        connection.execute(
            update(schema.slot).where(slot.annotator.in_(ids)).values(annotator=None, until=0.0, done=False)
        )
        connection.execute(text("ALTER TABLE event ENABLE TRIGGER event_kept"))
        kept = connection.execute(select(func.count()).select_from(schema.event)).scalar_one()
    with (
        told(store.name),
        store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        for name in ("event", "draft", "place", "slot"):
            connection.execute(text(f"VACUUM FULL {name}"))
    return Erased(gone, kept, 0, exports, ids)
