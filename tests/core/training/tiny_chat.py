"""A model that knows nothing, with the tokens of a chat, and runs on it that take a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from core.model.export import write_model
from core.model.initial import new_model
from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import pattern
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training.finetune_plans import FinetunePlan, RowsChoice
from core.training.finetune_settings import FinetuneSettings
from core.training.rows import Comparison, answered, as_line, asked
from core.training.runs import SPECIAL
from core.training.settings import ShapeSettings, TrainingSettings


def tiny_model(folder: Path) -> Path:
    """Write the model and its tokenizer."""
    special = tuple(SPECIAL.split())
    learned = run_to_end(learn_merges({}, 256 + len(special), special_tokens=special)).result
    words = Tokenizer.from_learned(learned, pattern("gpt2"), "bytes", bos=special[0], eos=special[0])
    config = ShapeSettings(layers=1, width=16, heads=2, context=64).config(words.vocab_size)
    model = new_model(config, torch.Generator().manual_seed(1))
    folder.mkdir(parents=True, exist_ok=True)
    write_model(config, dict(model.named_parameters()), folder)
    write_tokenizer(words, folder)
    return folder


def write_pairs(file: Path, pairs: Sequence[tuple[str, str, str]]) -> Path:
    """Write comparisons: prompt, better and worse answer."""
    rows = [Comparison(asked(prompt), answered(better), answered(worse)) for prompt, better, worse in pairs]
    file.write_text("".join(as_line(row) + "\n" for row in rows))
    return file


def tiny_plan(base: Path, file: Path, method: FinetuneSettings, **changes: Any) -> FinetunePlan:
    """A plan on a file of rows, none held out."""
    values: dict[str, Any] = {
        "steps": 40, "batch": 4, "optimizer": "adamw", "rate": 1e-3, "warmup": 1, "evaluate_every": 1000,
        "save_every": 1000, "precision": "f32", "weight_decay": 0.0,
    }  # fmt: skip
    rows = RowsChoice(kind="file", path=str(file), held_out=0.0)
    made = FinetunePlan("own", str(base), rows, method, TrainingSettings(**(values | changes)), ())
    return dataclasses.replace(made)
