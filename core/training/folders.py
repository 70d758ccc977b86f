"""The folders of a run's saves and checkpoints: their names, and which there are. Knows no torch."""

from __future__ import annotations

import re
from pathlib import Path

CHECKPOINTS = "checkpoints"  # models that stay, below a run's folder
SAVES = "resume"  # what the run goes on from

_NAME = re.compile(r"step-(\d{6,})")


def step_name(step: int) -> str:
    """The name of a save's or checkpoint's folder; names sort like steps.

    >>> step_name(120)
    'step-000120'
    """
    return f"step-{step:06}"


def step_of(name: str) -> int | None:
    """The step that a folder is named after, or None.

    >>> step_of("step-000120"), step_of("base")
    (120, None)
    """
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def step_folders(folder: Path) -> list[tuple[int, Path]]:
    """The saves or checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((step, path) for path in folder.iterdir() if (step := step_of(path.name)) is not None)


def checkpoints_of(run: Path | None) -> list[tuple[int, Path]]:
    """The models that a run has kept, by step; none where there is no run."""
    found = step_folders(run / CHECKPOINTS) if run is not None else []
    return [(step, place) for step, place in found if (place / "model.safetensors").is_file()]


def run_of(model: Path | None) -> Path | None:
    """The run that a checkpoint's folder, or a file in it, lies in; None of another model."""
    if model is None:
        return None
    place = model.parent if model.is_file() else model
    run = place.parent.parent
    return run if place.parent.name == CHECKPOINTS and (run / "tokens").is_dir() else None
