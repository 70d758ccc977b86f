"""Tasks: equal outputs are one card, ids are by content, gold is hidden, a file is checked by its hash."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.preferences.task import Maker, TaskSettings, make_item, make_task, shown_order
from core.preferences.task_files import read_task, write_task
from core.problems import LabError
from tests.core.preferences.small_tasks import a_gold_item, a_task, an_item


def test_equal_outputs_become_one_card_that_names_all_who_made_it() -> None:
    item = make_item("Hi?", [("Hello.", Maker("a")), ("Hello. \n", Maker("b")), ("Bye.", Maker("a"))])
    assert [output.text for output in item.outputs] == ["Hello.", "Bye."]
    assert [maker.model for maker in item.outputs[0].makers] == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["One."], "1 different outputs"),
        (["One.", "One. "], "1 different outputs"),
        ([f"{n}." for n in range(10)], "10 different outputs"),
        (["One.", "  "], "Output 2 is empty"),
        (["One.", "a\0b"], "zero character"),
        (["One.", "half \ud800"], "half a character"),
    ],
)
def test_what_makes_no_item_is_refused_with_the_reason(texts: list[str], problem: str) -> None:
    with pytest.raises(LabError, match=problem):
        make_item("Hi?", [(text, Maker()) for text in texts])


def test_an_output_that_names_its_model_is_marked() -> None:
    item = make_item(
        "Hi?", [("I am Ferdinand.", Maker("Ferdinand")), ("As an AI language model, no.", Maker("x"))]
    )
    assert [output.marks for output in item.outputs] == [
        ("names a model: ferdinand",),
        ("names a model: as an ai language model",),
    ]


def test_the_same_item_made_elsewhere_has_the_same_id_whoever_made_the_outputs() -> None:
    one = make_item("Hi?", [("A.", Maker("x")), ("B.", Maker("y"))])
    other = make_item("Hi?", [("B.", Maker()), ("A.", Maker())])
    assert one.id == other.id != make_item("Hi!", [("A.", Maker()), ("B.", Maker())]).id


def test_practice_comes_first_and_gold_is_spread_among_the_work() -> None:
    practice = an_item(99, 2, kind="practice", key=[[0], [1]])
    task = a_task(20, extra=[a_gold_item(1), a_gold_item(2), practice])
    kinds = [item.kind for item in task.items]
    assert kinds[0] == "practice"
    assert kinds.count("gold") == 2
    assert kinds[-2:] != ["gold", "gold"]
    assert task.sha256 == a_task(20, extra=[practice, a_gold_item(2), a_gold_item(1)]).sha256


@pytest.mark.parametrize(("name", "items"), [("", 1), ("a\nb", 1), ("x" * 201, 1), ("ok", 0), ("ok", 2)])
def test_a_task_that_will_not_do_is_refused(name: str, items: int) -> None:
    with pytest.raises(LabError):
        make_task(name, [an_item(0)] * items, "")


def test_a_gold_item_needs_a_known_order_that_names_every_output() -> None:
    texts = [("A.", Maker()), ("B.", Maker())]
    for kind, key in (
        ("gold", []),
        ("gold", [[0]]),
        ("gold", [[0], [0, 1]]),
        ("gold", [[0], [7]]),
        ("work", [[0], [1]]),
    ):
        with pytest.raises(LabError):
            make_item("Hi?", texts, kind=kind, key=key)


def test_every_place_is_shown_first_equally_often() -> None:
    firsts = [shown_order(f"item {n}", "abcd", "ada", 0)[0] for n in range(2000)]
    assert all(420 < firsts.count(id) < 580 for id in "abcd")
    assert shown_order("i", "abcd", "ada", 0) != shown_order("i", "abcd", "bob", 0) or shown_order(
        "i", "abcd", "ada", 1
    ) != shown_order("i", "abcd", "ada", 0)


def test_a_task_travels_as_one_file_without_the_models(tmp_path: Path) -> None:
    task = a_task(3, extra=[a_gold_item(1)], flags="wrong", overlap=2)
    write_task(task, tmp_path / "a.llmlab")
    write_task(task, tmp_path / "b.llmlab", hide_models=False)
    assert "model 1" not in (tmp_path / "a.llmlab").read_text(encoding="utf-8")
    read = read_task(tmp_path / "a.llmlab")
    assert read.sha256 == task.sha256
    assert read.settings == TaskSettings(flags="wrong", overlap=2)
    assert dataclasses.replace(read_task(tmp_path / "b.llmlab"), items=()) == dataclasses.replace(
        task, items=()
    )
    assert read_task(tmp_path / "b.llmlab").items == task.items


def test_a_task_file_that_was_changed_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.llmlab"
    write_task(a_task(2), path)
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 4
        path.write_bytes(changed)
        try:
            read = read_task(path)
        except LabError:
            continue
        assert (
            read.sha256 == a_task(2).sha256
        )  # a letter of the name or the guidelines: the items are untouched
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(LabError):
            read_task(path)


def test_a_task_file_of_a_newer_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.llmlab"
    write_task(a_task(2), path)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":9', 1))
    with pytest.raises(LabError, match="format 9"):
        read_task(path)
