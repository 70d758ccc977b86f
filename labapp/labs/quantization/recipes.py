"""What is Q4_K_M? The name taken apart, and which tensor of which layer gets which type.

What to notice: the letter after K says where more bits are spent. Stage: `core.quantization.recipes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core.stages import once
from labapp.labs.quantization.choosing import SourcePicker, subject_of
from labapp.labs.quantization.models import Planned, plan_all
from labapp.labs.quantization.page import column
from labapp.labs.quantization.type_grid import TypeGrid
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.recipes import Plan
    from labapp.labs.quantization import QuantizationLab

MIXES = ("Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M")
ALL = "all"
FIRST = ("Qwen3-8B", "Q4_K_M")


class RecipesPage(PicturePage):
    """Model and mixes on the left, the grid in the middle, where the bits go on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.planned: Planned | None = None
        self._scene = read_json("scenes", "quantization", "mix.json")
        self._wanted = FIRST[0]
        self._shown: tuple[str, ...] = ("Q4_K_S", "Q4_K_M")
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.model = SourcePicker(tr("Model"), self.context.workspace, shapes=True)
        self.model.chosen.connect(self.compute)
        self.mixes = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for n, name in enumerate(MIXES):
            made = button(name, partial(self.toggle, name), tip=tr("Show this mix, or leave it out"),
                          role="sample")  # fmt: skip
            made.setCheckable(True)
            self.mixes[name] = made
            grid.addWidget(made, n // 2, n % 2)
        self.all = button(
            tr("All five"), partial(self.show_mixes, MIXES), tip=tr("All side by side"), role="sample"
        )
        grid.addWidget(self.all, 2, 1)
        self.no_l = label(
            tr("llama.cpp has no Q4_K_L. Files that others name _L have token embedding and output in "
               "Q8_0."),
            "small", wrap=True,
        )  # fmt: skip
        self.taken_apart = label(
            tr("Q4: codes of 4 bits.\nK: the block format, 256 weights with scales of few bits.\nM: the mix. "
               "S, M and L spend few, more and most bits on the tensors where errors do harm."),
            "small", wrap=True,
        )  # fmt: skip
        self.controls = controls(
            field(tr("Model"), self.model, tr("Whose tensors")), label(tr("Mixes"), "small"), grid,
            self.taken_apart, self.no_l,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        self.grid = TypeGrid(tr("Type of each tensor, layer by layer"))
        self.grid_card = card(self.grid, margin=10, grows=self.grid)
        self.caption = label("", "", wrap=True)
        self.picture = column(self.prediction, self.grid_card, self.caption, grows=self.grid_card)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.title = label("", "small", wrap=True)
        self.bits = Table(
            tr("Where the bits go"),
            [
                Column(tr("Type"), stretch=True), Column(tr("Tensors"), number=True),
                Column(tr("% weights"), number=True), Column(tr("Bits"), number=True),
            ],
        )  # fmt: skip
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.title)
        layout.addWidget(self.bits, 1)

    # What is shown.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown(self) -> None:
        if self.planned is None:
            self.compute(self._wanted)
        self._show()

    def compute(self, model: str) -> None:
        """Carry out all mixes on a model."""
        subject = self.lab.attempt(subject_of, self.context.workspace, model)
        if subject is None:
            return
        self._wanted = model
        self.lab.ask(
            "plans", lambda: once(lambda: plan_all(subject, MIXES)), tr("Computing types"), self._take
        )

    def _take(self, planned: Planned) -> None:
        self.planned = planned
        self.model.show_subject(planned.subject)
        self._show()

    def toggle(self, name: str) -> None:
        """Show a mix, or leave it out; one always stays."""
        kept = set(self._shown) ^ {name}
        self.show_mixes(tuple(mix for mix in MIXES if mix in kept) or (name,))

    def show_mixes(self, names: Sequence[str]) -> None:
        """Show these mixes side by side."""
        self._shown = tuple(names)
        self._show()

    def plans(self) -> list[Plan]:
        """The mixes that are shown."""
        made = self.planned.plans if self.planned is not None else ()
        return [plan for plan in made if plan.recipe.name in self._shown]

    def _show(self) -> None:
        asking = self.prediction.asking
        for name, made in self.mixes.items():
            made.setChecked(name in self._shown)
            made.setEnabled(not asking)
        self.all.setEnabled(not asking)
        self.details.setEnabled(not asking)
        for part in (self.bits, self.title, self.taken_apart):
            part.setVisible(not asking)
        if self.planned is not None:
            self.grid.set_plans(self.plans(), self.planned.config.layers, asking)
            last = self.plans()[-1]
            self.heading.setText(
                tr("The answer is shown after the question.")
                if asking else tr("{mix}: where the bits go", mix=last.recipe.name)
            )  # fmt: skip
            self.title.setText("" if last.title == last.recipe.name else last.title)
            self.title.setVisible(bool(self.title.text()) and not asking)
            self.bits.set_rows([] if asking else self._bit_rows(last))
        self.caption.setText(self.summary())

    def _shares(self, plan: Plan) -> list[tuple[str, int, int, int]]:
        """Type, tensors, weights and bytes, the largest share first."""
        found: dict[str, tuple[int, int, int]] = {}
        for choice in plan.choices:
            n, weights, size = found.get(choice.kind, (0, 0, 0))
            found[choice.kind] = (n + 1, weights + choice.tensor.numbers, size + choice.bytes)
        return sorted(((kind, *sums) for kind, sums in found.items()), key=lambda row: -row[3])

    def _bit_rows(self, plan: Plan) -> list[tuple[str, str, str, str]]:
        rows = [
            (kind, f"{n}", f"{100 * weights / plan.numbers:.2f}", f"{8 * size / plan.numbers:.4f}")
            for kind, n, weights, size in self._shares(plan)
        ]
        return [*rows, (tr("sum"), f"{len(plan.choices)}", "100.00", f"{plan.bits_per_weight:.4f}")]

    def summary(self) -> str:
        if self.planned is None or self.prediction.asking:
            return ""
        plan = self.plans()[-1]
        added = " + ".join(
            tr("{bits:.5g} × {share:.4g} % {kind}", bits=8 * size / weights, kind=kind,
               share=100 * weights / plan.numbers)
            for kind, _, weights, size in self._shares(plan)
        )  # fmt: skip
        return tr(
            "{mix} on {model}: {added} = {bits:.4f} bits a weight, {size}. Norms and biases "
            "stay as they are.",
            mix=plan.recipe.name, model=self.model.title, added=added, bits=plan.bits_per_weight,
            size=f"{plan.bytes / 1e9:.2f} GB" if plan.bytes > 5e8 else f"{plan.bytes / 1e6:.2f} MB",
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        said = tr("Yes.") if index == self._scene["right"] else tr("Not quite.")
        self.prediction.reveal(tr("{said} {more}", said=said, more=tr(self._scene["reveal"])))
        self._show()

    def numbers(self) -> Numbers:
        if self.planned is None or self.prediction.asking:
            return (), ()
        plans = self.plans()
        rows = [
            (choices[0].tensor.name, *(choice.kind for choice in choices))
            for choices in zip(*(plan.choices for plan in plans), strict=True)
        ]
        return (tr("tensor"), *(plan.recipe.name for plan in plans)), rows

    def open_files(self, files: list[Path]) -> None:
        self.compute(f"file:{files[0]}")

    def take_focus(self) -> None:
        self.model.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Types"): self.grid_card}

    def save_state(self) -> dict[str, Any]:
        return {"model": self._wanted, "mixes": list(self._shown)}

    def restore_state(self, state: dict[str, Any]) -> None:
        model, names = state.get("model"), state.get("mixes")
        if isinstance(model, str):
            self._wanted = model
        if isinstance(names, list):
            self._shown = tuple(mix for mix in MIXES if mix in names) or self._shown
        self.compute(self._wanted)
