"""What `artifact.json` says: its schema, written once and checked whenever it is read.

    {"format": 1, "id": "20261124t035937123456-k3q7xa", "kind": "tokenizer", "role": "", "name": "Verse 2048",
     "created": "2026-11-24T03:59:37.123456+00:00", "stage": "tokenizer.learn", "settings": {...},
     "seed": null, "parents": ["..."], "metrics": {...},
     "files": [{"path": "tokenizer.json", "size": 81, "sha256": "..."}],
     "references": [...], "app": "0.1.0"}

Unknown keys are ignored, a higher format number is refused. Whether the files are there and unchanged is
`artifact.py`'s business.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from core.artifacts import durable, plain_json
from core.artifacts.references import Reference
from core.problems import LabError

FORMAT = 1
FILE = "artifact.json"
KINDS = (
    "corpus",
    "tokenizer",
    "model",
    "adapter",
    "preferences",
    "vectors",
    "imatrix",
    "report",
    "quantized",
)
ROLES = ("", "base", "sft", "aligned")
MOST_FILES = 10_000
MOST_PARENTS = 1_000

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_NEW_ID = re.compile(r"[0-9]{8}t[0-9]{12}-[a-z2-7]{6}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Control characters, line and paragraph ends, what turns the reading direction, halves of characters.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class FileFact:
    """What the manifest says of one file: `size` in bytes and the sha256 as hex digits."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """One `artifact.json`, checked.

    Attributes:
        id: Unique; new ones sort by the time of their making.
        kind: What it is: one of `KINDS`, or a kind of a later version.
        role: Of a model or an adapter: "base", "sft" or "aligned"; "" otherwise.
        name: As people call it.
        created: UTC.
        stage: What made it: "tokenizer.learn".
        settings: All settings of that stage.
        seed: Of its random numbers, or None where it drew none.
        parents: Ids of the artifacts that it was made of.
        metrics: Figures about it; a non-finite one is the text "nan", "inf" or "-inf".
        files: Path below the folder, with `/`, to size and sha256; `artifact.json` is not among them.
        references: The user's own files that it was made of.
        app: Version of LLM Lab that wrote it.
    """

    id: str
    kind: str
    role: str
    name: str
    created: datetime
    stage: str
    settings: Mapping[str, Any]
    seed: int | None
    parents: tuple[str, ...]
    metrics: Mapping[str, Any]
    files: Mapping[str, FileFact]
    references: tuple[Reference, ...] = ()
    app: str = field(default="")


def new_id() -> str:
    """An id that no other process will make: UTC time to the microsecond and 30 random bits."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dt%H%M%S") + f"{nanoseconds // 1000:06}"
    return f"{stamp}-{''.join(secrets.choice(_BASE32) for _ in range(6))}"


def app_version() -> str:
    """The version of this app, "unknown" where its metadata were not installed."""
    import importlib.metadata  # 30 ms that a cold start need not pay

    try:
        return importlib.metadata.version("llm-lab")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def is_new_id(text: str) -> bool:
    """Whether `text` is an id as `new_id` makes them; shipped artifacts may have others.

    >>> is_new_id(new_id()), is_new_id("smallworld-base")
    (True, False)
    """
    return _NEW_ID.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether `text` can name an artifact and its folder.

    >>> is_id("smallworld-base"), is_id("../x"), is_id("NUL"), is_id("")
    (True, False, False, False)
    """
    return _ID.fullmatch(text) is not None and text.lower() not in _DEVICES


def is_kind(text: str) -> bool:
    """Whether `text` can name a kind and its folder.

    >>> is_kind("tokenizer"), is_kind("Tokenizer"), is_kind("con")
    (True, False, False)
    """
    return _KIND.fullmatch(text) is not None and text not in _DEVICES


def file_fault(path: str) -> str:
    """What is wrong with the path of a file inside an artifact on some system, or "".

    >>> file_fault("sub/model.safetensors"), file_fault("../x"), file_fault("aux.txt")
    ('', 'leaves the folder', 'has a name that Windows reserves')
    """
    if path.startswith("/"):
        return "is absolute"
    if not path or len(path) > 400:
        return "is empty" if not path else "is longer than 400 characters"
    if _UNFIT.search(path) or any(c in '\\:*?"<>|' for c in path):
        return "holds a character that some systems do not allow"
    for part in path.split("/"):
        if part == "..":
            return "leaves the folder"
        if part in ("", ".") or len(part.encode("utf-8", "replace")) > 200:
            return "has an empty, dotted or too long part"
        if part.endswith((".", " ")):
            return "has a part that ends in a dot or a space"
        if part.split(".")[0].lower() in _DEVICES:
            return "has a name that Windows reserves"
    return ""


def name_fault(name: str) -> str:
    """What is wrong with a display name, or "".

    >>> name_fault("Shakespeare 2048"), name_fault(" ")
    ('', 'is empty')
    """
    if not name.strip():
        return "is empty"
    if len(name) > 200:
        return "is longer than 200 characters"
    return "holds a control character" if _UNFIT.search(name) else ""


def read_manifest(folder: Path) -> Manifest:
    """The checked manifest of the artifact in `folder`.

    Raises:
        LabError: It is missing, too large, hostile, damaged, or of a newer format; path and field are named.
    """
    path = folder / FILE
    return manifest_of(plain_json.read_json(path), durable.shown(path))


def manifest_of(value: Any, where: str) -> Manifest:
    """The manifest that a JSON value holds; `where` names the file in errors.

    Raises:
        LabError: A field is missing or is not what it should be.
    """
    if not isinstance(value, dict):
        raise LabError(f"{where} is not a JSON object.", plain_json.FOREIGN)
    version = _take(value, "format", int, where)
    if version > FORMAT:
        raise LabError(
            f"{where} has format {version}; this LLM Lab reads up to {FORMAT}.", "Update LLM Lab to open it."
        )
    _demand(version == FORMAT, where, "format", f"is {version}")
    manifest = Manifest(
        id=_take(value, "id", str, where),
        kind=_take(value, "kind", str, where),
        role=_take(value, "role", str, where),
        name=_take(value, "name", str, where),
        created=_time(_take(value, "created", str, where), where),
        stage=_take(value, "stage", str, where),
        settings=_take(value, "settings", dict, where),
        seed=None if value.get("seed") is None else _take(value, "seed", int, where),
        parents=tuple(_texts(value, "parents", where)),
        metrics=_take(value, "metrics", dict, where),
        files=_files(_take(value, "files", list, where), where),
        references=tuple(Reference.from_json(one, where) for one in _take(value, "references", list, where)),
        app=_take(value, "app", str, where),
    )
    _demand(is_id(manifest.id), where, "id", f"is {manifest.id[:80]!r}")
    _demand(is_kind(manifest.kind), where, "kind", f"is {manifest.kind[:80]!r}")
    _demand(manifest.role in ROLES, where, "role", f"is {manifest.role[:80]!r}")
    _demand(not name_fault(manifest.name), where, "name", name_fault(manifest.name))
    _demand(len(manifest.stage) <= 200, where, "stage", "is longer than 200 characters")
    _demand(
        len(manifest.parents) <= MOST_PARENTS, where, "parents", f"has more than {MOST_PARENTS:,} entries"
    )
    for parent in manifest.parents:
        _demand(is_id(parent), where, "parents", f"holds {parent[:80]!r}")
    return manifest


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """The JSON value of a manifest, in the order in which a person reads it."""
    return {
        "format": FORMAT,
        "id": manifest.id,
        "kind": manifest.kind,
        "role": manifest.role,
        "name": manifest.name,
        "created": manifest.created.isoformat(),
        "stage": manifest.stage,
        "settings": plain_json.plain(manifest.settings, "settings"),
        "seed": manifest.seed,
        "parents": list(manifest.parents),
        "metrics": plain_json.plain(manifest.metrics, "metrics"),
        "files": [
            {"path": path, "size": fact.size, "sha256": fact.sha256} for path, fact in manifest.files.items()
        ],
        "references": [reference.to_json() for reference in manifest.references],
        "app": manifest.app,
    }


def check_facts(kind: str, name: str, role: str, parents: Sequence[str]) -> None:
    """Check what a caller wants to write into a manifest.

    Raises:
        LabError: The name is a person's to mend.
        ValueError: Kind, role or a parent's id is not one: a bug of the caller.
    """
    if fault := name_fault(name):
        raise LabError(
            f"The name {name[:80]!r} {fault}.", "Choose a name of 1 to 200 characters on one line."
        )
    if not is_kind(kind) or role not in ROLES:
        raise ValueError(f"kind {kind!r}, role {role!r}")
    if len(parents) > MOST_PARENTS or not all(is_id(parent) for parent in parents):
        raise ValueError(f"parents {list(parents)[:10]!r}")


def _files(rows: list[Any], where: str) -> dict[str, FileFact]:
    _demand(len(rows) <= MOST_FILES, where, "files", f"has more than {MOST_FILES:,} entries")
    files: dict[str, FileFact] = {}
    folded = {FILE}
    for row in rows:
        _demand(isinstance(row, dict), where, "files", "holds an entry that is no object")
        path = _take(row, "path", str, where)
        fault = file_fault(path)
        _demand(not fault, where, "files", f"holds {path[:80]!r}, which {fault}")
        _demand(path.casefold() not in folded, where, "files", f"holds {path[:80]!r} twice")
        folded.add(path.casefold())
        size, sha256 = _take(row, "size", int, where), _take(row, "sha256", str, where)
        _demand(0 <= size < 1 << 63, where, "files", f"gives {path[:80]!r} the size {size}")
        _demand(_SHA256.fullmatch(sha256) is not None, where, "files", f"gives {path[:80]!r} no sha256")
        files[path] = FileFact(size, sha256)
    return files


def _take(value: dict[str, Any], key: str, kind: type[Kind], where: str) -> Kind:
    found = value.get(key)
    if not isinstance(found, kind) or isinstance(found, bool):
        _demand(key in value, where, key, "is missing")
        raise LabError(f"{where}: the field {key} is not {_KIND_NAMES[kind]}.", plain_json.FOREIGN)
    return found


def _texts(value: dict[str, Any], key: str, where: str) -> list[str]:
    found = _take(value, key, list, where)
    _demand(all(isinstance(one, str) for one in found), where, key, "holds something that is not text")
    return found


def _time(text: str, where: str) -> datetime:
    try:
        made = datetime.fromisoformat(text)
        if made.tzinfo is not None:
            return made.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise LabError(
        f"{where}: the field created is {text[:80]!r}, which is no time with a zone.", plain_json.FOREIGN
    )


def _demand(condition: bool, where: str, key: str, fault: str) -> None:
    if not condition:
        raise LabError(f"{where}: the field {key} {fault}.", plain_json.FOREIGN)


_KIND_NAMES: dict[type, str] = {int: "a whole number", str: "text", list: "a list", dict: "an object"}
