"""What each recipe of a model takes in memory, as stacked bars against what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.quantization.page import size_text
from labapp.theme import CATEGORIES, Theme, mix, theme_of
from labapp.words import tr

GIB = 1 << 30
TALLEST = 60.0  # px of a row
LEGEND = 24.0  # px
HEAD = 20.0  # px for the capacity's name
COLORS = (0, 1, 2, 3)
PARTS = ("weights", "cache", "computing", "driver")


@dataclass(frozen=True)
class NeedBar:
    """One recipe: its parts in GiB, the verdict's word, and whether it is the chosen one."""

    name: str
    parts: tuple[float, ...]
    word: str
    chosen: bool


class NeedBars(QWidget):
    """Draws a bar for each recipe, and lines for what the desktop leaves and for all that there is."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._bars: tuple[NeedBar, ...] = ()
        self._left = self._capacity = 1.0
        self._hidden = False
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 180)

    def set_bars(self, bars: Sequence[NeedBar], left: float, capacity: float, hidden: bool) -> None:
        """Show bars against GiB that are left and that there are; `hidden` keeps the bars back."""
        self._bars, self._left, self._capacity, self._hidden = tuple(bars), left, capacity, hidden
        said = "; ".join(f"{b.name}: {sum(b.parts):.2f} GiB, {b.word}" for b in bars)
        self.setAccessibleDescription("" if hidden else said)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 340)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._bars:
            return
        theme = theme_of(self)
        metrics = self.fontMetrics()
        names = max(metrics.horizontalAdvance(bar.name) for bar in self._bars) + 14.0
        words = metrics.horizontalAdvance("00.00 GiB, tight") + 14.0
        most = self._capacity if self._hidden else max(self._capacity, *(sum(b.parts) for b in self._bars))
        each = (self.width() - names - words) / (1.02 * most)
        high = min(TALLEST, (self.height() - HEAD - LEGEND) / len(self._bars))
        foot = HEAD + high * len(self._bars)
        with QPainter(self) as painter:
            left, end = names + self._left * each, names + self._capacity * each
            painter.fillRect(QRectF(left, HEAD, end - left, foot - HEAD), mix(
                QColor(theme.warning), QColor(theme.panel), 0.18))  # fmt: skip
            for i, bar in enumerate(self._bars):
                self._paint_bar(painter, theme, bar, QRectF(names, HEAD + i * high, each, high))
            painter.setPen(QPen(QColor(theme.text), 2))
            painter.drawLine(QPointF(end, HEAD), QPointF(end, foot))
            painter.setPen(QColor(theme.secondary))
            text = tr("there are {n:.2f} GiB", n=self._capacity)
            wide = metrics.horizontalAdvance(text) + 4
            place = min(max(0.0, end - wide), self.width() - wide)
            painter.drawText(QRectF(place, 0, wide, HEAD), Qt.AlignmentFlag.AlignRight, text)
            self._paint_legend(painter, theme, names, foot)

    def _paint_bar(self, painter: QPainter, theme: Theme, bar: NeedBar, row: QRectF) -> None:
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        font = painter.font()
        font.setBold(bar.chosen)
        painter.setFont(font)
        painter.setPen(QColor(theme.accent if bar.chosen else theme.text))
        painter.drawText(QRectF(0, row.top(), row.left() - 10, row.height()), side, bar.name)
        font.setBold(False)
        painter.setFont(font)
        if self._hidden:
            return
        x = row.left()
        for n, part in enumerate(bar.parts):
            color = mix(QColor(CATEGORIES[COLORS[n]]), QColor(theme.panel), 0.9 if bar.chosen else 0.55)
            painter.fillRect(QRectF(x, row.top() + 4, part * row.width(), row.height() - 8), color)
            x += part * row.width()
        painter.setPen(QColor(theme.text))
        text = tr("{size}, {word}", size=size_text(sum(bar.parts) * GIB), word=tr(bar.word))
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        wide = self.fontMetrics().horizontalAdvance(text) + 8.0
        box = QRectF(x + 7, row.top(), wide, row.height())
        end = row.left() + self._capacity * row.width()
        if box.left() < end + 4 and box.right() > end - 2 and end + 6 + wide < self.width():
            box.moveLeft(max(box.left(), end + 6))  # not across the line of what there is
        painter.drawText(box, left, text)

    def _paint_legend(self, painter: QPainter, theme: Theme, x: float, top: float) -> None:
        side = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        colors = [*(mix(QColor(CATEGORIES[c]), QColor(theme.panel), 0.9) for c in COLORS)]
        colors.append(mix(QColor(theme.warning), QColor(theme.panel), 0.18))
        for color, name in zip(colors, (*PARTS, "for the desktop"), strict=True):
            painter.fillRect(QRectF(x, top + 7, 12, 12), color)
            text = tr(name)
            wide = self.fontMetrics().horizontalAdvance(text)
            painter.setPen(QColor(theme.text))
            painter.drawText(QRectF(x + 17, top, wide + 4, LEGEND + 2), side, text)
            x += wide + 32
