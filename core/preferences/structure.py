"""Whether a file is a store of ours, before anything in it is believed: first bytes, tables, triggers."""

from __future__ import annotations

import functools
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from core.formats.files import quoted, shown
from core.preferences import schema
from core.problems import LabError


def check_kind(path: Path) -> None:
    """Look at the first bytes before SQLite does: what a file of ours says of itself."""
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except OSError as error:
        raise LabError(
            f"{shown(path)} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise LabError(
            f"{shown(path)} is no database of rankings, or its beginning is damaged.",
            "Choose another file, or rescue what can be read into a new one.",
        )
    version, application = (int.from_bytes(head[at : at + 4], "big") for at in (60, 68))
    if application != schema.APPLICATION:
        raise LabError(f"{shown(path)} is a database of another program.", "Choose another file.")
    if version > schema.SCHEMA:
        raise LabError(
            f"{shown(path)} has schema {version}; this LLM Lab reads up to {schema.SCHEMA}.",
            "Update LLM Lab.",
        )


def check_tables(connection: Connection, name: str) -> None:
    """Refuse a file whose tables or triggers are not exactly ours: a trigger is a program."""
    found = _structure(connection.connection.driver_connection)
    if found != _expected():
        more = sorted({what for what, *_ in found ^ _expected()})
        raise LabError(
            f"{name} has tables or triggers that are not those of LLM Lab: {quoted(', '.join(more), 120)}.",
            "Rescue what can be read into a new file; nothing in it was run.",
        )


def _structure(raw: Any) -> frozenset[tuple[str, ...]]:
    """Name, type, table and meaning of everything in a database: columns of tables, text of triggers."""
    found = []
    rows = raw.execute("SELECT name, type, tbl_name, sql FROM sqlite_master").fetchall()
    for name, type, table, sql in rows:
        if name in ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4") and type == "table":
            continue
        meaning = " ".join(str(sql).split()) if type not in ("table", "index") else ""
        if type == "table":
            if not str(sql).upper().startswith("CREATE TABLE"):
                meaning = "no plain table"
            columns = raw.execute(
                'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (str(name),)
            )
            meaning += repr(columns.fetchall())
        found.append((str(name), str(type), str(table), meaning))
    return frozenset(found)


@functools.cache
def _expected() -> frozenset[tuple[str, ...]]:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    raw = sqlite3.connect(":memory:", check_same_thread=False)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    with engine.begin() as connection:
        schema.create(connection)
    made = _structure(raw)
    engine.dispose()
    raw.close()
    return made
