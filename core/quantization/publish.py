"""A quantized model as an artifact of the workspace, with what it was made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.artifacts import Artifact, Reference, Workspace, referring
from core.model.source import ModelSource
from core.problems import LabError
from core.quantization.blocks import Spread
from core.quantization.importance import Importance, check_matches, write_importance
from core.quantization.quantize import (
    Quantized,
    TensorDone,
    begins_texts,
    plan_for,
    quantize_model,
    tokenizer_of,
)
from core.quantization.recipes import Plan, Wish
from core.stages import Finished, Progress, pass_on

NAME_AT_MOST = 200  # characters of an artifact's name
_FILES_AT_MOST = 64  # of a folder, that are referred to


@dataclass(frozen=True)
class Published:
    """A quantized model that is in the workspace now."""

    artifact: Artifact
    quantized: Quantized


def publish_quantized(
    workspace: Workspace,
    source: ModelSource,
    wish: Wish,
    importance: Importance | None = None,
    parents: Sequence[str] = (),
    references: Sequence[Reference] = (),
    spread: Spread = map,
    keep: Path | None = None,
) -> Iterator[Progress | TensorDone | Finished[Published]]:
    """Quantize a model into a new artifact.

    Args:
        workspace: Where to.
        source: From `open_model`.
        wish: Recipe and overrides.
        importance: What the errors are weighed with.
        parents: Ids of the artifacts that it is made of.
        references: The user's files that it is made of, see `refer_to`.
        spread: As in `quantize_model`.
        keep: As in `quantize_model`.

    Raises:
        LabError: As `quantize_model`; the importances are of another model; the disk is too full.
    """
    wish = Wish(wish.recipe, wish.overrides, importance is not None)
    plan = plan_for(source, wish)
    tokenizer = tokenizer_of(source)
    if importance is not None:
        check_matches(importance, {c.tensor.name: c.tensor.shape for c in plan.choices})
    settings = {
        "recipe": plan.recipe.name,
        "importance": list(importance.texts) if importance is not None else [],
        "overrides": [f"{pattern}={kind}" for pattern, kind in wish.overrides],
    }
    draft = workspace.new_artifact(
        "quantized", title_of(source.name, plan)[:NAME_AT_MOST], "quantization.quantize", settings,
        parents=parents, references=references, expected_bytes=plan.bytes,
    )  # fmt: skip

    def stage() -> Iterator[Progress | TensorDone | Finished[Published]]:
        weights = importance.weights() if importance is not None else None
        with draft:
            out = draft.folder / file_name(source.name, plan.recipe.name)
            made: Quantized = yield from pass_on(
                quantize_model(source, out, wish, tokenizer, weights, begins_texts(source), spread, keep)
            )
            draft.metrics |= {
                "title": plan.title, "bits_per_weight": plan.bits_per_weight, "bytes": made.file_bytes,
                "fallbacks": len(plan.fallbacks), "round_trips": made.round_trips,
            }  # fmt: skip
            artifact = yield from pass_on(draft.publishing())
        yield Finished(f"{plan.title} is in the workspace.", Published(artifact, made))

    return stage()


def publish_importance(
    workspace: Workspace, importance: Importance, name: str, parents: Sequence[str] = ()
) -> Artifact:
    """Keep an importance matrix in the workspace.

    Raises:
        LabError: The name will not do, or the disk refused.
    """
    settings = {"texts": list(importance.texts), "window": importance.window, "windows": importance.windows}
    draft = workspace.new_artifact("imatrix", name, "quantization.importance", settings, parents=parents)
    with draft:
        write_importance(importance, draft.folder / "imatrix.gguf")
    return draft.artifact


def refer_to(source: ModelSource) -> Iterator[Progress | Finished[tuple[Reference, ...]]]:
    """The files of a model that is no artifact, by size, time and sha256.

    Raises:
        LabError: While it runs: one cannot be read.
    """
    files = sorted({piece.stored.path for pieces in source.parameters.values() for piece in pieces})
    found = []
    for file in files[:_FILES_AT_MOST]:
        found.append((yield from pass_on(referring(file))))
    yield Finished("", tuple(found))


def title_of(name: str, plan: Plan) -> str:
    """What a quantized model is called: by the mix that came out, not by the one that was asked for."""
    return f"{name}, {plan.title}"


def file_name(model: str, recipe: str) -> str:
    """A name that every system and every program takes.

    >>> file_name("Small world, base", "Q4_K_M"), file_name("模型", "Q8_0")
    ('Small-world-base-Q4_K_M.gguf', 'model-Q8_0.gguf')
    """
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:80]
    return f"{kept or 'model'}-{recipe}.gguf"


def gguf_of(artifact: Artifact) -> Path:
    """The GGUF file of a quantized artifact.

    Raises:
        LabError: It holds none.
    """
    for name in artifact.files:
        if name.endswith(".gguf"):
            return artifact.path(name)
    raise LabError(f"“{artifact.name}” holds no GGUF file.", "Choose another artifact.")
