"""Prompts of other people: every fault named by its line, nothing half imported, nothing run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.preferences.csv_safe import csv_rows, csv_text
from core.preferences.importing import read_prompts, read_prompts_text
from core.preferences.shipped import gold_items, load_shipped, practice_items, shipped_sets
from core.problems import LabError

HOSTILE = [
    "=HYPERLINK(\"http://x\",\"y\")", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\tTAB", "'=1", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "![a](http://x/y.png)", "Robert'); DROP TABLE event;--", "\u202egnirts", "a\u200bb",
    "שלום", "\r\nnew line", "\"quoted\", with comma", "e\u0301", "🙂" * 3, "; DELETE FROM item", "＝1+1", " =1",
]  # fmt: skip


def test_lines_paragraphs_csv_and_jsonl_are_read() -> None:
    assert [p.prompt for p in read_prompts_text("A?\r\n\r\nB?\n").checked()] == ["A?", "B?"]
    text = "A?\nmore\n\n  \nB?"
    found = read_prompts_text(text, "paragraphs").checked()
    assert [(p.prompt, at) for p, at in zip(found, (1, 5), strict=True)] == [("A?\nmore", 1), ("B?", 5)]
    table = 'prompt;category;output 1;model 1;output 2\n"A;?";sums;yes;m;no\n'
    made = read_prompts_text(table, "csv").checked()[0]
    assert (made.prompt, made.category, made.item().outputs[0].makers[0].model) == ("A;?", "sums", "m")
    line = {"prompt": [{"role": "user", "content": "A?"}], "outputs": ["x", {"text": "y", "model": "m"}]}
    assert len(read_prompts_text(json.dumps(line), "jsonl").checked()[0].item().outputs) == 2


def test_every_fault_is_named_by_its_line_and_nothing_is_imported() -> None:
    lines = [
        '{"prompt": "A?"}',
        "{oh",
        '{"text": "B?"}',
        '{"prompt": ""}',
        '{"prompt": "A?"}',
        '{"prompt": "C?", "outputs": ["x"]}',
    ]
    found = read_prompts_text("\n".join(lines), "jsonl", "mine.jsonl")
    assert [fault.line for fault in found.faults] == [2, 3, 4, 5, 6]
    assert "stands in line 1" in found.faults[3].text
    with pytest.raises(LabError, match=r"mine.jsonl, line 2: .*; line 6: ") as refused:
        found.checked()
    assert "nothing was imported" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "form", "line"),
    [
        ("a,b\n1,2", "csv", 1), ("prompt,prompt\n1,2", "csv", 1), ("prompt,category\nA?\n", "csv", 2),
        ('prompt\n"A?\n', "csv", 2), ('{"prompt": "A?", "category": 3}', "jsonl", 1), ('{"prompt": 7}', "jsonl", 1),
        ('{"prompt": "A?", "outputs": "x"}', "jsonl", 1), ('{"prompt": "A?", "kind": "gold"}', "jsonl", 1),
        ('{"prompt": "A?", "outputs": ["x", "y"], "kind": "gold", "key": [[5]]}', "jsonl", 1),
        ('{"prompt": "A?", "outputs": [1, 2]}', "jsonl", 1), ('{"prompt": NaN}', "jsonl", 1), ("[1]", "jsonl", 1),
    ],
)  # fmt: skip
def test_a_broken_line_is_a_fault_and_no_crash(text: str, form: str, line: int) -> None:
    found = read_prompts_text(text, form)
    assert [fault.line for fault in found.faults] == [line]


def test_hostile_text_stays_what_it_is(tmp_path: Path) -> None:
    rows = [{"prompt": text, "outputs": [text + " 1", text + " 2"]} for text in HOSTILE]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert [p.prompt for p in read_prompts(tmp_path / "a.jsonl").checked()] == HOSTILE
    table = csv_text(
        [["prompt", "output 1", "output 2"], *([text, "1" + text, "2" + text] for text in HOSTILE)]
    )
    assert [row[0] for row in csv_rows(table)[1:]] == HOSTILE
    cells = [cell for row in table.split("\r\n") for cell in row.split('","')]
    assert not any(cell.lstrip('"').startswith(("=", "+", "@", "-")) for cell in cells)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"prompt\n\xff\xfe")
    with pytest.raises(LabError, match="UTF-8"):
        read_prompts(tmp_path / "a.csv")
    with pytest.raises(LabError, match="no prompt"):
        read_prompts_text("\n \n").checked()


def test_an_output_of_five_megabytes_is_taken_and_one_of_nine_is_not() -> None:
    row = {"prompt": "A?", "outputs": ["x" * 5_000_000, "y"]}
    assert len(read_prompts_text(json.dumps(row), "jsonl").checked()[0].outputs[0][0]) == 5_000_000
    row["outputs"] = ["x" * 9_000_000, "y"]
    assert "8,000,000" in read_prompts_text(json.dumps(row), "jsonl").faults[0].text


def test_the_shipped_sets_are_ready_to_be_ranked() -> None:
    for one in shipped_sets():
        items = load_shipped(one.name)
        assert len(items) == one.items == 60
        assert len({item.id for item in items}) == 60
    everyday = load_shipped("everyday")
    assert {len(item.outputs) for item in everyday} == {4}
    makers = [maker for item in everyday for output in item.outputs for maker in output.makers]
    assert {maker.model for maker in makers} == {"SmolLM2-135M-Instruct"}
    assert len({maker.settings["temperature"] for maker in makers}) == 4
    assert not any(output.marks for item in everyday for output in item.outputs)
    assert [item.kind for item in (*practice_items(), *gold_items())] == ["practice"] * 3 + ["gold"] * 3
    with pytest.raises(LabError, match="no shipped set"):
        load_shipped("nothing")
