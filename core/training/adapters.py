"""Adapters in PEFT's files: adapter_config.json and adapter_model.safetensors, written and read.

Only what LoRA needs is read: an adapter that does more (DoRA, biases, whole layers beside it, other ranks in
some layers) is refused by name instead of being half understood.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from core.artifacts import plain_json
from core.artifacts.durable import write_file
from core.formats.bounded_json import read_json
from core.formats.files import quoted, shown
from core.formats.safetensors import read_safetensors_header
from core.formats.weights import WeightReader, stored_in_safetensors
from core.model.config import ModelConfig
from core.model.families import FAMILIES, huggingface_sources
from core.problems import LabError
from core.training.lora import Adapter, Place, Thin, places

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_OFF = {
    "use_dora": False, "bias": "none", "modules_to_save": None, "rank_pattern": {}, "alpha_pattern": {},
    "lora_bias": False, "layer_replication": None, "trainable_token_indices": None, "target_parameters": None,
}  # fmt: skip
"""What an adapter that is read here must not do, and how its config says that it does not."""


@dataclass(frozen=True, eq=False)
class AdapterFile:
    """An adapter as it was read.

    Attributes:
        adapter: The thin matrices.
        base: What its file says of the model that it is for; "" for nothing.
    """

    adapter: Adapter
    base: str


def source_names(config: ModelConfig) -> dict[str, Place]:
    """Every place of a model by the name of its matrix in Hugging Face's files: "model.layers.0.mlp.up_proj".

    >>> from core.training.settings import ShapeSettings
    >>> config = ShapeSettings(layers=1, width=16, heads=2, context=16).config(61)
    >>> list(source_names(config))[:2]
    ['transformer.h.0.attn.c_attn', 'transformer.h.0.attn.c_proj']
    """
    family = FAMILIES[config.family]
    named: dict[str, Place] = {}
    by_layer: dict[str, list[Place]] = {}
    for place in places(config, "all" if config.tied else "all unembed"):
        by_layer.setdefault(place.layer, []).append(place)
    for layer, its in by_layer.items():
        sources = huggingface_sources(family, f"{layer}.weight")
        for source, place in zip(sources, its, strict=True):
            prefix = "" if source == family.head else family.prefix
            named[prefix + source.removesuffix(".weight")] = place
    return named


def write_adapter(adapter: Adapter, config: ModelConfig, folder: Path, base: str = "") -> None:
    """Write both files into a folder.

    Args:
        adapter: For a model of this shape.
        config: The model's shape.
        folder: An existing folder.
        base: What PEFT is told of the model: a path or name.

    Raises:
        LabError: The disk refused.
    """
    names = {place: name for name, place in source_names(config).items()}
    tensors = {}
    for place, thin in adapter.thin.items():
        for letter, tensor in (("A", thin.a), ("B", thin.b)):
            key = f"{_PREFIX}{names[place]}.lora_{letter}.weight"
            tensors[key] = tensor.detach().cpu().contiguous()
    write_file(folder / TENSORS, safetensors.torch.save(tensors, {"format": "pt"}))
    transposed = bool(FAMILIES[config.family].transposed)
    said: dict[str, Any] = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base or None,
        "r": adapter.rank, "lora_alpha": adapter.alpha, "lora_dropout": 0.0, "use_rslora": adapter.rooted,
        "target_modules": _modules(adapter, names), "fan_in_fan_out": transposed,
        "inference_mode": True, "init_lora_weights": True,
    }  # fmt: skip
    plain_json.write_json(folder / CONFIG, said | _OFF)


def _modules(adapter: Adapter, names: Mapping[Place, str]) -> list[str]:
    """Names of matrices as PEFT looks for them: their ends where every layer has them, else in full."""
    ends = {place: ".".join(name.split(".")[-2:]) for place, name in names.items()}
    full = {
        end for end in set(ends.values()) if all(p in adapter.thin for p, its in ends.items() if its == end)
    }
    return sorted({ends[place] if ends[place] in full else names[place] for place in adapter.thin})


def read_adapter(folder: str | os.PathLike[str], config: ModelConfig) -> AdapterFile:
    """Read an adapter and check that it fits a model.

    Args:
        folder: Where the two files lie.
        config: The model's shape.

    Raises:
        LabError: A file is missing or damaged, does more than LoRA, or has matrices for another model.
    """
    folder = Path(folder)
    said = read_json(folder / CONFIG, 1 << 20)
    rank, alpha = _numbers(said, shown(folder / CONFIG))
    stored = stored_in_safetensors(read_safetensors_header(folder / TENSORS))
    named = source_names(config)
    thin: dict[Place, Thin] = {}
    name = shown(folder / TENSORS)
    with WeightReader() as reader:
        for key in stored:
            if key.endswith(".lora_A.weight"):
                source = key.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
                place = named.get(source)
                other = stored.get(key.replace(".lora_A.", ".lora_B."))
                if place is None or other is None or not key.startswith(_PREFIX):
                    raise _strange(name, key)
                shapes = (stored[key].shape, other.shape)
                if shapes != ((rank, place.columns), (place.end - place.begin, rank)):
                    raise _misfit(name, key, shapes)
                a, b = torch.empty(shapes[0]), torch.empty(shapes[1])
                for one, out in ((stored[key], a), (other, b)):
                    for _ in reader.read(one, out):
                        pass
                thin[place] = Thin(a, b)
    if 2 * len(thin) != len(stored) or not thin:
        left = next((key for key in stored if ".lora_A." not in key), "lora_A")
        raise _strange(name, left)
    ordered = {place: thin[place] for place in named.values() if place in thin}
    base = said.get("base_model_name_or_path")
    adapter = Adapter(rank, alpha, ordered, bool(said.get("use_rslora", False)))
    return AdapterFile(adapter, base if isinstance(base, str) else "")


def _numbers(said: Any, name: str) -> tuple[int, float]:
    """Rank and alpha, if the config asks for nothing else."""
    if not isinstance(said, dict) or said.get("peft_type") != "LORA":
        kind = said.get("peft_type") if isinstance(said, dict) else None
        raise LabError(f"{name} describes {quoted(str(kind))}, not LORA.", "Choose a LoRA adapter.")
    more = [key for key, off in _OFF.items() if said.get(key, off) not in (off, None)]
    if more:
        raise LabError(
            f"{name} asks for {', '.join(more)}, which is not read here.", "Choose an adapter of plain LoRA."
        )
    rank, alpha = said.get("r"), said.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= 4096:
        raise LabError(f"{name} says that the rank is {quoted(str(rank))}.", "It must be 1 to 4,096.")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 <= alpha <= 1e6:
        raise LabError(f"{name} says that alpha is {quoted(str(alpha))}.", "It must be 0 to 1,000,000.")
    return rank, float(alpha)


def _strange(name: str, key: str) -> LabError:
    return LabError(
        f"{name}: tensor {quoted(key)} belongs to no matrix of this model.",
        "Choose the model that the adapter was trained for, or another adapter.",
    )


def _misfit(name: str, key: str, shapes: tuple[tuple[int, ...], ...]) -> LabError:
    sizes = " and ".join(" × ".join(map(str, shape)) for shape in shapes)
    return LabError(
        f"{name}: {quoted(key)} and its partner have the shapes {sizes}, which do not fit this model.",
        "Choose the model that the adapter was trained for.",
    )


def saved(adapter: Adapter) -> dict[str, Tensor]:
    """The thin matrices by names of their own, for a run's save.

    >>> place = Place("blocks.0.attn.out", 0, 4, 4)
    >>> list(saved(Adapter(1, 1.0, {place: Thin(torch.zeros(1, 4), torch.zeros(4, 1))})))
    ['blocks.0.attn.out.0.a', 'blocks.0.attn.out.0.b']
    """
    return {
        f"{place.layer}.{place.begin}.{letter}": tensor
        for place, thin in adapter.thin.items()
        for letter, tensor in (("a", thin.a), ("b", thin.b))
    }
