"""The tasks of the workspace: a folder each in `work/preferences`, with the database that holds the rankings.

A database takes turns among windows by itself, so a task's lock is held only while its folder is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.artifacts import WorkInfo, Workspace
from core.preferences.task import Task
from core.problems import LabError

if TYPE_CHECKING:
    from core.preferences.outbox import Outbox
    from core.preferences.store import Store

KIND = "preferences"
SHIPPED = "shipped:"  # before the name of a set that is made into a task when it is first opened
DATABASE = "rankings.db"  # the same name as in core.preferences.store, which takes 0.3 s to import
GUIDELINES = (
    "Put first the answer that you would give a friend.\n\n"
    "**Right before nice.** A wrong answer ranks below a short right one.\n\n"
    "**Safe before helpful.** An answer that does damage goes last.\n\n"
    "Equal? Give them the same number.\n"
)


@dataclass(frozen=True)
class Opened:
    """A task that is open.

    Attributes:
        key: Its work's id.
        store: Its database; whoever opened it closes it.
        folder: Where it lies; for a task on a server, where its outbox does.
        outbox: Keeps answers while a server is away; None for a file.
    """

    key: str
    store: Store
    folder: Path
    outbox: Outbox | None = None

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()
        if self.outbox is not None:
            self.outbox.close()


def works_here(workspace: Workspace) -> list[WorkInfo]:
    """The tasks of the workspace, the newest first."""
    found = [info for info in workspace.works(KIND) if (info.folder / DATABASE).is_file()]
    return sorted(found, key=lambda info: info.id, reverse=True)


def open_task(workspace: Workspace, key: str) -> Opened:
    """Open a task by its work's id, a shipped set by "shipped:" and its name, or one on a server by its URL.

    A backup is made first; a server's tables are backed up where the server is.

    Raises:
        LabError: There is none, or its database is damaged.
    """
    from core.preferences.backups import back_up
    from core.preferences.store import open_store

    if is_url(key):
        return _on_server(workspace, key)
    if key.startswith(SHIPPED):
        key = _shipped(workspace, key.removeprefix(SHIPPED))
    found = next((info for info in workspace.works(KIND) if info.id == key), None)
    if found is None:
        raise LabError(f"There is no task {key[:40]!r} here.", "Choose another one.")
    store = open_store(found.folder / DATABASE)
    try:
        back_up(store)
    except LabError:
        store.close()
        raise
    return Opened(key, store, found.folder)


def is_url(key: str) -> bool:
    """Whether a key names a server."""
    return "://" in key


def _on_server(workspace: Workspace, url: str) -> Opened:
    from core.preferences.outbox import OUTBOX, Outbox
    from core.preferences.store import open_store

    store = open_store(url)
    folder = workspace.root / "work" / KIND
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Opened(url, store, folder, Outbox(folder / OUTBOX))
    except OSError as error:
        store.close()
        raise LabError(f"{folder} cannot be made: {error.strerror}.", "Check the workspace.") from error
    except BaseException:
        store.close()
        raise


def add_task(workspace: Workspace, task: Task, origin: str = "") -> str:
    """Give a task a folder with a database of its own; its work's id comes back."""
    from core.preferences.store import create_store

    with workspace.new_work(KIND, task.name, {"sha256": task.sha256, "origin": origin}) as work:
        create_store(work.folder / DATABASE, task).close()
        return work.id


def import_task(workspace: Workspace, path: Path) -> str:
    """Take in a task's file; one that is here already is found by its content and id and not made again."""
    from core.preferences.task_files import read_task

    task = read_task(path)
    known = _with_state(workspace, "origin", task.id)
    return known or add_task(workspace, task, task.id)


def _shipped(workspace: Workspace, name: str) -> str:
    """The task of a shipped set, which is made at the first time."""
    from core.preferences.shipped import load_shipped, shipped_sets
    from core.preferences.task import TaskSettings, make_task

    known = _with_state(workspace, "origin", SHIPPED + name)
    if known:
        return known
    titles: Sequence[str] = [one.title for one in shipped_sets() if one.name == name]
    items = load_shipped(name)
    task = make_task(titles[0], items, GUIDELINES, TaskSettings())
    return add_task(workspace, task, SHIPPED + name)


def _with_state(workspace: Workspace, name: str, value: str) -> str:
    from core.artifacts.work import read_work

    for info in works_here(workspace):
        if read_work(info.folder, KIND)[1].get(name) == value:
            return info.id
    return ""
