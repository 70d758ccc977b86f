"""Whether pins matter: for each pinned head or MLP the change without it, among those of random others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.attention.cause import Compared
from labapp.labs.attention.cells import number
from labapp.labs.attention.pins import MLP
from labapp.theme import Theme, mix, theme_of
from labapp.words import tr

LARGEST_ROW = 44.0  # px
AXIS = 22.0  # px below the rows
NARROWEST = 0.5  # nats: the axis is at least so long in either direction


class MatterView(QWidget):
    """A row for each pin: random others are gray dots in a band, the pin itself is a diamond."""

    row_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.results: tuple[Compared, ...] = ()
        self.at = 0
        self.setAccessibleName(tr("Change without each pin, among random others"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 90)

    def set_results(self, results: Sequence[Compared]) -> None:
        """Show these."""
        self.results = tuple(results)
        self.at = min(self.at, max(0, len(self.results) - 1))
        self.setAccessibleDescription(" ".join(in_words(result) for result in self.results))
        self.update()

    def choose(self, row: int) -> None:
        """Mark a row, without telling."""
        self.at = row
        self.update()

    # Where things are.

    def _row(self) -> float:
        return min(LARGEST_ROW, (self.height() - AXIS) / max(1, len(self.results)))

    def _sides(self) -> tuple[float, float]:
        """Where the axis begins and ends."""
        metrics = QFontMetricsF(self.font())
        return metrics.horizontalAdvance(
            tr("MLP {layer}", layer=100)
        ) + 16, self.width() - metrics.horizontalAdvance("−00.00") - 20

    def _span(self) -> tuple[float, float]:
        values = [x for result in self.results for x in (result.change, *result.randoms) if math.isfinite(x)]
        low, high = min([-NARROWEST, *values]), max([NARROWEST, *values])
        return low - 0.04 * (high - low), high + 0.04 * (high - low)

    def x_of(self, nats: float) -> float:
        """Where a change stands."""
        (left, right), (low, high) = self._sides(), self._span()
        return left + (nats - low) / (high - low) * (right - left)

    def sizeHint(self) -> QSize:
        return QSize(400, 200)

    # Qt.

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.results:
            return
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_axis(painter, theme)
            for i, result in enumerate(self.results):
                self._paint_result(painter, i, result, theme)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(theme.accent), 1))
                painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def _paint_axis(self, painter: QPainter, theme: Theme) -> None:
        low, high = self._span()
        step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 1e9) if (high - low) / s <= 8)
        bottom = self._row() * len(self.results)
        for k in range(math.ceil(low / step), math.floor(high / step) + 1):
            x = self.x_of(k * step)
            painter.setPen(QPen(QColor(theme.secondary if k == 0 else theme.line), 1))
            painter.drawLine(QPointF(x, 0), QPointF(x, bottom + 3))
            painter.setPen(QColor(theme.secondary))
            place = QRectF(x - 40, bottom + 3, 80, AXIS - 3)
            painter.drawText(place, Qt.AlignmentFlag.AlignHCenter, number(k * step))

    def _paint_result(self, painter: QPainter, i: int, result: Compared, theme: Theme) -> None:
        row, y = self._row(), (i + 0.5) * self._row()
        if i == self.at:
            painter.fillRect(QRectF(0, i * row + 1, self.width(), row - 2), QColor(theme.accent_back))
        font = self.font()
        font.setBold(i == self.at)
        painter.setFont(font)
        painter.setPen(QColor(theme.text))
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        name = named(result.heads) if len(result.heads) == 1 else tr("all {n}", n=len(result.heads))
        painter.drawText(QRectF(8, i * row, 80, row), left, name)
        low, high = self.x_of(result.band[0]), self.x_of(result.band[1])
        band = QRectF(low - 4, y - row * 0.22, high - low + 8, row * 0.44)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(mix(QColor(theme.secondary), QColor(theme.panel), 0.22))
        painter.drawRoundedRect(band, 3, 3)
        painter.setBrush(QColor(theme.secondary))
        for change in result.randoms:
            painter.drawEllipse(QPointF(self.x_of(change), y), 2.0, 2.0)
        x, size = self.x_of(result.change), min(8.0, row * 0.32)
        diamond = QPolygonF(
            [QPointF(x, y - size), QPointF(x + size, y), QPointF(x, y + size), QPointF(x - size, y)]
        )
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.setBrush(QColor(theme.accent if result.outside else theme.panel))
        painter.drawPolygon(diamond)
        painter.setPen(QColor(theme.text))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, i * row, self.width() - 6, row), right, number(result.change))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._choose(int(event.position().y() // max(1.0, self._row())))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
        else:
            self._choose(self.at + by)

    def _choose(self, row: int) -> None:
        if 0 <= row < len(self.results):
            self.choose(row)
            self.row_chosen.emit(row)


def named(heads: Sequence[tuple[int, int]]) -> str:
    """Heads and MLPs as they are written: layer and head, or the layer.

    >>> named([(13, 8), (2, 0), (5, MLP)])
    '13.8 2.0 MLP 5'
    """
    return " ".join(
        tr("MLP {layer}", layer=layer) if head == MLP else f"{layer}.{head}" for layer, head in heads
    )


def in_words(result: Compared) -> str:
    """A result in a sentence."""
    verdict = (
        tr("outside their band, so it matters here")
        if result.outside
        else tr("within their band, so nothing shows that it matters here")
    )
    return tr(
        "Without {heads} the log-probability changes by {change} nats; {others} change it by {low} to "
        "{high}: {verdict}.",
        heads=named(result.heads), others=others_of(result), change=number(result.change),
        low=number(result.band[0]), high=number(result.band[1]), verdict=verdict,
    )  # fmt: skip


def others_of(result: Compared) -> str:
    """What a result is compared with."""
    kinds = {head == MLP for _, head in result.heads}
    if kinds == {True}:
        return tr("{n} random sets of as many other MLPs", n=result.sets)
    if kinds == {False}:
        return tr("as many random heads of the same layers")
    return tr("as many random heads of the same layers and other MLPs")
