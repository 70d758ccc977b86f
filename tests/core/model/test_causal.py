"""Attention for learning: what torch's fused kernel gives, forward and back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.model.causal import causal_attention, worth_keeping

SHAPES = [(2, 3, 1, 8), (1, 2, 63, 8), (2, 2, 64, 16), (1, 4, 65, 16), (2, 4, 200, 32)]


def with_gradients(f: object, q: Tensor, k: Tensor, v: Tensor, dz: Tensor) -> list[Tensor]:
    """What a way of attention gives, and its three gradients."""
    parts = [part.detach().requires_grad_() for part in (q, k, v)]
    z = f(*parts)  # type: ignore[operator]
    z.backward(dz)
    return [z.detach(), *(part.grad for part in parts if part.grad is not None)]


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kv_heads", [1, 0])
def test_it_gives_what_torchs_kernel_gives(shape: tuple[int, int, int, int], kv_heads: int) -> None:
    B, H, T, d = shape
    generator = torch.Generator().manual_seed(T)
    q, dz = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    k, v = (torch.randn(B, kv_heads or H, T, d, generator=generator, dtype=torch.float64) for _ in range(2))
    ours, theirs = (with_gradients(f, q, k, v, dz) for f in (causal_attention, fused))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-12, rtol=1e-12)


def test_its_gradients_are_those_of_small_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    parts = [
        torch.randn(1, 2, 66, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(3)
    ]
    assert torch.autograd.gradcheck(causal_attention, parts, fast_mode=True)


def test_in_bfloat16_it_errs_by_the_rounding_of_scores_and_no_more() -> None:
    generator = torch.Generator().manual_seed(2)
    exact = [torch.randn(2, 4, 130, 32, generator=generator, dtype=torch.float64) for _ in range(4)]
    q, k, v, dz = (part.bfloat16() for part in exact)
    truth = with_gradients(fused, *(part.double() for part in (q, k, v)), dz.double())
    ours = with_gradients(causal_attention, q, k, v, dz)
    for true, mine in zip(truth, ours, strict=True):
        assert float((mine.double() - true).norm() / true.norm()) < 0.01  # a step of bfloat16 is 0.008


def test_it_is_taken_only_where_something_is_learned_and_the_patterns_are_small() -> None:
    q = torch.zeros(1, 1, 8, 4, requires_grad=True)
    assert worth_keeping(q, q)
    assert not worth_keeping(q.detach(), q.detach())
    with torch.no_grad():
        assert not worth_keeping(q, q)
    long = torch.zeros(1, 1, 2**13, 1, requires_grad=True)
    assert not worth_keeping(long, long)
