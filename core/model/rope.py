"""Rotary positions (RoPE): queries and keys are turned by an angle that grows with their place.

Su et al., RoFormer, https://arxiv.org/abs/2104.09864, section 3.2; halves of a head are paired as Hugging
Face does it, number i with number i + d/2. Two tokens then see only how far they are apart.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.model.config import ModelConfig

Rope = tuple[Tensor, Tensor]
"""Cosines and sines, each (T, d): one row for each place."""


def frequencies(config: ModelConfig) -> Tensor:
    """Radians by which each pair turns from one place to the next, shape (d/2,)."""
    d = config.head_width
    speed = config.rope_base ** -(torch.arange(0, d, 2, dtype=torch.float32) / d)  # (d/2,)
    scaling = config.rope_scaling
    if scaling is None:
        return speed
    if scaling.kind == "linear":
        return speed / scaling.factor
    if scaling.kind == "factors":
        return speed / torch.tensor(scaling.factors)
    # Llama 3.1: https://github.com/meta-llama/llama-models, models/llama3/model.py, apply_scaling.
    turns = scaling.original_context * speed / (2 * math.pi)
    smooth = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return smooth * speed + (1 - smooth) * speed / scaling.factor


def rope_table(config: ModelConfig, begin: int, end: int) -> Rope:
    """Cosines and sines for the places from `begin` to `end`."""
    places = torch.arange(begin, end, dtype=torch.float32)
    angles = torch.outer(places, frequencies(config)).repeat(1, 2)  # (T, d)
    return angles.cos(), angles.sin()


def turn(x: Tensor, rope: Rope) -> Tensor:
    """Turn every pair of numbers of x, shape (…, T, d)."""
    cos, sin = rope
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
