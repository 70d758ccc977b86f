"""Two vectors as arrows with the angle between them, and the sum of their products growing term by term."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.embeddings.analogy_view import arrow
from labapp.labs.embeddings.tables import signed
from labapp.theme import CATEGORIES, theme_of
from labapp.words import tr

Numbers = npt.NDArray[np.float32]


class AngleView(QWidget):
    """Arrows of two lengths at their angle, and the shadow of one on the other."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._names = ("", "")
        self._lengths = (1.0, 1.0)
        self._degrees = 0.0
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(140, 64)

    def set_vectors(self, names: tuple[str, str], lengths: tuple[float, float], degrees: float) -> None:
        """Show two vectors by their names, lengths, and the angle between them."""
        self._names, self._lengths, self._degrees = names, lengths, degrees
        self.setAccessibleDescription(
            tr("{a}, length {x:.3g}, and {b}, length {y:.3g}, at {n:.0f} degrees", a=names[0], x=lengths[0],
               b=names[1], y=lengths[1], n=degrees)
        )  # fmt: skip
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(220, 150)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._names[0]:
            return
        theme, turn = theme_of(self), math.radians(self._degrees)
        a, b = self._lengths
        x, y = a * math.cos(turn), a * math.sin(turn)
        low, wide = min(0.0, x), max(b, x) - min(0.0, x) or 1.0
        pad = 26.0
        scale = min((self.width() - 3 * pad) / wide, (self.height() - 2 * pad) / max(y, 1e-9))
        root = QPointF(1.5 * pad - low * scale, self.height() / 2 + y * scale / 2)
        tip_a, tip_b = root + QPointF(x * scale, -y * scale), root + QPointF(b * scale, 0)
        foot = QPointF(tip_a.x(), root.y())
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theme.secondary), 1, Qt.PenStyle.DashLine))
            painter.drawLine(tip_a, foot)
            painter.setPen(QPen(QColor(theme.weight), 5))
            painter.drawLine(root + QPointF(0, 4), foot + QPointF(0, 4))
            arrow(painter, root, tip_b, QColor(CATEGORIES[5]), 2.5)
            arrow(painter, root, tip_a, QColor(CATEGORIES[0]), 2.5)
            radius = min(34.0, 0.4 * scale * min(a, b))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.secondary), 1))
            box = QRectF(root.x() - radius, root.y() - radius, 2 * radius, 2 * radius)
            painter.drawArc(box, 0, round(16 * self._degrees))
            painter.setPen(QColor(theme.text))
            metrics = QFontMetricsF(painter.font())
            for name, tip, up in ((self._names[0], tip_a, True), (self._names[1], tip_b, False)):
                room = metrics.horizontalAdvance(name) + 4
                left = min(max(2.0, tip.x() - room / 2), self.width() - room - 2)
                top = tip.y() - 22 if up else tip.y() + 8
                painter.drawText(QRectF(left, top, room, 18), Qt.AlignmentFlag.AlignCenter, name)
            half = math.radians(self._degrees / 2)
            says = tr("{n:.0f}°", n=self._degrees)
            at = root + QPointF((radius + 18) * math.cos(half), -(radius + 18) * math.sin(half))
            painter.drawText(QRectF(at.x() - 20, at.y() - 9, 40, 18), Qt.AlignmentFlag.AlignCenter, says)


class RunningSum(QWidget):
    """The sum of the products from the first to each: where it ends is the dot product."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._sums: Numbers = np.zeros(0, dtype=np.float32)
        self._at = -1
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(26)

    def set_sums(self, sums: Numbers) -> None:
        """Show sums, shape (W,)."""
        self._sums = sums
        if len(sums):
            self.setAccessibleDescription(tr("It ends at {total}", total=signed(float(sums[-1]), 3)))
        self.update()

    def point(self, at: int) -> None:
        """Mark a term."""
        self._at = at
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, 70)

    def paintEvent(self, event: QPaintEvent) -> None:
        n, theme = len(self._sums), theme_of(self)
        if not n:
            return
        low, high = min(0.0, float(self._sums.min())), max(0.0, float(self._sums.max()))
        room = self.height() - 8
        ends = signed(float(self._sums[-1]), 3)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            metrics = QFontMetricsF(painter.font())
            wide = self.width() - 2 - metrics.horizontalAdvance(ends) - 10

            def y_of(value: float) -> float:
                return 4 + (high - value) / (high - low or 1.0) * room

            painter.setPen(QPen(QColor(theme.line), 1))
            painter.drawLine(QPointF(1, y_of(0)), QPointF(1 + wide, y_of(0)))
            line = QPolygonF(
                [QPointF(1 + i / max(1, n - 1) * wide, y_of(v)) for i, v in enumerate(self._sums.tolist())]
            )
            painter.setPen(QPen(QColor(theme.weight), 2))
            painter.drawPolyline(line)
            end = line.at(n - 1)
            painter.setBrush(QColor(theme.weight))
            painter.drawEllipse(end, 3, 3)
            painter.setPen(QColor(theme.text))
            top = min(max(0.0, end.y() - 9), self.height() - 18.0)
            painter.drawText(QRectF(end.x() + 6, top, 90, 18), Qt.AlignmentFlag.AlignVCenter, ends)
            if 0 <= self._at < n:
                painter.setPen(QPen(QColor(theme.accent), 1))
                x = line.at(self._at).x()
                painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
