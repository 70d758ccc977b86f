"""What came out of a recipe: its title, the error of each kind of tensor, and where the file can go next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from labapp.labs.quantization.page import figures
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.parts import button, label
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.quantize import TensorDone
    from core.quantization.recipes import Plan


class Results(QWidget):
    """The details of the page Quantize.

    Args:
        compare: Called to compare the chosen file.
        take_away: Called to take it away.
        open_in: Called to open it elsewhere.
    """

    def __init__(
        self, compare: Callable[[], None], take_away: Callable[[], None], open_in: Callable[[], None]
    ) -> None:
        super().__init__()
        self.heading = label("", "heading", wrap=True)
        self.says = label("", "small", wrap=True)
        self.bars = Bars(tr("Error by kind of tensor"))
        self.bars_title = label(tr("Error by kind of tensor (%)"), "small")
        self.compare_button = button(
            tr("Compare"), compare, tip=tr("What these bits cost, on the page Compare")
        )
        self.away_button = button(tr("Take it away"), take_away, tip=tr("The file for llama.cpp and Ollama"))
        self.open_button = button(tr("Open in…"), open_in, tip=tr("Look inside, here or in another lab"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        for part in (self.heading, self.says, self.bars_title):
            layout.addWidget(part)
        layout.addWidget(self.bars, 1)
        for made in (self.compare_button, self.away_button, self.open_button):
            layout.addWidget(made)
        layout.addStretch()

    def show_plan(self, plan: Plan | None, done: Sequence[TensorDone], asking: bool, made: bool) -> None:
        """Show a recipe: what it is on paper, what was done so far, and whether its file is there."""
        self.heading.setText(plan.recipe.name if plan is not None else "")
        self.says.setText(_came_out(plan, done, asking) if plan is not None else "")
        self.bars.set_bars([Bar(name, 100 * e, f"{100 * e:.2f}") for name, e in by_kind(done)])
        for part in (self.bars, self.bars_title):
            part.setVisible(any(one.error for one in done))
        for shown in (self.compare_button, self.away_button, self.open_button):
            shown.setVisible(made)


def _came_out(plan: Plan, done: Sequence[TensorDone], asking: bool) -> str:
    if asking:
        return tr("The answer is shown after the question.")
    parts = [plan.title if plan.fallbacks else tr(plan.recipe.about)]
    parts.append(tr("{n:.4f} bits a weight, {size:,.2f} MB.", n=plan.bits_per_weight, size=plan.bytes / 1e6))
    trips = sum(one.copied and one.choice.why != "kept" for one in done)
    if trips:
        parts.append(tr("Round trips: {n}. Their bytes were copied, not rounded anew.", n=trips))
    return "\n".join(parts)


def tensor_row(one: TensorDone) -> tuple[str, ...]:
    """A tensor as a row of the table."""
    note = ""
    if one.choice.why == "fallback":
        note = tr("{kind} asked", kind=one.choice.wanted)
    elif one.choice.why == "kept":
        note = tr("kept")
    elif one.copied:
        note = tr("round trip")
    error = figures(100 * one.error) if one.error else "0"
    return (one.choice.tensor.name, one.stored, one.choice.kind, f"{one.bytes:,}", error, note)


def by_kind(done: Sequence[TensorDone]) -> list[tuple[str, float]]:
    """The mean relative error of each kind of tensor over layers, of those that were rounded."""
    found: dict[str, list[float]] = {}
    for one in done:
        if one.error:
            name = one.choice.tensor.name.removesuffix(".weight").split(".")[-1]
            found.setdefault(name, []).append(one.error)
    return sorted(((name, sum(e) / len(e)) for name, e in found.items()), key=lambda pair: -pair[1])
