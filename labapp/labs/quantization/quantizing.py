"""The stage behind the page Quantize: a text is read for importances, then recipe after recipe is made.

What is done when it is stopped lies in a piece of work, from which it goes on: which model, which recipes,
which of them are artifacts already, and the file in the making.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.artifacts import Artifact, Work, Workspace
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from labapp.labs.quantization.choosing import Subject
from labapp.models import Models
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.source import ModelSource
    from core.quantization.importance import Importance
    from core.quantization.quantize import Quantized
    from core.quantization.recipes import Plan

WORK = "quantizing"  # kind of work
TEXT_AT_MOST = 1 << 22  # bytes of a text for importances
TOKENS_AT_MOST = 1 << 16  # that are read of it
MATRICES = (".gguf", ".dat")  # files of llama-imatrix, which hold importances already


@dataclass(frozen=True)
class Order:
    """What a person asks for.

    Attributes:
        subject: The model.
        recipes: Names of mixes.
        text: A text file that importances are taken from, or a file of llama-imatrix; "" for none.
    """

    subject: Subject
    recipes: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, eq=False)
class Began:
    """A recipe is begun."""

    recipe: str
    plan: Plan


@dataclass(frozen=True, eq=False)
class Made:
    """A recipe is carried out and its file is an artifact."""

    recipe: str
    artifact: Artifact
    quantized: Quantized


def state_of(order: Order) -> dict[str, Any]:
    """An order as plain values, for the piece of work; `done` is filled while it is carried out."""
    return {
        "model": order.subject.key, "recipes": list(order.recipes), "text": order.text, "done": {},
        "imatrix": "",
    }  # fmt: skip


def quantize_all(
    workspace: Workspace, models: Models, order: Order, work: Work
) -> Iterator[Progress | Began | Any | Made | Finished[tuple[Artifact, ...]]]:
    """Carry out an order, or the rest of it.

    Args:
        workspace: Where artifacts go.
        models: Where the model is taken from if a text is to be read.
        order: What is asked for.
        work: Open for writing; its state is `state_of(order)`, or what an earlier run has left of it.

    Raises:
        LabError: The model cannot be opened, no recipe is chosen; while it runs: as `publish_quantized`.
    """
    from core.model.source import open_model

    if not order.recipes:
        raise LabError(tr("No recipe is ticked."), tr("Tick one or more in the table."))
    source = open_model(order.subject.there, order.subject.title)
    return _quantize_all(workspace, models, order, work, source)


def _quantize_all(
    workspace: Workspace, models: Models, order: Order, work: Work, source: ModelSource
) -> Iterator[Any]:
    from core.quantization.publish import publish_quantized, refer_to
    from core.quantization.quantize import plan_for
    from core.quantization.recipes import Wish

    importance = None
    parents = [order.subject.parent] if order.subject.parent else []
    if order.text:
        importance, matrix = yield from _importance(workspace, models, order, work)
        parents.append(matrix.id)
    references = ()
    if not order.subject.parent:
        references = yield from pass_on(refer_to(source))
    artifacts = [workspace.artifact(id_) for id_ in work.state["done"].values()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for recipe in order.recipes:
            if recipe in work.state["done"]:
                continue
            wish = Wish(recipe, (), importance is not None)
            yield Began(recipe, plan_for(source, wish))
            stage = publish_quantized(
                workspace, source, wish, importance, parents, references, pool.map, work.folder
            )
            published = yield from pass_on(stage)
            artifacts.append(published.artifact)
            work.state["done"][recipe] = published.artifact.id
            work.save()
            yield Made(recipe, published.artifact, published.quantized)
    yield Finished(tr("All recipes are carried out."), tuple(artifacts))


def _importance(
    workspace: Workspace, models: Models, order: Order, work: Work
) -> Generator[Any, None, tuple[Importance, Artifact]]:
    """Importances of a text, and the artifact that keeps them; read again where there is one already."""
    from core.quantization.importance import read_importance
    from core.quantization.publish import publish_importance

    if work.state["imatrix"]:
        artifact = workspace.artifact(work.state["imatrix"])
        return read_importance(artifact.path("imatrix.gguf")), artifact
    path = Path(order.text)
    name = path.name
    if path.suffix in MATRICES:
        made = read_importance(path)
    else:
        made = yield from _collected(models, order.subject, path)
    title = tr("Importances of {model} on {text}", model=order.subject.title, text=name)
    parents = [order.subject.parent] if order.subject.parent else []
    artifact = publish_importance(workspace, made, title[:200], parents)
    work.state["imatrix"] = artifact.id
    work.save()
    return made, artifact


def _collected(models: Models, subject: Subject, path: Path) -> Generator[Any, None, Importance]:
    """Importances of a text that the model reads."""
    from core.formats.files import read_text
    from core.quantization.importance import WINDOW, collect_importance
    from core.quantization.quantize import first_token

    text = read_text(path, TEXT_AT_MOST)
    loaded = yield from pass_on(models.take(subject.there, subject.title))
    try:
        tokenizer = loaded.needed_tokenizer()
        ids = tokenizer.encode(text)[:TOKENS_AT_MOST]
        window = min(WINDOW, loaded.source.config.context)
        begin = first_token(loaded.source, tokenizer)
        made: Importance = yield from pass_on(collect_importance(loaded.model, ids, path.name, window, begin))
    finally:
        models.give_back(loaded)
    return made
