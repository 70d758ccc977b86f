"""A small table of numbers as colored cells; where it may be edited, a number is typed over its cell.

Blue is positive, orange negative, as deep as the number is large; weights have the ramp of the pattern.
Arrows move, typing or Return edits, Page Up and Page Down change a number by a half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QWidget

from labapp.labs.attention.grid import STEPS
from labapp.theme import CATEGORIES, Theme, mix, theme_of
from labapp.words import tr

NAMES_AT_MOST = 64  # px
SMALLEST_ROW = 17  # px
LARGEST_ROW = 44  # px
WIDEST = 96  # px of a cell
NARROW = 220  # px of a table in which names are cut shorter
CHANGE = 0.5  # by Page Up and Page Down


def number(value: float, places: int = 2) -> str:
    """A number as it stands in a cell.

    >>> number(-1.26, 1), number(0.04, 1)
    ('−1.3', '0.0')
    >>> [number(v) for v in (0.5, -12.345, 3.0, -math.inf, 1234.5, -0.001)]
    ['0.50', '−12.35', '3', '−∞', '1,234', '0.00']
    """
    if not math.isfinite(value):
        return "−∞" if value < 0 else ("∞" if value > 0 else "?")
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.{places}f}"
    text = text.replace("-", "−")
    return text[1:] if text in ("−0.00", "−0.0", "−0") else text


class Cells(QWidget):
    """Rows with names, columns with names, a number in each cell.

    Args:
        name: What the table holds, for screen readers.
        editable: Whether numbers may be changed.
        weights: Whether numbers are weights from 0 to 1.
    """

    edited = Signal(int, int, str)  # row, column, what was typed
    chosen = Signal(int, int)

    def __init__(self, name: str, *, editable: bool = False, weights: bool = False) -> None:
        super().__init__()
        self.numbers: npt.NDArray[np.float64] = np.zeros((0, 0))
        self.rows: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()
        self.at = (0, 0)
        self.marked: tuple[int | None, int | None] = (None, None)  # a row, or a column, or one cell
        self._name, self._editable, self._weights = name, editable, weights
        self._editor: QLineEdit | None = None
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        if editable:
            self.setToolTip(tr("Type a number, or change it by a half with Page Up and Page Down"))

    # What is shown.

    def set_numbers(
        self, numbers: npt.NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]
    ) -> None:
        """Show these numbers, shape (rows, columns)."""
        if numbers.shape != self.numbers.shape:
            self.close_editor()
        self.numbers, self.rows, self.columns = numbers, tuple(rows), tuple(columns)
        self.at = (min(self.at[0], len(rows) - 1), min(self.at[1], len(columns) - 1))
        self._describe()
        self.updateGeometry()
        self.update()

    def mark(self, row: int | None, column: int | None) -> None:
        """Frame a row, a column or, where both are given, a cell; without telling."""
        self.marked = (row, column)
        self.update()

    def as_rows(self) -> list[list[str]]:
        """The numbers as texts, each row with its name."""
        return [[name, *map(number, row)] for name, row in zip(self.rows, self.numbers.tolist(), strict=True)]

    def _describe(self) -> None:
        row, column = self.at
        if self.numbers.size:
            said = tr("{row}, {column}: {value}", row=self.rows[row], column=self.columns[column],
                      value=number(float(self.numbers[row, column])))  # fmt: skip
            self.setAccessibleDescription(said)

    # Where things are.

    def _names(self) -> float:
        metrics = QFontMetricsF(self.font())
        longest = max((metrics.horizontalAdvance(row) for row in self.rows), default=0.0)
        return min(NAMES_AT_MOST if self.width() >= NARROW else NAMES_AT_MOST * 0.6, longest) + 8

    def _cell(self) -> tuple[float, float, float]:
        """Width and height of a cell, and the height of the columns' names."""
        head = QFontMetricsF(self.font()).height() + 2
        width = (self.width() - self._names() - 2) / max(1, len(self.columns))
        height = (self.height() - head - 2) / max(1, len(self.rows))
        return min(WIDEST, max(8.0, width)), min(LARGEST_ROW, max(8.0, height)), head

    def rect_of(self, row: int, column: int) -> QRectF:
        """Where a cell is."""
        width, height, head = self._cell()
        return QRectF(self._names() + column * width, head + row * height, width, height)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """The cell under a point."""
        width, height, head = self._cell()
        row, column = int((point.y() - head) // height), int((point.x() - self._names()) // width)
        inside = 0 <= row < len(self.rows) and 0 <= column < len(self.columns)
        return (row, column) if inside else None

    def sizeHint(self) -> QSize:
        return QSize(round(self._names() + 46 * len(self.columns)), 20 + 26 * max(3, len(self.rows)))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 16 + SMALLEST_ROW * max(3, len(self.rows)))

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            _, height, head = self._cell()
            font = self.font()
            font.setPixelSize(max(11, min(font.pixelSize(), int(height * 0.72))))
            painter.setFont(font)
            metrics = QFontMetricsF(font)
            painter.setPen(QColor(theme.secondary))
            for i, name in enumerate(self.columns):
                box = self.rect_of(0, i)
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, box.width() - 2)
                place = QRectF(box.left(), 0, box.width(), head)
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.setPen(QColor(theme.text))
            for i, name in enumerate(self.rows):
                box = self.rect_of(i, 0)
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, self._names() - 7)
                painter.drawText(QRectF(0, box.top(), self._names() - 6, box.height()), right, text)
            if self.numbers.size:
                self._paint_numbers(painter, metrics, theme)
            self._paint_marks(painter, theme)

    def _largest(self) -> float:
        finite = self.numbers[np.isfinite(self.numbers)]
        return max(1.0, float(np.abs(finite).max())) if finite.size else 1.0

    def back(self, value: float, largest: float, theme: Theme) -> QColor:
        """The color of a cell."""
        panel = QColor(theme.panel)
        if not math.isfinite(value):
            return QColor(theme.line)
        if self._weights:
            return mix(QColor(theme.weight), panel, min(1.0, max(0.0, value)))
        return mix(QColor(CATEGORIES[0 if value > 0 else 1]), panel, 0.6 * min(1.0, abs(value) / largest))

    def _paint_numbers(self, painter: QPainter, metrics: QFontMetricsF, theme: Theme) -> None:
        widths = [metrics.horizontalAdvance(number(value)) for value in self.numbers.ravel().tolist()]
        places = 2 if max(widths) <= self._cell()[0] - 3 else 1
        largest = self._largest()
        for row, column in np.ndindex(*self.numbers.shape):
            self._paint_cell(painter, row, column, largest, places, theme)

    def _paint_cell(
        self, painter: QPainter, row: int, column: int, largest: float, places: int, theme: Theme
    ) -> None:
        box, value = self.rect_of(row, column), float(self.numbers[row, column])
        back = self.back(value, largest, theme)
        painter.fillRect(box, back)
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.drawRect(box)
        painter.setPen(QColor("#101318" if back.lightnessF() > 0.46 else "#ffffff"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, number(value, places))

    def _paint_marks(self, painter: QPainter, theme: Theme) -> None:
        if not self.numbers.size:
            return
        painter.setBrush(Qt.BrushStyle.NoBrush)
        row, column = self.marked
        last_row, last_column = len(self.rows) - 1, len(self.columns) - 1
        if row is not None or column is not None:
            first = self.rect_of(row or 0, column or 0)
            last = self.rect_of(
                last_row if row is None else min(row, last_row),
                last_column if column is None else min(column, last_column),
            )
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.drawRect(first.united(last).adjusted(0.5, 0.5, -0.5, -0.5))
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.text), 2))
            painter.drawRect(self.rect_of(*self.at).adjusted(1, 1, -1, -1))

    # Mouse and keys.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self.cell_at(event.position())
        if at is not None:
            self._move(at)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._editable and self.cell_at(event.position()) is not None:
            self.open_editor()

    def _move(self, at: tuple[int, int]) -> None:
        self.close_editor()
        self.at = at
        self._describe()
        self.update()
        self.chosen.emit(*at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step, key = STEPS.get(Qt.Key(event.key())), Qt.Key(event.key())
        if step is not None and self.numbers.size:
            row = min(max(self.at[0] + step[0], 0), len(self.rows) - 1)
            self._move((row, min(max(self.at[1] + step[1], 0), len(self.columns) - 1)))
        elif key == Qt.Key.Key_Escape and self._editor is not None:
            self.close_editor()
        elif not self._editable or not self.numbers.size:
            super().keyPressEvent(event)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F2):
            self.open_editor()
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:  # that turns the lab's page
                super().keyPressEvent(event)
                return
            change = CHANGE if key == Qt.Key.Key_PageUp else -CHANGE
            self.edited.emit(*self.at, repr(float(self.numbers[self.at]) + change))
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.edited.emit(*self.at, "0")
        elif event.text() and event.text() in "0123456789.,-−+":
            self.open_editor(event.text())
        else:
            super().keyPressEvent(event)

    # Editing.

    def open_editor(self, text: str | None = None) -> None:
        """Type over the cell; Return takes the number, Escape leaves the old one."""
        self.close_editor()
        self._editor = editor = QLineEdit(self)
        editor.setAccessibleName(tr("New number"))
        editor.setToolTip(tr("Return takes the number, Escape leaves the old one"))
        editor.setAlignment(Qt.AlignmentFlag.AlignCenter)
        editor.setTextMargins(-6, -3, -6, -3)
        editor.setMaxLength(12)
        editor.setText(f"{float(self.numbers[self.at]):g}" if text is None else text)
        if text is None:
            editor.selectAll()
        box = self.rect_of(*self.at).toRect()
        editor.setGeometry(box.adjusted(-6, -2, 6, 2).intersected(self.rect()))
        editor.returnPressed.connect(self._take)
        editor.editingFinished.connect(self.close_editor)
        editor.show()
        editor.setFocus()
        if text is not None:
            editor.setCursorPosition(len(text))

    def _take(self) -> None:
        if self._editor is not None:
            text, at = self._editor.text(), self.at
            self.close_editor()
            self.setFocus()
            self.edited.emit(*at, text)

    def close_editor(self) -> None:
        """Leave the cell as it is."""
        editor, self._editor = self._editor, None
        if editor is not None:
            had_focus = editor.hasFocus()
            editor.hide()
            editor.deleteLater()
            if had_focus:
                self.setFocus()
