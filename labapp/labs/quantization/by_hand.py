"""Round by hand: real weights on number lines, the levels of their block, and an outlier that ruins them.

What to notice: the largest weight of a block sets the distance of its levels. Stage:
`core.quantization.by_hand`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSpinBox, QStackedWidget, QVBoxLayout, QWidget

from labapp.labs.quantization.choosing import SourcePicker, subject_of
from labapp.labs.quantization.number_line import Lane, NumberLine
from labapp.labs.quantization.page import figures, number
from labapp.labs.quantization.super_block import BlockBytes, SmallBlocks
from labapp.labs.quantization.weights import ROWS, WeightTable, read_rows
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, card, controls, field, inset, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from torch import Tensor

    from core.quantization.by_hand import Rounded, TakenApart
    from labapp.labs.quantization import QuantizationLab

SHOWN = 64  # weights on the number lines
BLOCKS = (16, 32, 64)
K_TYPES = ("Q4_K", "Q5_K", "Q6_K", "Q3_K", "Q2_K")
FARTHEST = 8.0  # times the largest weight, to which one can be dragged
LINE, SUPER = 0, 1


class ByHandPage(PicturePage):
    """Weights and rounding on the left, number lines or a super-block in the middle, figures on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.table: WeightTable | None = None
        self.weights: Tensor | None = None  # the row with what was dragged, (256,)
        self.rounded: Rounded | None = None
        self.block: TakenApart | None = None
        self.at = 0
        self._view = LINE
        self._scene = read_json("scenes", "quantization", "outlier.json")
        self._wanted = ("smallworld", str(self._scene["tensor"]), int(self._scene["row"]))
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.model = SourcePicker(tr("Weights of"), self.context.workspace)
        self.model.chosen.connect(self._read_model)
        self.tensor = QComboBox()
        self.tensor.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.tensor.activated.connect(lambda _: self.read())
        self.row, self.bits = QSpinBox(), QSpinBox()
        self.row.setRange(0, ROWS - 1)
        self.row.valueChanged.connect(lambda _: self.take_row())
        self.bits.setRange(2, 8)
        self.bits.setValue(4)
        self.bits.valueChanged.connect(lambda _: self.round())
        for spin in (self.row, self.bits):
            inset(spin)
        self.levels, self.size, self.kind = QComboBox(), QComboBox(), QComboBox()
        self.levels.addItem(tr("Around zero"), True)
        self.levels.addItem(tr("Zero-point"), False)
        for size in BLOCKS:
            self.size.addItem(tr("{n} weights", n=size), size)
        self.size.setCurrentIndex(1)
        for kind in K_TYPES:
            self.kind.addItem(kind, kind)
        for box in (self.levels, self.size, self.kind):
            box.activated.connect(lambda _: self.round())
        both = QHBoxLayout()
        both.setSpacing(6)
        both.addWidget(field(tr("Row"), self.row, tr("Which row of the tensor")))
        both.addWidget(field(tr("Bits"), self.bits, tr("Bits of a code: 4 bits have 16 levels")))
        self.line_parts = QWidget()
        line = QVBoxLayout(self.line_parts)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(field(tr("Levels"), self.levels, tr("Around zero, or over the block's range")))
        line.addWidget(field(tr("Block"), self.size, tr("Weights that share a scale")))
        self.super_parts = field(tr("Type"), self.kind, tr("The K type of the super-block"))
        self.spoil = button(tr("Make an outlier"), self.make_outlier,
                            tip=tr("Make the marked weight four times as large as the largest"))  # fmt: skip
        self.undo = button(tr("As it was"), self.take_row, tip=tr("Take back what was dragged"))
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.spoil)
        buttons.addWidget(self.undo)
        self.note = label("", "small", wrap=True)
        self.controls = controls(
            field(tr("Weights of"), self.model, tr("Whose weights")),
            field(tr("Tensor"), self.tensor, tr("Which tensor of the model")),
            both, self.line_parts, self.super_parts, buttons, self.note,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        views = [
            ("Number line", "Each weight and the level it is rounded to"),
            ("Super-block", "256 weights of a K type, and their bytes in a file"),
        ]
        self.views = ViewButtons(views, self.show_view)
        self.line = NumberLine(tr("Weights and levels, block by block"))
        self.line.chosen.connect(self.choose)
        self.line.moved.connect(self.move)
        self.small, self.bytes = SmallBlocks(tr("Small blocks")), BlockBytes(tr("Bytes of the block"))
        self.legend = label("", "small", wrap=True)
        self.stack = QStackedWidget()
        self.line_card = card(self.line, margin=8, grows=self.line)
        self.super_card = card(self.small, self.bytes, self.legend, margin=8, grows=self.small)
        self.stack.addWidget(self.line_card)
        self.stack.addWidget(self.super_card)
        self.caption = label("", "", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(self.views)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self.caption)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.one = label("", "", wrap=True)
        self.errors = Table(
            tr("Errors, block by block"),
            [
                Column(tr("Block"), number=True), Column(tr("Scale"), number=True, stretch=True),
                Column(tr("Zero"), number=True), Column(tr("RMS error"), number=True),
            ],
        )  # fmt: skip
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(self.heading)
        column.addWidget(self.one)
        self.parts = Table(
            tr("Parts of the block"),
            [
                Column(tr("Part"), mono=True, stretch=True), Column(tr("First byte"), number=True),
                Column(tr("Last byte"), number=True),
            ],
        )  # fmt: skip
        column.addWidget(self.errors, 1)
        column.addWidget(self.parts, 1)
        column.addStretch()

    # Weights.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])
        self.at = int(self._scene["weight"])

    def shown(self) -> None:
        if self.table is None:
            self._read(*self._wanted)
        self._show()

    def read(self) -> None:
        """Read the tensor that is chosen."""
        self._read(self._wanted[0], self.tensor.currentText(), self.row.value())

    def _read_model(self, key: str) -> None:
        self._read(key, self._wanted[1], self.row.value())

    def _read(self, model: str, tensor: str, row: int) -> None:
        subject = self.lab.attempt(subject_of, self.context.workspace, model)
        if subject is None:
            return
        self._wanted = (model, tensor, row)
        self.lab.ask("weights", lambda: read_rows(subject, tensor), tr("Reading weights"), self._take)

    def _take(self, table: WeightTable) -> None:
        self.table = table
        self.tensor.clear()
        self.tensor.addItems(list(table.names))
        self.tensor.setCurrentText(table.tensor)
        self.model.show_subject(table.subject)
        self.row.blockSignals(True)
        self.row.setMaximum(len(table.values) - 1)
        self.row.setValue(min(self._wanted[2], len(table.values) - 1))
        self.row.blockSignals(False)
        self.note.setText(table.note)
        self.take_row()

    def take_row(self) -> None:
        """Take the weights of the row as they are in the model."""
        if self.table is not None:
            self.weights = self.table.values[self.row.value()].clone()
            self._wanted = (self.table.subject.key, self.table.tensor, self.row.value())
            self.round()

    def choose(self, at: int) -> None:
        """Mark a weight."""
        self.at = at
        self._show()

    def move(self, at: int, value: float) -> None:
        """Give a weight another value; the largest of the row limits how far."""
        if self.weights is None or self.table is None:
            return
        limit = FARTHEST * float(self.table.values[self.row.value()].abs().max())
        self.at = at
        self.weights[at] = min(max(value, -limit), limit)
        self.round()

    def make_outlier(self) -> None:
        """Make the marked weight an outlier."""
        if self.table is not None:
            largest = float(self.table.values[self.row.value(), :SHOWN].abs().max())
            self.move(self.at, float(self._scene["times"]) * largest)

    # Rounding.

    def _round_row(self, weights: Tensor) -> Rounded:
        from core.quantization.by_hand import Rounding, round_weights

        chosen = Rounding(self.bits.value(), self.levels.currentData(), "group", self.size.currentData())
        return round_weights(weights[:SHOWN], chosen)

    def round(self) -> None:
        """Round the weights anew."""
        if self.weights is None:
            return
        from core.quantization.by_hand import take_apart

        self.rounded = self._round_row(self.weights)
        self.block = self.lab.attempt(take_apart, self.weights, self.kind.currentData())
        self._show()

    def errors_of(self, rounded: Rounded, weights: Tensor) -> list[float]:
        """Root mean square error of each block."""
        wrong = (rounded.back - weights[:SHOWN]).view(-1, self.size.currentData())
        return wrong.square().mean(1).sqrt().tolist()

    def others_error(self, weights: Tensor) -> float:
        """Root mean square error of the other weights in the block of the marked one."""
        size = self.size.currentData()
        first = self.at // size * size
        wrong = (self._round_row(weights).back - weights[:SHOWN])[first : first + size].square()
        wrong[self.at - first] = 0
        return float((wrong.sum() / (size - 1)).sqrt())

    # The picture.

    def show_view(self, view: int) -> None:
        """Show number lines, or the super-block."""
        self._view = view
        self.views.mark(view)
        self._show()

    def _show(self) -> None:
        asking = self.prediction.asking
        self.stack.setCurrentIndex(LINE if asking else self._view)
        on_line = asking or self._view == LINE
        self.views.setVisible(not asking)
        for part in (self.spoil, self.undo):
            part.setVisible(not asking)
        self.line_parts.setVisible(on_line)
        self.bits.setEnabled(on_line)
        self.super_parts.setVisible(not on_line)
        self.errors.setVisible(on_line and not asking)
        self.parts.setVisible(not on_line)
        if self.weights is not None and self.rounded is not None:
            self._show_lines(self.weights, self.rounded, asking)
            self._show_super()
        self.caption.setText(self.summary())

    def _show_lines(self, weights: Tensor, rounded: Rounded, asking: bool) -> None:
        size = self.size.currentData()
        errors = self.errors_of(rounded, weights)
        lanes, rows = [], []
        for g, error in enumerate(errors):
            part = slice(g * size, (g + 1) * size)
            says = tr("Block {n}", n=g + 1)
            if not asking:
                scale = float(rounded.scale[g])
                says = tr("Block {n}: scale {scale}, RMS error {error} (n = {size})", n=g + 1,
                          scale=figures(scale), error=figures(error), size=size)  # fmt: skip
                zero = "–" if self.levels.currentData() else str(int(rounded.zero[g]))
                rows.append((str(g + 1), figures(scale), zero, figures(error)))
            back = () if asking else tuple(rounded.back[part].tolist())
            levels = () if asking else tuple(rounded.levels(g).tolist())
            lanes.append(Lane(tuple(weights[part].tolist()), back, levels, says))
        self.line.set_lanes(lanes, self.at)
        self.errors.set_rows(rows)
        self._show_one(weights, rounded, asking)

    def _show_one(self, weights: Tensor, rounded: Rounded, asking: bool) -> None:
        if self._view == SUPER and not asking:
            return
        at, value = self.at, float(weights[self.at])
        self.heading.setText(tr("Weight {n}: {value}", n=at, value=figures(value)))
        if asking:
            self.one.setText(tr("The answer is shown after the question above."))
            return
        g, back = at // self.size.currentData(), float(rounded.back[at])
        code = int(rounded.codes[at]) - int(rounded.zero[g])
        self.one.setText(
            tr("{code} × {scale} = {back}, off by {wrong}", code=str(code).replace("-", "−"),
               scale=figures(float(rounded.scale[g])), back=figures(back), wrong=figures(back - value))
        )  # fmt: skip

    def _show_super(self) -> None:
        from core.quantization.by_hand import small_scales

        block = self.block
        if block is None:
            return
        scales = small_scales(block)
        self.small.set_block(block, scales)
        self.bytes.set_block(block)
        self.parts.set_rows([(p.name, str(p.begin), str(p.end - 1)) for p in block.parts])
        parts = " · ".join(
            tr("{name} ({n} B): {about}", name=p.name, n=p.end - p.begin, about=tr(p.about))
            for p in block.parts
        )
        self.legend.setText(parts)
        if self._view == SUPER and not self.prediction.asking:
            self.heading.setText(tr("Two layers of scales"))
            what = tr("A small block's scale is its whole number times d = {d}", d=figures(scales.d))
            low = tr(", its minimum the lower one times dmin = {d}", d=figures(scales.dmin))
            self.one.setText(f"{what}{low if scales.minima else ''}.")

    def summary(self) -> str:
        if self.rounded is None or self.weights is None or self.prediction.asking:
            return ""
        if self._view == SUPER and self.block is not None:
            size = len(self.block.raw)
            return tr(
                "{kind}: 256 weights in {size} bytes, {bits:.5g} bits a weight; RMS error {error} (n = 256).",
                kind=self.block.kind, size=size, bits=size / 32, error=figures(self.block.error),
            )  # fmt: skip
        made = self.rounded
        return tr(
            "{bits} bits, blocks of {size}: {cost:.5g} bits a weight with the scales; RMS error {error}, "
            "largest {largest} (n = {n}).",
            bits=self.bits.value(), size=self.size.currentData(), cost=made.bits_per_weight,
            error=figures(made.error), largest=figures(made.largest), n=SHOWN,
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        if self.table is None:
            self.prediction.close_question()
            return
        before = self.others_error(self.table.values[self.row.value()])
        self.make_outlier()
        if self.weights is not None:
            after = self.others_error(self.weights)
            said = tr("Yes.") if index == self._scene["right"] else tr("No: their errors grow.")
            self.prediction.reveal(
                tr("{said} The RMS error of the other {n} goes from {before} to {after}; the other "
                   "blocks keep theirs.",
                   said=said, n=self.size.currentData() - 1, before=figures(before), after=figures(after))
            )  # fmt: skip
        self._show()

    def numbers(self) -> Numbers:
        if self.weights is None or self.rounded is None or self.prediction.asking:
            return (), ()
        if self._view == SUPER and self.block is not None:
            pairs = zip(self.block.weights.tolist(), self.block.back.tolist(), strict=True)
            return (tr("weight"), tr("value"), tr("rounded")), [
                (str(i), number(a, 6), number(b, 6)) for i, (a, b) in enumerate(pairs)
            ]
        made, weights = self.rounded, self.weights.tolist()
        return (tr("weight"), tr("value"), tr("code"), tr("rounded")), [
            (str(i), number(weights[i], 6), str(code), number(back, 6))
            for i, (code, back) in enumerate(zip(made.codes.tolist(), made.back.tolist(), strict=True))
        ]

    def open_files(self, files: list[Path]) -> None:
        self._read_model(f"file:{files[0]}")

    def take_focus(self) -> None:
        self.line.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        line = self.prediction.asking or self._view == LINE
        return {tr("Number line"): self.line_card} if line else {tr("Super-block"): self.super_card}

    def save_state(self) -> dict[str, Any]:
        model, tensor, row = self._wanted
        return {
            "model": model, "tensor": tensor, "row": row, "bits": self.bits.value(), "view": self._view,
            "symmetric": self.levels.currentData(), "block": self.size.currentData(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        model, tensor, row = state.get("model"), state.get("tensor"), state.get("row")
        if isinstance(model, str) and isinstance(tensor, str):
            self._wanted = (model, tensor, row if type(row) is int and row >= 0 else 0)
        if type(state.get("bits")) is int:
            self.bits.setValue(state["bits"])
        self.levels.setCurrentIndex(1 if state.get("symmetric") is False else 0)
        self.size.setCurrentIndex(max(0, self.size.findData(state.get("block", 32))))
        self._view = SUPER if state.get("view") == SUPER else LINE
        self.views.mark(self._view)
        self._read(*self._wanted)
