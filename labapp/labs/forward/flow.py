"""The pass: every tensor from the tokens to the probabilities, with its shape, its cost and its numbers.

Sizes come from `core.model.anatomy`; numbers from a traced pass, `core.interpret.values`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.model.anatomy import Part, pass_parts, sum_parameters
from labapp.labs.forward.flow_picture import FlowPicture, shape_of
from labapp.labs.forward.subject import SubjectPage
from labapp.labs.forward.values_view import Dials, ValuesView
from labapp.widgets.formula import Formula, Term
from labapp.widgets.parts import ViewButtons, button, card, controls, field, inset, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.values import Values
    from labapp.labs.forward import ForwardLab

WALK_MS = 900  # between two steps of the walk
VIEWS = (
    ("Picture", "The pass as boxes"),
    ("Ladder of shapes", "Every tensor of the pass in a table"),
    ("Add up the parameters", "What the model is made of, beside what its file holds"),
)


class FlowPage(SubjectPage):
    """The picture in the middle, or its two tables; the chosen tensor on the right."""

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.parts: list[Part] = []
        self.values: Values | None = None
        self.part = "embed"
        self.total = 0  # FLOPs
        self._scene: dict[str, Any] | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._walk = QTimer(self)
        self._walk.setInterval(WALK_MS)
        self._walk.timeout.connect(self._step)

    def _build_controls(self) -> None:
        self.block = QSpinBox()
        self.block.setRange(0, 0)
        inset(self.block)
        self.block.setKeyboardTracking(False)
        self.block.valueChanged.connect(lambda _: self._block_changed())
        self.token = QComboBox()
        self.token.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.token.activated.connect(lambda _: self._show_part())
        self.back = button(tr("Back"), partial(self._go, -1), tip=tr("One part back (Up)"))
        self.on = button(tr("Next part"), partial(self._go, 1), tip=tr("One part on (Down)"))
        self.play = button(tr("Walk"), self.walk, tip=tr("Go through the pass part by part"))
        self.play.setCheckable(True)
        row = QHBoxLayout()
        row.setSpacing(6)
        for made in (self.back, self.on, self.play):
            row.addWidget(made)
        self.sums = label("", "small", wrap=True)
        self.controls = controls(
            self.top,
            field(tr("Open block"), self.block, tr("Whose inside is shown")),
            field(
                tr("Numbers of the token"), self.token, tr("Where a tensor has heads: whose part is shown")
            ),
            row,
            self.sums,
        )

    def _build_picture(self) -> None:
        self.picture_view = FlowPicture(self.tip)
        self.picture_view.part_chosen.connect(self.choose)
        self.picture_view.touched.connect(self._end_walk)
        self.picture_view.block_chosen.connect(self.block.setValue)
        self.ladder = Table(
            tr("All tensors of the pass"),
            [
                Column(tr("Tensor"), stretch=True), Column(tr("Shape"), number=True, mono=True),
                Column(tr("Bytes"), number=True), Column(tr("FLOPs"), number=True),
                Column(tr("Share"), number=True),
            ],
        )  # fmt: skip
        self.ladder.row_chosen.connect(self._row_chosen)
        self.parameters = Table(
            tr("All parameters"),
            [
                Column(tr("Parameters"), stretch=True), Column(tr("Shape"), number=True, mono=True),
                Column(tr("Times"), number=True), Column(tr("Numbers"), number=True),
                Column(tr("Stored as"), number=True), Column(tr("Bytes in file"), number=True),
            ],
        )  # fmt: skip
        self.added = label("", "", wrap=True)
        sums = QWidget()
        column = QVBoxLayout(sums)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.parameters, 1)
        column.addWidget(self.added)
        self.views = QStackedWidget()
        for widget in (self.picture_view, self.ladder, sums):
            self.views.addWidget(widget)
        self.head = ViewButtons(VIEWS, self.show_view)
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show_costs)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(card(self.head, self.views, margin=10, spacing=6, grows=self.views), 1)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.formula = Formula(tr("How it is made"), size=1.25)
        self.says = label("", "small", wrap=True)
        self.facts = Table(tr("Sizes"), [Column(tr("Size"), stretch=True), Column("", number=True)])
        self.numbers_title = label("", "heading", wrap=True)
        self.view = ValuesView()
        self.spread = label("", "small", wrap=True)
        self.dials = Dials()
        self.dials_says = label(
            tr("Pairs of numbers in head 0, pale before and blue after the turn; below by how much."),
            "small", wrap=True,
        )  # fmt: skip
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        for widget in (self.title, self.formula, self.says, self.facts, self.dials, self.dials_says,
                       self.numbers_title):  # fmt: skip
            column.addWidget(widget)
        column.addWidget(self.view, 1)
        column.addWidget(self.spread)

    # The text.

    def take_subject(self) -> None:
        loaded, ids = self.subject.loaded, self.subject.ids
        self.values = None
        self.token.clear()
        if loaded is None or not ids:
            self.parts = []
            self.picture_view.set_parts([], 0, 0)
            self.ladder.set_rows([])
            self.parameters.set_rows([])
            self.added.setText("")
            self._show_costs()
            return
        config = loaded.source.config
        self.block.blockSignals(True)
        self.block.setRange(0, config.layers - 1)
        self.block.blockSignals(False)
        self.parts = pass_parts(config, len(ids))
        self.token.addItems([f"{n}  {visible(self.subject.token_bytes(i))}" for n, i in enumerate(ids[:256])])
        self.token.setCurrentIndex(self.token.count() - 1)
        self._show_sizes()
        self._show_sum()
        self.picture_view.set_ends("", "")
        self._block_changed()

    def _block_changed(self) -> None:
        loaded, ids = self.subject.loaded, self.subject.ids
        if loaded is None or not ids:
            return
        layer = self.block.value()
        self.picture_view.set_parts(self.parts, loaded.source.config.layers, layer)
        names = self.picture_view.order
        if self.part not in names:  # the same part of another block
            ending = self.part.split(".", 2)[-1]
            self.part = next((n for n in names if n == f"blocks.{layer}.{ending}"), names[0])
        self.values = None
        self._show_part()
        self.lab.attempt(self._read, loaded, ids, layer)

    def _read(self, loaded: Any, ids: tuple[int, ...], layer: int) -> None:
        from core.interpret.values import read_values

        self.lab.ask(
            "values", lambda: read_values(loaded.model, ids, layer), tr("Reading the text"), self._take
        )

    def _take(self, values: Values) -> None:
        self.values = values
        text = "".join(visible(self.subject.token_bytes(i)) for i in self.subject.ids[:40])
        best = int(np.argmax(values.slab("probabilities", 0)[0]))
        share = float(values.slab("probabilities", 0)[0, best])
        self.picture_view.set_ends(
            tr("{n} tokens: {text}", n=len(self.subject.ids), text=text.replace("␣", " ")),
            tr("→ “{token}” {share:.1f} %", token=visible(self.subject.token_bytes(best)), share=100 * share),
        )
        self._show_part()

    # Choosing.

    def choose(self, name: str) -> None:
        """Show one tensor."""
        self.part = name
        self._show_part()

    def _end_walk(self) -> None:
        self._walk.stop()
        self.play.setChecked(False)

    def _go(self, by: int) -> None:
        self._end_walk()
        self.picture_view.walk(by)

    def walk(self) -> None:
        """Begin or end the walk through the pass."""
        if self.play.isChecked():
            if self.part == self.picture_view.order[-1:][0]:
                self.picture_view.choose("")
            self._walk.start()
        else:
            self._end_walk()

    def _step(self) -> None:
        if not self.parts:
            return  # the model is still being loaded
        if not self.picture_view.isVisible() or not self.picture_view.walk(1):
            self._end_walk()

    def show_view(self, n: int) -> None:
        """Show the picture, the ladder or the sum."""
        self.head.mark(n)
        self.views.setCurrentIndex(n)

    def _row_chosen(self, row: int) -> None:
        name = self.parts[row].name
        if name.startswith("blocks."):
            self.block.setValue(int(name.split(".")[1]))
        self.picture_view.choose(name)
        self.choose(name)

    # What is shown.

    def tip(self, part: Part) -> str:
        """A part in words."""
        says = tr(
            "{title}: {shape} = {numbers:,} numbers, {bytes}; {flops} FLOPs. {says}",
            title=tr(part.title), shape=shape_of(part), numbers=part.numbers, bytes=amount(part.bytes, "B"),
            flops=amount(part.flops), says=tr(part.says),
        )  # fmt: skip
        if self.values is not None and part.name in self.values:
            spread = self.values.spreads[part.name]
            says += " " + tr(
                "Numbers from {low:.3g} to {high:.3g}, mean {mean:.3g}.",
                low=spread.low, high=spread.high, mean=spread.mean,
            )  # fmt: skip
        return says

    def _show_part(self) -> None:
        part = next((each for each in self.parts if each.name == self.part), None)
        if part is None:
            return
        self.picture_view.choose(part.name)
        self.title.setText(f"{tr(part.title).capitalize()} ({part.name})")
        self.formula.set_terms([Term(part.formula)] if part.formula else [])
        self.formula.setVisible(bool(part.formula))
        self.says.setText(tr(part.says))
        config = self.subject.loaded.source.config if self.subject.loaded is not None else None
        shapes = {} if config is None else config.shapes()
        rows = [(f"{size:,}", tr(axis)) for axis, size in zip(part.axes, part.shape, strict=True)]
        facts = [(tr(axis), size) for size, axis in rows]
        facts += [
            (tr("bytes as float32"), amount(part.bytes, "B")),
            (tr("FLOPs of matrix products"), amount(part.flops)),
            (tr("parameters"), f"{sum(int(np.prod(shapes.get(n, ()))) for n in part.parameters):,}"
             if part.parameters else tr("none")),
        ]  # fmt: skip
        self.facts.set_rows(facts)
        self.facts.fit_height()
        self._show_numbers(part)

    def _show_numbers(self, part: Part) -> None:
        values = self.values
        known = values is not None and part.name in values
        turned = part.name.endswith((".attn.rot_q", ".attn.rot_k"))
        self.dials.setVisible(known and turned)
        self.dials_says.setVisible(known and turned)
        self.view.setVisible(known)
        self.numbers_title.setText("" if known else tr("Its numbers are being read…"))
        self.spread.setText("")
        if values is None or not known:
            return
        token = min(max(0, self.token.currentIndex()), values.tokens - 1)
        slab = values.slab(part.name, token)
        by_heads = len(part.shape) == 3
        if by_heads:
            names = [tr("head {n}", n=n) for n in range(slab.shape[0])]
            self.numbers_title.setText(
                tr("Of “{token}”, by heads", token=self.token.currentText()[3:].strip())
            )
            self.view.set_matrix(slab, names)
        elif slab.shape[0] == 1:
            self.numbers_title.setText(tr("Of the last token, {n:,} numbers", n=slab.shape[1]))
            self.view.set_matrix(slab)
        else:
            tokens = [visible(self.subject.token_bytes(i)) for i in self.subject.ids[: values.tokens]]
            self.numbers_title.setText(tr("Of every token, {n:,} numbers each", n=slab.shape[1]))
            self.view.set_matrix(slab, tokens, token)
        spread = values.spreads[part.name]
        says = tr(
            "From {low:.3g} to {high:.3g}, mean {mean:.3g}, standard deviation {deviation:.3g}; the color is "
            "full at ±{full:.3g}, blue below 0.",
            low=spread.low, high=spread.high, mean=spread.mean, deviation=spread.deviation,
            full=self.view.full,
        )  # fmt: skip
        if spread.infinite:
            says += " " + tr("{n:,} are −∞: masked.", n=spread.infinite)
        if values.tokens < len(self.subject.ids):
            says += " " + tr("Of the first {n} tokens.", n=values.tokens)
        self.spread.setText(says)
        if turned:
            self._show_dials(part, values, token)

    def _show_dials(self, part: Part, values: Values, token: int) -> None:
        loaded = self.subject.loaded
        if loaded is None:
            return
        from core.model.rope import frequencies

        before = values.pairs(part.name.replace("rot_", ""), token, 0)
        after = values.pairs(part.name, token, 0)
        self.dials.set_pairs(before, after, token * frequencies(loaded.source.config).double().numpy())

    def _show_sizes(self) -> None:
        total = self.total = sum(part.flops for part in self.parts)
        parts = self.parts  # the table asks for rows later, too
        self.ladder.rows.set_source(len(parts), lambda i: self._ladder_row(parts[i], total))
        self._show_costs()

    def _show_costs(self) -> None:
        """How the cost is shared out; not while that is asked."""
        if not self.parts or self.prediction.asking:
            self.sums.setText("")
            return
        attention = sum(p.flops for p in self.parts if ".attn" in p.name)
        mlp = sum(p.flops for p in self.parts if ".mlp" in p.name)
        head = next(p.flops for p in self.parts if p.name == "logits")
        self.sums.setText(
            tr(
                "{total} FLOPs for {n:,} tokens: attention {a:.0f} %, MLPs {m:.0f} %, head {h:.0f} %.",
                total=amount(self.total), n=len(self.subject.ids), a=100 * attention / self.total,
                m=100 * mlp / self.total, h=100 * head / self.total,
            )
        )  # fmt: skip

    def _ladder_row(self, part: Part, total: int) -> tuple[str, ...]:
        share = f"{100 * part.flops / total:.1f} %" if part.flops else ""
        return part.name, shape_of(part), amount(part.bytes, "B"), amount(part.flops), share

    def _show_sum(self) -> None:
        loaded = self.subject.loaded
        if loaded is None:
            return
        made = sum_parameters(loaded.source)
        rows = [
            (tr(g.title), " × ".join(f"{s:,}" for s in g.shape), f"{g.count:,}", f"{g.numbers:,}",
             ", ".join(g.kinds), f"{g.stored:,}")
            for g in made.groups
        ]  # fmt: skip
        self.parameters.set_rows(rows)
        agrees = tr("just as many") if made.numbers == made.in_file else tr("not as many: something is wrong")
        says = tr(
            "Together {sum:,} parameters. The file's tensors hold {file:,}: {agrees}. They take {stored} "
            "there, {bits:.2f} bits each, and {memory} as float32 in memory.",
            sum=made.numbers, file=made.in_file, agrees=agrees, stored=amount(made.stored, "B"),
            bits=8 * made.stored / max(1, made.numbers), memory=amount(4 * made.numbers, "B"),
        )  # fmt: skip
        if made.tied:
            says += " " + tr("The head is the embedding table, counted once.")
        self.added.setText(says)

    # The scene.

    def show_scene(self, scene: dict[str, Any]) -> None:
        """Ask where the work is done, and walk through the pass meanwhile."""
        self._scene = scene
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._show_costs()
        if not self.context.reduced_motion:
            self.play.setChecked(True)
            self._walk.start()

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._show_costs()

    def take_focus(self) -> None:
        self.picture_view.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("The pass"): self.picture_view, tr("Numbers"): self.view}

    def save_state(self) -> dict[str, Any]:
        return {"block": self.block.value(), "part": self.part, "view": self.views.currentIndex()}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("part"), str):
            self.part = state["part"]
        if isinstance(state.get("block"), int):
            self.block.setMaximum(max(0, state["block"]))
            self.block.setValue(max(0, state["block"]))
        if isinstance(state.get("view"), int) and 0 <= state["view"] < len(VIEWS):
            self.show_view(state["view"])


def amount(value: int, unit: str = "") -> str:
    """A large number in three digits.

    >>> amount(2_696_509_440), amount(96_576_768, "B"), amount(0), amount(640, "B")
    ('2.70 G', '96.6 MB', '0', '640 B')
    """
    if value < 1000:
        return f"{value} {unit}".strip()
    for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "k")):
        if value >= 1000**power:
            shown = value / 1000**power
            digits = 2 if shown < 10 else 1 if shown < 100 else 0
            return f"{shown:.{digits}f} {letter}{unit}"
    return str(value)
