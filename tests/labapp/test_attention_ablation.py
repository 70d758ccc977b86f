"""Pins and the Ablation page as a person uses them, on SmolLM2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from labapp.labs.attention import AttentionLab
from labapp.labs.attention.ablation import SCENES, AblationPage
from labapp.labs.attention.pins import AT_MOST, MLP, Pins
from labapp.window import Window
from tests.labapp.opened import opened, opened_on_smollm2, wait


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "attention") as made:
        yield made


@pytest.fixture
def page(qtbot: QtBot, window: Window) -> AblationPage:
    return ablation_of(qtbot, window)


def ablation_of(qtbot: QtBot, window: Window) -> AblationPage:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    lab.frame.show_page("ablation")
    wait(qtbot, window, lambda: lab.heads.inside is not None)
    return lab.ablation


def test_pins_are_kept_once_and_not_too_many(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    pins = Pins(parent)
    with qtbot.waitSignal(pins.changed):
        pins.pin((1, 2))
    pins.pin((1, 2))
    pins.pin((3, 4))
    assert pins.heads == ((1, 2), (3, 4))
    pins.pin((1, 2), False)
    assert pins.heads == ((3, 4),)
    pins.set_parts(tuple((n, 0) for n in range(30)))
    assert len(pins.heads) == AT_MOST
    pins.keep_within(20, 1)
    assert pins.heads == ((18, 0), (19, 0))
    pins.restore([[1, 1], [2], "x", [-1, 0], [True, 0], None, [1, 1], [4, -1], [4, -2]])
    assert pins.parts == ((1, 1), (4, MLP))
    assert pins.heads == ((1, 1),)


def test_a_head_is_pinned_where_it_is_seen(qtbot: QtBot, window: Window, page: AblationPage) -> None:
    heads = page.lab.heads
    page.lab.frame.show_page("heads")
    heads.choose_head(3, 4)
    heads.pin.click()
    assert page.lab.pins.heads == ((3, 4),)
    heads.choose_head(3, 5)
    assert not heads.pin.isChecked()
    heads.choose_head(3, 4)
    assert heads.pin.isChecked()
    assert page.pins.rows.row(0)[0] == "3.4"
    assert "pinned" in heads.grid._named((3, 4))
    heads.pin.click()
    assert page.pins.rows.rowCount() == 0


def test_the_scene_asks_and_then_shows_a_head_that_matters(
    qtbot: QtBot, window: Window, page: AblationPage
) -> None:
    page.open_scene("capital")
    wait(qtbot, window, lambda: page.before.bars)
    assert page.prediction.asking
    assert not page.results
    assert page.before.bars[0].name == "␣Paris"
    page.prediction.answer(1)
    wait(qtbot, window, lambda: len(page.results) == 3)
    first, second, both = page.results
    assert both.heads == ((23, 4), (13, 8))
    assert first.heads == ((23, 4),)
    assert first.outside
    assert first.change == pytest.approx(-1.70, abs=0.02)
    assert not second.outside or abs(second.change) < 0.1
    assert page.table.rows.row(0) == ("␣Paris", "77.3 %", "14.1 %")
    assert "so it matters here" in page.verdict.text()
    assert page.matter.x_of(first.change) < page.matter.x_of(first.band[0])
    qtbot.keyClick(page.matter, Qt.Key.Key_Down)
    assert "13.8" in page.heading.text()


def test_every_pinned_head_is_asked(qtbot: QtBot, window: Window, page: AblationPage) -> None:
    page.lab.heads.prediction.close_question()
    page.lab.pins.set_parts(((1, 3), (13, 8), (29, 1)))
    page.token.setText(" cat")
    page.kind.setCurrentIndex(1)
    page.ask_button.click()
    wait(qtbot, window, lambda: len(page.results) == 4)
    assert [result.heads[0] for result in page.results[:3]] == [(1, 3), (13, 8), (29, 1)]
    assert page.results[3].heads == ((1, 3), (13, 8), (29, 1))
    assert all(len(result.randoms) == 20 for result in page.results)
    assert all(result.token == b" cat" for result in page.results)
    page.lab.pins.pin((13, 8), False)
    assert [result.heads[0] for result in page.results] == [(1, 3), (29, 1)]
    page.lab.heads.show_text("Another text.")
    wait(qtbot, window, lambda: not page.results)


def test_an_mlp_is_pinned_and_asked_among_other_mlps(
    qtbot: QtBot, window: Window, page: AblationPage
) -> None:
    page.lab.heads.prediction.close_question()
    page.lab.pins.set_parts(((13, 8),))
    page.layer.setValue(5)
    page.mlp_button.click()
    assert page.pins.rows.row(1)[0] == "MLP 5"
    page.token.setText(" cat")
    page.ask_button.click()
    wait(qtbot, window, lambda: len(page.results) == 3)
    assert [result.heads for result in page.results] == [((13, 8),), ((5, MLP),), ((13, 8), (5, MLP))]
    mlp, both = page.results[1:]
    assert len(set(mlp.randoms)) == 20  # of 29 others, none twice
    assert mlp.change != both.change
    page._choose(1)
    assert page.heading.text() == "Without MLP 5"
    assert "random sets of as many other MLPs" in page.verdict.text()
    assert page.layer.maximum() == 29
    page.pins.selectRow(1)
    page.unpin_button.click()
    assert page.lab.pins.parts == ((13, 8),)


@pytest.mark.parametrize("token", ["strawberry", "🙂🙂"])
def test_a_token_that_is_not_one_is_said(
    qtbot: QtBot, window: Window, page: AblationPage, token: str
) -> None:
    page.token.setText(token)
    page.ask_button.click()
    wait(qtbot, window, lambda: page.lab.frame.messages.text)
    assert token in page.lab.frame.messages.text


def test_every_scene_opens(qtbot: QtBot, window: Window, page: AblationPage) -> None:
    for name in SCENES:
        page.open_scene(name)
        wait(qtbot, window, lambda: True)
        assert page.prediction.asking
        assert page.lab.pins.heads
        assert page.lab.heads.place is not None


def test_pins_token_and_kind_come_back(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "w", lab="attention") as window:
        page = ablation_of(qtbot, window)
        page.lab.pins.set_parts(((2, 3), (4, 5), (7, MLP)))
        page.token.setText(" Paris")
        page.kind.setCurrentIndex(1)
    with opened(qtbot, tmp_path / "w") as window:
        page = ablation_of(qtbot, window)
        assert page.lab.pins.parts == ((2, 3), (4, 5), (7, MLP))
        assert page.token.text() == " Paris"
        assert page.kind.currentData() == "mean"
