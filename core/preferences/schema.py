"""The tables of a store of rankings, the same on SQLite and PostgreSQL, and what the database itself refuses.

    task    one row: the task's header; never changes
    item    prompts and outputs; never change
    event   what people did, in order; only ever added to
    draft   what a person has not yet submitted; place: where that person is
    slot    who may rank an item, where only some people shall
    note    small facts about the store itself: schema, exports, the last backup

Triggers refuse UPDATE and DELETE on the first three. What an event means is `events.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Connection

SCHEMA = 1
APPLICATION = 0x4C4C5052  # "LLPR" in the header of the file: what it is, whatever its name
KEPT = ("task", "item", "event")
"""Tables of which nothing is changed or deleted."""

_COUNTED = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()
task = Table(
    "task",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("header", Text, nullable=False),
)
item = Table(
    "item",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("content", Text, nullable=False),
)
event = Table(
    "event",
    metadata,
    Column("seq", _COUNTED, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("annotator", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("item", Text, ForeignKey("item.id")),
    Column("attempt", Integer, nullable=False),
    Column("supersedes", Text),
    Column("shown", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("client_time", Text, nullable=False),
    Column("server_time", Text),
    Column("app", Text, nullable=False),
    Column("sum", Text, nullable=False),  # of all that is said: tells a flipped bit
    Index("event_of_annotator", "annotator", "turn"),
    Index("event_of_item", "item"),
    sqlite_autoincrement=True,
)
draft = Table(
    "draft",
    metadata,
    Column("annotator", Text, primary_key=True),
    Column("item", Text, ForeignKey("item.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("payload", Text, nullable=False),
    Column("saved", Text, nullable=False),
)
place = Table(
    "place",
    metadata,
    Column("annotator", Text, primary_key=True),
    Column("item", Text, ForeignKey("item.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
)
slot = Table(
    "slot",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("item", Text, ForeignKey("item.id"), nullable=False),
    Column("annotator", Text),
    Column("until", Float, nullable=False),
    Column("done", Boolean, nullable=False),
    UniqueConstraint("item", "annotator", name="slot_once_a_person"),
)
Index(
    "slot_open", slot.c.number, slot.c.slot, sqlite_where=slot.c.done.is_(False),
    postgresql_where=slot.c.done.is_(False),
)  # fmt: skip
note = Table("note", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))


def create(connection: Connection) -> None:
    """Make the tables and what guards them; nothing else may be in the database."""
    metadata.create_all(connection, checkfirst=False)
    for statement in guards(connection.dialect.name):
        connection.execute(text(statement))


def guards(dialect: str) -> Iterator[str]:
    """The triggers that refuse UPDATE and DELETE, as SQL."""
    if dialect == "sqlite":
        for table in KEPT:
            for deed in ("UPDATE", "DELETE"):
                yield (
                    f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"
                )
        return
    yield (
        "CREATE FUNCTION llmlab_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME; END $$"
    )
    for table in KEPT:
        yield (
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION llmlab_only_added_to()"
        )
