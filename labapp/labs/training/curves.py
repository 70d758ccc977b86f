"""The plots of a run; imported when pyqtgraph is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QStackedWidget, QVBoxLayout, QWidget

from core.training.history import History, smoothed
from labapp.idle import soon
from labapp.plots import Plot, Series, choice_of_plot, line_plot
from labapp.theme import theme_of
from labapp.widgets.legends import Names, add_legend, color_legend
from labapp.words import tr

BETA = 0.9  # of the moving average
LOW = 180  # px of a plot's height below which its names stand under it and its x axis has no title
LEVELS = ("knows nothing: ln(vocabulary)", "knows frequencies only", "what the generator drew")
SHORT = dict(zip(LEVELS, ("ln(vocabulary)", "frequencies only", "generator drew"), strict=True))


class Curves(QWidget):
    """One of five measures of a run against its steps, with a mark at the step shown."""

    def __init__(self) -> None:
        super().__init__()
        steps = (tr("step"), "")
        self.plots: dict[str, Plot] = {
            "loss": line_plot(tr("Loss"), x=steps, y=(tr("loss"), tr("nats a token"))),
            "perplexity": line_plot(tr("Perplexity"), x=steps, y=(tr("as if among"), tr("tokens"))),
            "rate": line_plot(tr("Learning rate"), x=steps, y=(tr("learning rate"), "")),
            "gradient": line_plot(tr("Gradient"), x=steps, y=(tr("length of the gradient"), "")),
            "speed": line_plot(tr("Speed"), x=steps, y=(tr("speed"), tr("tokens/s"))),
        }
        average = tr("moving average (β {b})", b=BETA)
        self._series: dict[str, list[Series]] = {
            "loss": self._add("loss", tr("training"), average, tr("validation"), *self._levels()),
            "perplexity": self._add("perplexity", tr("training"), average, tr("validation")),
            "rate": self._add("rate", tr("learning rate")),
            "gradient": self._add("gradient", tr("gradient")),
            "speed": self._add("speed", tr("tokens/s")),
        }
        self._history = History()
        self._stack = QStackedWidget()
        self._boxes: list[QComboBox] = []
        self._legends: list[Any] = []
        self.logarithmic = QCheckBox(tr("Logarithmic"))
        self.logarithmic.setToolTip(tr("Draw the height by its logarithm: small differences at the end show"))
        self.logarithmic.toggled.connect(self._scale)
        for plot in self.plots.values():
            self._boxes.append(self._choice_of(plot))
            self._stack.addWidget(plot)
            self._legends.append(add_legend(plot))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._stack, 1)
        self._names = Names()
        layout.addWidget(self._names)

    def _levels(self) -> tuple[str, str, str]:
        return tr(LEVELS[0]), tr(LEVELS[1]), tr(LEVELS[2])

    def _add(self, name: str, *titles: str) -> list[Series]:
        return [self.plots[name].add_curve(title) for title in titles]

    def _choice_of(self, plot: Plot) -> QComboBox:
        box = choice_of_plot([other.title for other in self.plots.values()], self.choose)
        plot.replace_title(box)
        return box

    def _fit(self) -> None:
        """Leave a low plot to its curves."""
        height = self.shown.view.height()
        for plot, legend in zip(self.plots.values(), self._legends, strict=True):
            plot.view.getPlotItem().getAxis("bottom").showLabel(height >= LOW)
            if legend is not None:
                color_legend(legend, plot)
                legend.setVisible(height >= LOW)
        shown = self.shown.series if height < LOW else []
        self._names.set_names(
            [(SHORT.get(one.name, one.name), one.item.opts["pen"].color()) for one in shown]
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        soon(self, self._fit)  # the plots have their new size then

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_legends"):
            soon(self, self._fit)  # a new theme writes the titles again

    @property
    def shown(self) -> Plot:
        """The plot in view."""
        return list(self.plots.values())[self._stack.currentIndex()]

    def choose(self, index: int) -> None:
        """Plot another measure."""
        self._stack.setCurrentIndex(index)
        for box in self._boxes:
            box.blockSignals(True)
            box.setCurrentIndex(index)
            box.blockSignals(False)
        self._fit()
        self.show_history(self._history)

    def show_history(self, history: History) -> None:
        """Draw a run; only the plot in view is drawn."""
        self._history = history
        name = list(self.plots)[self._stack.currentIndex()]
        for series, (x, y) in zip(self._series[name], self._numbers(name, history), strict=True):
            self.plots[name].set_data(series, x, y)

    def mark(self, step: int | None) -> None:
        """Mark a step in all plots."""
        for plot in self.plots.values():
            plot.mark(step)

    def _numbers(self, name: str, history: History) -> list[tuple[Sequence[float], Sequence[float]]]:
        x = [float(one.step) for one in history.steps]
        if name in ("rate", "gradient", "speed"):
            key = {"speed": "tokens_per_second"}.get(name, name)
            return [(x, [float(getattr(one, key)) for one in history.steps])]
        raw = [one.loss for one in history.steps]
        looked = [float(one.step) for one in history.validated]
        curves = [raw, smoothed(raw, BETA), [one.loss for one in history.validated]]
        if name == "perplexity":
            curves = [[_perplexity(loss) for loss in losses] for losses in curves]
            return list(zip((x, x, looked), curves, strict=True))
        return [*zip((x, x, looked), curves, strict=True), *_flat(history)]

    def _scale(self, on: bool) -> None:
        for plot in self.plots.values():
            plot.view.getPlotItem().setLogMode(x=False, y=on)


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 30 else math.nan


def _flat(history: History) -> list[tuple[Sequence[float], Sequence[float]]]:
    """The levels that a loss is compared with, each a flat line over the run."""
    began = history.began
    if began is None:
        return [((), ())] * 3
    end = float(max([1, *(one.step for one in history.steps[-1:])]))
    levels = (began.chance_loss, began.unigram_loss, began.floor_loss)
    return [((0.0, end), (level, level)) if level is not None else ((), ()) for level in levels]


class Overlay(QWidget):
    """The validation losses of several runs over one pair of axes, and that of the shipped base model."""

    MOST = 8

    def __init__(self) -> None:
        super().__init__()
        self.plot = line_plot(tr("Validation loss"), x=(tr("step"), ""), y=(tr("loss"), tr("nats a token")))
        self._series = [self.plot.add_curve("") for _ in range(self.MOST)]
        self._base = self.plot.add_curve("")
        self._base.item.setPen(pg.mkPen(theme_of(self.plot).secondary, width=2, style=Qt.PenStyle.DashLine))
        self._legend = self.plot.view.getPlotItem().addLegend(offset=(-10, 10))
        color_legend(self._legend, self.plot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_legend"):
            color_legend(self._legend, self)

    def show_runs(self, runs: Sequence[tuple[str, History]], base: tuple[str, History]) -> None:
        """Draw these runs, at most `MOST`, and one more, dashed, to compare them with."""
        empty = ("", History())
        for n, series in enumerate(self._series):
            self._show(series, *(runs[n] if n < len(runs) else empty))
        self._show(self._base, *base)

    def _show(self, series: Series, name: str, history: History) -> None:
        if name != series.name:
            series.name = name
            self._legend.removeItem(series.item)
            if name:
                self._legend.addItem(series.item, name)
        x = np.array([one.step for one in history.validated], float)
        self.plot.set_data(series, x, np.array([one.loss for one in history.validated], float))
