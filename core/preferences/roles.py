"""Who may do what on a PostgreSQL server: the role that made the tables owns them, annotators only add.

Annotators' role cannot change, delete or truncate what was saved, whatever program it uses; the owner can
erase a person (`erasing.erase_on_server`).
"""

from __future__ import annotations

import re

from sqlalchemy import text

from core.preferences.schema import metadata
from core.preferences.store import Store
from core.problems import LabError

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_MAY = {
    "task": "SELECT",
    "item": "SELECT",
    "event": "SELECT, INSERT",
    "draft": "SELECT, INSERT, UPDATE, DELETE",
    "place": "SELECT, INSERT, UPDATE, DELETE",
    "slot": "SELECT, INSERT, UPDATE",
    "note": "SELECT",
}


def grant_annotators(store: Store, role: str) -> None:
    """Let a role of the server work on a store and no more.

    Raises:
        LabError: The name is no role's, or this connection does not own the tables.
    """
    if not store.server:
        raise LabError(f"{store.name} is a file.", "Roles are for a server.")
    if not _ROLE.fullmatch(role):
        raise LabError(f"The role {role[:40]!r} will not do.", "Use small letters, digits and _.")
    with store.writing() as connection:
        for table in metadata.tables:
            connection.execute(text(f'REVOKE ALL ON {table} FROM "{role}"'))
            connection.execute(text(f'GRANT {_MAY[table]} ON {table} TO "{role}"'))
        connection.execute(text(f'GRANT USAGE ON SEQUENCE event_seq_seq TO "{role}"'))
