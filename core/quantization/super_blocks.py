"""Blocks of 256 numbers: Q2_K to Q6_K, byte for byte as ggml makes them.

A super-block is cut into small blocks of 16 or 32, each with a scale, in Q2_K, Q4_K and Q5_K also a minimum;
these are whole numbers of 4, 6 or 8 bits, times one or two scales of 16 bits. The scales are searched for
first (`search.py`), then rounded, and the codes are computed anew with what the rounded ones are worth. Where
that is 0, the codes of the search stay. Layouts: ggml-common.h; algorithms: `quantize_row_*_K_ref` and
`quantize_row_*_K_impl` (with importances) of ggml-quants.c.

Letters: S super-blocks; s small blocks in one, 8 or 16; n numbers in a small block; x (n, s · S) numbers, the
small blocks of one super-block S apart; q importances in the same layout, or None. Every maker gives bytes,
(S, bytes of a block).
"""

from __future__ import annotations

import numpy as np

from core.quantization.exact import (
    ZERO,
    Bytes,
    F,
    Floats,
    Whole,
    as_float16,
    float16_bytes,
    nearest,
    ordered_sum,
)
from core.quantization.search import (
    NOTHING,
    Affine,
    Grid,
    affine_search,
    descent,
    positive_search,
    symmetric_search,
)

_COARSE = {
    3: Grid(3, -0.5, 0.1, 15, absolute=True),
    15: Grid(15, -1.0, 0.1, 20),
    31: Grid(31, -0.5, 0.1, 15),
}
_FINE = {most: Grid(most, -0.9, 0.05, 36) for most in (3, 15, 31)}  # with importances


def make_q2_k(x: Floats, q: Floats | None) -> Bytes:
    """Q2_K, 84 bytes."""
    w = np.abs(x) if q is None else _weights(x, q, 1)
    found, scales, minima, d, dmin = _affine(x, q, w, 3, 15)
    both = (scales | minima << 4) & 255
    codes = _again_affine(x, found.codes, both & 15, both >> 4, d, dmin, 3)
    return np.hstack((both.astype(np.uint8).T, _quarters(codes), float16_bytes(d), float16_bytes(dmin)))


def make_q4_k(x: Floats, q: Floats | None) -> Bytes:
    """Q4_K, 144 bytes."""
    head, codes = _with_minima(x, q, 15)
    return np.hstack((head, _halves(codes)))


def make_q5_k(x: Floats, q: Floats | None) -> Bytes:
    """Q5_K, 176 bytes."""
    head, codes = _with_minima(x, q, 31)
    high = codes >> 4  # (32, 8, S): bit s of byte l is bit 4 of number l in small block s
    fifth = high[:, 0].copy()
    for small in range(1, 8):
        fifth |= high[:, small] << small
    return np.hstack((head, fifth.T, _halves(codes & 15)))


def make_q3_k(x: Floats, q: Floats | None) -> Bytes:
    """Q3_K, 110 bytes."""
    if q is None:
        found = descent(x, 4)
        scale = found.scale.reshape(16, -1)  # (16, S)
        extreme = _first_extreme(scale)
        nothing = extreme == 0
        inverse_d = np.where(nothing, ZERO, F(-32) / extreme)
        stored = np.clip(nearest(inverse_d * scale), -32, 31) + 32
        stored[:, nothing] = 0
        d = np.where(nothing, ZERO, F(1) / inverse_d)
    else:
        w = _weights(x, q, 2)
        found = symmetric_search(x, 4, w)
        outer = symmetric_search(found.scale.reshape(16, -1), 32, ordered_sum(w).reshape(16, -1))
        stored, d = outer.codes.astype(np.int32), outer.scale
    codes = _again(x, found.codes, stored - 32, d, 4)
    sc = stored.astype(np.uint8)
    upper = sc[:4] >> 4
    for quarter in range(1, 4):
        upper |= (sc[4 * quarter : 4 * quarter + 4] >> 4) << 2 * quarter
    packed = np.vstack(((sc[:8] & 15) | (sc[8:] & 15) << 4, upper))  # (12, S)
    high = (codes >> 2).reshape(16, 8, 2, -1)  # number e of 256 is bit e // 32 of byte e % 32
    mask = high[:, 0].copy()
    for bit in range(1, 8):
        mask |= high[:, bit] << bit
    bits = mask.transpose(2, 1, 0).reshape(-1, 32)
    return np.hstack((bits, _quarters(codes & 3), packed.T, float16_bytes(d)))


def make_q6_k(x: Floats, q: Floats | None) -> Bytes:
    """Q6_K, 210 bytes."""
    found = symmetric_search(x, 32, x * x if q is None else q)
    scale = found.scale.reshape(16, -1)  # (16, S)
    extreme = _first_extreme(scale)
    zero = np.abs(extreme) < NOTHING
    inverse_d = F(-128) / np.where(zero, F(1), extreme)
    d = F(1) / inverse_d
    stored = np.minimum(nearest(inverse_d * scale), 127).astype(np.int8)
    codes = _again(x, found.codes, stored, d, 32).reshape(16, 2, 4, 2, -1)  # (place, half, quarter, s, S)
    low, high = codes & 15, codes >> 4
    pairs = (low[:, :, :2] | low[:, :, 2:] << 4).transpose(4, 1, 2, 3, 0).reshape(-1, 128)
    upper = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    made = np.hstack(
        (
            pairs,
            upper.transpose(3, 1, 2, 0).reshape(-1, 64),
            stored.view(np.uint8).T,
            float16_bytes(d),
        )
    )
    made[zero] = 0
    return made


def _weights(x: Floats, q: Floats, times: int) -> Floats:
    """q · sqrt(σ² + x²), σ² `times` the mean square of the super-block."""
    squares = x * x
    n, small = x.shape[0], 256 // x.shape[0]
    in_order = squares.reshape(n, small, -1).transpose(1, 0, 2).reshape(256, -1)  # (256, S)
    sigma2 = F(times) * ordered_sum(in_order) / F(256)
    squares += np.tile(sigma2, small)  # (s · S)
    np.sqrt(squares, out=squares)
    squares *= q
    return squares


def _first_extreme(scale: Floats) -> Floats:
    """Of each column the value furthest from zero, the first one of a tie: (s, S) to (S)."""
    extreme: Floats = np.take_along_axis(scale, np.abs(scale).argmax(axis=0)[None], axis=0)[0]
    return extreme


def _affine(
    x: Floats, q: Floats | None, w: Floats, most: int, top: int
) -> tuple[Affine, Whole, Whole, Floats, Floats]:
    """The search; whole scales and minima, (s, S), up to `top`; their own two scales, (S)."""
    small = 256 // x.shape[0]
    found = affine_search(x, w, _COARSE[most] if q is None else _FINE[most])
    scale, minimum = found.scale.reshape(small, -1), found.minimum.reshape(small, -1)
    if q is not None:
        sums = ordered_sum(w).reshape(small, -1)
        of_scales, of_minima = positive_search(scale, top, sums), positive_search(minimum, top, sums)
        whole = (of_scales.codes.astype(np.int32), of_minima.codes.astype(np.int32))
        return found, *whole, of_scales.scale, of_minima.scale
    most_scale, most_minimum = (np.abs(np.maximum(v.max(axis=0), ZERO)) for v in (scale, minimum))  # no −0
    whole = (_against(scale, most_scale, top), _against(minimum, most_minimum, top))
    return found, *whole, most_scale / F(top), most_minimum / F(top)


def _against(values: Floats, most: Floats, top: int) -> Whole:
    """Each value as a whole number of a byte, `top` where it is the largest."""
    inverse_most = np.where(most > 0, F(top) / most, ZERO)
    return nearest(values * inverse_most) & 255


def _with_minima(x: Floats, q: Floats | None, most: int) -> tuple[Bytes, Bytes]:
    """What Q4_K and Q5_K share: d, dmin and the packed scales, (S, 16); codes, (32, 8, S)."""
    w = np.abs(x) + np.sqrt(ordered_sum(x * x) / F(32)) if q is None else _weights(x, q, 2)
    found, scales, minima, d, dmin = _affine(x, q, w, most, 63)
    if q is None or most == 31:  # Q4_K with importances takes its bytes as they are
        scales, minima = np.minimum(scales, 63), np.minimum(minima, 63)
    sc, mn = scales.astype(np.uint8), minima.astype(np.uint8)
    first, second = sc[:4] | (sc[4:] >> 4) << 6, mn[:4] | (mn[4:] >> 4) << 6  # (4, S)
    third = (sc[4:] & 15) | (mn[4:] & 15) << 4
    sc = np.vstack((first & 63, (third & 15) | (first >> 6) << 4))
    mn = np.vstack((second & 63, (third >> 4) | (second >> 6) << 4))
    codes = _again_affine(x, found.codes, sc, mn, d, dmin, most)
    head = np.hstack((float16_bytes(d), float16_bytes(dmin), np.vstack((first, second, third)).T))
    return head, codes.reshape(32, 8, -1)


def _again_affine(
    x: Floats, codes: Floats, scales: Whole | Bytes, minima: Whole | Bytes, d: Floats, dmin: Floats, most: int
) -> Bytes:
    """Codes with the rounded scales in the layout of x; those of the search where the scale is 0."""
    scale = (as_float16(d) * scales.astype(F)).reshape(-1)  # (s · S)
    minimum = (as_float16(dmin) * minima.astype(F)).reshape(-1)
    fresh = nearest((x + minimum) / scale)
    return _kept(np.clip(fresh, 0, most, out=fresh), codes, scale)


def _again(x: Floats, codes: Floats, scales: Whole | np.ndarray, d: Floats, most: int) -> Bytes:
    """The same around zero, where codes go from −most to most − 1 and are stored from 0."""
    scale = (as_float16(d) * scales.astype(F)).reshape(-1)
    fresh = nearest(x / scale)
    np.clip(fresh, -most, most - 1, out=fresh)
    fresh += most
    return _kept(fresh, codes, scale)


def _kept(fresh: Whole, codes: Floats, scale: Floats) -> Bytes:
    made = fresh.astype(np.uint8)
    kept = np.flatnonzero(scale == 0)
    if len(kept):
        made[:, kept] = codes[:, kept]
    return made


def _quarters(codes: Bytes) -> Bytes:
    """Two bits of four numbers a byte: number 128h + l + 32k is at bits 2k of byte 32h + l; (S, 64)."""
    c = codes.reshape(16, 2, 4, 2, -1)  # (place, half, quarter, small block, S)
    packed: Bytes = c[:, :, 0] | c[:, :, 1] << 2 | c[:, :, 2] << 4 | c[:, :, 3] << 6
    return packed.transpose(3, 1, 2, 0).reshape(-1, 64)


def _halves(codes: Bytes) -> Bytes:
    """Four bits of two small blocks a byte: (32, 8, S) to (S, 128)."""
    c = codes.reshape(32, 4, 2, -1)
    packed: Bytes = c[:, :, 0] | c[:, :, 1] << 4
    return packed.transpose(2, 1, 0).reshape(-1, 128)
