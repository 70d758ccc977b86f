"""Choosing a model: those that are here, the workspace's, any GGUF file or folder, and known shapes."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog

from core.artifacts import Artifact, Workspace
from core.problems import LabError
from core.tokenizer.known import known_path, known_tokenizers
from labapp.widgets.picker import Choice, Picker, artifact_choices
from labapp.words import tr

HERE = {"smallworld": "Small world, base", "smollm2": "SmolLM2-135M"}
SHAPES = ("GPT-2", "Qwen3-8B", "Llama-3.1-8B")
ARTIFACT, FILE = "artifact:", "file:"
KINDS = ("model", "quantized")  # of artifacts that are models


@dataclass(frozen=True)
class Subject:
    """A model that was chosen.

    Attributes:
        key: How its choice is kept: "smallworld", "artifact:…", "file:…", "Qwen3-8B".
        title: As a person reads it.
        path: A folder or a GGUF file; None where only its shapes are known.
        parent: The id of its artifact, or "".
    """

    key: str
    title: str
    path: Path | None
    parent: str = ""

    @property
    def there(self) -> Path:
        """Where it lies.

        Raises:
            LabError: Only its shapes are known.
        """
        if self.path is None:
            raise LabError(
                f"Of {self.title} only the shapes are known here.", "Choose a model that is on this machine."
            )
        return self.path


def model_path(artifact: Artifact) -> Path:
    """What is opened of an artifact: its GGUF file, or its folder.

    Raises:
        LabError: It holds no model.
    """
    if artifact.kind != "quantized":
        return artifact.folder
    for name in artifact.files:
        if name.endswith(".gguf"):
            return artifact.path(name)
    raise LabError(f"“{artifact.name}” holds no GGUF file.", "Choose another artifact.")


def subject_of(workspace: Workspace, key: str) -> Subject:
    """The model that a key stands for.

    Raises:
        LabError: It is not installed, or gone.
    """
    if key.startswith(ARTIFACT):
        artifact = workspace.artifact(key.removeprefix(ARTIFACT))
        return Subject(key, artifact.name, model_path(artifact), artifact.id)
    if key.startswith(FILE):
        path = Path(key.removeprefix(FILE))
        if path.name in ("config.json", "model.safetensors", "model.safetensors.index.json"):
            path = path.parent
        return Subject(key, path.stem if path.suffix == ".gguf" else path.name, path)
    if key == "smallworld":
        base = Path(str(importlib.resources.files("resources"))) / "lineage" / "base"
        shipped = (one for one in workspace.artifacts("model") if one.folder.resolve() == base.resolve())
        return Subject(key, tr(HERE[key]), base, next((one.id for one in shipped), ""))
    if key in HERE:
        return Subject(key, tr(HERE[key]), known_path(key))
    if key in SHAPES:
        return Subject(key, key, None)
    raise LabError(f"There is no model {key[:80]!r}.", "Choose another one.")


class SourcePicker(Picker):
    """A list of models; `chosen` tells the key of the one that was picked.

    Args:
        name: Of the control.
        workspace: Whose models are in the list.
        shapes: Whether models are offered of which only the shapes are known.
    """

    chosen = Signal(str)

    def __init__(self, name: str, workspace: Workspace, shapes: bool = False) -> None:
        super().__init__(name, self._all_choices)
        self._workspace, self._shapes = workspace, shapes
        self.key = ""
        self.set_title(tr("Choose a model"))
        self.picked.connect(self.pick)

    def _all_choices(self) -> list[Choice]:
        smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
        found = [Choice("smallworld", tr(HERE["smallworld"]), tr("Here"))]
        title = tr(HERE["smollm2"])
        if not smollm2.available:
            title = tr("{name} (not installed)", name=title)
        found.append(Choice("smollm2", title, tr("Here"), smollm2.available, smollm2.how_to_add))
        found.append(Choice("open", tr("Open a file…"), tr("Yours"), tip=tr("A GGUF file or safetensors")))
        found.append(Choice("folder", tr("Open a folder…"), tr("Yours"), tip=tr("From Hugging Face")))
        if self._shapes:
            found += [Choice(name, name, tr("Known by their shapes")) for name in SHAPES]
        for kind, group in zip(KINDS, (tr("From the workspace"), tr("Quantized here")), strict=True):
            found += artifact_choices(self._workspace, kind, group)
        return found

    def pick(self, key: str) -> None:
        """Choose; "open" and "folder" ask for one first."""
        if key == "open":
            kinds = "*.gguf *.safetensors config.json"
            name, _ = QFileDialog.getOpenFileName(self.window(), tr("Open a model"), "", kinds)
            key = f"{FILE}{name}" if name else ""
        elif key == "folder":
            name = QFileDialog.getExistingDirectory(self.window(), tr("Open a model's folder"))
            key = f"{FILE}{name}" if name else ""
        if key:
            self.chosen.emit(key)

    def show_subject(self, subject: Subject) -> None:
        """Say what is chosen."""
        self.key = subject.key
        self.set_title(subject.title)
