"""Rows are read as TRL reads them, and each fault is said with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.problems import LabError
from core.stages import run_to_end
from core.training.rows import (
    Comparison,
    Demonstration,
    Turn,
    answered,
    as_line,
    asked,
    parse_row,
    read_rows,
    split_rows,
)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


HELLO, HI, BYE = [turn("user", "Hello.")], [turn("assistant", "Hi!")], [turn("assistant", "Bye!")]
GOOD: tuple[tuple[dict[str, Any], Any], ...] = (
    ({"prompt": "2 + 2 =", "completion": " 4"}, Demonstration("2 + 2 =", " 4", 1)),
    ({"prompt": HELLO, "completion": HI}, Demonstration(asked("Hello."), answered("Hi!"), 1)),
    ({"messages": HELLO + HI}, Demonstration(asked("Hello."), answered("Hi!"), 1)),
    ({"prompt": "a", "chosen": "b", "rejected": "c", "score": 3}, Comparison("a", "b", "c", 1)),
    (
        {"prompt": [turn("system", "Be brief."), *HELLO], "chosen": HI, "rejected": BYE},
        Comparison(
            (Turn("system", "Be brief."), Turn("user", "Hello.")), answered("Hi!"), answered("Bye!"), 1
        ),
    ),
)
BAD: tuple[tuple[str, str], ...] = (
    ("{", "this is not JSON"),
    ('["a"]', "is no object"),
    ('{"prompt": "a", "prompt": "b", "completion": "c"}', "a second time"),
    ('{"prompt": "a"}', "neither"),
    ('{"completion": "a"}', '"prompt" is missing'),
    ('{"chosen": "a b", "rejected": "a c"}', '"prompt" is missing'),
    ('{"prompt": "a", "completion": " "}', '"completion" is empty'),
    ('{"prompt": "a", "completion": 3}', "neither text nor turns"),
    ('{"prompt": "a", "completion": []}', "has no turn"),
    ('{"messages": 7}', "no list of turns"),
    ('{"messages": []}', '"prompt" has no turn'),
    ('{"prompt": "a", "chosen": "b", "rejected": "b"}', "are the same"),
    (json.dumps({"prompt": HELLO, "completion": "Hi!"}), "some of its parts are texts"),
    (json.dumps({"prompt": HELLO, "completion": HELLO}), "turn of the assistant"),
    (json.dumps({"prompt": HELLO, "completion": [turn("assistant", "")]}), "an empty turn"),
    (json.dumps({"prompt": [turn("tool", "a")], "completion": HI}), 'a turn of "tool"'),
    (json.dumps({"prompt": ["Hello."], "completion": HI}), 'without "role" and "content"'),
)


@pytest.mark.parametrize(("values", "expected"), GOOD)
def test_what_trl_reads_is_read(values: dict[str, Any], expected: Any) -> None:
    assert parse_row(json.dumps(values), 1) == expected
    assert parse_row(as_line(expected), 1) == expected


@pytest.mark.parametrize(("text", "fault"), BAD)
def test_what_is_wrong_with_a_row_is_said(text: str, fault: str) -> None:
    found = parse_row(text, 1)
    assert isinstance(found, str)
    assert fault in found.replace("“", '"').replace("”", '"')


def test_faults_are_named_by_line_and_the_rest_is_counted(tmp_path: Path) -> None:
    lines = [as_line(Demonstration("a", "b")), *(text for text, _ in BAD), ""]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(LabError) as caught:
        run_to_end(read_rows(tmp_path / "rows.jsonl"))
    assert "line 2: " in caught.value.problem
    assert f"and {len(BAD) - 6} more" in caught.value.problem


def test_demonstrations_and_comparisons_do_not_stand_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(as_line(Demonstration("a", "b")) + "\n\n" + as_line(Comparison("a", "b", "c")))
    with pytest.raises(LabError, match="line 3: a comparison among demonstrations"):
        run_to_end(read_rows(path))
    path.write_text("\n")
    with pytest.raises(LabError, match="holds no row"):
        run_to_end(read_rows(path))


def test_datasets_reads_what_is_written(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [Comparison(asked(f"Question {n}?"), answered("Yes."), answered("No.")) for n in range(3)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(as_line(row) + "\n" for row in rows))
    theirs = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    assert theirs.column_names == ["prompt", "chosen", "rejected"]
    assert theirs[2]["prompt"] == [{"role": "user", "content": "Question 2?"}]


def test_all_rows_of_a_prompt_go_the_same_way() -> None:
    rows = [Comparison(str(n % 20), f"a{n}", "b") for n in range(100)]
    kept, held = split_rows(rows, 0.1)
    assert len(held) == 10
    assert not {row.prompt for row in kept} & {row.prompt for row in held}
    assert split_rows(rows[:1], 0.5) == (tuple(rows[:1]), ())
    assert split_rows(list(reversed(rows)), 0.1)[1] == tuple(row for row in reversed(rows) if row in held)
