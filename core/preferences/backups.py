"""Copies of a store beside it, made through SQLite's backup API, thinned as they grow old.

A copy is made where something changed since the last one and half an hour has passed, or the day has; never
of a damaged store, so that a bad copy cannot push out good ones. Kept are all of today and yesterday, then
12 daily, 10 weekly and 9 monthly ones (as Anki does, rslib/src/collection/backup.rs).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from core.artifacts import durable
from core.formats.files import shown
from core.preferences.database import told
from core.preferences.store import Store, open_store
from core.problems import LabError

FOLDER = "backups"
APART = 30 * 60.0  # s
_NAME = re.compile(r"rankings-(\d{8}T\d{6})-(\d+)\.db")
_KEPT = (("day", 12), ("week", 10), ("month", 9))


@dataclass(frozen=True)
class Backup:
    """A copy of a store.

    Attributes:
        path: Where it lies.
        made: By the clock of then, UTC.
        mark: The store's mark then.
    """

    path: Path
    made: datetime
    mark: int


def backups(path: Path) -> tuple[Backup, ...]:
    """The copies of the store at `path`, the newest last."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent / FOLDER):
            if match := _NAME.fullmatch(entry.name):
                with contextlib.suppress(ValueError):
                    made = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
                    found.append(Backup(Path(entry.path), made, int(match[2])))
    return tuple(sorted(found, key=lambda one: (one.mark, one.made)))


def back_up(store: Store, *, always: bool = False) -> Backup | None:
    """Copy a store if a copy is due; a second or so for 100 MB, so call it on a worker.

    Args:
        always: Copy also where the last copy is young, but not where nothing changed.

    Raises:
        LabError: The store is damaged, or the disk refused.
    """
    if store.path is None:
        return None  # a server has backups of its own
    now = datetime.fromtimestamp(store.now(), UTC)
    mark, last = store.mark(), (backups(store.path) or (None,))[-1]
    if last is not None and last.mark == mark:
        return None
    young = last is not None and timedelta(0) <= now - last.made < timedelta(seconds=APART)
    if young and last is not None and last.made.date() == now.date() and not always:
        return None
    folder = store.path.parent / FOLDER
    durable.ensure_folder(folder)
    durable.check_space(folder, store.path.stat().st_size)
    path = folder / f"rankings-{now:%Y%m%dT%H%M%S}-{mark}.db"
    fresh = folder / f".{secrets.token_hex(8)}.part"
    try:
        _copy(store, fresh)
        durable.sync_file(fresh)
        os.replace(fresh, path)
        durable.sync_folder(folder)
    except OSError as error:
        raise durable.explain(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
    _thin(store.path, now)
    return Backup(path, now.replace(microsecond=0), mark)


def _copy(store: Store, fresh: Path) -> None:
    with told(store.name), store.engine.connect() as connection:
        source: Any = connection.connection.driver_connection
        said = source.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise LabError(
                f"{store.name} is damaged and was not copied: {said[:120]}.",
                "Restore the newest backup beside it, or rescue what can be read into a new file.",
            )
        target = sqlite3.connect(fresh)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # a copy is one file
        finally:
            target.close()


def _thin(path: Path, now: datetime) -> None:
    kept = to_keep(backups(path), now.date())
    for one in backups(path):
        if one.path not in kept:
            with contextlib.suppress(OSError):
                os.unlink(one.path)


def to_keep(copies: Sequence[Backup], today: date) -> frozenset[Path]:
    """Which copies stay: all since yesterday, then the last of each day, week and month."""
    kept = {one.path for one in copies if one.made.date() >= today - timedelta(days=1)}
    kept |= {one.path for one in copies[-1:]}
    for span, count in _KEPT:
        last: dict[tuple[int, ...], Path] = {}
        for one in sorted(copies, key=lambda copy: copy.made):
            year, week, _ = one.made.isocalendar()
            key = {"day": one.made.timetuple()[:3], "week": (year, week)}.get(span, one.made.timetuple()[:2])
            last[tuple(key)] = one.path
        kept |= {last[key] for key in sorted(last)[-count:]}
    return frozenset(kept)


def restore(backup: Path, path: Path) -> None:
    """Put a copy in the place of a damaged store, which stays beside it under another name.

    Raises:
        LabError: The copy is damaged, the store is open, or the disk refused.
    """
    with open_store(backup, read_only=True) as copy:
        if faults := copy.check():
            raise LabError(f"{shown(backup)} is damaged, too: {faults[0]}", "Choose an older backup.")
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(3)}")
    fresh = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        durable.write_file(fresh, backup.read_bytes())
        for end in ("-wal", "-shm"):
            if os.path.lexists(f"{path}{end}"):
                os.replace(f"{path}{end}", f"{aside}{end}")
        if path.exists():
            os.replace(path, aside)
        os.replace(fresh, path)
        durable.sync_folder(path.parent)
    except OSError as error:
        raise durable.explain(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
