"""Locks between windows: one holder at a time, and a note that says who it is.

The lock itself is the system's (through filelock), so it falls with its process, however that ends. The note
lies beside the lock file, because Windows lets nobody read a locked file. Lock files are removed only while
held: filelock notices a file that was unlinked under it and does not believe in it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.artifacts import durable, plain_json
from core.problems import LabError


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: Name of the computer.
        pid: Number of the process.
        user: Name of the account.
        since: When it was taken, UTC.
    """

    host: str
    pid: int
    user: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid}, since {self.since:%Y-%m-%d %H:%M} UTC)"


class Lock:
    """A lock that this process holds until `release`."""

    def __init__(self, lock: FileLock, path: Path, holder: Holder) -> None:
        self._lock = lock
        self._path = path
        self.holder = holder

    @property
    def path(self) -> Path:
        """The lock file."""
        return self._path

    def sign(self) -> None:
        """Leave the note that says who holds the lock; a disk that refuses costs only the note."""
        facts = {
            "host": self.holder.host,
            "pid": self.holder.pid,
            "user": self.holder.user,
            "since": self.holder.since.isoformat(),
        }
        with contextlib.suppress(LabError):
            plain_json.write_json(_note(self._path), facts)

    def release(self, *, remove: bool = False) -> None:
        """Let go, once or more often; `remove` takes the lock file away too, where it has served."""
        if not self._lock.is_locked:
            return
        with contextlib.suppress(OSError):
            _note(self._path).unlink()
        if remove and not durable.ON_WINDOWS:
            with contextlib.suppress(OSError):
                self._path.unlink()
        with contextlib.suppress(OSError):
            self._lock.release()
        if remove and durable.ON_WINDOWS:
            with contextlib.suppress(OSError):
                self._path.unlink()


def try_lock(path: Path, patience: float = 0.0) -> Lock | None:
    """Take the lock at `path` within `patience` seconds, or return None where another holds it.

    Raises:
        LabError: The lock file cannot be made.
    """
    # thread_local off: a stage may be opened by the window and ended by a worker.
    lock = FileLock(path, timeout=patience, poll_interval=0.005, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise durable.explain(error, path) from error
    return Lock(lock, path, Holder(platform.node(), os.getpid(), _user(), datetime.now(UTC)))


def new_lock(path: Path) -> Lock:
    """Take a lock that only a sweep, for a moment, may hold too.

    Raises:
        LabError: Another program holds it for longer, or the lock file cannot be made.
    """
    lock = try_lock(path, patience=2.0)
    if lock is None:
        raise LabError(f"Another program holds {path}.", "Try again.")
    return lock


def read_holder(path: Path) -> Holder | None:
    """Who says to hold the lock at `path`; None where there is no note or it makes no sense."""
    try:
        facts = plain_json.read_json(_note(path), at_most=4096)
        since = datetime.fromisoformat(facts["since"])
        host, pid, user = facts["host"], facts["pid"], facts["user"]
    except (LabError, KeyError, TypeError, ValueError):
        return None
    if (
        not isinstance(host, str)
        or not isinstance(pid, int)
        or not isinstance(user, str)
        or since.tzinfo is None
    ):
        return None
    return Holder(host[:100], pid, user[:100], since.astimezone(UTC))


def _note(path: Path) -> Path:
    return path.with_suffix(".holder")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no account behind the process, as in some containers
        return "somebody"
