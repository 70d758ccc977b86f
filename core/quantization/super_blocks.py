"""Blocks of 256 numbers: Q2_K to Q6_K, byte for byte as ggml makes them.

A super-block is cut into small blocks of 16 or 32, each with a scale, in Q2_K, Q4_K and Q5_K also a minimum;
these are whole numbers of 4, 6 or 8 bits, times one or two scales of 16 bits. The scales are searched for
first (`search.py`), then rounded, and the codes are computed anew with what the rounded ones are worth. Where
that is 0, the codes of the search stay. Layouts: ggml-common.h; algorithms: `quantize_row_*_K_ref` and
`quantize_row_*_K_impl` (with importances) of ggml-quants.c.

Letters: S super-blocks; s small blocks in one, 8 or 16; n numbers in a small block; x (n, s · S) numbers, the
small blocks of one super-block S apart; q importances in the same layout, or None.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.quantization.exact import as_float16, float16_bytes, nearest, ordered_sum, over, root
from core.quantization.search import (
    ZERO,
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


def make_q2_k(x: Tensor, q: Tensor | None) -> Tensor:
    """Bytes of Q2_K, (S, 84)."""
    w = x.abs() if q is None else _weights(x, q, 1)
    found, scales, minima, d, least = _affine(x, q, w, 3, 15)
    both = (scales | minima << 4) & 255
    codes = _again_affine(x, found.codes, both & 15, both >> 4, d, least, 3)
    both = both.to(torch.uint8)
    return torch.cat((both.t(), _quarters(codes), float16_bytes(d), float16_bytes(least)), dim=1)


def make_q4_k(x: Tensor, q: Tensor | None) -> Tensor:
    """Bytes of Q4_K, (S, 144)."""
    head, codes = _with_minima(x, q, 15)
    return torch.cat((head, _halves(codes)), dim=1)


def make_q5_k(x: Tensor, q: Tensor | None) -> Tensor:
    """Bytes of Q5_K, (S, 176)."""
    head, codes = _with_minima(x, q, 31)
    high = codes >> 4  # (32, 8, S): bit s of byte l is bit 4 of number l in small block s
    fifth = high[:, 0].clone()
    for small in range(1, 8):
        fifth |= high[:, small] << small
    return torch.cat((head, fifth.t(), _halves(codes & 15)), dim=1)


def make_q3_k(x: Tensor, q: Tensor | None) -> Tensor:
    """Bytes of Q3_K, (S, 110)."""
    if q is None:
        found = descent(x, 4)
        scale = found.scale.view(16, -1)  # (16, S)
        extreme = _first_extreme(scale)
        isc = torch.where(extreme == 0, 0.0, over(-32, extreme))
        whole = nearest(isc * scale).clamp_(-32, 31)
        d = torch.where(extreme == 0, 0.0, over(1, isc))
        stored = (whole + 32).masked_fill_(extreme == 0, 0)
    else:
        w = _weights(x, q, 2)
        found = symmetric_search(x, 4, w)
        outer = symmetric_search(found.scale.view(16, -1), 32, ordered_sum(w).view(16, -1))
        stored, d = outer.codes.to(torch.int32), outer.scale
    codes = _again(x, found.codes, (stored - 32).float(), d, 4)
    stored = stored.to(torch.uint8)
    upper = torch.zeros_like(stored[:4])
    for quarter in range(4):
        upper |= (stored[4 * quarter : 4 * quarter + 4] >> 4) << 2 * quarter
    packed = torch.cat(((stored[:8] & 15) | (stored[8:] & 15) << 4, upper))  # (12, S)
    high = (codes >> 2).view(16, 8, 2, -1)  # number e of 256 is bit e // 32 of byte e % 32
    mask = high[:, 0].clone()
    for bit in range(1, 8):
        mask |= high[:, bit] << bit
    mask = mask.permute(2, 1, 0).reshape(-1, 32)
    return torch.cat((mask, _quarters(codes & 3), packed.t(), float16_bytes(d)), dim=1)


def make_q6_k(x: Tensor, q: Tensor | None) -> Tensor:
    """Bytes of Q6_K, (S, 210)."""
    found = symmetric_search(x, 32, x * x if q is None else q)
    scale = found.scale.view(16, -1)  # (16, S)
    extreme = _first_extreme(scale)
    zero = extreme.abs() < ZERO
    isc = over(-128, torch.where(zero, 1.0, extreme))
    d = over(1, isc)
    stored = nearest(isc * scale).clamp_(max=127).to(torch.int8)
    codes = _again(x, found.codes, stored.float(), d, 32).view(16, 2, 4, 2, -1)  # (place, half, quarter, s, S)
    low, high = codes & 15, codes >> 4
    pairs = (low[:, :, :2] | low[:, :, 2:] << 4).permute(4, 1, 2, 3, 0).reshape(-1, 128)
    upper = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    upper = upper.permute(3, 1, 2, 0).reshape(-1, 64)
    made = torch.cat((pairs, upper, stored.view(torch.uint8).t(), float16_bytes(d)), dim=1)
    return made.masked_fill_(zero[:, None], 0)


def _weights(x: Tensor, q: Tensor, times: int) -> Tensor:
    """q · sqrt(σ² + x²), σ² `times` the mean square of the super-block."""
    squares = x * x
    n, small = x.shape[0], 256 // x.shape[0]
    in_order = squares.view(n, small, -1).transpose(0, 1).reshape(256, -1)  # (256, S)
    sigma2 = ordered_sum(in_order).mul_(times).div_(256).repeat(small)  # (s · S)
    return root(squares.add_(sigma2)).mul_(q)


def _first_extreme(scale: Tensor) -> Tensor:
    """Of each column the value furthest from zero, the first one of a tie: (s, S) to (S)."""
    return scale.gather(0, scale.abs().argmax(0)[None])[0]


def _affine(
    x: Tensor, q: Tensor | None, w: Tensor, most: int, top: int
) -> tuple[Affine, Tensor, Tensor, Tensor, Tensor]:
    """The search; whole scales and minima, int32 (s, S), up to `top`; their own two scales, (S)."""
    small = 256 // x.shape[0]
    if q is not None:
        sums = ordered_sum(w.clone()).view(small, -1)
        found = affine_search(x, w, _FINE[most])
        scales = positive_search(found.scale.view(small, -1), top, sums)
        minima = positive_search(found.minimum.view(small, -1), top, sums)
        return found, _whole(scales.codes), _whole(minima.codes), scales.scale, minima.scale
    found = affine_search(x, w, _COARSE[most])
    scale, minimum = found.scale.view(small, -1), found.minimum.view(small, -1)
    most_scale, most_minimum = scale.amax(0).clamp(min=0).abs_(), minimum.amax(0).clamp(min=0).abs_()  # no −0
    scales = _against(scale, most_scale, top)
    minima = _against(minimum, most_minimum, top)
    return found, scales, minima, most_scale / top, most_minimum / top


def _against(values: Tensor, most: Tensor, top: int) -> Tensor:
    """Each value as a whole number of a byte, `top` where it is the largest."""
    inverse_most = torch.where(most > 0, over(top, torch.where(most > 0, most, 1.0)), 0.0)
    return nearest(values * inverse_most).bitwise_and_(255)


def _whole(codes: Tensor) -> Tensor:
    return codes.to(torch.int32)


def _with_minima(x: Tensor, q: Tensor | None, most: int) -> tuple[Tensor, Tensor]:
    """What Q4_K and Q5_K share: d, dmin and the packed scales, (S, 16); codes, uint8 (32, 8, S)."""
    if q is None:
        w = x.abs().add_(root(ordered_sum(x * x).div_(32)))
    else:
        w = _weights(x, q, 2)
    found, scales, minima, d, least = _affine(x, q, w, most, 63)
    if q is None or most == 31:  # Q4_K with importances takes its bytes as they are
        scales, minima = scales.clamp_(max=63), minima.clamp_(max=63)
    sc, mn = scales.to(torch.uint8), minima.to(torch.uint8)
    first, second = sc[:4] | (sc[4:] >> 4) << 6, mn[:4] | (mn[4:] >> 4) << 6  # (4, S)
    third = (sc[4:] & 15) | (mn[4:] & 15) << 4
    scales = torch.cat((first & 63, (third & 15) | (first >> 6) << 4))
    minima = torch.cat((second & 63, (third >> 4) | (second >> 6) << 4))
    codes = _again_affine(x, found.codes, scales, minima, d, least, most)
    packed = torch.cat((first, second, third))  # (12, S)
    head = torch.cat((float16_bytes(d), float16_bytes(least), packed.t()), dim=1)
    return head, codes.view(32, 8, -1)


def _again_affine(
    x: Tensor, codes: Tensor, scales: Tensor, minima: Tensor, d: Tensor, least: Tensor, most: int
) -> Tensor:
    """Codes with the rounded scales, uint8 in the layout of x; those of the search where the scale is 0."""
    scale = (as_float16(d) * scales).view(-1)  # (s · S)
    minimum = (as_float16(least) * minima).view(-1)
    fresh = nearest((x + minimum).div_(scale)).clamp_(0, most)
    return _kept(fresh, codes, scale)


def _again(x: Tensor, codes: Tensor, scales: Tensor, d: Tensor, most: int) -> Tensor:
    """The same around zero, where codes go from −most to most − 1 and are stored from 0."""
    scale = (as_float16(d) * scales).view(-1)
    fresh = nearest(x / scale).clamp_(-most, most - 1).add_(most)
    return _kept(fresh, codes, scale)


def _kept(fresh: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    made = fresh.to(torch.uint8)
    kept = (scale == 0).nonzero()[:, 0]
    if len(kept):
        made[:, kept] = codes[:, kept].to(torch.uint8)
    return made


def _quarters(codes: Tensor) -> Tensor:
    """Two bits of four numbers a byte: number 128h + l + 32k of 256 is at bits 2k of byte 32h + l; (S, 64)."""
    c = codes.view(16, 2, 4, 2, -1)  # (place, half, quarter, small block, S)
    packed = c[:, :, 0] | c[:, :, 1] << 2 | c[:, :, 2] << 4 | c[:, :, 3] << 6
    return packed.permute(3, 1, 2, 0).reshape(-1, 64)


def _halves(codes: Tensor) -> Tensor:
    """Four bits of two small blocks a byte: (32, 8, S) to (S, 128)."""
    c = codes.view(32, 4, 2, -1)
    return (c[:, :, 0] | c[:, :, 1] << 4).permute(2, 1, 0).reshape(-1, 128)
