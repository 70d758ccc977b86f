"""A checkpoint of a run becomes an artifact that other labs open; an adapter becomes a model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from core.artifacts import Artifact, Workspace, durable
from core.model.export import write_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training.adapters import CONFIG, read_adapter
from core.training.finetune_plans import read_finetune_plan
from core.training.folders import step_of
from core.training.history import read_history
from core.training.lora import merged


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


def publish_finetuned(
    workspace: Workspace, checkpoint: Path, name: str, parents: Sequence[str] = ()
) -> Artifact:
    """Copy a checkpoint of a run of fine-tuning into the workspace: a model, or of LoRA an adapter.

    Args:
        workspace: Where to.
        checkpoint: A folder below a run's `checkpoints`.
        name: As people call it.
        parents: Ids of the model that it began with, and of its rows, where they are artifacts.

    Raises:
        LabError: There is no such checkpoint, the name will not do, or the disk refused.
    """
    run = checkpoint.parent.parent
    plan, step = read_finetune_plan(run), step_of(checkpoint.name)
    kind = "adapter" if (checkpoint / CONFIG).is_file() else "model"
    if plan is None or step is None or not any(checkpoint.glob("*model.safetensors")):
        raise LabError(f"{durable.shown(checkpoint)} is no checkpoint of fine-tuning.", "Choose another one.")
    history = read_history(run)
    role = "sft" if plan.method.method == "sft" else "aligned"
    size = sum(file.stat().st_size for file in checkpoint.iterdir())
    draft = workspace.new_artifact(
        kind, name, "training.finetune", plan.to_json(), plan.settings.seed, list(parents), role=role,
        expected_bytes=size,
    )  # fmt: skip
    with draft:
        for file in sorted(checkpoint.iterdir()):
            shutil.copyfile(file, draft.folder / file.name)
        draft.metrics["step"] = step
        looks = [one for one in history.validated if one.step <= step]
        if looks:
            draft.metrics["validation_loss"] = looks[-1].loss
        measured = [one for one in history.measured if one.step <= step and one.of == "validation"]
        if measured:
            draft.metrics |= measured[-1].values
    return draft.artifact


def write_merged(model: Transformer, tokenizer: Tokenizer | None, adapter: Path, folder: Path) -> None:
    """Write a model with an adapter added into its weights; the model itself stays as it is.

    Args:
        model: The one that the adapter was trained for.
        tokenizer: To be written beside it; the adapter's own where it has one.
        adapter: Folder of the adapter.
        folder: Where to; made where it is missing.

    Raises:
        LabError: The adapter does not fit the model, or the disk refused.
    """
    found = read_adapter(adapter, model.config).adapter
    if (adapter / "tokenizer.json").is_file():
        tokenizer = read_tokenizer(adapter)
    durable.ensure_folder(folder)
    end = None if tokenizer is None else min(tokenizer.end_ids, default=None)
    write_model(model.config, merged(dict(model.named_parameters()), found), folder, end=end)
    if tokenizer is not None:
        write_tokenizer(tokenizer, folder)
