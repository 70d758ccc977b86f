"""Choosing a model: SmolLM2, an artifact, or a file; it is loaded on a worker and shared by all labs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog

from core.problems import LabError
from core.tokenizer.known import known_path, known_tokenizers
from labapp.lab import LabContext
from labapp.runner import Done, Failed, Outcome, Slot
from labapp.widgets.export import message_bar_of
from labapp.widgets.picker import Choice, Picker, artifact_choices
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel

FIRST = "known:smollm2"


class ModelPicker(Picker):
    """A picker whose choice is loaded on a worker; `chosen` tells when the model is there.

    Args:
        name: Of the control.
        context: The lab's.
        lab: The lab's name, for the slot.
    """

    chosen = Signal(object)  # LoadedModel

    def __init__(self, name: str, context: LabContext, lab: str) -> None:
        super().__init__(name, self._all_choices)
        self._context, self._lab = context, lab
        self.key = ""
        self.loaded: LoadedModel | None = None
        self.set_title(tr("Choose a model"))
        self.picked.connect(self.pick)

    def _all_choices(self) -> list[Choice]:
        smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
        title = "SmolLM2-135M" if smollm2.available else tr("{name} (not installed)", name="SmolLM2-135M")
        found = [
            Choice(FIRST, title, tr("Known models"), smollm2.available, smollm2.how_to_add),
            Choice("open", tr("Open a file…"), tr("Yours"), tip=tr("A GGUF file or model.safetensors")),
        ]
        workspace = self._context.workspace
        return found + artifact_choices(workspace, "model") + artifact_choices(workspace, "quantized")

    def pick(self, key: str) -> None:
        """Load what a key stands for: "known:smollm2", "artifact:…", "file:…", "open"."""
        if key == "open":
            name, _ = QFileDialog.getOpenFileName(
                self.window(), tr("Open a model"), "", "*.gguf *.safetensors config.json"
            )
            if name:
                self.pick(f"file:{name}")
            return
        try:
            path, title = self._place(key)
        except LabError as error:
            self._say(error)
            return
        self._context.runner.start(
            Slot(self._lab, "model"),
            lambda: self._context.models.take(path, title),
            title=tr("Loading {name}", name=title or path.name),
            on_events=lambda events: None,
            on_end=partial(self._loaded, key),
        )

    def _place(self, key: str) -> tuple[Path, str]:
        kind, _, value = key.partition(":")
        if kind == "known":
            return known_path(value), "SmolLM2-135M"
        if kind == "artifact":
            artifact = self._context.workspace.artifact(value)
            return artifact.folder, artifact.name
        return Path(value), ""

    def _loaded(self, key: str, outcome: Outcome) -> None:
        match outcome:
            case Done(finished=finished):
                self._take(key, finished.result)
            case Failed(error=LabError() as error):
                self._say(error)
            case _:
                pass

    def _take(self, key: str, loaded: Any) -> None:
        before, self.loaded, self.key = self.loaded, loaded, key
        self.set_title(loaded.source.name)
        self.chosen.emit(loaded)
        if before is not None:
            self._context.models.give_back(before)

    def _say(self, error: LabError) -> None:
        bar = message_bar_of(self)
        if bar is not None:
            bar.show_problem(error)
