"""An artifact in the making: a hidden folder that becomes visible, whole, by one rename.

    with workspace.new_artifact("tokenizer", "Shakespeare", "tokenizer.learn", settings) as draft:
        write_tokenizer(tokenizer, draft.folder)
        draft.metrics["characters per token"] = 3.2
    draft.artifact.path("tokenizer.json")

Files are synced and hashed, `artifact.json` is written last, then the folder is renamed. An exception
(closing a stage is one) leaves nothing. A process that dies leaves a folder whose lock nobody holds; the next
start sweeps it away.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core import settings as schema
from core.artifacts import durable, plain_json
from core.artifacts.artifact import Artifact, Checked, files_below
from core.artifacts.locks import Lock, new_lock, try_lock
from core.artifacts.manifest import (
    FILE,
    FileFact,
    Manifest,
    app_version,
    check_facts,
    file_fault,
    is_new_id,
    manifest_json,
    manifest_of,
    new_id,
)
from core.artifacts.references import Reference
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end

BESIDE = ".llmlab-"  # start of the name of a folder in the making beside a `--out DIR`
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class Draft:
    """An artifact in the making; made by `Workspace.new_artifact` and `publish_folder`, used in a `with`."""

    def __init__(
        self, facts: Manifest, staging: Path, lock_path: Path, target: Path, checked: Checked
    ) -> None:
        self.metrics: dict[str, Any] = {}
        self._facts = facts
        self._staging = staging
        self._lock_path = lock_path
        self._target = target
        self._checked = checked
        self._lock: Lock | None = None
        self._artifact: Artifact | None = None

    @property
    def id(self) -> str:
        """The id that the artifact will have."""
        return self._facts.id

    @property
    def folder(self) -> Path:
        """Where its files are written; it exists inside the `with`."""
        return self._staging

    @property
    def artifact(self) -> Artifact:
        """The artifact, once published.

        Raises:
            RuntimeError: It is not published.
        """
        if self._artifact is None:
            raise RuntimeError(f"The draft {self.id} is not published.")
        return self._artifact

    def write(self, file: str, data: bytes | str) -> Path:
        """Write one file of the artifact; `file` may hold `/`.

        Raises:
            LabError: The disk refused, or the name will not do on every system.
        """
        if fault := file_fault(file):
            raise LabError(
                f"The file name {file[:80]!r} {fault}.", "Choose a name of letters, digits, - and _."
            )
        path = self.folder.joinpath(*file.split("/"))
        durable.ensure_folder(path.parent)
        durable.write_file(path, data.encode("utf-8") if isinstance(data, str) else data)
        return path

    def publish(self) -> Artifact:
        """Make the artifact visible now; leaving the `with` does it too.

        Raises:
            LabError: The disk refused or a file cannot be part of an artifact; nothing is visible then.
        """
        return self.artifact if self._artifact else run_to_end(self.publishing()).result

    def publishing(self) -> Iterator[Progress | Finished[Artifact]]:
        """The same as a stage, for large files: one Progress per megabyte."""
        if self._lock is None or self._artifact is not None:
            raise RuntimeError(f"The draft {self.id} is not open.")
        try:
            files = yield from self._hash_files()
            manifest = dataclasses.replace(self._facts, files=files, metrics=dict(self.metrics))
            data = plain_json.dump(manifest_json(manifest), FILE)
            manifest = manifest_of(plain_json.parse_json(data, FILE), FILE)  # refuse what readers would
            durable.write_file(self.folder / FILE, data)
            self._sync_folders()
            durable.move_folder(self.folder, self._target)
        except OSError as error:
            raise durable.explain(error, self.folder) from error
        self._artifact = Artifact(manifest, self._target, _checked=self._checked)
        with contextlib.suppress(OSError):  # another window may trash it at once
            for file in files:
                seen = os.lstat(self._artifact.path(file))
                self._checked[str(self._artifact.path(file))] = (seen.st_size, seen.st_mtime_ns, seen.st_ino)
        yield Finished(f"“{manifest.name}” was saved.", self._artifact)

    def _hash_files(self) -> Generator[Progress, None, dict[str, FileFact]]:
        names = sorted(files_below(self.folder, self._facts.name) - {FILE})
        for name in names:
            if fault := file_fault(name):
                raise LabError(
                    f"The file name {name[:80]!r} {fault}.", "Choose a name of letters, digits, - and _."
                )
        files, done = {}, 0
        total = sum((self.folder / name).stat().st_size for name in names)
        for name in names:
            path = self.folder / name
            durable.sync_file(path)
            hashing = durable.hashing(path)
            size = 0
            while True:
                try:
                    size += next(hashing)
                except StopIteration as end:
                    files[name] = FileFact(size, end.value)
                    break
                yield Progress(f"Saving {self._facts.name}", done + size, total, "bytes")
            done += size
        return files

    def _sync_folders(self) -> None:
        for place, folders, _ in os.walk(self.folder, topdown=False):
            for folder in folders:
                durable.sync_folder(Path(place) / folder)
        durable.sync_folder(self.folder)

    def __enter__(self) -> Self:
        self._lock = new_lock(self._lock_path)
        try:
            durable.ensure_folder(self._staging)
        except BaseException:
            durable.remove_folder(self._staging)
            self._lock.release(remove=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._artifact is None:
                self.publish()
        finally:
            if self._artifact is None:
                durable.remove_folder(self._staging)
            if self._lock is not None:
                self._lock.release(remove=True)
                self._lock = None
        if isinstance(error, OSError) and error.errno in _DISK:
            raise durable.explain(error, Path(error.filename or self._staging)) from error


def new_facts(
    kind: str,
    name: str,
    stage: str,
    settings: Any = None,
    seed: int | None = None,
    parents: Sequence[str | Artifact] = (),
    role: str = "",
    references: Sequence[Reference] = (),
) -> Manifest:
    """The manifest of an artifact to be made, checked, without its files and metrics.

    Args:
        settings: A settings object of `core.settings`, or plain JSON values, or None.

    Raises:
        LabError: The name will not do.
    """
    ids = tuple(parent.id if isinstance(parent, Artifact) else parent for parent in parents)
    check_facts(kind, name, role, ids)
    values: Mapping[str, Any] = {}
    if settings is not None:
        values = settings if isinstance(settings, Mapping) else schema.to_json(settings)
    now = datetime.now(UTC)
    return Manifest(
        new_id(),
        kind,
        role,
        name,
        now,
        stage,
        dict(values),
        seed,
        ids,
        {},
        {},
        tuple(references),
        app_version(),
    )


def publish_folder(
    folder: Path,
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
    """A draft that becomes `folder`, outside of any workspace: `--out DIR` of the command line.

    Args:
        folder: Must not exist, or be empty.
        expected_bytes: What will be written, where that is known: twice as much must be free.

    Raises:
        LabError: The folder is taken, or the disk is too full, or the name will not do.
    """
    folder = Path(os.path.realpath(folder))
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(
            f"{folder} exists already and is not an empty folder.",
            "Choose another folder; nothing is overwritten.",
        )
    facts = new_facts(kind, name, stage, settings, seed, parents, role, references)
    durable.ensure_folder(folder.parent)
    sweep(folder.parent, folder.parent, BESIDE)
    durable.check_space(folder.parent, expected_bytes)
    staging = folder.parent / f"{BESIDE}{facts.id}"
    return Draft(facts, staging, staging.with_suffix(".lock"), folder, {})


def sweep(folder: Path, locks: Path, prefix: str, lock_prefix: str = "") -> None:
    """Remove what dead processes left in `folder`: entries with `prefix` whose lock in `locks` nobody holds.

    A lock that is held, by whatever process on whatever computer, protects its folder.
    """
    lock_prefix = lock_prefix or prefix
    try:
        names = {entry[len(prefix) :] for entry in os.listdir(folder) if entry.startswith(prefix)}
        names |= {entry[len(lock_prefix) :] for entry in os.listdir(locks) if entry.startswith(lock_prefix)}
    except OSError:
        return  # a read-only or vanished place: nothing to tidy
    for name in sorted({name.removesuffix(".lock").removesuffix(".holder") for name in names}):
        if not is_new_id(name):
            continue  # not ours
        lock = None
        with contextlib.suppress(LabError):
            lock = try_lock(locks / f"{lock_prefix}{name}.lock")
        if lock is not None:
            durable.remove_folder(folder / f"{prefix}{name}")
            lock.release(remove=True)
