"""Names of curves: in a corner of their plot, or in a line below a low one; imported when pyqtgraph is."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from labapp.plots import Plot
from labapp.theme import theme_of


class Names(QWidget):
    """The names of curves in one line, each behind a stroke in its color; gone where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[tuple[str, QColor]] = []
        self.hide()

    def set_names(self, names: list[tuple[str, QColor]]) -> None:
        """Show these."""
        self._names = names if len(names) > 1 else []
        self.setFixedHeight(round(self.font().pixelSize() * 1.4))
        self.setVisible(bool(self._names))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        font = self.font()
        font.setPixelSize(max(11, font.pixelSize() - 2))
        with QPainter(self) as painter:
            painter.setFont(font)
            x, middle = 8, self.height() / 2
            for name, color in self._names:
                painter.setPen(QPen(color, 2))
                painter.drawLine(QPointF(x, middle), QPointF(x + 12, middle))
                painter.setPen(QColor(theme_of(self).secondary))
                width = painter.fontMetrics().horizontalAdvance(name)
                box = QRectF(x + 16, 0, width + 2, self.height())
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, name)
                x += width + 28


def add_legend(plot: Plot, top: bool = True) -> Any:
    """Names of the curves, where there are several, in the upper or the lower right corner."""
    if len(plot.series) < 2:
        return None
    made = plot.view.getPlotItem().addLegend(offset=(-10, 10 if top else -10))
    color_legend(made, plot)
    for series in plot.series:
        made.addItem(series.item, series.name)
    return made


def color_legend(legend: Any, widget: QWidget) -> None:
    """Give the names of curves the theme's colors, and a ground on which they can be read."""
    theme = theme_of(widget)
    ground = QColor(theme.panel)
    ground.setAlpha(210)
    legend.setBrush(pg.mkBrush(ground))
    legend.setLabelTextColor(theme.secondary)
    for _, name in legend.items:
        name.setText(name.text)  # what is written keeps its color until it is written again
