"""The plan as it stands in the controls: start model, rows, method, steps; and what it will train."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QFileDialog, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import once
from core.training.finetune_plans import (
    FINETUNE_PRESETS,
    FinetunePlan,
    FinetunePreset,
    RowsChoice,
    finetune_preset,
    of_smollm2,
    with_values,
)
from core.training.finetune_settings import FinetuneSettings
from core.training.settings import TrainingSettings
from labapp.labs.finetuning.models import model_choices, place_of, title_of
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.durations import duration
from labapp.widgets.form import SettingsForm
from labapp.widgets.parts import button, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.words import tr

if TYPE_CHECKING:
    from core.training.finetune_facts import FinetuneFacts, FinetunePace
    from labapp.labs.finetuning import FinetuningLab

FILE = "finetune-pace.json"  # in the workspace
QUIET = 600  # ms without a change after which a plan is reckoned
GROUPS = {"presets": "Plans", "experiments": "Experiments"}
METHOD = ["method", "rank"]
PREFER = ["beta", "nll"]
LORA = ["alpha", "targets"]
MORE_METHOD = ["smoothing", "robust", "ipo_lengths"]
MAIN = ["steps"]
MORE = [
    "batch", "rate", "optimizer", "schedule", "warmup", "decay", "clip", "accumulation", "precision",
    "device",
    "evaluate_every", "save_every", "seed",
]  # fmt: skip
ROWS = ["rows", "worse", "flipped"]
METHODS = {"sft": "SFT", "dpo": "DPO", "ipo": "IPO"}
KINDS = {
    "instructions": "The small world's demonstrations", "preferences": "The small world's comparisons",
    "file": "A file of JSON Lines",
}  # fmt: skip


class PlanForm(QWidget):
    """Presets fill it; `plan()` gives what stands in it; `touched` tells of a change."""

    touched = Signal()

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__()
        self.lab = lab
        self.preset: FinetunePreset = finetune_preset("sft")
        self.start = "base"
        self.path = ""
        self._facts: FinetuneFacts | None = None
        self.picker = Picker(tr("Plan"), self._presets)
        self.picker.picked.connect(self.choose_preset)
        self.promise = label("", "small", wrap=True)
        self.start_picker = Picker(tr("Start model"), lambda: model_choices(lab.context))
        self.start_picker.picked.connect(self.choose_start)
        self.kind = SettingsForm(RowsChoice, ["kind"], titles={"kind": KINDS})
        self.file_button = button(
            tr("Choose a file…"), self._open, tip=tr("JSON Lines in TRL's formats; or drop one here")
        )
        self.rows = SettingsForm(RowsChoice, ROWS)
        self.method = SettingsForm(FinetuneSettings, METHOD, 2, titles={"method": METHODS})
        self.prefer = SettingsForm(FinetuneSettings, PREFER, 2)
        self.lora = SettingsForm(FinetuneSettings, LORA, 2)
        self.main = SettingsForm(TrainingSettings, MAIN)
        self.more_method = SettingsForm(FinetuneSettings, MORE_METHOD)
        self.more = SettingsForm(TrainingSettings, MORE)
        self.facts = label("", "small", wrap=True)
        self.ask = button(
            tr("How long here?"), self.measure, tip=tr("Try three steps of this plan on this machine"),
            role="sample",
        )  # fmt: skip
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET)
        self._timer.timeout.connect(self.show_facts)
        for form in self._forms():
            form.changed.connect(self._touched)
        self.choose_preset("sft")

    def _forms(self) -> tuple[SettingsForm, ...]:
        return (
            self.kind, self.rows, self.method, self.prefer, self.lora, self.main, self.more_method,
            self.more,
        )  # fmt: skip

    def _build(self) -> None:
        self.more_box = QWidget()
        inner = QVBoxLayout(self.more_box)
        inner.setContentsMargins(0, 0, 0, 0)
        for form in (self.rows, self.more_method, self.more):
            inner.addWidget(form)
        self.more_button = button(
            tr("More settings"), self._toggle_more, tip=tr("Rows, wrong labels, optimizer"), role="sample"
        )
        self.more_button.setCheckable(True)
        self.more_box.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        shown: tuple[QWidget, ...] = (
            self.promise, self.facts, self.ask,
            field(tr("Start model"), self.start_picker, tr("It stays as it is: a copy learns")),
            self.kind, self.file_button, self.method, self.prefer, self.lora, self.main,
            self.more_button, self.more_box,
        )  # fmt: skip
        for each in shown:
            column.addWidget(each)
        column.addStretch(1)
        for box in self.findChildren(QComboBox):  # as narrow as the column, however long a choice is
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(5)
        for form in (self.method, self.prefer, self.lora):  # two fields share its width
            for narrow in form.findChildren(QAbstractSpinBox):
                narrow.setMinimumWidth(60)

    # Choosing.

    def _presets(self) -> list[Choice]:
        return [
            Choice(one.name, tr(one.title), tr(GROUPS[one.group]), tip=tr(one.promise))
            for one in (*FINETUNE_PRESETS[:3], of_smollm2(), *FINETUNE_PRESETS[3:])
        ]

    def choose_preset(self, name: str) -> None:
        """Fill the form from a preset."""
        self.preset = finetune_preset(name)
        self.set_plan(self.preset.plan)
        self.picker.set_title(tr(self.preset.title))
        self.promise.setText(tr(self.preset.promise))

    def set_plan(self, plan: FinetunePlan) -> None:
        """Fill the form from a plan."""
        values = plan.to_json()
        for form in (self.kind, self.rows):
            form.set_values(values["rows"])
        for form in (self.method, self.prefer, self.lora, self.more_method):
            form.set_values(values["method"])
        for form in (self.main, self.more):
            form.set_values(values["settings"])
        if plan.rows.path:
            self.path = plan.rows.path
        self.choose_start(plan.start)

    def choose_start(self, key: str) -> None:
        """Begin with another model."""
        self.start = key
        self.start_picker.set_title(title_of(self.lab.context, key))
        self._touched()

    def choose_file(self, path: Path) -> None:
        """Learn from the rows of a file."""
        self.path = str(path)
        self.kind.set_values({"kind": "file"})
        self._touched()

    def _open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self.window(), tr("Choose rows"), "", "*.jsonl *.json")
        if name:
            self.choose_file(Path(name))

    def _toggle_more(self) -> None:
        self.more_box.setVisible(self.more_button.isChecked())

    def _touched(self) -> None:
        self._show_fields()
        self._timer.start()
        self.touched.emit()

    def _show_fields(self) -> None:
        """Show only what the plan needs."""
        file = self.kind.values()["kind"] == "file"
        self.file_button.setVisible(file)
        self.file_button.setText(Path(self.path).name if self.path else tr("Choose a file…"))
        self.rows.setVisible(not file)
        self.lora.setVisible(bool(self.method.values()["rank"]))
        preferring = self.method.values()["method"] != "sft"
        for form in (self.prefer, self.more_method):
            form.setVisible(preferring)

    def plan(self) -> FinetunePlan:
        """The plan as it stands in the form.

        Raises:
            LabError: A value is outside its limits, or the start model is gone.
        """
        values: dict[str, Any] = {}
        for form in self._forms():
            values |= form.values()
        if values["kind"] == "file":
            values["path"] = self.path
        plan = with_values(self.preset.plan, values)
        own = values["kind"] == "file" or self.start == "smollm2"
        prompts = plan.prompts if not own else ("What is the capital of France?", "How do I bake bread?")
        return dataclasses.replace(plan, start=place_of(self.lab.context, self.start), prompts=prompts)

    # What it will train.

    def show_facts(self) -> None:
        """Say what will be trained, and how long it takes where that was measured."""
        self._timer.stop()
        self._show_fields()
        try:
            plan = self.plan()
        except LabError:
            return

        def reckoned() -> FinetuneFacts:
            from core.training.finetune_facts import finetune_facts

            return finetune_facts(plan)

        def told(facts: FinetuneFacts) -> None:
            self._facts = facts
            self._say(plan)

        self.lab.ask("facts", lambda: once(reckoned), tr("Reckoning the plan"), told)

    def measure(self) -> None:
        """Try some steps of the plan."""
        self.lab.attempt(self._measure)

    def _measure(self) -> None:
        if self.lab.run.heard is not None:
            raise LabError(tr("A run is going on: it would be slowed, and so would the trial."), tr("Wait."))
        plan = self.plan()

        def stage() -> Iterator[Any]:
            from core.training.finetune_facts import measure_finetune_pace

            yield from measure_finetune_pace(plan)

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                self._keep(plan, outcome.finished.result)
            self.lab.show_failure(outcome)

        self.lab.context.runner.start(
            Slot(self.lab.name, "pace"), stage, title=tr("Trying the plan"), heavy=True,
            on_events=lambda events: None, on_end=end,
        )  # fmt: skip

    def _keep(self, plan: FinetunePlan, pace: FinetunePace) -> None:
        from core.training.finetune_facts import keep_finetune_pace

        keep_finetune_pace(self.lab.context.workspace.root / FILE, plan, pace)
        self.show_facts()

    def _say(self, plan: FinetunePlan) -> None:
        from core.training.finetune_facts import read_finetune_pace

        facts = self._facts
        if facts is None:
            return
        words = tr(
            "All {n:,} numbers learn; at least {mb:,.0f} MB of memory.", n=facts.learned, mb=facts.bytes / 1e6
        )
        if plan.method.rank:
            words = tr(
                "{learned:,} numbers learn beside {all:,} that stay ({share:.2g} %); at least "
                "{mb:,.0f} MB of memory.",
                learned=facts.learned, all=facts.parameters, share=100 * facts.share, mb=facts.bytes / 1e6,
            )  # fmt: skip
        pace = read_finetune_pace(self.lab.context.workspace.root / FILE, plan)
        if pace is not None:
            rows = plan.rows.rows if plan.rows.kind != "file" else 0
            words = tr(
                "{words} About {time} on this machine, looks and samples not counted: a step was tried, "
                "{s:.2g} s.", words=words, time=duration(pace.seconds(plan, rows)), s=pace.step,
            )  # fmt: skip
        self.facts.setText(words)
        self.ask.setVisible(pace is None)
