"""Files of vectors that are damaged, foreign or made to harm: a LabError with the line, or handled and said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from core.embeddings import texts
from core.embeddings.files import read_vectors
from core.embeddings.texts import check_memory
from core.problems import LabError
from core.stages import run_to_end


def read(path: Path, metadata: Path | None = None) -> Any:
    return run_to_end(read_vectors(path, metadata)).result


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "v.txt is empty: it has 0 bytes"),
        (b"\n\n\n", 'line 1: "" is neither a vector'),
        (b"hello world\n", 'line 1: "hello world" is neither a vector'),
        (b"1\t2\t3\n4\t5\n", "line 2: it has 2 numbers, and the first vector has 3"),
        (b"1\t2\n4\t5\t6\n", "line 2: it has 3 numbers, and the first vector has 2"),
        (b"a 1 2\nb 3\nc 4 5\n", "line 2: it has 1 numbers, and the first vector has 2"),
        (b"1\t2\n3\tx\n", 'line 2, column 2: "x" is no number'),
        (b"1\t2\n3\t\n", "line 2, column 2: nothing between two separators is no number"),
        (b"x\ty\n1\t2\n", 'line 1, column 2: "y" is no number'),
        (b"1\t2\n3\t4\n5\t1_0\n", 'line 3, column 2: "1_0" is no number'),
        (b"1\t2\n\n3\t4\n", "line 2: it is empty, and 1 more lines follow"),
        (b"1\t2\n3\tnan\n", "line 2: its number 2 is nan"),
        (b"a 1 2\nb -inf 3\n", "line 2: its number 1 is a number too large for 32 bits, or inf"),
        (b"a 1 2\nb 3 1e39\n", "line 2: its number 2 is a number too large for 32 bits"),
        (b"3 2\na 1 2\nb 3 4\n", "ends after line 3: it has 2 vectors, and its first line announces 3"),
        (b"1 2\na 1 2\nb 3 4\n", "line 3: there are more vectors than the 1"),
        (b"99999999 300\na 1 2\n", "line 1: 99,999,999 vectors of 300 numbers are announced, which"),
        (b"5 999999999\na 1 2\n", "line 1: vectors of 999,999,999 numbers are announced"),
        (b"0 2\na 1 2\n", "line 1: 0 vectors are announced"),
        (b"1\x00\t2\n", "byte 1: a zero byte"),
        ("1\t2\n3\t4\n".encode("utf-16"), "a zero byte, which no text holds"),
        (b"1 " * 2_000_000, "line 1: it has more than 2,097,152 bytes"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)  # fmt: skip
def test_what_is_wrong_in_a_text_is_named_by_its_line(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "v.txt"
    file.write_bytes(text)
    with pytest.raises(LabError) as caught:
        read(file)
    assert said in caught.value.problem
    assert caught.value.remedy


def test_a_fault_far_inside_is_named_by_its_own_line(tmp_path: Path) -> None:
    lines = [f"w{n} 1 2 3" for n in range(60_000)]
    lines[43_210] = "w 1 2 nan"
    (tmp_path / "v.txt").write_text("\n".join(lines))
    with pytest.raises(LabError, match="line 43,211: its number 3 is nan"):
        read(tmp_path / "v.txt")


def test_duplicate_and_odd_names_are_kept_and_said(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"a 1 2\na 3 4\nb\xff 5 6\n")
    made = read(tmp_path / "v.txt")
    assert made.names == ("a", "a", "b\\xff")
    assert made.notes == (
        "1 names are no UTF-8: their odd bytes are shown as escapes.",
        '1 names occur more than once ("a" 2 times): all vectors are kept, and a name finds its first.',
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (b"a\nb\nc\nd\n", "metadata.tsv has 4 lines, and there are 2 vectors"),
        (b"a\n", "metadata.tsv has 1 lines"),
        (b"", "metadata.tsv is empty"),
        (b"name\tkind\na\tx\nb\n", "metadata.tsv, line 3: it has 1 columns, and the first line has 2"),
        (b"a\n\xff\n", "metadata.tsv, line 2: 0xff is not valid UTF-8"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path: Path, names: bytes, said: str) -> None:
    (tmp_path / "vectors.tsv").write_text("1\t2\n3\t4\n")
    (tmp_path / "metadata.tsv").write_bytes(names)
    with pytest.raises(LabError) as caught:
        read(tmp_path)
    assert said in caught.value.problem


def sparse(path: Path, head: bytes) -> Path:
    path.write_bytes(head)
    os.truncate(path, 2 << 30)
    return path


@pytest.mark.parametrize("head", [b"1\t2\n", b"a 1 2\n", b"9000000 100\na 1 2\n", b"\x93NUMPY\x01\x00v\x00"])
def test_two_gigabytes_of_nothing_are_refused_at_once(tmp_path: Path, head: bytes) -> None:
    begin = time.perf_counter()
    with pytest.raises(LabError):
        read(sparse(tmp_path / "v.txt", head))
    assert time.perf_counter() - begin < 2


def test_what_does_not_fit_into_memory_is_refused_with_the_sum() -> None:
    with pytest.raises(LabError) as caught:
        check_memory(2_000_000, 300, "v.txt", available=1_000_000_000)
    assert "2,000,000 vectors × 300 numbers × 4 bytes = 2,400 MB, and 1,000 MB" in caught.value.problem


def test_a_large_text_is_laid_once_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced as needed is what is allocated: one matrix of the lines that were counted."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(texts, "check_memory", lambda count, width, *_: asked.append((count, width)))
    (tmp_path / "v.tsv").write_text("1\t2\t3\n" * 1000)
    assert read(tmp_path / "v.tsv").values.shape == (1000, 3)
    assert asked == [(1000, 3)]


def npy(path: Path, change: Callable[[bytes], bytes] = lambda data: data, values: Any = None) -> Path:
    np.save(path, np.arange(12, dtype=np.float32).reshape(3, 4) if values is None else values)
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-1], "has 47 bytes of numbers, and its header announces 48"),
        (lambda data: data + b"\0", "has 49 bytes of numbers"),
        (lambda data: data[:20], "more bytes were expected"),
        (lambda data: data.replace(b"(3, 4)", b"(9, 4)"), "its header announces 144"),
        (lambda data: data.replace(b"(3, 4), ", b"(12,), \x20"), "has the shape (12,)"),
        (lambda data: data.replace(b"<f4", b"|O4"), 'holds "|O4", which is not read'),
        (lambda data: data.replace(b"<f4", b"<c8"), 'holds "<c8", which is not read'),
        (lambda data: data.replace(b"'shape'", b"'shope'"), "holds no matrix of plain numbers"),
        (lambda data: data.replace(b"False", b"1/0  "), "holds no matrix of plain numbers"),
        (lambda data: data[:6] + b"\x09" + data[7:], "has the version 9"),
        (lambda data: data[:8] + b"\xff\xff" + data[10:], "has a header of 65,535 bytes"),
    ],
)
def test_damaged_npy_files_are_refused(tmp_path: Path, change: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(LabError) as caught:
        read(npy(tmp_path / "v.npy", change))
    assert said in caught.value.problem


@pytest.mark.parametrize(
    ("bad", "said"), [(np.nan, "is nan"), (np.inf, "is infinite"), (1e300, "is infinite")]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_number_of_a_npy_file_that_is_not_finite_is_named_by_its_row(
    tmp_path: Path, bad: float, said: str, order: str
) -> None:
    values = np.zeros((3, 4), order=order)  # type: ignore[call-overload]
    values[2, 1] = bad
    with pytest.raises(LabError, match=rf"row 2 \(from 0\): its number 2 {said}"):
        read(npy(tmp_path / "v.npy", values=values))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    values = np.array([[{"a": 1}]], dtype=object)
    np.save(tmp_path / "v.npy", values, allow_pickle=True)
    with pytest.raises(LabError, match=r'holds "\|O"'):
        read(tmp_path / "v.npy")


@pytest.mark.parametrize("name", ["v.npz", "v.pkl", "v.pt", "v.bin", "v.gz"])
def test_archives_and_programs_are_not_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(LabError, match="which is not opened"):
        read(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not exist"):
        read(tmp_path / "none.txt")
    with pytest.raises(LabError, match=r"holds no vectors\.tsv and no \.npy"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LabError, match="is a pipe"):
        read(tmp_path / "pipe")


def test_fuzzed_files_are_refused_or_read_to_finite_numbers(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, Any], None]
) -> None:
    draw = Random(11)
    whole = [
        b"3 2\nking 1 2\nqueen 3 4\nman 5 6\n", b"1\t2\t3\n4\t5\t6\n", b"a 1 2\nb 3 4\n",
        npy(tmp_path / "w.npy").read_bytes(),
    ]  # fmt: skip
    refused = loaded = 0
    file = tmp_path / "fuzzed"
    for _ in range(count(400, 20_000)):
        data = bytearray(draw.choice(whole))
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data))
            match draw.randrange(4):
                case 0:
                    data[at] = draw.randrange(256)
                case 1:
                    del data[at : at + draw.randint(1, 5)]
                case 2:
                    data[at:at] = draw.choice([b"\t", b"\n", b" ", b"-", b"e9", b"nan", b"\xff", b"0" * 30])
                case _:
                    data = data[: at + 1]
            data = data or bytearray(b"1")
        file.write_bytes(data)
        try:
            made = read(file)
        except LabError:
            refused += 1
        else:
            loaded += 1
            assert np.isfinite(made.values).all()
            assert len(made.names) == len(made.values) > 0
    report("embeddings: fuzzed files of vectors", f"{refused:,} refused, {loaded:,} read")
    assert refused > 0 < loaded
