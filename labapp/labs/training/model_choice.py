"""Choosing a model in the Training lab: a checkpoint of the run in view, or what every lab can choose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.artifacts import Artifact, Workspace
from core.training.folders import checkpoints_of, run_of, step_of
from labapp.lab import LabContext
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.picker import Choice
from labapp.words import tr


@dataclass(frozen=True)
class Series:
    """The checkpoints that belong together with a model.

    Attributes:
        steps: Step and folder of each, by step.
        step: The model's own.
        book: Where what they know is kept, or None where it is not.
    """

    steps: tuple[tuple[int, Path], ...]
    step: int
    book: Path | None


def series_of(workspace: Workspace, model: Path) -> Series:
    """The checkpoints of a model's run; of an artifact, those that the same settings made."""
    folder = model if model.is_dir() else model.parent
    run = run_of(model)
    if run is not None:
        return Series(tuple(checkpoints_of(run)), step_of(folder.name) or 0, run)
    own = artifact_of(workspace, model)
    if own is None:
        return Series(((0, model),), 0, None)
    found = workspace.artifacts("model")
    family = {_step(one): one.folder for one in found if _made_alike(one, own)} | {_step(own): own.folder}
    settings = json.dumps(dict(own.settings), sort_keys=True).encode()
    book = workspace.root / "knowledge" / hashlib.sha256(settings).hexdigest()[:16]
    return Series(tuple(sorted(family.items())), _step(own), book)


def artifact_of(workspace: Workspace, model: Path) -> Artifact | None:
    """The artifact that a model's folder, or a file in it, is; None of another model."""
    folder = model if model.is_dir() else model.parent
    return next((one for one in workspace.artifacts("model") if one.folder == folder), None)


def _step(one: Artifact) -> int:
    step = one.metrics.get("step")
    return step if isinstance(step, int) else 0


def _made_alike(one: Artifact, other: Artifact) -> bool:
    return (one.stage, one.role, one.settings) == (other.stage, other.role, other.settings)


class CheckpointPicker(ModelPicker):
    """A model picker that knows the checkpoints of the run in view, too.

    Args:
        name: Of the control.
        context: The lab's.
        lab: The lab's name, for the slot.
        run: Gives the folder of the run in view, or None.
    """

    def __init__(self, name: str, context: LabContext, lab: str, run: Callable[[], Path | None]) -> None:
        super().__init__(name, context, lab)
        self._run = run

    def _all_choices(self) -> list[Choice]:
        found = [
            Choice(f"file:{place}", tr("Step {n:,}", n=step), tr("The run in view"))
            for step, place in reversed(checkpoints_of(self._run()))
        ]
        return found + super()._all_choices()

    def default_key(self) -> str:
        """The newest checkpoint of the run in view, else the newest base model, else SmolLM2."""
        of_run = checkpoints_of(self._run())
        if of_run:
            return f"file:{of_run[-1][1]}"
        found = [one for one in self._context.workspace.artifacts("model") if one.role == "base"]
        return f"artifact:{found[0].id}" if found else FIRST

    def _place(self, key: str) -> tuple[Path, str]:
        path, title = super()._place(key)
        step = step_of(path.name)
        return path, title or ("" if step is None else tr("Step {n:,}", n=step))
