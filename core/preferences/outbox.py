"""Answers that could not be sent because the server is away: kept on this machine, in order, until they are.

A small SQLite file with the same care as a store: WAL, synchronous FULL. What is kept is sent under the id
that it was first given, so an answer whose acknowledgment was lost on the way counts once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, insert, select
from sqlalchemy.engine import Connection

from core.formats.files import shown
from core.preferences.database import sqlite_engine, told
from core.preferences.texts import as_json
from core.preferences.transfer import EventRow

OUTBOX = "outbox.db"

_metadata = MetaData()
_waiting = Table(
    "waiting",
    _metadata,
    Column("seq", Integer, primary_key=True),
    Column("server", Text, nullable=False),
    Column("id", Text, nullable=False, unique=True),
    Column("row", Text, nullable=False),
)


class Outbox:
    """Events on their way to a server; use it in a `with`, or close it.

    Args:
        path: Made where it does not exist.

    Raises:
        LabError: It cannot be made, or lies on a network share.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._engine = sqlite_engine(self.path)
        with self._writing() as connection:
            _metadata.create_all(connection)

    def keep(self, server: str, row: EventRow) -> None:
        """Keep an event; when this returns, it has reached the disk. A known id stays as it is."""
        with self._writing() as connection:
            known = connection.execute(select(_waiting.c.id).where(_waiting.c.id == row.id)).one_or_none()
            if known is None:
                connection.execute(
                    insert(_waiting).values(server=server, id=row.id, row=as_json(row.values()))
                )

    def rows(self, server: str, annotator: str) -> tuple[EventRow, ...]:
        """What a person has not yet sent to a server, oldest first."""
        with told(shown(self.path)), self._engine.connect() as connection:
            found = connection.execute(
                select(_waiting.c.row).where(_waiting.c.server == server).order_by(_waiting.c.seq)
            ).all()
        rows = (EventRow(**json.loads(text)) for (text,) in found)
        return tuple(row for row in rows if row.annotator == annotator)

    def sent(self, ids: Collection[str]) -> None:
        """Forget what the server has acknowledged."""
        with self._writing() as connection:
            connection.execute(delete(_waiting).where(_waiting.c.id.in_(list(ids))))

    def close(self) -> None:
        """Let go of the file, once or more often."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with told(shown(self.path)), self._engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                yield connection
