"""Files of other people are read within bounds; our own are written whole or not at all."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.formats import files
from core.formats.files import open_bounded, quoted, read_bytes, read_text, shown, write_new
from core.problems import LabError


def refused(call: Any, *args: Any, **more: Any) -> LabError:
    with pytest.raises(LabError) as caught:
        call(*args, **more)
    return caught.value


def test_numbers_and_strings_are_read_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "n.bin"
    path.write_bytes(struct.pack("<BHIiQqfdQ3s", 1, 2, 3, -4, 5, -6, 0.5, 0.25, 3, b"abc"))
    with open_bounded(path) as file:
        read = [file.u8(), file.u16(), file.u32(), file.i32(), file.u64(), file.i64(), file.f32(), file.f64()]
        assert read == [1, 2, 3, -4, 5, -6, 0.5, 0.25]
        assert file.string() == b"abc"
        assert (file.position, file.remaining, file.size) == (path.stat().st_size, 0, path.stat().st_size)
        assert file.read(0) == b""


@pytest.mark.parametrize("kind", ["u8", "u16", "u32", "i32", "u64", "i64", "f32", "f64", "string"])
def test_a_short_read_names_file_and_byte(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "short.bin"
    path.write_bytes(b"\5\0\0\0")
    with open_bounded(path) as file:
        file.read(4)
        error = refused(getattr(file, kind))
    assert "short.bin ends at byte 4" in error.problem
    assert "expected at byte 4" in error.problem


@pytest.mark.parametrize("count", [-1, 5, 2**40, 2**70])
def test_a_count_beyond_the_end_is_refused_before_anything_is_made_of_it(count: int, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1234")
    with open_bounded(tmp_path / "f") as file:
        refused(file.read, count)
        refused(file.expect, count)
        refused(file.strings, count, at_most=100)
        assert file.position == 0
        assert file.read(4) == b"1234"


def test_limits_are_told_apart_from_damage(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(struct.pack("<Q", 20) + b"x" * 20)
    with open_bounded(tmp_path / "f") as file:
        assert "above the limit of 10" in refused(file.read, 20, at_most=10).problem
        assert "20 bytes is above the limit of 10" in refused(file.string, at_most=10).problem
    assert "holds 28 bytes; at most 27 are read" in refused(read_bytes, tmp_path / "f", 27).problem
    assert len(read_bytes(tmp_path / "f", 28)) == 28


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=60), st.binary(max_size=20), st.integers(1, 64))
def test_many_strings_are_read_as_they_were_written(
    tmp_path: Path, values: list[bytes], behind: bytes, block: int
) -> None:
    path = tmp_path / "strings"
    path.write_bytes(b"head" + b"".join(struct.pack("<Q", len(v)) + v for v in values) + behind)
    with pytest.MonkeyPatch.context() as patch, open_bounded(path) as file:
        patch.setattr(files, "_BLOCK", block)  # so that strings lie across blocks
        file.read(4)
        found = file.strings(len(values), at_most=10_000)
        assert list(found) == values
        assert [found[i] for i in range(len(values))] == values
        assert found[1:3] == values[1:3]
        assert file.position == path.stat().st_size - len(behind)
        assert file.read(len(behind)) == behind
    whole = path.read_bytes()
    for i, value in enumerate(values):
        assert whole[found.place(i) : found.place(i) + len(value)] == value


def test_strings_that_lie_about_their_length_are_refused_at_their_byte(tmp_path: Path) -> None:
    path = tmp_path / "lie"
    path.write_bytes(struct.pack("<Q", 1) + b"a" + struct.pack("<Q", 2**63) + b"b" * 8)
    with open_bounded(path) as file:
        assert "lie, byte 9: a string of" in refused(file.strings, 2, at_most=1_000).problem
    with open_bounded(path) as file:
        assert "need more than 10 bytes" in refused(file.strings, 2, at_most=10).problem
    path.write_bytes(struct.pack("<Q", 1) + b"a" + b"\0" * 7)
    with open_bounded(path) as file:
        assert "lie ends at byte 16" in refused(file.strings, 2, at_most=1_000).problem


def test_text_that_is_no_utf8_is_named_by_its_byte(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes("né".encode() + b"\xff")
    assert "t.txt, byte 3: 0xff is not valid UTF-8" in refused(read_text, tmp_path / "t.txt", 100).problem
    (tmp_path / "t.txt").write_bytes("né\r\n".encode())
    assert read_text(tmp_path / "t.txt", 100) == "né\r\n"


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_what_is_quoted_can_be_shown(value: str | bytes) -> None:
    text = quoted(value, 40)
    assert text.isprintable()
    assert text[0] == text[-1] == '"'
    assert len(text) <= 40 * 10 + 3


def test_a_name_is_shown_without_its_folder_and_escaped() -> None:
    assert shown("/a/b/c.json") == "c.json"
    assert shown("/a/\x1b[2J\u202e.json") == "\\x1b[2J\\u202e.json"


# Writing


def test_a_new_file_is_whole_and_an_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    write_new(path, "é\r\n")
    assert path.read_bytes() == "é\r\n".encode()
    assert "new.txt exists already" in refused(write_new, path, b"other").problem
    assert path.read_bytes() == "é\r\n".encode()
    write_new(path, b"other", overwrite=True)
    assert path.read_bytes() == b"other"
    assert [p.name for p in tmp_path.iterdir()] == ["new.txt"]


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(write_new, tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("fails", ["fsync", "link", "replace", "write"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_failing_disk_leaves_the_old_file_and_no_other(
    fails: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    if fails == "replace":
        path.write_bytes(b"old")

    def fail(*_args: Any) -> Any:
        raise OSError(number, os.strerror(number))

    if fails == "write":
        monkeypatch.setattr(files, "_write_and_sync", fail)
    else:
        monkeypatch.setattr(files.os, fails, fail)
        if fails == "link":
            monkeypatch.setattr(files.os, "rename", fail)
    error = refused(write_new, path, b"new", overwrite=fails == "replace")
    assert "kept" in error.problem
    assert error.remedy
    monkeypatch.undo()
    if fails == "replace":
        assert path.read_bytes() == b"old"
    assert {p.name for p in tmp_path.iterdir()} <= {"kept"}
    write_new(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"


def test_a_disk_without_links_is_written_by_renaming_and_still_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", no_links)
    write_new(tmp_path / "a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    monkeypatch.setattr(files.os.path, "lexists", lambda _path, seen=[]: bool(seen) or seen.append(1))  # type: ignore[func-returns-value]
    refused(write_new, tmp_path / "a", b"2")  # it appeared between the look and the rename
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert "does not exist" in refused(write_new, tmp_path / "no" / "file", b"").problem
