"""Blocks of 32 numbers without a search: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, byte for byte as ggml makes them.

Each has one scale d in 16 bits, Q4_1 and Q5_1 also a minimum m; both come from the block's extremes, and the
codes are computed with d before it was rounded to 16 bits. There is so little to compute that moving numbers
takes most of the time: blocks stay as they lie, tables are made once and used again, and codes are packed
eight at a time, as the bytes of 64-bit numbers. With importances, which Q8_0 does not look at, a scale is
searched for (`small_blocks.py`). Layouts: ggml-common.h; algorithms: `quantize_row_*_ref` of ggml-quants.c.

Letters: B blocks; x (B, 32) numbers; d, m (B).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from core.quantization.exact import ZERO, Bytes, F, Flags, Floats, chosen, inverse

U = np.uint64
_EACH = U(0x0101010101010101)  # the lowest bit of each of eight bytes
_HALF = U(0x0F0F0F0F0F0F0F0F)
_GATHER = U(
    0x0102040810204080
)  # times it, the lowest bits of eight bytes stand side by side in the upper byte
SERIAL = 1023  # blocks of which torch looks for extremes on the thread that asks, not on others too
_SIGN = np.uint32(1 << 31)
_HALF_BELOW = np.uint32(0x3EFFFFFF)  # bits of the float32 before 0.5


class Room:
    """Tables to compute in, for one slice at a time; new memory for each takes longer than the computing."""

    def __init__(self) -> None:
        self._numbers = np.empty((0, 32), F)
        self._codes = np.empty((0, 32), np.int8)

    def tables(self, blocks: int) -> tuple[Floats, Bytes]:
        """float32 and int8, (B, 32) each."""
        if len(self._numbers) < blocks:
            self._numbers = np.empty((blocks, 32), F)
            self._codes = np.empty((blocks, 32), np.int8)
        return self._numbers[:blocks], self._codes[:blocks]


def make_quick(x: Floats, kind: str, room: Room) -> Bytes:
    """Blocks of one of `QUICK`, (B, bytes of a block)."""
    return QUICK[kind](x, room)


def _make_q8_0(x: Floats, room: Room) -> Bytes:
    numbers, codes = room.tables(len(x))
    high, low = _extremes(x)
    d = np.abs(np.maximum(high, -low)) / F(127)  # without −0
    factors, _ = _factors(d)
    np.multiply(x, factors, out=numbers)
    bits = numbers.view(np.uint32) & _SIGN  # C's `roundf`: what is cut off after almost a half was added
    bits |= _HALF_BELOW
    numbers += bits.view(F)
    np.copyto(codes, numbers, casting="unsafe")
    made = np.empty(len(x), np.dtype([("d", "<f2"), ("codes", "V32")]))
    made["d"] = d
    made["codes"] = codes.view("V32")[:, 0]
    return made.view(np.uint8).reshape(len(x), -1)


def _make_symmetric(bits: int, x: Floats, room: Room) -> Bytes:
    """Q4_0 and Q5_0: d is the number furthest from zero over −8 or −16."""
    numbers, codes = room.tables(len(x))
    most = 1 << (bits - 1)
    d = _signed_extreme(x) / F(-most)
    factors, overflowed = _factors(d)
    np.multiply(x, factors, out=numbers)
    numbers += F(most + 0.5)
    return _packed(bits, _whole(numbers, codes, bits, overflowed), [d])


def _make_affine(bits: int, x: Floats, room: Room) -> Bytes:
    """Q4_1 and Q5_1: m is the smallest number, d the distance to the largest over 15 or 31."""
    numbers, codes = room.tables(len(x))
    high, m = _extremes(x)
    zero = np.flatnonzero(m == 0)  # of zeros with both signs the first one counts, since its sign is stored
    if len(zero):
        m[zero] = np.take_along_axis(x[zero], (x[zero] == 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    d = np.abs(high - m) / F((1 << bits) - 1)  # without −0
    factors, overflowed = _factors(d)
    np.subtract(x, m[:, None], out=numbers)
    np.multiply(numbers, factors, out=numbers)
    numbers += F(0.5)
    return _packed(bits, _whole(numbers, codes, bits, overflowed), [d, m])


QUICK: dict[str, Callable[[Floats, Room], Bytes]] = {
    "Q8_0": _make_q8_0,
    "Q4_0": partial(_make_symmetric, 4),
    "Q4_1": partial(_make_affine, 4),
    "Q5_0": partial(_make_symmetric, 5),
    "Q5_1": partial(_make_affine, 5),
}


def _extremes(x: Floats) -> tuple[Floats, Floats]:
    """The largest and the smallest number of each block, (B) each."""
    high, low = np.empty(len(x), F), np.empty(len(x), F)
    for begin in range(0, len(x), SERIAL):
        part = torch.from_numpy(x[begin : begin + SERIAL])
        high[begin : begin + SERIAL] = part.amax(-1).numpy()
        low[begin : begin + SERIAL] = part.amin(-1).numpy()
    return high, low


def _signed_extreme(x: Floats) -> Floats:
    """Of every block the number that is furthest from zero, with its sign; the first one of a tie: (B)."""
    high, low = _extremes(x)
    extreme = chosen(low, high, high < -low)
    tied = np.flatnonzero(high == -low)
    if len(tied):
        among = x[tied]
        extreme[tied] = np.take_along_axis(among, np.abs(among).argmax(axis=1)[:, None], axis=1)[:, 0]
    extreme += ZERO  # a zero is +0
    return extreme


def _factors(d: Floats) -> tuple[Floats, Flags]:
    """1 / d as ggml multiplies with it, (B, 1), and where it is beyond float32, (B): 0 stands there."""
    factors = inverse(d)
    overflowed: Flags = np.isinf(factors)
    factors[overflowed] = ZERO
    return factors[:, None], overflowed


def _whole(numbers: Floats, codes: Bytes, bits: int, overflowed: Flags) -> Bytes:
    """C's casts to a byte, and at most 2^bits − 1; 0 where 1 / d overflowed, as the casts give."""
    np.copyto(codes, numbers, casting="unsafe")
    eight = codes.view(U)
    eight -= (eight >> U(bits)) & _EACH  # no code is above 2^bits: a quick minimum
    if overflowed.any():
        codes[overflowed] = 0
    return codes


def _packed(bits: int, codes: Bytes, scales: list[Floats]) -> Bytes:
    """Scales, fifth bits if there are any, two codes a byte: of 32 the first 16 in low halves."""
    fields = [(f"scale {i}", "<f2") for i in range(len(scales))]
    fields += [("fifth", "<u4")] if bits == 5 else []
    made = np.empty(len(codes), np.dtype([*fields, ("halves", "V16")]))
    for i, scale in enumerate(scales):
        made[f"scale {i}"] = scale
    eight = codes.view("<u8").reshape(-1)  # (4 · B)
    if bits == 5:
        fifth = (((eight >> U(4)) & _EACH) * _GATHER) >> U(56)
        made["fifth"] = fifth.astype(np.uint8).view("<u4")
        eight &= _HALF
    halves = np.empty((len(codes), 2), "<u8")
    for i in (0, 1):
        np.bitwise_or(eight[i::4], eight[2 + i :: 4] << U(4), out=halves[:, i])
    made["halves"] = halves.view("V16")[:, 0]
    return made.view(np.uint8).reshape(len(codes), -1)
