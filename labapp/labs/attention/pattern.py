"""The pattern of one head: who looks (rows) at whom (columns), as a matrix or as arcs between two columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QToolTip, QWidget

from labapp.labs.attention.grid import STEPS
from labapp.labs.attention.signed import signed_color, signed_image
from labapp.theme import theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.widgets.weights import ink, ramp, weights_image
from labapp.words import tr

NAMES_AT_MOST = 96  # px for a token's name beside the matrix
LARGEST_CELL = 40  # px
NUMBERS_FROM = 27  # px of a cell in which its weight is written
NAMES_FROM = 11  # px of a cell beside which its token is written
FAINT = 0.095  # a weight below is not written
ARCS_AT_MOST = 64  # tokens
THINNEST = 0.02  # a weight below gets no arc


class PatternView(QWidget):
    """A matrix or arcs; a click or the arrow keys choose a pair."""

    pair_chosen = Signal(int, int)  # row, column

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self.weights: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.chosen: tuple[int, int] | None = None
        self.arcs = False
        self.signed = False  # a difference of weights, from −1 to 1
        self._hidden = False
        self._over: tuple[int, int] | None = None
        self.setAccessibleName(tr("Attention pattern"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(200, 140)

    # What is shown.

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """The tokens' names; the pattern is empty until it comes."""
        self.tokens = list(tokens)
        self.weights = np.zeros((0, 0), dtype=np.float32)
        self.chosen = self._over = None
        self.update()

    def set_weights(self, weights: npt.NDArray[np.float32]) -> None:
        """Shape (n, n); fewer cells than tokens where the text is long."""
        self.weights = weights
        self.setAccessibleDescription(self.in_words())
        self.update()

    def show_arcs(self, arcs: bool) -> None:
        """Arcs between two columns of tokens instead of the matrix."""
        self.arcs = arcs
        self.update()

    def hide_weights(self, hidden: bool) -> None:
        """A question must not be answered by the picture."""
        self._hidden = hidden
        self.update()

    def choose(self, row: int, column: int) -> None:
        """Mark a pair, without telling."""
        self.chosen = (row, column)
        self.update()

    def in_words(self) -> str:
        """The strongest looks in a sentence."""
        if not self.exact or self._hidden:
            return ""
        rows, columns = np.unravel_index(np.argsort(self.weights, axis=None)[::-1][:40], self.weights.shape)
        strong = [
            tr("“{a}” at “{b}” {w:.2f}", a=self.tokens[i], b=self.tokens[j], w=float(self.weights[i, j]))
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
            if i != j and j != 0
        ][:4]
        return tr("Strongest looks: {looks}.", looks=", ".join(strong)) if strong else ""

    @property
    def exact(self) -> bool:
        """Whether each cell is one pair of tokens."""
        return len(self.weights) == len(self.tokens) > 0

    # Where things are.

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(max(11, self.font().pixelSize() - 1))
        return font

    def _margins(self) -> tuple[float, float]:
        """Room for names at the left and above."""
        metrics = QFontMetricsF(self._font())
        longest = max((metrics.horizontalAdvance(token) for token in self.tokens), default=0.0)
        names = min(NAMES_AT_MOST, longest) + 10
        return names, min(NAMES_AT_MOST, longest) * 0.72 + 18

    def _named(self) -> bool:
        """Whether there is room for the tokens' names."""
        left, top = self._margins()
        return len(self.tokens) * NAMES_FROM <= min(self.width() - left - 22, self.height() - top - 6)

    def _matrix(self) -> QRectF:
        left, top = (
            self._margins() if self._named() else (12.0, 12.0)
        )  # without names the picture takes the room
        side = min(self.width() - left - 22, self.height() - top - 6, LARGEST_CELL * max(1, len(self.tokens)))
        return QRectF(left, top, max(side, 20.0), max(side, 20.0))

    def pair_at(self, point: QPointF) -> tuple[int, int] | None:
        """Row and column of the tokens under a point."""
        if not self.tokens:
            return None
        if self.arcs:
            token = self._token_beside(point)
            return None if token is None else (token, self.chosen[1] if self.chosen else 0)
        box, n = self._matrix(), len(self.tokens)
        column, row = (point.x() - box.left()) / box.width(), (point.y() - box.top()) / box.height()
        return (int(row * n), int(column * n)) if 0 <= row < 1 and 0 <= column < 1 else None

    def sizeHint(self) -> QSize:
        return QSize(480, 480)

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(self._font())
            if not self.tokens:
                return
            if self.arcs:
                self._paint_arcs(painter)
            else:
                self._paint_matrix(painter)

    def _paint_matrix(self, painter: QPainter) -> None:
        theme, box, n = theme_of(self), self._matrix(), len(self.tokens)
        cell = box.width() / n
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, cell < 1)
        if len(self.weights) and not self._hidden:
            image = (
                signed_image(self.weights, theme, 1.0)
                if self.signed
                else weights_image(self.weights, ramp(theme))
            )
            painter.drawImage(box, image)
        painter.setPen(QPen(QColor(theme.line), 1))
        if cell >= 6:
            for i in range(n + 1):
                painter.drawLine(
                    QPointF(box.left() + i * cell, box.top()), QPointF(box.left() + i * cell, box.bottom())
                )
                painter.drawLine(
                    QPointF(box.left(), box.top() + i * cell), QPointF(box.right(), box.top() + i * cell)
                )
        else:
            painter.drawRect(box)
        if self._named():
            self._paint_names(painter, box, cell)
        if cell >= NUMBERS_FROM and self.exact and not self._hidden:
            self._paint_numbers(painter, box, cell)
        if self.chosen is not None:
            row, column = self.chosen
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            size = max(cell, 5.0)
            painter.drawRect(QRectF(box.left() + column * cell, box.top() + row * cell, size, size))

    def _paint_names(self, painter: QPainter, box: QRectF, cell: float) -> None:
        theme, metrics = theme_of(self), QFontMetricsF(painter.font())
        marked = self._over or self.chosen or (-1, -1)
        plain, bold = QFont(painter.font()), QFont(painter.font())
        bold.setBold(True)
        for i, token in enumerate(self.tokens):
            name = metrics.elidedText(token, Qt.TextElideMode.ElideRight, NAMES_AT_MOST)
            painter.setPen(QColor(theme.text))
            painter.setFont(bold if i == marked[0] else plain)
            painter.drawText(
                QRectF(0, box.top() + i * cell, box.left() - 8, cell),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                name,
            )
            painter.setFont(bold if i == marked[1] else plain)
            painter.save()
            painter.translate(box.left() + (i + 0.5) * cell, box.top() - 6)
            painter.rotate(-45)
            painter.drawText(QPointF(0, metrics.ascent() / 3), name)
            painter.restore()
        painter.setFont(plain)

    def _paint_numbers(self, painter: QPainter, box: QRectF, cell: float) -> None:
        theme = theme_of(self)
        for row, column in np.argwhere(np.abs(self.weights) >= FAINT).tolist():
            weight = float(self.weights[row, column])
            painter.setPen(ink(weight, theme))
            text = f"{weight:.2f}"
            if self.signed:
                back = signed_color(weight, theme)
                painter.setPen(QColor("#101318" if back.lightnessF() > 0.46 else "#ffffff"))
                text = f"{100 * weight:+.0f}".replace("-", "−")
            place = QRectF(box.left() + column * cell, box.top() + row * cell, cell, cell)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)

    # Arcs.

    def _columns(self) -> tuple[float, float, float]:
        """Where the two columns of tokens begin and end, and the height of a row."""
        half = self.width() / 2
        return half - 90, half + 90, min(26.0, (self.height() - 8) / max(1, len(self.tokens)))

    def _token_beside(self, point: QPointF) -> int | None:
        _, _, row = self._columns()
        token = int((point.y() - 4) // row)
        return token if 0 <= token < len(self.tokens) else None

    def _paint_arcs(self, painter: QPainter) -> None:
        theme, n = theme_of(self), len(self.tokens)
        if n > ARCS_AT_MOST:
            painter.setPen(QColor(theme.secondary))
            said = tr("Arcs are drawn for up to {n} tokens; this text has {m:,}.", n=ARCS_AT_MOST, m=n)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, said)
            return
        left, right, height = self._columns()
        metrics = QFontMetricsF(painter.font())
        only = self._over[0] if self._over else None
        color = QColor(theme.weight)
        if self.exact and not self._hidden:
            for row, column in np.argwhere(self.weights >= THINNEST).tolist():
                if only is not None and row != only:
                    continue
                weight = float(self.weights[row, column])
                color.setAlphaF(weight)
                painter.setPen(QPen(color, 1 + 3 * weight))
                start, end = 4 + (row + 0.5) * height, 4 + (column + 0.5) * height
                path = QPainterPath(QPointF(left, start))
                path.cubicTo(
                    QPointF((left + right) / 2, start), QPointF((left + right) / 2, end), QPointF(right, end)
                )
                painter.drawPath(path)
        marked = self.chosen[0] if only is None and self.chosen else only
        for i, token in enumerate(self.tokens):
            name = metrics.elidedText(token, Qt.TextElideMode.ElideRight, 150)
            font = painter.font()
            font.setBold(i == marked)
            painter.setFont(font)
            painter.setPen(QColor(theme.text))
            y = 4 + i * height
            end = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, y, left - 8, height), end, name)
            font.setBold(False)
            painter.setFont(font)
            begin = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(right + 8, y, self.width() - right - 8, height), begin, name)

    # Mouse and keys.

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self.pair_at(event.position())
        if over != self._over:
            self._over = over
            self.update()
        if over is None or self._hidden or self.arcs or not len(self.weights):
            QToolTip.hideText()
            return
        row, column = over
        a, b = self.tokens[row], self.tokens[column]
        n, cells = len(self.tokens), len(self.weights)
        weight = float(self.weights[row * cells // n, column * cells // n])
        said = tr("“{a}” looks at “{b}” with {w:.3f}", a=a, b=b, w=weight)
        if self.signed:
            said = tr("“{a}” at “{b}”: {w:+.3f}", a=a, b=b, w=weight)
        if not self.exact:
            said = tr("near “{a}” and “{b}” up to {w:.3f}", a=a, b=b, w=weight)
        QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(said), self)

    def leaveEvent(self, event: object) -> None:
        self._over = None
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        pair = self.pair_at(event.position())
        if pair is not None:
            self._choose(pair)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or not self.tokens:
            super().keyPressEvent(event)
            return
        row, column = self.chosen or (len(self.tokens) - 1, 0)
        last = len(self.tokens) - 1
        self._choose((min(max(row + step[0], 0), last), min(max(column + step[1], 0), last)))

    def _choose(self, pair: tuple[int, int]) -> None:
        self.choose(*pair)
        self.pair_chosen.emit(*pair)
