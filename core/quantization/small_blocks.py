"""Blocks of 32 numbers: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, byte for byte as ggml makes them.

Each has one scale d in 16 bits, Q4_1 and Q5_1 also a minimum m. The codes are computed with the scale before
it was rounded to 16 bits. With importances the scale is searched for (`search.py`). Layouts: ggml-common.h;
algorithms: `quantize_row_*_ref` and `quantize_row_*_impl` of ggml-quants.c.

Letters: B blocks; x (32, B) numbers; w (32, B) weights of errors, None where no importances are given. Every
maker gives bytes, (B, bytes of a block).
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
    away_from_zero,
    chosen,
    float16_bytes,
    inverse,
    least,
    ordered_sum,
    signed_extreme,
)
from core.quantization.search import NOTHING, Grid, affine_search, symmetric_search

_FINE = {most: Grid(most, -0.9, 0.05, 36) for most in (15, 31)}


def make_q8_0(x: Floats, w: Floats | None) -> Bytes:
    """Q8_0, 34 bytes; importances change nothing."""
    d = np.abs(np.maximum(x.max(axis=0), -x.min(axis=0))) / F(127)  # without −0
    return _joined(float16_bytes(d), _as_bytes(away_from_zero(_scaled(x, d)) & 255))


def make_q4_0(x: Floats, w: Floats | None) -> Bytes:
    """Q4_0, 18 bytes."""
    d, codes = _symmetric(x, w, 8)
    return _joined(float16_bytes(d), _nibbles(codes))


def make_q5_0(x: Floats, w: Floats | None) -> Bytes:
    """Q5_0, 22 bytes."""
    d, codes = _symmetric(x, w, 16)
    return _joined(float16_bytes(d), _fifth_bits(codes), _nibbles(codes & 15))


def make_q4_1(x: Floats, w: Floats | None) -> Bytes:
    """Q4_1, 20 bytes."""
    d, m, codes = _affine(x, w, 15)
    return _joined(float16_bytes(d), float16_bytes(m), _nibbles(codes))


def make_q5_1(x: Floats, w: Floats | None) -> Bytes:
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


def _scaled(x: Floats, d: Floats, out: Floats | None = None) -> Floats:
    """x / d as ggml has it, times 1 / d; 0 where 1 / d is beyond float32."""
    inverse_d = inverse(d)
    made: Floats = np.multiply(x, np.where(np.isinf(inverse_d), ZERO, inverse_d), out=out)
    return made


def _symmetric(x: Floats, w: Floats | None, most: int) -> tuple[Floats, Whole]:
    """The scale and the codes 0 … 2 · most − 1 of Q4_0 and Q5_0."""
    if w is not None:
        found = symmetric_search(x, most, w)
        return found.scale, found.codes.astype(np.int32)
    d = signed_extreme(x) / F(-most)
    numbers = _scaled(x, d)
    numbers += F(most + 0.5)
    return d, _cut_off(numbers, 2 * most - 1, d)


def _affine(x: Floats, w: Floats | None, most: int) -> tuple[Floats, Floats, Whole]:
    """Scale, minimum and codes of Q4_1 and Q5_1."""
    if w is not None:
        found = affine_search(x, w, _FINE[most])
        return found.scale, -found.minimum, found.codes.astype(np.int32)
    m = least(x)
    d = np.abs(x.max(axis=0) - m) / F(most)  # without −0
    numbers = x - m
    _scaled(numbers, d, numbers)
    numbers += F(0.5)
    return d, m, _cut_off(numbers, most, d)


def _cut_off(numbers: Floats, most: int, d: Floats) -> Whole:
    """C's casts to a byte, and at most `most`; 0 where 1 / d overflowed, as the casts give."""
    codes = numbers.astype(np.int32)
    codes -= codes >> most.bit_length()  # most is 2^k − 1, and no code is above 2^k: a quick minimum
    overflowed = np.isinf(inverse(d))
    if overflowed.any():
        codes[:, overflowed] = 0
    return codes


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
