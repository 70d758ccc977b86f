"""Work: what changes. A training run, an annotation task, a draft of anything, in `work/<kind>/<id>/`.

`work.json` holds id, name and the `state` that a lab keeps; larger files lie beside it. One lock: the first
window writes, a second one reads and learns who writes. Saving writes a new file and renames it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.artifacts import durable, plain_json
from core.artifacts.locks import Holder, Lock
from core.artifacts.manifest import app_version, is_id, is_kind, name_fault
from core.problems import LabError

FORMAT = 1
FILE = "work.json"


@dataclass(frozen=True)
class WorkInfo:
    """What a list shows of one piece of work, without opening it.

    Attributes:
        kind: "training", "preferences", ...
        id: Unique; new ones sort by the time of their making.
        name: As people call it.
        created: UTC.
        saved: Time of the last save, UTC.
        folder: Where it lies.
    """

    kind: str
    id: str
    name: str
    created: datetime
    saved: datetime
    folder: Path


class Work:
    """One piece of work, open. Close it, or use it in a `with`; a process that dies lets go by dying.

    Attributes:
        info: Kind, id, name, times and folder.
        state: Plain JSON values; change them, then `save`.
        read_only: Whether another window holds it.
        holder: Who holds it: this window or the other; None where the other left no note.
    """

    def __init__(
        self, info: WorkInfo, state: dict[str, Any], lock: Lock | None, holder: Holder | None
    ) -> None:
        self.info = info
        self.state = state
        self.holder = holder
        self._lock = lock
        self._closed = False

    @property
    def kind(self) -> str:
        """Kind of work."""
        return self.info.kind

    @property
    def id(self) -> str:
        """Unique id."""
        return self.info.id

    @property
    def name(self) -> str:
        """As people call it."""
        return self.info.name

    @property
    def folder(self) -> Path:
        """Where its files lie; only the holder may change them."""
        return self.info.folder

    @property
    def read_only(self) -> bool:
        """Whether another window holds it, or it is closed."""
        return self._lock is None

    def save(self, name: str | None = None) -> None:
        """Write `state` (and a new name) durably: afterwards a crash cannot take it back.

        Raises:
            LabError: Another window holds it, or the disk refused; what was saved before is intact.
        """
        if self._lock is None:
            raise self._refusal()
        if name is not None and (fault := name_fault(name)):
            raise LabError(
                f"The name {name[:80]!r} {fault}.", "Choose a name of 1 to 200 characters on one line."
            )
        now = datetime.now(UTC)
        info = WorkInfo(self.kind, self.id, name or self.name, self.info.created, now, self.folder)
        write_work(info, self.folder, self.state)
        self.info = info

    def _refusal(self) -> LabError:
        if self._closed:
            return LabError(f"“{self.name}” is closed.", "Open it again.")
        if not os.access(self.folder, os.W_OK):
            return LabError(
                f"“{self.name}” lies in {durable.shown(self.folder)}, which is read-only.",
                "Copy the workspace to a place that you may write to.",
            )
        who = str(self.holder) if self.holder else "another window"
        return LabError(
            f"“{self.name}” is open for reading only: {who} holds it.",
            "Close it there and open it again here.",
        )

    def reload(self) -> None:
        """Read again what the holder saved last.

        Raises:
            LabError: The file is gone or damaged.
        """
        self.info, self.state = read_work(self.folder, self.kind)

    def close(self) -> None:
        """Let go, once or more often; nothing is saved by it."""
        self._closed = True
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            self.holder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_work(info: WorkInfo, folder: Path, state: dict[str, Any]) -> None:
    """Write `work.json` into `folder`, durably."""
    facts = {
        "format": FORMAT,
        "id": info.id,
        "kind": info.kind,
        "name": info.name,
        "created": info.created.isoformat(),
        "saved": info.saved.isoformat(),
        "app": app_version(),
        "state": plain_json.plain(state, "state"),
    }
    plain_json.write_json(folder / FILE, facts)


def read_work(folder: Path, kind: str) -> tuple[WorkInfo, dict[str, Any]]:
    """The checked `work.json` of a folder.

    Raises:
        LabError: It is missing, hostile, damaged, of a newer format, or of another place.
    """
    path = durable.shown(folder / FILE)
    value = plain_json.read_json(folder / FILE)
    if not isinstance(value, dict):
        raise LabError(f"{path} is not a JSON object.", plain_json.FOREIGN)
    version = value.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise LabError(
            f"{path} has format {version}; this LLM Lab reads up to {FORMAT}.", "Update LLM Lab to open it."
        )
    texts = {key: value.get(key) for key in ("id", "kind", "name", "created", "saved")}
    wrong = [key for key, text in texts.items() if not isinstance(text, str)]
    if version != FORMAT or wrong or not isinstance(value.get("state"), dict):
        raise LabError(f"{path} lacks a sound {', '.join(wrong) or 'format or state'}.", plain_json.FOREIGN)
    if texts["id"] != folder.name or texts["kind"] != kind or not is_id(folder.name) or not is_kind(kind):
        raise LabError(
            f"{path} says it is {texts['kind']}/{texts['id']}, which is another place.", plain_json.FOREIGN
        )
    if fault := name_fault(str(texts["name"])):
        raise LabError(f"{path}: the name {fault}.", plain_json.FOREIGN)
    try:
        created, saved = (
            datetime.fromisoformat(str(texts[key])).astimezone(UTC) for key in ("created", "saved")
        )
    except (ValueError, OverflowError) as error:
        raise LabError(f"{path}: {error}.", plain_json.FOREIGN) from error
    return WorkInfo(kind, folder.name, str(texts["name"]), created, saved, folder), value["state"]


def clear_parts(folder: Path) -> None:
    """Remove what a holder who died was writing into `folder`; only the holder may call this."""
    for part in folder.glob(f".*{durable.PART}"):
        with contextlib.suppress(OSError):
            part.unlink()
