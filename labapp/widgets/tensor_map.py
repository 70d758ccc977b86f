"""A tensor as a heat map: as many cells as fit, each the number of its tile that lies farthest from zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from labapp.theme import Theme, mix, theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

LEFT, FOOT, BAR = 52.0, 22.0, 88.0  # px of row numbers, column numbers, and the color bar
MOST = 512  # cells a side


def pooled(matrix: npt.NDArray[np.float32], most: int = MOST) -> npt.NDArray[np.float32]:
    """At most `most` cells a side: of each tile the number that lies farthest from zero.

    >>> pooled(np.array([[1, -3, 2], [0, 1, 4]], dtype=np.float32), 2).tolist()
    [[-3.0, 2.0], [1.0, 4.0]]
    """
    for axis in (0, 1):
        size = matrix.shape[axis]
        tile = -(-size // most)
        if tile > 1:
            starts = np.arange(0, size, tile)
            low = np.minimum.reduceat(matrix, starts, axis=axis)
            high = np.maximum.reduceat(matrix, starts, axis=axis)
            matrix = np.where(-low > high, low, high)
    return matrix


class TensorMap(QWidget):
    """Draws a matrix with rows from the top, a color bar around zero, and its numbers under the mouse."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._cells: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._shape = (0, 0)
        self.full = 1.0
        self.title = ""
        self.setAccessibleName(name)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 80)

    def set_matrix(
        self, title: str, cells: npt.NDArray[np.float32], shape: tuple[int, int], full: float
    ) -> None:
        """Show a matrix.

        Args:
            title: Above it.
            cells: From `pooled`.
            shape: Rows and columns of the whole.
            full: The size at which the color is full.
        """
        self.title, self._cells, self._shape, self.full = title, cells, shape, full or 1.0
        rows, columns = shape
        self.setAccessibleDescription(tr("{title}: {rows} rows of {columns}", title=title, rows=rows,
                                         columns=columns))  # fmt: skip
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(480, 260)

    def _box(self) -> QRectF:
        return QRectF(LEFT, 20, max(10.0, self.width() - LEFT - BAR), max(10.0, self.height() - 20 - FOOT))

    def _image(self, theme: Theme, shares: npt.NDArray[Any]) -> QImage:
        below, above = (
            [mix(QColor(color), QColor(theme.panel), i / 127).rgb() for i in range(128)]
            for color in (theme.accent, theme.weight)
        )
        table = np.array(below[::-1] + above, dtype=np.uint32)
        shares = np.clip(np.nan_to_num(shares), -1, 1)
        levels = np.where(shares < 0, 127, 128) + np.round(shares * 127)
        pixels = np.ascontiguousarray(table[levels.astype(np.int64)])
        height, width = pixels.shape
        return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._cells.size:
            return
        theme, box = theme_of(self), self._box()
        with QPainter(self) as painter:
            painter.setPen(QColor(theme.text))
            painter.drawText(QRectF(LEFT, 0, box.width(), 18), Qt.AlignmentFlag.AlignLeft, self.title)
            painter.drawImage(box, self._image(theme, self._cells / self.full))
            painter.setPen(QColor(theme.line))
            painter.drawRect(box)
            painter.setPen(QColor(theme.secondary))
            left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
            below = QRectF(box.left(), box.bottom() + 4, box.width(), 16)
            rows, columns = self._shape
            painter.drawText(QRectF(0, box.top(), LEFT - 6, 16), right, tr("row 0"))
            last = QRectF(0, box.bottom() - 16, LEFT - 6, 16)
            painter.drawText(last, right | Qt.AlignmentFlag.AlignBottom, f"{rows - 1:,}")
            painter.drawText(below, left, tr("column 0"))
            painter.drawText(below, right, f"{columns - 1:,}")
            self._paint_bar(painter, theme, box)

    def _paint_bar(self, painter: QPainter, theme: Theme, box: QRectF) -> None:
        bar = QRectF(box.right() + 10, box.top(), 10, box.height())
        ramp = np.linspace(1, -1, 128)[:, None]
        painter.drawImage(bar, self._image(theme, ramp))
        left = Qt.AlignmentFlag.AlignLeft
        for share, place in ((1.0, Qt.AlignmentFlag.AlignTop), (0.0, Qt.AlignmentFlag.AlignVCenter),
                             (-1.0, Qt.AlignmentFlag.AlignBottom)):  # fmt: skip
            text = f"{share * self.full:.3g}".replace("-", "−")
            painter.drawText(QRectF(bar.right() + 6, bar.top(), BAR - 28, bar.height()), left | place, text)

    def _at(self, point: QPointF) -> tuple[int, int] | None:
        box = self._box()
        if not self._cells.size or not box.contains(point):
            return None
        rows, columns = self._cells.shape
        row = min(rows - 1, int((point.y() - box.top()) / box.height() * rows))
        return row, min(columns - 1, int((point.x() - box.left()) / box.width() * columns))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self._at(event.position())
        if at is None:
            QToolTip.hideText()
            return
        tall, wide = (-(-size // cells) for size, cells in zip(self._shape, self._cells.shape, strict=True))
        row, column = at[0] * tall, at[1] * wide
        value = f"{float(self._cells[at]):.4g}".replace("-", "−")
        where = tr("row {row:,}, column {column:,}", row=row, column=column)
        if tall > 1 or wide > 1:
            where = tr(
                "{where} and on, {tall} × {wide}: farthest from zero", where=where, tall=tall, wide=wide
            )
        QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(f"{where}: {value}"), self)
