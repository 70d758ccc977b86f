"""The numbers of one tensor as a picture: rows of cells around zero, each with its number under the mouse."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QImage, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolTip, QWidget

from labapp.theme import Theme, mix, theme_of
from labapp.widgets.export import add_picture_actions
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

NAMES = 70  # px beside the rows
PERCENTILE = 99  # of the sizes: where the color is full


class ValuesView(QWidget):
    """A matrix; a single long row is folded into several."""

    def __init__(self) -> None:
        super().__init__()
        self._matrix: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._names: list[str] = []
        self._marked = -1
        self._folded = False
        self.full = 1.0
        self.setAccessibleName(tr("The numbers"))
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_matrix(
        self, matrix: npt.NDArray[np.float32], names: Sequence[str] = (), marked: int = -1
    ) -> None:
        """Show numbers, rows × columns; `names` are the rows', `marked` is outlined."""
        self._folded = matrix.shape[0] == 1 and matrix.shape[1] > 64
        if self._folded:
            wide = max(8, math.ceil(math.sqrt(matrix.shape[1] * 1.5)))
            padded = np.full(math.ceil(matrix.shape[1] / wide) * wide, np.nan, dtype=np.float32)
            padded[: matrix.shape[1]] = matrix[0]
            matrix = padded.reshape(-1, wide)
        self._matrix, self._names, self._marked = matrix, list(names), marked
        sizes = np.abs(matrix[np.isfinite(matrix)])
        self.full = float(np.percentile(sizes, PERCENTILE)) if sizes.size else 1.0
        self.full = self.full or 1.0
        self.setAccessibleDescription(
            tr("{rows} rows of {columns}", rows=matrix.shape[0], columns=matrix.shape[1])
        )
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, 180)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 60)

    def _box(self) -> QRectF:
        left = NAMES if self._names and not self._folded else 0
        rows = max(1, self._matrix.shape[0])
        return QRectF(left, 0, self.width() - left, min(self.height(), rows * 22.0))

    def _image(self, theme: Theme) -> QImage:
        shares = np.nan_to_num(np.clip(self._matrix / self.full, -1, 1), nan=0.0, posinf=0.0, neginf=0.0)
        below, above = (
            [mix(QColor(color), QColor(theme.panel), i / 127).rgb() for i in range(128)]
            for color in (theme.accent, theme.weight)
        )
        table = np.array(below[::-1] + above, dtype=np.uint32)
        levels = np.where(shares < 0, 127 + np.round(shares * 127), 128 + np.round(shares * 127)).astype(
            np.int64
        )
        pixels = np.ascontiguousarray(table[levels])
        pixels[~np.isfinite(self._matrix)] = QColor(theme.line).rgb()
        height, width = pixels.shape
        return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._matrix.size:
            return
        theme, box = theme_of(self), self._box()
        with QPainter(self) as painter:
            painter.drawImage(box, self._image(theme))
            rows = self._matrix.shape[0]
            height = box.height() / rows
            if self._names and not self._folded:
                font = self.font()
                font.setPixelSize(11)
                painter.setFont(font)
                step = max(1, math.ceil(13 / height))
                metrics = painter.fontMetrics()
                for row in range(0, rows, step):
                    painter.setPen(QColor(theme.text if row == self._marked else theme.secondary))
                    name = metrics.elidedText(self._names[row], Qt.TextElideMode.ElideRight, NAMES - 8)
                    where = QRectF(0, row * height, NAMES - 6, max(height, 13.0))
                    painter.drawText(where, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, name)
            painter.setPen(QColor(theme.line))
            painter.drawRect(box.adjusted(0, 0, -1, -1))
            if 0 <= self._marked < rows and not self._folded:
                painter.setPen(QColor(theme.accent))
                painter.drawRect(QRectF(box.left(), self._marked * height, box.width() - 1, height - 1))

    def _at(self, point: QPointF) -> tuple[int, int] | None:
        box = self._box()
        if not self._matrix.size or not box.contains(point):
            return None
        rows, columns = self._matrix.shape
        row = min(rows - 1, int(point.y() / box.height() * rows))
        return row, min(columns - 1, int((point.x() - box.left()) / box.width() * columns))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self._at(event.position())
        if at is None:
            QToolTip.hideText()
            return
        row, column = at
        value = float(self._matrix[row, column])
        if self._folded:
            says = tr("number {n:,}: {value:.4g}", n=row * self._matrix.shape[1] + column, value=value)
        else:
            name = self._names[row] if row < len(self._names) else str(row)
            says = tr("{row}, number {n:,}: {value:.4g}", row=name, n=column, value=value)
        QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(says), self)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_picture_actions(menu, self, tr("Numbers"), csv=self.as_csv)
        menu.popup(event.globalPos())

    def as_csv(self) -> str:
        """The numbers, a line for each row."""
        return "".join(",".join(f"{value:.6g}" for value in row) + "\n" for row in self._matrix.tolist())


class Dials(QWidget):
    """RoPE as rotation: pairs of numbers before (pale) and after (full) they are turned."""

    MOST = 6

    def __init__(self) -> None:
        super().__init__()
        self._before: npt.NDArray[np.float32] = np.zeros((0, 2), dtype=np.float32)
        self._after = self._before
        self._angles: npt.NDArray[np.float64] = np.zeros(0)
        self._which: list[int] = []
        self.setAccessibleName(tr("Pairs of numbers, turned"))
        self.setFixedHeight(64)

    def set_pairs(
        self, before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], angles: npt.NDArray[np.float64]
    ) -> None:
        """Show pairs, (d/2, 2) each, and the angles between them in radians, (d/2,)."""
        self._before, self._after, self._angles = before, after, angles
        count = min(self.MOST, len(before))
        self._which = [round(i * (len(before) - 1) / max(1, count - 1)) for i in range(count)]
        self.setAccessibleDescription(
            "; ".join(f"{i}: {math.degrees(float(angles[i])):.1f}°" for i in self._which)
        )
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            font = self.font()
            font.setPixelSize(11)
            painter.setFont(font)
            room = self.width() / max(1, len(self._which))
            radius = min(room / 2 - 4, 22.0)
            for place, i in enumerate(self._which):
                middle = QPointF(room * (place + 0.5), radius + 2)
                painter.setPen(QColor(theme.line))
                painter.drawEllipse(middle, radius, radius)
                for pair, color in ((self._before[i], theme.secondary), (self._after[i], theme.accent)):
                    length = float(np.hypot(*pair)) or 1.0
                    tip = middle + QPointF(float(pair[0]), -float(pair[1])) * (radius / length)
                    painter.setPen(QColor(color))
                    painter.drawLine(middle, tip)
                    painter.setBrush(QColor(color))
                    painter.drawEllipse(tip, 2, 2)
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QColor(theme.secondary))
                degrees = math.degrees(float(self._angles[i]))
                text = f"{degrees:,.0f}°" if degrees >= 10 or degrees == 0 else f"{degrees:.2g}°"
                where = QRectF(room * place, 2 * radius + 4, room, 16)
                painter.drawText(where, Qt.AlignmentFlag.AlignCenter, text)
