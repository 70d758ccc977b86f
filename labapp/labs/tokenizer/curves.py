"""The plots of the Learn page; imported when pyqtgraph is."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QComboBox, QStackedWidget, QVBoxLayout, QWidget

from labapp.labs.tokenizer.history import History
from labapp.plots import Plot, bar_plot, line_plot
from labapp.words import tr


class Compression(QWidget):
    """One of three measures against the number of merges, with a mark at the step shown."""

    def __init__(self) -> None:
        super().__init__()
        merges = (tr("merges learned"), "")
        self.plots: dict[str, Plot] = {
            "characters": line_plot(tr("Compression"), x=merges, y=(tr("characters/token"), "")),
            "tokens": line_plot(tr("Tokens in the text"), x=merges, y=(tr("tokens"), "")),
            "length": line_plot(tr("Length of a token"), x=merges, y=(tr("length"), tr("bytes"))),
        }
        self._series = {
            "characters": self.plots["characters"].add_curve(tr("characters per token")),
            "tokens": self.plots["tokens"].add_curve(tr("tokens")),
            "mean length": self.plots["length"].add_curve(tr("mean")),
            "longest": self.plots["length"].add_curve(tr("longest")),
        }
        self._owners = {
            "characters": "characters", "tokens": "tokens", "mean length": "length", "longest": "length",
        }  # fmt: skip
        self._history: History | None = None
        self._step = 0
        self._stack = QStackedWidget()
        self._boxes = []
        for plot in self.plots.values():
            box = QComboBox()
            for other in self.plots.values():
                box.addItem(other.title)
            box.setAccessibleName(tr("What is plotted"))
            box.setToolTip(tr("What is plotted against the number of merges"))
            box.currentIndexChanged.connect(self.choose)
            plot.replace_title(box)
            self._boxes.append(box)
            self._stack.addWidget(plot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    def choose(self, index: int) -> None:
        """Plot another measure."""
        self._stack.setCurrentIndex(index)
        for box in self._boxes:
            box.blockSignals(True)
            box.setCurrentIndex(index)
            box.blockSignals(False)
        self.show_history(self._history, self._step)

    def show_history(self, history: History | None, step: int) -> None:
        """Draw all that is learned, and mark the step; only the plot in view is drawn."""
        self._history, self._step = history, step
        if history is None:
            return
        curves = history.curves()
        shown = list(self.plots)[self._stack.currentIndex()]
        for name, owner in self._owners.items():
            if owner == shown:
                self.plots[owner].set_data(self._series[name], curves["step"], curves[name])
        self.plots[shown].mark(step)


class Lengths(QWidget):
    """How many tokens of the vocabulary have one, two, three … bytes, at the step shown."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = bar_plot(tr("Token lengths"), x=(tr("length"), tr("bytes")), y=(tr("tokens"), ""))
        self._series = self.plot.add_bars(tr("tokens"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)

    def show_history(self, history: History | None, step: int) -> None:
        """Count again at the step."""
        if history is not None:
            counts = history.length_counts(step)
            self.plot.set_data(self._series, np.arange(1, len(counts)), counts[1:])
