"""What a stranger left in a workspace never breaks a list: it is refused with its place and its fault."""

from __future__ import annotations

import json
import os
import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.artifacts import Artifact, Workspace, open_artifact
from core.artifacts.manifest import manifest_json, manifest_of
from core.problems import LabError

ID = "20260101t000000000000-aaaaaa"
SHA = "0" * 64
GOOD: dict[str, Any] = {
    "format": 1,
    "id": ID,
    "kind": "report",
    "role": "",
    "name": "A report",
    "created": "2026-01-01T00:00:00+00:00",
    "stage": "test",
    "settings": {},
    "seed": None,
    "parents": [],
    "metrics": {},
    "files": [],
    "references": [],
    "app": "0.1.0",
}


def _file(path: str, size: Any = 1, sha256: Any = SHA) -> dict[str, Any]:
    return {"files": [{"path": path, "size": size, "sha256": sha256}]}


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "a path that climbs out": (_file("../../secret"), "leaves the folder"),
    "a path that climbs out later": (_file("a/../../secret"), "leaves the folder"),
    "an absolute path": (_file("/etc/passwd"), "is absolute"),
    "a path with a drive": (_file("C:/x"), "character"),
    "a path with backslashes": (_file("..\\x"), "character"),
    "a path with a NUL": (_file("a\0b"), "character"),
    "a Windows device": (_file("nul"), "reserves"),
    "an empty path": (_file(""), "is empty"),
    "a very long path": (_file("a" * 5000), "longer"),
    "the manifest among its files": (_file("artifact.json"), "twice"),
    "a negative size": (_file("a", -1), "size -1"),
    "a size as text": (_file("a", "1"), "size is not a whole number"),
    "a size that is true": (_file("a", True), "size is not a whole number"),
    "no sha256": (_file("a", 1, "x"), "sha256"),
    "a file twice": ({"files": _file("a")["files"] * 2}, "twice"),
    "files as an object": ({"files": {}}, "files is not a list"),
    "a file as text": ({"files": ["a"]}, "no object"),
    "too many files": ({"files": [{}] * 10_001}, "10,000"),
    "a future format": ({"format": 2}, "format 2; this LLM Lab reads up to 1"),
    "a format as text": ({"format": "1"}, "format is not a whole number"),
    "format zero": ({"format": 0}, "format is 0"),
    "an id that climbs": ({"id": "../x"}, "id is"),
    "another id": ({"id": "20260101t000000000000-bbbbbb"}, "another place"),
    "another kind": ({"kind": "model"}, "another place"),
    "a kind that climbs": ({"kind": "../x"}, "kind is"),
    "an unknown role": ({"role": "king"}, "role is"),
    "an empty name": ({"name": ""}, "name is empty"),
    "a name that turns the reading direction": ({"name": "a\u202eb"}, "control character"),
    "a name of many lines": ({"name": "a\nb"}, "control character"),
    "a time without zone": ({"created": "2026-01-01T00:00:00"}, "no time with a zone"),
    "a time before all time": ({"created": "0001-01-01T00:00:00+14:00"}, "no time with a zone"),
    "no time at all": ({"created": "yesterday"}, "no time with a zone"),
    "parents as text": ({"parents": "abc"}, "parents is not a list"),
    "a parent that climbs": ({"parents": ["../../x"]}, "parents holds"),
    "a parent as number": ({"parents": [1]}, "parents holds something"),
    "a thousand parents more": ({"parents": [ID] * 1001}, "1,000"),
    "settings as list": ({"settings": []}, "settings is not an object"),
    "a seed as number with a point": ({"seed": 1.5}, "seed is not a whole number"),
    "a broken reference": ({"references": [{"path": 3}]}, "reference"),
    "a reference to a NUL": (
        {"references": [{"path": "\0", "size": 1, "mtime_ns": 1, "sha256": SHA}]},
        "reference",
    ),
}

DEEP = b"[" * 100_000 + b"]" * 100_000
RAW: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "line 1, column 1"),
    "no object": (b"[]", "not a JSON object"),
    "cut in the middle": (json.dumps(GOOD).encode()[:100], "line 1"),
    "not UTF-8": (b'{"name": "\xff"}', "byte 10"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), "byte 0"),
    "a lone surrogate": (json.dumps(GOOD | {"name": "\ud800"}).encode(), "half a character"),
    "a key twice": (json.dumps(GOOD).encode()[:-1] + b', "id": "x"}', "'id' appears twice"),
    "a NaN": (json.dumps(GOOD | {"metrics": {"x": float("nan")}}).encode(), "NaN"),
    "an infinity": (json.dumps(GOOD).encode()[:-1] + b', "x": 1e999}', "too large"),
    "an endless number": (json.dumps(GOOD).encode()[:-1] + b', "x": ' + b"9" * 5000 + b"}", "5,000 digits"),
    "a deep nest": (DEEP, "deeper than 100"),
    "a nest of 101": (b"[" * 101 + b"]" * 101, "deeper than 100"),
    "five megabytes": (b" " * (5 << 20), "5.2 MB; the limit is 2.1 MB"),
}


def _put(workspace: Workspace, data: bytes) -> Path:
    folder = workspace.root / "artifacts" / "report" / ID
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_bytes(data)
    return folder


def _usable(workspace: Workspace) -> None:
    with workspace.new_artifact("report", "Still works", "test") as draft:
        draft.write("x", "x")
    assert [one.name for one in workspace.artifacts()] == ["Still works"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_the_pattern_of_the_hostile_cases_is_sound(workspace: Workspace) -> None:
    _put(workspace, json.dumps(GOOD).encode())
    assert workspace.problems() == []
    assert [one.id for one in workspace.artifacts()] == [ID]


@pytest.mark.parametrize("case", CHANGES)
def test_a_hostile_field_is_named_and_the_rest_stays_usable(workspace: Workspace, case: str) -> None:
    change, fault = CHANGES[case]
    folder = _put(workspace, json.dumps(GOOD | change).encode())
    assert workspace.artifacts() == []
    [problem] = workspace.problems()
    assert fault in problem.problem
    assert str(folder) in problem.problem
    assert problem.remedy
    with pytest.raises(LabError):
        workspace.artifact(ID)
    _usable(workspace)


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_field_is_named(workspace: Workspace, key: str) -> None:
    _put(workspace, json.dumps({k: v for k, v in GOOD.items() if k != key}).encode())
    if key == "seed":  # none was drawn: the same as null
        assert workspace.problems() == []
        return
    [problem] = workspace.problems()
    assert f"the field {key} is missing" in problem.problem


@pytest.mark.parametrize("case", RAW)
def test_a_hostile_file_is_named_and_the_rest_stays_usable(workspace: Workspace, case: str) -> None:
    data, fault = RAW[case]
    folder = _put(workspace, data)
    [problem] = workspace.problems()
    assert fault in problem.problem
    assert str(folder) in problem.problem
    assert len(problem.problem) < 600
    _usable(workspace)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("what", ["pipe", "folder", "link", "loop", "device", "huge", "unreadable"])
def test_an_artifact_json_that_is_no_file_is_named(workspace: Workspace, tmp_path: Path, what: str) -> None:
    folder = workspace.root / "artifacts" / "report" / ID
    folder.mkdir(parents=True)
    path = folder / "artifact.json"
    (tmp_path / "good.json").write_text(json.dumps(GOOD), encoding="utf-8")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(tmp_path / "good.json")
    elif what == "loop":
        path.symlink_to(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "huge":
        with open(path, "wb") as file:
            file.truncate(1 << 30)  # sparse: a gigabyte that costs nothing
    elif what == "unreadable":
        path.write_bytes(b"{}")
        path.chmod(0)
    [problem] = workspace.problems()
    assert str(path) in problem.problem
    _usable(workspace)


def test_foreign_folders_and_files_are_listed_as_problems(workspace: Workspace, tmp_path: Path) -> None:
    _usable(workspace)
    artifacts = workspace.root / "artifacts"
    (artifacts / "report" / "holiday pictures").mkdir()
    (artifacts / "report" / "note.txt").write_text("hi", encoding="utf-8")
    (artifacts / "Not A Kind").mkdir()
    (artifacts / "stray.txt").write_text("hi", encoding="utf-8")
    (artifacts / "model").symlink_to(tmp_path)
    (artifacts / "report" / "linked").symlink_to(tmp_path)
    (artifacts / "report" / ".DS_Store").write_bytes(b"\0")
    (workspace.root / "work" / "training" / "odd").mkdir(parents=True)
    said = " ".join(problem.problem for problem in workspace.problems())
    for name in ("holiday pictures", "note.txt", "Not A Kind", "stray.txt", "model", "linked", "odd"):
        assert name in said
    assert len(workspace.problems()) == 7
    assert len(workspace.artifacts()) == 1
    assert workspace.works() == []
    assert not any("DS_Store" in problem.problem for problem in workspace.problems())


def test_a_hostile_folder_is_refused_outside_of_a_workspace_too(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LabError, match=r"artifact.json"):
            open_artifact(place)


def test_mutated_manifests_are_refused_or_read_back_equal(
    workspace: Workspace, count: Callable[[int, int], int], report: Callable[[str, Any], None]
) -> None:
    chance = random.Random(3)
    change = {"files": _file("model.safetensors", 12)["files"], "parents": [ID], "metrics": {"loss": 1.5}}
    good = json.dumps(GOOD | change).encode()
    folder = _put(workspace, good)
    path = folder / "artifact.json"
    refused = loaded = 0
    for _ in range(count(1000, 20_000)):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 20)]
                case 2:
                    data[at:at] = chance.choice(
                        [b'"', b"{", b"[", b"-", b"9" * 30, b"\\u0000", b"../", b"null"]
                    )
                case 3:
                    data[at] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        read = _read(folder)
        if isinstance(read, LabError):
            refused += 1
            assert str(path) in read.problem
        else:
            loaded += 1
            assert manifest_of(manifest_json(read.manifest), "x") == read.manifest
            assert all(folder in read.path(file).parents for file in read.files)
    report("mutated artifact.json: refused, loaded", [refused, loaded])
    assert refused > loaded > 0


def _read(folder: Path) -> Artifact | LabError:
    try:
        return open_artifact(folder)
    except LabError as error:
        return error


def test_a_hostile_manifest_costs_little_memory(workspace: Workspace) -> None:
    _put(workspace, b'{"a": [' + b"[]," * 690_000 + b"[]]}")
    tracemalloc.start()
    try:
        [problem] = workspace.problems()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "format is missing" in problem.problem
    assert peak < 64 << 20


def test_a_name_that_does_not_print_is_escaped_in_the_message(workspace: Workspace) -> None:
    folder = workspace.root / "artifacts" / "report" / "a\nb\u202ec"
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system has no such names")
    [problem] = workspace.problems()
    assert "a\\nb\\u202ec" in problem.problem
    assert problem.problem.isprintable()


@pytest.mark.skipif(sys.platform != "linux", reason="only there a file name can be no text")
def test_a_file_name_that_is_no_text_is_refused(workspace: Workspace) -> None:
    draft = workspace.new_artifact("report", "R", "test")
    with pytest.raises(LabError, match="The file name"), draft:
        (draft.folder / os.fsdecode(b"caf\xe9.txt")).touch()
    with workspace.new_artifact("report", "R", "test") as draft:
        pass
    (draft.artifact.folder / os.fsdecode(b"caf\xe9.txt")).touch()
    with pytest.raises(LabError, match="extra") as refused:
        draft.artifact.verify()
    assert refused.value.problem.isprintable()


def test_half_a_character_is_not_published(workspace: Workspace) -> None:
    draft = workspace.new_artifact("report", "R", "test", {"text": "\ud800"})
    with pytest.raises(LabError, match="half a character"), draft:
        draft.write("x", "x")
    assert workspace.artifacts() == []


def test_two_folders_that_claim_one_id_are_told(workspace: Workspace) -> None:
    _put(workspace, json.dumps(GOOD).encode())
    twin = workspace.root / "artifacts" / "corpus" / ID
    twin.mkdir(parents=True)
    (twin / "artifact.json").write_text(json.dumps(GOOD | {"kind": "corpus"}), encoding="utf-8")
    assert len(workspace.artifacts()) == 1
    [problem] = workspace.problems()
    assert "the same id" in problem.problem
