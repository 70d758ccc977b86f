"""The training text of a model of the small world, written again from the settings that are kept with it.

The generator gives the same text for the same settings, so what the model was trained on need not be shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.artifacts import durable, plain_json
from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.settings import SmallWorldSettings
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training.presets import PLAN, RunPlan
from core.training.runs import WORDS_A_DOCUMENT
from core.training.tokens import encode_documents


def world_plan(settings: Mapping[str, Any]) -> RunPlan | None:
    """The plan of a model that was trained on the small world; None of another one.

    Args:
        settings: Those of the artifact.
    """
    try:
        plan = RunPlan.from_json(plain_json.plain(settings, "settings"))
    except LabError:
        return None
    return plan if plan.corpus.kind == "smallworld" else None


def write_text_again(plan: RunPlan, model: Path, folder: Path) -> Iterator[Progress | Finished[Path]]:
    """Write the text of a plan, in the tokens of a model, as a run's folder has it.

    Args:
        plan: Of the model's run.
        model: Folder with the model's tokenizer.
        folder: What is to hold `plan.json`, `tokenizer` and `tokens`; it appears whole.

    Raises:
        LabError: The plan is of another text, or the tokenizer is missing. Later: the disk refused.
    """
    if plan.corpus.kind != "smallworld":
        raise LabError("This model was trained on a text of somebody's own.", "Choose a checkpoint of a run.")
    return _write(plan, model, folder)


def _write(plan: RunPlan, model: Path, folder: Path) -> Iterator[Progress | Finished[Path]]:
    tokenizer = read_tokenizer(model)
    staging = folder.with_name(f".{folder.name}{durable.PART}")
    durable.ensure_folder(folder.parent)
    durable.remove_folder(staging)
    choice = plan.corpus
    settings = SmallWorldSettings(words=choice.words, seed=choice.seed, quiz_share=choice.quiz_share)
    try:
        for name in ("tokens", "tokenizer"):
            durable.ensure_folder(staging / name)
        write_tokenizer(tokenizer, staging / "tokenizer")
        expected = choice.words // WORDS_A_DOCUMENT
        yield from pass_on(encode_documents(documents(settings), tokenizer, staging / "tokens", expected))
        plain_json.write_json(staging / PLAN, plan.to_json())
        durable.remove_folder(folder)
        durable.move_folder(staging, folder)
    finally:
        durable.remove_folder(staging)
    yield Finished("The text is written again.", folder)
