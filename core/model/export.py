"""Write a model as a Hugging Face folder: config.json and model.safetensors, as transformers names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from core.artifacts import plain_json
from core.artifacts.durable import write_file
from core.model.config import ModelConfig
from core.model.families import FAMILIES, huggingface_sources, inner_name
from core.problems import LabError

_CLASSES = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def config_json(config: ModelConfig, end: int | None = None) -> dict[str, Any]:
    """What config.json says of a model.

    Args:
        config: Its shape.
        end: Id of the token that ends a text.

    Raises:
        LabError: RoPE is scaled, which is not written yet.
    """
    if config.rope_scaling is not None:
        raise LabError("A model with scaled RoPE cannot be written.", "Use the file that it was read from.")
    family = FAMILIES[config.family]
    said: dict[str, Any] = {"model_type": family.name, "architectures": [_CLASSES[family.name]]}
    said |= {key: getattr(config, field) for field, (key, _) in family.keys.items()}
    said |= {"tie_word_embeddings": config.tied, "torch_dtype": "float32"}
    said |= {"bos_token_id": end, "eos_token_id": end}
    if config.positions == "learned":
        gelu = {"gelu_tanh": "gelu_new", "gelu": "gelu"}[config.mlp]
        return said | {"activation_function": gelu, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0}
    return said | {
        "hidden_act": "silu",
        "rope_theta": config.rope_base,
        "attention_bias": config.attention_bias,
    }


def tensors_of(config: ModelConfig, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of a model under Hugging Face's names and in its order of rows and columns."""
    family = FAMILIES[config.family]
    made: dict[str, Tensor] = {}
    for name in config.shapes():
        weight = weights[name].detach().cpu()
        if inner_name(name) in family.transposed:
            weight = weight.T
        sources = huggingface_sources(family, name)
        for source, part in zip(sources, _parts(config, weight, name, len(sources)), strict=True):
            prefix = "" if source == family.head else family.prefix
            made[prefix + source] = part.contiguous()
    return made


def write_model(
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    folder: Path,
    *,
    half: bool = False,
    end: int | None = None,
) -> None:
    """Write config.json and model.safetensors into a folder.

    Args:
        config: Shape of the model.
        weights: Its parameters, by our names.
        folder: An existing folder.
        half: Whether to write in 16 bits (f16).
        end: Id of the token that ends a text.

    Raises:
        LabError: The disk refused.
    """
    tensors = tensors_of(config, weights)
    if half:
        tensors = {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
    write_file(folder / "model.safetensors", safetensors.torch.save(tensors, {"format": "pt"}))
    said = config_json(config, end) | {"torch_dtype": "float16" if half else "float32"}
    plain_json.write_json(folder / "config.json", said)


def _parts(config: ModelConfig, weight: Tensor, name: str, count: int) -> tuple[Tensor, ...]:
    if count == 1:
        return (weight,)
    rows = config.qkv_rows if "qkv" in name else (config.hidden,) * count
    return torch.split(weight, list(rows), dim=0)
