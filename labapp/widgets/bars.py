"""Labeled horizontal bars: one value each, the number written at the end of its bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import CATEGORIES, theme_of


@dataclass(frozen=True)
class Bar:
    """One bar: what it is of, how long it is, and the number as it is written."""

    name: str
    value: float
    text: str
    strong: bool = False


class Bars(QWidget):
    """Draws bars from zero; rows grow and shrink with the height."""

    ROW = 24  # px, at most

    def __init__(self, name: str) -> None:
        super().__init__()
        self.bars: list[Bar] = []
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these bars."""
        self.bars = list(bars)
        self.setAccessibleDescription("; ".join(f"{bar.name}: {bar.text}" for bar in bars))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, self.ROW * max(1, len(self.bars)))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 16 * max(1, len(self.bars)))

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.bars:
            return
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            row = min(self.ROW * self.font().pixelSize() / 13, self.height() / len(self.bars))
            font = self.font()
            font.setPixelSize(max(11, min(font.pixelSize(), int(row * 0.7))))
            painter.setFont(font)
            metrics = QFontMetricsF(font)
            names = max(metrics.horizontalAdvance(bar.name) for bar in self.bars) + 12
            texts = max(metrics.horizontalAdvance(bar.text) for bar in self.bars) + 12
            room = max(20.0, self.width() - names - texts)
            longest = max((bar.value for bar in self.bars), default=0) or 1
            for i, bar in enumerate(self.bars):
                y = i * row
                painter.setPen(QColor(theme.text))
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRectF(0, y, names - 10, row), right, bar.name)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(theme.accent if bar.strong else CATEGORIES[2]))
                length = max(1.0, room * bar.value / longest)
                painter.drawRect(QRectF(names, y + row * 0.18, length, row * 0.64))
                painter.setPen(QColor(theme.text))
                painter.drawText(
                    QRectF(names + length + 6, y, texts, row),
                    Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
                    bar.text,
                )
