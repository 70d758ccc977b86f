"""A new model with random weights, as GPT-2 begins."""

from __future__ import annotations

import math

import torch

from core.model.config import ModelConfig
from core.model.transformer import Transformer

SPREAD = 0.02


def new_model(config: ModelConfig, generator: torch.Generator) -> Transformer:
    """A model that knows nothing.

    Weights are normal with a standard deviation of 0.02, those that write to the residual stream less by
    √(2 · layers); norms are 1, biases 0 (Radford et al., Language Models are Unsupervised Multitask Learners,
    2019, section 2.3, and its code).
    """
    model = Transformer(config)
    smaller = SPREAD / math.sqrt(2 * config.layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                writes = name.endswith(("attn.out.weight", "mlp.down.weight"))
                parameter.normal_(0.0, smaller if writes else SPREAD, generator=generator)
    return model
