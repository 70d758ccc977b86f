"""Choosing a model in the Training lab: a checkpoint of the run in view, or what every lab can choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labapp.lab import LabContext
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.picker import Choice
from labapp.words import tr

CHECKPOINTS = "checkpoints"  # folder of a run


def checkpoints(run: Path | None) -> list[tuple[int, Path]]:
    """The checkpoints of a run, by step; none where there is no run."""
    folder = run / CHECKPOINTS if run is not None else None
    if folder is None or not folder.is_dir():
        return []
    found = []
    for place in folder.iterdir():
        step = place.name.removeprefix("step-")
        if step.isdigit() and (place / "model.safetensors").is_file():
            found.append((int(step), place))
    return sorted(found)


def run_of(model: Path | None) -> Path | None:
    """The run that a checkpoint's folder lies in, or None of another model."""
    if model is None:
        return None
    place = model.parent if model.is_file() else model
    run = place.parent.parent
    return run if place.parent.name == CHECKPOINTS and (run / "tokens").is_dir() else None


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
            for step, place in reversed(checkpoints(self._run()))
        ]
        return found + super()._all_choices()

    def default_key(self) -> str:
        """The newest checkpoint of the run in view, else the newest base model, else SmolLM2."""
        of_run = checkpoints(self._run())
        if of_run:
            return f"file:{of_run[-1][1]}"
        found = [one for one in self._context.workspace.artifacts("model") if one.role == "base"]
        return f"artifact:{found[0].id}" if found else FIRST

    def _place(self, key: str) -> tuple[Path, str]:
        path, title = super()._place(key)
        step = path.name.removeprefix("step-")
        return path, title or (tr("Step {n:,}", n=int(step)) if step.isdigit() else "")
