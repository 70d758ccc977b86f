"""The pass as a picture: on the left from tokens to probabilities, on the right the inside of one block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from core.model.anatomy import Part
from labapp.theme import CATEGORIES, Theme, mix, mono_font, theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

KINDS = ("stream", "attention", "mlp", "edge")
TALLEST = 30.0  # px of a row
BETWEEN = 4.0  # px between two boxes
HALVES = 17.0  # px for the names of a block's halves
SPINE = 22.0  # px for the residual stream beside the boxes of a block


def kind_of(part: str) -> str:
    """Which color a part has.

    >>> [kind_of(name) for name in ("blocks.2.attn.q", "blocks.2.mlp_out", "blocks.2.resid_mid", "logits")]
    ['attention', 'mlp', 'stream', 'edge']
    """
    name = part.split(".", 2)[-1] if part.startswith("blocks.") else part
    if name.startswith("resid"):
        return "stream"
    if name.startswith(("attn", "ln1")):
        return "attention"
    return "mlp" if name.startswith(("mlp", "ln2")) else "edge"


def shape_of(part: Part) -> str:
    """A part's shape, as it is written: 5 × 576."""
    return " × ".join(f"{size:,}" for size in part.shape)


class FlowPicture(QWidget):
    """Boxes that can be chosen by mouse and arrow keys; a block on the left opens on the right."""

    part_chosen = Signal(str)
    block_chosen = Signal(int)
    touched = Signal()  # by mouse or key, before anything is chosen

    def __init__(self, tip: Callable[[Part], str]) -> None:
        super().__init__()
        self._tip = tip
        self.parts: dict[str, Part] = {}
        self.layers, self.layer = 0, 0
        self.chosen = ""
        self._first: list[str] = []
        self._last: list[str] = []
        self._inner: list[str] = []
        self._text, self._best = "", ""
        self.setAccessibleName(tr("The whole pass"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_parts(self, parts: Sequence[Part], layers: int, layer: int) -> None:
        """Show a pass with one block open."""
        self.parts = {part.name: part for part in parts}
        self.layers, self.layer = layers, layer
        outside = [part.name for part in parts if not part.name.startswith("blocks.")]
        self._first = [name for name in outside if name in ("embed", "pos_embed")]
        self._last = [name for name in outside if name not in self._first]
        self._inner = [part.name for part in parts if part.name.startswith(f"blocks.{layer}.")]
        self.update()

    def set_ends(self, text: str, best: str) -> None:
        """What goes in, and what comes out most probably."""
        self._text, self._best = text, best
        self.update()

    def choose(self, name: str) -> None:
        """Mark a part, without telling."""
        self.chosen = name
        part = self.parts.get(name)
        self.setAccessibleDescription("" if part is None else f"{part.title}, {shape_of(part)}")
        self.update()

    @property
    def order(self) -> list[str]:
        """The names of all parts in view, in the order of the pass."""
        return [*self._first, *self._inner, *self._last]

    def sizeHint(self) -> QSize:
        return QSize(540, 420)

    def minimumSizeHint(self) -> QSize:
        return QSize(420, 220)

    # Where things are.

    def _left(self) -> float:
        return min(230.0, self.width() * 0.4)

    def _row(self) -> float:
        """The height of a box on the left, gap included."""
        return min(TALLEST + BETWEEN, self.height() / (len(self._first) + len(self._last) + 2 + 5))

    def _tokens_box(self) -> QRectF:
        return QRectF(0, 0, self._left(), self._row() - BETWEEN)

    def _blocks_box(self) -> QRectF:
        row = self._row()
        top = row * (1 + len(self._first))
        return QRectF(0, top, self._left(), self.height() - top - row * (len(self._last) + 1) - BETWEEN)

    def _block_box(self, n: int) -> QRectF:
        box = self._blocks_box().adjusted(0, HALVES, 0, 0)
        height = box.height() / max(1, self.layers)
        return QRectF(box.left(), box.top() + n * height, box.width(), height - (1 if height > 4 else 0))

    def box_of(self, name: str) -> QRectF:
        """Where a part is drawn."""
        row = self._row()
        if name in self._first:
            return QRectF(0, row * (1 + self._first.index(name)), self._left(), row - BETWEEN)
        if name in self._last:
            top = self.height() - row * (len(self._last) + 1 - self._last.index(name))
            return QRectF(0, top, self._left(), row - BETWEEN)
        left = self._left() + 34 + SPINE
        height = min(TALLEST, self.height() / max(1, len(self._inner)))
        place = self._inner.index(name)
        wide = kind_of(name) == "stream"
        x = left - SPINE if wide else left
        return QRectF(x, place * height, self.width() - x - 1, height - 3)

    def part_at(self, point: QPointF) -> str:
        """The name of the part under a point, or ""."""
        return next((name for name in self.order if self.box_of(name).contains(point)), "")

    def block_at(self, point: QPointF) -> int | None:
        """The number of the block under a point."""
        box = self._blocks_box().adjusted(0, HALVES, 0, 0)
        if not self.layers or not box.contains(point):
            return None
        return min(self.layers - 1, int((point.y() - box.top()) / box.height() * self.layers))

    # Qt.

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.parts:
            return
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_ends(painter, theme)
            self._paint_blocks(painter, theme)
            self._paint_spine(painter, theme)
            for name in self.order:
                self._paint_part(painter, theme, name)

    def _color(self, theme: Theme, name: str, share: float = 0.22) -> QColor:
        index = {"attention": 0, "mlp": 2, "stream": 1, "edge": 3}[kind_of(name)]
        return mix(QColor(CATEGORIES[index]), QColor(theme.panel), share)

    def _paint_ends(self, painter: QPainter, theme: Theme) -> None:
        painter.setPen(QColor(theme.secondary))
        painter.setFont(self._small())
        metrics = QFontMetricsF(self._small())
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        for box, text in ((self._tokens_box(), self._text), (self._end_box(), self._best)):
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, box.width() - 4)
            painter.drawText(box.adjusted(2, 0, 0, 0), flags, shown)

    def _end_box(self) -> QRectF:
        row = self._row()
        return QRectF(0, self.height() - row, self._left(), row - BETWEEN)

    def _paint_blocks(self, painter: QPainter, theme: Theme) -> None:
        box, chosen = self._blocks_box(), self._block_box(self.layer)
        attention, mlp = (
            mix(QColor(CATEGORIES[i]), QColor(theme.panel), 0.22 if theme.name == "light" else 0.4)
            for i in (0, 2)
        )
        for n in range(self.layers):
            block = self._block_box(n)
            half = block.width() / 2
            painter.fillRect(QRectF(block.left(), block.top(), half, block.height()), attention)
            painter.fillRect(QRectF(block.left() + half, block.top(), half, block.height()), mlp)
        if self._inner:
            top, bottom = self.box_of(self._inner[0]), self.box_of(self._inner[-1])
            ray = QPolygonF(
                [chosen.topRight(), QPointF(self._left() + 26, top.top()),
                 QPointF(self._left() + 26, bottom.bottom()), chosen.bottomRight()]
            )  # fmt: skip
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent_back))
            painter.drawPolygon(ray)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawRect(chosen.adjusted(0, -1, 0, 1))
        painter.setFont(self._small())
        painter.setPen(QColor(theme.text))
        for text, place in ((tr("attention"), 0), (tr("MLP"), 1)):
            where = QRectF(place * box.width() / 2, box.top(), box.width() / 2, HALVES)
            painter.drawText(where, Qt.AlignmentFlag.AlignCenter, text)
        says = tr("block {n} of 0 to {last}", n=self.layer, last=self.layers - 1)
        wide = QFontMetricsF(self._small()).horizontalAdvance(says) + 16
        middle = min(max(chosen.center().y(), box.top() + HALVES + 8), box.bottom() - 8)
        where = QRectF(box.center().x() - wide / 2, middle - 8, wide, 16)
        painter.setPen(QPen(QColor(theme.accent), 1))
        painter.setBrush(QColor(theme.panel))
        painter.drawRoundedRect(where, 8, 8)
        painter.setPen(QColor(theme.text))
        painter.drawText(where, Qt.AlignmentFlag.AlignCenter, says)

    def _paint_spine(self, painter: QPainter, theme: Theme) -> None:
        if not self._inner:
            return
        x = self._left() + 34 + SPINE / 2
        top, bottom = self.box_of(self._inner[0]), self.box_of(self._inner[-1])
        painter.setPen(QPen(self._color(theme, "resid", 0.8), 4))
        painter.drawLine(QPointF(x, top.center().y()), QPointF(x, bottom.center().y()))

    def _paint_part(self, painter: QPainter, theme: Theme, name: str) -> None:
        part, box = self.parts[name], self.box_of(name)
        painter.setBrush(self._color(theme, name, 0.2 if theme.name == "light" else 0.34))
        chosen = name == self.chosen
        painter.setPen(QPen(QColor(theme.accent), 2) if chosen else QPen(self._color(theme, name, 0.6), 1))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        font = self.font()
        font.setPixelSize(max(11, min(font.pixelSize(), int(box.height() - 3))))
        mono = mono_font(self, (11.5 if box.height() > 16 else 11.0) / (13 * 1.15))
        room = box.adjusted(8, 0, -8, 0)
        shape = shape_of(part)
        metrics = QFontMetricsF(mono)
        painter.setFont(mono)
        painter.setPen(QColor(theme.secondary if not chosen else theme.text))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        title_room = QFontMetricsF(font).horizontalAdvance(tr(part.title))
        if title_room + metrics.horizontalAdvance(shape) + 10 <= room.width():
            painter.drawText(room, right, shape)
        painter.setFont(font)
        painter.setPen(QColor(theme.text))
        plus = "+ " if name.endswith(("resid_mid", "resid_post", "pos_embed")) else ""
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, left, plus + tr(part.title))

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(max(11, font.pixelSize() - 1))
        return font

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.touched.emit()
        name, block = self.part_at(event.position()), self.block_at(event.position())
        if name:
            self.choose(name)
            self.part_chosen.emit(name)
        elif block is not None:
            self.block_chosen.emit(block)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        name, block = self.part_at(event.position()), self.block_at(event.position())
        if name:
            says = self._tip(self.parts[name])
        elif block is not None:
            says = tr("block {n}: click to open it", n=block)
        else:
            QToolTip.hideText()
            return
        QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(says), self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(key)
        turn = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(key)
        if step is not None and self.order:
            self.touched.emit()
            self.walk(step)
        elif turn is not None and self.layers:
            self.block_chosen.emit(min(max(self.layer + turn, 0), self.layers - 1))
        else:
            super().keyPressEvent(event)

    def walk(self, step: int) -> bool:
        """Go on to the next part, or back; whether there was one."""
        order = self.order
        place = order.index(self.chosen) + step if self.chosen in order else 0
        if not 0 <= place < len(order):
            return False
        self.choose(order[place])
        self.part_chosen.emit(order[place])
        return True
