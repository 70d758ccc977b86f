"""The plots of a run of fine-tuning; imported when pyqtgraph is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QStackedWidget, QVBoxLayout, QWidget

from core.training.history import History, smoothed
from labapp.idle import soon
from labapp.plots import Plot, choice_of_plot, line_plot
from labapp.widgets.legends import Names, add_legend, color_legend
from labapp.words import tr

LOW = 180  # px of a plot's height below which its names stand under it
NATS = "nats"
Points = tuple[Sequence[float], Sequence[float]]

MEASURES: dict[str, tuple[str, str, str, tuple[tuple[str, str], ...], str]] = {
    "loss": (
        "Loss", "loss", "", (),
        "What training makes small. SFT: −ln p of the demonstrated answer, a mean over its tokens. DPO: "
        "−ln σ(β Δ), which begins at ln 2 = 0.693, where the model is still its own reference. IPO: "
        "(Δ − 1/2β)². What is added for the better answer is in it.",
    ),
    "logps": (
        "Log-probability of the answers", "ln p of an answer", NATS,
        (("logps/chosen", "chosen"), ("logps/rejected", "rejected")),
        "ln p of the whole answer, the mean over the pairs. The preference loss knows only the difference to "
        "the reference: both may fall. Read this before the margin.",
    ),
    "rewards": (
        "Rewards", "β · ln π/π_ref", NATS, (("rewards/chosen", "chosen"), ("rewards/rejected", "rejected")),
        "β times how far ln p moved from the reference: what DPO takes for a reward. Above 0 is more likely "
        "than at the start, below 0 less.",
    ),
    "margin": (
        "Margin", "reward of chosen − rejected", NATS, (("rewards/margins", "margin"),),
        "The difference of the two rewards. It grows in sound runs and in those that collapse: it says which "
        "answer is likelier than before, not whether either is still said.",
    ),
    "accuracy": (
        "Accuracy", "pairs told right", "share",
        (("rewards/accuracies", "pairs"), ("mean_token_accuracy", "tokens of the chosen answer")),
        "Pairs: the chosen answer's reward is above the other's. Tokens: the chosen answer's next token is "
        "the most probable one. 1.0 at once means that something trivial tells the pairs apart.",
    ),
    "distance": (
        "Distance to the reference", "ln π/π_ref of an answer", NATS,
        (("distance/chosen", "chosen"), ("distance/rejected", "rejected")),
        "How many nats an answer's log-probability lies from what the model gave before: rewards without β. "
        "The nearer to 0, the more of the old model is left.",
    ),
    "entropy": (
        "Entropy", "entropy of the next token", NATS, (("entropy", "entropy"),),
        "How undecided the model is at the answer's places. Towards 0 it always says the same; when it rises "
        "steeply the text falls apart.",
    ),
    "length": (
        "Length of the samples", "length of a sample", "words", (("length", "samples"),),
        "Mean words of the samples below. Answers that grow while the margin grows were preferred for their "
        "length.",
    ),
}  # fmt: skip
"""Of each plot: title, axis, unit, curves by measure and name, and what it says."""


class RunCurves(QWidget):
    """One of eight measures of a run against its steps: of the training batches, and of held-out rows."""

    chosen = Signal(str)  # name of a measure

    def __init__(self) -> None:
        super().__init__()
        self.plots: dict[str, Plot] = {}
        self._history, self._beta = History(), 0.1
        self._stack = QStackedWidget()
        self._boxes: list[QComboBox] = []
        self._legends: list[Any] = []
        for name, (title, axis, unit, curves, _) in MEASURES.items():
            plot = line_plot(tr(title), x=(tr("step"), ""), y=(tr(axis), tr(unit) if unit else ""))
            for told in _names(name, curves):
                plot.add_curve(told)
            self.plots[name] = plot
            self._stack.addWidget(plot)
            self._legends.append(add_legend(plot, top=name not in ("logps", "rewards", "distance")))
        for plot in self.plots.values():
            self._boxes.append(self._choice_of(plot))
        self._names = Names()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._names)

    def _choice_of(self, plot: Plot) -> QComboBox:
        box = choice_of_plot([other.title for other in self.plots.values()], self.choose)
        plot.replace_title(box)
        return box

    @property
    def name(self) -> str:
        """The measure in view."""
        return list(self.plots)[self._stack.currentIndex()]

    @property
    def shown(self) -> Plot:
        """The plot in view."""
        return self.plots[self.name]

    def choose(self, index: int) -> None:
        """Plot another measure."""
        self._stack.setCurrentIndex(index)
        for box in self._boxes:
            box.blockSignals(True)
            box.setCurrentIndex(index)
            box.blockSignals(False)
        self._fit()
        self.show_history(self._history, self._beta)
        self.chosen.emit(self.name)

    def show_history(self, history: History, beta: float) -> None:
        """Draw a run; only the plot in view is drawn."""
        self._history, self._beta = history, beta
        points = _points(self.name, history, beta)
        for series, (x, y) in zip(self.shown.series, points, strict=True):
            self.shown.set_data(series, x, y)

    def mark(self, step: int | None) -> None:
        """Mark a step in all plots."""
        for plot in self.plots.values():
            plot.mark(step)

    def _fit(self) -> None:
        """Leave a low plot to its curves."""
        height = self.shown.view.height()
        for plot, legend in zip(self.plots.values(), self._legends, strict=True):
            plot.view.getPlotItem().getAxis("bottom").showLabel(height >= LOW)
            if legend is not None:
                color_legend(legend, plot)
                legend.setVisible(height >= LOW)
        shown = self.shown.series if height < LOW else []
        self._names.set_names([(one.name, one.item.opts["pen"].color()) for one in shown])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        soon(self, self._fit)  # the plots have their new size then

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_names"):
            soon(self, self._fit)  # a new theme writes the titles again


def _names(name: str, curves: tuple[tuple[str, str], ...]) -> list[str]:
    if name == "loss":
        return [tr("training"), tr("moving average (β 0.9)"), tr("held-out rows")]
    if name == "length":
        return [tr("samples")]
    return [
        tr("{curve}, {rows}", curve=tr(title), rows=tr(rows))
        for _, title in curves
        for rows in ("training", "held out")
    ]


def _points(name: str, history: History, beta: float) -> list[Points]:
    if name == "loss":
        x = [float(one.step) for one in history.steps]
        raw = [one.loss for one in history.steps]
        looks = history.validated
        return [(x, raw), (x, smoothed(raw)), ([one.step for one in looks], [one.loss for one in looks])]
    if name == "length":
        lengths: dict[int, list[int]] = {}
        for one in history.sampled:
            lengths.setdefault(one.step, []).append(len(one.text.split()))
        return [(list(lengths), [sum(its) / len(its) for its in lengths.values()])]
    return [
        _curve(history, measure, of, beta)
        for measure, _ in MEASURES[name][3]
        for of in ("train", "validation")
    ]


def _curve(history: History, measure: str, of: str, beta: float) -> Points:
    factor = 1.0
    if measure.startswith("distance/"):
        measure, factor = measure.replace("distance", "rewards"), 1 / beta
    found = [one for one in history.measured if one.of == of and measure in one.values]
    return [float(one.step) for one in found], [one.values[measure] * factor for one in found]
