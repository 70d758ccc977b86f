"""Run: choose a plan, start, and watch; pause, take one step, change the learning rate, stop.

Stages: `core.training.runs.start_run` and `resume_run`; `core.training.history.played` plays a recording.
What to notice: the loss begins at ln(vocabulary), and the samples say what each fall of it is worth.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from core.artifacts import Work
from core.corpus.smallworld.settings import QUIZ_SHARE
from core.problems import LabError
from core.stages import Progress
from core.training.events import Controls, Sampled, SeenBatch, Trained
from core.training.history import History, history_of, played, read_history, replay
from core.training.joining import joined
from core.training.presets import PRESETS, CorpusChoice, Preset, RunPlan, preset, with_settings
from core.training.settings import ShapeSettings, TrainingSettings
from labapp.jobs import Job, Stopped
from labapp.labs.training.pace_line import PaceLine
from labapp.memory import keep_memory, share_memory
from labapp.pages import LabPage
from labapp.runner import Done, Outcome, Slot
from labapp.scenes import read_json
from labapp.widgets.durations import duration
from labapp.widgets.form import SettingsForm
from labapp.widgets.parts import Resized, WholeLabel, button, card, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr
from labapp.works import check_writable

if TYPE_CHECKING:
    from labapp.labs.training import TrainingLab
    from labapp.labs.training.curves import Curves

PLAYED = 400.0  # events of a recording a second
BATCH = 250  # ms between two looks at a run
FIRST = 100  # steps of the recording that are shown before the question is answered
SAMPLE, SAMPLE_LOW = 56, 44  # px of the sample's text at most: three lines, and two
LOW = 400  # px of the picture's height below which the sample has two lines
GROUPS = {"presets": "Plans", "failures": "Failures, on purpose"}
MAIN = ["steps", "batch", "optimizer", "rate"]
MORE = [
    "matrix_rate", "schedule", "warmup", "decay", "weight_decay", "clip", "accumulation", "precision",
    "device", "evaluate_every", "save_every", "seed", "masked",
]  # fmt: skip


class RunPage(LabPage):
    """Plan and buttons, curves over samples, and the numbers of the last step.

    Attributes:
        folder: Of the run in view, or None where a recording is.
        heard: What the run that is going on listens to; None where none is.
    """

    changed = Signal()
    seen = Signal(object)  # SeenBatch

    def __init__(self, lab: TrainingLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.curves: Curves | None = None
        self.folder: Path | None = None
        self.history = History()
        self.job: Job | None = None
        self.preset: Preset = preset("taste")
        self.path = ""
        self.heard: Controls | None = None
        self._work: Work | None = None
        self._events: list[Any] = []
        self._recording: list[Any] = []
        self._build_controls()
        self._build_picture()
        self._build_details()
        self.choose_preset(self.preset.name)

    # Assembly.

    def _build_controls(self) -> None:
        self.picker = Picker(tr("Plan"), self._choices)
        self.picker.picked.connect(self.choose_preset)
        self.picker.picked.connect(lambda _: self._plan_touched())
        self.promise = label("", "small", wrap=True)
        self.open_button = button(
            tr("Choose a text…"), self._open, tip=tr("A text file, or JSONL; or drop one here")
        )
        self.pace: PaceLine = PaceLine(self.lab, self.plan)
        self.form = SettingsForm(TrainingSettings, MAIN)
        self.shape = SettingsForm(ShapeSettings, ["layers", "width", "heads", "context"])
        self.world = SettingsForm(CorpusChoice, ["words", "quiz_share"])
        self.more = SettingsForm(TrainingSettings, MORE)
        self.more_box = QWidget()
        inner = QVBoxLayout(self.more_box)
        inner.setContentsMargins(0, 0, 0, 0)
        for form in (self.shape, self.world, self.more):
            inner.addWidget(form)
        for form in (self.form, self.shape, self.world, self.more):
            form.changed.connect(self._plan_touched)
        self.more_button = button(
            tr("More settings"), self._toggle_more, tip=tr("Shape, text and optimizer"), role="sample"
        )
        self.more_button.setCheckable(True)
        self.more_box.hide()
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
        first, second, third = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for row, parts in (
            (first, (self.start_button, self.pause_button)),
            (second, (self.step_button, self.stop_button)),
            (third, (self.slower, self.faster)),
        ):
            for part in parts:
                row.addWidget(part, 1)
        plan = QWidget()
        column = QVBoxLayout(plan)
        column.setContentsMargins(0, 0, 8, 0)
        shown: tuple[QWidget, ...] = (
            self.promise, self.pace, self.open_button, self.form, self.more_button, self.more_box,
        )  # fmt: skip
        for each in shown:
            column.addWidget(each)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(plan)
        self.controls = controls(
            field(tr("Plan"), self.picker, tr("What is learned, and for how long")), scroll, first, second,
            self.rate_says, third, grows=scroll,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._play_all)
        self.heading = WholeLabel("", "heading")
        self.head = QHBoxLayout()
        self.head.addWidget(self.heading, 1)
        self.place = QVBoxLayout()
        self.place.setContentsMargins(0, 0, 0, 0)
        self.prompt = Picker(tr("Prompt"), self._prompts)
        self.prompt.picked.connect(self._choose_prompt)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Sample shown"))
        self.slider.setToolTip(tr("What the model wrote at each look, from the first to the last"))
        self.slider.valueChanged.connect(self._show_sample)
        self.sample_says = label("", "small")
        self.sample = QPlainTextEdit()
        self.sample.setReadOnly(True)
        self.sample.setAccessibleName(tr("What the model writes"))
        self.sample.setToolTip(
            tr("The prompt and how the model went on, always with the most probable token")
        )
        self.sample.setTabChangesFocus(True)
        self.sample.setMaximumHeight(SAMPLE)
        row = QHBoxLayout()
        row.addWidget(label(tr("Sample"), "heading"))
        row.addWidget(self.prompt, 1)
        row.addWidget(self.slider, 2)
        row.addWidget(self.sample_says)
        self.picture = Resized(self._fit)
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addLayout(self.head)
        layout.addLayout(self.place, 1)
        layout.addWidget(card(row, self.sample, spacing=4))

    def _fit(self, height: int) -> None:
        """Leave a low picture to its curves."""
        self.sample.setMaximumHeight(SAMPLE if height >= LOW else SAMPLE_LOW)

    def _build_details(self) -> None:
        self.numbers = Table(
            tr("The last step"), [Column(tr("Measure"), stretch=True), Column(tr("Value"), number=True)]
        )
        self.look_for = label("", "", wrap=True)
        self.why = label("", "small", wrap=True)
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(label(tr("What to look for"), "heading"))
        layout.addWidget(self.look_for)
        layout.addWidget(self.why)
        layout.addWidget(label(tr("The last step"), "heading"))
        layout.addWidget(self.numbers, 1)

    def plots_ready(self) -> None:
        if self.curves is None:
            from labapp.labs.training.curves import Curves

            self.curves = Curves()
            self.place.addWidget(self.curves, 1)
            self.head.addWidget(self.curves.logarithmic)
            self._show()

    def pictures(self) -> dict[str, QWidget]:
        return {self.curves.shown.title: self.curves.shown} if self.curves is not None else {}

    def take_focus(self) -> None:
        self.start_button.setFocus()

    # The plan.

    def _choices(self) -> list[Choice]:
        return [
            Choice(one.name, tr(one.title), tr(GROUPS[one.group]), tip=tr(one.promise)) for one in PRESETS
        ]

    def choose_preset(self, name: str) -> None:
        """Fill the form from a preset."""
        self.preset = preset(name)
        plan = self.preset.plan.to_json()
        self.picker.set_title(tr(self.preset.title))
        self.promise.setText(tr(self.preset.promise))
        self.look_for.setText(tr(self.preset.look_for))
        self.why.setText(tr(self.preset.why))
        for form in (self.form, self.more):
            form.set_values(plan["settings"])
        self.shape.set_values(plan["shape"])
        self.world.set_values(plan["corpus"])
        own = plan["corpus"]["kind"] == "file"
        self.open_button.setVisible(own)
        self.world.setVisible(not own)
        self.pace.show_plan()
        self._update()

    def plan(self) -> RunPlan:
        """The plan as it stands in the form.

        Raises:
            LabError: A value is outside its limits.
        """
        values = self.form.values() | self.more.values() | self.shape.values()
        if self.preset.plan.corpus.kind == "file":
            values |= {"path": self.path}
        else:
            values |= self.world.values()
        return with_settings(self.preset.plan, values)

    def _plan_touched(self) -> None:
        self.pace.show_plan(chosen=True)

    def vary_quizzes(self, share: float) -> None:
        """Take a plan of the small world, the chosen one where it is, with another share of quizzes."""
        if self.preset.plan.corpus.kind != "smallworld" or self.preset.group != "presets":
            self.choose_preset("taste")
        self.world.set_values({"quiz_share": share})
        self.more_button.setChecked(True)
        self._toggle_more()
        words = tr(
            "“{plan}” is set up with {n:.0f} % quizzes instead of {usual:.0f} %. Press Train, then score it "
            "on the page Knowledge: watch P1.",
            plan=tr(self.preset.title), n=100 * share, usual=100 * QUIZ_SHARE,
        )  # fmt: skip
        self.lab.frame.messages.show_note(words)

    def _toggle_more(self) -> None:
        self.more_box.setVisible(self.more_button.isChecked())

    def _open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self.controls.window(), tr("Choose a text"), "", "*.txt *.md *.jsonl"
        )
        if name:
            self.open_files([Path(name)])

    def open_files(self, files: list[Path]) -> None:
        self.choose_preset("text")
        self.path = str(files[0])
        self.open_button.setText(files[0].name)

    # A run.

    def start(self) -> None:
        """Begin a new run."""
        self.lab.attempt(self._start)

    def _start(self) -> None:
        from core.training.runs import start_run

        self._check_free()
        plan = self.plan()
        heard = Controls()
        if plan.corpus.kind == "file" and not plan.corpus.path:
            raise LabError(tr("No text is chosen."), tr("Choose a text file, or drop one here."))
        work = self.context.workspace.new_work("training", tr(self.preset.title), {"plan": plan.name})
        try:
            self._launch(work, heard, lambda: start_run(work.folder, plan, heard))
        except LabError:
            work.close()
            raise

    def resume(self, id_: str) -> None:
        """Go on with a run of the workspace."""
        self.lab.attempt(self._resume, id_)

    def _resume(self, id_: str) -> None:
        from core.training.runs import resume_run

        self._check_free()
        work = self.context.workspace.open_work("training", id_)
        heard = Controls()
        try:
            check_writable(work)
            self._launch(work, heard, lambda: resume_run(work.folder, heard))
        except LabError:
            work.close()
            raise

    def _check_free(self) -> None:
        if self.heard is not None:
            raise LabError(tr("A run is going on."), tr("Stop it first, or wait for its end."))

    def _launch(self, work: Work, heard: Controls, make: Any) -> None:
        self._check_free()
        self.prediction.hide()
        self._stop_playing()
        before = read_history(work.folder)
        self._events = []
        self.folder, self.heard, self._work = work.folder, heard, work
        self.history = before
        keep_memory()
        self.job = self.context.runner.start(
            Slot(self.lab.name, "run"), make, title=tr("Training: {name}", name=work.name), heavy=True,
            on_events=self._take, on_end=self._ended, batch_ms=BATCH,
            progress_of=lambda event: Progress(tr("Training"), event.step, self._steps(event), tr("steps"))
            if hasattr(event, "loss") and hasattr(event, "rate") else None,
        )  # fmt: skip
        self.heading.setText(work.name)
        self._show()
        self._update()
        self.changed.emit()

    def _steps(self, event: Any) -> int | None:
        return self.history.began.steps if self.history.began else None

    def _take(self, events: list[Any]) -> None:
        kept = []
        for event in events:
            if isinstance(event, SeenBatch):
                self.seen.emit(event)
            elif not isinstance(event, Progress):
                kept.append(event)
        if kept:
            self._add(kept)

    def _add(self, events: list[Any]) -> None:
        self.history = joined(self.history, history_of(iter(events), None))
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
        """Wait, or go on."""
        if self.job is not None:
            self.job.resume() if self.job.paused else self.job.pause()
            self._update()

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

    def show_run(self, folder: Path, name: str) -> None:
        """Show a run of the workspace that does not go on."""
        if self.heard is None:
            self._stop_playing()
            self.prediction.hide()
            self.folder, self.history = folder, read_history(folder)
            self.heading.setText(name)
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        if self.curves is not None:
            self.curves.show_history(self.history)
        self.numbers.set_rows(self._rows())
        samples = self._samples()
        at_end = self.slider.value() == self.slider.maximum()
        self.slider.setRange(0, max(0, len(samples) - 1))
        if at_end:
            self.slider.setValue(self.slider.maximum())
        self._show_sample(self.slider.value())

    def _rows(self) -> list[tuple[str, str]]:
        history = self.history
        rows: list[tuple[str, str]] = []
        if history.steps:
            last = history.steps[-1]
            total = f" / {history.began.steps:,}" if history.began else ""
            rows += [
                (tr("Step"), f"{last.step:,}{total}"),
                (tr("Training loss (nats)"), f"{last.loss:.3f}"),
                (tr("As if among … tokens"), f"{math.exp(min(last.loss, 30)):,.1f}"),
            ]
        if history.validated:
            seen = history.validated[-1]
            rows += [
                (tr("Validation loss (nats)"), f"{seen.loss:.3f}"),
                (tr("Bits per byte"), f"{seen.bits_per_byte:.3f}"),
            ]
        if history.steps:
            rows += [
                (tr("Learning rate"), f"{last.rate:.3g}"),
                (tr("Gradient"), f"{last.gradient:.3g}"),
                (tr("Tokens read"), f"{last.tokens:,}"),
                (tr("Tokens/s"), f"{last.tokens_per_second:,.0f}"),
                (tr("Share of the peak"), f"{last.utilization:.0%}"),
                (tr("Left"), duration(last.seconds_left)),
            ]
        if history.began:
            began = history.began
            rows += [
                (tr("Parameters"), f"{began.parameters:,}"),
                (tr("Chance: ln {n:,}", n=began.vocab_size), f"{began.chance_loss:.2f}"),
                (tr("Precision"), began.precision),
            ]
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
        one = samples[n]
        self.sample.setPlainText(one.prompt + one.text)
        self.sample_says.setText(tr("step {n:,}", n=one.step))
        if self.curves is not None:
            self.curves.mark(one.step)

    def _update(self) -> None:
        """Enable what can be done now."""
        running = self.heard is not None
        paused = self.job is not None and self.job.paused
        self.start_button.setEnabled(not running)
        for part in (self.pause_button, self.stop_button, self.slower, self.faster):
            part.setEnabled(running)
        self.step_button.setEnabled(running and paused)
        self.pause_button.setText(tr("Go on") if paused else tr("Pause"))
        factor = self.heard.rate_factor if self.heard else 1.0
        self.rate_says.setText(tr("Learning rate: × {f:g} of the plan's", f=factor))

    # The scene: a recording.

    def show_scene(self) -> None:
        """Play the beginning of a recorded run and ask how it goes on."""
        if self.heard is not None:
            return
        values = read_json("training", "recording.json")
        self._recording = replay(values, Path())
        self.history, self.folder = History(), None
        self.heading.setText(tr("A recording: how the shipped base model learned the small world"))
        self.prediction.ask(
            tr("Loss 7.6: the model knows nothing. Where will it end?"),
            ["7", "4", "0.8", "0"],
        )
        self._play([e for e in self._recording if getattr(e, "step", 0) <= FIRST])

    def _answered(self, index: int) -> None:
        last = history_of(iter(self._recording), None)
        loss = last.validated[-1].loss if last.validated else math.nan
        floor = last.began.floor_loss if last.began else None
        self.prediction.reveal(
            tr(
                "{loss:.2f} nats a token. Its text was drawn by chance, at most {floor:.2f} nats a token: "
                "nobody can foresee that part.", loss=loss, floor=floor or 0.0,
            )
        )  # fmt: skip
        self._play_rest()

    def _play_all(self) -> None:
        if self._recording and self.folder is None and self.heard is None:
            self._play_rest()

    def _play_rest(self) -> None:
        seen = self.history.steps[-1].step if self.history.steps else -1
        self._play([e for e in self._recording if getattr(e, "step", 0) > max(seen, FIRST)])

    def _play(self, events: list[Any]) -> None:
        if self.context.reduced_motion:
            self._add(events)
            return
        self.context.runner.start(
            Slot(self.lab.name, "recording"), lambda: played(events), title=tr("Playing a recording"),
            on_events=self._take, on_end=lambda outcome: None, pace=PLAYED,
        )  # fmt: skip

    def _stop_playing(self) -> None:
        job = self.context.runner.job(Slot(self.lab.name, "recording"))
        self._recording = []
        if job is not None:
            job.stop()

    # State.

    def save_state(self) -> dict[str, Any]:
        run = self.folder.name if self.folder is not None else ""
        return {
            "preset": self.preset.name, "path": self.path, "run": run,
            "settings": self.form.values() | self.more.values(), "shape": self.shape.values(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        name = state.get("preset")
        if any(one.name == name for one in PRESETS):
            self.choose_preset(str(name))
        for form, key in ((self.form, "settings"), (self.more, "settings"), (self.shape, "shape")):
            if isinstance(state.get(key), dict):
                form.set_values(state[key])
        if isinstance(state.get("path"), str) and state["path"]:
            self.path = state["path"]
            self.open_button.setText(Path(self.path).name)
        for info in self.context.workspace.works("training"):
            if info.id == state.get("run"):
                self.show_run(info.folder, info.name)
                return
        self.show_scene()
