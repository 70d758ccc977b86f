"""The models whose recipes and memory are computed: those that are here, and known ones by their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.tokenizer.known import known_tokenizers
from labapp.labs.quantization.weights import MODELS, path_of

if TYPE_CHECKING:
    from core.model.config import ModelConfig
    from core.quantization.recipes import Plan

SHAPES = ("GPT-2", "Qwen3-8B", "Llama-3.1-8B")


@dataclass(frozen=True, eq=False)
class Planned:
    """A model's shape, and what each recipe makes of it."""

    model: str
    config: ModelConfig
    plans: tuple[Plan, ...]


def models() -> list[tuple[str, str]]:
    """Key and title of every model."""
    smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
    here = [(key, title) for key, title in MODELS.items() if key == "smallworld" or smollm2.available]
    return here + [(name, name) for name in SHAPES]


def plan_all(model: str, recipes: Sequence[str]) -> Planned:
    """Carry out recipes on a model, on paper; no weight is read.

    Raises:
        LabError: The model is not there or cannot be read.
    """
    from core.model.source import open_model
    from core.quantization.known import KNOWN_SHAPES
    from core.quantization.quantize import plan_for
    from core.quantization.recipes import Wish, make_plan, tensors_of

    if model in KNOWN_SHAPES:
        config = KNOWN_SHAPES[model]
        tensors = tensors_of(config)
        return Planned(model, config, tuple(make_plan(tensors, config, Wish(name)) for name in recipes))
    source = open_model(path_of(model), MODELS[model])
    return Planned(model, source.config, tuple(plan_for(source, Wish(name)) for name in recipes))
