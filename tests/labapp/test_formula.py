"""Formulas: terms are set as outlines, and chosen by mouse and keys."""

from __future__ import annotations

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from labapp.widgets.formula import Formula, Term

TERMS = (
    Term(r"\mathrm{softmax}(", "softmax", "the softmax"),
    Term(r"QK^{\top}", "scores", "all products"),
    Term("/"),
    Term(r"\sqrt{d}", "scaling", "the division"),
    Term(")"),
)


def test_a_formula_is_painted_and_fits_into_little_room(qtbot: QtBot) -> None:
    formula = Formula("attention", TERMS)
    qtbot.addWidget(formula)
    formula.show()
    formula.resize(400, 60)
    wide = formula.place_of("scaling")
    picture = formula.grab().toImage()
    colors = {picture.pixelColor(x, y).name() for x in range(0, 400, 2) for y in range(0, 60, 2)}
    assert len(colors) > 2
    formula.resize(80, 60)
    assert formula.place_of("scaling").right() <= 80 < wide.right()


def test_terms_are_chosen_by_mouse_and_keys(qtbot: QtBot) -> None:
    formula = Formula("attention", TERMS)
    qtbot.addWidget(formula)
    formula.show()
    formula.resize(400, 60)
    told: list[str] = []
    formula.term_chosen.connect(told.append)
    place = formula.place_of("scaling").center().toPoint()
    qtbot.mouseClick(formula, Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(formula, Qt.Key.Key_Left)
    qtbot.keyClick(formula, Qt.Key.Key_Left)
    qtbot.keyClick(formula, Qt.Key.Key_Left)
    assert told == ["scaling", "scores", "softmax", "softmax"]
    assert formula.accessibleDescription() == "the softmax"


def test_a_formula_without_names_is_no_stop_for_tab(qtbot: QtBot) -> None:
    formula = Formula("root", [Term(r"\sqrt{d}")])
    qtbot.addWidget(formula)
    assert formula.focusPolicy() == Qt.FocusPolicy.NoFocus
