"""A vector as bars: one for each number, up where it is positive, down where it is negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.embeddings.tables import signed
from labapp.theme import CATEGORIES, theme_of
from labapp.words import tr

Numbers = npt.NDArray[np.float32]
KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class VectorBars(QWidget):
    """Draws numbers as bars over one zero line, and marks one; told where the mouse or an arrow key is.

    Args:
        name: What the numbers are.
        high: Its height in pixels, at least.
    """

    pointed = Signal(int)

    def __init__(self, name: str, high: int = 60) -> None:
        super().__init__()
        self.values: Numbers = np.zeros(0, dtype=np.float32)
        self.at = -1
        self.full = 0.0  # value at which a bar is as high as it gets; 0: the largest one
        self._name = name
        self._high = high
        self.setAccessibleName(name)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(high)

    def set_values(self, values: Numbers, full: float = 0.0) -> None:
        """Show these numbers, the scale reaching from −full to full; 0 takes the largest."""
        self.values, self.full = values, full
        if len(values):
            self.setAccessibleDescription(
                tr("{n:,} numbers from {low} to {high}", n=len(values), low=signed(float(values.min()), 3),
                   high=signed(float(values.max()), 3))
            )  # fmt: skip
        self.update()

    def point(self, at: int) -> None:
        """Mark a number, without telling."""
        self.at = at
        self.update()

    def words(self) -> str:
        """The marked number."""
        if not 0 <= self.at < len(self.values):
            return ""
        return tr("number {i}: {value}", i=self.at, value=signed(float(self.values[self.at]), 3))

    def sizeHint(self) -> QSize:
        return QSize(200, self._high)

    def paintEvent(self, event: QPaintEvent) -> None:
        n, theme = len(self.values), theme_of(self)
        if not n:
            return
        with QPainter(self) as painter:
            box = QRectF(self.rect()).adjusted(1, 2, -1, -2)
            full = self.full or float(np.abs(self.values).max()) or 1.0
            columns = min(
                n, max(1, int(box.width()))
            )  # where numbers are finer than pixels: the largest of each
            tops = shrunk(self.values, columns)
            step, middle = box.width() / columns, box.center().y()
            up, down = QColor(CATEGORIES[0]), QColor(CATEGORIES[5])
            for i, value in enumerate(tops.tolist()):
                high = min(1.0, abs(value) / full) * box.height() / 2
                top = middle - high if value > 0 else middle
                painter.fillRect(
                    QRectF(box.left() + i * step, top, max(step - (1 if step > 3 else 0), 1.0), high),
                    up if value > 0 else down,
                )
            painter.setPen(QPen(QColor(theme.secondary), 1))
            painter.drawLine(int(box.left()), round(middle), int(box.right()), round(middle))
            if 0 <= self.at < n:
                x = box.left() + (self.at + 0.5) / n * box.width()
                painter.setPen(QPen(QColor(theme.accent), 2))
                painter.drawLine(round(x), 0, round(x), self.height())
            if self.hasFocus():
                painter.setPen(QPen(QColor(theme.accent), 1))
                painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        n = len(self.values)
        if n:
            at = min(max(int((event.position().x() - 1) / max(1, self.width() - 2) * n), 0), n - 1)
            self._point(at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = KEYS.get(Qt.Key(event.key()))
        if by is None or not len(self.values):
            super().keyPressEvent(event)
        else:
            self._point(min(max(self.at + by, 0), len(self.values) - 1))

    def _point(self, at: int) -> None:
        self.point(at)
        self.setToolTip(self.words())
        self.pointed.emit(at)


def shrunk(values: Numbers | Sequence[float], columns: int) -> Numbers:
    """Of each group of neighbors the number farthest from 0, so that no peak is lost; shape (columns,).

    >>> shrunk(np.float32([1, -3, 2, 0]), 2).tolist()
    [-3.0, 2.0]
    """
    given = np.asarray(values, dtype=np.float32)
    if columns >= len(given):
        return given
    begins = np.arange(columns) * len(given) // columns
    high, low = np.maximum.reduceat(given, begins), np.minimum.reduceat(given, begins)
    made: Numbers = np.where(high >= -low, high, low)
    return made
