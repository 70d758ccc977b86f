"""The searches of ggml-quants.c for the scale of a block, on all blocks at once.

Rounding to the grid that just covers a block is not the best one: a slightly finer or coarser grid can have a
smaller error. Each search tries some twenty and, for the codes that come out, takes the scale of least
squares. Weights say how much the error of each number counts.

The functions are called as in ggml-quants.c (`make_qx_quants`, `make_q3_quants`, `make_qkx2_quants` with its
twin qkx3, `make_qp_quants`). Codes come as float32 in the layout of `x`.

Letters: as in `exact.py`; l codes; a, b the sums Σ w·x·l and Σ w·l·l, so that a / b is the scale of least
squares and a² / b how much of the error it takes away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.quantization.exact import NEAREST_AT_MOST, nearest, ordered_sum, over, signed_extreme

ZERO = 1e-15  # a block whose largest number is below this holds zeros (GROUP_MAX_EPS)
_SWEEPS = 5


def _f32(value: float) -> float:
    """A Python number that is exactly a float32, so that torch's scalar arithmetic rounds as C's."""
    return float(np.float32(value))


@dataclass(frozen=True, eq=False)
class Symmetric:
    """Codes around zero: x ≈ scale · (code − middle).

    Attributes:
        scale: (B); 0 for a block of zeros.
        codes: float32, (n, B), from 0; 0 for a block of zeros, which is not its middle.
    """

    scale: Tensor
    codes: Tensor


def symmetric_search(x: Tensor, most: int, w: Tensor) -> Symmetric:
    """`make_qx_quants` with squared errors: codes from −most to most − 1, stored from 0.

    Args:
        x: (n, B).
        most: So many codes on the negative side.
        w: (n, B).
    """
    extreme = signed_extreme(x)  # (B)
    zero = extreme.abs() < ZERO
    safe = torch.where(zero, 1.0, extreme)
    wx, codes, products = w * x, torch.empty_like(x), torch.empty_like(x)

    def sums(inverse_scale: Tensor) -> tuple[Tensor, Tensor]:
        torch.mul(x, inverse_scale, out=codes).round_().clamp_(-most, most - 1)
        a = ordered_sum(torch.mul(wx, codes, out=products))
        return a, ordered_sum(torch.mul(w, codes, out=products).mul_(codes))

    chosen = over(-most, safe)
    a, b = sums(chosen)
    scale = torch.where(b == 0, 0.0, a / b)
    best = scale * a
    for step in (*range(-9, 0), *range(1, 10)):
        trial = over(-_f32(most + _f32(_f32(0.1) * step)), safe)
        a, b = sums(trial)
        better = (b > 0) & (a * a > best * b)
        found = a / b
        scale = torch.where(better, found, scale)
        best = torch.where(better, found * a, best)
        chosen = torch.where(better, trial, chosen)
    torch.mul(x, chosen, out=codes).round_().clamp_(-most, most - 1).add_(most)
    return Symmetric(torch.where(zero, 0.0, scale), codes.masked_fill_(zero, 0.0))


def descent(x: Tensor, most: int) -> Symmetric:
    """`make_q3_quants`: codes from −most to most − 1, then one number after the other moved while that helps."""
    extreme = signed_extreme(x)
    zero = extreme.abs() < ZERO
    safe = torch.where(zero, 1.0, extreme)
    codes = (x * over(-most, safe)).round_().clamp_(-most, most - 1)
    w = x * x
    wx = w * x
    a, b = ordered_sum(wx * codes), ordered_sum((w * codes).mul_(codes))
    _sweep(x, w, wx, codes, a, b, -most, most - 1, lambda a_, b_: a_ > 0)
    scale = torch.where(b > 0, a / b, 0.0)
    return Symmetric(torch.where(zero, 0.0, scale), codes.add_(most).masked_fill_(zero, 0.0))


def _sweep(
    x: Tensor,
    w: Tensor,
    wx: Tensor,
    codes: Tensor,
    a: Tensor,
    b: Tensor,
    least: int | None,
    most: int,
    allowed: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Coordinate descent, in place: up to 5 times over all places of a block, until nothing changes.

    With the other codes kept, the best code for x is x · b' / a', whose sums leave x out.
    """
    for _ in range(_SWEEPS):
        changed = False
        for x_i, w_i, wx_i, l_i in zip(x, w, wx, codes, strict=True):
            without_a = a - wx_i * l_i
            without_b = b - w_i * l_i * l_i
            l_new = nearest((x_i * without_b).div_(without_a)).clamp_(least, most).float()
            a_new = without_a + wx_i * l_new
            b_new = without_b + w_i * l_new * l_new
            better = allowed(without_a, without_b) & (l_new != l_i) & (b_new > 0)
            better &= a_new * a_new * b > a * a * b_new
            if bool(better.any()):
                changed = True
                l_i.copy_(torch.where(better, l_new if least is not None else l_new.remainder(256), l_i))
                a.copy_(torch.where(better, a_new, a))
                b.copy_(torch.where(better, b_new, b))
        if not changed:
            return


@dataclass(frozen=True, eq=False)
class Affine:
    """Codes from a minimum upwards: x ≈ scale · code − minimum.

    Attributes:
        scale: (B); 0 where all numbers are equal.
        minimum: (B), not negative: what is subtracted.
        codes: float32, (n, B).
    """

    scale: Tensor
    minimum: Tensor
    codes: Tensor


@dataclass(frozen=True)
class Grid:
    """Which grids a search tries: (first + step · s + most) / range for s = 0 … steps."""

    most: int
    first: float
    step: float
    steps: int
    absolute: bool = False

    def factors(self) -> list[float]:
        """The numerators, each rounded as C rounds them."""
        first, step = np.float32(self.first), np.float32(self.step)
        return [float(first + step * np.float32(s) + np.float32(self.most)) for s in range(self.steps + 1)]


def affine_search(x: Tensor, w: Tensor, grid: Grid) -> Affine:
    """`make_qkx2_quants`, and `make_qkx3_quants`, which differs in nothing that can be seen here.

    A minimum found by least squares also moves the grids that are tried after it, since ggml uses one
    variable for both.
    """
    high, low = x.amax(0), x.amin(0)
    minimum = low.clamp(max=0.0)
    flat = high <= minimum
    reach = torch.maximum(high.abs(), low.abs())
    sum_w, sum_x = ordered_sum(w.clone()), ordered_sum(w * x)
    codes, wl, scratch = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)

    def lay(inverse_scale: Tensor, start: Tensor) -> None:
        torch.sub(x, start, out=codes).mul_(inverse_scale)
        if bool((inverse_scale.abs() * (reach + start.abs()) <= NEAREST_AT_MOST).all()):
            codes.round_()
        else:
            codes.copy_(nearest(codes))
        codes.clamp_(0, grid.most)

    def error(scale: Tensor, start: Tensor) -> Tensor:
        torch.mul(codes, scale, out=scratch).add_(start).sub_(x)
        (scratch.abs_() if grid.absolute else scratch.mul_(scratch)).mul_(w)
        return ordered_sum(scratch)

    spread = torch.where(flat, 1.0, high - minimum)
    chosen, start = over(grid.most, spread), minimum
    scale = over(1, chosen)
    lay(chosen, start)
    best = error(scale, start)
    for factor in grid.factors():
        trial = over(factor, torch.where(flat, 1.0, high - minimum))
        lay(trial, minimum)
        torch.mul(w, codes, out=wl)
        sum_l2 = ordered_sum(torch.mul(wl, codes, out=scratch))
        sum_xl = ordered_sum(torch.mul(wl, x, out=scratch))
        sum_l = ordered_sum(wl)
        determinant = sum_w * sum_l2 - sum_l * sum_l
        fitted = (sum_w * sum_xl - sum_x * sum_l) / determinant
        moved = (sum_l2 * sum_x - sum_l * sum_xl) / determinant
        above = moved > 0
        moved = torch.where(above, 0.0, moved)
        fitted = torch.where(above, sum_xl / sum_l2, fitted)
        found = error(fitted, moved)
        better = (determinant > 0) & (found < best) & ~flat
        best = torch.where(better, found, best)
        scale = torch.where(better, fitted, scale)
        chosen = torch.where(better, trial, chosen)
        start = torch.where(better, minimum, start)
        minimum = torch.where(better, moved, minimum)
    lay(chosen, start)
    codes.masked_fill_(flat, 0.0)
    return Affine(torch.where(flat, 0.0, scale), -minimum, codes)


def positive_search(x: Tensor, most: int, w: Tensor) -> Symmetric:
    """`make_qp_quants`: codes 0 … most for numbers that are not negative, such as scales; x ≈ scale · code."""
    high = x.amax(0).clamp(min=0.0)
    zero = high < ZERO
    safe = torch.where(zero, 1.0, high)

    def error(inverse_scale: Tensor, codes: Tensor) -> Tensor:
        difference = x - over(1, inverse_scale) * codes.float()
        return ordered_sum((w * difference).mul_(difference))

    chosen = over(most, safe)
    best = error(chosen, nearest(x * chosen).bitwise_and_(255))  # here, codes are bytes that nothing bounds
    for step in (-4, -3, -2, -1, 1, 2, 3, 4):
        trial = over(_f32(_f32(_f32(0.1) * step) + most), safe)
        found = error(trial, nearest(x * trial).clamp_(max=most))
        better = found < best
        best = torch.where(better, found, best)
        chosen = torch.where(better, trial, chosen)
    codes = nearest(x * chosen).clamp_(max=most).float()
    wx = w * x
    a, b = ordered_sum(wx * codes), ordered_sum((w * codes).mul_(codes))
    codes.remainder_(256)
    _sweep(x, w, wx, codes, a, b, None, most, lambda a_, b_: (a_ > 0) & (b_ > 0))
    scale = torch.where(b > 0, a / b, 0.0)
    return Symmetric(torch.where(zero, 0.0, scale), codes.masked_fill_(zero, 0.0))
