"""Lens: what the model would say if it stopped after each block, at every token of the text.

Stage: `core.interpret.lens.logit_lens` over a text that was read with `core.interpret.inside`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.stages import once, pass_on
from labapp.labs.forward.lens_grid import LensGrid
from labapp.labs.forward.subject import SubjectPage
from labapp.runner import Outcome, Slot
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.parts import WholeLabel, card, controls, label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.inside import Inside
    from core.model.shelf import LoadedModel
    from labapp.labs.forward import ForwardLab

MOST = 5  # tokens that are named for a cell
SURE = 0.5  # probability from which a layer counts as knowing the answer


def read_lens(loaded: LoadedModel, ids: tuple[int, ...]) -> Iterator[Any]:
    """The stage: read the text, then every layer; the text inside the model comes as an event, too."""
    from core.interpret.inside import look_inside
    from core.interpret.lens import logit_lens

    inside = yield from pass_on(look_inside(loaded.model, ids, loaded.lock))
    yield inside
    yield from logit_lens(inside)


class LensPage(SubjectPage):
    """The grid in the middle; the chosen cell's tokens and the way of the answer on the right."""

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.inside: Inside | None = None
        self.of_final: dict[int, Any] = {}  # by layer: probability of what is said in the end
        self.controls = controls(
            self.top,
            label(
                tr(
                    "Every cell is the final norm and the head, applied to that layer's residual stream. "
                    "Only the last layer was trained to be read so: early ones are a guess at best."
                ),
                "small", wrap=True,
            ),
        )  # fmt: skip
        self.grid = LensGrid()
        self.grid.cell_chosen.connect(self.choose)
        self.heading = label(tr("What each layer would say next"), "heading")
        says = WholeLabel(tr("columns: the text; rows: layers, the last on top; color: probability"), "small")
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(self.heading, says, self.grid, spacing=4, grows=self.grid))
        self.cell_title = label("", "heading", wrap=True)
        self.best = Table(
            tr("Most probable tokens in this cell"),
            [Column(tr("Token"), mono=True, stretch=True), Column(tr("Probability"), number=True)],
        )
        self.way_title = label("", "heading", wrap=True)
        self.way = Bars(tr("Probability of the final answer in each layer"))
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for widget in (self.cell_title, self.best, self.way_title):
            column.addWidget(widget)
        column.addWidget(self.way, 1)

    def take_subject(self) -> None:
        loaded, ids = self.subject.loaded, self.subject.ids
        self.inside = None
        self.of_final = {}
        names = [visible(self.subject.token_bytes(i)) for i in ids]
        self.grid.begin(names, 0 if loaded is None else loaded.source.config.layers)
        self.best.set_rows([])
        self.way.set_bars([])
        self.cell_title.setText("")
        self.way_title.setText("")
        if loaded is None or not ids:
            return
        self.context.runner.start(
            Slot(self.lab.name, "lens"),
            lambda: read_lens(loaded, ids),
            title=tr("Reading the layers"),
            on_events=self._on_events,
            on_end=self._on_end,
        )

    def _on_events(self, events: list[Any]) -> None:
        from core.interpret.inside import Inside
        from core.interpret.lens import LensRow

        for event in events:
            match event:
                case Inside():
                    self.inside = event
                case LensRow(layer=layer):
                    names = [visible(self.subject.token_bytes(i)) for i in event.tokens.tolist()]
                    self.grid.set_row(layer, names, event.probabilities.numpy().astype(np.float32))
                    self.of_final[layer] = event.of_final.tolist()
                case _:
                    pass

    def _on_end(self, outcome: Outcome) -> None:
        self.lab.show_failure(outcome)
        if self.grid.complete:
            self.choose(*self.grid.chosen)

    def choose(self, layer: int, position: int) -> None:
        """Show one cell and the way of its column."""
        self.grid.choose(layer, position)
        inside = self.inside
        if inside is None or not self.grid.complete:
            return
        self.cell_title.setText(self.grid.says((layer, position)))
        from core.interpret.lens import lens_cell

        self.lab.ask(
            "cell",
            lambda: once(lambda: lens_cell(inside, layer, position, MOST)),
            tr("Reading a cell"),
            self._show_cell,
        )
        layers = sorted(self.of_final, reverse=True)
        final = self.grid.name_of((layers[0], position))
        shares = [self.of_final[n][position] for n in layers]
        sure = next((n for n in reversed(layers) if self.of_final[n][position] >= SURE), None)
        where = tr("never above one half") if sure is None else _of_layer(sure)
        self.way_title.setText(tr("Probability of “{token}”: {where}", token=final, where=where))
        step = max(1, math.ceil(len(layers) / 16))
        self.way.set_bars(
            [
                Bar(tr("emb") if n == 0 else str(n - 1), share, f"{100 * share:.0f} %", strong=n == layer)
                for n, share in zip(layers, shares, strict=True)
                if (layers[0] - n) % step == 0 or n == layer
            ]
        )

    def _show_cell(self, best: list[tuple[int, float]]) -> None:
        self.best.set_rows(
            [(visible(self.subject.token_bytes(i)), f"{100 * share:.1f} %") for i, share in best]
        )
        self.best.fit_height()

    def take_focus(self) -> None:
        self.grid.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Logit lens"): self.grid.viewport(), tr("Way of the answer"): self.way}


def _of_layer(layer: int) -> str:
    """From where on the answer is known."""
    return tr("one half from the start") if layer == 0 else tr("one half from block {n} on", n=layer - 1)
