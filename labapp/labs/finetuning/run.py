"""Run: choose where to begin, what to learn from and how; start, and watch what becomes likely.

Stages: `core.training.finetune.start_finetune` and `resume_finetune`.
What to notice: the loss knows only the difference of two answers; their own log-probabilities tell more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QScrollArea, QSlider, QVBoxLayout, QWidget

from core.artifacts import Artifact, Work
from core.problems import LabError
from core.stages import Progress
from core.training.arms import ARMS
from core.training.events import Controls, Sampled, SeenBatch, Trained
from core.training.finetune_plans import finetune_preset, read_finetune_plan
from core.training.hints import hints
from core.training.history import History, history_of, read_history
from core.training.joining import joined
from labapp.jobs import Job, Stopped
from labapp.labs.finetuning.checkpoint_bar import CheckpointBar
from labapp.labs.finetuning.models import KIND
from labapp.labs.finetuning.plan_form import PlanForm
from labapp.labs.finetuning.recordings import recorded_history
from labapp.memory import keep_memory, share_memory
from labapp.pages import LabPage
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.durations import duration
from labapp.widgets.parts import Resized, WholeLabel, button, card, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.table import Column, Table
from labapp.words import tr
from labapp.works import check_writable

if TYPE_CHECKING:
    from labapp.labs.finetuning import FinetuningLab
    from labapp.labs.finetuning.curves import RunCurves

BATCH = 250  # ms between two looks at a run
SAMPLE, SAMPLE_LOW = 56, 44  # px of the sample's text at most
LOW = 400  # px of the picture's height below which the sample has two lines
NUMBERS = {
    "logps/chosen": "ln p of chosen (nats)", "logps/rejected": "ln p of rejected (nats)",
    "rewards/margins": "Margin (nats)", "rewards/accuracies": "Pairs told right",
    "mean_token_accuracy": "Tokens foretold", "entropy": "Entropy (nats)",
}  # fmt: skip


class RunPage(LabPage):
    """Plan and buttons, curves over samples, hints where a failure sign appears, the last step's numbers.

    Attributes:
        folder: Of the run in view, or None where a recording is.
        heard: What the run that is going on listens to; None where none is.
    """

    changed = Signal()

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.curves: RunCurves | None = None
        self.folder: Path | None = None
        self.history = History()
        self.beta = 0.1
        self.recorded = "dpo"
        self.job: Job | None = None
        self.heard: Controls | None = None
        self._work: Work | None = None
        self._build_details()
        self._build_controls()
        self._build_picture()
        self.show_recording()
        self._update()

    # Assembly.

    def _build_controls(self) -> None:
        self.form = PlanForm(self.lab)
        self.start_button = button(
            tr("Train"), self.start, tip=tr("Begin a new run with this plan"), role="primary"
        )
        self.pause_button = button(tr("Pause"), self.pause, tip=tr("Wait, or go on"))
        self.step_button = button(
            tr("One step"), self.one_step, tip=tr("While paused: change the weights once")
        )
        self.stop_button = button(
            tr("Stop"), self.stop, tip=tr("Save the run and end it; it can go on later")
        )
        self.slower = button(
            "× ½", lambda: self.change_rate(0.5), tip=tr("Halve the learning rate from the next step on")
        )
        self.faster = button(
            "× 2", lambda: self.change_rate(2.0), tip=tr("Double the learning rate from the next step on")
        )
        self.rate_says = label("", "small")
        rows = [QHBoxLayout(), QHBoxLayout(), QHBoxLayout()]
        for row, parts in zip(
            rows,
            (
                (self.start_button, self.pause_button),
                (self.step_button, self.stop_button),
                (self.slower, self.faster),
            ),
            strict=True,
        ):
            for part in parts:
                row.addWidget(part, 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(self.form)
        self.controls = controls(
            field(tr("Plan"), self.form.picker, tr("What is learned, and from what")), scroll, rows[0],
            rows[1], self.rate_says, rows[2], grows=scroll,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.heading = WholeLabel("", "heading")
        self.runs = Picker(tr("Run in view"), self._runs)
        self.runs.set_title(tr("Runs"))
        self.runs.picked.connect(self._choose_run)
        self.runs.setFixedWidth(150)
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.runs)
        self.hint_text = label("", "warning", wrap=True)
        self.remedy = label("", "small", wrap=True)
        self.hint_card = card(self.hint_text, self.remedy, margin=8, spacing=2)
        self.hint_card.hide()
        self.place = QVBoxLayout()
        self.place.setContentsMargins(0, 0, 0, 0)
        self.prompt = Picker(tr("Prompt"), self._prompts)
        self.prompt.picked.connect(self._choose_prompt)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Sample shown"))
        self.slider.setToolTip(tr("What the model answered at each look, from the first to the last"))
        self.slider.setRange(0, 0)
        self.slider.valueChanged.connect(self._show_sample)
        self.sample_says = label("", "small")
        self.sample = QPlainTextEdit()
        self.sample.setReadOnly(True)
        self.sample.setAccessibleName(tr("What the model answers"))
        self.sample.setToolTip(tr("Its answer to the prompt, always with the most probable token"))
        self.sample.setTabChangesFocus(True)
        self.sample.setMaximumHeight(SAMPLE)
        row = QHBoxLayout()
        row.addWidget(self.prompt, 1)
        row.addWidget(self.slider, 1)
        row.addWidget(self.sample_says)
        self.picture = Resized(self._fit)
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self.hint_card)
        layout.addLayout(self.place, 1)
        layout.addWidget(card(row, self.sample, spacing=4))

    def _fit(self, height: int) -> None:
        """Leave a low picture to its curves."""
        self.sample.setMaximumHeight(SAMPLE if height >= LOW else SAMPLE_LOW)
        self._show_hints()

    def _build_details(self) -> None:
        self.explains = label("", "", wrap=True)
        self.look_for = label("", "small", wrap=True)
        self.numbers = Table(
            tr("The last step"), [Column(tr("Measure"), stretch=True), Column(tr("Value"), number=True)]
        )
        self.bar = CheckpointBar(self.lab, lambda: self.folder)
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        for part in (
            label(tr("What the curve says"), "heading"), self.explains, self.look_for,
            label(tr("The last step"), "heading"),
        ):  # fmt: skip
            layout.addWidget(part)
        layout.addWidget(self.numbers, 1)
        layout.addWidget(self.bar)

    def plots_ready(self) -> None:
        if self.curves is None:
            from labapp.labs.finetuning.curves import RunCurves

            self.curves = RunCurves()
            self.curves.chosen.connect(lambda _: self._explain())
            self.place.addWidget(self.curves, 1)
            self._explain()
            self._show()

    def pictures(self) -> dict[str, QWidget]:
        if self.curves is None:
            return {tr("Samples of the run"): self.sample}  # until plots can be made
        return {self.curves.shown.title: self.curves.shown}

    def take_focus(self) -> None:
        self.start_button.setFocus()

    def _look_for(self, name: str) -> None:
        """Say what to look for in a run of a plan; nothing where it is no plan of ours."""
        try:
            preset = finetune_preset(name)
        except LabError:
            self.look_for.setText("")
        else:
            self.look_for.setText(f"{tr(preset.look_for)} {tr(preset.why)}")

    def _explain(self) -> None:
        if self.curves is not None:
            from labapp.labs.finetuning.curves import MEASURES

            self.explains.setText(tr(MEASURES[self.curves.name][4]))

    def choose_start(self, key: str) -> None:
        """Begin the next run with another model."""
        self.form.choose_start(key)

    def learn_from(self, rankings: Artifact) -> None:
        """Plan a run on people's rankings, by a LoRA adapter of SmolLM2, which wrote the shipped answers.

        Raises:
            LabError: The artifact holds no rankings.
        """
        if rankings.kind != "preferences":
            raise LabError(
                tr("“{name}” holds no rankings.", name=rankings.name),
                tr("Choose a snapshot that the Preferences lab has kept."),
            )
        from core.preferences.publishing import DATA

        self.form.choose_preset("smollm2")
        self.form.choose_file(rankings.path(DATA))

    # A run.

    def start(self) -> None:
        """Begin a new run."""
        self.lab.attempt(self._start)

    def _start(self) -> None:
        from core.training.finetune import start_finetune

        self._check_free()
        plan = self.form.plan()
        heard = Controls()
        work = self.context.workspace.new_work(KIND, tr(self.form.preset.title), {"plan": plan.name})
        try:
            self._launch(work, heard, lambda: start_finetune(work.folder, plan, heard))
        except LabError:
            work.close()
            raise
        self.beta = plan.method.beta
        self._look_for(plan.name)

    def resume(self, id_: str) -> None:
        """Go on with a run of the workspace."""
        self.lab.attempt(self._resume, id_)

    def _resume(self, id_: str) -> None:
        from core.training.finetune import resume_finetune

        self._check_free()
        work = self.context.workspace.open_work(KIND, id_)
        heard = Controls()
        try:
            check_writable(work)
            self._launch(work, heard, lambda: resume_finetune(work.folder, heard))
        except LabError:
            work.close()
            raise

    def _check_free(self) -> None:
        if self.heard is not None:
            raise LabError(tr("A run is going on."), tr("Stop it first, or wait for its end."))

    def _launch(self, work: Work, heard: Controls, make: Any) -> None:
        before = read_history(work.folder)
        self.folder, self.heard, self._work = work.folder, heard, work
        self.history = before
        keep_memory()
        self.job = self.context.runner.start(
            Slot(self.lab.name, "run"), make, title=tr("Fine-tuning: {name}", name=work.name), heavy=True,
            on_events=self._take, on_end=self._ended, batch_ms=BATCH,
            progress_of=lambda event: Progress(tr("Fine-tuning"), event.step, self._steps(), tr("steps"))
            if hasattr(event, "loss") and hasattr(event, "rate") else None,
        )  # fmt: skip
        self.heading.setText(work.name)
        self._show()
        self._update()
        self.changed.emit()

    def _steps(self) -> int | None:
        return self.history.began.steps if self.history.began else None

    def _take(self, events: list[Any]) -> None:
        kept = [event for event in events if not isinstance(event, Progress | SeenBatch)]
        if kept:
            self.history = joined(self.history, history_of(iter(kept), None))
            self._show()

    def _ended(self, outcome: Outcome) -> None:
        work, self._work, self.heard, self.job = self._work, None, None, None
        share_memory()
        if work is not None:
            work.close()
        if isinstance(outcome, Done) and isinstance(outcome.finished.result, Trained):
            self._show()
        elif not isinstance(outcome, Stopped):
            self.lab.show_failure(outcome)
        self._update()
        self.changed.emit()

    def pause(self) -> None:
        """Wait, or go on; where nothing goes on, go on with the run in view."""
        if self.job is not None:
            self.job.resume() if self.job.paused else self.job.pause()
            self._update()
        elif self.folder is not None:
            self.resume(self.folder.name)

    def one_step(self) -> None:
        """While paused: one event, mostly a step."""
        if self.job is not None and self.job.paused:
            self.job.step()

    def stop(self) -> None:
        """Save and end."""
        if self.job is not None:
            self.job.stop()

    def change_rate(self, factor: float) -> None:
        """Multiply the learning rate from the next step on."""
        if self.heard is not None:
            self.heard.rate_factor *= factor
            self._update()

    # What is shown.

    def show_recording(self, arm: str = "dpo") -> None:
        """Show the first recorded run of an arm of the experiments."""
        if self.heard is not None:
            return
        self.folder, self.recorded = None, arm
        self.slider.setRange(0, 0)  # the last sample comes into view
        self.history, self.beta, title = recorded_history(arm)
        self._look_for(ARMS[arm].preset)
        self.heading.setText(title)
        self._show()

    def show_run(self, folder: Path, name: str) -> None:
        """Show a run of the workspace that does not go on."""
        if self.heard is None:
            self.slider.setRange(0, 0)  # the last sample comes into view
            self.folder, self.history = folder, read_history(folder)
            plan = read_finetune_plan(folder)
            self.beta = plan.method.beta if plan else 0.1
            self._look_for(plan.name if plan else "")
            self.heading.setText(name)
            self._show()
            self._update()
            self.changed.emit()

    def _runs(self) -> list[Choice]:
        found = [
            Choice(info.id, f"{info.name}, {info.created.astimezone():%Y-%m-%d %H:%M}", tr("Runs here"))
            for info in self.context.workspace.works(KIND)
        ]
        recorded = [Choice(f"recorded:{name}", tr(arm.title), tr("Recorded")) for name, arm in ARMS.items()]
        return [*found, *recorded]

    def _choose_run(self, id_: str) -> None:
        if self.heard is not None:
            return
        for info in self.context.workspace.works(KIND):
            if info.id == id_:
                self.show_run(info.folder, info.name)
        if id_.startswith("recorded:"):
            self.show_recording(id_.partition(":")[2])
        self._update()

    def _show(self) -> None:
        if self.curves is not None:
            self.curves.show_history(self.history, self.beta)
        self.numbers.set_rows(self._rows())
        samples = self._samples()
        at_end = self.slider.value() == self.slider.maximum()
        self.slider.setRange(0, max(0, len(samples) - 1))
        if at_end:
            self.slider.setValue(self.slider.maximum())
        self._show_sample(self.slider.value())
        self._show_hints()
        self.bar.refresh()

    def _show_hints(self) -> None:
        steps = self._steps() or (self.history.steps[-1].step if self.history.steps else 0)
        found = hints(self.history.measured, steps, self.beta)
        most = 1 if self.picture.height() < LOW else 2  # a low picture is left to its curves
        self.hint_card.setVisible(bool(found))
        if found:
            self.hint_text.setText(" ".join(one.text for one in found[:most]))
            self.remedy.setText(" ".join(one.remedy for one in found[:most]))
            self.hint_card.setAccessibleName(tr("Hint: {text}", text=self.hint_text.text()))

    def _rows(self) -> list[tuple[str, str]]:
        history, rows = self.history, []
        if history.steps:
            last = history.steps[-1]
            total = f" / {history.began.steps:,}" if history.began else ""
            rows = [(tr("Step"), f"{last.step:,}{total}"), (tr("Training loss"), f"{last.loss:.3f}")]
        if history.validated:
            rows.append((tr("Held-out loss"), f"{history.validated[-1].loss:.3f}"))
        measured = [one for one in history.measured if one.of == "train"]
        if measured:
            values = measured[-1].values
            rows += [(tr(text), f"{values[name]:.3g}") for name, text in NUMBERS.items() if name in values]
        if history.began:
            rows.append((tr("Numbers that learn"), f"{history.began.parameters:,}"))
            rows.append((tr("Gradient"), f"{history.steps[-1].gradient:.3g}" if history.steps else ""))
            rows.append((tr("Left"), duration(history.steps[-1].seconds_left) if history.steps else ""))
        return rows

    def _prompts(self) -> list[Choice]:
        seen = dict.fromkeys(one.prompt for one in self.history.sampled)
        return [Choice(prompt, prompt, tr("Prompts")) for prompt in seen]

    def _choose_prompt(self, prompt: str) -> None:
        self.prompt.set_title(prompt)
        self._show()

    def _samples(self) -> list[Sampled]:
        known = [choice.key for choice in self._prompts()]
        if known and self.prompt.title not in known:
            self.prompt.set_title(known[0])
        return [one for one in self.history.sampled if one.prompt == self.prompt.title]

    def _show_sample(self, n: int) -> None:
        samples = self._samples()
        if not 0 <= n < len(samples):
            self.sample.setPlainText("")
            self.sample_says.setText("")
            return
        self.sample.setPlainText(samples[n].text)
        self.sample_says.setText(tr("step {n:,}", n=samples[n].step))
        if self.curves is not None:
            self.curves.mark(samples[n].step)

    def _update(self) -> None:
        """Enable what can be done now."""
        running = self.heard is not None
        paused = self.job is not None and self.job.paused
        unfinished = not running and self.folder is not None and not self.history.finished
        self.start_button.setEnabled(not running)
        self.pause_button.setEnabled(running or unfinished)
        for part in (self.stop_button, self.slower, self.faster):
            part.setEnabled(running)
        self.step_button.setEnabled(running and paused)
        self.pause_button.setText(tr("Go on") if paused or unfinished else tr("Pause"))
        factor = self.heard.rate_factor if self.heard else 1.0
        self.rate_says.setText(tr("Learning rate: × {f:g} of the plan's", f=factor))

    # State.

    def save_state(self) -> dict[str, Any]:
        try:
            plan = self.form.plan().to_json()
        except LabError:
            plan = self.form.preset.plan.to_json()
        run = self.folder.name if self.folder is not None else ""
        return {"preset": self.form.preset.name, "start": self.form.start, "plan": plan, "run": run}

    def restore_state(self, state: dict[str, Any]) -> None:
        from core.training.finetune_plans import FINETUNE_PRESETS, FinetunePlan

        if any(one.name == state.get("preset") for one in FINETUNE_PRESETS):
            self.form.choose_preset(str(state["preset"]))
        if isinstance(state.get("plan"), dict):
            self.form.set_plan(FinetunePlan.from_json(state["plan"]))
        if isinstance(state.get("start"), str):
            self.form.choose_start(state["start"])
        for info in self.context.workspace.works(KIND):
            if info.id == state.get("run"):
                self.show_run(info.folder, info.name)
