"""The checkpoints that a table of token embeddings can be followed through: of the shipped run, or of one's own."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from core.artifacts import Artifact, Workspace
from core.training.folders import checkpoints_of
from labapp.words import tr


def shipped_run() -> list[tuple[int, Path]]:
    """The shipped base model and the early checkpoints of its run, by step."""
    root = Path(str(importlib.resources.files("resources"))) / "lineage"
    workspace = Workspace(Path(root), (root, root / "early"))
    return _by_step([one for one in workspace.artifacts("model") if one.role == "base"])


def _by_step(artifacts: list[Artifact]) -> list[tuple[int, Path]]:
    found: dict[int, Path] = {}
    for one in artifacts:
        step = one.metrics.get("step")
        if isinstance(step, int | float):
            found.setdefault(int(step), one.folder)
    return sorted(found.items())


def runs_of(workspace: Workspace) -> list[tuple[str, list[tuple[int, Path]]]]:
    """Title and checkpoints of each run that has kept two or more, the shipped one first."""
    found = [(tr("The small world, shipped"), shipped_run())]
    for work in workspace.works("training"):
        kept = checkpoints_of(work.folder)
        found.append((work.name, kept))
    return [(title, kept) for title, kept in found if len(kept) > 1]
