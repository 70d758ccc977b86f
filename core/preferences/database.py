"""How a database is opened so that an acknowledged answer stays: SQLite by a path, PostgreSQL by a URL.

SQLite runs in WAL with synchronous FULL: a commit has reached the disk before anyone is told. Both are set
on every connection and read back. A network share is refused, because WAL needs memory that only processes
of one computer share (sqlite.org/wal.html). Connection secrets come from the caller, the environment or the
keyring, and are in no message.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

import psutil
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from core.formats.bounded_json import parse_json
from core.formats.files import shown
from core.problems import LabError

PATIENCE = 10_000  # ms that a write waits for another window's
PASSWORD = "LLMLAB_DATABASE_PASSWORD"
KEYRING = "llmlab-database"
_SHARES = {
    "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "afpfs", "webdav", "davfs", "ncpfs",
    "ceph", "glusterfs", "lustre", "gpfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs2", "drvfs",
}  # fmt: skip
_CLOUDS = ("OneDrive", "Dropbox", "iCloud Drive", "Mobile Documents", "Google Drive", "Nextcloud", "ownCloud")
_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_INTACT = "What was saved before is untouched."


class ServerLost(LabError):  # noqa: N818 - a state of the world, not a mistake
    """The database server does not answer; what is to be saved goes into the outbox."""


class Collided(LabError):  # noqa: N818 - a state of the world, not a mistake
    """Somebody wrote the same thing at the same moment: to be tried again."""


class Mounted(NamedTuple):
    """A file system: where it begins, its type, and its options."""

    mountpoint: str
    fstype: str
    opts: str


def sqlite_engine(path: Path, *, read_only: bool = False) -> Engine:
    """An engine on one SQLite file; nothing is opened before the first connection.

    Raises:
        LabError: The file lies on a network share.
    """
    if not read_only:
        refuse_share(path)

    def connect() -> sqlite3.Connection:
        mode = ("ro" if _may_write_beside(path) else "ro&immutable=1") if read_only else "rwc"
        name = f"file:{quote(path.as_posix())}?mode={mode}"
        return sqlite3.connect(
            name, timeout=PATIENCE / 1000, isolation_level=None, check_same_thread=False, uri=True
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool if read_only else QueuePool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        _set_pragmas(connection, path, read_only)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A write takes the lock at once: upgrading a read later fails where two windows try.
        connection.exec_driver_sql(
            "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
        )

    return engine


def _may_write_beside(path: Path) -> bool:
    return os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)


def _set_pragmas(connection: sqlite3.Connection, path: Path, read_only: bool) -> None:
    """Set what must hold on every connection and read back what durability rests on."""
    for pragma in (
        f"busy_timeout={PATIENCE}", "foreign_keys=ON", "trusted_schema=OFF", "cell_size_check=ON",
        "mmap_size=0",
        "secure_delete=ON", "temp_store=MEMORY",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
        return
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    if sys.platform == "darwin":
        connection.execute("PRAGMA fullfsync=1")
    full = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or full != 2:
        raise LabError(
            f"{shown(path)} cannot be opened so that answers are safe: journal {mode}, synchronous {full}.",
            "Put the workspace on a local disk.",
        )


def refuse_share(path: Path, mounted: Sequence[Any] | None = None) -> None:
    """Refuse a file on a network share.

    Raises:
        LabError: With the file system in it.
    """
    kind = share_of(path, psutil.disk_partitions(all=True) if mounted is None else mounted)
    if kind:
        raise LabError(
            f"{shown(path)} lies on a network share ({kind}), where a power cut or a second computer can "
            "damage a database.",
            "Put the workspace on this computer's own disk; hand answers in as files, or use PostgreSQL for "
            "many people at once.",
        )


def share_of(path: PurePath, mounted: Sequence[Any]) -> str:
    r"""The type of the network file system that holds `path`, or "".

    >>> disks = [Mounted("/", "ext4", "rw"), Mounted("/mnt/class", "nfs4", "rw")]
    >>> share_of(PurePath("/mnt/class/a.db"), disks), share_of(PurePath("/mnt/classes/a.db"), disks)
    ('nfs4', '')
    """
    text = str(path if not isinstance(path, Path) else path.absolute())
    if text.startswith(("\\\\", "//")):
        return "UNC path"
    best, kind = -1, ""
    for one in mounted:
        place = one.mountpoint.rstrip("/\\")
        if (text + "/").startswith((place + "/", place + "\\")) and len(place) > best:
            best = len(place)
            remote = "remote" in one.opts.split(",")  # as Windows says it
            kind = one.fstype if one.fstype.lower() in _SHARES or remote else ""
    return kind


def cloud_of(path: PurePath) -> str:
    """The name of the cloud folder that `path` lies in, or "": it may copy a database in mid-write.

    >>> cloud_of(PurePath("/data/OneDrive - School/work/a.db"))
    'OneDrive'
    """
    return next((cloud for cloud in _CLOUDS for part in path.parts if part.startswith(cloud)), "")


def server_engine(url: str, password: str | None = None) -> Engine:
    """An engine on PostgreSQL; the password comes from the caller, the environment, or the keyring.

    Raises:
        LabError: The URL is none, names another database, or holds a password.
    """
    try:
        made = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise LabError("This is no URL of a database.", "Write postgresql://user@host/database.") from error
    if not made.drivername.startswith("postgresql"):
        raise LabError(
            f"{made.drivername} databases are not used here.",
            "Give a file, or postgresql://user@host/database.",
        )
    if made.password:
        raise LabError(
            "The URL holds a password, which would be seen in lists of processes and in logs.",
            f"Take it out; put it into the variable {PASSWORD} or the keyring ({KEYRING}).",
        )
    query = dict(made.query)
    host = str(query.get("host", made.host or ""))
    if host not in _LOCAL and not host.startswith("/"):
        query.setdefault("sslmode", "verify-full")
    query.setdefault("connect_timeout", "5")
    secret = password or os.environ.get(PASSWORD) or _from_keyring(made)
    full = made.set(drivername="postgresql+psycopg", query=query, password=secret or None)
    engine = create_engine(
        full, pool_size=2, max_overflow=8, hide_parameters=True,
        isolation_level="READ COMMITTED",
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute("SET lock_timeout = '10s'")
        connection.commit()

    return engine


def _from_keyring(url: URL) -> str | None:
    import keyring
    from keyring.errors import KeyringError

    account = f"{url.username or ''}@{url.host or ''}/{url.database or ''}"
    with contextlib.suppress(KeyringError, RuntimeError):
        return keyring.get_password(KEYRING, account)
    return None


@contextlib.contextmanager
def told(name: str) -> Iterator[None]:
    """Turn what a database refuses into a LabError; `name` is what messages call the store.

    Raises:
        ServerLost: The server does not answer.
        LabError: Anything else that a person can mend.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise explain(error, name) from error
    except sqlite3.Error as error:
        raise explain(error, name) from error
    except UnicodeDecodeError as error:  # sqlite3 raises it for damaged names of tables and columns
        raise _damaged(name) from error


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """Where a row is taken apart: what does not read means that the store is damaged.

    Raises:
        LabError: A value is missing or of another kind than it was written as.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> LabError:
    return LabError(
        f"{name} is damaged: what was written in one of its rows does not read.",
        "Restore the newest backup beside it, or rescue what can be read into a new file.",
    )


def stored(value: Any, name: str) -> Any:
    """The JSON value of a text that a database holds; a damaged one may hold anything.

    Raises:
        LabError: It is no text, or no JSON.
    """
    with readable(name):
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__} instead of a text")
        return parse_json(value, name)


_CAUSES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("disk is full",),
        "The disk is full: {name} could not be written.",
        f"Free some space and try again. {_INTACT}",
    ),
    (
        ("locked", "lock timeout"),
        "{name} is held by another program.",
        f"Close it there and try again. {_INTACT}",
    ),
    (
        ("readonly", "read-only", "attempt to write"),
        "{name} is read-only.",
        f"Copy it to a place that you may write to. {_INTACT}",
    ),
    (
        ("malformed", "not a database", "corrupt", "wrong # of entries"),
        "{name} is damaged.",
        "Restore the newest backup beside it, or rescue what can be read into a new file.",
    ),
    (("unable to open",), "{name} cannot be opened.", "Check that it is there and that you may write it."),
    (
        ("disk i/o error",),
        "The disk reported an error at {name}.",
        f"Check the disk, then try again. {_INTACT}",
    ),
    (("only ever added to",), "{name} refused to change what was saved.", "Nothing was changed."),
)  # fmt: skip


def explain(error: Exception, name: str) -> LabError:
    """What an error of a database means for the person at the screen."""
    cause = getattr(error, "orig", None) or error
    text = str(cause).lower()
    if isinstance(error, DBAPIError) and not isinstance(cause, sqlite3.Error) and _is_lost(error, text):
        return ServerLost(
            f"The server of {name} does not answer.", "Go on: answers are kept here and sent when it is back."
        )
    if isinstance(error, IntegrityError) and "only ever" not in text:
        return Collided(f"Somebody else wrote the same thing to {name} just now.", f"Try again. {_INTACT}")
    for words, problem, remedy in _CAUSES:
        if any(word in text for word in words):
            return LabError(problem.format(name=name), remedy)
    return LabError(f"{name} could not be used: {type(cause).__name__}.", f"Try again. {_INTACT}")


def _is_lost(error: DBAPIError, text: str) -> bool:
    return error.connection_invalidated or any(
        word in text
        for word in (
            "connection", "terminating", "server closed", "shutting down", "starting up", "could not connect",
            "timeout expired", "ssl syscall",
        )
    )  # fmt: skip


Now = Callable[[], float]
"""Seconds since 1970; a test hands in its own."""
