"""Float32 arithmetic in the very order of ggml-quants.c, on many blocks at once.

Bytes are equal to ggml's only if every operation rounds as there: products from left to right, sums one
number after the other, no fused multiply-add. So blocks lie side by side, and a step of the algorithm works
on the same place of all of them: a table is (n, B), the n numbers of a block below one another.

Letters: n numbers of a small block; B blocks; x weights; w how much each error counts.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

NEAREST_AT_MOST = 4_194_303.0  # ggml's `nearest_int` is right up to here; beyond, its bits say something else
_MAGIC = 12_582_912.0  # 1.5 · 2^23: adding it leaves the whole number in the low bits
_SIGN = -(1 << 31)  # bits of a float32
_HALF_BELOW = 0x3EFFFFFF  # bits of the float32 before 0.5


def positions_first(numbers: Tensor, n: int) -> Tensor:
    """Blocks of n numbers, one after the other, as a table (n, B)."""
    return numbers.view(-1, n).t().contiguous()


def ordered_sum(rows: Tensor) -> Tensor:
    """The rows of (n, B) added one after the other, from the first: (B). What stood in `rows` may be lost.

    torch adds up to 16 rows in order and then begins anew; so what came out is laid before the next rows.
    """
    if not _adds_in_order():
        total = rows[0].clone()
        for row in rows[1:]:
            total += row
        return total
    total = rows[:16].sum(0)
    for begin in range(16, len(rows), 15):
        rows[begin - 1] = total
        total = rows[begin - 1 : begin + 15].sum(0)
    return total


@cache
def _adds_in_order() -> bool:
    """Whether this torch adds 16 rows one after the other (its cascade does; tried once)."""
    rows = torch.linspace(-1, 1, 16 * 4099).exp_().view(16, 4099) * torch.tensor([1.0, -0.3]).repeat(8)[:, None]
    total = rows[0].clone()
    for row in rows[1:]:
        total += row
    return torch.equal(rows.sum(0), total)


def nearest(numbers: Tensor) -> Tensor:
    """ggml's `nearest_int`, bit for bit, also where its argument is too large: int32.

    >>> nearest(torch.tensor([0.5, 1.5, -2.6])).tolist()
    [0, 2, -3]
    """
    return (numbers + _MAGIC).view(torch.int32).bitwise_and_(0x7FFFFF).sub_(0x400000)


def away_from_zero(numbers: Tensor) -> Tensor:
    """C's `roundf`, int32: halves go away from zero. Right up to 2^22. What stood in `numbers` is lost.

    >>> away_from_zero(torch.tensor([0.5, -0.5, 2.5, 0.49999997])).tolist()
    [1, -1, 3, 0]
    """
    bits = numbers.view(torch.int32)
    almost_half = bits.bitwise_and(_SIGN).bitwise_or_(_HALF_BELOW).view(torch.float32)
    return numbers.add_(almost_half).to(torch.int32)  # which cuts off


def signed_extreme(x: Tensor, dim: int = 0) -> Tensor:
    """Of every block the number that is furthest from zero, with its sign; the first one of a tie: (B).

    >>> signed_extreme(torch.tensor([[1.0, 2.0], [-1.0, -3.0]])).tolist()
    [1.0, -3.0]
    """
    high, low = x.amax(dim), x.amin(dim)
    negative = high < -low
    extreme = chosen(low, high, negative)
    tied = (high == -low).nonzero()[:, 0]
    if len(tied):
        among = x.index_select(1 - dim, tied)
        first = among.abs().argmax(dim, keepdim=True)
        extreme[tied] = among.gather(dim, first).squeeze(dim)
    return extreme.add_(0.0)  # a zero is +0


def least(x: Tensor, dim: int = 0) -> Tensor:
    """The smallest number of every block, (B); of zeros with both signs the first, since signs are stored."""
    low = x.amin(dim)
    zero = (low == 0).nonzero()[:, 0]
    if len(zero):
        among = x.index_select(1 - dim, zero)
        first = (among == 0).to(torch.uint8).argmax(dim, keepdim=True)
        low[zero] = among.gather(dim, first).squeeze(dim)
    return low


def chosen(new: Tensor, old: Tensor, better: Tensor) -> Tensor:
    """`torch.where(better, new, old)` by bits: where the choice is by chance, `where` takes ten times as long."""
    mask = better.to(torch.int32).neg_()
    bits = old.view(torch.int32)
    return (bits ^ new.view(torch.int32)).bitwise_and_(mask).bitwise_xor_(bits).view(torch.float32)


def over(number: float, numbers: Tensor) -> Tensor:
    """number / numbers, rounded once; torch's own `number / numbers` multiplies by a rounded reciprocal."""
    return torch.div(torch.tensor(number, dtype=torch.float32), numbers)


def root(numbers: Tensor) -> Tensor:
    """Square roots, in place, rounded as IEEE has it; torch's own are one bit off in a fifth of all cases."""
    np.sqrt(numbers.numpy(), out=numbers.numpy())
    return numbers


def inverse(scale: Tensor) -> Tensor:
    """1 / scale, and 0 for a scale of 0."""
    return torch.where(scale == 0, scale.new_zeros(()), scale.reciprocal())


def float16_bytes(numbers: Tensor) -> Tensor:
    """Each number as the two bytes of a float16: (B) to (B, 2)."""
    return numbers.to(torch.float16).view(torch.uint8).view(-1, 2)


def as_float16(numbers: Tensor) -> Tensor:
    """What a number is after it was stored in 16 bits."""
    return numbers.to(torch.float16).float()
