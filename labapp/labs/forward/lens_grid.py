"""Layers × positions: in each cell the token that the model would say there, colored by its probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QAbstractScrollArea, QMenu, QToolTip

from labapp.theme import mix, mono_font, theme_of
from labapp.widgets.export import add_picture_actions
from labapp.widgets.prose import plain_tooltip
from labapp.widgets.weights import ink
from labapp.words import tr

CELL = 74  # px, width of a cell at the usual text size
ROW = 18  # px, its height at least
TALL = 26  # px, at most
LAYERS = 76  # px for the names of the layers
HEAD = 20  # px for the tokens above

Cell = tuple[int, int]
"""Layer and position."""

KEYS = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (1, 0), Qt.Key.Key_Down: (-1, 0)
}  # fmt: skip


class LensGrid(QAbstractScrollArea):
    """The last layer stands on top. A click or the arrow keys choose a cell."""

    cell_chosen = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self.chosen: Cell = (0, 0)
        self._names: dict[int, list[str]] = {}  # by layer
        self._shares: dict[int, npt.NDArray[np.float32]] = {}
        self._layers = 0
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("What each layer would say at each token"))
        self.viewport().setMouseTracking(True)
        self.setMinimumHeight(140)

    def begin(self, tokens: list[str], layers: int) -> None:
        """Show another text; its rows come one by one, 0 to `layers`."""
        self.tokens, self._layers = tokens, layers
        self._names, self._shares = {}, {}
        self.chosen = (layers, max(0, len(tokens) - 1))
        self._measure()
        self.horizontalScrollBar().setValue(self.horizontalScrollBar().maximum())
        self.verticalScrollBar().setValue(0)

    def set_row(self, layer: int, names: list[str], shares: npt.NDArray[np.float32]) -> None:
        """One layer: what it says at every position, and how probable that is there."""
        self._names[layer], self._shares[layer] = names, shares
        self.viewport().update()

    @property
    def complete(self) -> bool:
        """Whether all rows are there."""
        return bool(self.tokens) and len(self._names) == self._layers + 1

    def choose(self, layer: int, position: int) -> None:
        """Mark a cell and bring it into view, without telling."""
        self.chosen = (layer, position)
        box = self._rect(self.chosen)
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        if box.left() < LAYERS:
            across.setValue(across.value() - int(LAYERS - box.left()))
        elif box.right() > self.viewport().width():
            across.setValue(across.value() + int(box.right() - self.viewport().width()) + 1)
        if box.top() < HEAD:
            down.setValue(down.value() - int(HEAD - box.top()))
        elif box.bottom() > self.viewport().height():
            down.setValue(down.value() + int(box.bottom() - self.viewport().height()) + 1)
        self.setAccessibleDescription(self.says(self.chosen))
        self.viewport().update()

    def name_of(self, cell: Cell) -> str:
        """The token that a cell says."""
        return self._names[cell[0]][cell[1]]

    def says(self, cell: Cell) -> str:
        """A cell in words."""
        layer, position = cell
        names = self._names.get(layer)
        if names is None or position >= len(names):
            return ""
        return tr(
            "After “{token}”, {where}: “{says}” with {share:.1f} %",
            token=self.tokens[position],
            where=tr("before the first block") if layer == 0 else tr("after block {n}", n=layer - 1),
            says=names[position], share=100 * float(self._shares[layer][position]),
        )  # fmt: skip

    # Where things are.

    def _scale(self) -> float:
        return self.font().pixelSize() / 13

    def _size(self) -> tuple[float, float]:
        room = (self.viewport().height() - HEAD) / max(1, self._layers + 1)
        wide = (self.viewport().width() - LAYERS) / max(1, len(self.tokens))
        scale = self._scale()
        return max(CELL * scale, min(wide, 1.6 * CELL * scale)), max(ROW * scale, min(TALL * scale, room))

    def _measure(self) -> None:
        width, height = self._size()
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        across.setRange(0, max(0, int(LAYERS + width * len(self.tokens) - self.viewport().width())))
        across.setPageStep(max(1, self.viewport().width() - LAYERS))
        across.setSingleStep(int(width))
        down.setRange(0, max(0, int(HEAD + height * (self._layers + 1) - self.viewport().height())))
        down.setPageStep(max(1, self.viewport().height() - HEAD))
        down.setSingleStep(int(height))
        self.viewport().update()

    def _rect(self, cell: Cell) -> QRectF:
        width, height = self._size()
        x = LAYERS + cell[1] * width - self.horizontalScrollBar().value()
        y = HEAD + (self._layers - cell[0]) * height - self.verticalScrollBar().value()
        return QRectF(x, y, width - 2, height - 2)

    def cell_at(self, point: QPointF) -> Cell | None:
        """The cell under a point."""
        width, height = self._size()
        if point.x() < LAYERS or point.y() < HEAD:
            return None
        position = int((point.x() - LAYERS + self.horizontalScrollBar().value()) // width)
        layer = self._layers - int((point.y() - HEAD + self.verticalScrollBar().value()) // height)
        inside = 0 <= position < len(self.tokens) and 0 <= layer <= self._layers
        return (layer, position) if inside else None

    def sizeHint(self) -> QSize:
        return QSize(520, 460)

    # Qt.

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self.viewport()) as painter:
            painter.fillRect(self.viewport().rect(), QColor(theme.panel))
            font, small = mono_font(self, 11 / (13 * 1.15)), QFont(self.font())
            small.setPixelSize(max(11, small.pixelSize() - 2))
            width, _ = self._size()
            first = max(0, int(self.horizontalScrollBar().value() // width))
            last = min(len(self.tokens), first + int(self.viewport().width() // width) + 2)
            metrics = QFontMetricsF(font)
            painter.setClipRect(QRectF(LAYERS, HEAD, self.viewport().width(), self.viewport().height()))
            painter.setFont(font)
            for layer in range(self._layers + 1):
                box = self._rect((layer, 0))
                if layer not in self._names or box.bottom() < HEAD or box.top() > self.viewport().height():
                    continue
                for position in range(first, last):
                    self._paint_cell(painter, (layer, position), metrics)
            painter.setClipRect(QRectF(LAYERS, 0, self.viewport().width(), HEAD))
            painter.setPen(QColor(theme.text))
            for position in range(first, last):
                box = self._rect((0, position))
                name = metrics.elidedText(self.tokens[position], Qt.TextElideMode.ElideRight, box.width() - 4)
                where = QRectF(box.left(), 0, box.width(), HEAD - 2)
                painter.drawText(where, Qt.AlignmentFlag.AlignCenter, name)
            painter.setClipRect(QRectF(0, HEAD, LAYERS, self.viewport().height()))
            painter.setFont(small)
            painter.setPen(QColor(theme.secondary))
            for layer in range(self._layers + 1):
                box = self._rect((layer, 0))
                text = tr("embedding") if layer == 0 else tr("block {n}", n=layer - 1)
                where = QRectF(0, box.top(), LAYERS - 10, box.height())
                painter.drawText(where, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_cell(self, painter: QPainter, cell: Cell, metrics: QFontMetricsF) -> None:
        theme, box = theme_of(self), self._rect(cell)
        share = float(self._shares[cell[0]][cell[1]])
        painter.fillRect(box, mix(QColor(theme.weight), QColor(theme.panel), min(1.0, max(0.0, share))))
        painter.setPen(ink(share, theme))
        name = metrics.elidedText(self._names[cell[0]][cell[1]], Qt.TextElideMode.ElideRight, box.width() - 6)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)
        if cell == self.chosen:
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.drawRect(box.adjusted(1, 1, -1, -1))

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._measure()
        return super().viewportEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if cell is not None:
            self._take(cell)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if cell is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(self.says(cell)), self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = KEYS.get(Qt.Key(event.key()))
        if step is None or not self.tokens:
            super().keyPressEvent(event)
            return
        layer = min(max(self.chosen[0] + step[0], 0), self._layers)
        self._take((layer, min(max(self.chosen[1] + step[1], 0), len(self.tokens) - 1)))

    def _take(self, cell: Cell) -> None:
        self.choose(*cell)
        self.cell_chosen.emit(*cell)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns = [tr("Layer"), *self.tokens]
        add_picture_actions(menu, self.viewport(), tr("Logit lens"), rows=self.as_table, columns=columns)
        menu.popup(event.globalPos())

    def as_table(self) -> list[tuple[str, ...]]:
        """All rows from the top, as text."""
        rows = []
        for layer in sorted(self._names, reverse=True):
            cells = zip(self._names[layer], self._shares[layer], strict=True)
            rows.append((str(layer), *(f"{name} {share:.3f}" for name, share in cells)))
        return rows
