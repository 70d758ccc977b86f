"""The Formula page as a person uses it, on SmolLM2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from labapp.handoff import Handoff
from labapp.labs.attention import CAT, AttentionLab
from labapp.labs.attention.formula import FormulaPage
from labapp.labs.attention.walk_steps import STEPS
from labapp.window import Window
from tests.labapp.opened import opened, opened_on_smollm2, wait


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "attention") as made:
        yield made


@pytest.fixture
def page(qtbot: QtBot, window: Window) -> FormulaPage:
    return formula_of(qtbot, window)


def formula_of(qtbot: QtBot, window: Window) -> FormulaPage:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    lab.frame.show_page("formula")
    wait(qtbot, window, lambda: lab.formula.worked is not None)
    return lab.formula


def test_it_walks_where_the_heads_page_looks(qtbot: QtBot, window: Window, page: FormulaPage) -> None:
    walked, worked = page.walked, page.worked
    assert walked is not None
    assert worked is not None
    assert (walked.layer, walked.head, walked.row, walked.column) == (13, 8, 7, 1)
    assert page.table.rows.row(1) == ("÷ √64 = ÷ 8", f"{worked.scores[1]:.2f}")
    assert page.table.rows.row(3) == ("weight", "0.804")
    raised = np.exp(walked.products[:8] / math.sqrt(64))
    assert worked.weights[:8] == pytest.approx(raised / raised.sum(), abs=1e-5)
    page.layer.setValue(10)
    wait(qtbot, window, lambda: page.walked is not None and page.walked.layer == 10)
    assert page.lab.heads.grid.chosen == (10, 8)


def test_terms_and_list_and_keys_lead_through_the_steps(qtbot: QtBot, page: FormulaPage) -> None:
    place = page.formula.place_of("values").center().toPoint()
    qtbot.mouseClick(page.formula, Qt.MouseButton.LeftButton, pos=place)
    assert page.step == "values"
    assert page.stack.currentWidget() is page.views["values"]
    qtbot.keyClick(page.formula, Qt.Key.Key_Left)
    assert page.step == "mask", "one term to the left"
    page.steps.row_chosen.emit(4)
    assert page.step == "softmax"
    assert page.formula.chosen == "softmax"
    for step in STEPS:
        page.choose_step(step.name)
        assert page.title.text()
        assert page.says.text()
        assert not page.stack.grab().toImage().isNull()


def test_each_picture_shows_the_numbers(page: FormulaPage) -> None:
    walked, worked = page.walked, page.worked
    assert walked is not None
    assert worked is not None
    page.choose_step("product")
    bars = page.views["product"].bars  # type: ignore[attr-defined]
    assert bars.terms.sum() == pytest.approx(walked.products[1], abs=1e-3)
    assert "50.07" in bars.caption()
    page.choose_step("mask")
    after = page.views["mask"].after  # type: ignore[attr-defined]
    assert after.values[8:] == (-math.inf,) * 3
    page.choose_step("softmax")
    weights = page.views["softmax"].after  # type: ignore[attr-defined]
    assert weights.values == tuple(worked.weights.tolist())
    page.choose_step("concat")
    product = page.views["concat"].product  # type: ignore[attr-defined]
    assert product.result == pytest.approx(walked.added(), abs=1e-4)


def test_a_step_left_out_changes_numbers_and_what_the_model_says(
    qtbot: QtBot, window: Window, page: FormulaPage
) -> None:
    window.open_in("attention", Handoff(text="The capital of France is"))
    wait(qtbot, window, lambda: page.walked is not None and len(page.walked.products) == 5)
    assert page.left_out.result is None
    page.switches["softmax"].click()
    wait(qtbot, window, lambda: page.left_out.result)
    result = page.left_out.result
    assert result is not None
    assert result.rows[0][0] == "␣Paris"
    assert result.rows[0][1] > 0.7
    assert result.rows[0][2] < 0.01
    assert page.worked is not None
    assert float(page.worked.weights.sum()) != pytest.approx(1)
    assert any(term.faded for term in page.formula.terms)
    page.switches["softmax"].click()
    wait(qtbot, window, lambda: page.left_out.result is None)
    assert float(page.worked.weights.sum()) == pytest.approx(1)


def test_too_long_a_text_is_walked_but_not_read_without_a_step(
    qtbot: QtBot, window: Window, page: FormulaPage
) -> None:
    window.open_in("attention", Handoff(text=CAT * 120))
    wait(qtbot, window, lambda: page.walked is not None and len(page.walked.products) > 1024)
    page.choose_step("values")
    assert not page.stack.grab().toImage().isNull()
    page.switches["mask"].click()
    wait(qtbot, window, lambda: True)
    assert window.lab is not None
    assert "1,024" in window.lab.frame.messages.text


def test_step_and_switches_come_back(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "w", lab="attention") as window:
        page = formula_of(qtbot, window)
        page.choose_step("values")
        page.switches["scaling"].click()
        wait(qtbot, window, lambda: page.left_out.result)
    with opened(qtbot, tmp_path / "w") as window:
        page = formula_of(qtbot, window)
        assert page.step == "values"
        assert page.taken() == (False, True, True)
        wait(qtbot, window, lambda: page.left_out.result)
