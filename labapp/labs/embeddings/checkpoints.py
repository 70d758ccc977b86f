"""The checkpoints through which a table of embeddings is followed: of the shipped run, or of one's own."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from core.artifacts import Workspace
from core.formats.bounded_json import read_json
from core.problems import LabError
from core.training.folders import checkpoints_of, step_folders
from labapp.words import tr

MANIFEST = 1_000_000  # bytes of an artifact's description at most

Steps = list[tuple[int, Path]]


def shipped_run() -> Steps:
    """The shipped base model and the early checkpoints of its run, by step."""
    root = Path(str(importlib.resources.files("resources"))) / "lineage"
    found = dict(step_folders(root / "early"))
    try:
        told = read_json(root / "base" / "artifact.json", at_most=MANIFEST)
    except LabError:  # a build without it
        return sorted(found.items())
    metrics = told.get("metrics") if isinstance(told, dict) else None
    step = metrics.get("step") if isinstance(metrics, dict) else None
    if isinstance(step, int):
        found[step] = root / "base"
    return sorted(found.items())


def runs_of(workspace: Workspace) -> list[tuple[str, Steps]]:
    """Title and checkpoints of each run that has kept two or more, the shipped one first."""
    found = [(tr("The small world, as shipped"), shipped_run())]
    works = sorted(workspace.works("training"), key=lambda one: one.id, reverse=True)
    found += [(work.name, checkpoints_of(work.folder)) for work in works]
    return [(title, kept) for title, kept in found if len(kept) > 1]
