"""Float32 arithmetic in the very order of ggml-quants.c, on many blocks at once.

Bytes are equal to ggml's only if every operation rounds as there: products from left to right, sums one
number after the other, no fused multiply-add. So blocks lie side by side, and a step of the algorithm works
on the same place of all of them: a table is (n, B), the n numbers of a block below one another. numpy adds
the rows of such a table in order, and rounds roots and quotients as IEEE 754 has it. torch does neither: its
sums begin anew every 16 rows, its roots are one bit off in a fifth of all cases, a number over a table is the
number times a rounded reciprocal.

Letters: n numbers of a small block; B blocks; x weights; w how much each error counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]  # float32; numpy's types lose track of the width in mixed arithmetic
Bytes = npt.NDArray[Any]  # uint8
Whole = npt.NDArray[Any]  # int32
Flags = npt.NDArray[Any]  # bool

F = np.float32
ZERO = F(0)
NEAREST_AT_MOST = F(
    4_194_303.0
)  # ggml's `nearest_int` is right up to here; beyond, its bits say something else
_MAGIC = F(12_582_912.0)  # 1.5 · 2^23: adding it leaves the whole number in the low bits
_SIGN = np.uint32(1 << 31)  # bits of a float32
_HALF_BELOW = np.uint32(0x3EFFFFFF)  # bits of the float32 before 0.5
_FEW = 16  # blocks: numpy would add the numbers of a single one in another order


def ordered_sum(rows: Floats) -> Floats:
    """The rows of (n, B) added one after the other, from the first: (B)."""
    if rows.shape[1] >= _FEW:
        made: Floats = np.add.reduce(rows, axis=0)
        return made
    total: Floats = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total


def nearest(numbers: Floats) -> Whole:
    """ggml's `nearest_int`, bit for bit, also where its argument is too large.

    >>> nearest(np.array([0.5, 1.5, -2.6], np.float32)).tolist()
    [0, 2, -3]
    """
    bits = (numbers + _MAGIC).view(np.int32)
    bits &= 0x7FFFFF
    bits -= 0x400000
    return bits


def away_from_zero(numbers: Floats) -> Whole:
    """C's `roundf`: halves go away from zero. Right up to 2^22. What stood in `numbers` is lost.

    >>> away_from_zero(np.array([0.5, -0.5, 2.5, 0.49999997], np.float32)).tolist()
    [1, -1, 3, 0]
    """
    almost_half = numbers.view(np.uint32) & _SIGN
    almost_half |= _HALF_BELOW
    numbers += almost_half.view(np.float32)
    return numbers.astype(np.int32)  # which cuts off


def signed_extreme(x: Floats) -> Floats:
    """Of every block the number that is furthest from zero, with its sign; the first one of a tie: (B).

    >>> signed_extreme(np.array([[1, 2], [-1, -3]], np.float32)).tolist()
    [1.0, -3.0]
    """
    high, low = x.max(axis=0), x.min(axis=0)
    extreme = chosen(low, high, high < -low)
    tied = np.flatnonzero(high == -low)
    if len(tied):
        among = x[:, tied]
        extreme[tied] = np.take_along_axis(among, np.abs(among).argmax(axis=0)[None], axis=0)[0]
    extreme += ZERO  # a zero is +0
    return extreme


def least(x: Floats) -> Floats:
    """The smallest number of every block, (B); of zeros with both signs the first, since signs are stored."""
    low: Floats = x.min(axis=0)
    zero = np.flatnonzero(low == 0)
    if len(zero):
        among = x[:, zero]
        low[zero] = np.take_along_axis(among, (among == 0).argmax(axis=0)[None], axis=0)[0]
    return low


def chosen(new: Floats, old: Floats, better: Flags) -> Floats:
    """`np.where(better, new, old)` by bits: a fraction of its time where the choice is by chance."""
    mask = better.view(np.int8).astype(np.int32)
    np.negative(mask, out=mask)
    bits = old.view(np.int32)
    mask &= bits ^ new.view(np.int32)
    mask ^= bits
    return mask.view(np.float32)


def inverse(scale: Floats) -> Floats:
    """1 / scale, and 0 for a scale of 0."""
    made: Floats = np.where(scale == 0, ZERO, F(1) / scale)
    return made


def float16_bytes(numbers: Floats) -> Bytes:
    """Each number as the two bytes of a float16: (B) to (B, 2)."""
    return numbers.astype("<f2").view(np.uint8).reshape(-1, 2)


def as_float16(numbers: Floats) -> Floats:
    """What a number is after it was stored in 16 bits."""
    return numbers.astype(np.float16).astype(np.float32)
