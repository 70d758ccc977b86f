"""Pictures of a matrix times a vector, and of one dot product, number by number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.interpret.shrink import shrink
from labapp.labs.attention.cells import number
from labapp.labs.attention.signed import signed_color, signed_image
from labapp.theme import theme_of
from labapp.words import tr

Numbers = npt.NDArray[np.float32]
STRIP = 12.0  # px of a vector's breadth
GAP = 5.0  # px between a vector and the matrix
FINEST = 600  # numbers of a matrix that are painted in either direction; a cell is the largest in it
STEPS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1}


class _Choice(QWidget):
    """A picture in which one of some numbers is chosen, by mouse or arrows."""

    chosen = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.at = 0
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(100, 60)

    def count(self) -> int:
        """Among how many numbers one can choose."""
        raise NotImplementedError

    def index_at(self, point: QPointF) -> int | None:
        """The number under a point."""
        raise NotImplementedError

    def choose(self, index: int) -> None:
        """Choose a number, and tell."""
        if self.count():
            self.at = min(max(index, 0), self.count() - 1)
            self.update()
            self.chosen.emit(self.at)

    def sizeHint(self) -> QSize:
        return QSize(240, 160)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.index_at(event.position())
        if index is not None:
            self.choose(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = STEPS.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
        else:
            self.choose(self.at + by)

    def paint_focus(self, painter: QPainter) -> None:
        """The ring that says where the keyboard is."""
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme_of(self).accent), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)


class MatrixProduct(_Choice):
    """A vector over a matrix, and beside each row what the row makes of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.vector: Numbers = np.zeros(0, dtype=np.float32)
        self.matrix: Numbers = np.zeros((0, 0), dtype=np.float32)
        self.result: Numbers = np.zeros(0, dtype=np.float32)
        self.block: tuple[int, int] | None = None  # columns that are framed
        self._image: tuple[str, QImage] | None = None  # of the matrix, and in which theme

    def set_numbers(
        self, vector: Numbers, matrix: Numbers, result: Numbers, block: tuple[int, int] | None = None
    ) -> None:
        """Show `result` = `matrix` · `vector`; shapes (m,), (m, n), (n,)."""
        self.vector, self.matrix, self.result, self.block = vector, shrink(matrix, FINEST), result, block
        self._image = None
        self.choose(int(np.abs(result).argmax()))

    def count(self) -> int:
        return len(self.result)

    def _box(self) -> QRectF:
        return QRectF(
            3,
            STRIP + GAP + 3,
            max(10.0, self.width() - STRIP - GAP - 6),
            max(10.0, self.height() - STRIP - GAP - 6),
        )

    def index_at(self, point: QPointF) -> int | None:
        box = self._box()
        share = (point.y() - box.top()) / box.height()
        return int(share * self.count()) if 0 <= share < 1 and self.count() else None

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, box = theme_of(self), self._box()
        with QPainter(self) as painter:
            if self.count():
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
                if self._image is None or self._image[0] != theme.name:
                    self._image = (theme.name, signed_image(self.matrix, theme))
                painter.drawImage(box, self._image[1])
                above = QRectF(box.left(), 3, box.width(), STRIP)
                painter.drawImage(above, signed_image(self.vector, theme))
                beside = QRectF(box.right() + GAP, box.top(), STRIP, box.height())
                painter.drawImage(beside, signed_image(self.result[:, None], theme))
                painter.setPen(QPen(QColor(theme.line), 1))
                for part in (box, above, beside):
                    painter.drawRect(part)
                painter.setPen(QPen(QColor(theme.accent), 1.5))
                if self.block is not None:
                    one = box.width() / len(self.vector)
                    left, right = self.block
                    painter.drawRect(
                        QRectF(box.left() + left * one, 1.5, (right - left) * one, box.bottom() - 1.5)
                    )
                row = box.height() / self.count()
                y, high = box.top() + self.at * row, max(row, 3.0)
                painter.drawRect(QRectF(box.left() - 1.5, y, box.width() + GAP + STRIP + 3, high))
            self.paint_focus(painter)


class TermBars(_Choice):
    """Two vectors over each other, and below each pair of numbers its product as a bar."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.first: Numbers = np.zeros(0, dtype=np.float32)
        self.second: Numbers = np.zeros(0, dtype=np.float32)

    def set_numbers(self, first: Numbers, second: Numbers) -> None:
        """Show the products of two vectors, each shape (d,)."""
        self.first, self.second = first, second
        self.choose(int(np.abs(first * second).argmax()))

    @property
    def terms(self) -> Numbers:
        """The products, shape (d,)."""
        made: Numbers = self.first * self.second
        return made

    def count(self) -> int:
        return len(self.first)

    def _left(self) -> float:
        return 26.0

    def index_at(self, point: QPointF) -> int | None:
        share = (point.x() - self._left()) / max(1.0, self.width() - self._left() - 6)
        return int(share * self.count()) if 0 <= share < 1 and self.count() else None

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, left = theme_of(self), self._left()
        if not self.count():
            return
        with QPainter(self) as painter:
            width = self.width() - left - 6
            one = width / self.count()
            painter.setPen(QColor(theme.text))
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            strip = min(22.0, self.height() / 8)
            for i, (name, vector) in enumerate((("q", self.first), ("k", self.second))):
                box = QRectF(left, 4 + i * (strip + 4), width, strip)
                painter.drawText(QRectF(0, box.top(), left - 8, strip), right, name)
                painter.drawImage(box, signed_image(vector, theme))
            self._paint_bars(
                painter, QRectF(left, 2 * strip + 16, width, self.height() - 2 * strip - 22), one
            )
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.accent), 1.5))
            painter.drawRect(QRectF(left + self.at * one, 3, max(one, 3), self.height() - 6))
            self.paint_focus(painter)

    def _paint_bars(self, painter: QPainter, box: QRectF, one: float) -> None:
        theme, terms = theme_of(self), self.terms
        high, low = max(0.0, float(terms.max())), min(0.0, float(terms.min()))
        scale = box.height() / ((high - low) or 1.0)
        zero = box.top() + high * scale
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(theme.secondary))
        painter.drawText(QRectF(0, zero - 10, self._left() - 8, 20), right, "0")
        for i, term in enumerate(terms.tolist()):
            y = zero - max(term, 0.0) * scale
            bar = QRectF(box.left() + i * one + 0.5, y, max(1.0, one - 1), max(1.0, abs(term) * scale))
            painter.fillRect(bar, signed_color(1.0 if term > 0 else -1.0, theme))
        painter.setPen(QPen(QColor(theme.secondary), 1))
        painter.drawLine(QPointF(box.left(), zero), QPointF(box.right(), zero))

    def caption(self) -> str:
        """The chosen term, and the sum."""
        if not self.count():
            return ""
        a, b = float(self.first[self.at]), float(self.second[self.at])
        return tr(
            "number {i}: {a} × {b} = {c};  all {n} add up to q · k = {total}",
            i=self.at + 1, a=number(a), b=number(b), c=number(a * b), n=self.count(),
            total=number(float(self.terms.sum())),
        )  # fmt: skip
