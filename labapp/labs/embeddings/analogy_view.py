"""Pictures of an analogy: its words in their plane, with the arrow that is moved; and two arrows compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import CATEGORIES, Theme, theme_of
from labapp.words import tr

MARGIN = 54.0  # px around the points
MOVE_MS = 900  # that the arrow takes from one word to the other
HEAD = 11.0  # px of an arrow's head


@dataclass(frozen=True)
class Place:
    """A named point of the plane.

    Attributes:
        name: What is written beside it.
        x: To the right, in the units of the vectors.
        y: Up.
        kind: "word", "target", "point" (a − b + c) or "near".
        outside: How far the vector lies outside of the plane.
    """

    name: str
    x: float
    y: float
    kind: str = "word"
    outside: float = 0.0


class AnalogyView(QWidget):
    """The arrow from b to a is moved to c; where it ends is a − b + c."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.places: list[Place] = []  # b, a, c, then the point, then others
        self.moved = 1.0  # share of its way that the arrow has gone
        self._taken: list[QRectF] = []
        self._move = QVariantAnimation(self)
        self._move.setDuration(MOVE_MS)
        self._move.setStartValue(0.0)
        self._move.setEndValue(1.0)
        self._move.valueChanged.connect(self._step)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 120)

    def set_places(self, places: Sequence[Place], move: bool) -> None:
        """Show an analogy: b, a and c, then a − b + c, then what lies near; the arrow moves or is there."""
        self.places = list(places)
        self._move.stop()
        self.moved = 1.0
        if move and len(places) > 3:
            self._move.start()
        self.update()

    def _step(self, value: object) -> None:
        self.moved = float(value) if isinstance(value, float) else 1.0
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(460, 320)

    def _on_screen(self) -> list[QPointF]:
        xs, ys = [p.x for p in self.places], [p.y for p in self.places]
        wide, high = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
        scale = min((self.width() - 2.6 * MARGIN) / wide, (self.height() - 1.6 * MARGIN) / high)
        left = (self.width() - wide * scale) / 2 - min(xs) * scale
        top = (self.height() + high * scale) / 2 + min(ys) * scale
        return [QPointF(left + p.x * scale, top - p.y * scale) for p in self.places]

    def paintEvent(self, event: QPaintEvent) -> None:
        if len(self.places) < 3:
            return
        theme, at = theme_of(self), self._on_screen()
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._taken = self._along(at)
            relation, copy = QColor(theme.secondary), QColor(theme.accent)
            arrow(painter, at[0], at[1], relation, 2)
            if len(at) > 3:
                shift = QPointF((at[2] - at[0]).x() * self.moved, (at[2] - at[0]).y() * self.moved)
                painter.setPen(QPen(QColor(theme.line), 1, Qt.PenStyle.DashLine))
                painter.drawLine(at[0], at[0] + shift)
                painter.drawLine(at[1], at[1] + shift)
                arrow(painter, at[0] + shift, at[1] + shift, copy, 3)
            for place, point in zip(self.places, at, strict=True):
                if self.moved >= 1 or place.kind == "word":
                    self._paint_place(painter, theme, place, point)

    def _along(self, at: list[QPointF]) -> list[QRectF]:
        """Room that the arrows take, in which no name is written."""
        ends = [(at[0], at[1])] + ([(at[2], at[3])] if len(at) > 3 else [])
        taken = []
        for begin, end in ends:
            by = end - begin
            steps = max(1, int(math.hypot(by.x(), by.y()) / 8))
            taken += [
                QRectF(begin.x() + by.x() * i / steps - 3, begin.y() + by.y() * i / steps - 3, 6, 6)
                for i in range(1, steps)
            ]
        return taken + [QRectF(p.x() - 5, p.y() - 5, 10, 10) for p in at]

    def _paint_place(self, painter: QPainter, theme: Theme, place: Place, at: QPointF) -> None:
        colors = {
            "word": QColor(theme.text), "target": QColor(theme.good), "point": QColor(theme.accent),
            "near": QColor(theme.secondary),
        }  # fmt: skip
        color = colors[place.kind]
        painter.setPen(QPen(color, 2))
        painter.setBrush(color if place.kind in ("word", "target") else QColor(theme.panel))
        size = 5.0 if place.kind in ("word", "target", "point") else 3.5
        if place.kind == "point":
            painter.drawPolygon(
                QPolygonF([at + QPointF(0, -7), at + QPointF(7, 0), at + QPointF(0, 7), at + QPointF(-7, 0)])
            )
        else:
            painter.drawEllipse(at, size, size)
        font = QFont(self.font())
        font.setBold(place.kind in ("word", "target"))
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        wide, high = metrics.horizontalAdvance(place.name) + 2, metrics.height()
        right, left = (10, -high / 2), (-10 - wide, -high / 2)
        sides = (right, left) if at.x() > self.width() / 2 else (left, right)
        for dx, dy in (*sides, (-wide / 2, 9), (-wide / 2, -9 - high), (10, 6), (10, -6 - high)):
            box = QRectF(at.x() + dx, at.y() + dy, wide, high)
            inside = (
                box.left() >= 0
                and box.right() <= self.width()
                and box.top() >= 0
                and box.bottom() <= self.height()
            )
            if inside and not any(box.intersects(other) for other in self._taken):
                self._taken.append(box)
                painter.setPen(color)
                painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, place.name)
                return


class ArrowsView(QWidget):
    """Two differences of words as arrows from one point, in the plane that they span."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.first, self.second = ("", 1.0), ("", 1.0)  # name and length
        self.angle = 0.0  # degrees
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 120)

    def set_arrows(self, first: tuple[str, float], second: tuple[str, float], angle: float) -> None:
        """Show two arrows by their names and lengths, and the angle between them in degrees."""
        self.first, self.second, self.angle = first, second, angle
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.first[0]:
            return
        theme = theme_of(self)
        turn = math.radians(self.angle)
        ends = [(self.first[1], 0.0), (self.second[1] * math.cos(turn), self.second[1] * math.sin(turn))]
        low = min(0.0, *(x for x, _ in ends))
        wide = max(x for x, _ in ends) - low or 1.0
        high = max(y for _, y in ends) or 1e-6
        room = QRectF(self.rect()).adjusted(MARGIN, MARGIN, -MARGIN - 60, -MARGIN)
        scale = min(room.width() / wide, room.height() / high if high > 1e-6 else 1e9)
        root = QPointF(room.left() - low * scale, room.center().y() + high * scale / 2)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            radius = 0.28 * scale * min(self.first[1], self.second[1])
            painter.setPen(QPen(QColor(theme.secondary), 1))
            painter.drawArc(
                QRectF(root.x() - radius, root.y() - radius, 2 * radius, 2 * radius),
                0,
                round(16 * self.angle),
            )
            middle = math.radians(self.angle / 2)
            says = tr("{n:.0f}°", n=self.angle)
            painter.setPen(QColor(theme.text))
            painter.drawText(
                QRectF(root.x() + (radius + 22) * math.cos(middle) - 20,
                       root.y() - (radius + 22) * math.sin(middle) - 10, 40, 20),
                Qt.AlignmentFlag.AlignCenter, says,
            )  # fmt: skip
            for n, ((x, y), (name, _)) in enumerate(zip(ends, (self.first, self.second), strict=True)):
                tip = root + QPointF(x * scale, -y * scale)
                color = QColor(CATEGORIES[0 if n == 0 else 5])
                arrow(painter, root, tip, color, 3, Qt.PenStyle.SolidLine if n == 0 else Qt.PenStyle.DashLine)
                painter.setPen(QColor(theme.text))
                wide = QFontMetricsF(self.font()).horizontalAdvance(name) + 4
                left = min(max(4.0, tip.x() - wide / 2), self.width() - wide - 4)
                top = tip.y() + 8 if n == 0 else tip.y() - 28
                painter.drawText(QRectF(left, top, wide, 20), Qt.AlignmentFlag.AlignCenter, name)


def arrow(
    painter: QPainter, begin: QPointF, end: QPointF, color: QColor, width: float,
    style: Qt.PenStyle = Qt.PenStyle.SolidLine,
) -> None:  # fmt: skip
    """Paint an arrow."""
    painter.setPen(QPen(color, width, style))
    by = end - begin
    length = math.hypot(by.x(), by.y())
    if length < 1:
        return
    x, y = by.x() / length, by.y() / length
    head = min(HEAD + width, length / 2)
    neck = QPointF(end.x() - head * 0.8 * x, end.y() - head * 0.8 * y)
    painter.drawLine(begin, neck)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    left = QPointF(end.x() - head * x - head * 0.45 * y, end.y() - head * y + head * 0.45 * x)
    right = QPointF(end.x() - head * x + head * 0.45 * y, end.y() - head * y - head * 0.45 * x)
    painter.drawPolygon(QPolygonF([end, left, right]))
