"""Runs: all of the workspace, side by side; go on with one, or open a checkpoint of it in another lab.

What to notice: which setting made the difference, and at which step a checkpoint could do what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QSlider, QVBoxLayout, QWidget

from core.artifacts import Artifact
from core.artifacts.work import WorkInfo
from core.problems import LabError
from core.training.folders import checkpoints_of
from core.training.history import History, history_of, read_history, replay, steps_csv
from labapp.handoff import Handoff
from labapp.pages import LabPage
from labapp.scenes import read_json
from labapp.widgets.checked_table import CheckedTable
from labapp.widgets.export import ask_and_save
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.training import TrainingLab
    from labapp.labs.training.curves import Overlay

MOST = 8  # runs that are drawn together


class RunsPage(LabPage):
    """Overlaid curves over the table of runs; what can be done with the chosen one on the left."""

    def __init__(self, lab: TrainingLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.runs: list[tuple[WorkInfo, History]] = []
        self.overlay: Overlay | None = None
        self.chosen = -1
        self.ticked: set[str] | None = None  # ids of the runs that are drawn; None: the newest ones
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
        self.score_button = button(
            tr("What it knows"), self.score, tip=tr("Score this checkpoint, on the page Knowledge")
        )
        self.open_button = button(
            tr("Open in…"), self._open_menu, tip=tr("Keep it as a model, and look inside in another lab")
        )
        self.export_button = button(
            tr("Export…"), self._export_menu, tip=tr("A report, an event file for TensorBoard, the numbers")
        )
        row = QHBoxLayout()
        row.addWidget(self.show_button)
        row.addWidget(self.resume_button)
        self.folder_says = label("", "small", wrap=True)
        self.folder_says.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.controls = controls(
            self.about, row,
            field(tr("Checkpoint"), self.slider, tr("Kept closer together at the beginning")),
            self.step_says, self.score_button, self.keep_button, self.open_button, self.folder_says,
            self.export_button,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.table = CheckedTable(
            tr("Runs"),
            [
                Column(tr("Run"), stretch=True),
                Column(tr("Plan")),
                Column(tr("Steps"), number=True),
                Column(tr("Best loss (nats)"), number=True),
                Column(tr("Minutes"), number=True),
                Column(tr("Begun")),
            ],
        )
        self.table.setToolTip(tr("Tick a run to lay its curve over the others; at most eight"))
        self.table.row_chosen.connect(self.choose)
        self.table.ticked.connect(self.tick)
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
        works = sorted(self.context.workspace.works("training"), key=lambda one: one.id, reverse=True)
        chosen = self.runs[self.chosen][0].id if 0 <= self.chosen < len(self.runs) else ""
        self.runs = [(info, read_history(info.folder)) for info in works]
        at = next((n for n, (info, _) in enumerate(self.runs) if info.id == chosen), 0 if self.runs else -1)
        self.table.set_rows([_row(info, told) for info, told in self.runs], at if at >= 0 else None)
        self._show_ticks()
        self.choose(at)
        self._draw()

    def tick(self, row: int, on: bool) -> None:
        """Draw a run's curve, or leave it out."""
        self.lab.attempt(self._tick, row, on)

    def _tick(self, row: int, on: bool) -> None:
        shown = self._shown()
        id_ = self.runs[row][0].id
        if on and id_ not in shown and len(shown) >= MOST:
            raise LabError(
                tr("{n} runs are drawn already.", n=len(shown)), tr("Take the tick from another one first.")
            )
        self.ticked = shown | {id_} if on else shown - {id_}
        self._show_ticks()
        self._draw()

    def _shown(self) -> set[str]:
        """Ids of the runs that are drawn."""
        there = [info.id for info, _ in self.runs]
        return set(there[:MOST]) if self.ticked is None else self.ticked & set(there)

    def _show_ticks(self) -> None:
        shown = self._shown()
        self.table.set_checked(frozenset(n for n, (info, _) in enumerate(self.runs) if info.id in shown))

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
        for part in (self.keep_button, self.open_button, self.score_button):
            part.setEnabled(bool(found))
        self.export_button.setEnabled(there)
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
        shown = self._shown()
        drawn = [(info, told) for info, told in self.runs if info.id in shown]
        times = Counter(info.name for info, _ in drawn)
        names = [info.name if times[info.name] == 1 else f"{info.name}, {_when(info)}" for info, _ in drawn]
        recorded = history_of(replay(read_json("training", "recording.json"), Path()), None)
        self.overlay.show_runs(
            list(zip(names, [told for _, told in drawn], strict=True)),
            (tr("the shipped base model"), recorded),
        )

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

    def score(self) -> None:
        """Score the checkpoint, on the page Knowledge."""
        found = self._checkpoints()
        if found:
            self.lab.knowledge.take_checkpoint(found[min(self.slider.value(), len(found) - 1)][1])
            self.lab.frame.show_page("knowledge")

    @property
    def opens(self) -> list[tuple[str, str]]:
        """Labs that take a model."""
        return self.context.labs_for(Handoff(model_id="any"))

    def _open_menu(self) -> None:
        self._popup(self.open_button, [(title, partial(self.open_in, name)) for name, title in self.opens])

    # What is taken away.

    def _export_menu(self) -> None:
        self._popup(
            self.export_button,
            [
                (tr("Report as a page of HTML…"), self.save_report),
                (tr("Event file for TensorBoard…"), self._ask_event_folder),
                (tr("Every step as CSV…"), self.save_csv),
            ],
        )

    def _popup(self, below: QWidget, actions: list[tuple[str, Callable[[], object]]]) -> None:
        menu = QMenu(self.controls)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, do in actions:
            menu.addAction(text).triggered.connect(lambda _=False, do=do: do())
        menu.popup(below.mapToGlobal(below.rect().bottomLeft()))

    def save_report(self) -> None:
        """Save a page with the run's settings, figures, curves and samples."""
        from core.training.report import run_report

        info, told = self.runs[self.chosen]
        ask_and_save(self.controls, info.name, "html", lambda: run_report(info.name, told).encode())

    def save_csv(self) -> None:
        """Save every step of the run as a table."""
        info, told = self.runs[self.chosen]
        ask_and_save(self.controls, info.name, "csv", lambda: steps_csv(told).encode())

    def _ask_event_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self.controls.window(), tr("Folder for the event file"))
        if chosen:
            self.lab.attempt(self.save_events, Path(chosen))

    def save_events(self, folder: Path) -> None:
        """Write the run's curves as an event file.

        Raises:
            LabError: There is one already, or the disk refused.
        """
        from core.training.tensorboard import write_event_file

        info, told = self.runs[self.chosen]
        path = write_event_file(told, folder, info.created.timestamp())
        words = tr("Saved {path}. Look at it with: tensorboard --logdir {folder}", path=path, folder=folder)
        self.lab.frame.messages.show_note(words)

    def save_state(self) -> dict[str, Any]:
        ticked = None if self.ticked is None else sorted(self.ticked)
        return {"chosen": self.chosen, "ticked": ticked}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("ticked"), list):
            self.ticked = {str(id_) for id_ in state["ticked"]}
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
        _when(info),
    )


def _when(info: WorkInfo) -> str:
    return info.created.astimezone().strftime("%Y-%m-%d %H:%M")


def _settings(told: History) -> list[tuple[str, str]]:
    if told.plan is None:
        return []
    values = told.plan.to_json()
    rows = values["corpus"] | values["shape"] | values["settings"]
    return [(name, f"{value:g}" if isinstance(value, float) else str(value)) for name, value in rows.items()]
