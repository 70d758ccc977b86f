"""The workspace: one folder that holds artifacts, work, the trash, and nothing else.

    artifacts/<kind>/<id>/   artifact.json and its files; never changes
    work/<kind>/<id>/        work.json and what a lab keeps beside it
    trash/<kind>/<id>/       artifacts that were taken away; trash/work/<kind>/<id>/ likewise
    staging/<id>/            artifacts and work in the making
    locks/                   who writes what

Any number of windows, also on several computers with one shared folder that can lock, may use it at once:
everything appears and goes by one rename. What a stranger left in it never breaks a list; see `problems`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

from core.artifacts import durable
from core.artifacts import work as works
from core.artifacts.artifact import HERE, IGNORED, MISSING, TRASHED, Artifact, Checked, open_artifact, stub
from core.artifacts.draft import Draft, new_facts, sweep
from core.artifacts.lineage import ancestors, chain_of
from core.artifacts.locks import Lock, new_lock, read_holder, try_lock
from core.artifacts.manifest import (
    FILE,
    Manifest,
    is_id,
    is_kind,
    name_fault,
    new_id,
    read_manifest,
)
from core.artifacts.references import Reference
from core.artifacts.work import Work, WorkInfo
from core.problems import LabError

_WORK_LOCK = re.compile(r"work-([a-z][a-z0-9-]{0,31})-([0-9]{8}t[0-9]{12}-[a-z2-7]{6})\.lock")
PORTABLE = "portable"  # a file of this name beside the executable keeps the workspace there
_FOREIGN = "LLM Lab leaves it alone; move it out of the workspace if it does not belong there."


def default_root(portable_beside: Path | None = None) -> Path:
    """Where the workspace lies when nobody says otherwise.

    Args:
        portable_beside: The executable or its folder: where a file `portable` lies in that folder, the
            workspace is the folder `workspace` there (a USB stick).
    """
    if portable_beside is not None:
        folder = portable_beside if portable_beside.is_dir() else portable_beside.parent
        if (folder / PORTABLE).is_file():
            return folder / "workspace"
    return platformdirs.user_data_path("llmlab", appauthor=False) / "workspace"


class Workspace:
    """Artifacts and work under one root.

    Args:
        root: Made where it does not exist.
        shipped: Folders of shipped artifacts (or folders of such folders): read-only, in the same lists.

    Raises:
        LabError: The root cannot be made.
    """

    def __init__(self, root: Path, shipped: Sequence[Path] = ()) -> None:
        self.root = Path(os.path.abspath(root))
        self.shipped = tuple(shipped)
        self._checked: Checked = {}
        self._manifests: dict[Path, tuple[tuple[int, int, int], Manifest]] = {}
        durable.ensure_folder(self.root)
        self._sweep()

    # Artifacts

    def new_artifact(
        self,
        kind: str,
        name: str,
        stage: str,
        settings: Any = None,
        seed: int | None = None,
        parents: Sequence[str | Artifact] = (),
        *,
        role: str = "",
        references: Sequence[Reference] = (),
        expected_bytes: int = 0,
    ) -> Draft:
        """A draft to be used in a `with`, whose end publishes it.

        Args:
            kind: One of `KINDS`.
            name: As people call it; it never changes.
            stage: What makes it: "tokenizer.learn".
            settings: A settings object, plain JSON values, or None.
            seed: Of the stage's random numbers.
            parents: Artifacts, or ids of such, that it is made of.
            role: Of a model or adapter: "base", "sft", "aligned".
            references: The user's own files that it is made of.
            expected_bytes: What will be written, where that is known: twice as much must be free.

        Raises:
            LabError: The name will not do, or the disk is too full, or nothing can be written here.
        """
        facts = new_facts(kind, name, stage, settings, seed, parents, role, references)
        durable.check_space(self.root, expected_bytes)
        return self._draft(facts)

    def artifacts(self, kind: str | None = None) -> list[Artifact]:
        """All artifacts, or those of one kind, newest first; shipped ones last and marked read-only."""
        own = {artifact.id: artifact for artifact in self._own(kind, [])}
        shipped = [one for one in self._shipped([]) if kind in (None, one.kind) and one.id not in own]
        newest = sorted(own.values(), key=_age, reverse=True)
        return newest + sorted(shipped, key=_age, reverse=True)

    def artifact(self, id: str) -> Artifact:
        """The artifact of this id.

        Raises:
            LabError: There is none here, it is in the trash, or it is damaged.
        """
        problems: list[LabError] = []
        found = self._find(id, problems)
        if found.state == MISSING and problems:
            raise problems[0]
        if found.state != HERE:
            found.path("")  # raises, and says what to do
        return found

    def adopt(self, folder: Path) -> Artifact:
        """Copy an artifact from elsewhere (`--out`, a stick) into the workspace, verified, under its own id.

        Raises:
            LabError: It is damaged or no artifact, or the disk refused.
        """
        given = open_artifact(folder)
        if given.id in {one.id for one in self.artifacts(given.kind)}:
            return self.artifact(given.id)
        durable.check_space(self.root, given.size)
        given.verify()
        with self._draft(given.manifest) as draft:
            draft.metrics.update(given.metrics)
            for file in given.files:
                copy = draft.folder.joinpath(*file.split("/"))
                durable.ensure_folder(copy.parent)
                shutil.copyfile(given.path(file), copy)
        draft.artifact.verify()
        return draft.artifact

    def trash(self, id: str) -> None:
        """Move an artifact to the trash; nothing is deleted, and `restore` undoes it.

        Raises:
            LabError: There is none of this id, or it is shipped, or the disk refused.
        """
        artifact = self.artifact(id)
        if artifact.read_only:
            raise LabError(
                f"“{artifact.name}” came with LLM Lab and stays.", "Only your own artifacts can go."
            )
        durable.move_folder(artifact.folder, self.root / "trash" / artifact.kind / id)

    def restore(self, id: str) -> Artifact:
        """Bring an artifact back from the trash.

        Raises:
            LabError: There is none of this id in the trash, or the disk refused.
        """
        for artifact in self.trashed():
            if artifact.id == id:
                durable.move_folder(artifact.folder, self.root / "artifacts" / artifact.kind / id)
                return self.artifact(id)
        raise LabError(
            f"There is no artifact {id} in the trash.", "Look into the list; it may be back already."
        )

    def trashed(self) -> list[Artifact]:
        """What is in the trash, newest first."""
        folders = self._folders(self.root / "trash", [], skip=("work",))
        found = [self._read(folder, [], state=TRASHED) for folder in folders]
        return sorted((one for one in found if one), key=_age, reverse=True)

    def problems(self) -> list[LabError]:
        """What in the workspace cannot be used: damaged, hostile, foreign, each with its place."""
        found: list[LabError] = []
        self._own(None, found)
        self._shipped(found)
        self._works(None, found)
        return found

    # Lineage

    def lineage(self, id: str) -> list[Artifact]:
        """The artifact and all it descends from, parents before children.

        What is not here is given too: `state` is then "trashed" or "missing".
        """
        return ancestors(id, self._find)

    def chain(self, id: str) -> dict[str, Artifact]:
        """The lineage bar: which artifact stands for each of `CHAIN` on the way to this one."""
        return chain_of(id, self.lineage(id))

    # Work

    def new_work(self, kind: str, name: str, state: dict[str, Any] | None = None) -> Work:
        """New work, open for writing.

        Raises:
            LabError: The name will not do, or nothing can be written here.
        """
        if not is_kind(kind):
            raise ValueError(f"kind {kind!r}")
        if fault := name_fault(name):
            raise LabError(
                f"The name {name[:80]!r} {fault}.", "Choose a name of 1 to 200 characters on one line."
            )
        id, now = new_id(), datetime.now(UTC)
        info = WorkInfo(kind, id, name, now, now, self.root / "work" / kind / id)
        self._made("locks")
        lock = new_lock(self._lock_path(kind, id))  # before anybody can see the work
        try:
            self._make_work(info, state or {})
        except BaseException:
            lock.release(remove=True)
            raise
        lock.sign()
        return Work(info, dict(state or {}), lock, lock.holder)

    def works(self, kind: str | None = None) -> list[WorkInfo]:
        """All work, or that of one kind, newest first."""
        return sorted(self._works(kind, []), key=lambda info: (info.created, info.id), reverse=True)

    def open_work(self, kind: str, id: str) -> Work:
        """Open work: for writing, or for reading only where another window holds it (`holder` says who).

        Raises:
            LabError: There is none, or it is damaged.
        """
        folder = self._work_here(kind, id)
        works.read_work(folder, kind)  # before the lock too: none is made for what does not exist
        lock = self._lock_of(kind, id) if os.access(folder, os.W_OK) else None
        try:
            info, state = works.read_work(folder, kind)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        if lock is None:
            return Work(info, state, None, read_holder(self._lock_path(kind, id)))
        lock.sign()
        works.clear_parts(folder)
        return Work(info, state, lock, lock.holder)

    def trash_work(self, kind: str, id: str) -> None:
        """Move work to the trash; nothing is deleted, and `restore_work` undoes it.

        Raises:
            LabError: There is none, or a window holds it, or the disk refused.
        """
        folder = self._work_here(kind, id)
        info, _ = works.read_work(folder, kind)
        lock = self._lock_of(kind, id)
        if lock is None:
            who = read_holder(self._lock_path(kind, id)) or "another window"
            raise LabError(f"“{info.name}” is open: {who} holds it.", "Close it there and try again.")
        try:
            durable.move_folder(folder, self.root / "trash" / "work" / kind / id)
        finally:
            lock.release()

    def restore_work(self, kind: str, id: str) -> None:
        """Bring work back from the trash.

        Raises:
            LabError: There is none of this id in the trash, or the disk refused.
        """
        folder = self.root / "trash" / "work" / kind / id
        if not is_id(id) or not is_kind(kind) or not folder.is_dir():
            raise LabError(
                f"There is no work {id} in the trash.", "Look into the list; it may be back already."
            )
        durable.move_folder(folder, self._work_folder(kind, id))

    # Inside

    def _draft(self, facts: Manifest) -> Draft:
        name = new_id()  # not the artifact's own: a sweep knows names of this form only
        lock = self._made("locks") / f"staging-{name}.lock"
        target = self.root / "artifacts" / facts.kind / facts.id
        return Draft(facts, self._made("staging") / name, lock, target, self._checked)

    def _make_work(self, info: WorkInfo, state: dict[str, Any]) -> None:
        staging = self._made("staging") / info.id
        making = new_lock(self.root / "locks" / f"staging-{info.id}.lock")  # against a sweep
        try:
            durable.ensure_folder(staging)
            works.write_work(info, staging, state)
            durable.move_folder(staging, info.folder)
        finally:
            durable.remove_folder(staging)
            making.release(remove=True)

    def _made(self, name: str) -> Path:
        durable.ensure_folder(self.root / name)
        return self.root / name

    def _work_folder(self, kind: str, id: str) -> Path:
        if not is_kind(kind) or not is_id(id):
            raise LabError(f"There is no work {kind[:80]}/{id[:80]}.", "Refresh the list and choose again.")
        return self.root / "work" / kind / id

    def _work_here(self, kind: str, id: str) -> Path:
        folder = self._work_folder(kind, id)
        if not folder.exists():
            raise LabError(f"There is no work {kind}/{id}.", "Refresh the list; it may be in the trash.")
        return folder

    def _lock_path(self, kind: str, id: str) -> Path:
        return self.root / "locks" / f"work-{kind}-{id}.lock"

    def _lock_of(self, kind: str, id: str) -> Lock | None:
        self._made("locks")
        return try_lock(self._lock_path(kind, id))

    def _find(self, id: str, problems: list[LabError] | None = None) -> Artifact:
        """The artifact of this id, wherever it is; a stub where it is nowhere."""
        if is_id(id):
            for place, state in (("artifacts", HERE), ("trash", TRASHED)):
                for folder in (self.root / place).glob(f"*/{id}"):
                    if found := self._read(folder, problems if problems is not None else [], state=state):
                        return found
        return next((one for one in self._shipped([]) if one.id == id), stub(id))

    def _own(self, kind: str | None, problems: list[LabError]) -> list[Artifact]:
        own: dict[str, Artifact] = {}
        for folder in self._folders(self.root / "artifacts", problems, only=kind):
            found = self._read(folder, problems)
            if found and own.setdefault(found.id, found) is not found:
                problems.append(LabError(f"{folder} has the same id as {own[found.id].folder}.", _FOREIGN))
        return list(own.values())

    def _shipped(self, problems: list[LabError]) -> list[Artifact]:
        folders: list[Path] = []
        for place in self.shipped:
            folders += [
                path.parent for depth in (FILE, f"*/{FILE}", f"*/*/{FILE}") for path in place.glob(depth)
            ]
        return [found for folder in sorted(folders) if (found := self._read(folder, problems, shipped=True))]

    def _works(self, kind: str | None, problems: list[LabError]) -> list[WorkInfo]:
        found = []
        for folder in self._folders(self.root / "work", problems, only=kind):
            try:
                found.append(works.read_work(folder, folder.parent.name)[0])
            except LabError as problem:
                if folder.exists():
                    problems.append(problem)
        return found

    def _folders(
        self, place: Path, problems: list[LabError], only: str | None = None, skip: Sequence[str] = ()
    ) -> Iterator[Path]:
        """The folders <place>/<kind>/<id>; everything else there is a problem."""
        for kind in _entries(place):
            if kind.name in skip or (only is not None and kind.name != only):
                continue
            if not is_kind(kind.name) or not _is_own_folder(kind):
                problems.append(LabError(f"{durable.shown(kind)} is no folder of a kind.", _FOREIGN))
                continue
            for folder in _entries(kind):
                if _is_own_folder(folder):
                    yield folder
                elif os.path.lexists(folder):
                    problems.append(LabError(f"{durable.shown(folder)} is a link or no folder.", _FOREIGN))

    def _read(
        self, folder: Path, problems: list[LabError], *, shipped: bool = False, state: str = HERE
    ) -> Artifact | None:
        """The artifact in a folder, read again only when its manifest changed; None where it is unsound."""
        try:
            manifest = self._manifest(folder)
            if not shipped:
                _check_place(manifest, folder)
        except LabError as problem:
            if folder.exists():  # else it went while we looked
                problems.append(problem)
            return None
        return Artifact(manifest, folder, shipped, state, self._checked)

    def _manifest(self, folder: Path) -> Manifest:
        try:
            facts = os.lstat(folder / FILE)
            seen = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        except OSError:
            return read_manifest(folder)  # says what is wrong
        known = self._manifests.get(folder)
        if known is None or known[0] != seen:
            known = self._manifests[folder] = (seen, read_manifest(folder))
        return known[1]

    def _sweep(self) -> None:
        """Take away what dead windows left in the making."""
        staging, locks = self.root / "staging", self.root / "locks"
        sweep(staging, locks, "", "staging-")
        for path in _entries(locks):
            match = _WORK_LOCK.fullmatch(path.name)
            if match is None or (self.root / "work" / match[1] / match[2]).exists():
                continue
            with contextlib.suppress(LabError):
                if lock := try_lock(path):
                    lock.release(remove=True)


def _check_place(manifest: Manifest, folder: Path) -> None:
    """An artifact of a workspace lies where its id and kind say, or two folders could claim one id."""
    if (manifest.id, manifest.kind) != (folder.name, folder.parent.name):
        raise LabError(
            f"{folder} says it is {manifest.kind}/{manifest.id}, which is another place.", _FOREIGN
        )


def _entries(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.name not in IGNORED)
    except OSError:
        return []  # not made yet, or gone meanwhile


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _age(artifact: Artifact) -> tuple[datetime, str]:
    return artifact.created, artifact.id
