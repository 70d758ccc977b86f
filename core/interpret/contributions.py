"""Whose doing is a logit? Every head and MLP adds a vector to the residual stream, and the logit is a sum.

The final norm divides by a number that depends on the whole stream; here it is frozen at the value that it
had, so that the rest is linear and the parts add up (Elhage et al., A Mathematical Framework for Transformer
Circuits, 2021, "direct logit attribution"). It counts what a part says directly, not what others make of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.interpret.inside import Inside


@dataclass(frozen=True, eq=False)
class Contributions:
    """The parts of one logit.

    Attributes:
        position: After which token of the text.
        token: Which token's logit.
        logit: The logit.
        embedding: What the token embedding says, with learned positions where there are.
        heads: What each head says, shape (layers, H).
        attention_biases: What the bias of each attention's output says, shape (layers,).
        mlps: What each MLP says, its bias included, shape (layers,).
        norm_bias: What the final norm's bias says.
    """

    position: int
    token: int
    logit: float
    embedding: float
    heads: Tensor
    attention_biases: Tensor
    mlps: Tensor
    norm_bias: float

    @property
    def total(self) -> float:
        """The sum of all parts: the logit, but for rounding."""
        parts = (self.heads, self.attention_biases, self.mlps)
        return self.embedding + self.norm_bias + sum(float(part.double().sum()) for part in parts)


def contributions(inside: Inside, position: int, token: int) -> Contributions:
    """Take a logit apart.

    Args:
        inside: The text.
        position: After which of its tokens; negative counts from the end.
        token: Whose logit.
    """
    model, config = inside.model, inside.model.config
    position %= inside.tokens
    with torch.inference_mode():
        direction, offset = _direction(model.norm, inside.final[position], model.unembedding[token])
        heads = torch.empty(config.layers, config.heads)
        biases = torch.zeros(config.layers)
        mlps = torch.empty(config.layers)
        for n in range(config.layers):
            block = model.block(n)
            z = inside.z(n, position)[None, None]  # (1, 1, H, d)
            heads[n] = block.attn.results(z)[0, 0] @ direction
            if block.attn.out.bias is not None:
                biases[n] = block.attn.out.bias @ direction
            middle = inside.stream(n)[:, position] + block.attn.out(z.flatten(2))[0]  # (1, W)
            mlps[n] = block.mlp(block.norm_2(middle))[0] @ direction
        start = inside.stream(0)[0, position]
        logit = float(inside.logits(slice(position, position + 1))[0, token])
    return Contributions(position, token, logit, float(start @ direction), heads, biases, mlps, offset)


def _direction(norm: nn.LayerNorm | nn.RMSNorm, stream: Tensor, row: Tensor) -> tuple[Tensor, float]:
    """The vector whose product with a part of the stream is its share of the logit, and what is added."""
    weighted = norm.weight * row
    if isinstance(norm, nn.LayerNorm):
        scale = torch.rsqrt(stream.var(unbiased=False) + norm.eps)
        centered = weighted - weighted.mean()  # the norm takes the mean of the stream away
        return centered * scale, float(norm.bias @ row)
    scale = torch.rsqrt(stream.pow(2).mean() + (norm.eps or 0.0))
    return weighted * scale, 0.0
