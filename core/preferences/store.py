"""The store: one task and everything people did with it, in a database that only adds.

`create_store` makes one, `open_store` opens it; `Store.session` is what one person works through. A store
has no lock of its own: two windows on one file take turns. What a session does is in `session.py`; copies,
merging and erasing are in files of their own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Text, cast, func, insert, literal, select
from sqlalchemy.engine import Connection, Engine

from core.artifacts.manifest import app_version
from core.formats.files import shown
from core.preferences import schema
from core.preferences.database import Now, readable, server_engine, sqlite_engine, stored, told
from core.preferences.events import Event
from core.preferences.facts import Annotator, Entry, ItemLine, TaskFacts
from core.preferences.structure import check_kind, check_tables
from core.preferences.task import WORK, Guidelines, Item, Task
from core.preferences.task_json import header_of, header_values, item_json, item_of
from core.preferences.texts import as_json, prompt_text
from core.preferences.transfer import EventRow
from core.problems import LabError

if TYPE_CHECKING:
    from core.preferences.outbox import Outbox
    from core.preferences.session import Session

__all__ = ["Annotator", "Entry", "ItemLine", "Store", "TaskFacts", "create_store", "open_store"]

DATABASE = "rankings.db"
NAME_AT_MOST = 200  # characters of a person's name
_AT_ONCE = 2_000  # items written between two looks at the clock
_START = 160  # characters of a prompt that a list shows


def create_store(path: str | os.PathLike[str], task: Task, now: Now = time.time) -> Store:
    """Make a store of a task: a file that appears whole, or tables in an empty PostgreSQL database.

    Args:
        path: A file that does not exist, or a URL.
        now: Seconds since 1970.

    Raises:
        LabError: Something is there already, or it could not be written.
    """
    if _is_url(path):
        engine = server_engine(os.fspath(path))
        with Store(engine, None, _shown_url(engine), False, now) as store, store.writing() as connection:
            _fill(connection, task)
        return open_store(path, now=now)
    path = Path(path)
    if os.path.lexists(path):
        raise LabError(f"{shown(path)} exists already.", "Choose another name; nothing is overwritten.")
    fresh = path.with_name(f".{secrets.token_hex(8)}.part")
    store = Store(sqlite_engine(fresh), fresh, shown(path), False, now)
    try:
        with store.writing() as connection:
            _fill(connection, task)
        with told(store.name), store.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            connection.rollback()
            raw.execute(f"PRAGMA application_id={schema.APPLICATION}")
            raw.execute(f"PRAGMA user_version={schema.SCHEMA}")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.close()
        with told(store.name):
            os.replace(fresh, path)
    finally:
        store.close()
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{fresh}{end}")
    return open_store(path, now=now)


def _fill(connection: Connection, task: Task) -> None:
    schema.create(connection)
    header = as_json(header_values(task))
    connection.execute(insert(schema.task).values(id=task.id, sha256=task.sha256, header=header))
    connection.execute(insert(schema.note).values(key="schema", value=str(schema.SCHEMA)))
    overlap = task.settings.overlap
    for start in range(0, len(task.items), _AT_ONCE):
        some = list(enumerate(task.items[start : start + _AT_ONCE], start + 1))
        rows = [
            {
                "number": number,
                "id": item.id,
                "kind": item.kind,
                "category": item.category,
                "content": item_json(item),
            }
            for number, item in some
        ]
        connection.execute(insert(schema.item), rows)
        slots = [
            {"number": number, "slot": slot, "item": item.id, "until": 0.0, "done": False}
            for number, item in some
            if item.kind == WORK
            for slot in range(overlap)
        ]
        if slots:
            connection.execute(insert(schema.slot), slots)


def open_store(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    password: str | None = None,
    now: Now = time.time,
) -> Store:
    """Open a store that is there.

    Args:
        path: A file, or a URL such as postgresql://user@host/database.
        read_only: Nothing is written, not even a journal.
        password: Of a server, where neither the environment nor the keyring has it.

    Raises:
        LabError: It is no store, damaged, of a newer version, on a network share, or not to be reached.
    """
    if _is_url(path):
        engine = server_engine(os.fspath(path), password)
        store = Store(engine, None, _shown_url(engine), read_only, now)
    else:
        path = Path(path)
        if not path.is_file():
            raise LabError(f"{shown(path)} does not exist or is no file.", "Check the name and the folder.")
        check_kind(path)
        store = Store(sqlite_engine(path, read_only=read_only), path, shown(path), read_only, now)
    try:
        store.load()
    except BaseException:
        store.close()
        raise
    return store


def _is_url(path: str | os.PathLike[str]) -> bool:
    return isinstance(path, str) and "://" in path


def _shown_url(engine: Engine) -> str:
    return engine.url.set(password=None, query={}).render_as_string()


class Store:
    """A store that is open; use it in a `with`, or close it.

    Attributes:
        engine: SQLAlchemy's; for this package alone.
        path: The file, or None on a server.
        name: What messages call it.
        read_only: Whether writing is refused.
        now: Seconds since 1970.
    """

    def __init__(self, engine: Engine, path: Path | None, name: str, read_only: bool, now: Now) -> None:
        self.engine = engine
        self.path = path
        self.name = name
        self.read_only = read_only
        self.now = now
        self._facts: TaskFacts | None = None
        self._entries: tuple[Entry, ...] | None = None

    # Opening and closing

    def load(self) -> None:
        """Read the task's header and see that the tables are ours."""
        with self.reading() as connection:
            if connection.dialect.name == "sqlite":
                check_tables(connection, self.name)
            row = connection.execute(select(schema.task.c.header)).one_or_none()
        if row is None:
            raise LabError(f"{self.name} holds no task.", "Choose another file.")
        task, items, sha256 = header_of(stored(row[0], self.name), self.name)
        self._facts = TaskFacts(
            task.id, task.name, task.created, task.guidelines, task.settings, task.key_id, sha256, items
        )
        newest = self._newest_guidelines()
        if newest is not None:
            self._facts = replace(self._facts, guidelines=newest)

    def close(self) -> None:
        """Let go of the database, once or more often."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the store."""
        with told(self.name), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; when the `with` ends without an error, it has reached the disk.

        Raises:
            LabError: The store is open for reading only, or the database refused: nothing was written.
        """
        if self.read_only:
            raise LabError(f"{self.name} is open for reading only.", "Open it for writing.")
        with told(self.name), self.engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                yield connection

    # The task

    @property
    def task(self) -> TaskFacts:
        """The task without its items."""
        if self._facts is None:
            raise RuntimeError("the store is not loaded")
        return self._facts

    @property
    def server(self) -> bool:
        """Whether it is a PostgreSQL server."""
        return self.path is None

    def count(self) -> int:
        """How many items there are."""
        return len(self.entries())

    def entries(self) -> tuple[Entry, ...]:
        """All items as the queue knows them, in order; read once."""
        if self._entries is None:
            columns = schema.item.c
            with self.reading() as connection:
                rows = connection.execute(
                    select(columns.number, columns.id, columns.kind, columns.category).order_by(
                        columns.number
                    )
                ).all()
            self._entries = tuple(Entry(*row) for row in rows)
        return self._entries

    def item(self, id: str, connection: Connection | None = None) -> Item:
        """The item of this id; `connection` where one is open already.

        Raises:
            LabError: There is none.
        """
        wanted = select(schema.item.c.content).where(schema.item.c.id == id)
        with self.reading() if connection is None else contextlib.nullcontext(connection) as used:
            row = used.execute(wanted).one_or_none()
        if row is None:
            raise LabError(f"There is no item {id[:40]!r} in {self.name}.", "Look into the list of items.")
        return item_of(row[0], self.name, trusted=True)

    def items(self) -> Iterator[Item]:
        """All items in order, a few at a time."""
        for entry in range(0, self.count(), _AT_ONCE):
            numbers = schema.item.c.number
            with self.reading() as connection:
                rows = connection.execute(
                    select(schema.item.c.content)
                    .where(numbers > entry, numbers <= entry + _AT_ONCE)
                    .order_by(numbers)
                ).all()
            for row in rows:
                yield item_of(row[0], self.name, trusted=True)

    def lines(self, start: int, count: int, search: str = "") -> tuple[ItemLine, ...]:
        """Items for a list: `count` after the first `start`, of those that hold `search` in their text."""
        columns = schema.item.c
        wanted = select(columns.number, columns.content).order_by(columns.number).offset(start).limit(count)
        if search:
            wanted = wanted.where(columns.content.icontains(as_json(search)[1:-1], autoescape=True))
        with self.reading() as connection:
            rows = connection.execute(wanted).all()
        items = [(number, item_of(content, self.name, trusted=True)) for number, content in rows]
        return tuple(
            ItemLine(
                number,
                item.id,
                item.kind,
                item.category,
                prompt_text(item.prompt)[:_START],
                len(item.outputs),
            )
            for number, item in items
        )

    def new_guidelines(self, text: str) -> Guidelines:
        """Write the next version of the guidelines; answers from now on name it."""
        made = Guidelines(self.task.guidelines.version + 1, text)
        payload = {"version": made.version, "text": made.text}
        with self.writing() as connection:
            add_event(connection, self.event("", made.version, "guidelines"), payload)
        self._facts = replace(self.task, guidelines=made)
        return made

    def _newest_guidelines(self) -> Guidelines | None:
        columns = schema.event.c
        with self.reading() as connection:
            row = connection.execute(
                select(columns.payload)
                .where(columns.type == "guidelines", columns.annotator == "")
                .order_by(columns.turn.desc(), columns.id.desc())
                .limit(1)
            ).one_or_none()
        if row is None:
            return None
        with readable(self.name):
            values = stored(row[0], self.name)
            return Guidelines(values["version"], values["text"])

    # People

    def annotators(self) -> tuple[Annotator, ...]:
        """Everyone who entered, in the order of entering; names as they are now."""
        columns = schema.event.c
        with self.reading() as connection:
            rows = connection.execute(
                select(columns.annotator, columns.type, columns.payload, columns.client_time)
                .where(columns.type.in_(("enter", "rename", "join")))
                .order_by(columns.annotator, columns.turn, columns.seq)
            ).all()
        people: dict[str, Annotator] = {}
        for id, type, text, when in rows:
            with readable(self.name):
                values = {"name": "", "to": ""} | stored(text, self.name)
            known = people.get(id)
            if type == "join" and known:
                people[id] = replace(known, joined_to=values["to"])
            elif type != "join":
                people[id] = (
                    replace(known, name=values["name"]) if known else Annotator(id, values["name"], when)
                )
        with readable(self.name):
            return tuple(sorted(people.values(), key=lambda person: (person.created, person.id)))

    def enter(self, name: str) -> Annotator:
        """A new person; another of the same name stays another.

        Raises:
            LabError: The name is empty or too long.
        """
        name = _checked_name(name)
        event = self.event(secrets.token_hex(8), 1, "enter")
        with self.writing() as connection:
            add_event(connection, event, {"name": name})
        return Annotator(event.annotator, name, event.time)

    def rename(self, id: str, name: str) -> None:
        """Give a person another name."""
        name = _checked_name(name)
        with self.writing() as connection:
            add_event(connection, self.event(id, next_turn(connection, id), "rename"), {"name": name})

    def join(self, id: str, other: str) -> None:
        """Say that the person `id` is the same as `other`, whose name and pseudonym count from now on.

        Raises:
            LabError: One of them is not here, or both are the same already.
        """
        people = {person.id: person for person in self.annotators()}
        if id not in people or other not in people or id == other or people[other].joined_to:
            raise LabError(
                "These two cannot be joined.",
                "Choose two people of this task, the second one not joined itself.",
            )
        with self.writing() as connection:
            add_event(connection, self.event(id, next_turn(connection, id), "join"), {"to": other})

    def session(self, annotator: str, outbox: Outbox | None = None) -> Session:
        """What one person works through.

        Args:
            outbox: Keeps answers while a server is away.

        Raises:
            LabError: Nobody of this id has entered.
        """
        from core.preferences.session import Session

        return Session(self, annotator, outbox)

    # Watching and checking

    def mark(self) -> int:
        """A number that grows with every event: what changed since is after it."""
        with self.reading() as connection:
            return int(connection.execute(select(func.max(schema.event.c.seq))).scalar() or 0)

    def event(self, annotator: str, turn: int, type: str, **more: Any) -> Event:
        """An event of now, with an id of its own where `more` gives none."""
        id = more.pop("id", "") or secrets.token_hex(16)
        when = datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds")
        return Event(id, annotator, turn, type, time=when, **more)

    def check(self) -> tuple[str, ...]:
        """What is wrong with the store, a sentence each; nothing where it is sound."""
        from core.preferences.checking import faults_of

        return faults_of(self)


def add_event(
    connection: Connection, event: Event, payload: dict[str, Any], shown_order: tuple[str, ...] = ()
) -> None:
    """Write one event within a transaction."""
    row = EventRow(
        event.id, event.annotator, event.turn, event.type, event.item or None, event.attempt,
        event.supersedes or None, as_json(list(shown_order)), as_json(payload), event.time, app_version(),
    )  # fmt: skip
    values = row.columns()
    if connection.dialect.name != "sqlite":
        values["server_time"] = cast(func.clock_timestamp(), Text)
    connection.execute(insert(schema.event).values(values))


def next_turn(connection: Connection, annotator: str) -> int:
    """The turn of a person's next event."""
    turns = select(func.coalesce(func.max(schema.event.c.turn), literal(0)))
    return int(connection.execute(turns.where(schema.event.c.annotator == annotator)).scalar_one()) + 1


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_AT_MOST or "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
        raise LabError(f"The name {name[:40]!r} will not do.", f"Give 1 to {NAME_AT_MOST} characters.")
    return name
