"""Runs: all of the workspace, side by side; go on with one, or open a checkpoint of it in another lab.

What to notice: which setting made the difference, and at which step a checkpoint could do what.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from core.artifacts import Artifact
from core.artifacts.work import WorkInfo
from core.problems import LabError
from core.training.folders import checkpoints_of
from core.training.history import History, history_of, read_history, replay
from labapp.handoff import Handoff
from labapp.pages import LabPage
from labapp.scenes import read_json
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.training import TrainingLab
    from labapp.labs.training.curves import Overlay


class RunsPage(LabPage):
    """Overlaid curves over the table of runs; what can be done with the chosen one on the left."""

    def __init__(self, lab: TrainingLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.runs: list[tuple[WorkInfo, History]] = []
        self.overlay: Overlay | None = None
        self.chosen = -1
        self._kept: dict[Path, Artifact] = {}
        self._build_controls()
        self._build_picture()
        lab.run.changed.connect(self.refresh)

    def _build_controls(self) -> None:
        self.about = label(tr("Choose a run."), "", wrap=True)
        self.show_button = button(
            tr("Show"), self.show_run, tip=tr("Its curves and samples, on the page Run")
        )
        self.resume_button = button(
            tr("Go on"), self.resume, tip=tr("Train further, from its last save"), role="primary"
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.valueChanged.connect(self._show_step)
        self.step_says = label("", "small")
        self.keep_button = button(
            tr("Keep as a model"), self.keep, tip=tr("Copy this checkpoint into the workspace's models")
        )
        self.opens = [
            button(
                tr("Open in {lab}", lab=title), partial(self.open_in, name), tip=tr("Keep it and look inside")
            )
            for name, title in self.context.labs_for(Handoff(model_id="any"))
        ]
        row = QHBoxLayout()
        row.addWidget(self.show_button)
        row.addWidget(self.resume_button)
        self.folder_says = label("", "small", wrap=True)
        self.folder_says.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.controls = controls(
            self.about, row,
            field(tr("Checkpoint"), self.slider, tr("Kept closer together at the beginning")),
            self.step_says, self.keep_button, *self.opens, self.folder_says,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.table = Table(
            tr("Runs"),
            [
                Column(tr("Run"), stretch=True),
                Column(tr("Plan")),
                Column(tr("Steps"), number=True),
                Column(tr("Best validation loss (nats)"), number=True),
                Column(tr("Minutes"), number=True),
                Column(tr("Begun")),
            ],
        )
        self.table.row_chosen.connect(self.choose)
        self.place = QVBoxLayout()
        self.place.setContentsMargins(0, 0, 0, 0)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(self.place, 3)
        layout.addWidget(card(label(tr("All runs"), "heading"), self.table, spacing=4, grows=self.table), 2)
        self.settings = Table(
            tr("Settings of the run"), [Column(tr("Setting"), stretch=True), Column(tr("Value"), number=True)]
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.addWidget(label(tr("Settings"), "heading"))
        column.addWidget(self.settings, 1)

    def plots_ready(self) -> None:
        if self.overlay is None:
            from labapp.labs.training.curves import Overlay

            self.overlay = Overlay()
            self.place.addWidget(self.overlay)
            self._draw()

    def pictures(self) -> dict[str, QWidget]:
        return {self.overlay.plot.title: self.overlay.plot} if self.overlay is not None else {}

    def take_focus(self) -> None:
        self.table.setFocus()

    def show_first(self) -> None:
        self.refresh()

    def shown(self) -> None:
        self.refresh()

    # The list.

    def refresh(self) -> None:
        """Read the runs of the workspace again."""
        works = self.context.workspace.works("training")
        chosen = self.runs[self.chosen][0].id if 0 <= self.chosen < len(self.runs) else ""
        self.runs = [(info, read_history(info.folder)) for info in works]
        at = next((n for n, (info, _) in enumerate(self.runs) if info.id == chosen), 0 if self.runs else -1)
        self.table.set_rows([_row(info, told) for info, told in self.runs], at if at >= 0 else None)
        self.choose(at)
        self._draw()

    def choose(self, row: int) -> None:
        """Take a run."""
        self.chosen = row if row < len(self.runs) else -1
        there = self.chosen >= 0
        running = self.lab.run.heard is not None
        for part in (self.show_button, self.resume_button):
            part.setEnabled(there and not running)
        found = self._checkpoints()
        self.slider.setRange(0, max(0, len(found) - 1))
        self.slider.setValue(self.slider.maximum())
        self.slider.setEnabled(len(found) > 1)
        for part in (self.keep_button, *self.opens):
            part.setEnabled(bool(found))
        if not there:
            self.about.setText(tr("There is no run yet: begin one on the page Run."))
            self.settings.set_rows([])
            self._show_step()
            return
        info, told = self.runs[self.chosen]
        self.about.setText(info.name)
        self.settings.set_rows(_settings(told))
        self._show_step()
        self._draw()

    def _checkpoints(self) -> list[tuple[int, Path]]:
        return checkpoints_of(self.runs[self.chosen][0].folder) if self.chosen >= 0 else []

    def _show_step(self, _: int = 0) -> None:
        found = self._checkpoints()
        if not found:
            self.step_says.setText(tr("No checkpoint yet."))
            self.folder_says.setText("")
            return
        step, folder = found[min(self.slider.value(), len(found) - 1)]
        self.step_says.setText(
            tr("step {n:,}, {of} of {all}", n=step, of=self.slider.value() + 1, all=len(found))
        )
        self.folder_says.setText(tr("It is a folder that transformers opens: {path}", path=folder))

    def _draw(self) -> None:
        if self.overlay is None:
            return
        from labapp.labs.training.curves import Overlay

        first = [self.runs[self.chosen]] if 0 <= self.chosen < len(self.runs) else []
        rest = [run for run in self.runs if run not in first]
        recorded = history_of(replay(read_json("training", "recording.json"), Path()), None)
        runs = [(info.name, told) for info, told in first + rest]
        self.overlay.show_runs([*runs[: Overlay.MOST - 1], (tr("the shipped base model"), recorded)])

    # What is done with one.

    def show_run(self) -> None:
        """Show the chosen run on the page Run."""
        if self.chosen >= 0:
            info, _ = self.runs[self.chosen]
            self.lab.run.show_run(info.folder, info.name)
            self.lab.frame.show_page("run")

    def resume(self) -> None:
        """Go on with the chosen run."""
        if self.chosen >= 0:
            id_ = self.runs[self.chosen][0].id
            self.lab.frame.show_page("run")
            self.lab.run.resume(id_)

    def keep(self) -> None:
        """Keep the checkpoint as a model of the workspace."""
        self.lab.attempt(self._keep)

    def _keep(self) -> Artifact:
        from core.training.publish import publish_checkpoint

        found = self._checkpoints()
        if not found:
            raise LabError(tr("This run has no checkpoint yet."), tr("Train some steps first."))
        step, folder = found[min(self.slider.value(), len(found) - 1)]
        if folder not in self._kept:
            name = tr("{run}, step {n:,}", run=self.runs[self.chosen][0].name, n=step)
            self._kept[folder] = publish_checkpoint(self.context.workspace, folder, name)
            self.context.published(self._kept[folder])
        return self._kept[folder]

    def open_in(self, name: str) -> None:
        """Keep the checkpoint and look inside it in another lab."""
        artifact = self.lab.attempt(self._keep)
        if artifact is not None:
            self.context.open_in(name, Handoff(model_id=artifact.id))

    def save_state(self) -> dict[str, Any]:
        return {"chosen": self.chosen}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.refresh()
        if isinstance(state.get("chosen"), int) and 0 <= state["chosen"] < len(self.runs):
            self.choose(state["chosen"])


def _row(info: WorkInfo, told: History) -> tuple[str, ...]:
    last = told.steps[-1] if told.steps else None
    return (
        info.name,
        told.plan.name if told.plan else "",
        f"{last.step:,}" if last else "0",
        f"{told.best.loss:.3f}" if told.best else "",
        f"{last.seconds / 60:.1f}" if last else "",
        info.created.astimezone().strftime("%Y-%m-%d %H:%M"),
    )


def _settings(told: History) -> list[tuple[str, str]]:
    if told.plan is None:
        return []
    values = told.plan.to_json()
    rows = values["corpus"] | values["shape"] | values["settings"]
    return [(name, f"{value:g}" if isinstance(value, float) else str(value)) for name, value in rows.items()]
