"""How what a run knows grows over its steps; imported when pyqtgraph is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from labapp.plots import line_plot
from labapp.widgets.legends import add_legend, color_legend
from labapp.words import tr

if TYPE_CHECKING:
    from core.training.knowledge import Known

SHOWN = {
    "P1": "P1 question after question",
    "P2": "P2 capitals",
    "P5": "P5 whom “it” means",
    "P6 gender pairs": "P6 he and she",
    "P6 capitals": "P6 capitals",
    "P7 step by step": "P7 sums by steps",
    "P8 bank": "P8 “bank”",
    "P8 mole": "P8 “mole”",
}


class Growth(QWidget):
    """Shares of eight figures over the steps, each with its 95 % intervals."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = line_plot(tr("What is known at each step"), x=(tr("step"), ""), y=(tr("right"), tr("%")))
        self._bars = []
        for title in SHOWN.values():
            series = self.plot.add_curve(tr(title))
            pen = series.item.opts["pen"]
            series.item.setSymbol("o")
            series.item.setSymbolSize(6)
            series.item.setSymbolBrush(pen.color())
            series.item.setSymbolPen(pen)
            error = pg.ErrorBarItem(pen=pg.mkPen(pen.color(), width=1))
            self.plot.view.addItem(error)
            self._bars.append(error)
        self._legend = add_legend(self.plot, top=False)
        self.plot.view.setYRange(0, 100, padding=0.04)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_legend"):
            color_legend(self._legend, self)

    def show_known(self, known: Sequence[Known]) -> None:
        """Draw what was scored, by step."""
        for name, series, bars in zip(SHOWN, self.plot.series, self._bars, strict=True):
            found = [(one.step, each) for one in known for each in one.scored if each.name == name]
            x = np.array([step for step, _ in found], float)
            y = np.array([100 * each.share for _, each in found])
            self.plot.set_data(series, x, y)
            low, high = (np.array([100 * getattr(each, end) for _, each in found]) for end in ("low", "high"))
            bars.setData(x=x, y=y, top=np.maximum(0, high - y), bottom=np.maximum(0, y - low), beam=0)
