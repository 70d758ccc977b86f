"""A checkpoint of a run becomes an artifact that other labs open."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.artifacts import Artifact, Workspace, durable
from core.problems import LabError
from core.training.history import read_history


def publish_checkpoint(workspace: Workspace, checkpoint: Path, name: str) -> Artifact:
    """Copy a checkpoint of a run into the workspace as a model.

    Args:
        workspace: Where to.
        checkpoint: A folder below a run's `checkpoints`.
        name: As people call it.

    Raises:
        LabError: There is no such checkpoint, the name will not do, or the disk refused.
    """
    run = checkpoint.parent.parent
    history = read_history(run)
    if history.plan is None or not (checkpoint / "model.safetensors").is_file():
        raise LabError(f"{durable.shown(checkpoint)} is no checkpoint of a run.", "Choose another one.")
    step = int(checkpoint.name.rpartition("-")[2])
    size = sum(file.stat().st_size for file in checkpoint.iterdir())
    draft = workspace.new_artifact(
        "model", name, "training.train", history.plan.to_json(), history.plan.settings.seed, role="base",
        expected_bytes=size,
    )  # fmt: skip
    with draft:
        for file in sorted(checkpoint.iterdir()):
            shutil.copyfile(file, draft.folder / file.name)
        seen = [one for one in history.validated if one.step <= step]
        draft.metrics["step"] = step
        if seen:
            draft.metrics |= {"validation_loss": seen[-1].loss, "bits_per_byte": seen[-1].bits_per_byte}
    return draft.artifact
