"""Blocks of 32 numbers: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, byte for byte as ggml makes them.

Each has one scale d in 16 bits, Q4_1 and Q5_1 also a minimum m. The codes are computed with the scale before
it was rounded to 16 bits. With importances the scale is searched for (`search.py`). Layouts: ggml-common.h;
algorithms: `quantize_row_*_ref` and `quantize_row_*_impl` of ggml-quants.c.

Letters: B blocks; rows (B, 32) numbers; w (32, B) weights of errors, None where no importances are given; out
(B, bytes of a block).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from core.formats.blocks import NONLINEAR
from core.quantization.exact import (
    away_from_zero,
    chosen,
    float16_bytes,
    inverse,
    least,
    ordered_sum,
    over,
    signed_extreme,
)
from core.quantization.search import ZERO, Grid, affine_search, symmetric_search

_FINE = {most: Grid(most, -0.9, 0.05, 36) for most in (15, 31)}


def make_q8_0(rows: Tensor, w: Tensor | None, out: Tensor) -> None:
    """Q8_0, 34 bytes a block; importances change nothing."""
    d = torch.maximum(rows.amax(1), -rows.amin(1)).abs_() / 127  # without −0
    out[:, :2] = float16_bytes(d)
    out[:, 2:].view(torch.int8).copy_(away_from_zero(_scaled(rows, d)))


def make_q4_0(rows: Tensor, w: Tensor | None, out: Tensor) -> None:
    """Q4_0, 18 bytes a block."""
    d, codes = _symmetric(rows, w, 8)
    out[:, :2] = float16_bytes(d)
    out[:, 2:] = _nibbles(codes)


def make_q5_0(rows: Tensor, w: Tensor | None, out: Tensor) -> None:
    """Q5_0, 22 bytes a block."""
    d, codes = _symmetric(rows, w, 16)
    out[:, :2] = float16_bytes(d)
    out[:, 2:6] = _fifth_bits(codes)
    out[:, 6:] = _nibbles(codes)


def make_q4_1(rows: Tensor, w: Tensor | None, out: Tensor) -> None:
    """Q4_1, 20 bytes a block."""
    d, m, codes = _affine(rows, w, 15)
    out[:, :2], out[:, 2:4] = float16_bytes(d), float16_bytes(m)
    out[:, 4:] = _nibbles(codes)


def make_q5_1(rows: Tensor, w: Tensor | None, out: Tensor) -> None:
    """Q5_1, 24 bytes a block."""
    d, m, codes = _affine(rows, w, 31)
    out[:, :2], out[:, 2:4] = float16_bytes(d), float16_bytes(m)
    out[:, 4:8] = _fifth_bits(codes)
    out[:, 8:] = _nibbles(codes)


def make_iq4_nl(rows: Tensor, w: Tensor | None, out: Tensor) -> None:
    """IQ4_NL, 18 bytes a block: codes are places in a table of 16 uneven steps."""
    x = rows.t().contiguous()  # (32, B)
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
        scale = chosen(a / b, scale, better)
        best = chosen(scale * a, best, better)
    scale = torch.where(zero, 0.0, scale)
    out[:, :2] = float16_bytes(scale)
    out[:, 2:] = _nibbles(_codes(rows * inverse(scale)[:, None]))


def _scaled(rows: Tensor, d: Tensor) -> Tensor:
    """rows / d as ggml has it, times 1 / d; 0 where 1 / d is beyond float32."""
    inverse_d = inverse(d)
    return rows * torch.where(inverse_d.isinf(), 0.0, inverse_d)[:, None]


def _symmetric(rows: Tensor, w: Tensor | None, most: int) -> tuple[Tensor, Tensor]:
    """The scale and the codes 0 … 2 · most − 1, uint8, of Q4_0 and Q5_0."""
    if w is not None:
        found = symmetric_search(rows.t().contiguous(), most, w)
        return found.scale, found.codes.to(torch.uint8).t().contiguous()
    d = signed_extreme(rows, 1) / -most
    return d, _cut_off(_scaled(rows, d).add_(most + 0.5), 2 * most - 1, d)


def _affine(rows: Tensor, w: Tensor | None, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, minimum and codes of Q4_1 and Q5_1."""
    if w is not None:
        found = affine_search(rows.t().contiguous(), w, _FINE[most])
        return found.scale, -found.minimum, found.codes.to(torch.uint8).t().contiguous()
    m = least(rows, 1)
    d = (rows.amax(1) - m).abs_() / most  # without −0
    return d, m, _cut_off(_scaled(rows - m[:, None], d).add_(0.5), most, d)


def _cut_off(numbers: Tensor, most: int, d: Tensor) -> Tensor:
    """C's casts to a byte, and the smaller of that and `most`; 0 where 1 / d overflowed, as the casts give."""
    codes = numbers.to(torch.int32).to(torch.uint8).clamp_(max=most)
    overflowed = inverse(d).isinf()
    return codes.masked_fill_(overflowed[:, None], 0) if bool(overflowed.any()) else codes


def _nibbles(codes: Tensor) -> Tensor:
    """(B, 32) to (B, 16): low four bits of the first 16 numbers, high ones of the others. Eight at a time."""
    eight = codes.view(torch.int64) & 0x0F0F0F0F0F0F0F0F  # (B, 4)
    return (eight[:, :2] | eight[:, 2:] << 4).view(torch.uint8)


def _fifth_bits(codes: Tensor) -> Tensor:
    """(B, 32) to (B, 4): bit i of four bytes is bit 4 of number i.

    The product moves bit 0 of eight bytes next to each other into the highest byte, where nothing else falls.
    """
    eight = (codes >> 4).view(torch.int64)  # (B, 4)
    return (eight * 0x0102040810204080 >> 56).to(torch.uint8)


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
