"""The command line around embeddings, on the small world's model and on a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labapp.cli import main


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    made: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return made


def test_neighbors_of_a_word_of_the_small_world(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embeddings", "neighbors", "king", "--model", "base", "--count", "5", "--json"]) == 0
    found = said(capsys)
    assert found["word"] == " king"
    assert len(found["neighbors"]) == 5  # type: ignore[arg-type]
    assert "centered on the mean of" in str(found["space"])


def test_an_analogy_says_what_the_input_words_would_have_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embeddings", "analogy", "king", "man", "woman", "--model", "base"]) == 0
    out = capsys.readouterr().out
    assert "queen" in out.splitlines()[1]
    assert "with a, b and c allowed" in out.splitlines()[0]


def test_a_picture_of_a_file_says_how_many_neighbors_survive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"w{n} {n % 7} {n // 7} {n % 3} {(n * n) % 11}" for n in range(60)]
    (tmp_path / "g.txt").write_text("\n".join(lines))
    out = tmp_path / "picture.tsv"
    words = ["embeddings", "project", "--model", str(tmp_path / "g.txt"), "--out", str(out), "--json"]
    assert main(words) == 0
    found = said(capsys)
    assert found["n"] == 60
    assert 0 < float(str(found["neighbors_kept"])) <= 1
    assert out.read_text().splitlines()[0] == "name\tcomponent 1\tcomponent 2"
    assert len(out.read_text().splitlines()) == 61
    assert main(words) == 1


def test_a_word_that_is_not_there_is_answered_with_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embeddings", "neighbors", "kinggg", "--model", "base"]) == 1
    error = capsys.readouterr().err
    assert '"kinggg" is not there' in error
    assert "king" in error.split("try:")[1]
