"""Does it fit? Weights, cache, room for computing and the driver's share against a card's memory.

What to notice: the weights are most of it, the cache grows with the context. Stage:
`core.quantization.memory`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from core.stages import once
from labapp.labs.quantization.choosing import SourcePicker, subject_of
from labapp.labs.quantization.models import Planned, plan_all
from labapp.labs.quantization.need_bars import NeedBar, NeedBars
from labapp.labs.quantization.page import column, size_text
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import card, controls, field, inset, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.memory import MemorySettings, Verdict
    from labapp.labs.quantization import QuantizationLab

GIB = 1 << 30
RECIPES = ("BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
CONTEXTS = (256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)
CACHES = ("F16", "Q8_0", "Q4_0")
FIRST_PRESET = "6 GB laptop graphics"
MACHINE = "machine"
SAYS = {
    "fits": "It fits.",
    "tight": "It is tight: the desktop's share, or 8 % that the sum may be off, decide.",
    "no": "It does not fit.",
}


class FitsPage(PicturePage):
    """Model, context and memory on the left, a bar for each recipe in the middle, the sum on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.planned: Planned | None = None
        self.verdicts: dict[str, Verdict] = {}
        self._scene = read_json("scenes", "quantization", "laptop.json")
        self._wanted, self._context, self._preset = str(self._scene["model"]), 4096, FIRST_PRESET
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.model = SourcePicker(tr("Model"), self.context.workspace, shapes=True)
        self.model.chosen.connect(self.compute)
        self.recipe, self.context_box = QComboBox(), QComboBox()
        self.cache, self.memory = QComboBox(), QComboBox()
        for name in RECIPES:
            self.recipe.addItem(name, name)
        self.recipe.setCurrentText(str(self._scene["recipe"]))
        for name in CACHES:
            self.cache.addItem(name, name)
        for box in (self.recipe, self.context_box, self.cache, self.memory):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for box in (self.recipe, self.context_box, self.cache, self.memory):
            box.activated.connect(lambda _: self._chosen())
        self.desktop, self.on_cpu = QDoubleSpinBox(), QSpinBox()
        self.desktop.setRange(0, 64)
        self.desktop.setSingleStep(0.25)
        self.desktop.setValue(0.5)
        self.desktop.setSuffix(tr(" GiB"))
        self.on_cpu.setRange(0, 200)
        for spin in (self.desktop, self.on_cpu):
            inset(spin)
            spin.valueChanged.connect(lambda _: self._show())
        first, second = QHBoxLayout(), QHBoxLayout()
        for row in (first, second):
            row.setSpacing(6)
        first.addWidget(field(tr("Context"), self.context_box, tr("Tokens that the model looks back on")))
        first.addWidget(field(tr("Cache"), self.cache, tr("How keys and values are kept")))
        second.addWidget(field(tr("For the desktop"), self.desktop, tr("What other programs keep")))
        second.addWidget(field(tr("Layers on CPU"), self.on_cpu, tr("Layers kept in the computer's memory")))
        self.controls = controls(
            field(tr("Model"), self.model, tr("Which model is to run")),
            field(tr("Recipe"), self.recipe, tr("The recipe whose sum is shown")), first,
            field(tr("Memory"), self.memory, tr("A graphics card's memory, or this computer's")), second,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        self.bars = NeedBars(tr("Memory that each recipe takes"))
        self.bars_card = card(self.bars, margin=10, grows=self.bars)
        self.caption = label("", "", wrap=True)
        self.picture = column(self.prediction, self.bars_card, self.caption, grows=self.bars_card)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.sums = Table(tr("The sum"), [Column(tr("Part"), stretch=True), Column(tr("Size"), number=True)])
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.sums, 1)
        layout.addStretch()

    # What is shown.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown(self) -> None:
        if self.planned is None:
            self.compute(self._wanted)
        self._show()

    def compute(self, model: str) -> None:
        """Weigh all recipes of a model."""
        subject = self.lab.attempt(subject_of, self.context.workspace, model)
        if subject is None:
            return
        self._wanted = model
        self.lab.ask("weighed", lambda: once(lambda: plan_all(subject, RECIPES)), tr("Weighing"), self._take)

    def _take(self, planned: Planned) -> None:
        from core.quantization.memory import CAPACITIES, this_machine

        self.planned = planned
        self.model.show_subject(planned.subject)
        if not self.memory.count():
            total = this_machine().total
            self.memory.addItem(tr("This computer, {n:.1f} GiB", n=total / GIB), MACHINE)
            for name in CAPACITIES:
                self.memory.addItem(tr(name), name)
            self.memory.setCurrentIndex(max(0, self.memory.findData(self._preset)))
        most = planned.config.context
        fitting = [n for n in CONTEXTS if n < most] + [most]
        self.context_box.clear()
        for n in fitting:
            self.context_box.addItem(f"{n:,}", n)
        wanted = max((n for n in fitting if n <= self._context), default=fitting[0])
        self.context_box.setCurrentIndex(self.context_box.findData(wanted))
        self.on_cpu.setMaximum(planned.config.layers)
        self._show()

    def _chosen(self) -> None:
        self._context = self.context_box.currentData() or self._context
        self._preset = self.memory.currentData() or self._preset
        self._show()

    def _judge_all(self, planned: Planned) -> MemorySettings:
        from core.quantization.memory import (
            CAPACITIES,
            MemorySettings,
            judge,
            memory_needed,
            this_machine,
            weigh_plan,
        )

        preset = self.memory.currentData()
        capacity = CAPACITIES[preset] if preset in CAPACITIES else this_machine().total
        settings = MemorySettings(
            self.context_box.currentData(), self.cache.currentData(), preset in CAPACITIES,
            self.on_cpu.value(), desktop_gib=self.desktop.value(),
        )  # fmt: skip
        self.verdicts = {
            plan.recipe.name: judge(
                memory_needed(weigh_plan(plan), planned.config, settings), capacity, settings
            )
            for plan in planned.plans
        }
        return settings

    def _show(self) -> None:
        asking = self.prediction.asking
        self.sums.setVisible(not asking)
        self.heading.setText(tr("The answer is shown after the question.") if asking else "")
        if self.planned is None:
            return
        settings = self._judge_all(self.planned)
        self.on_cpu.setEnabled(settings.on_card)
        chosen = self.verdicts[self.recipe.currentData()]
        self.bars.set_bars(
            [
                NeedBar(name, self._parts(made), made.word, name == self.recipe.currentData())
                for name, made in self.verdicts.items()
            ],
            chosen.left / GIB, chosen.capacity / GIB, asking,
        )  # fmt: skip
        if not asking:
            self.heading.setText(tr(SAYS[chosen.word]))
            self.sums.set_rows(self._sum_rows(chosen))
        self.caption.setText(self.summary())

    def _parts(self, made: Verdict) -> tuple[float, ...]:
        need = made.need
        return tuple(part / GIB for part in (need.weights, need.cache, need.computing, need.driver))

    def _sum(self, made: Verdict) -> str:
        """The sum in words, in a unit that shows something."""
        need = made.need
        if need.total >= GIB / 10:
            return str(need)
        parts = (need.weights, need.cache, need.computing, need.driver)
        return " + ".join(size_text(part) for part in parts) + f" = {size_text(need.total)}"

    def _sum_rows(self, made: Verdict) -> list[tuple[str, str]]:
        names = ("Weights", "Cache of keys and values", "Room for computing", "Driver")
        rows = [
            (tr(name), size_text(part * GIB)) for name, part in zip(names, self._parts(made), strict=True)
        ]
        rows += [
            (tr("Sum"), size_text(made.need.total)),
            (tr("There are"), size_text(made.capacity)),
            (tr("The desktop leaves"), size_text(made.left)),
        ]
        if made.need.beside:
            rows.append((tr("Beside, in the computer"), size_text(made.need.beside)))
        return rows

    def summary(self) -> str:
        if self.planned is None or self.prediction.asking:
            return ""
        made = self.verdicts[self.recipe.currentData()]
        return tr(
            "{model} as {recipe} with {context} tokens: weights + cache + computing + driver = {sum}. {says}",
            model=self.model.title, recipe=self.recipe.currentText(),
            context=self.context_box.currentText(), sum=self._sum(made), says=tr(SAYS[made.word]),
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        if self.planned is None:
            self.prediction.close_question()
            return
        made = self.verdicts[self.recipe.currentData()]
        right = ("fits", "tight", "no")[index] == made.word
        self.prediction.reveal(
            tr("{said} {sum} of {n:.2f} GiB. {says}", said=tr("Yes.") if right else tr("Not quite."),
               sum=self._sum(made), n=made.capacity / GIB, says=tr(SAYS[made.word]))
        )  # fmt: skip
        self._show()

    def numbers(self) -> Numbers:
        if self.planned is None or self.prediction.asking:
            return (), ()
        columns = ("recipe", "weights, GiB", "cache", "computing", "driver", "verdict")
        return tuple(tr(name) for name in columns), [
            (name, *(f"{part:.4f}" for part in self._parts(made)), tr(made.word))
            for name, made in self.verdicts.items()
        ]

    def open_files(self, files: list[Path]) -> None:
        self.compute(f"file:{files[0]}")

    def take_focus(self) -> None:
        self.model.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Memory"): self.bars_card}

    def save_state(self) -> dict[str, Any]:
        return {
            "model": self._wanted, "recipe": self.recipe.currentData(), "context": self._context,
            "memory": self._preset, "cache": self.cache.currentData(), "desktop": self.desktop.value(),
            "on_cpu": self.on_cpu.value(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("model"), str):
            self._wanted = state["model"]
        for key, box in (("recipe", self.recipe), ("cache", self.cache)):
            if isinstance(state.get(key), str) and box.findData(state[key]) >= 0:
                box.setCurrentIndex(box.findData(state[key]))
        if type(state.get("context")) is int and state["context"] > 0:
            self._context = state["context"]
        if isinstance(state.get("memory"), str):
            self._preset = state["memory"]
        if isinstance(state.get("desktop"), float):
            self.desktop.setValue(state["desktop"])
        if type(state.get("on_cpu")) is int:
            self.on_cpu.setValue(min(max(0, state["on_cpu"]), 200))
        self.compute(self._wanted)
