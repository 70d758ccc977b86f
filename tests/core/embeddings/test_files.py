"""Files of vectors: what is written comes back, and other people's files are read as they are meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.embeddings.files import METADATA, VECTORS, read_vectors, write_npy, write_projector
from core.embeddings.vectors import Vectors
from core.problems import LabError
from core.stages import Progress, run_to_end
from tests.core.embeddings.small_spaces import cloud, named

NASTY = (" king", "tab\there", "line\nbreak", "", "“quoted” \\n", "é\u202e", " king")


def nasty() -> Vectors:
    values = cloud(len(NASTY), 5) * np.float32(1e-3)
    values[0] = [0.1, -1e-30, 3.4028235e38, 1 / 3, 0]
    columns = {"kind": tuple("abcdefg"), "size": tuple("1234567")}
    return Vectors("nasty", NASTY, values, columns, tuple(range(100, 107)), "Made by hand.")


def read(path: Path, metadata: Path | None = None) -> Vectors:
    return run_to_end(read_vectors(path, metadata)).result  # type: ignore[no-any-return]


def test_a_projectors_pair_comes_back_bit_for_bit_with_names_columns_and_ids(tmp_path: Path) -> None:
    made = nasty()
    run_to_end(write_projector(made, tmp_path))
    back = read(tmp_path)
    assert back.values.tobytes() == made.values.tobytes()
    assert back.names == (" king", "tab␉here", "line␊break", "", "“quoted” \\n", "é\u202e", " king")
    assert back.columns == made.columns
    assert back.ids == made.ids
    assert back.notes == (
        '1 names occur more than once (" king" 2 times): all vectors are kept, and a name finds its first.',
    )
    again = tmp_path / "again"
    again.mkdir()
    run_to_end(write_projector(back, again))
    for file in (VECTORS, METADATA):
        assert (again / file).read_bytes() == (tmp_path / file).read_bytes()


def test_the_pair_is_written_as_the_projector_reads_it(tmp_path: Path) -> None:
    """Numbers and tabs only; one column of names has no heading, more columns have one."""
    run_to_end(write_projector(named([[1, 2], [3, -0.5]], "a", "b"), tmp_path))
    assert (tmp_path / VECTORS).read_text() == "1\t2\n3\t-0.5\n"
    assert (tmp_path / METADATA).read_text() == "a\nb\n"
    (tmp_path / "more").mkdir()
    run_to_end(write_projector(named([[1, 2], [3, 4]], "a", "b", tokens=True), tmp_path / "more", rows=[1]))
    assert (tmp_path / "more" / METADATA).read_text() == "name\ttoken id\nb\t1\n"
    assert (tmp_path / "more" / VECTORS).read_text() == "3\t4\n"


def test_a_npy_file_comes_back_with_its_names(tmp_path: Path) -> None:
    made = nasty()
    run_to_end(write_npy(made, tmp_path / "v.npy"))
    assert np.array_equal(np.load(tmp_path / "v.npy", allow_pickle=False), made.values)
    back = read(tmp_path / "v.npy")
    assert back.values.tobytes() == made.values.tobytes()
    assert back.columns == made.columns
    assert back.ids == made.ids


@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8", "|i1", "<i8", "<u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_of_any_plain_kind_and_order_are_read(tmp_path: Path, kind: str, order: str) -> None:
    values = np.array((cloud(50, 7) * 8).round(), dtype=kind, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "v.npy", values)
    assert np.array_equal(read(tmp_path / "v.npy").values, values.astype(np.float32))


def test_word2vec_and_glove_are_read_alike(tmp_path: Path) -> None:
    body = "king 0.5 -1 2e-3\n2000 1 2 3\n. . . 4 5 6\nnew york 7 8 9\n"
    (tmp_path / "w2v.txt").write_text("4 3\n" + body)
    (tmp_path / "glove.txt").write_text(body)
    one, other = read(tmp_path / "w2v.txt"), read(tmp_path / "glove.txt")
    assert one.names == other.names == ("king", "2000", ". . .", "new york")
    assert one.values.tolist() == other.values.tolist()
    assert one.values[0].tolist() == [0.5, -1, np.float32(0.002)]
    assert "(word2vec)" in one.source
    assert "(GloVe)" in other.source


def test_a_glove_file_may_begin_with_a_word_that_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("2000 1 2\nking 3 4\n")
    assert read(tmp_path / "g.txt").names == ("2000", "king")


def test_words_before_tabs_are_read(tmp_path: Path) -> None:
    (tmp_path / "v.tsv").write_text("new york\t1\t2\nking\t3\t4\n")
    made = read(tmp_path / "v.tsv")
    assert made.names == ("new york", "king")
    assert made.values.tolist() == [[1, 2], [3, 4]]


def test_names_beside_are_found_and_names_given_are_taken(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", cloud(2, 3))
    assert read(tmp_path / "v.npy").names == ("1", "2")
    assert "numbered from 1" in read(tmp_path / "v.npy").notes[0]
    (tmp_path / "labels.txt").write_text("a\nb\n")
    assert read(tmp_path / "v.npy").names == ("a", "b")
    (tmp_path / "other.tsv").write_text("size\tword\n1\tking\n2\tqueen\n")
    made = read(tmp_path / "v.npy", tmp_path / "other.tsv")
    assert made.names == ("king", "queen")
    assert made.columns == {"size": ("1", "2")}


def test_names_that_only_lie_beside_and_do_not_fit_are_passed_over_and_said(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", cloud(2, 3))
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    made = read(tmp_path / "v.npy")
    assert made.names == ("1", "2")
    assert "labels.txt lies beside it and was passed over: labels.txt has 4 lines" in made.notes[0]


def test_line_ends_of_windows_a_byte_order_mark_and_blank_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "v.tsv").write_bytes(b"\xef\xbb\xbf1\t2\r\n3\t4\r\n\r\n")
    assert read(tmp_path / "v.tsv").values.tolist() == [[1, 2], [3, 4]]


def test_blocks_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are cut by the end of a block are put together again."""
    made = named(cloud(40, 6))
    run_to_end(write_projector(made, tmp_path))
    monkeypatch.setattr("core.embeddings.lines.blocks_of_lines.__defaults__", (7,))
    assert read(tmp_path).values.tobytes() == made.values.tobytes()


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    made = named(cloud(300, 6))
    stage = write_projector(made, tmp_path)
    next(stage)
    stage.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / METADATA).write_text("mine")
    with pytest.raises(LabError, match=r"metadata\.tsv exists already"):
        write_projector(made, tmp_path)
    with pytest.raises(LabError, match="no folder"):
        write_projector(made, tmp_path / "none")
    assert (tmp_path / METADATA).read_text() == "mine"


def test_progress_counts_bytes_to_the_end(tmp_path: Path) -> None:
    run_to_end(write_projector(named(cloud(3000, 12)), tmp_path))
    events = [e for e in read_vectors(tmp_path) if isinstance(e, Progress)]
    assert events[-1].done == events[-1].total == (tmp_path / VECTORS).stat().st_size
    assert len(events) > 3
    assert "0 MB in memory" in read(tmp_path).source
