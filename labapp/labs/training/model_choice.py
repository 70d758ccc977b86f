"""Choosing a model in the Training lab: a checkpoint of the run in view, or what every lab can choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.training.folders import checkpoints_of, step_of
from labapp.lab import LabContext
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.picker import Choice
from labapp.words import tr


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
