"""Causal attention for learning on a processor: the same numbers as torch's fused kernel, sooner.

torch's kernel for processors keeps no pattern and computes it again on the way back; in bfloat16 most of a
training step is spent there. This one keeps the patterns, in bands of rows that leave out what lies in the
future. In bfloat16 the scores are rounded before the softmax. Measured by `python run.py bench train`.

N sequences times heads, T tokens, d width of a head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_ROWS = 64  # of a band; narrower ones leave out more, wider ones are better products
_KEPT_AT_MOST = 2**25  # numbers of all patterns of a layer; beyond, keeping them costs more than it saves


def worth_keeping(q: Tensor, k: Tensor) -> bool:
    """Whether the patterns of queries and keys, (B, H, T, d), are wanted again and small enough to keep."""
    learning = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad)
    patterns = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    return learning and q.device.type == "cpu" and patterns <= _KEPT_AT_MOST


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d + mask) v, for queries, keys and values of the same T tokens.

    Args:
        q: (B, H, T, d).
        k: (B, K, T, d); each is shared by H / K heads.
        v: Alike.

    Returns:
        (B, H, T, d).
    """
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    made: Tensor = _Causal.apply(q / math.sqrt(q.shape[-1]), k, v)  # type: ignore[no-untyped-call]
    return made


class _Causal(torch.autograd.Function):
    """The way there and back, band by band of rows."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        B, H, T, d = q.shape
        q, k, v = (part.reshape(B * H, T, d) for part in (q, k, v))  # (N, T, d)
        z = torch.empty_like(q)
        future = torch.full((_ROWS, _ROWS), -math.inf, dtype=q.dtype).triu(1)
        patterns = []
        with torch.autocast("cpu", enabled=False):
            for begin in range(0, T, _ROWS):
                end = min(begin + _ROWS, T)
                scores = torch.bmm(q[:, begin:end], k[:, :end].mT)  # (N, rows, end)
                scores[:, :, begin:end] += future[: end - begin, : end - begin]
                patterns.append(scores.softmax(dim=-1))
                z[:, begin:end] = torch.bmm(patterns[-1], v[:, :end])
        ctx.save_for_backward(q, k, v, z, *patterns)
        return z.view(B, H, T, d)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Dao et al., FlashAttention, https://arxiv.org/abs/2205.14135, appendix B.2, equations 3 to 6."""
        q, k, v, z, *patterns = ctx.saved_tensors
        shape = gradients[0].shape
        dz = gradients[0].reshape(q.shape)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        shared = (dz * z).sum(dim=-1, keepdim=True)  # (N, T, 1)
        for n, pattern in enumerate(patterns):
            begin, end = n * _ROWS, n * _ROWS + pattern.shape[1]
            band = dz[:, begin:end]
            dv[:, :end].baddbmm_(pattern.mT, band)
            ds = torch.bmm(band, v[:, :end].mT).sub_(shared[:, begin:end]).mul_(pattern)  # (N, rows, end)
            dq[:, begin:end] = torch.bmm(ds, k[:, :end])
            dk[:, :end].baddbmm_(ds.mT, q[:, begin:end])
        return dq.view(shape), dk.view(shape), dv.view(shape)
