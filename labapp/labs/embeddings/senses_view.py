"""Occurrences of one word at a layer, and the way of each through the layers before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
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
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from labapp.theme import CATEGORIES, mix, theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

Paths = npt.NDArray[np.float32]
SIDE = 34.0  # px around the points
NEAR = 12.0  # px within which a point is found
KEYS = {Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1}


class SensesView(QWidget):
    """A point for each sentence, in the color and shape of its sense; paths lead from layer 0 to the one in
    view.

    Attributes:
        at: The sentence that is chosen.
    """

    chosen = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.at = -1
        self._paths: Paths = np.zeros((0, 0, 2), dtype=np.float32)  # (layers, sentences, 2)
        self._senses: tuple[int, ...] = ()
        self._names: tuple[str, ...] = ()
        self._texts: tuple[str, ...] = ()
        self._all = False
        self.setAccessibleName(name)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 120)

    def set_paths(
        self, paths: Paths, senses: Sequence[int], names: Sequence[str], texts: Sequence[str], all_paths: bool
    ) -> None:
        """Show occurrences.

        Args:
            paths: Where each was after each layer up to the one in view, shape (layers, n, 2).
            senses: Which sense each has.
            names: Of the senses.
            texts: The sentences.
            all_paths: Show the way of all, not of the chosen one alone.
        """
        self._paths, self._senses = paths, tuple(senses)
        self._names, self._texts, self._all = tuple(names), tuple(texts), all_paths
        self.at = min(self.at, len(self._texts) - 1)
        self.setAccessibleDescription(
            tr("{n} sentences, senses: {names}", n=len(texts), names=", ".join(names))
        )
        self.update()

    def choose(self, at: int) -> None:
        """Mark a sentence, without telling."""
        self.at = at
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(460, 320)

    def _on_screen(self) -> Paths:
        """Where everything is drawn, in pixels; scaled so that the last layer, and shown paths, fill the
        room."""
        last = self._paths[-1:]
        seen = self._paths if self._all else last
        low, high = seen.reshape(-1, 2).min(0), seen.reshape(-1, 2).max(0)
        span = np.maximum(high - low, 1e-9)
        scale = min((self.width() - 2 * SIDE) / span[0], (self.height() - 2 * SIDE - 16) / span[1])
        middle = (low + high) / 2
        made: Paths = ((self._paths - middle) * scale).astype(np.float32)
        made[..., 1] *= -1
        made += np.array([self.width() / 2, (self.height() + 16) / 2], dtype=np.float32)
        return made

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            if self._paths.size:
                self._paint(painter)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(theme.accent), 1))
                painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def _paint(self, painter: QPainter) -> None:
        theme, where = theme_of(self), self._on_screen()
        x = 4.0
        metrics = QFontMetricsF(painter.font())
        for sense, name in enumerate(self._names):
            self._paint_mark(painter, QPointF(x + 7, 10), sense, False)
            painter.setPen(QColor(theme.text))
            wide = metrics.horizontalAdvance(name)
            painter.drawText(QRectF(x + 18, 0, wide + 4, 20), Qt.AlignmentFlag.AlignVCenter, name)
            x += wide + 40
        for n, sense in enumerate(self._senses):
            if self._all or n == self.at:
                line = QPolygonF([QPointF(float(a), float(b)) for a, b in where[:, n]])
                color = mix(self._color(sense), QColor(theme.panel), 1.0 if n == self.at else 0.35)
                painter.setPen(QPen(color, 2 if n == self.at else 1))
                painter.drawPolyline(line)
                if n == self.at and len(where) > 1:
                    painter.setPen(QColor(theme.secondary))
                    painter.drawText(line.at(0) + QPointF(6, -4), tr("layer 0"))
        for n, sense in enumerate(self._senses):
            self._paint_mark(painter, QPointF(*map(float, where[-1, n])), sense, n == self.at)

    def _color(self, sense: int) -> QColor:
        return QColor(CATEGORIES[(0, 5, 2, 3)[sense % 4]])

    def _paint_mark(self, painter: QPainter, at: QPointF, sense: int, strong: bool) -> None:
        theme = theme_of(self)
        painter.setPen(QPen(QColor(theme.accent if strong else theme.panel), 2 if strong else 1))
        painter.setBrush(self._color(sense))
        size = 7.0 if strong else 5.0
        if sense % 2 == 0:
            painter.drawEllipse(at, size, size)
        else:
            painter.drawRect(QRectF(at.x() - size, at.y() - size, 2 * size, 2 * size))

    def sentence_at(self, position: QPointF) -> int | None:
        """The sentence under the mouse."""
        if not self._paths.size:
            return None
        far = np.abs(self._on_screen()[-1] - np.array([position.x(), position.y()], np.float32)).sum(1)
        return int(far.argmin()) if far.min() <= NEAR else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = self.sentence_at(event.position())
        if found is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(self._texts[found]), self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self.sentence_at(event.position())
        if found is not None:
            self._choose(found)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = KEYS.get(Qt.Key(event.key()))
        if by is None or not self._texts:
            super().keyPressEvent(event)
        else:
            self._choose((self.at + by) % len(self._texts))

    def _choose(self, at: int) -> None:
        self.choose(at)
        self.chosen.emit(at)
