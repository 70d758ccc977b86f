"""Any text is a corpus; what is none is refused with the place that shows it."""

from __future__ import annotations

import errno
import json

import pytest

from core.corpus import sources
from core.corpus.documents import Document
from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.settings import SmallWorldSettings
from core.corpus.smallworld.writing import write_smallworld
from core.corpus.sources import read_corpus
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end


def read(path):
    return run_to_end(read_corpus(path)).result


def test_a_file_of_text_is_one_document(tmp_path):
    file = tmp_path / "été.txt"
    file.write_bytes("L'été\r\nest là.\n".encode())
    assert read(file) == (Document("L'été\r\nest là.\n", "été.txt"),)


def test_a_folder_is_read_in_the_order_of_names_without_hidden_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b.txt", "deep/a.md", ".git/c.txt", "picture.png"):
        (tmp_path / name).write_text(name)
    assert [document.source for document in read(tmp_path)] == ["b.txt", "a.md"]


def test_json_lines_give_a_document_each(tmp_path):
    file = tmp_path / "lines.jsonl"
    lines = [{"text": "one", "source": "story", "nats": 2}, {"text": "two\nlines"}, {"text": " "}]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    end = run_to_end(read_corpus(file))
    assert end.result == (Document("one", "story", 2.0), Document("two\nlines", "lines.jsonl"))
    assert end.reason == "2 documents were read. 1 without text were left out."


def test_a_text_longer_than_a_block_is_read_whole_with_progress_between(tmp_path):
    file = tmp_path / "long.txt"
    text = "é" * 200_000  # 400,000 bytes: blocks are cut within characters
    file.write_text(text, encoding="utf-8")
    *steps, end = read_corpus(file)
    assert isinstance(end, Finished)
    assert end.result[0].text == text
    done = [step.done for step in steps if isinstance(step, Progress)]
    assert all(after - before <= 128 << 10 for before, after in zip([0, *done], done, strict=False))
    assert done[-1] == 400_000 == steps[-1].total


def test_a_small_world_is_read_back_as_it_was_written(tmp_path):
    settings = SmallWorldSettings(words=30_000)
    *steps, end = write_smallworld(settings, tmp_path)
    expected = list(documents(settings))
    found = read(tmp_path)
    assert [(one.text, one.source) for one in found] == [(one.text, one.source) for one in expected]
    assert sum(one.nats for one in found) == pytest.approx(end.result.nats, rel=1e-5)
    assert end.result.documents == len(expected)
    assert steps[-1].done <= steps[-1].total == 30_000
    assert end.result.words == sum(len(one.text.split()) for one in expected)


def test_a_raw_small_world_keeps_its_labels_on_disk(tmp_path):
    run_to_end(write_smallworld(SmallWorldSettings(words=5000, raw=True), tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "documents.jsonl").read_text("utf-8").splitlines()]
    assert any(line["labels"] for line in lines)
    assert read(tmp_path)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(LabError):
        run_to_end(write_smallworld(SmallWorldSettings(words=100), tmp_path))


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("empty.txt", b"", r"empty\.txt holds no text: it has 0 characters"),
        ("blank.txt", b" \n\n ", "blank.txt holds no text"),
        ("picture.txt", b"GIF89a\x00\x01", "byte 6: a zero byte, which no text holds"),
        ("latin.txt", b"caf\xe9 au lait", "byte 3: 0xe9 is not valid UTF-8"),
        ("cut.txt", "é".encode()[:1], "byte 0: 0xc3 is not valid UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"text": 3}\n', r"a\.jsonl, line 2: its \"text\" is \"3\", which is no str"),
        ("a.jsonl", b'{"text": "x"}\n\n{"txt": "y"}\n', r"line 3: there is no \"text\" among \"txt\""),
        ("a.jsonl", b'{"text": "x"}\n[1]\n', r"line 2: \"\[1\]\" is no JSON object"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', r"a\.jsonl, line 2, column \d+: this is not JSON"),
        ("a.jsonl", b'\n\n{"text": "x", "text": "y"}', r"line 3, column \d+: the key \"text\" stands here a sec"),
        ("a.jsonl", b'{"text": "x"}\n{"text": "\\ud800"}', r"line 2, column \d+: .*half a surrogate"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_with_its_place(tmp_path, name, data, problem):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LabError, match=problem) as refused:
        read(tmp_path / name)
    assert refused.value.remedy


def test_what_is_not_there_too_large_or_a_folder_without_text_is_refused_at_the_call(tmp_path, monkeypatch):
    with pytest.raises(LabError, match="none"):
        read_corpus(tmp_path / "none.txt")
    with pytest.raises(LabError, match=r"holds no documents\.jsonl and no file that ends in \.txt"):
        read_corpus(tmp_path)
    monkeypatch.setattr(sources, "AT_MOST", 10)
    (tmp_path / "large.txt").write_text("twelve bytes")
    with pytest.raises(LabError, match="holds 12 bytes of text; at most 10"):
        read_corpus(tmp_path)
    monkeypatch.setattr(sources, "MOST_FILES", 1)
    (tmp_path / "another.txt").write_text("x")
    with pytest.raises(LabError, match="more than 1 text files"):
        read_corpus(tmp_path)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LONGEST_LINE", 1000)
    (tmp_path / "endless.jsonl").write_text('{"text": "x"}\n{"text": "' + "y" * 2000)
    with pytest.raises(LabError, match=r"endless\.jsonl, line 2: it has more than 1,000 characters"):
        read(tmp_path / "endless.jsonl")
