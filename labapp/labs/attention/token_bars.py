"""One number, or one vector, for each token: bars of either sign, and strips of values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.attention.cells import number
from labapp.labs.attention.signed import signed_color, signed_image
from labapp.theme import theme_of
from labapp.words import tr

NAMES_AT_MOST = 90  # px
LARGEST_ROW = 34.0  # px


class _Rows(QWidget):
    """A row for each token; a click chooses one."""

    token_chosen = Signal(int)  # its place in the rows

    def __init__(self, name: str) -> None:
        super().__init__()
        self.names: tuple[str, ...] = ()
        self.marked: int | None = None
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 90)

    def _font(self) -> QFont:
        font = self.font()
        font.setPixelSize(max(11, min(font.pixelSize(), int(self._row() * 0.75))))
        return font

    def _count(self) -> int:
        return len(self.names)

    def _row(self) -> float:
        return min(LARGEST_ROW, self.height() / max(1, self._count()))

    def _names(self) -> float:
        metrics = QFontMetricsF(self._font())
        longest = max((metrics.horizontalAdvance(name) for name in self.names), default=0.0)
        return min(NAMES_AT_MOST, self.width() * 0.3, longest) + 10

    def _paint_name(self, painter: QPainter, i: int, name: str) -> None:
        font = self._font()
        font.setBold(i == self.marked)
        painter.setFont(font)
        painter.setPen(QColor(theme_of(self).text))
        text = QFontMetricsF(font).elidedText(name, Qt.TextElideMode.ElideRight, self._names() - 8)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, i * self._row(), self._names() - 8, self._row()), right, text)
        font.setBold(False)
        painter.setFont(font)

    def sizeHint(self) -> QSize:
        return QSize(240, 200)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = int(event.position().y() / self._row()) if self.names else -1
        if 0 <= row < len(self.names):
            self.token_chosen.emit(row)


class SignedBars(_Rows):
    """A bar to the right for what is positive, to the left for what is negative; −∞ is hatched."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.values: tuple[float, ...] = ()

    def set_values(self, names: Sequence[str], values: Sequence[float], marked: int | None) -> None:
        """Show one number for each token."""
        self.names, self.values, self.marked = tuple(names), tuple(values), marked
        pairs = zip(self.names, self.values, strict=True)
        self.setAccessibleDescription("; ".join(f"{name}: {number(value)}" for name, value in pairs))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        finite = [value for value in self.values if math.isfinite(value)]
        with QPainter(self) as painter:
            high, low = max([0.0, *finite]), min([0.0, *finite])
            left, metrics = self._names(), QFontMetricsF(self._font())
            texts = max((metrics.horizontalAdvance(number(value)) for value in self.values), default=0.0) + 8
            room = max(10.0, self.width() - left - texts)
            room -= texts if low < 0 else 0.0  # numbers of negative bars stand at their left
            start = left + (texts if low < 0 else 0.0)
            scale = room / ((high - low) or 1.0)
            zero = start - low * scale
            for i, (name, value) in enumerate(zip(self.names, self.values, strict=True)):
                self._paint_name(painter, i, name)
                y, row = i * self._row(), self._row()
                if not math.isfinite(value):
                    hatched = QRectF(start, y + row * 0.2, room, row * 0.6)
                    painter.fillRect(hatched, QBrush(QColor(theme.line), Qt.BrushStyle.BDiagPattern))
                    painter.setPen(QColor(theme.secondary))
                    painter.drawText(hatched, Qt.AlignmentFlag.AlignCenter, number(value))
                    continue
                end = zero + value * scale
                bar = QRectF(min(zero, end), y + row * 0.2, max(1.0, abs(end - zero)), row * 0.6)
                color = (
                    QColor(theme.accent)
                    if i == self.marked
                    else signed_color(math.copysign(0.8, value), theme)
                )
                painter.fillRect(bar, color)
                painter.setPen(QColor(theme.text))
                if value < 0:
                    place = QRectF(bar.left() - texts - 4, y, texts, row)
                    painter.drawText(
                        place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, number(value)
                    )
                else:
                    place = QRectF(bar.right() + 5, y, texts, row)
                    painter.drawText(
                        place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, number(value)
                    )
            painter.setPen(QPen(QColor(theme.secondary), 1))
            painter.drawLine(QPointF(zero, 0), QPointF(zero, self._row() * len(self.names)))


class ValueStrips(_Rows):
    """Each token's value as a strip of numbers, as strong as its weight; at the bottom their sum."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.weights: tuple[float, ...] = ()
        self.values: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.total: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def set_values(
        self,
        names: Sequence[str],
        weights: Sequence[float],
        values: npt.NDArray[np.float32],
        total: npt.NDArray[np.float32],
        marked: int | None,
    ) -> None:
        """Show values, shape (tokens, d), their weights, and the sum of all, shape (d,)."""
        self.names, self.weights, self.marked = tuple(names), tuple(weights), marked
        self.values, self.total = values, total
        pairs = zip(self.names, self.weights, strict=True)
        self.setAccessibleDescription("; ".join(f"{number(w)} × {name}" for name, w in pairs))
        self.update()

    def _count(self) -> int:
        return len(self.names) + 1

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.names:
            return
        theme = theme_of(self)
        with QPainter(self) as painter:
            largest = float(np.percentile(np.abs(self.values), 99)) or 1.0
            left, texts = self._names(), QFontMetricsF(self._font()).horizontalAdvance("−000.00 ×") + 6
            row, right = self._row(), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            for i, (name, weight) in enumerate(zip(self.names, self.weights, strict=True)):
                self._paint_name(painter, i, name)
                painter.drawText(QRectF(left, i * row, texts - 6, row), right, f"{number(weight)} ×")
                box = QRectF(left + texts, i * row + row * 0.15, self.width() - left - texts - 4, row * 0.7)
                painter.setOpacity(min(1.0, 0.12 + 0.88 * abs(weight)))
                painter.drawImage(box, signed_image(self.values[i], theme, largest))
                painter.setOpacity(1.0)
                painter.setPen(QPen(QColor(theme.accent if i == self.marked else theme.line), 1))
                painter.drawRect(box)
            i = len(self.names)
            self._paint_name(painter, i, tr("sum"))
            box = QRectF(left + texts, i * row + row * 0.1, self.width() - left - texts - 4, row * 0.8)
            painter.drawImage(box, signed_image(self.total, theme, largest))
            painter.setPen(QPen(QColor(theme.text), 1))
            painter.drawRect(box)
