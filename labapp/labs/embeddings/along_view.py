"""Words along one direction: the examples of both ends, and the words that lie farthest at either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.embeddings.tables import signed
from labapp.theme import CATEGORIES, theme_of
from labapp.words import tr

LEVEL = 17.0  # px between two rows of names
SIDE = 14.0  # px left and right


@dataclass(frozen=True)
class Along:
    """A word on the line.

    Attributes:
        name: As it is written.
        value: Where it lies.
        kind: 1 an example for, −1 one against, 0 any other word.
    """

    name: str
    value: float
    kind: int = 0


class AlongView(QWidget):
    """Words over a line; examples in color, with a square (for) or a circle (against)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.words: tuple[Along, ...] = ()
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 96)

    def set_words(self, words: Sequence[Along]) -> None:
        """Show words; those that come first get their place first."""
        self.words = tuple(words)
        self.setAccessibleDescription("; ".join(f"{word.name} {signed(word.value)}" for word in words[:30]))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(460, 180)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.words:
            return
        theme = theme_of(self)
        low, high = min(word.value for word in self.words), max(word.value for word in self.words)
        span = high - low or 1.0
        base = self.height() - 22.0

        def x_of(value: float) -> float:
            return SIDE + 30 + (value - low) / span * (self.width() - 2 * SIDE - 60)

        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theme.line), 2))
            painter.drawLine(QPointF(SIDE, base), QPointF(self.width() - SIDE, base))
            painter.setPen(QColor(theme.secondary))
            if low < 0 < high:
                painter.drawText(QRectF(x_of(0) - 20, base + 5, 40, 16), Qt.AlignmentFlag.AlignCenter, "0")
            left = Qt.AlignmentFlag.AlignLeft
            painter.drawText(QRectF(SIDE, base + 5, 120, 16), left, tr("against"))
            painter.drawText(
                QRectF(self.width() - SIDE - 120, base + 5, 120, 16), Qt.AlignmentFlag.AlignRight, tr("for")
            )
            ends: dict[int, list[tuple[float, float]]] = {}
            for word in self.words:
                self._paint_word(painter, word, x_of(word.value), base, ends)

    def _paint_word(
        self,
        painter: QPainter,
        word: Along,
        x: float,
        base: float,
        ends: dict[int, list[tuple[float, float]]],
    ) -> None:
        theme = theme_of(self)
        colors = {1: QColor(CATEGORIES[0]), -1: QColor(CATEGORIES[5]), 0: QColor(theme.secondary)}
        font = QFont(self.font())
        font.setBold(word.kind != 0)
        painter.setFont(font)
        wide = QFontMetricsF(font).horizontalAdvance(word.name) + 8
        left = min(max(2.0, x - wide / 2), self.width() - wide - 2)
        painter.setPen(QPen(colors[word.kind], 1))
        painter.setBrush(colors[word.kind])
        if word.kind == 1:
            painter.drawRect(QRectF(x - 3.5, base - 3.5, 7, 7))
        else:
            painter.drawEllipse(QPointF(x, base), 3.5 if word.kind else 2.0, 3.5 if word.kind else 2.0)
        for level in range(int((base - 12) / LEVEL)):
            if all(left > b or left + wide < a for a, b in ends.get(level, [])):
                ends.setdefault(level, []).append((left, left + wide))
                top = base - 10 - (level + 1) * LEVEL
                painter.drawLine(QPointF(x, base - 4), QPointF(x, top + LEVEL))
                painter.setPen(QColor(theme.text))
                painter.drawText(QRectF(left, top, wide, LEVEL), Qt.AlignmentFlag.AlignCenter, word.name)
                return
