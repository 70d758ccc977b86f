"""Arms of an experiment against steps: the mean over seeds in a band of their range; with pyqtgraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from labapp.plots import Plot, line_plot
from labapp.theme import CATEGORIES
from labapp.widgets.legends import Names
from labapp.words import tr

MOST = 4  # arms together
Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Band:
    """One arm: its name, and the points of each of its runs."""

    name: str
    runs: Sequence[Points]

    def at_steps(self) -> list[tuple[int, float, float, float]]:
        """Step, mean, lowest and highest over the runs, where all have a point.

        >>> Band("a", [[(0, 1.0), (5, 2.0)], [(0, 3.0)]]).at_steps()
        [(0, 2.0, 1.0, 3.0)]
        """
        by_step: dict[int, list[float]] = {}
        for run in self.runs:
            for step, value in run:
                by_step.setdefault(step, []).append(value)
        return [
            (step, sum(values) / len(values), min(values), max(values))
            for step, values in sorted(by_step.items())
            if len(values) == len(self.runs)
        ]


class BandPlot(QWidget):
    """Means with bands, and one more run, dashed."""

    def __init__(self, title: str, axis: str, unit: str) -> None:
        super().__init__()
        self.plot: Plot = line_plot(title, x=(tr("step"), ""), y=(axis, unit))
        item = self.plot.view.getPlotItem()
        self._means = [self.plot.add_curve("") for _ in range(MOST)]
        self._edges: list[tuple[Any, Any]] = []
        for n in range(MOST):
            color = QColor(CATEGORIES[n])
            color.setAlpha(46)
            unseen = pg.mkPen(0, 0, 0, 0)  # without any pen they would have no path to fill between
            low, high = pg.PlotDataItem(pen=unseen), pg.PlotDataItem(pen=unseen)
            for edge in (low, high):
                item.addItem(edge)
            item.addItem(pg.FillBetweenItem(low, high, brush=pg.mkBrush(color)))
            self._edges.append((low, high))
        self._own = self.plot.add_curve("")
        self._own.item.setPen(pg.mkPen(QColor(CATEGORIES[5]), width=2, style=Qt.PenStyle.DashLine))
        self._names = Names()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self._names)

    def set_measure(self, axis: str) -> None:
        """Say what is drawn, on the y axis."""
        self.plot.y_axis = (axis, "")
        self.plot.view.getPlotItem().getAxis("left").setLabel(axis)

    def show_bands(self, bands: Sequence[Band], own: tuple[str, Points]) -> None:
        """Draw at most `MOST` arms, and a run of one's own."""
        shown = []
        empty = Band("", [])
        for n, series in enumerate(self._means):
            band = bands[n] if n < len(bands) else empty
            points = band.at_steps()
            steps = [float(point[0]) for point in points]
            series.name = band.name
            self.plot.set_data(series, steps, [point[1] for point in points])
            for edge, place in zip(self._edges[n], (2, 3), strict=True):
                edge.setData(steps, [point[place] for point in points])
            if points:
                shown.append((band.name, QColor(CATEGORIES[n])))
        name, its = own
        self._own.name = name
        self.plot.set_data(self._own, [float(step) for step, _ in its], [value for _, value in its])
        if its:
            shown.append((name, QColor(CATEGORIES[5])))
        self._names.set_names(shown)
        self.plot.setAccessibleDescription(self.plot.in_words())
