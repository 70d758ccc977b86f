"""Blocks of 32 numbers whose scale is searched for, byte for byte as ggml makes them.

These are IQ4_NL and, where importances are given, Q4_0, Q4_1, Q5_0 and Q5_1 (`search.py`); those without
importances are in `quick_blocks.py`. Each has one scale d in 16 bits, Q4_1 and Q5_1 also a minimum m. Codes
are computed with the scale before it was rounded to 16 bits. Layouts: ggml-common.h; algorithms:
`quantize_row_*_impl` of ggml-quants.c.

Letters: B blocks; x (32, B) numbers; w (32, B) weights of errors, None in IQ4_NL where no importances are
given. Every maker gives bytes, (B, bytes of a block).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from core.formats.blocks import NONLINEAR
from core.quantization.exact import (
    ZERO,
    Bytes,
    F,
    Floats,
    Whole,
    chosen,
    float16_bytes,
    inverse,
    ordered_sum,
    signed_extreme,
)
from core.quantization.search import NOTHING, Grid, affine_search, symmetric_search

_FINE = {most: Grid(most, -0.9, 0.05, 36) for most in (15, 31)}


def make_q4_0(x: Floats, w: Floats) -> Bytes:
    """Q4_0, 18 bytes."""
    d, codes = _symmetric(x, w, 8)
    return _joined(float16_bytes(d), _nibbles(codes))


def make_q5_0(x: Floats, w: Floats) -> Bytes:
    """Q5_0, 22 bytes."""
    d, codes = _symmetric(x, w, 16)
    return _joined(float16_bytes(d), _fifth_bits(codes), _nibbles(codes & 15))


def make_q4_1(x: Floats, w: Floats) -> Bytes:
    """Q4_1, 20 bytes."""
    d, m, codes = _affine(x, w, 15)
    return _joined(float16_bytes(d), float16_bytes(m), _nibbles(codes))


def make_q5_1(x: Floats, w: Floats) -> Bytes:
    """Q5_1, 24 bytes."""
    d, m, codes = _affine(x, w, 31)
    return _joined(float16_bytes(d), float16_bytes(m), _fifth_bits(codes), _nibbles(codes & 15))


def make_iq4_nl(x: Floats, w: Floats | None) -> Bytes:
    """IQ4_NL, 18 bytes: codes are places in a table of 16 uneven steps."""
    w = x * x if w is None else w
    extreme = signed_extreme(x)  # (B)
    zero = np.abs(extreme) < NOTHING
    safe = np.where(zero, F(1), extreme)
    scratch, wl = np.empty_like(x), np.empty_like(x)
    levels = _table()[1]

    def sums(inverse_scale: Floats) -> tuple[Floats, Floats]:
        level = levels[_places(np.multiply(x, inverse_scale, out=scratch))]
        np.multiply(w, level, out=wl)
        a = ordered_sum(np.multiply(wl, x, out=scratch))
        return a, ordered_sum(np.multiply(wl, level, out=wl))

    a, b = sums(F(1) / (-safe / F(NONLINEAR[0])))
    scale = np.where(b > 0, a / b, ZERO)
    best = scale * a
    for step in range(-7, 8):
        a, b = sums(F(NONLINEAR[0] + step) / safe)
        better = (b > 0) & (a * a > best * b)
        scale = chosen(a / b, scale, better)
        best = chosen(scale * a, best, better)
    scale = np.where(zero, ZERO, scale)
    codes = _table()[0][_places(x * inverse(scale))]
    return _joined(float16_bytes(scale), _nibbles(codes))


def _joined(*parts: Bytes) -> Bytes:
    """Parts of blocks side by side."""
    made = np.empty((parts[0].shape[0], sum(part.shape[1] for part in parts)), np.uint8)
    begin = 0
    for part in parts:
        made[:, begin : begin + part.shape[1]] = part
        begin += part.shape[1]
    return made


def _symmetric(x: Floats, w: Floats, most: int) -> tuple[Floats, Whole]:
    """The scale and the codes 0 … 2 · most − 1 of Q4_0 and Q5_0."""
    found = symmetric_search(x, most, w)
    return found.scale, found.codes.astype(np.int32)


def _affine(x: Floats, w: Floats, most: int) -> tuple[Floats, Floats, Whole]:
    """Scale, minimum and codes of Q4_1 and Q5_1."""
    found = affine_search(x, w, _FINE[most])
    return found.scale, -found.minimum, found.codes.astype(np.int32)


def _nibbles(codes: Whole) -> Bytes:
    """Codes of four bits, (32, B), to (B, 16): the first 16 in low halves of bytes, the rest in high ones."""
    return _as_bytes(codes[:16] | codes[16:] << 4)


def _as_bytes(numbers: Whole) -> Bytes:
    """Numbers below 256, (n, B), as bytes, (B, n): four are put into one before rows and columns change."""
    four = numbers[0::4] | numbers[1::4] << 8 | numbers[2::4] << 16 | numbers[3::4] << 24  # (n / 4, B)
    return np.ascontiguousarray(four.T.astype("<i4", copy=False)).view(np.uint8)


def _fifth_bits(codes: Whole) -> Bytes:
    """(32, B) to (B, 4): bit i of four bytes is bit 4 of number i."""
    bits = (codes >> 4).reshape(4, 8, -1)
    packed = bits[:, 0].copy()
    for place in range(1, 8):
        packed |= bits[:, place] << place
    return _as_bytes(packed)


@cache
def _table() -> tuple[Whole, Floats]:
    """For every half, from −128 up: the code nearest to it and its level; of two as near, the upper one."""
    halves = np.arange(-256, 256, dtype=F) / 2
    levels = np.array(NONLINEAR, F)
    codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, halves, side="right")
    return codes.astype(np.int32), levels[codes]


def _places(numbers: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Where a number stands in `_table`; all middles are halves, so that the half below decides."""
    halves = numbers * F(2)
    np.floor(halves, out=halves)
    np.clip(halves, F(-256), F(255), out=halves)
    return np.nan_to_num(halves, copy=False).astype(np.int64) + 256
