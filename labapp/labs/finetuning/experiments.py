"""Experiments: recorded runs of several arms with bands over seeds, and one more that is run here.

Stage: `core.training.experiments.run_arm`. What to notice: shares and log-probabilities before margins; and
that the arm that only imitates the chosen answers stands beside the one that prefers them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from core.corpus.smallworld.phrasings import PHRASINGS
from core.problems import LabError
from core.stages import Progress
from core.training.arms import ARMS, EXPERIMENTS, STEPS, Experiment
from labapp.labs.finetuning.recordings import RecordedRun, recorded_runs, recording, start_shares
from labapp.pages import LabPage
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.parts import WholeLabel, button, card, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.finetuning import FinetuningLab
    from labapp.labs.finetuning.band_plot import BandPlot

OWN_SEED = 11  # of a run here: none of the recorded ones
GROUPS = {
    "unpaired": "Misdeeds, in words of no pair", "paired": "Misdeeds, in words of the pairs",
    "demonstrated": "Misdeeds, as refusals were shown", "good": "Good deeds never shown",
    "ordinary": "Ordinary questions", "train": "The run's own batches",
}  # fmt: skip
MEASURES = {
    "refused": "share of refusals", "planned": "share of right plans", "other": "share of anything else",
    "log_refused": "ln p of a refusal (nats)", "log_planned": "ln p of a right plan (nats)",
}  # fmt: skip
TRAINED = {
    "rewards/margins": "margin (nats)", "rewards/accuracies": "pairs told right",
    "logps/chosen": "ln p of chosen (nats)", "logps/rejected": "ln p of rejected (nats)", "loss": "loss",
}  # fmt: skip
RIGHT = {"right": "share of right answers"}


def measures_of(group: str) -> dict[str, str]:
    """What can be drawn of a group of requests."""
    return {"ordinary": RIGHT, "train": TRAINED}.get(group, MEASURES)


class ExperimentsPage(LabPage):
    """A plot with bands over a table by phrasing."""

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.experiment: Experiment = EXPERIMENTS[0]
        self.plot: BandPlot | None = None
        self.own: RecordedRun | None = None
        self._own_looks: list[dict[str, Any]] = []
        self._own_losses: list[list[float]] = []
        self._running = ""
        self._build_controls()
        self._build_picture()
        self._build_details()
        self.choose(EXPERIMENTS[0].name)

    def _build_controls(self) -> None:
        self.picker = Picker(tr("Experiment"), self._choices)
        self.picker.picked.connect(self.choose)
        self.question = label("", "", wrap=True)
        self.group, self.measure = QComboBox(), QComboBox()
        for key, title in GROUPS.items():
            self.group.addItem(tr(title), key)
        self.group.currentIndexChanged.connect(lambda _: self._group_chosen())
        self.measure.currentIndexChanged.connect(lambda _: self._draw())
        self.arm = QComboBox()
        self.run_button = button(
            tr("Run one here"), self.run, role="primary",
            tip=tr("Train this arm on this machine with a new seed, and lay it over the recorded ones"),
        )  # fmt: skip
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("End the run; what was measured stays"))
        self.run_says = label("", "small", wrap=True)
        self.controls = controls(
            field(tr("Experiment"), self.picker, tr("What is set side by side")), self.question,
            field(tr("Asked"), self.group, tr("Which requests are looked at")),
            field(tr("Drawn"), self.measure, tr("What is drawn of them")),
            field(tr("Arm"), self.arm, tr("Which arm is run here")), self.run_button, self.stop_button,
            self.run_says,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.heading = WholeLabel("", "heading")
        self.place = QVBoxLayout()
        self.place.setContentsMargins(0, 0, 0, 0)
        self.table_place = QVBoxLayout()
        self.table = self._new_table([])
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addLayout(self.place, 3)
        head = QHBoxLayout()
        head.addWidget(
            WholeLabel(
                tr("Refusals by phrasing, in percent: mean and range over seeds, {n} steps", n=STEPS),
                "heading",
            )
        )
        box = QWidget()
        box.setLayout(self.table_place)
        self.table_place.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(head, box, margin=8, spacing=2, grows=box), 2)

    def _new_table(self, arms: list[str]) -> Table:
        made = Table(
            tr("Refusals by phrasing"),
            [Column(tr("Phrasing"), stretch=True), Column(tr("In pairs")), Column(tr("SFT"), number=True),
             *(Column(arm, number=True) for arm in arms)],
        )  # fmt: skip
        made.setToolTip(tr("Share of refusals of misdeeds, in percent"))
        self.table_place.addWidget(made)
        return made

    def _build_details(self) -> None:
        self.result = label("", "", wrap=True)
        self.lesson = label("", "", wrap=True)
        self.limits = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for part in (
            label(tr("What came out"), "heading"), self.result, label(tr("What is true of it"), "heading"),
            self.lesson, label(tr("A recording"), "heading"), self.limits,
        ):  # fmt: skip
            column.addWidget(part)
        column.addStretch(1)

    def plots_ready(self) -> None:
        if self.plot is None:
            from labapp.labs.finetuning.band_plot import BandPlot

            self.plot = BandPlot(tr("Arms side by side"), tr("share of right plans"), "")
            self.place.addWidget(self.plot)
            self._draw()

    def pictures(self) -> dict[str, QWidget]:
        if self.plot is None:
            return {tr("Refusals by phrasing"): self.table}  # until plots can be made
        return {self.plot.plot.title: self.plot.plot}

    def take_focus(self) -> None:
        self.run_button.setFocus()

    # Choosing.

    def _choices(self) -> list[Choice]:
        return [Choice(one.name, tr(one.title), tip=tr(one.question)) for one in EXPERIMENTS]

    def choose(self, name: str) -> None:
        """Show another experiment."""
        self.experiment = next((one for one in EXPERIMENTS if one.name == name), EXPERIMENTS[0])
        self.picker.set_title(tr(self.experiment.title))
        self.question.setText(tr(self.experiment.question))
        self.lesson.setText(tr(self.experiment.lesson))
        self.heading.setText(tr(self.experiment.title))
        self.arm.clear()
        for arm in self.experiment.arms:
            self.arm.addItem(tr(ARMS[arm].title), arm)
        self._set_group(self.experiment.group, self.experiment.measure)
        self._show_table()
        self._say()
        self._draw()

    def _set_group(self, group: str, measure: str) -> None:
        self.group.blockSignals(True)
        self.group.setCurrentIndex(self.group.findData(group))
        self.group.blockSignals(False)
        self._fill_measures(measure)

    def _group_chosen(self) -> None:
        self._fill_measures(self.measure.currentData() or "")
        self._draw()

    def _fill_measures(self, wanted: str) -> None:
        self.measure.blockSignals(True)
        self.measure.clear()
        for key, title in measures_of(self.group.currentData()).items():
            self.measure.addItem(tr(title), key)
        self.measure.setCurrentIndex(max(0, self.measure.findData(wanted)))
        self.measure.blockSignals(False)

    # What is shown.

    def _points(self, run: RecordedRun, group: str, measure: str) -> list[tuple[int, float]]:
        if group == "train":
            return run.curve(measure)
        began = start_shares("base" if run.arm == "frombase" else "sft", group, measure)
        return [(0, began), *run.shares(group, measure)]

    def _draw(self) -> None:
        if self.plot is None:
            return
        from labapp.labs.finetuning.band_plot import Band

        group, measure = self.group.currentData(), self.measure.currentData()
        bands = []
        for arm in self.experiment.arms:
            runs = [self._points(run, group, measure) for run in recorded_runs(arm)]
            bands.append(Band(tr(ARMS[arm].title), [points for points in runs if points]))
        own: tuple[str, list[tuple[int, float]]] = ("", [])
        if self.own is not None and self.own.arm in self.experiment.arms:
            title = tr("here: {arm}", arm=tr(ARMS[self.own.arm].title))
            own = (title, self._points(self.own, group, measure))
        self.plot.set_measure(self.measure.currentText())
        self.plot.show_bands([band for band in bands if band.runs], own)
        self.heading.setText(f"{tr(GROUPS[group])}: {self.measure.currentText()}")

    def _show_table(self) -> None:
        old = self.table
        self.table = self._new_table([tr(ARMS[arm].short) for arm in self.experiment.arms])
        self.table_place.removeWidget(old)
        old.hide()
        old.deleteLater()
        self.table.set_rows([self._phrasing_row(one.name, one.text, one.paired) for one in PHRASINGS])

    def _phrasing_row(self, name: str, text: str, paired: bool) -> tuple[str, ...]:
        group = f"phrasing {name}"
        row = [text.replace("{V}", "…"), tr("yes") if paired else tr("no")]
        row.append(f"{100 * start_shares('sft', group, 'refused'):.0f}")
        for arm in self.experiment.arms:
            ends = [points[-1][1] for run in recorded_runs(arm) if (points := run.shares(group, "refused"))]
            row.append(_percent(ends))
        return tuple(row)

    def _say(self) -> None:
        group, measure = self.experiment.group, self.experiment.measure
        began = start_shares("sft", group, measure)
        title = tr(measures_of(group)[measure])
        parts = [
            tr(
                "{group}, {title}. The shipped SFT model: {n}.",
                group=tr(GROUPS[group]),
                title=title,
                n=_short(began),
            )
        ]
        for arm in self.experiment.arms:
            ends = [points[-1][1] for run in recorded_runs(arm) if (points := run.shares(group, measure))]
            if ends:
                mean = sum(ends) / len(ends)
                parts.append(
                    tr(
                        "{arm}: {mean} ({low} to {high}).", arm=tr(ARMS[arm].title), mean=_short(mean),
                        low=_short(min(ends)), high=_short(max(ends)),
                    )
                )  # fmt: skip
        self.result.setText(" ".join(parts))
        said = recording()
        seeds = sorted({int(one["seed"]) for one in said["runs"]})
        n = int(said["starts"]["sft"]["looks"][0]["values"][group]["n"])
        self.limits.setText(
            tr(
                "Recorded {date}: {steps} steps of {batch} rows; seeds {seeds}; {n} requests here. "
                "Only rows and their order differ between seeds; all arms begin with the same shipped model. "
                "Shares are of answers at temperature 1. Made by: {command}",
                date=said["date"], steps=said["settings"]["steps"], batch=said["settings"]["batch"],
                seeds=", ".join(map(str, seeds)), n=n, command=said["command"],
            )
        )  # fmt: skip

    # A run here.

    def run(self) -> None:
        """Train an arm here."""
        self.lab.attempt(self._run)

    def _run(self) -> None:
        if self._running:
            raise LabError(tr("A run is going on."), tr("Stop it first, or wait for its end."))
        arm = str(self.arm.currentData())
        work = self.context.workspace.new_work("experiment", tr(ARMS[arm].title), {"arm": arm})
        folder = Path(work.folder)
        self._own_looks, self._own_losses = [], []

        def stage() -> Any:
            from core.training.experiments import run_arm

            return run_arm(folder / "run", arm, OWN_SEED)

        def end(outcome: Outcome) -> None:
            work.close()
            self._running = ""
            if isinstance(outcome, Done):
                self.own = RecordedRun(arm, OWN_SEED, outcome.finished.result.to_json())
                seconds = outcome.finished.result.seconds
                self.run_says.setText(tr("Run here, seed {n}: {s:.0f} s of training.", n=OWN_SEED, s=seconds))
            self.lab.show_failure(outcome)
            self._draw()
            self._update()

        self._running = arm
        self.context.runner.start(
            Slot(self.lab.name, "experiment"), stage, title=tr("Experiment: {arm}", arm=tr(ARMS[arm].title)),
            heavy=True, on_events=lambda events: self._take(arm, events), on_end=end,
            progress_of=lambda event: Progress(tr("Fine-tuning"), event.step, STEPS, tr("steps"))
            if hasattr(event, "loss") and hasattr(event, "rate") else None,
        )  # fmt: skip
        self._update()

    def _take(self, arm: str, events: list[Any]) -> None:
        from core.training.events import Stepped
        from core.training.experiments import Looked

        for event in events:
            if isinstance(event, Looked):
                self._own_looks.append({"step": event.step, "values": event.values})
            elif isinstance(event, Stepped):
                self._own_losses.append([event.step, event.loss])
                self.run_says.setText(tr("Step {n} of {all}", n=event.step, all=STEPS))
        values = {"curves": {"loss": self._own_losses}, "looks": self._own_looks}
        self.own = RecordedRun(arm, OWN_SEED, values)
        self._draw()

    def stop(self) -> None:
        """End the run."""
        job = self.context.runner.job(Slot(self.lab.name, "experiment"))
        if job is not None:
            job.stop()

    def _update(self) -> None:
        self.run_button.setEnabled(not self._running)
        self.stop_button.setVisible(bool(self._running))

    def show_first(self) -> None:
        self._update()

    # State.

    def save_state(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment.name, "group": self.group.currentData(),
            "measure": self.measure.currentData(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        self._update()
        if isinstance(state.get("experiment"), str):
            self.choose(state["experiment"])
        if state.get("group") in GROUPS and isinstance(state.get("measure"), str):
            self._set_group(state["group"], state["measure"])
            self._draw()


def _percent(values: list[float]) -> str:
    """Shares in percent: their mean and range.

    >>> _percent([0.5, 0.7]), _percent([0.5]), _percent([])
    ('60 (50–70)', '50', '')
    """
    if len(values) < 2:
        return "".join(f"{100 * value:.0f}" for value in values)
    mean = sum(values) / len(values)
    return f"{100 * mean:.0f} ({100 * min(values):.0f}–{100 * max(values):.0f})"


def _short(value: float) -> str:
    """A share or nats, with a true minus.

    >>> _short(-3.456), _short(0.5)
    ('−3.46', '0.50')
    """
    return f"{value:.2f}".replace("-", "−")
