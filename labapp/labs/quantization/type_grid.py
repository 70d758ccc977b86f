"""Layers × tensors of one or more mixes, each cell colored and lettered by the type that it gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import CATEGORIES, Theme, mix, theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.recipes import Choice, Plan

TALLEST = 60.0  # px of a row
HEAD = 40.0  # px of a mix's name and bits
FOOT = 22.0  # px of the layers' numbers
LEGEND = 22.0  # px
ALONE = 26.0  # px of the cell of a tensor that belongs to no layer, at least
COLORS = {"Q3_K": 4, "Q4_K": 0, "Q5_K": 2, "Q6_K": 1, "Q8_0": 5, "Q4_0": 3, "Q5_0": 7, "Q5_1": 6}
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.weight")
_OUTSIDE = {"token_embd.weight": "token_embd", "output.weight": "output"}


def short(kind: str) -> str:
    """A type's name as it fits into a cell.

    >>> short("Q4_K"), short("Q5_1")
    ('4K', '5_1')
    """
    return kind.removeprefix("Q").replace("_K", "K")


def cells_of(plan: Plan) -> dict[tuple[str, int], Choice]:
    """What is quantized, by tensor and layer; embedding and output stand in the column of layer 0."""
    found: dict[tuple[str, int], Choice] = {}
    for choice in plan.choices:
        name, layer = choice.tensor.name, _LAYER.fullmatch(choice.tensor.name)
        if choice.why != "kept" and layer is not None:
            found[layer[2], int(layer[1])] = choice
        elif choice.why != "kept" and name in _OUTSIDE:
            found[_OUTSIDE[name], 0] = choice
    return found


def runs(choices: Sequence[Choice | None]) -> list[tuple[str, int, int]]:
    """Neighbors of one type: the type, the first, and the one after the last."""
    found: list[tuple[str, int, int]] = []
    for n, choice in enumerate(choices):
        if choice is None:
            continue
        if found and found[-1][0] == choice.kind and found[-1][2] == n:
            found[-1] = (choice.kind, found[-1][1], n + 1)
        else:
            found.append((choice.kind, n, n + 1))
    return found


class TypeGrid(QWidget):
    """Draws mixes side by side, with the tensors' names on the left and the types' colors below."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._plans: tuple[Plan, ...] = ()
        self._cells: list[dict[tuple[str, int], Choice]] = []
        self._rows: list[str] = []
        self._layers = 1
        self._hidden = False
        self.setAccessibleName(name)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 180)

    def set_plans(self, plans: Sequence[Plan], layers: int, hidden: bool) -> None:
        """Show mixes; `hidden` keeps the types back."""
        self._plans, self._layers, self._hidden = tuple(plans), layers, hidden
        self._cells = [cells_of(plan) for plan in plans]
        self._rows = list(dict.fromkeys(row for cells in self._cells for row, _ in cells))
        self._rows.sort(key=lambda row: row not in ("token_embd", "output"))
        self.setAccessibleDescription(
            "" if hidden else "; ".join(f"{p.recipe.name}: {p.bits_per_weight:.4f}" for p in plans)
        )
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 340)

    def _geometry(self) -> tuple[float, float, float, float]:
        """Px of the names, of a panel, of a cell and of a row."""
        names = max((self.fontMetrics().horizontalAdvance(row) for row in self._rows), default=0) + 10.0
        panel = (self.width() - names) / max(1, len(self._plans))
        cell = min(40.0, (panel - 12) / self._layers)
        high = min(TALLEST, (self.height() - HEAD - FOOT - LEGEND) / max(1, len(self._rows)))
        return names, panel, cell, high

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._plans:
            return
        theme = theme_of(self)
        names, panel, _, high = self._geometry()
        with QPainter(self) as painter:
            painter.setPen(QColor(theme.text))
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            for r, row in enumerate(self._rows):
                painter.drawText(QRectF(0, HEAD + r * high, names - 8, high), side, row)
            for n, (plan, cells) in enumerate(zip(self._plans, self._cells, strict=True)):
                self._paint_plan(painter, theme, plan, cells, names + n * panel)
            if not self._hidden:
                self._paint_legend(painter, theme, names, HEAD + len(self._rows) * high + FOOT)

    def _paint_plan(
        self, painter: QPainter, theme: Theme, plan: Plan, cells: dict[tuple[str, int], Choice], left: float
    ) -> None:
        _, panel, cell, high = self._geometry()
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(theme.text))
        painter.drawText(QRectF(left, 0, panel, 18), middle, plan.recipe.name)
        painter.setPen(QColor(theme.secondary))
        if not self._hidden:
            bits = tr("{n:.2f} bits", n=plan.bits_per_weight)
            painter.drawText(QRectF(left, 18, panel, 18), middle, bits)
        gap = 1.0 if cell >= 4 else 0.0
        for (row, layer), choice in cells.items():
            wide = max(cell - gap, ALONE if row in _OUTSIDE.values() else 1.0)
            box = QRectF(left + layer * cell, HEAD + self._rows.index(row) * high, wide, high - 1)
            if self._hidden:
                painter.fillRect(box, QColor(theme.line))
                continue
            painter.fillRect(box, self._color(choice.kind, theme))
        if not self._hidden and high >= 13:
            self._letter(painter, theme, cells, left)
        painter.setPen(QColor(theme.secondary))
        foot = HEAD + len(self._rows) * high
        last = f"{self._layers - 1}"
        painter.drawText(QRectF(left, foot, 60, FOOT), middle, tr("layer 0"))
        if cell * self._layers > 90:
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(left, foot, cell * self._layers, FOOT), right, last)

    def _letter(
        self, painter: QPainter, theme: Theme, cells: dict[tuple[str, int], Choice], left: float
    ) -> None:
        """Write the type into each run of cells that has room for it."""
        _, _, cell, high = self._geometry()
        painter.setPen(QColor(theme.text))
        for r, row in enumerate(self._rows):
            for kind, first, end in runs([cells.get((row, n)) for n in range(self._layers)]):
                wide = max((end - first) * cell, ALONE if row in _OUTSIDE.values() else 0.0)
                box = QRectF(left + first * cell, HEAD + r * high, wide, high - 1)
                if box.width() >= self.fontMetrics().horizontalAdvance(short(kind)) + 2:
                    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, short(kind))

    def _color(self, kind: str, theme: Theme) -> QColor:
        strong = QColor(CATEGORIES[COLORS[kind]]) if kind in COLORS else QColor(theme.secondary)
        return mix(strong, QColor(theme.panel), 0.45)

    def _paint_legend(self, painter: QPainter, theme: Theme, left: float, top: float) -> None:
        kinds = sorted({choice.kind for cells in self._cells for choice in cells.values()})
        for kind in kinds:
            painter.fillRect(QRectF(left, top + 5, 12, 12), self._color(kind, theme))
            painter.setPen(QColor(theme.text))
            wide = self.fontMetrics().horizontalAdvance(kind)
            side = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(left + 17, top, wide + 4, LEGEND), side, kind)
            left += wide + 34

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not self._plans or self._hidden:
            return
        names, panel, cell, high = self._geometry()
        n, inside = divmod(event.position().x() - names, panel)
        r = int((event.position().y() - HEAD) // high)
        text = ""
        if 0 <= n < len(self._plans) and 0 <= r < len(self._rows):
            choice = self._cells[int(n)].get((self._rows[r], int(inside // cell)))
            if choice is not None:
                text = f"{choice.tensor.name}: {choice.kind}"
        self.setToolTip(plain_tooltip(text))
