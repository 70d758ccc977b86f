"""Where a token comes from: the tree of merges that made it, down to single bytes."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.tokenizer.explain import MergeNode
from labapp.theme import mono_font, theme_of
from labapp.words import tr

_LEVEL = 34  # px between two levels
_SHOWN_LEVELS = 7


class MergeTree(QWidget):
    """Draws a merge tree; leaves stand side by side, every parent above the middle of its two parts."""

    def __init__(self, show: Callable[[bytes], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._show = show
        self._root: MergeNode | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Merge tree"))

    def set_root(self, root: MergeNode | None) -> None:
        """Show another token's tree."""
        self._root = root
        self.setAccessibleDescription(self.in_words())
        self.updateGeometry()
        self.update()

    def in_words(self) -> str:
        """The tree in one sentence, innermost merges in brackets."""

        def say(node: MergeNode) -> str:
            if node.left is None or node.right is None:
                return self._show(node.bytes)
            return f"({say(node.left)} + {say(node.right)})"

        return say(self._root) if self._root else ""

    def sizeHint(self) -> QSize:
        levels = min(_depth(self._root), _SHOWN_LEVELS) if self._root else 0
        return QSize(220, 26 + _LEVEL * levels)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._root is None:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            width = self.width() / max(1, _leaves(self._root))
            self._draw(painter, self._root, 0.0, width, 0)

    def _draw(self, painter: QPainter, node: MergeNode, left: float, width: float, level: int) -> QPointF:
        theme = theme_of(self)
        span = _leaves(node) * width
        middle = QPointF(left + span / 2, 13 + level * _LEVEL)
        if node.left is not None and node.right is not None and level < _SHOWN_LEVELS:
            x = left
            for child in (node.left, node.right):
                below = self._draw(painter, child, x, width, level + 1)
                x += _leaves(child) * width
                painter.setPen(QPen(QColor(theme.secondary), 1))
                painter.drawLine(QLineF(middle + QPointF(0, 9), below - QPointF(0, 10)))
        font: QFont = mono_font(self, 0.93)
        font.setBold(level == 0)
        metrics = QFontMetricsF(font)
        text = metrics.elidedText(self._show(node.bytes), Qt.TextElideMode.ElideMiddle, max(span, 14))
        painter.setFont(font)
        painter.setPen(QColor(theme.text))
        room = max(span, metrics.horizontalAdvance(text) + 2)
        painter.drawText(
            QRectF(middle.x() - room / 2, middle.y() - 11, room, 22), Qt.AlignmentFlag.AlignCenter, text
        )
        return middle


def _leaves(node: MergeNode) -> int:
    if node.left is None or node.right is None:
        return 1
    return _leaves(node.left) + _leaves(node.right)


def _depth(node: MergeNode | None) -> int:
    if node is None or node.left is None or node.right is None:
        return 0
    return 1 + max(_depth(node.left), _depth(node.right))
