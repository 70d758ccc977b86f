"""All heads at once: a cell for each, with its pattern made small, or its weight for one pair of tokens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from labapp.theme import theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.widgets.weights import ramp, weights_image
from labapp.words import tr

Head = tuple[int, int]
NUMBERS = 30  # px for the numbers of the layers
GAP = 2  # px between cells
STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class HeadGrid(QWidget):
    """Layers from the top, heads from the left. Click or arrows choose; the tooltip names."""

    head_chosen = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.heads = 0, 0
        self.chosen: Head = (0, 0)
        self._thumbnails: dict[int, npt.NDArray[np.float32]] = {}
        self._pair: npt.NDArray[np.float32] | None = None
        self._labels: dict[Head, str] = {}
        self._faded: set[Head] = set()
        self._pins: tuple[Head, ...] = ()
        self.setAccessibleName(tr("All heads"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    # What is shown.

    def set_shape(self, layers: int, heads: int) -> None:
        """Begin anew for a model."""
        self.layers, self.heads = layers, heads
        self._thumbnails.clear()
        self._labels.clear()
        self._faded.clear()
        self._pair = None
        self.chosen = (min(self.chosen[0], max(0, layers - 1)), min(self.chosen[1], max(0, heads - 1)))
        self.updateGeometry()
        self.update()

    def set_thumbnails(self, layer: int, thumbnails: npt.NDArray[np.float32]) -> None:
        """The small patterns of one layer, shape (H, n, n)."""
        self._thumbnails[layer] = thumbnails
        self.update()

    def set_pair(self, weights: npt.NDArray[np.float32] | None) -> None:
        """Show each head's weight for one pair, shape (layers, H); None shows patterns again."""
        self._pair = weights
        self.update()

    def set_labels(self, labels: dict[Head, str], faded: set[Head]) -> None:
        """What heads are called, and which are not asked for."""
        self._labels, self._faded = labels, faded
        self.update()

    def set_pins(self, pins: tuple[Head, ...]) -> None:
        """Mark pinned heads by a dot."""
        self._pins = pins
        self.update()

    def choose(self, layer: int, head: int) -> None:
        """Mark a head, without telling."""
        self.chosen = (layer, head)
        self.setAccessibleDescription(self._named(self.chosen))
        self.update()

    # Where things are.

    def _cell(self) -> tuple[float, float]:
        """Width and height of a cell, gap included; large models have small cells, never none."""
        height = max(3.0, min(26.0, (self.height() - 18) / max(1, self.layers)))
        return max(3.0, min(26.0, max(height, 12.0), (self.width() - NUMBERS) / max(1, self.heads))), height

    def _rect(self, layer: int, head: int) -> QRectF:
        width, height = self._cell()
        return QRectF(NUMBERS + head * width, 16 + layer * height, width - GAP, height - GAP)

    def head_at(self, point: QPointF) -> Head | None:
        """The head under a point."""
        width, height = self._cell()
        head, layer = int((point.x() - NUMBERS) // width), int((point.y() - 16) // height)
        return (layer, head) if 0 <= layer < self.layers and 0 <= head < self.heads else None

    def sizeHint(self) -> QSize:
        return QSize(round(NUMBERS + 14 * max(4, min(self.heads, 32)) + 4), 300)

    def minimumSizeHint(self) -> QSize:
        return QSize(NUMBERS + 9 * max(4, min(self.heads, 32)), 120)

    def _named(self, at: Head) -> str:
        name = tr("Layer {layer}, head {head}", layer=at[0], head=at[1])
        if self._pair is not None:
            name += tr(": {weight:.2f}", weight=float(self._pair[at]))
        name = tr("{name}, pinned", name=name) if at in self._pins else name
        return f"{name} · {self._labels[at]}" if at in self._labels else name

    # Qt.

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        colors = ramp(theme)
        with QPainter(self) as painter:
            font = self.font()
            font.setPixelSize(max(11, font.pixelSize() - 2))
            painter.setFont(font)
            painter.setPen(QColor(theme.secondary))
            width, height = self._cell()
            step = max(1, int(np.ceil(QFontMetricsF(font).height() / height)))
            step = next((s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if s >= step), step)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            for layer in range(0, self.layers, step):
                box = QRectF(0, self._rect(layer, 0).center().y() - 10, NUMBERS - 8, 20)
                painter.drawText(box, right, str(layer))
            every = max(1, int(np.ceil(QFontMetricsF(font).horizontalAdvance("00 ") / width)))
            for head in range(0, self.heads, every):
                box = QRectF(self._rect(0, head).center().x() - 12, 0, 24, 14)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(head))
            for layer in range(self.layers):
                for head in range(self.heads):
                    self._paint_cell(painter, layer, head, colors)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for at in self._pins:
                painter.setPen(QPen(QColor(theme.panel), 1))
                painter.setBrush(QColor(theme.accent))
                painter.drawEllipse(self._rect(*at).topRight(), 3.5, 3.5)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            if self.layers:
                painter.setPen(QPen(QColor(theme.accent), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(self._rect(*self.chosen).adjusted(-1, -1, 1, 1))

    def _paint_cell(self, painter: QPainter, layer: int, head: int, colors: npt.NDArray[np.uint32]) -> None:
        theme, rect = theme_of(self), self._rect(layer, head)
        painter.setOpacity(0.18 if (layer, head) in self._faded else 1.0)
        if self._pair is not None:
            level = int(np.clip(np.nan_to_num(self._pair[layer, head]), 0, 1) * 255)
            painter.fillRect(rect, QColor.fromRgb(int(colors[level])))
        elif layer in self._thumbnails:
            painter.drawImage(rect, weights_image(self._thumbnails[layer][head], colors))
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(rect)
        painter.setOpacity(1.0)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self.head_at(event.position())
        if at is not None:
            self._choose(at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self.head_at(event.position())
        if at is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(self._named(at)), self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or not self.layers:
            super().keyPressEvent(event)
            return
        layer = min(max(self.chosen[0] + step[0], 0), self.layers - 1)
        head = min(max(self.chosen[1] + step[1], 0), self.heads - 1)
        self._choose((layer, head))

    def _choose(self, at: Head) -> None:
        self.choose(*at)
        self.head_chosen.emit(*at)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
