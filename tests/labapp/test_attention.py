"""The Attention lab as a person uses it, on SmolLM2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from labapp.handoff import Handoff
from labapp.labs.attention import AttentionLab
from labapp.labs.attention.heads import HeadsPage
from labapp.window import Window
from tests.labapp.opened import opened_on_smollm2, wait
from tests.labapp.responsiveness import LoopGaps


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "attention") as made:
        yield made


@pytest.fixture
def page(qtbot: QtBot, window: Window) -> HeadsPage:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    wait(qtbot, window, lambda: lab.heads.pair is not None)
    return lab.heads


def test_the_scene_asks_before_it_shows(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    assert page.prediction.asking
    assert page.pattern.in_words() == ""
    assert page.found.rows.rowCount() == 0
    assert "0.80" not in page.pair_title.text()
    page.prediction.answer(1)
    wait(qtbot, window, lambda: page.found.rows.rowCount())
    assert "soft" in page.prediction.text
    assert page.pair_title.text() == "“it” looks at “cat” with 0.80"
    assert "“on” at “cat” 0.98" in page.pattern.in_words()


def test_the_search_finds_the_subject_head(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    page.prediction.answer(0)
    wait(qtbot, window, lambda: page.found.rows.rowCount() and page._probe)
    assert list(page.found.rows.row(0)) == ["13.8", "subject", "0.80"]
    page.looks_from.setCurrentIndex(9)
    page.looks_from.activated.emit(9)
    wait(qtbot, window, lambda: page.pair_title.text().startswith("“tired”"))
    assert page.pair_title.text() == "“tired” looks at “cat” with 0.74"


def test_another_adjective_changes_its_row_and_not_that_of_it(
    qtbot: QtBot, window: Window, page: HeadsPage
) -> None:
    page.prediction.answer(0)
    page.show_text("The cat sat on the mat because it was soft.")
    wait(
        qtbot,
        window,
        lambda: page.inside is not None and page.tokens[9] == "soft" and len(page.pattern.weights),
    )
    assert page.pair_title.text() == "“it” looks at “cat” with 0.80"
    page.choose_pair(9, 5)
    wait(qtbot, window, lambda: page.pair_title.text().startswith("“soft”"))
    assert page.pair_title.text() == "“soft” looks at “mat” with 0.75"


def test_a_head_is_switched_off_beside_random_ones(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    page.prediction.answer(0)
    page.show_text("The cat sat on the mat because it was tired. Question: What was tired? Answer: the")
    wait(qtbot, window, lambda: page.inside is not None and len(page.tokens) > 12)
    page.switch_off("zero")
    wait(qtbot, window, lambda: page.cause.result)
    result = page.cause.result
    assert result is not None
    assert result.rows[0][0] == "␣cat"
    assert not result.outside
    assert result.sets == 20
    page.choose_head(0, 0)
    assert page.cause.result is None, "a comparison belongs to its head"


def test_heads_and_pairs_are_chosen_by_mouse_and_keys(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    page.prediction.answer(0)
    rect = page.grid._rect(3, 4)
    qtbot.mouseClick(page.grid, Qt.MouseButton.LeftButton, pos=rect.center().toPoint())
    assert page.grid.chosen == (3, 4)
    for key, expected in ((Qt.Key.Key_Down, (4, 4)), (Qt.Key.Key_Left, (4, 3)), (Qt.Key.Key_Up, (3, 3))):
        qtbot.keyClick(page.grid, key)
        assert page.grid.chosen == expected
    box = page.pattern._matrix()
    cell = box.width() / 11
    point = QPointF(box.left() + 2.5 * cell, box.top() + 6.5 * cell)
    assert page.pattern.pair_at(point) == (6, 2)
    qtbot.mouseClick(page.pattern, Qt.MouseButton.LeftButton, pos=point.toPoint())
    wait(qtbot, window, lambda: page.pair_title.text().startswith("“because” looks at “sat”"))
    qtbot.keyClick(page.pattern, Qt.Key.Key_Right)
    wait(qtbot, window, lambda: page.pair_title.text().startswith("“because” looks at “on”"))


def test_only_heads_of_one_kind_are_shown(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    page.prediction.answer(0)
    wait(qtbot, window, lambda: page._probe)
    page.only.setCurrentIndex(page.only.findData("subject"))
    assert (13, 8) not in page.grid._faded
    assert len(page.grid._faded) > 250


def test_a_long_text_is_a_picture(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    page.prediction.answer(0)
    page.show_text("The cat sat on the mat because it was tired. " * 60)
    wait(qtbot, window, lambda: len(page.tokens) > 600 and len(page.pattern.weights) == 512)
    assert not page.pattern.exact
    assert np.isfinite(page.pattern.weights).all()
    page.arcs.setChecked(True)
    assert not page.pattern.grab().toImage().isNull()


@pytest.mark.parametrize("text", ["", " ", "\n", "x", "é🙂", "a" * 300])
def test_any_text_is_read(qtbot: QtBot, window: Window, page: HeadsPage, text: str) -> None:
    page.prediction.answer(0)
    page.show_text(text)
    wait(qtbot, window, lambda: True)
    assert not page.pattern.grab().toImage().isNull()


def test_a_text_from_another_lab_is_taken(qtbot: QtBot, window: Window, page: HeadsPage) -> None:
    window.open_in("attention", Handoff(text="Paris is in France.", layer=2, head=1))
    wait(qtbot, window, lambda: page.tokens[:1] == ["Paris"] and page.grid.chosen == (2, 1))
    assert not page.prediction.asking


def test_the_window_answers_while_a_long_text_is_read(
    qtbot: QtBot, window: Window, page: HeadsPage, report: Callable[[str, object], None]
) -> None:
    page.prediction.answer(0)
    wait(qtbot, window, lambda: page._probe)
    with LoopGaps() as gaps:
        page.show_text("The cat sat on the mat because it was tired. " * 90)
        wait(qtbot, window, lambda: len(page.tokens) > 900)
    report("attention: loop gaps while 990 tokens are read", str(gaps.result))
    gaps.hold(p99=50, longest=250)
