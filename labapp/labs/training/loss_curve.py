"""The loss of one token as a curve: −ln p over p, with a point that a person drags."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from labapp.widgets.parts import button, label
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.plots import Plot, Series

STEPS = 1000  # of the slider: p in tenths of a percent
HIGH = 7.0  # nats that are shown at least: p down to 0.001
LEAST = 1e-30  # the smallest p that has a loss here; float32 gives no smaller one


def chance(p: float) -> str:
    """A probability as it is written: small ones as one in so many.

    >>> chance(0.25), chance(0.0000001)
    ('0.25', '1 in 10,000,000')
    """
    return f"{p:.2g}" if p >= 0.0001 else tr("1 in {n:,.0f}", n=1 / max(p, LEAST))


class LossCurve(QWidget):
    """A plot over a slider; `moved` tells a p that a person has chosen.

    Attributes:
        p: The probability that the point stands for.
    """

    moved = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.p = 0.25
        self._own: float | None = None  # the p of the token that was clicked
        self.plot: Plot | None = None
        self._point: Series | None = None
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, STEPS)
        self.slider.setPageStep(STEPS // 20)
        self.slider.setAccessibleName(tr("Probability of the true token"))
        self.slider.setToolTip(tr("Drag: how probable the model holds the token that comes"))
        self.slider.valueChanged.connect(lambda value: self._choose(value / STEPS))
        self.back = button(tr("Back to the token"), self.show_own, tip=tr("The model's own p again"))
        self.says = label("", "", wrap=True)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(label("p", "small"))
        row.addWidget(self.slider, 1)
        row.addWidget(self.back)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self._layout.addStretch(1)
        self._layout.addLayout(row)
        self._layout.addWidget(self.says)
        self._show()

    def plots_ready(self) -> None:
        """pyqtgraph is imported."""
        if self.plot is not None:
            return
        import pyqtgraph as pg

        from labapp.plots import line_plot

        self.plot = line_plot(
            tr("Loss of one token: −ln p"), x=(tr("probability p of the token that comes"), ""),
            y=(tr("loss"), tr("nats")), whole=False,
        )  # fmt: skip
        curve = self.plot.add_curve(tr("−ln p"))
        p = np.geomspace(0.001, 1, 300)
        self.plot.set_data(curve, p, -np.log(p))
        self._point = self.plot.add_curve(tr("the token"))
        self._point.item.setSymbol("o")
        self._point.item.setSymbolSize(11)
        self._point.item.setSymbolBrush(self._point.item.opts["pen"].color())
        self._handle = pg.InfiniteLine(self.p, movable=True, bounds=(0.001, 1.0))
        self._handle.setPen(pg.mkPen(self._point.item.opts["pen"].color(), style=Qt.PenStyle.DotLine))
        self._handle.sigDragged.connect(self._dragged)  # a lambda would keep the plot alive
        self.plot.view.addItem(self._handle, ignoreBounds=True)
        self.plot.view.setMouseEnabled(x=False, y=False)
        self.plot.view.setXRange(0, 1, padding=0.02)
        self._layout.insertWidget(0, self.plot, 1)
        self._layout.setStretch(1, 0)
        self._show()

    def show_token(self, p: float) -> None:
        """Put the point where a token is."""
        self._own = p
        self.show_own()

    def show_own(self) -> None:
        """Put the point back to the token that was clicked."""
        if self._own is not None:
            self.p = self._own
            self._show()

    def _dragged(self, line: object) -> None:
        self._choose(float(self._handle.value()))

    def _choose(self, p: float) -> None:
        self.p = min(1.0, max(1 / STEPS, p))
        self._show()
        self.moved.emit(self.p)

    def _show(self) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(self.p * STEPS))
        self.slider.blockSignals(False)
        self.back.setEnabled(self._own is not None and self.p != self._own)
        loss = -math.log(max(self.p, LEAST)) + 0.0  # no −0 at p = 1
        choices = math.exp(loss)
        words = tr(
            "p = {p}: the loss −ln p is {loss:.2f} nats; e^loss = {n}, as if among so many equal tokens",
            p=chance(self.p), loss=loss, n=f"{choices:.3g}" if choices < 100 else f"{choices:,.0f}",
        )  # fmt: skip
        self.says.setText(words)
        self.slider.setAccessibleDescription(words)
        if self.plot is not None and self._point is not None:
            self.plot.set_data(self._point, [max(self.p, LEAST)], [loss])
            self._handle.setValue(max(self.p, 0.001))
            self.plot.view.setYRange(0, max(HIGH, loss), padding=0.06)
