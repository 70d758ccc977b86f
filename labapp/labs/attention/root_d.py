"""Why √d: random queries and keys of 4 to 1,024 numbers, and what the softmax makes of their products.

What to notice: without the division the spread of q · k grows as √d, and nearly all weight goes to one key;
with it neither changes. Stage: `core.interpret.spread.measure_spread`.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from core.interpret.spread import LONGEST, QUERIES, STEP, SpreadAt, measure_spread, softmax
from labapp.idle import when_idle
from labapp.pages import PicturePage
from labapp.runner import Slot
from labapp.scenes import read_json
from labapp.theme import CATEGORIES
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.formula import Formula, Term
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.attention import AttentionLab
    from labapp.plots import Plot, Series

KEYS = (8, 16, 64)
SHOWN = 8  # weights in a picture, the largest first
KNOWN = {64: "GPT-2, SmolLM2", 128: "Llama 3, Qwen3"}  # numbers in a head's query: who has so many


class LineKey(QWidget):
    """A piece of a curve below, so that one sees which is whose: the first is solid, the second dashed."""

    def __init__(self, curve: int) -> None:
        super().__init__()
        self._curve = curve
        self.setFixedSize(34, 12)
        self.setToolTip(tr("This line in the plots below"))

    def paintEvent(self, event: QPaintEvent) -> None:
        style = Qt.PenStyle.DashLine if self._curve else Qt.PenStyle.SolidLine
        with QPainter(self) as painter:
            painter.setPen(QPen(QColor(CATEGORIES[self._curve]), 2, style))
            painter.drawLine(2, 6, 32, 6)


class RootDPage(PicturePage):
    """The length of the vectors on the left; weights and curves in the middle; the numbers on the right."""

    def __init__(self, lab: AttentionLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.seed = 1
        self.measured: list[SpreadAt] = []
        self._scene: dict[str, Any] | None = None
        self._plots: list[tuple[Plot, Series, Series]] = []
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, LONGEST // STEP)
        self.slider.setPageStep(16)
        self.slider.valueChanged.connect(lambda _: self._show())
        self.length = label("", "heading")
        lengths = QHBoxLayout()
        lengths.setSpacing(6)
        for d in (4, 64, 128, 1024):
            tip = (
                tr("d of one head in {who}", who=KNOWN[d])
                if d in KNOWN
                else tr("Vectors of {d:,} numbers", d=d)
            )
            lengths.addWidget(button(f"{d:,}", partial(self.set_length, d), tip=tip, role="sample"))
        lengths.addStretch(1)
        self.keys = QComboBox()
        for n in KEYS:
            self.keys.addItem(tr("{n} keys", n=n), n)
        self.keys.setCurrentIndex(KEYS.index(16))
        self.keys.activated.connect(lambda _: self.measure())
        self.again = button(
            tr("Draw again"), self.draw_again, tip=tr("Take other random numbers"), icon_name="dice-multiple"
        )
        self.note = label("", "small", wrap=True)
        self.controls = controls(
            field(tr("Numbers in a vector, d"), self.slider, tr("How many numbers a query and a key have")),
            self.length,
            lengths,
            field(tr("Softmax over"), self.keys, tr("How many keys a query is compared with")),
            self.again,
            self.note,
        )

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.plain, self.scaled = Bars(tr("Weights from q · k")), Bars(tr("Weights from q · k / √d"))
        weights = QHBoxLayout()
        weights.setSpacing(8)
        for i, (title, bars) in enumerate(
            [
                (tr("Without: softmax(q · k)"), self.plain),
                (tr("With: softmax(q · k / √d)"), self.scaled),
            ]
        ):
            head = QHBoxLayout()
            head.addWidget(label(title, "heading"), 1)
            head.addWidget(LineKey(i))
            weights.addWidget(card(head, bars, spacing=4, grows=bars), 1)
        self.curves = QWidget()
        self._curves_row = QHBoxLayout(self.curves)
        self._curves_row.setContentsMargins(0, 0, 0, 0)
        self._curves_row.setSpacing(8)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addLayout(weights, 1)
        layout.addWidget(self.curves, 1)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.table = Table(
            tr("Scores and weights, without and with the division"),
            [
                Column(tr("Mean of all queries"), stretch=True),
                Column(tr("q·k"), number=True),
                Column(tr("q·k/√d"), number=True),
            ],
        )
        self.said = label("", wrap=True)
        formula = Formula(
            tr("The spread of a sum of d products is the root of d"),
            [
                Term(r"\mathbf{q}\cdot\mathbf{k}=\textstyle\sum_{i=1}^{d}q_i k_i"),
                Term(r"\;\Rightarrow\;"),
                Term(r"\sigma=\sqrt{d}"),
            ],
            size=1.2,
        )
        why = label(
            tr("Each product has spread 1, and d of them add up to spread √d. The slope says how much the "
               "largest weight still changes with its score; training stands still where it is 0."),
            "small", wrap=True,
        )  # fmt: skip
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for part in (self.heading, self.table, self.said, formula, why):
            column.addWidget(part)
        column.addStretch(1)

    def plots_ready(self) -> None:
        if self._plots:
            return
        from labapp.plots import line_plot

        for title, y in (
            (tr("Spread of the scores"), (tr("standard deviation"), "")),
            (tr("Entropy of the weights"), (tr("entropy"), tr("nats"))),
        ):
            plot = line_plot(title, x=(tr("numbers in a vector, d"), ""), y=y)
            plain, scaled = plot.add_curve(tr("without")), plot.add_curve(tr("divided by √d"))
            scaled.item.setPen(scaled.item.opts["pen"].color(), width=2, style=Qt.PenStyle.DashLine)
            self._curves_row.addWidget(plot, 1)
            self._plots.append((plot, plain, scaled))
        self._draw_curves()

    # Actions.

    def show_first(self) -> None:
        scene = read_json("scenes", "attention", "root-d.json")
        self._scene = scene
        self.seed = scene["seed"]
        self.keys.setCurrentIndex(KEYS.index(scene["keys"]))
        self.slider.setValue(1)
        self.prediction.ask(tr(scene["question"]), [tr(choice["answer"]) for choice in scene["choices"]])
        self._reveal(False)

    def shown(self) -> None:
        if "labapp.plots" in sys.modules:
            self.plots_ready()
        else:
            when_idle("labapp.plots", self, self.plots_ready)
        if not self.measured:
            self.measure()

    def set_length(self, d: int) -> None:
        """Show vectors of d numbers."""
        self.slider.setValue(d // STEP)

    def draw_again(self) -> None:
        """Measure with other random numbers."""
        self.seed += 1
        self.measure()

    def measure(self) -> None:
        """Draw the vectors and measure all lengths."""
        self.measured = []
        keys, seed = self.keys.currentData(), self.seed
        self.context.runner.start(
            Slot(self.lab.name, "spread"),
            lambda: measure_spread(keys, seed),
            title=tr("Drawing random vectors"),
            on_events=self._on_events,
            on_end=lambda outcome: self._draw_curves(),
        )

    def _on_events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, tuple):
                self.measured.extend(event)
        self._show()

    # What is shown.

    @property
    def d(self) -> int:
        """How many numbers a vector has."""
        return self.slider.value() * STEP

    @property
    def at(self) -> SpreadAt | None:
        """The measurement in view, once it is there."""
        place = self.slider.value() - 1
        return self.measured[place] if place < len(self.measured) else None

    def _show(self) -> None:
        who = f" ({KNOWN[self.d]})" if self.d in KNOWN else ""
        self.length.setText(tr("d = {d:,}", d=self.d) + who)
        at = self.at
        if at is None:
            return
        self.note.setText(
            tr("{n:,} random queries with {keys} keys each; the weights are those of the first.",
               n=QUERIES, keys=len(at.products))
        )  # fmt: skip
        for bars, scores in ((self.plain, at.products), (self.scaled, at.products / math.sqrt(at.d))):
            weights = softmax(scores)
            best = np.argsort(at.products)[::-1][:SHOWN].tolist()
            bars.set_bars(
                [Bar(tr("key {i}", i=i + 1), weights[i], f"{weights[i]:.3f}", i == best[0]) for i in best]
            )
        self._show_numbers(at)
        for plot, _, _ in self._plots:
            plot.mark(at.d)

    def _show_numbers(self, at: SpreadAt) -> None:
        a, b, n = at.plain, at.scaled, len(at.products)
        self.heading.setText(tr("With d = {d:,}, √d = {root:.3g}", d=at.d, root=math.sqrt(at.d)))
        self.table.set_rows(
            [
                (tr("spread of scores"), f"{a.spread:.2f}", f"{b.spread:.2f}"),
                (tr("entropy, of {most:.2f} nats", most=math.log(n)), f"{a.entropy:.2f}", f"{b.entropy:.2f}"),
                (tr("largest weight"), f"{a.largest:.2f}", f"{b.largest:.2f}"),
                (tr("its slope, w (1 − w)"), f"{a.slope:.3f}", f"{b.slope:.3f}"),
            ]
        )
        self.table.fit_height()
        self.said.setText(
            tr(
                "Undivided, one key of {n} takes {a:.0f} % of the weight, on average; divided, {b:.0f} %.",
                n=n, a=100 * a.largest, b=100 * b.largest,
            )
        )  # fmt: skip

    def _draw_curves(self) -> None:
        x = [at.d for at in self.measured]
        for (plot, plain, scaled), name in zip(self._plots, ("spread", "entropy"), strict=True):
            plot.set_data(plain, x, [getattr(at.plain, name) for at in self.measured])
            plot.set_data(scaled, x, [getattr(at.scaled, name) for at in self.measured])
            plot.mark(self.d)

    def _answered(self, index: int) -> None:
        scene = self._scene
        if scene is not None:
            self.prediction.reveal(tr(scene["choices"][index]["says"]))
            self._reveal(True)

    def _reveal(self, shown: bool) -> None:
        """Show what answers the question, or keep it back."""
        self.curves.setVisible(shown)
        self.controls.setEnabled(shown)
        for widget in (self.table, self.said):
            widget.setVisible(shown)
        if shown and self._scene is not None:
            self.set_length(self._scene["d"])
            self._scene = None

    # State, pictures.

    def take_focus(self) -> None:
        self.slider.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Why √d"): self.picture}

    def numbers(self) -> Numbers:
        if self.prediction.asking:
            return (), ()
        rows = [
            (
                str(at.d), f"{at.plain.spread:.3f}", f"{at.scaled.spread:.3f}", f"{at.plain.entropy:.3f}",
                f"{at.scaled.entropy:.3f}", f"{at.plain.largest:.3f}", f"{at.scaled.largest:.3f}",
            )
            for at in self.measured
        ]  # fmt: skip
        return (
            "d", tr("spread"), tr("spread, ÷ √d"), tr("entropy"), tr("entropy, ÷ √d"), tr("largest weight"),
            tr("largest weight, ÷ √d"),
        ), rows  # fmt: skip

    def save_state(self) -> dict[str, Any]:
        return {"d": self.d, "keys": self.keys.currentData(), "seed": self.seed}

    def restore_state(self, state: dict[str, Any]) -> None:
        d, keys, seed = state.get("d"), state.get("keys"), state.get("seed")
        if type(d) is int and STEP <= d <= LONGEST:
            self.set_length(d)
        if type(keys) is int and keys in KEYS:
            self.keys.setCurrentIndex(KEYS.index(keys))
        if type(seed) is int and seed >= 0:
            self.seed = seed
