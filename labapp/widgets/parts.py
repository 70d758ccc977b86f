"""Small parts in the house style: labels, buttons, cards and labeled fields, all plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from labapp.icons import icon
from labapp.theme import CONTROLS_WIDTH
from labapp.words import tr


def label(text: str = "", role: str = "", wrap: bool = False) -> QLabel:
    """A plain-text label; `role` is one of the style sheet's: title, heading, secondary, small, good, …"""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        made.setObjectName(role)
    return made


class WholeLabel(QLabel):
    """One line of plain text, shown whole or, where there is no room, not at all; the tooltip has it."""

    def __init__(self, text: str, role: str = "") -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setObjectName(role)
        self.setToolTip(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setPen(self.palette().color(self.foregroundRole()))
            if self.fontMetrics().horizontalAdvance(self.text()) <= self.width():
                place = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(self.rect(), place, self.text())


class Resized(QWidget):
    """A widget that tells its height when that changes.

    Args:
        fit: Told the height, in px.
    """

    def __init__(self, fit: Callable[[int], object]) -> None:
        super().__init__()
        self._fit = fit

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().height() != event.oldSize().height():
            self._fit(event.size().height())


def button(
    text: str,
    action: Callable[[], object] | None = None,
    *,
    tip: str = "",
    icon_name: str = "",
    role: str = "",
) -> QPushButton:
    """A push button with a tooltip; `role` is "primary" or "sample"."""
    made = QPushButton(text)
    made.setToolTip(tip)
    if role:
        made.setObjectName(role)
    if icon_name:
        made.setIcon(icon(icon_name))
        made.setIconSize(QSize(15, 15))
    if action is not None:
        made.clicked.connect(lambda: action())
    return made


def flat_button(icon_name: str, name: str, action: Callable[[], object] | None = None) -> QToolButton:
    """A button that is only an icon; its name is its tooltip and what a screen reader says."""
    made = QToolButton()
    made.setObjectName("flat")
    made.setIcon(icon(icon_name))
    made.setIconSize(QSize(16, 16))
    made.setToolTip(name)
    made.setAccessibleName(name)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if action is not None:
        made.clicked.connect(lambda: action())
    return made


def card(
    *parts: QWidget | QLayout, margin: int = 12, spacing: int = 6, grows: QWidget | None = None
) -> QFrame:
    """A white panel with a quiet border around widgets and rows, one below the other; one may grow."""
    made = QFrame()
    made.setObjectName("card")
    layout = _stack(made, parts, (margin, margin - 2, margin, margin - 2), spacing)
    if grows is not None:
        layout.setStretchFactor(grows, 1)
    return made


def controls(*parts: QWidget | QLayout, grows: QWidget | None = None) -> QWidget:
    """The left column of a page: widgets and rows from the top; one may grow, or the rest stays empty."""
    made = QWidget()
    made.setFixedWidth(CONTROLS_WIDTH - 1)
    layout = _stack(made, parts, (18, 4, 18, 8), 8)
    if grows is None:
        layout.addStretch(1)
    else:
        layout.setStretchFactor(grows, 1)
    return made


def _stack(
    made: QWidget, parts: tuple[QWidget | QLayout, ...], margins: tuple[int, int, int, int], spacing: int
) -> QVBoxLayout:
    layout = QVBoxLayout(made)
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    for part in parts:
        if isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return layout


def inset(spin: QAbstractSpinBox) -> None:
    """Give a spin box's number the margin that other fields have: Qt ignores its padding in a style sheet."""
    spin.lineEdit().setTextMargins(6, 0, 2, 0)


def field(title: str, widget: QWidget, tip: str = "") -> QWidget:
    """A control under its label; the label is the control's accessible name."""
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    name = label(title, "small")
    name.setBuddy(widget)
    layout.addWidget(name)
    layout.addWidget(widget)
    widget.setAccessibleName(title)
    if tip:
        widget.setToolTip(tip)
    return made


class ViewButtons(QWidget):
    """A row of buttons of which one is down: what is shown below; there is room for more at its end.

    Args:
        views: Title and tooltip of each, untranslated.
        show: Told which was clicked.
    """

    def __init__(self, views: Sequence[tuple[str, str]], show: Callable[[int], object]) -> None:
        super().__init__()
        self._show = show
        self._buttons: list[QPushButton] = []  # no QButtonGroup: it takes Tab away from all but the one down
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(6)
        for n, (title, tip) in enumerate(views):
            made = button(tr(title), partial(self._choose, n), tip=tr(tip), role="sample")
            made.setCheckable(True)
            made.setChecked(n == 0)
            self._buttons.append(made)
            self.row.addWidget(made)
        self.row.addStretch(1)

    def mark(self, n: int) -> None:
        """Put one down, and the others up."""
        for i, made in enumerate(self._buttons):
            made.setChecked(i == n)

    def _choose(self, n: int) -> None:
        self.mark(n)
        self._show(n)
