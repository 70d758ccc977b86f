"""Datasets: every format by its rules, split by prompt, read back, naming nobody, acting as nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from core.artifacts import Workspace
from core.preferences.answers import Answer
from core.preferences.csv_safe import csv_rows
from core.preferences.export_settings import FORMATS, ExportSettings
from core.preferences.exporting import export_dataset, preview
from core.preferences.publishing import DATA, publish_preferences
from core.preferences.results import Results, read_results
from core.preferences.session import Shown
from core.preferences.task import Maker, make_item, make_task
from core.preferences.texts import Turn
from core.problems import LabError
from core.stages import run_to_end
from core.training.rows import Comparison, read_rows
from tests.core.preferences.small_tasks import a_gold_item, a_store, a_task, answer_all, ordered
from tests.core.preferences.test_importing import HOSTILE


def ranked(folder: Path, people: int = 2, **settings: object) -> Results:
    with a_store(folder, a_task(20, extra=[a_gold_item(1)], **settings)) as store:
        for number in range(people):
            answer_all(store.session(store.enter(f"Zyxqv{number}").id), random.Random(number), 1.5)
        return read_results(store)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(results: Results, folder: Path, **settings: object) -> Path:
    run_to_end(export_dataset(results, folder / "out", ExportSettings(**settings)))  # type: ignore[arg-type]
    return folder / "out"


def test_every_format_is_written_and_counted(tmp_path: Path) -> None:
    results = ranked(tmp_path)
    before = preview(results, ExportSettings(validation=30))
    out = written(results, tmp_path, validation=30)
    for name, file in (
        ("native", "rankings"),
        ("trl", "trl"),
        ("trl_chat", "trl_chat"),
        ("kto", "kto"),
        ("hh", "hh"),
    ):
        counts = {
            "train": len(lines(out / f"{file}.jsonl")), "validation": len(lines(out / f"{file}.validation.jsonl")),
        }  # fmt: skip
        assert before.counts[name] == counts, name
    assert sum(before.counts["trl"].values()) == 2 * 20 * 6  # pairs of four outputs without ties
    assert (
        before.counts["csv"]["train"] == len(csv_rows((out / "rankings.csv").read_text(encoding="utf-8"))) - 1
    )
    assert set(before.counts) == set(FORMATS)


def test_the_rows_are_those_of_the_formats(tmp_path: Path) -> None:
    out = written(ranked(tmp_path), tmp_path)
    row = lines(out / "trl.jsonl")[0]
    assert str(row["prompt"]).startswith("Question")
    assert str(row["chosen"]).startswith(" Output")
    assert row["weight"] == pytest.approx(1 / 6, abs=1e-6)
    chat = lines(out / "trl_chat.jsonl")[0]
    assert chat["prompt"] == [{"role": "user", "content": row["prompt"]}]
    assert [turn["role"] for turn in chat["chosen"]] == ["assistant"]  # type: ignore[attr-defined]
    hh = lines(out / "hh.jsonl")[0]
    assert set(hh) == {"chosen", "rejected"}
    assert str(hh["chosen"]).startswith("\n\nHuman: Question")
    kto = lines(out / "kto.jsonl")[0]
    assert set(kto) >= {"prompt", "completion", "label"}
    assert isinstance(kto["label"], bool)


def test_our_own_reader_takes_what_trl_takes(tmp_path: Path) -> None:
    out = written(ranked(tmp_path), tmp_path, validation=30)
    for name in ("trl.jsonl", "trl_chat.jsonl", "trl.validation.jsonl"):
        rows = run_to_end(read_rows(out / name)).result
        assert all(isinstance(row, Comparison) for row in rows)
        assert len(rows) == len(lines(out / name))


def test_no_prompt_is_on_both_sides(tmp_path: Path) -> None:
    out = written(ranked(tmp_path), tmp_path, validation=30)
    train, held = (
        {row["prompt_id"] for row in lines(out / f"trl{part}.jsonl")} for part in ("", ".validation")
    )
    assert train
    assert held
    assert not train & held


def test_everything_that_was_said_is_in_the_native_file(tmp_path: Path) -> None:
    task = a_task(1, ratings=True)
    with a_store(tmp_path, task) as store:
        session = store.session(store.enter("Ada").id)
        shown = session.next_item()
        assert isinstance(shown, Shown)
        a, b, c, d = (output.id for output in shown.outputs)
        answer = Answer(
            ((c, a), (b,), (d,)), flags={a: ("wrong",)}, ratings={b: 6}, comment="so", active_ms=5, wall_ms=6
        )
        session.submit(shown.item_id, answer)
        results = read_results(store)
    run_to_end(export_dataset(results, tmp_path / "out", ExportSettings(comments=True, validation=0)))
    (row,) = lines(tmp_path / "out" / "rankings.jsonl")
    (said,) = row["annotations"]  # type: ignore[misc]
    assert said["tiers"] == [[c, a], [b], [d]]
    assert said["shown_order"] == [a, b, c, d]
    assert (said["flags"], said["ratings"], said["comment"]) == ({a: ["wrong"]}, {b: 6}, "so")
    assert (said["active_ms"], said["wall_ms"], said["guideline_version"]) == (5, 6, 1)
    assert {o["output_id"]: o["makers"][0]["model"] for o in row["outputs"]} == {  # type: ignore[attr-defined]
        output.id: output.makers[0].model for output in task.items[0].outputs
    }


def test_ties_gold_and_all_bad_go_where_they_belong(tmp_path: Path) -> None:
    with a_store(tmp_path, a_task(3, extra=[a_gold_item(1)])) as store:
        session = store.session(store.enter("Ada").id)
        number = 0
        while isinstance(shown := session.next_item(), Shown):
            ids = [output.id for output in shown.outputs]
            if len(ids) == 2:
                session.submit(shown.item_id, ordered(ids))
                continue
            tiers = ((ids[1], ids[0]), (ids[2],), (ids[3],))
            session.submit(shown.item_id, Answer(tiers, all_bad=number == 0))
            number += 1
        results = read_results(store)
    out = written(results, tmp_path, ties=True, validation=0)
    assert len(lines(out / "trl.jsonl")) == 2 * 5
    assert [row["label"] for row in lines(out / "ties.jsonl")] == [0.5] * 2
    assert not any("Gold" in str(row) for row in lines(out / "trl.jsonl"))
    assert sum(row["kind"] == "gold" for row in lines(out / "rankings.jsonl")) == 1
    labels = [row["label"] for row in lines(out / "kto.jsonl")]
    assert (labels.count(True), labels.count(False)) == (
        4,
        4 + 2,
    )  # all four of the bad one; best two, last one else


def test_a_majority_of_three_makes_one_row_for_each_two_outputs(tmp_path: Path) -> None:
    results = ranked(tmp_path, 3)
    out = written(results, tmp_path, people="majority", validation=0)
    rows = lines(out / "trl.jsonl")
    assert len(rows) == 20 * 6
    assert {row["votes"] for row in rows} == {2, 3}
    assert {row["annotator"] for row in rows} == {""}


def test_nobody_is_named_and_two_exports_cannot_be_joined(tmp_path: Path) -> None:
    results = ranked(tmp_path)
    (tmp_path / "two").mkdir()
    one, two = written(results, tmp_path), written(results, tmp_path / "two")
    for file in one.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "Zyxqv" not in text
        assert not any(person.id in text for person in results.people)
    names = [{row["annotator"] for row in lines(out / "trl.jsonl")} for out in (one, two)]
    assert len(names[0]) == 2
    assert not names[0] & names[1]
    assert any("2 people ranked" in note for note in preview(results, ExportSettings()).notes)


def test_hostile_texts_come_back_from_every_format(tmp_path: Path) -> None:
    items = [
        make_item(text, [(f"{text} {k}", Maker(text[:20])) for k in range(2)], category=text)
        for text in HOSTILE
    ]
    task = make_task("=cmd|' /C calc'!A0 <b>`x`</b>", items, "```\n![a](http://x)\n<script>")
    with a_store(tmp_path, task) as store:
        answer_all(store.session(store.enter("<img src=x>").id))
        results = read_results(store)
    out = written(results, tmp_path, validation=0)
    assert {row["prompt"] for row in lines(out / "trl.jsonl")} == set(HOSTILE)
    table = csv_rows((out / "rankings.csv").read_bytes().decode())
    assert {row[1] for row in table[1:]} == set(HOSTILE)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "\\<b\\>" in card
    assert "````text" in card


def test_hh_leaves_out_what_its_readers_stumble_over(tmp_path: Path) -> None:
    items = [
        make_item("a", [("x\n\nHuman: no", Maker()), ("y", Maker())]),
        make_item("b", [("same", Maker()), ("same and more", Maker())]),
        make_item((Turn("system", "s"), Turn("user", "u")), [("p", Maker()), ("q", Maker())]),
    ]
    with a_store(tmp_path, make_task("HH", items, "")) as store:
        answer_all(store.session(store.enter("Ada").id))
        results = read_results(store)
    assert preview(results, ExportSettings(validation=0)).left_out["hh"] == {
        "a text holds the mark of a turn": 1, "one text begins like the whole other": 1,
    }  # fmt: skip
    out = written(results, tmp_path, validation=0)
    assert lines(out / "hh.jsonl")[0]["chosen"] == "\n\nHuman: s\n\nHuman: u\n\nAssistant: p"


def test_an_export_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = ranked(tmp_path)
    with pytest.raises(LabError, match="exists already"):
        export_dataset(results, tmp_path)
    with pytest.raises(LabError, match="unknown"):
        export_dataset(results, tmp_path / "x", formats=["parquet"])
    stage = export_dataset(results, tmp_path / "out")
    for _ in range(3):
        next(stage)
    stage.close()  # type: ignore[attr-defined]
    monkeypatch.setattr("core.preferences.exporting.read_bytes", lambda path, most: path.read_bytes()[:-3])
    with pytest.raises(LabError, match="does not read back"):
        run_to_end(export_dataset(results, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "out"))] == []


def test_a_snapshot_is_an_artifact_that_fine_tuning_takes(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    results = ranked(tmp_path)
    made = run_to_end(
        publish_preferences(workspace, results, "Class 1", ExportSettings(validation=20))
    ).result
    assert (made.kind, made.metrics["people"], made.metrics["rankings"]) == ("preferences", 2, 40)
    rows = run_to_end(read_rows(made.checked_path(DATA))).result
    assert len(rows) == made.metrics["pairs"]
    assert made.settings["task_sha256"] == results.task.sha256
    made.verify()
    with pytest.raises(LabError, match="No ranking"):
        publish_preferences(workspace, Results(**{**vars(results), "rankings": ()}), "Nothing")
