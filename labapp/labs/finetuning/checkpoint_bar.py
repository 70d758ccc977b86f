"""What can be done with a checkpoint of the run in view: ask it, keep it, look inside it in another lab."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSlider, QVBoxLayout, QWidget

from core.artifacts import Artifact
from core.problems import LabError
from core.training.finetune_folders import finetuned_checkpoints
from labapp.handoff import Handoff
from labapp.widgets.parts import button, label
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.finetuning import FinetuningLab


class CheckpointBar(QWidget):
    """A slider over the checkpoints that a run has kept, and buttons.

    Args:
        lab: The lab.
        run: Gives the run's folder, or None where none is in view.
    """

    def __init__(self, lab: FinetuningLab, run: Callable[[], Path | None]) -> None:
        super().__init__()
        self.lab, self._run = lab, run
        self._kept: dict[Path, Artifact] = {}
        self.says = label("", "small")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Checkpoint"))
        self.slider.setToolTip(tr("Kept closer together at the beginning"))
        self.slider.valueChanged.connect(lambda _: self._say())
        self.ask_button = button(
            tr("Ask it"), self.ask, tip=tr("Compare its answers, on the page Before and after")
        )
        self.keep_button = button(
            tr("Keep"), self.keep, tip=tr("Copy this checkpoint into the workspace's models or adapters")
        )
        self.open_button = button(
            tr("Open in…"), self._open_menu, tip=tr("Keep it as a model, and look inside in another lab")
        )
        row = QHBoxLayout()
        for part in (self.ask_button, self.keep_button, self.open_button):
            row.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.says)
        layout.addWidget(self.slider)
        layout.addLayout(row)
        self.refresh()

    def _found(self) -> list[tuple[int, Path]]:
        return finetuned_checkpoints(self._run())

    @property
    def place(self) -> Path | None:
        """The checkpoint's folder; None where there is none."""
        found = self._found()
        return found[min(self.slider.value(), len(found) - 1)][1] if found else None

    def refresh(self) -> None:
        """Look at the run again."""
        found = self._found()
        self.setVisible(bool(found))
        at_end = self.slider.value() == self.slider.maximum()
        self.slider.setRange(0, max(0, len(found) - 1))
        if at_end:
            self.slider.setValue(self.slider.maximum())
        self.slider.setEnabled(len(found) > 1)
        self._say()

    def _say(self) -> None:
        found = self._found()
        if found:
            n = min(self.slider.value(), len(found) - 1)
            self.says.setText(
                tr("Checkpoint: step {n:,}, {of} of {all}", n=found[n][0], of=n + 1, all=len(found))
            )

    def ask(self) -> None:
        """Compare its answers."""
        place = self.place
        if place is not None:
            self.lab.frame.show_page("answers")
            self.lab.answers.choose_model(2, str(place))

    def keep(self) -> None:
        """Keep the checkpoint in the workspace."""
        self.lab.attempt(self._keep)

    def _keep(self) -> Artifact:
        from core.training.publish import publish_finetuned

        place, run = self.place, self._run()
        if place is None or run is None:
            raise LabError(tr("This run has no checkpoint yet."), tr("Train some steps first."))
        if place not in self._kept:
            name = tr("{run}, {step}", run=self.lab.run.heading.text(), step=place.name)
            self._kept[place] = publish_finetuned(self.lab.context.workspace, place, name)
            self.lab.context.published(self._kept[place])
            self.lab.frame.messages.show_note(tr("“{name}” is in the workspace now.", name=name))
        return self._kept[place]

    def open_in(self, name: str) -> None:
        """Keep the checkpoint and look inside it in another lab."""
        artifact = self.lab.attempt(self._keep)
        if artifact is not None and artifact.kind == "model":
            self.lab.context.open_in(name, Handoff(model_id=artifact.id))
        elif artifact is not None:
            self.lab.frame.messages.show_note(
                tr("It is an adapter: merge it with its model on the page LoRA, then open the model.")
            )

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name, title in self.lab.context.labs_for(Handoff(model_id="any")):
            if name != self.lab.name:
                menu.addAction(title).triggered.connect(partial(self._opened, name))
        menu.popup(self.open_button.mapToGlobal(self.open_button.rect().bottomLeft()))

    def _opened(self, name: str, _: bool = False) -> None:
        self.open_in(name)
