"""How long the plan in the form will take on this machine: measured when it is asked for, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.problems import LabError
from core.training.estimates import Pace, estimate, keep_pace, read_pace
from core.training.presets import RunPlan
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.durations import duration
from labapp.widgets.parts import button, label
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.training import TrainingLab

FILE = "pace.json"  # in the workspace
QUIET = 1000  # ms without a change after which a plan that a person chose is measured


class PaceLine(QWidget):
    """A sentence, or a button that asks for it.

    Args:
        lab: The lab.
        plan: Gives the plan as it stands in the form.
    """

    def __init__(self, lab: TrainingLab, plan: Callable[[], RunPlan]) -> None:
        super().__init__()
        self.lab, self._plan = lab, plan
        self.says = label("", "small", wrap=True)
        self.ask = button(
            tr("How long here?"), self.measure, tip=tr("Try three steps of this plan on this machine"),
            role="sample",
        )  # fmt: skip
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET)
        self._timer.timeout.connect(self.measure)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.says)
        layout.addWidget(self.ask)

    def show_plan(self, chosen: bool = False) -> None:
        """Say what is known of the plan; where nothing is and a person chose it, measure it soon.

        Args:
            chosen: Whether a person has just chosen or changed it.
        """
        self._timer.stop()
        try:
            plan = self._plan()
        except LabError:
            return
        pace = read_pace(self.lab.context.workspace.root / FILE, plan)
        self.says.setVisible(pace is not None)
        self.ask.setVisible(pace is None)
        if pace is not None:
            self.says.setText(sentence(plan, pace))
        elif chosen and self.lab.run.heard is None:
            self._timer.start()

    def measure(self) -> None:
        """Try some steps of the plan."""
        self._timer.stop()
        self.lab.attempt(self._measure)

    def _measure(self) -> None:
        if self.lab.run.heard is not None:
            raise LabError(tr("A run is going on: it would be slowed, and so would the trial."), tr("Wait."))
        plan = self._plan()
        file = self.lab.context.workspace.root / FILE

        def stage() -> Iterator[Any]:
            from core.training.pace import measure_pace

            yield from measure_pace(plan)

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                keep_pace(file, plan, outcome.finished.result)
                self.show_plan()
            self.lab.show_failure(outcome)

        self.says.setText(tr("Trying three steps…"))
        self.says.show()
        self.ask.hide()
        self.lab.context.runner.start(
            Slot(self.lab.name, "pace"), stage, title=tr("Trying the plan"), heavy=True,
            on_events=lambda events: None, on_end=end,
        )  # fmt: skip


def sentence(plan: RunPlan, pace: Pace) -> str:
    """How long a plan takes, and what that is reckoned from."""
    made = estimate(plan, pace)
    tried = (
        tr("a step was tried: {s:.2g} s", s=pace.step)
        if pace.sequences >= plan.settings.batch
        else tr(
            "{n} of {all} sequences of a step were tried: {s:.2g} s a step",
            n=pace.sequences, all=plan.settings.batch, s=pace.step,
        )
    )  # fmt: skip
    return tr(
        "About {time} on this machine ({tried}; steps {steps}, looks and samples {looks}, text {text}).",
        time=duration(made.seconds), tried=tried, steps=duration(made.steps), looks=duration(made.looks),
        text=duration(made.text),
    )  # fmt: skip
