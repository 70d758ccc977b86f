"""Blocks of 32 numbers: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, byte for byte as ggml makes them.

Each has one scale d in 16 bits, Q4_1 and Q5_1 also a minimum m. The codes are computed with the scale before
it was rounded to 16 bits. With importances the scale is searched for (`search.py`). Layouts: ggml-common.h;
algorithms: `quantize_row_*_ref` and `quantize_row_*_impl` of ggml-quants.c.

Letters: B blocks; x (32, B) numbers; w (32, B) weights of errors, None where no importances are given.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from core.formats.blocks import NONLINEAR
from core.quantization.exact import (
    away_from_zero,
    float16_bytes,
    inverse,
    ordered_sum,
    over,
    signed_extreme,
)
from core.quantization.search import ZERO, Grid, affine_search, symmetric_search

_FINE = {most: Grid(most, -0.9, 0.05, 36) for most in (15, 31)}


def make_q8_0(x: Tensor, w: Tensor | None) -> Tensor:
    """Bytes of Q8_0, (B, 34); importances change nothing."""
    d = torch.maximum(x.amax(0), -x.amin(0)).abs_() / 127  # no −0
    codes = away_from_zero(_scaled(x, d)).to(torch.int8)
    return torch.cat((float16_bytes(d), codes.view(torch.uint8).t()), dim=1)


def make_q4_0(x: Tensor, w: Tensor | None) -> Tensor:
    """Bytes of Q4_0, (B, 18)."""
    d, codes = _symmetric(x, w, 8)
    return torch.cat((float16_bytes(d), _nibbles(codes)), dim=1)


def make_q5_0(x: Tensor, w: Tensor | None) -> Tensor:
    """Bytes of Q5_0, (B, 22)."""
    d, codes = _symmetric(x, w, 16)
    return torch.cat((float16_bytes(d), _fifth_bits(codes), _nibbles(codes)), dim=1)


def make_q4_1(x: Tensor, w: Tensor | None) -> Tensor:
    """Bytes of Q4_1, (B, 20)."""
    d, m, codes = _affine(x, w, 15)
    return torch.cat((float16_bytes(d), float16_bytes(m), _nibbles(codes)), dim=1)


def make_q5_1(x: Tensor, w: Tensor | None) -> Tensor:
    """Bytes of Q5_1, (B, 24)."""
    d, m, codes = _affine(x, w, 31)
    return torch.cat((float16_bytes(d), float16_bytes(m), _fifth_bits(codes), _nibbles(codes)), dim=1)


def make_iq4_nl(x: Tensor, w: Tensor | None) -> Tensor:
    """Bytes of IQ4_NL, (B, 18): codes are places in a table of 16 uneven steps."""
    w = x * x if w is None else w
    extreme = signed_extreme(x)  # (B)
    zero = extreme.abs() < ZERO
    safe = torch.where(zero, 1.0, extreme)
    level, scratch, wl = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)

    def sums(inverse_scale: Tensor) -> tuple[Tensor, Tensor]:
        level.copy_(_levels(torch.mul(x, inverse_scale, out=scratch)))
        torch.mul(w, level, out=wl)
        a = ordered_sum(torch.mul(wl, x, out=scratch))
        return a, ordered_sum(wl.mul_(level))

    a, b = sums(over(1, -safe / NONLINEAR[0]))
    scale = torch.where(b > 0, a / b, 0.0)
    best = scale * a
    for step in range(-7, 8):
        a, b = sums(over(NONLINEAR[0] + step, safe))
        better = (b > 0) & (a * a > best * b)
        scale = torch.where(better, a / b, scale)
        best = torch.where(better, scale * a, best)
    scale = torch.where(zero, 0.0, scale)
    codes = _codes(x * inverse(scale))
    return torch.cat((float16_bytes(scale), _nibbles(codes)), dim=1)


def _scaled(x: Tensor, d: Tensor) -> Tensor:
    """x / d as ggml has it, x times 1 / d; zeros where 1 / d is beyond float32, as C's casts give."""
    id_ = inverse(d)
    return x * torch.where(id_.isinf(), 0.0, id_)


def _symmetric(x: Tensor, w: Tensor | None, most: int) -> tuple[Tensor, Tensor]:
    """The scale and the codes 0 … 2 · most − 1, uint8, of Q4_0 and Q5_0."""
    if w is not None:
        found = symmetric_search(x, most, w)
        return found.scale, found.codes.to(torch.uint8)
    d = signed_extreme(x) / -most
    return d, _truncated(_scaled(x, d).add_(most + 0.5), 2 * most - 1, inverse(d))


def _affine(x: Tensor, w: Tensor | None, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, minimum and codes of Q4_1 and Q5_1."""
    if w is not None:
        found = affine_search(x, w, _FINE[most])
        return found.scale, -found.minimum, found.codes.to(torch.uint8)
    m = x.amin(0)
    d = (x.amax(0) - m) / most
    return d, m, _truncated(_scaled(x - m, d).add_(0.5), most, inverse(d))


def _truncated(numbers: Tensor, most: int, id_: Tensor) -> Tensor:
    """C's casts to a byte, and the smaller of that and `most`; 0 where the scale's inverse overflowed."""
    codes = numbers.to(torch.uint8).clamp_(max=most)
    overflowed = id_.isinf()
    return codes.masked_fill_(overflowed, 0) if bool(overflowed.any()) else codes


def _nibbles(codes: Tensor) -> Tensor:
    """(32, B) to (B, 16): low four bits of the first 16 numbers, high ones of the others."""
    return ((codes[:16] & 15) | (codes[16:] << 4)).t()


def _fifth_bits(codes: Tensor) -> Tensor:
    """(32, B) to (B, 4): bit i of four bytes is bit 4 of number i."""
    bits = (codes >> 4).view(4, 8, -1)
    packed = bits[:, 0].clone()
    for place in range(1, 8):
        packed |= bits[:, place] << place
    return packed.t()


@cache
def _table() -> tuple[Tensor, Tensor]:
    """For every half, from −128 up: the code nearest to it and its level; of two as near, the upper one."""
    halves = torch.arange(-256, 256) / 2
    levels = torch.tensor(NONLINEAR, dtype=torch.float32)
    middles = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize(halves, middles, right=True)
    return codes.to(torch.uint8), levels[codes]


def _places(numbers: Tensor) -> Tensor:
    """Where a number stands in `_table`; all middles are halves, so that the half below decides."""
    return (numbers * 2).floor_().clamp_(-256, 255).add_(256).nan_to_num_(0).to(torch.int32)


def _levels(numbers: Tensor) -> Tensor:
    return _table()[1].index_select(0, _places(numbers).view(-1)).view(numbers.shape)


def _codes(numbers: Tensor) -> Tensor:
    return _table()[0].index_select(0, _places(numbers).view(-1)).view(numbers.shape)
