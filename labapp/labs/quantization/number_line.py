"""Weights on number lines, one for each block, with the levels they are rounded to; one can be dragged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.quantization.page import number
from labapp.theme import CATEGORIES, Theme, mix, theme_of
from labapp.words import tr

MARGIN = 14.0  # px left and right of the line
AXIS = 20.0  # px for the figures below
CLOSEST = 3.0  # px between levels that are drawn one by one
REACH = 0.04  # share of the widest weight that a key moves


@dataclass(frozen=True)
class Lane:
    """A block: its weights, what they are rounded to, and all levels; these are empty before the reveal."""

    weights: tuple[float, ...]
    back: tuple[float, ...]
    levels: tuple[float, ...]
    says: str


class NumberLine(QWidget):
    """Draws one line for each block; the arrow keys choose a weight, with Shift they move it."""

    chosen = Signal(int)
    moved = Signal(int, float)  # weight, and its new value

    def __init__(self, name: str) -> None:
        super().__init__()
        self.lanes: tuple[Lane, ...] = ()
        self.at = -1
        self._reach = 1.0  # the value at the right end
        self._drag: tuple[float, float, float] | None = None  # x, value and values for each px at the press
        self.setAccessibleName(name)
        self.setToolTip(tr("Drag a weight along its line; arrow keys choose one, Shift and an arrow move it"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 120)

    def set_lanes(self, lanes: Sequence[Lane], at: int) -> None:
        """Show blocks, with one weight marked, counted through all of them."""
        self.lanes, self.at = tuple(lanes), at
        self._reach = 1.06 * max((abs(w) for lane in lanes for w in lane.weights), default=1.0) or 1.0
        self.setAccessibleDescription("; ".join(lane.says for lane in lanes))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 360)

    def _x(self, value: float) -> float:
        return self.width() / 2 + value / self._reach * (self.width() / 2 - MARGIN)

    def _lane_height(self) -> float:
        return (self.height() - AXIS) / max(1, len(self.lanes))

    def _place(self, i: int, n: int, top: float, high: float) -> float:
        """Height at which a weight stands: they are spread so that they do not hide each other."""
        room = max(4.0, high - 42)
        return top + 20 + room * ((i * 5) % n) / max(1, n - 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, high = theme_of(self), self._lane_height()
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            first = 0
            for n, lane in enumerate(self.lanes):
                self._paint_lane(painter, theme, lane, n * high, first)
                first += len(lane.weights)
            self._paint_axis(painter, theme)
            if self.hasFocus():
                painter.setPen(QPen(QColor(theme.accent), 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _paint_lane(self, painter: QPainter, theme: Theme, lane: Lane, top: float, first: int) -> None:
        high, n = self._lane_height(), len(lane.weights)
        base = top + high - 14
        self._paint_levels(painter, theme, lane, top, base)
        line = QColor(theme.secondary)
        painter.setPen(QPen(line, 1))
        painter.drawLine(QPointF(MARGIN, base), QPointF(self.width() - MARGIN, base))
        for i in sorted(range(n), key=lambda i: first + i == self.at):  # the marked one above the others
            weight, marked = lane.weights[i], first + i == self.at
            x, y = self._x(weight), self._place(i, n, top, high)
            color = QColor(theme.accent if marked else theme.weight)
            if lane.back:
                painter.setPen(QPen(color if marked else mix(color, QColor(theme.panel), 0.55), 1.5))
                painter.drawLine(QPointF(x, y), QPointF(self._x(lane.back[i]), base))
            painter.setPen(QPen(QColor(theme.panel), 1))
            painter.setBrush(color)
            size = 5.5 if marked else 3.5
            painter.drawEllipse(QPointF(x, y), size, size)
        painter.setPen(QColor(theme.text))
        says = QRectF(MARGIN, top + 1, self.width() - 2 * MARGIN, 17)
        painter.drawText(says, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, lane.says)

    def _paint_levels(self, painter: QPainter, theme: Theme, lane: Lane, top: float, base: float) -> None:
        if len(lane.levels) < 2:
            return
        color = QColor(CATEGORIES[0])
        begin, end = self._x(lane.levels[0]), self._x(lane.levels[-1])
        if (end - begin) / (len(lane.levels) - 1) < CLOSEST:
            painter.fillRect(QRectF(begin, base, end - begin, 9), color)
            return
        for level in lane.levels:
            x = self._x(level)
            painter.setPen(QPen(mix(color, QColor(theme.panel), 0.3), 1))
            painter.drawLine(QPointF(x, top + 20), QPointF(x, base))
            painter.setPen(QPen(color, 2))
            painter.drawLine(QPointF(x, base - 3), QPointF(x, base + 9))

    def _paint_axis(self, painter: QPainter, theme: Theme) -> None:
        painter.setPen(QColor(theme.secondary))
        top = self.height() - AXIS
        full = self._reach / 1.06
        for value in (-full, -full / 2, 0.0, full / 2, full):
            place = min(max(self._x(value) - 40, 0.0), self.width() - 80.0)
            painter.drawText(QRectF(place, top, 80, AXIS), Qt.AlignmentFlag.AlignCenter, number(value, 3))

    def _nearest(self, place: QPointF) -> int:
        high, best, first = self._lane_height(), (30.0, -1), 0
        for n, lane in enumerate(self.lanes):
            for i, weight in enumerate(lane.weights):
                y = self._place(i, len(lane.weights), n * high, high)
                away = (abs(self._x(weight) - place.x()) ** 2 + abs(y - place.y()) ** 2) ** 0.5
                best = min(best, (away, first + i))
            first += len(lane.weights)
        return best[1]

    def _value(self, at: int) -> float:
        return [w for lane in self.lanes for w in lane.weights][at]

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self._nearest(event.position())
        if at >= 0:
            each = self._reach / (self.width() / 2 - MARGIN)
            self._drag = (event.position().x(), self._value(at), each)
            self.chosen.emit(at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag is not None and self.at >= 0:
            x, value, each = self._drag
            self.moved.emit(self.at, value + (event.position().x() - x) * each)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        count = sum(len(lane.weights) for lane in self.lanes)
        if by is None or not count:
            super().keyPressEvent(event)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier and self.at >= 0:
            self.moved.emit(self.at, self._value(self.at) + by * REACH * self._reach)
        else:
            self.chosen.emit(min(max(self.at + by, 0), count - 1))
