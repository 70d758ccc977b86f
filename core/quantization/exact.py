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
    return picked(new, old, as_mask(better))


def as_mask(better: Flags) -> Whole:
    """All bits of an int32 where `better`, else none."""
    mask = better.view(np.int8).astype(np.int32)
    return np.negative(mask, out=mask)


def picked(new: Floats, old: Floats, mask: Whole) -> Floats:
    """`chosen` with a mask of bits, for several choices by the same."""
    bits = old.view(np.int32)
    made = bits ^ new.view(np.int32)
    made &= mask
    made ^= bits
    return made.view(np.float32)


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
