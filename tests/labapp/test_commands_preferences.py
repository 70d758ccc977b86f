"""The command line of rankings: a task, answers put together, figures, a dataset, a check, and a person
erased."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from core.preferences.export_settings import ExportSettings
from core.preferences.store import open_store
from core.stages import run_to_end
from core.training.rows import read_rows
from labapp.cli import main
from tests.core.preferences.small_tasks import answer_all


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    """The result of a command with --json."""
    assert main(["preferences", *map(str, words), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


@pytest.fixture
def class_of_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with a task, the teacher's database, and those of two pupils with answers."""
    rows = [
        {
            "prompt": f"Question {n}?",
            "outputs": [{"text": f"Answer {k}.", "model": f"m{k}"} for k in range(3)],
        }
        for n in range(8)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "look.md").write_text("Be *kind*.")
    made = said(
        capsys, "task", tmp_path / "rows.jsonl", "--out", tmp_path / "a.llmlab", "--database", tmp_path / "t.db",
        "--guidelines", tmp_path / "look.md", "--set", "ratings=yes",
    )  # fmt: skip
    assert made["items"] == 8
    from core.preferences.merging import new_store_like

    for number in range(2):
        with new_store_like(tmp_path / f"p{number}.db", tmp_path / "t.db") as store:
            answer_all(store.session(store.enter(f"Pupil {number}").id), random.Random(number), 1.0)
    return tmp_path


def test_from_a_file_of_prompts_to_a_dataset(class_of_two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = class_of_two
    merged = said(capsys, "merge", at / "t.db", at / "p0.db", at / "p1.db", at / "rows.jsonl")
    assert merged["new"] == 18
    assert list(merged["faults"]) == [str(at / "rows.jsonl")]
    figures = said(capsys, "agreement", at / "t.db")
    assert (figures["items"], figures["people"]) == (8, 2)
    assert -1 <= figures["agreement"]["alpha"]["value"] <= 1
    assert figures["strengths"]["models"][0] == "m0"
    made = said(
        capsys,
        "export",
        at / "t.db",
        "--out",
        at / "out",
        "--format",
        "trl",
        "--format",
        "native",
        "--set",
        "validation=0",
    )
    assert made["counts"] == {"trl": {"train": 48, "validation": 0}, "native": {"train": 8, "validation": 0}}
    assert len(run_to_end(read_rows(at / "out" / "trl.jsonl")).result) == 48
    assert said(capsys, "check", at / "t.db")["rankings"] == 16
    people = said(capsys, "people", at / "t.db")["people"]
    erased = said(capsys, "erase", at / "t.db", "--person", people[0]["id"])
    assert erased["events"] == 9
    assert str(at / "out") in erased["exports"]
    assert said(capsys, "check", at / "t.db")["rankings"] == 8
    assert said(capsys, "rescue", at / "t.db", "--out", at / "rescued")["events"] == 9


def test_the_same_in_words(class_of_two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = class_of_two
    assert main(["preferences", "merge", str(at / "new.db"), str(at / "p0.db"), str(at / "p1.db")]) == 0
    assert "9 new of 9 events" in capsys.readouterr().out
    assert main(["preferences", "agreement", str(at / "new.db")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"Krippendorff's α +-?\d\.\d{3} \[", out)
    assert re.search(r"m0 +\+\d\.\d\d \[", out)
    assert main(["preferences", "export", str(at / "new.db"), "--out", str(at / "out")]) == 0
    assert "2 people ranked" in capsys.readouterr().out
    assert main(["preferences", "check", str(at)]) == 1  # the folder holds no rankings.db
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "{}/t.db", "--out", "{}/x", "--set", "pairs=some"], "pairs|Pairs"),
        (["export", "{}/t.db", "--out", "{}/x", "--set", "pairs"], "no ="),
        (["export", "{}/t.db", "--out", "{}/x"], "no ranking"),
        (["merge", "{}/none.db", "{}/rows.jsonl"], "do not hold the task"),
        (["merge", "{}/t.db", "{}/rows.jsonl"], "Nothing was merged"),
        (["check", "{}/rows.jsonl"], "no database"),
        (["check", "postgresql://ada:secret@localhost/db"], "password"),
        (["erase", "{}/t.db", "--person", "nobody"], "Nobody"),
        (["agreement", "{}/t.db", "--seed", "1"], ""),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(
    class_of_two: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    status = main(["preferences", *(word.format(class_of_two) for word in words)])
    told = capsys.readouterr()
    if not message:
        assert (status, "undefined" in told.out) == (0, True)
        return
    assert status == 1
    assert re.search(rf"error: .*({message})", told.err)
    assert "try:" in told.err
    assert "secret" not in told.err


def test_every_setting_of_an_export_can_be_set(
    class_of_two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.settings import to_json

    values = to_json(ExportSettings()) | {"people": "majority", "ties": True}
    sets = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    said(capsys, "merge", class_of_two / "t.db", class_of_two / "p0.db")
    made = said(
        capsys, "export", class_of_two / "t.db", "--out", class_of_two / "out", "--format", "trl", *sets
    )
    assert made["counts"]["trl"]["train"] + made["counts"]["trl"]["validation"] == 24
    with open_store(class_of_two / "t.db") as store:
        assert store.check() == ()
