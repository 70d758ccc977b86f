"""The page on √d as a person uses it; it needs no model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.interpret.spread import softmax
from labapp.labs.attention import AttentionLab
from labapp.labs.attention.root_d import RootDPage
from tests.labapp.opened import PATIENCE, opened, settled


@contextmanager
def shown(qtbot: QtBot, root: Path) -> Iterator[RootDPage]:
    """The page with its plots; no fixture, since what a fixture gives outlives the window."""
    with opened(qtbot, root, lab="attention") as window:
        lab = window.lab
        assert isinstance(lab, AttentionLab)
        lab.frame.show_page("root_d")
        page = lab.root_d
        qtbot.waitUntil(
            lambda: settled(window) and len(page.measured) == 256 and bool(page._plots), timeout=PATIENCE
        )
        yield page


def test_it_asks_before_the_vectors_grow(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path) as page:
        assert page.prediction.asking
        assert page.d == 4
        assert not page.controls.isEnabled()
        assert page.curves.isHidden()
        page.prediction.answer(2)
        assert "16 times" in page.prediction.text
        assert page.d == 64
        assert not page.curves.isHidden()


def test_the_bars_are_the_softmax_of_the_products(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path) as page:
        page.prediction.close_question()
        for d in (4, 128, 1024):
            page.set_length(d)
            assert page.at is not None
            assert page.at.d == d
            expected = sorted(softmax(page.at.products / math.sqrt(d)).tolist(), reverse=True)[:8]
            assert [bar.value for bar in page.scaled.bars] == expected
            assert page.table.rows.row(0)[1] == f"{page.at.plain.spread:.2f}"
        qtbot.keyClick(page.slider, Qt.Key.Key_Left)
        assert page.d == 1020


def test_the_curves_are_what_was_measured(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path) as page:
        page.prediction.answer(1)
        plot, plain, scaled = page._plots[0]
        assert plain.y.tolist() == [at.plain.spread for at in page.measured]
        assert np.allclose(scaled.y, plain.y / np.sqrt(plain.x))
        before = plain.y.tolist()
        page.draw_again()
        qtbot.waitUntil(lambda: len(plain.y) == 256 and plain.y.tolist() != before, timeout=PATIENCE)
        assert "standard deviation" in plot.as_csv()


def test_length_keys_and_seed_come_back(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "w", lab="attention") as window:
        lab = window.lab
        assert isinstance(lab, AttentionLab)
        lab.frame.show_page("root_d")
        lab.root_d.prediction.close_question()
        lab.root_d.set_length(128)
        lab.root_d.keys.setCurrentIndex(0)
        qtbot.waitUntil(lambda: settled(window), timeout=PATIENCE)
    with opened(qtbot, tmp_path / "w") as window:
        lab = window.lab
        assert isinstance(lab, AttentionLab)
        qtbot.waitUntil(lambda: settled(window) and lab.root_d.at is not None, timeout=PATIENCE)
        assert not lab.root_d.prediction.asking
        assert (lab.root_d.d, lab.root_d.keys.currentData()) == (128, 8)
