"""Guesses on a line: the nearer to the secret word, the farther to the right."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.embeddings.tables import signed
from labapp.theme import theme_of
from labapp.words import tr

LEVEL = 17.0  # px between two rows of names
SIDE = 26.0  # px left and right of the line


class GuessLine(QWidget):
    """Words over a line of cosines; the latest one is marked, the secret stands at 1 once it is known."""

    def __init__(self) -> None:
        super().__init__()
        self._guesses: tuple[tuple[str, float], ...] = ()
        self._latest = ""
        self._secret = ""
        self._best = 1.0  # cosine of the word nearest to the secret
        self.setAccessibleName(tr("Guesses by their cosine with the secret word"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 84)

    def set_guesses(
        self, guesses: Sequence[tuple[str, float]], latest: str, secret: str, best: float
    ) -> None:
        """Show guesses (name, cosine); `secret` is "" while it is one; `best` is the largest cosine to be
        had."""
        self._guesses, self._latest, self._secret, self._best = tuple(guesses), latest, secret, best
        self.setAccessibleDescription("; ".join(f"{name} {signed(value)}" for name, value in guesses[:20]))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(460, 150)

    def _x(self, cosine: float) -> float:
        low = min([-0.1, *(value for _, value in self._guesses)])
        return SIDE + (cosine - low) / (1 - low) * (self.width() - 2 * SIDE)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            base = self.height() - 24.0
            painter.setPen(QPen(QColor(theme.line), 2))
            painter.drawLine(QPointF(self._x(-1), base), QPointF(self.width() - SIDE / 2, base))
            painter.setPen(QColor(theme.secondary))
            for n in range(0, 11, 2):
                x = self._x(n / 10)
                painter.drawText(
                    QRectF(x - 20, base + 5, 40, 16), Qt.AlignmentFlag.AlignCenter, f"{n / 10:.1f}"
                )
            x = self._x(self._best)
            painter.setPen(QPen(QColor(theme.secondary), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, 18), QPointF(x, base))
            painter.drawText(QRectF(x - 120, 0, 114, 18), Qt.AlignmentFlag.AlignRight, tr("nearest word"))
            self._paint_names(painter, base)

    def _paint_names(self, painter: QPainter, base: float) -> None:
        theme, metrics = theme_of(self), QFontMetricsF(painter.font())
        shown = [(self._secret, 1.0)] if self._secret else []
        latest = [one for one in self._guesses if one[0] == self._latest]
        rest = sorted((one for one in self._guesses if one[0] != self._latest), key=lambda one: -one[1])
        ends: dict[int, list[tuple[float, float]]] = {}
        for name, value in shown + latest + rest:
            x, wide = self._x(value), metrics.horizontalAdvance(name) + 8
            left = min(max(2.0, x - wide / 2), self.width() - wide - 2)
            strong = name in (self._latest, self._secret)
            color = QColor(
                theme.good if name == self._secret else theme.accent if strong else theme.secondary
            )
            painter.setPen(QPen(color, 1.5 if strong else 1))
            painter.setBrush(color)
            painter.drawEllipse(QPointF(x, base), 4, 4)
            level = next(
                (n for n in range(int((base - 16) / LEVEL))
                 if all(left > b or left + wide < a for a, b in ends.get(n, []))), None,
            )  # fmt: skip
            if level is None:
                continue
            ends.setdefault(level, []).append((left, left + wide))
            top = base - 12 - (level + 1) * LEVEL
            painter.drawLine(QPointF(x, base - 5), QPointF(x, top + LEVEL))
            painter.setPen(QColor(theme.text) if not strong else color)
            painter.drawText(QRectF(left, top, wide, LEVEL), Qt.AlignmentFlag.AlignCenter, name)
