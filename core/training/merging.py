"""An adapter becomes part of its model's weights, kept as a model of the workspace."""

from __future__ import annotations

from core.artifacts import Artifact, Workspace
from core.model.export import write_model
from core.problems import LabError
from core.tokenizer.writing import write_tokenizer
from core.training.lora import cut_to, merged
from core.training.lora_view import OpenedAdapter


def publish_merged(workspace: Workspace, opened: OpenedAdapter, rank: int, name: str) -> Artifact:
    """Keep the model with its adapter added in, at a rank.

    Args:
        workspace: Where to.
        opened: The adapter and its model; both stay as they are.
        rank: 1 to the adapter's own.
        name: As people call it.

    Raises:
        LabError: The rank or the name will not do, or the disk refused.
    """
    if not 1 <= rank <= opened.adapter.rank:
        raise LabError(f"The rank {rank} was asked for.", f"Choose 1 to {opened.adapter.rank}.")
    adapter = opened.adapter if rank == opened.adapter.rank else cut_to(opened.adapter, rank)
    settings = {"rank": rank, "alpha": adapter.alpha, "matrices": list(opened.names)}
    draft = workspace.new_artifact("model", name, "training.merge", settings, role="sft")
    with draft:
        end = min(opened.tokenizer.end_ids, default=None)
        weights = merged(dict(opened.model.named_parameters()), adapter)
        write_model(opened.model.config, weights, draft.folder, end=end)
        write_tokenizer(opened.tokenizer, draft.folder)
    return draft.artifact
