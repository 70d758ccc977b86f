"""Figures with their 95 % intervals, one below the other on one axis; an undefined one says why instead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import theme_of
from labapp.words import tr

ROW = 34  # px at most
AXIS = 22  # px of the numbers below
POINT = 4.5  # px, radius
LABEL_SHARE = 0.34  # of the width is for titles


@dataclass(frozen=True)
class IntervalRow:
    """A figure.

    Attributes:
        title: What it is.
        value: The figure, or None where it is undefined.
        low: Lower end, or None.
        high: Upper end, or None.
        why: Why it is undefined, or "".
    """

    title: str
    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """The figure with its interval, as it is written.

        >>> IntervalRow("W", -0.5, -0.75, -0.25).text, IntervalRow("W", None, why="nobody").text
        ('−0.50 (−0.75 to −0.25)', 'undefined: nobody')
        """
        if self.value is None:
            return tr("undefined: {why}", why=self.why) if self.why else tr("undefined")
        text = f"{self.value:.2f}"
        if self.low is not None and self.high is not None:
            text = tr("{value} ({low:.2f} to {high:.2f})", value=text, low=self.low, high=self.high)
        return text.replace("-", "−")


class IntervalRows(QWidget):
    """Draws the rows on an axis that holds all of them.

    Args:
        name: What is shown.
        axis: Ends that the axis has at least.
        unit: What the axis counts.
    """

    def __init__(self, name: str, axis: tuple[float, float], unit: str) -> None:
        super().__init__()
        self.rows: tuple[IntervalRow, ...] = ()
        self._name, self._axis, self._unit = name, axis, unit
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_rows(self, rows: Sequence[IntervalRow]) -> None:
        """Show other rows."""
        self.rows = tuple(rows)
        said = "; ".join(f"{row.title}: {row.text}" for row in rows)
        self.setAccessibleName(f"{self._name}. {said}"[:2000])
        self.updateGeometry()
        self.update()

    def minimumSizeHint(self) -> QSize:
        return QSize(220, 60)

    def sizeHint(self) -> QSize:
        return QSize(480, ROW * max(1, len(self.rows)) + AXIS)

    def _ends(self) -> tuple[float, float]:
        every = [end for row in self.rows for end in (row.value, row.low, row.high) if end is not None]
        low, high = min([self._axis[0], *every]), max([self._axis[1], *every])
        return math.floor(low * 2) / 2, math.ceil(high * 2) / 2

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        low, high = self._ends()
        left = self.width() * LABEL_SHARE
        field = QRectF(left, 2, self.width() - left - 16, self.height() - AXIS - 2)
        height = min(float(ROW), field.height() / max(1, len(self.rows)))

        def x(value: float) -> float:
            return field.left() + (value - low) / (high - low) * field.width()

        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_axis(painter, field, low, high, height * len(self.rows))
            for n, row in enumerate(self.rows):
                box = QRectF(0, field.top() + n * height, left - 12, height)
                middle = box.center().y()
                painter.setPen(QColor(theme.text))
                title = painter.fontMetrics().elidedText(
                    row.title, Qt.TextElideMode.ElideMiddle, int(box.width())
                )
                side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(box, side, title)
                if row.value is None:
                    painter.setPen(QColor(theme.secondary))
                    rest = QRectF(field.left() + 4, box.top(), field.width() - 4, height)
                    text = painter.fontMetrics().elidedText(
                        row.text, Qt.TextElideMode.ElideRight, int(rest.width())
                    )
                    painter.drawText(rest, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
                    continue
                if row.low is not None and row.high is not None:
                    painter.setPen(QPen(QColor(theme.accent), 2))
                    painter.drawLine(QPointF(x(row.low), middle), QPointF(x(row.high), middle))
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(theme.accent))
                painter.drawEllipse(QPointF(x(row.value), middle), POINT, POINT)

    def _paint_axis(self, painter: QPainter, field: QRectF, low: float, high: float, height: float) -> None:
        theme = theme_of(self)
        small = painter.font()
        small.setPixelSize(max(11, round(small.pixelSize() * 0.9)))
        painter.save()
        painter.setFont(small)
        for value in ticks(low, high):
            at = field.left() + (value - low) / (high - low) * field.width()
            painter.setPen(QPen(QColor(theme.line if value else theme.secondary), 1))
            painter.drawLine(QPointF(at, field.top()), QPointF(at, field.top() + height))
            painter.setPen(QColor(theme.secondary))
            text = f"{value:g}".replace("-", "−")
            box = QRectF(at - 40, field.top() + height + 2, 80, AXIS)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, text)
        painter.setPen(QColor(theme.secondary))
        box = QRectF(0, field.top() + height + 2, field.left() - 28, AXIS)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, self._unit)
        painter.restore()


def ticks(low: float, high: float) -> list[float]:
    """Round numbers on an axis, at most seven.

    >>> ticks(-1, 1), ticks(-1.5, 2.0)
    ([-1.0, -0.5, 0.0, 0.5, 1.0], [-1.0, 0.0, 1.0, 2.0])
    """
    step = next((s for s in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if (high - low) / s <= 6), high - low)
    if step == 0.5 and high - low > 2.5:
        step = 1.0
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
