"""A user's file is known by what it was; what changed or is missing is said."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from core.artifacts import Reference, Workspace, durable, refer, referring
from core.problems import LabError
from core.stages import Progress


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "my text.txt"
    path.write_bytes(b"to be or not to be")
    return path


def test_a_reference_knows_path_size_time_and_hash(text: Path) -> None:
    reference = refer(text)
    assert reference.path == text
    assert reference.size == 18
    assert reference.sha256 == hashlib.sha256(b"to be or not to be").hexdigest()
    assert reference.status() == "same"
    reference.check()
    assert Reference.from_json(reference.to_json(), "x") == reference


def test_a_changed_file_is_said(text: Path) -> None:
    reference = refer(text)
    text.write_bytes(b"to be or not to bee")
    assert reference.status() == "changed"
    with pytest.raises(LabError, match="had 18 bytes and now has 19"):
        reference.check()


def test_a_file_whose_time_alone_changed_is_still_the_same(text: Path) -> None:
    reference = refer(text)
    os.utime(text, ns=(1, 1))
    assert reference.status() == "changed"
    reference.check()


def test_a_missing_file_is_said(text: Path) -> None:
    reference = refer(text)
    text.unlink()
    assert reference.status() == "missing"
    with pytest.raises(LabError, match=r"my text.txt is missing"):
        reference.check()
    with pytest.raises(LabError, match="missing or unreadable"):
        refer(text)
    with pytest.raises(LabError, match="not a regular file"):
        refer(text.parent)


def test_a_path_on_a_network_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: object) -> None:
        raise AssertionError

    reference = Reference(Path("//host/share/text.txt"), 1, 1, "0" * 64)
    if not str(reference.path).startswith(("//", "\\\\")):
        pytest.skip("this system has no such paths")
    monkeypatch.setattr(os, "stat", looked)
    assert reference.status() == "remote"


def test_a_large_file_is_read_with_progress(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(bytes(2 * durable.BLOCK + 5))
    *progress, last = referring(path)
    assert [event.done for event in progress if isinstance(event, Progress)] == [
        1 << 20,
        2 << 20,
        (2 << 20) + 5,
    ]
    assert not isinstance(last, Progress)


def test_a_file_that_changes_while_it_is_read_is_refused(text: Path) -> None:
    stage = referring(text)
    next(stage)
    text.write_bytes(b"something else, longer than before")
    with pytest.raises(LabError, match="changed while it was read"):
        list(stage)


def test_an_artifact_keeps_the_references_to_its_sources(tmp_path: Path, text: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    with workspace.new_artifact("corpus", "Mine", "corpus.read", references=[refer(text)]) as draft:
        pass
    [reference] = Workspace(workspace.root).artifact(draft.id).references
    assert reference == refer(text)
    text.unlink()
    draft.artifact.verify()
    assert reference.status() == "missing"
