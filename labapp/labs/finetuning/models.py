"""Models this lab begins with and talks to: shipped ones, the workspace's, and checkpoints of its runs."""

from __future__ import annotations

from pathlib import Path

from core.problems import LabError
from core.tokenizer.known import known_tokenizers
from core.training.finetune_folders import finetuned_checkpoints
from labapp.lab import LabContext
from labapp.widgets.picker import Choice, artifact_choices
from labapp.words import tr

KIND = "finetuning"  # of the work that runs are
SHIPPED = {
    "base": "Small world, base", "sft": "Small world, SFT", "aligned": "Small world, aligned",
    "smollm2": "SmolLM2-135M",
}  # fmt: skip


def model_choices(context: LabContext) -> list[Choice]:
    """Models that a run can begin with."""
    smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
    found = [
        Choice(
            name, tr(title), tr("With LLM Lab"),
            enabled=name != "smollm2" or smollm2.available,
            tip=smollm2.how_to_add if name == "smollm2" else "",
        )
        for name, title in SHIPPED.items()
    ]  # fmt: skip
    own = [one for one in context.workspace.artifacts("model") if not one.read_only]
    ids = {f"artifact:{one.id}" for one in own}
    return found + [one for one in artifact_choices(context.workspace, "model") if one.key in ids]


def speaker_choices(context: LabContext) -> list[Choice]:
    """Models that can be asked: those, and every checkpoint of every run of fine-tuning here."""
    found = model_choices(context)
    for info in context.workspace.works(KIND):
        found += [
            Choice(str(place), tr("{run}, step {n:,}", run=info.name, n=step), tr("Checkpoints of runs"))
            for step, place in reversed(finetuned_checkpoints(info.folder))
        ]
    return found


def place_of(context: LabContext, key: str) -> str:
    """A key as a plan names a model: a shipped name, or a path.

    Raises:
        LabError: It was an artifact and is gone.
    """
    kind, _, value = key.partition(":")
    if kind == "artifact":
        return str(context.workspace.artifact(value).folder)
    return key


def title_of(context: LabContext, key: str) -> str:
    """How a model is called."""
    if key in SHIPPED:
        return tr(SHIPPED[key])
    kind, _, value = key.partition(":")
    if kind == "artifact":
        try:
            return context.workspace.artifact(value).name
        except LabError:
            return tr("A model that is gone")
    path = Path(key)
    for info in context.workspace.works(KIND):
        if path.is_relative_to(info.folder):
            return tr("{run}, {step}", run=info.name, step=path.name)
    return path.name
