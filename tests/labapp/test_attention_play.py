"""The Play page as a person uses it; it needs no model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.interpret.by_hand import work_out
from labapp.labs.attention import AttentionLab
from labapp.labs.attention.play import EXAMPLES, PlayPage
from labapp.window import Window
from tests.labapp.opened import PATIENCE, activate, opened, settled


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened(qtbot, tmp_path, lab="attention") as made:
        yield made


@pytest.fixture
def page(qtbot: QtBot, window: Window) -> PlayPage:
    return play_of(qtbot, window)


def play_of(qtbot: QtBot, window: Window) -> PlayPage:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    lab.frame.show_page("play")
    qtbot.waitUntil(lambda: settled(window), timeout=PATIENCE)
    return lab.play


def test_a_typed_number_changes_all_that_follows(qtbot: QtBot, page: PlayPage) -> None:
    before = page.worked.weights.copy()
    page.k.setFocus()
    page.k._move((2, 0))
    qtbot.keyClicks(page.k, "3")
    assert page.k._editor is not None
    qtbot.keyClicks(page.k._editor, ".5")
    qtbot.keyClick(page.k._editor, Qt.Key.Key_Return)
    assert page.example.k[2] == (3.5, 2.0)
    assert np.array_equal(page.weights.numbers, work_out(page.example).weights)
    assert not np.array_equal(page.weights.numbers, before)
    assert page.weights.numbers[3].argmax() == 2, "“it” looks at the new noun"
    assert "0.94" not in page.pair_title.text()


def test_undo_restores_the_numbers(qtbot: QtBot, window: Window, page: PlayPage) -> None:
    activate(qtbot, window)
    first = page.example
    qtbot.keyClick(page.q, Qt.Key.Key_PageUp)
    second = page.example
    assert second.q[0][0] == first.q[0][0] + 0.5
    page.switches["softmax"].click()
    page.open_example("dictionary")
    for expected in ("softmax off", second, first):
        qtbot.keyClick(page.picture, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        if expected == "softmax off":
            assert not page.example.steps.softmax
            assert page.examples.currentData() == "pronoun"
        else:
            assert page.example == expected
    page.undo.redo()
    assert page.example == second
    page.reset()
    assert page.example == first
    page.undo.undo()
    assert page.example == second


def test_switches_change_numbers_and_formula(page: PlayPage) -> None:
    assert page.weights.numbers[0].tolist() == [1, 0, 0, 0]
    page.switches["mask"].click()
    assert (page.weights.numbers[0] > 0).all()
    assert not any(term.latex == "M" for term in page.formula.terms)
    scores = page.scores.numbers.copy()
    page.switches["scaling"].click()
    assert page.scores.numbers == pytest.approx(scores * np.sqrt(2))
    page.switches["softmax"].click()
    assert np.array_equal(page.weights.numbers, page.scores.numbers)
    assert "softmax" not in page.formula.terms[0].latex


def test_the_dictionary_knows_less(page: PlayPage) -> None:
    page.open_example("dictionary")
    page.q._move((1, 0))
    assert "the key of “lemon” equals it: its value (1, 1, 0)" in page.dictionary.text()
    page.q._move((2, 0))
    assert "nothing is found" in page.dictionary.text()
    assert "43 %" in page.soft.text()
    page.sharpness.setValue(20)
    page.q._move((1, 0))
    assert "100 % of “lemon”" in page.soft.text()


@pytest.mark.parametrize("text", ["x", "", "nan", "1e9", "--1"])
def test_what_is_no_number_is_said(window: Window, page: PlayPage, text: str) -> None:
    before = page.example
    page._edited("v", 0, 0, text)
    assert page.example == before
    assert window.lab is not None
    assert window.lab.frame.messages.text


def test_sizes_change_and_come_back(qtbot: QtBot, page: PlayPage) -> None:
    first = page.example
    page.tokens.setValue(6)
    page.width.setValue(4)
    assert page.weights.numbers.shape == (6, 6)
    assert page.output.numbers.shape == (6, 4)
    page.undo.undo()
    page.undo.undo()
    assert page.example == first
    assert page.tokens.value() == 4


def test_a_term_of_the_formula_leads_to_its_numbers(qtbot: QtBot, window: Window, page: PlayPage) -> None:
    activate(qtbot, window)
    place = page.formula.place_of("v").center().toPoint()
    qtbot.mouseClick(page.formula, Qt.MouseButton.LeftButton, pos=place)
    assert page.v.hasFocus()


def test_every_shipped_example_is_one(page: PlayPage) -> None:
    for name in EXAMPLES:
        page.open_example(name)
        assert page.name == name
        assert np.isfinite(page.output.numbers).all()


def test_the_numbers_come_back(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "w", lab="attention") as window:
        page = play_of(qtbot, window)
        page.open_example("previous")
        page._edited("q", 0, 1, "-7,25")
        page.choose_pair(2, 1)
        left = page.example
        json.dumps(page.save_state())
    with opened(qtbot, tmp_path / "w") as window:
        page = play_of(qtbot, window)
        assert page.example == left
        assert page.pair == (2, 1)
        assert page.name == "previous"
