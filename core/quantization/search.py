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

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.quantization.exact import (
    NEAREST_AT_MOST,
    chosen,
    least,
    nearest,
    ordered_sum,
    over,
    signed_extreme,
)

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

    taken = over(-most, safe)
    a, b = sums(taken)
    scale = torch.where(b == 0, 0.0, a / b)
    best = scale * a
    for step in (*range(-9, 0), *range(1, 10)):
        trial = over(-_f32(most + _f32(_f32(0.1) * step)), safe)
        a, b = sums(trial)
        better = (b > 0) & (a * a > best * b)
        found = a / b
        scale = chosen(found, scale, better)
        best = chosen(found * a, best, better)
        taken = chosen(trial, taken, better)
    torch.mul(x, taken, out=codes).round_().clamp_(-most, most - 1).add_(most)
    return Symmetric(torch.where(zero, 0.0, scale), codes.masked_fill_(zero, 0.0))


def descent(x: Tensor, most: int) -> Symmetric:
    """`make_q3_quants`: codes from −most to most − 1, then one number after the other moved while that helps."""
    extreme = signed_extreme(x)
    zero = extreme.abs() < ZERO
    safe = torch.where(zero, 1.0, extreme)
    codes = (x * over(-most, safe)).round_().clamp_(-most, most - 1)
    a, b = _sweep(x, x * x, codes, (-most, most - 1), both_above=False)
    scale = torch.where(b > 0, a / b, 0.0)
    return Symmetric(torch.where(zero, 0.0, scale), codes.add_(most).masked_fill_(zero, 0.0))


def _sweep(
    x: Tensor, w: Tensor, codes: Tensor, bounds: tuple[int | None, int], both_above: bool
) -> tuple[Tensor, Tensor]:
    """Coordinate descent: up to 5 times over all places of a block, until nothing changes; codes in place.

    With the other codes kept, the best code for x is x · b' / a', whose sums leave x out. Blocks in which a
    whole round has changed nothing are left aside.

    Args:
        x: (n, B).
        w: (n, B).
        codes: (n, B).
        bounds: Of codes; without the lower one, codes are bytes.
        both_above: Whether b' must be above 0, too.

    Returns:
        The sums a and b at the end.
    """
    wx = w * x
    a, b = ordered_sum(wx * codes), ordered_sum((w * codes).mul_(codes))
    if bounds[0] is None:
        codes.remainder_(256)
    places: Tensor | None = None
    parts = (x, w, wx, codes, a, b)
    for _ in range(_SWEEPS):
        changed = _one_sweep(*parts, bounds, both_above)
        if places is not None:
            codes[:, places], a[places], b[places] = parts[3], parts[4], parts[5]
        going_on = changed.nonzero()[:, 0]
        if not len(going_on):
            break
        if len(going_on) < 0.7 * len(changed):
            places = going_on if places is None else places[going_on]
            parts = tuple(part.index_select(-1, going_on) for part in parts)  # type: ignore[assignment]
    return a, b


def _one_sweep(
    x: Tensor,
    w: Tensor,
    wx: Tensor,
    codes: Tensor,
    a: Tensor,
    b: Tensor,
    bounds: tuple[int | None, int],
    both_above: bool,
) -> Tensor:
    """One round over the places; codes, a and b in place. Which blocks have changed, (B)."""
    changed = torch.zeros(len(a), dtype=torch.bool)
    for x_i, w_i, wx_i, l_i in zip(x, w, wx, codes, strict=True):
        without_a = torch.sub(a, wx_i * l_i)
        without_b = torch.sub(b, (w_i * l_i).mul_(l_i))
        l_new = nearest((x_i * without_b).div_(without_a)).clamp_(*bounds).float()
        a_new = torch.add(without_a, wx_i * l_new)
        b_new = torch.add(without_b, (w_i * l_new).mul_(l_new))
        better = (a_new * a_new).mul_(b) > (a * a).mul_(b_new)
        better &= l_new != l_i
        better &= without_a > 0
        better &= without_b > 0 if both_above else b_new > 0
        l_i.copy_(chosen(l_new.remainder(256) if bounds[0] is None else l_new, l_i, better))
        a.copy_(chosen(a_new, a, better))
        b.copy_(chosen(b_new, b, better))
        changed |= better
    return changed


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
    high, low = x.amax(0), least(x)
    minimum = torch.where(low > 0, 0.0, low)
    flat = high <= minimum
    reach = torch.maximum(high.abs(), low.abs())
    zeros = torch.zeros_like(high)
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
    taken, start = over(grid.most, spread), minimum
    scale = over(1, taken)
    lay(taken, start)
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
        moved = chosen(zeros, moved, above)
        fitted = chosen(sum_xl / sum_l2, fitted, above)
        found = error(fitted, moved)
        better = (determinant > 0) & (found < best) & ~flat
        best = chosen(found, best, better)
        scale = chosen(fitted, scale, better)
        taken = chosen(trial, taken, better)
        start = chosen(minimum, start, better)
        minimum = chosen(moved, minimum, better)
    lay(taken, start)
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

    taken = over(most, safe)
    best = error(taken, nearest(x * taken).bitwise_and_(255))  # here, codes are bytes that nothing bounds
    for step in (-4, -3, -2, -1, 1, 2, 3, 4):
        trial = over(_f32(_f32(_f32(0.1) * step) + most), safe)
        found = error(trial, nearest(x * trial).clamp_(max=most))
        better = found < best
        best = torch.where(better, found, best)
        taken = torch.where(better, trial, taken)
    codes = nearest(x * taken).clamp_(max=most).float()
    a, b = _sweep(x, w, codes, (None, most), both_above=True)
    scale = torch.where(b > 0, a / b, 0.0)
    return Symmetric(torch.where(zero, 0.0, scale), codes.masked_fill_(zero, 0.0))
