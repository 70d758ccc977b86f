"""The small calls that everything durable stands on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core.artifacts import durable
from core.problems import LabError


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(durable, "ON_WINDOWS", True)
    monkeypatch.setattr(durable.time, "sleep", clock.sleep)
    return clock


def test_a_file_held_by_a_scanner_is_tried_again(windows: _Clock) -> None:
    tries = 0

    def action() -> str:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise PermissionError(errno.EACCES, "held")
        return "done"

    assert durable.patiently(action, windows) == "done"
    assert tries == 5


def test_patience_ends_after_two_seconds(windows: _Clock) -> None:
    def action() -> None:
        raise PermissionError(errno.EACCES, "held")

    with pytest.raises(PermissionError):
        durable.patiently(action, windows)
    assert windows.now == pytest.approx(durable.PATIENCE, abs=0.05)


def test_elsewhere_a_refusal_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "ON_WINDOWS", False)
    tries = []

    def action() -> None:
        tries.append(1)
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        durable.patiently(action)
    assert len(tries) == 1


def test_a_folder_replaces_an_empty_one_on_windows_too(tmp_path: Path, windows: _Clock) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "x").touch()
    durable.move_folder(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.rglob("*")] == ["target", "x"]


def test_a_folder_does_not_replace_a_full_one(tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with pytest.raises(LabError, match="exists already"):
        durable.move_folder(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "source" / "source").exists()
    assert (tmp_path / "target" / "target").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EIO, "reported an error"),
        (errno.ENOTDIR, "is a file"),
        (errno.ENOENT, "is gone"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_an_error_of_the_disk_is_explained_with_its_place(tmp_path: Path, code: int, words: str) -> None:
    said = durable.explain(OSError(code, os.strerror(code)), tmp_path / "x")
    assert words in said.problem
    assert str(tmp_path / "x") in said.problem
    assert said.remedy.endswith(".")


def test_free_space_is_known_of_a_place_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert durable.free_bytes(tmp_path / "a" / "b") > 0
