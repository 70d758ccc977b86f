"""The tensors of a model against the reference's, worst first, with histograms of weights and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from labapp.labs.quantization.page import figures
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import card, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.tensors import Spread, TensorError
    from labapp.plots import Plot


class TensorLosses(QWidget):
    """The list above, two histograms of the chosen tensor below; `chosen` tells its name."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.errors: tuple[TensorError, ...] = ()
        self.name = ""
        self.title = label("", "heading")
        self.table = Table(
            tr("Tensors, worst first"),
            [
                Column(tr("Tensor"), mono=True, stretch=True), Column(tr("Type")),
                Column(tr("Shape"), number=True), Column(tr("Bytes"), number=True),
                Column(tr("Error (%)"), number=True), Column(tr("Largest"), number=True),
            ],
        )  # fmt: skip
        self.table.row_chosen.connect(self._choose)
        self.weights: Plot | None = None
        self.wrong: Plot | None = None
        self._row = QHBoxLayout()
        self._row.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(card(self.title, self.table, margin=8, grows=self.table), 1)
        layout.addLayout(self._row, 1)

    def plots_ready(self) -> None:
        """pyqtgraph is imported."""
        if self.weights is not None:
            return
        from labapp.plots import Plot

        self.weights = Plot(tr("Weights"), (tr("weight"), ""), (tr("weights in a bin"), ""), whole=False)
        self.weights.add_curve(tr("reference"))
        self.weights.add_curve(tr("rounded"))
        self.wrong = Plot(tr("Errors"), (tr("error"), ""), (tr("weights in a bin"), ""), whole=False)
        self.wrong.add_curve(tr("error"))
        for plot in (self.weights, self.wrong):
            self._row.addWidget(plot, 1)

    def show_errors(self, name: str, errors: Sequence[TensorError]) -> None:
        """List the tensors of a model, and choose the worst."""
        self.errors = tuple(errors)
        self.title.setText(tr("{name}: tensors, worst first", name=name) if errors else "")
        self.table.set_rows([_row(one) for one in errors], 0 if errors else None)
        if errors:
            self._choose(0)

    def _choose(self, row: int) -> None:
        if 0 <= row < len(self.errors):
            self.name = self.errors[row].name
            self.chosen.emit(self.name)

    def show_spread(self, spread: Spread) -> None:
        """Draw the histograms of a tensor."""
        if self.weights is None or self.wrong is None:
            return
        middles, counts = _steps(spread.edges.numpy(), spread.reference.numpy())
        self.weights.set_data(self.weights.series[0], middles, counts)
        middles, counts = _steps(spread.edges.numpy(), spread.model.numpy())
        self.weights.set_data(self.weights.series[1], middles, counts)
        middles, counts = _steps(spread.error_edges.numpy(), spread.errors.numpy())
        self.wrong.set_data(self.wrong.series[0], middles, counts)

    def numbers(self) -> Numbers:
        """The list as a table."""
        return [column.title for column in self.table.rows.columns], [_row(one) for one in self.errors]


def _row(one: TensorError) -> tuple[str, ...]:
    shape = " × ".join(f"{size:,}" for size in one.shape)
    error = figures(100 * one.error) if one.error else "0"
    return (one.name, one.kind, shape, f"{one.bytes:,}", error, figures(one.largest))


def _steps(edges: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A histogram as the outline of its bins.

    >>> [x.tolist() for x in _steps(np.array([0.0, 1.0, 2.0]), np.array([3.0, 5.0]))]
    [[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [0.0, 3.0, 3.0, 5.0, 5.0, 0.0]]
    """
    x = np.repeat(edges, 2)
    y = np.concatenate([[0.0], np.repeat(counts, 2), [0.0]])
    return x, y
