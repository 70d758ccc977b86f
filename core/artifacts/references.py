"""A user's own file, known by path, size, time and sha256; it is never moved, copied or changed.

What changed or is missing is said, by `status` quickly and by `check` for sure.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import durable, plain_json
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end


@dataclass(frozen=True)
class Reference:
    """One file of the user.

    Attributes:
        path: Where it lay, absolute.
        size: In bytes.
        mtime_ns: Time of its last change, nanoseconds since 1970.
        sha256: Of its bytes, as hex digits.
    """

    path: Path
    size: int
    mtime_ns: int
    sha256: str

    def status(self) -> str:
        """Judge by size and time alone: `same`, `changed` or `missing`; a path on a network is `remote`.

        A remote path may come from a stranger's manifest, and merely looking at it would contact that host.
        """
        if str(self.path).startswith(("\\\\", "//")):
            return "remote"
        return self._status()

    def _status(self) -> str:
        try:
            facts = os.stat(self.path)
        except (OSError, ValueError):
            return "missing"
        if not stat.S_ISREG(facts.st_mode):
            return "missing"
        return "same" if (facts.st_size, facts.st_mtime_ns) == (self.size, self.mtime_ns) else "changed"

    def check(self) -> None:
        """Compare the file with what it was; where only its time differs, its bytes decide.

        Raises:
            LabError: It is missing or its content changed.
        """
        status = self._status()
        if status == "missing":
            raise LabError(
                f"{self.path} is missing.",
                "Bring the file back to this place, or choose it again where it is now.",
            )
        if status == "changed":
            now = refer(self.path)
            if now.sha256 != self.sha256:
                raise LabError(
                    f"{self.path} has changed: it had {self.size:,} bytes and now has {now.size:,}, "
                    "and its content is another.",
                    "Bring back the earlier file, or choose this one as a new source.",
                )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"path": str(self.path), "size": self.size, "mtime_ns": self.mtime_ns, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Reference:
        """Of plain values; `where` names their file in errors.

        Raises:
            LabError: They are not those of a reference.
        """
        fields = {"path": str, "size": int, "mtime_ns": int, "sha256": str}
        if not isinstance(value, dict) or not all(
            isinstance(value.get(key), kind) and not isinstance(value.get(key), bool)
            for key, kind in fields.items()
        ):
            raise LabError(f"{where}: a reference to a file lacks {', '.join(fields)}.", plain_json.FOREIGN)
        if "\0" in value["path"] or len(value["path"]) > 32_768:
            raise LabError(f"{where}: a reference names the path {value['path'][:80]!r}.", plain_json.FOREIGN)
        return cls(Path(value["path"]), value["size"], value["mtime_ns"], value["sha256"])


def refer(path: Path) -> Reference:
    """The reference to a file as it is now.

    Raises:
        LabError: It is missing, unreadable, no regular file, or changed while it was read.
    """
    reference: Reference = run_to_end(referring(path)).result
    return reference


def referring(path: Path) -> Iterator[Progress | Finished[Reference]]:
    """The same as a stage, for large files: one Progress per megabyte."""
    path = Path(os.path.abspath(path))
    return _referring(path, _facts(path))


def _referring(path: Path, before: os.stat_result) -> Iterator[Progress | Finished[Reference]]:
    done = 0
    hashing = durable.hashing(path)
    try:
        while True:
            done += next(hashing)
            yield Progress(f"Reading {path.name}", done, before.st_size, "bytes")
    except StopIteration as end:
        sha256: str = end.value
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the file and its disk."
        ) from error
    finally:
        hashing.close()
    after = _facts(path)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or done != after.st_size:
        raise LabError(
            f"{path} changed while it was read.", "Close the program that writes it and try again."
        )
    yield Finished(f"{path.name} was read.", Reference(path, after.st_size, after.st_mtime_ns, sha256))


def _facts(path: Path) -> os.stat_result:
    try:
        facts = os.stat(path)
    except (OSError, ValueError) as error:
        raise LabError(f"{path} is missing or unreadable.", "Check the path and its permissions.") from error
    if not stat.S_ISREG(facts.st_mode):
        raise LabError(f"{path} is not a regular file.", "Choose a file, not a folder or a device.")
    return facts
