"""The free checks: what every lab in the catalogue must do, whatever it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QSpinBox,
    QTabBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from labapp.icons import has_icon
from labapp.labs import CATALOGUE, Entry
from labapp.widgets.export import png_of, svg_of
from labapp.window import Window
from tests.labapp.opened import PATIENCE, opened, settled
from tests.labapp.rich_text import assert_nothing_rich

LABS = pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
SIZES = ((1093, 570), (1280, 650), (1280, 800))
CONTROLS = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QSpinBox, QAbstractSlider, QTabBar)


def pages(window: Window) -> list[str]:
    assert window.lab is not None
    return [page.name for page in window.lab.frame.pages]


def show_page(qtbot: QtBot, window: Window, page: str) -> None:
    assert window.lab is not None
    window.lab.frame.show_page(page)
    qtbot.waitUntil(lambda: settled(window), timeout=PATIENCE)


def controls(window: Window) -> list[QWidget]:
    """What can be operated in the lab in view."""
    assert window.lab is not None
    found = [w for w in window.lab.findChildren(QWidget) if isinstance(w, CONTROLS) and w.isVisible()]
    inner = (QScrollBar,)
    return [
        w
        for w in found
        if not isinstance(w, inner)
        and not isinstance(w.parentWidget(), QAbstractSpinBox | QComboBox | QLineEdit | QTabBar)
        and "pyqtgraph" not in type(w).__module__
    ]


@LABS
def test_every_page_fits_into_the_window(qtbot: QtBot, tmp_path: Path, entry: Entry) -> None:
    with opened(qtbot, tmp_path, lab=entry.name) as window:
        for page in pages(window):
            show_page(qtbot, window, page)
            for size in SIZES:
                window.resize(*size)
                qtbot.waitUntil(lambda: settled(window), timeout=PATIENCE)
                QApplication.processEvents()
                assert (window.width(), window.height()) == size, f"{page} forces the window to another size"
                check_what_lies_outside(window, page)
                check_heights_of_labels(window, page)


def check_what_lies_outside(window: Window, page: str) -> None:
    for control in controls(window):
        box = QRect(control.mapTo(window, QPoint(0, 0)), control.size())
        assert window.rect().contains(box), f"{page}: {control.accessibleName()!r} lies outside: {box}"


def check_heights_of_labels(window: Window, page: str) -> None:
    assert window.lab is not None
    for made in window.lab.findChildren(QLabel):
        if made.isVisible() and made.text() and not made.wordWrap():
            assert made.height() >= made.fontMetrics().height() - 1, f"{page}: {made.text()!r}"


@LABS
def test_controls_have_names_plots_have_axes_pictures_can_be_taken_away(
    qtbot: QtBot, tmp_path: Path, entry: Entry
) -> None:
    with opened(qtbot, tmp_path, lab=entry.name) as window:
        for page in pages(window):
            show_page(qtbot, window, page)
            check_keyboard(window, page)
            check_pictures(window, page)
        assert_nothing_rich(window)
        check_plots(window)


def check_keyboard(window: Window, page: str) -> None:
    """Everything is reached by Tab, has a name and says what it does."""
    for control in controls(window):
        name = control.accessibleName() or getattr(control, "text", lambda: "")()
        assert name, f"{page}: a {type(control).__name__} has no name"
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, f"{page}: {name!r} is not reached by Tab"
        assert control.toolTip() or not control.isEnabled(), f"{page}: {name!r} has no tooltip"


def check_pictures(window: Window, page: str) -> None:
    assert window.lab is not None
    pictures = window.lab.pictures()
    assert pictures, f"{page} has no picture"
    for title, picture in pictures.items():
        assert title
        assert png_of(picture).startswith(b"\x89PNG")
        assert b"<svg" in svg_of(picture)[:2000]


def check_plots(window: Window) -> None:
    from labapp.plots import Plot

    for plot in window.findChildren(Plot):
        item = plot.view.getPlotItem()
        assert plot.title
        assert item.getAxis("bottom").labelText
        assert item.getAxis("left").labelText
        assert plot.as_csv().startswith("series,")


@LABS
def test_the_state_comes_back_at_the_next_start(qtbot: QtBot, tmp_path: Path, entry: Entry) -> None:
    with opened(qtbot, tmp_path, lab=entry.name) as window:
        last = pages(window)[-1]
        show_page(qtbot, window, last)
        before = window.lab.save_state()
        json.dumps(before)  # plain values only
    with opened(qtbot, tmp_path) as window:
        assert window.lab.name == entry.name
        assert window.lab.frame.page == last
        for page in pages(window):
            show_page(qtbot, window, page)
        show_page(qtbot, window, last)
        assert window.lab.save_state().keys() == before.keys()


@LABS
@pytest.mark.parametrize(
    "state",
    [{}, {"pages": 3}, {"pages": {"learn": [], "encode": {"text": 5}}, "page": "no such"}, {"page": None}],
)
def test_a_state_of_another_version_is_survived(
    qtbot: QtBot, tmp_path: Path, entry: Entry, state: dict
) -> None:
    (tmp_path / "window.json").write_text(
        json.dumps({"labs": {entry.name: state}, "window": [], "recent": "x"})
    )
    with opened(qtbot, tmp_path, lab=entry.name) as window:
        for page in pages(window):
            window.lab.frame.show_page(page)
            QApplication.processEvents()
        qtbot.waitUntil(lambda: settled(window), timeout=PATIENCE)
        assert not window.lab.frame.messages.text


@LABS
def test_every_icon_exists(entry: Entry, qapp: QApplication) -> None:
    assert has_icon(entry.icon)


@LABS
def test_both_themes_and_the_presenter_mode_show_every_page(
    qtbot: QtBot, tmp_path: Path, entry: Entry
) -> None:
    with opened(qtbot, tmp_path, lab=entry.name) as window:
        for theme in ("light", "dark"):
            window.set_theme(theme)
            window.toggle_presenter()
            for page in pages(window):
                show_page(qtbot, window, page)
                assert not window.grab().toImage().isNull()
            window.toggle_presenter()
            assert window.menuBar().isVisible()
