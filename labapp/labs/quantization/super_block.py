"""A super-block of a K type: 256 weights in small blocks with scales of few bits, and its bytes in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import CATEGORIES, Theme, mix, mono_font, theme_of
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.by_hand import SmallScales, TakenApart

COLORS = {"d": 3, "dmin": 5, "scales": 1, "qs": 0, "ql": 0, "qh": 4, "hmask": 4}
TALLEST = 20.0  # px of a row of bytes


class SmallBlocks(QWidget):
    """The small blocks side by side: weights as dots, what they become as dashes, the scale of each above."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._block: TakenApart | None = None
        self._scales: SmallScales | None = None
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 110)

    def set_block(self, block: TakenApart, scales: SmallScales) -> None:
        """Show a super-block."""
        self._block, self._scales = block, scales
        self.setAccessibleDescription(
            tr("{n} small blocks; their scales are {scales}", n=len(scales.scales),
               scales=", ".join(map(str, scales.scales)))
        )  # fmt: skip
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 220)

    def paintEvent(self, event: QPaintEvent) -> None:
        block, scales = self._block, self._scales
        if block is None or scales is None:
            return
        theme, count = theme_of(self), len(scales.scales)
        weights, back = block.weights.tolist(), block.back.tolist()
        full = max(map(abs, weights)) * 1.08 or 1.0
        head = 36.0 if scales.minima else 20.0
        wide, size = self.width() / count, len(weights) // count
        middle, half = head + (self.height() - head) / 2, (self.height() - head) / 2 - 3
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            font = painter.font()
            font.setPixelSize(11)
            painter.setFont(font)
            for j in range(count):
                if j % 2 == 0:
                    painter.fillRect(QRectF(j * wide, 0, wide, self.height()), QColor(theme.window))
                self._head(painter, theme, scales, j, wide)
                for i in range(size):
                    x = j * wide + 3 + (i + 0.5) / size * (wide - 6)
                    n = j * size + i
                    y, to = (middle - half * value / full for value in (weights[n], back[n]))
                    painter.setPen(QPen(mix(QColor(theme.weight), QColor(theme.panel), 0.5), 1))
                    painter.drawLine(QPointF(x, y), QPointF(x, to))
                    painter.setPen(QPen(QColor(CATEGORIES[0]), 2))
                    painter.drawLine(QPointF(x - 2, to), QPointF(x + 2, to))
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.setBrush(QColor(theme.weight))
                    painter.drawEllipse(QPointF(x, y), 1.8, 1.8)
            painter.setPen(QPen(QColor(theme.secondary), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(0, middle), QPointF(self.width(), middle))

    def _head(self, painter: QPainter, theme: Theme, scales: SmallScales, j: int, wide: float) -> None:
        painter.setPen(QColor(theme.text))
        short = len(scales.scales) > 8
        text = f"{scales.scales[j]}" if short else tr("scale {n}", n=scales.scales[j])
        painter.drawText(QRectF(j * wide, 2, wide, 16), Qt.AlignmentFlag.AlignCenter, text.replace("-", "−"))
        if scales.minima:
            low = f"{scales.minima[j]}" if short else tr("min {n}", n=scales.minima[j])
            painter.setPen(QColor(theme.secondary))
            painter.drawText(QRectF(j * wide, 18, wide, 16), Qt.AlignmentFlag.AlignCenter, low)


class BlockBytes(QWidget):
    """The bytes of a block in their order, colored by what they hold."""

    COLUMNS = 24

    def __init__(self, name: str) -> None:
        super().__init__()
        self._block: TakenApart | None = None
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 110)

    def set_block(self, block: TakenApart) -> None:
        """Show the bytes of a block."""
        self._block = block
        self.setMaximumHeight(round(TALLEST) * -(-len(block.raw) // self.COLUMNS))
        self.setAccessibleDescription(
            "; ".join(f"{p.name}: {p.end - p.begin} B, {p.about}" for p in block.parts)
        )
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 150)

    def paintEvent(self, event: QPaintEvent) -> None:
        block = self._block
        if block is None:
            return
        theme, raw = theme_of(self), block.raw.tolist()
        rows = -(-len(raw) // self.COLUMNS)
        wide, high = self.width() / self.COLUMNS, min(TALLEST, self.height() / rows)
        with QPainter(self) as painter:
            font = mono_font(self)
            font.setPixelSize(max(11, min(12, int(high - 3))))
            painter.setFont(font)
            for part in block.parts:
                color = mix(QColor(CATEGORIES[COLORS.get(part.name, 0)]), QColor(theme.panel), 0.36)
                for at in range(part.begin, part.end):
                    box = QRectF(at % self.COLUMNS * wide, at // self.COLUMNS * high, wide - 1, high - 1)
                    painter.fillRect(box, color)
                    painter.setPen(QColor(theme.text))
                    if high >= 13:
                        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"{raw[at]:02x}")
