"""Size against loss, with error bars: perplexity and KL divergence. Imported when pyqtgraph is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QWidget

from labapp.labs.quantization.comparing import Row, label_of
from labapp.plots import Plot, Series
from labapp.theme import CATEGORIES, theme_of
from labapp.words import tr

WHOLE = 30.0  # bits a weight from which a model is no smaller than the reference, and left out
LOW = 320  # px of height below which two plots stand side by side
RECORDED, HERE = 0, 5  # categories of the colors
SYMBOLS = {RECORDED: "o", HERE: "s"}


class LossPlot(Plot):
    """Points with error bars and names, one series for what is recorded and one for what was measured."""

    def __init__(self, title: str, measured: str, unit: str, log: bool) -> None:
        super().__init__(title, (tr("bits a weight"), ""), (measured, unit), whole=False)
        self._log = log
        self.view.getPlotItem().setLogMode(x=False, y=log)
        if log:
            self.view.getPlotItem().getAxis("left").setStyle(maxTickLevel=0)
        self.view.getPlotItem().getViewBox().setDefaultPadding(0.09)
        self._level = pg.InfiniteLine(angle=0, movable=False)
        self._level.hide()
        self.view.addItem(self._level, ignoreBounds=True)
        self._bars: list[pg.ErrorBarItem] = []
        self._names: list[pg.TextItem] = []
        self._points: dict[int, Series] = {}
        for color, name in ((RECORDED, tr("recorded")), (HERE, tr("measured here"))):
            made = self.add_curve(name)
            made.item.setPen(None)
            made.item.setSymbol(SYMBOLS[color])
            made.item.setSymbolSize(7)
            made.item.setSymbolPen(None)
            made.item.setSymbolBrush(QColor(CATEGORIES[color]))
            bars = pg.ErrorBarItem(pen=pg.mkPen(CATEGORIES[color], width=1.5), beam=0.06)
            self.view.addItem(bars)
            self._points[color] = made
            self._bars.append(bars)

    def show_rows(self, rows: Sequence[Row], name: str) -> None:
        """Draw a figure of rows against their bits, but of those that are as large as the reference."""
        for item in self._names:
            self.view.removeItem(item)
        self._names = []
        for bars, (color, series) in zip(self._bars, self._points.items(), strict=True):
            own = [
                (row.name, row.bits, row.figures[name], row.figures.get(f"{name} ±", 0.0))
                for row in rows
                if row.recorded == (color == RECORDED) and row.bits < WHOLE and row.figures[name] > 0
            ]
            x, y = [one[1] for one in own], [one[2] for one in own]
            self.set_data(series, x, y)
            self._show_bars(bars, own)
            self._show_names(own)

    def show_level(self, value: float | None) -> None:
        """A line across at a value, or none."""
        self._level.setVisible(value is not None)
        if value is not None:
            self._level.setValue(value)
            self._level.setPen(pg.mkPen(theme_of(self).secondary, style=Qt.PenStyle.DashLine))

    def _show_bars(self, bars: pg.ErrorBarItem, own: Sequence[tuple[str, float, float, float]]) -> None:
        bars.setVisible(bool(own))
        if not own:
            return
        x, y, e = (np.array([one[n] for one in own]) for n in (1, 2, 3))
        if self._log:
            low = np.maximum(y - e, y / 10)
            bars.setData(x=x, y=np.log10(y), top=np.log10(y + e) - np.log10(y), bottom=np.log10(y / low))
        else:
            bars.setData(x=x, y=y, top=e, bottom=e)

    def _show_names(self, own: Sequence[tuple[str, float, float, float]]) -> None:
        """Write names beside points, but none over another."""
        taken: list[float] = []
        apart = (max((one[1] for one in own), default=0) - min((one[1] for one in own), default=0)) / 9
        for name, x, y, _ in sorted(own, key=lambda one: one[2], reverse=True):
            if any(abs(x - other) < apart for other in taken):
                continue
            taken.append(x)
            item = pg.TextItem(label_of(name), color=theme_of(self).secondary, anchor=(-0.12, 0.6))
            item.setPos(x, math.log10(y) if self._log else y)
            self.view.addItem(item, ignoreBounds=True)
            self._names.append(item)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for item in getattr(self, "_names", []):
                item.setColor(theme_of(self).secondary)


class LossPlots(QWidget):
    """Divergence over perplexity, against bits a weight; beside it in a low window."""

    def __init__(self) -> None:
        super().__init__()
        self.perplexity = LossPlot(tr("Perplexity"), tr("perplexity"), tr("± standard error"), log=False)
        self.divergence = LossPlot(tr("KL divergence from the reference"), tr("KL"), tr("nats"), log=True)
        self._row = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addWidget(self.divergence, 1)
        self._row.addWidget(self.perplexity, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        low = event.size().height() < LOW
        self._row.setDirection(QBoxLayout.Direction.LeftToRight if low else QBoxLayout.Direction.TopToBottom)

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Draw both; a line is the reference's perplexity."""
        self.perplexity.show_level(rows[-1].figures["reference"] if rows else None)
        self.perplexity.show_rows(rows, "perplexity")
        self.divergence.show_rows(rows, "divergence")
