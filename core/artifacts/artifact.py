"""One artifact as a reader sees it: facts, files, and whether they can be trusted.

An artifact never changes. A reader asks for `checked_path(file)`, which hashes the file once and afterwards
compares size and time; `verify` looks at everything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from core.artifacts import durable
from core.artifacts.manifest import FILE, FileFact, Manifest, read_manifest
from core.artifacts.references import Reference
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end

# What file managers leave in every folder that they show.
IGNORED = (".DS_Store", "Thumbs.db", "desktop.ini")

HERE, TRASHED, MISSING = "here", "trashed", "missing"

Checked = dict[str, tuple[int, int, int]]
"""Path of a file whose hash was right to its size, time (ns) and inode then."""


@dataclass(frozen=True, eq=False)
class Artifact:
    """One artifact.

    Attributes:
        manifest: Everything that `artifact.json` says.
        folder: Where it lies.
        read_only: Whether it is shipped with the app and cannot go to the trash.
        state: `here`, `trashed` (its folder is in the trash) or `missing` (only its id is known: a stub).
    """

    manifest: Manifest
    folder: Path
    read_only: bool = False
    state: str = HERE
    _checked: Checked = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and (self.id, self.folder) == (other.id, other.folder)

    def __hash__(self) -> int:
        return hash((self.id, self.folder))

    @property
    def id(self) -> str:
        """Unique id."""
        return self.manifest.id

    @property
    def kind(self) -> str:
        """What it is: "tokenizer", "model"; "" of a missing one."""
        return self.manifest.kind

    @property
    def role(self) -> str:
        """Of a model or adapter: "base", "sft", "aligned"; "" otherwise."""
        return self.manifest.role

    @property
    def name(self) -> str:
        """As people call it; the id of a missing one."""
        return self.manifest.name

    @property
    def created(self) -> datetime:
        """When it was made, UTC."""
        return self.manifest.created

    @property
    def stage(self) -> str:
        """What made it."""
        return self.manifest.stage

    @property
    def settings(self) -> Mapping[str, Any]:
        """All settings of that stage."""
        return self.manifest.settings

    @property
    def seed(self) -> int | None:
        """Seed of its random numbers."""
        return self.manifest.seed

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of what it was made of."""
        return self.manifest.parents

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Figures about it."""
        return self.manifest.metrics

    @property
    def files(self) -> Mapping[str, FileFact]:
        """Path below the folder to size and sha256."""
        return self.manifest.files

    @property
    def references(self) -> tuple[Reference, ...]:
        """The user's own files that it was made of."""
        return self.manifest.references

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(fact.size for fact in self.files.values())

    def path(self, file: str) -> Path:
        """Where a file of the artifact lies; nothing is looked at.

        Raises:
            LabError: The artifact has no such file, or is not here.
        """
        if self.state == MISSING:
            raise LabError(
                f"The artifact {self.id} is not in this workspace.", "Copy its folder here and try again."
            )
        if self.state == TRASHED:
            raise LabError(f"“{self.name}” ({self.id}) is in the trash.", "Restore it and try again.")
        if file not in self.files:
            raise LabError(
                f"“{self.name}” ({self.kind}) has no file {file!r}.",
                f"It has {', '.join(list(self.files)[:8]) or 'no files'}.",
            )
        return self.folder.joinpath(*file.split("/"))  # the manifest's check lets no path out of the folder

    def checked_path(self, file: str) -> Path:
        """Where a file lies, after its bytes were found to be those that were published.

        The hash is computed once per process; afterwards size and time are compared.

        Raises:
            LabError: The file is missing or changed, or the artifact has none of this name.
        """
        for _ in self._checking(file):
            pass
        return self.path(file)

    def verify(self) -> None:
        """Hash every file and look for others.

        Raises:
            LabError: A file is missing, changed, or extra; it is named.
        """
        run_to_end(self.verifying())

    def verifying(self) -> Iterator[Progress | Finished[None]]:
        """The same as a stage, for large artifacts: one Progress per megabyte."""
        self._check_here()
        return self._verifying()

    def _verifying(self) -> Iterator[Progress | Finished[None]]:
        if read_manifest(self.folder) != self.manifest:
            raise self._broken(FILE, "has changed")
        for extra in sorted(files_below(self.folder, self.name) - set(self.files) - {FILE}):
            raise self._broken(extra, "is extra: it was not there when the artifact was made")
        done = 0
        for file in self.files:
            self._checked.pop(str(self.path(file)), None)  # verifying means reading again
            for size in self._checking(file):
                done += size
                yield Progress(f"Verifying {self.name}", done, self.size, "bytes")
        yield Finished(f"All {len(self.files)} files of {self.name} are as they were published.", None)

    def _checking(self, file: str) -> Iterator[int]:
        """Hash one file, yielding the bytes of each block, unless it was right before and looks the same."""
        path, expected = self.path(file), self.files[file]
        self._refuse_links(path, file)
        try:
            facts = os.lstat(path)
            if not stat.S_ISREG(facts.st_mode):
                raise self._broken(file, "is not a regular file")
            if facts.st_size != expected.size:
                raise self._broken(file, f"has changed: {facts.st_size:,} bytes instead of {expected.size:,}")
            seen = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
            if self._checked.get(str(path)) == seen:
                return
            sha256 = yield from durable.hashing(path)
        except FileNotFoundError as error:
            raise self._broken(file, "is missing") from error
        except OSError as error:
            raise self._broken(file, f"cannot be read: {error.strerror or error}") from error
        if sha256 != expected.sha256:
            raise self._broken(file, "has changed: its sha256 is another")
        self._checked[str(path)] = seen

    def _refuse_links(self, path: Path, file: str) -> None:
        """No folder between the artifact's and the file may lead elsewhere."""
        for parent in list(path.parents)[: file.count("/")]:
            if parent.is_symlink():
                raise self._broken(file, "lies behind a link")

    def _check_here(self) -> None:
        if self.state != HERE:
            self.path("")

    def _broken(self, file: str, fault: str) -> LabError:
        if not self.folder.exists():
            return LabError(
                f"“{self.name}” is no longer in {self.folder}.",
                "Look into the trash: another window may have put it there.",
            )
        return LabError(
            f"“{self.name}” is damaged: {durable.shown(file)} in {durable.shown(self.folder)} {fault}.",
            "Restore the folder from a copy, or make the artifact again.",
        )


def open_artifact(folder: Path) -> Artifact:
    """The artifact in any folder, by `--out` or on a stick; its files are verified when they are read.

    Raises:
        LabError: The folder holds no sound `artifact.json`.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise LabError(
            f"{durable.shown(folder)} is not a folder.", "Choose the folder that holds artifact.json."
        )
    return Artifact(read_manifest(folder), folder)


def stub(id: str) -> Artifact:
    """What stands for an artifact of which only the id is known."""
    created = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    facts = Manifest(id, "", "", id, created, "", {}, None, (), {}, {})
    return Artifact(facts, Path(), True, MISSING)


def files_below(folder: Path, name: str) -> set[str]:
    """The files below a folder, with `/`; what file managers leave is not counted.

    Raises:
        LabError: A link or a device lies there, or it cannot be read; `name` says whose it is.
    """
    found: set[str] = set()
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            raise LabError(
                f"{place} cannot be read: {error.strerror or error}.", "Check its permissions."
            ) from error
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), path + "/"))
            elif entry.is_file(follow_symlinks=False):
                if entry.name not in IGNORED:
                    found.add(path)
            else:
                raise LabError(
                    f"“{name}” holds {durable.shown(folder / path)}, which is a link or no regular file.",
                    "Put a copy of the file there instead.",
                )
    return found
