"""The searches of ggml-quants.c for the scale of a block, on all blocks at once.

Rounding to the grid that just covers a block is not the best one: a slightly finer or coarser grid can have a
smaller error. Each search tries some twenty and, for the codes that come out, takes the scale of least
squares. Weights say how much the error of each number counts. The functions of ggml-quants.c are named in the
docstrings. Codes come as float32 in the layout of `x`.

Letters: as in `exact.py`; l codes; a, b the sums Σ w·x·l and Σ w·l·l, so that a / b is the scale of least
squares and a² / b how much of the error it takes away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.quantization.exact import (
    NEAREST_AT_MOST,
    ZERO,
    F,
    Flags,
    Floats,
    as_mask,
    chosen,
    least,
    nearest,
    ordered_sum,
    picked,
    signed_extreme,
)

NOTHING = F(1e-15)  # a block whose largest number is below this holds zeros (GROUP_MAX_EPS)
_SWEEPS = 5
_WORTH_LEAVING = 0.7  # share of blocks that still change, below which the others are left aside


@dataclass(frozen=True, eq=False)
class Symmetric:
    """Codes around zero: x ≈ scale · (code − middle).

    Attributes:
        scale: (B); 0 for a block of zeros.
        codes: (n, B), from 0; 0 for a block of zeros, which is not its middle.
    """

    scale: Floats
    codes: Floats


def symmetric_search(x: Floats, most: int, w: Floats) -> Symmetric:
    """`make_qx_quants` with squared errors: codes from −most to most − 1, stored from 0.

    Args:
        x: (n, B).
        most: So many codes on the negative side.
        w: (n, B).
    """
    zero, safe = _safe_extreme(x)
    wx, codes, products = w * x, np.empty_like(x), np.empty_like(x)

    def lay(inverse_scale: Floats) -> None:
        np.multiply(x, inverse_scale, out=codes)
        np.rint(codes, out=codes)
        np.clip(codes, F(-most), F(most - 1), out=codes)

    def sums(inverse_scale: Floats) -> tuple[Floats, Floats]:
        lay(inverse_scale)
        a = ordered_sum(np.multiply(wx, codes, out=products))
        np.multiply(w, codes, out=products)
        return a, ordered_sum(np.multiply(products, codes, out=products))

    taken = F(-most) / safe
    a, b = sums(taken)
    scale = np.where(b == 0, ZERO, a / b)
    best = scale * a
    for step in (*range(-9, 0), *range(1, 10)):
        trial = -(F(most) + F(0.1) * F(step)) / safe
        a, b = sums(trial)
        better = (b > 0) & (a * a > best * b)
        found = a / b
        scale = chosen(found, scale, better)
        best = chosen(found * a, best, better)
        taken = chosen(trial, taken, better)
    lay(taken)
    codes += F(most)
    codes[:, zero] = 0
    return Symmetric(np.where(zero, ZERO, scale), codes)


def descent(x: Floats, most: int) -> Symmetric:
    """`make_q3_quants`: codes from −most to most − 1, then one after the other moved while that helps."""
    zero, safe = _safe_extreme(x)
    codes = x * (F(-most) / safe)
    np.rint(codes, out=codes)
    np.clip(codes, F(-most), F(most - 1), out=codes)
    a, b = _sweep(x, x * x, codes, (-most, most - 1), both_above=False)
    codes += F(most)
    codes[:, zero] = 0
    return Symmetric(np.where(zero | ~(b > 0), ZERO, a / b), codes)


def positive_search(x: Floats, most: int, w: Floats) -> Symmetric:
    """`make_qp_quants`: codes 0 … most for numbers that are not negative, as scales are; x ≈ scale · code."""
    high = np.maximum(x.max(axis=0), ZERO)
    zero = high < NOTHING
    safe = np.where(zero, F(1), high)

    def error(inverse_scale: Floats, codes: Floats) -> Floats:
        difference = x - (F(1) / inverse_scale) * codes
        return ordered_sum(w * difference * difference)

    taken = F(most) / safe
    best = error(taken, (nearest(x * taken) & 255).astype(F))  # here, codes are bytes that nothing bounds
    for step in (-4, -3, -2, -1, 1, 2, 3, 4):
        trial = (F(0.1) * F(step) + F(most)) / safe
        found = error(trial, np.minimum(nearest(x * trial), most).astype(F))
        better = found < best
        best = chosen(found, best, better)
        taken = chosen(trial, taken, better)
    codes = np.minimum(nearest(x * taken), most).astype(F)
    a, b = _sweep(x, w, codes, (None, most), both_above=True)
    codes[:, zero] = 0
    return Symmetric(np.where(zero | ~(b > 0), ZERO, a / b), codes)


def _safe_extreme(x: Floats) -> tuple[Flags, Floats]:
    """Which blocks hold zeros, and the number furthest from zero of each; 1 for those."""
    extreme = signed_extreme(x)
    zero = np.abs(extreme) < NOTHING
    return zero, np.where(zero, F(1), extreme)


def _sweep(
    x: Floats, w: Floats, codes: Floats, bounds: tuple[int | None, int], both_above: bool
) -> tuple[Floats, Floats]:
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
    a, b = ordered_sum(wx * codes), ordered_sum(w * codes * codes)
    if bounds[0] is None:
        np.remainder(codes, F(256), out=codes)
    places = None
    parts = (x, w, wx, codes, a, b)
    for _ in range(_SWEEPS):
        changed = _one_sweep(*parts, bounds, both_above)
        if places is not None:
            codes[:, places], a[places], b[places] = parts[3], parts[4], parts[5]
        going_on = np.flatnonzero(changed)
        if not len(going_on):
            break
        if len(going_on) < _WORTH_LEAVING * len(changed):
            places = going_on if places is None else places[going_on]
            parts = (
                x[:, places], w[:, places], wx[:, places], codes[:, places], a[places], b[places],
            )  # fmt: skip
    return a, b


def _one_sweep(
    x: Floats,
    w: Floats,
    wx: Floats,
    codes: Floats,
    a: Floats,
    b: Floats,
    bounds: tuple[int | None, int],
    both_above: bool,
) -> Flags:
    """One round over the places; codes, a and b in place. Which blocks have changed, (B)."""
    changed = np.zeros(len(a), dtype=np.bool_)
    low, high = bounds
    for x_i, w_i, wx_i, l_i in zip(x, w, wx, codes, strict=True):
        without_a = a - wx_i * l_i
        without_b = b - w_i * l_i * l_i
        l_new = _nearest_within(x_i * without_b / without_a, without_a, low, high)
        a_new = without_a + wx_i * l_new
        b_new = without_b + w_i * l_new * l_new
        better = a_new * a_new * b > a * a * b_new
        better &= l_new != l_i
        better &= without_a > 0
        better &= without_b > 0 if both_above else b_new > 0
        mask = as_mask(better)
        l_i[:] = picked(l_new if low is not None else np.remainder(l_new, F(256)), l_i, mask)
        a[:] = picked(a_new, a, mask)
        b[:] = picked(b_new, b, mask)
        changed |= better
    return changed


def _nearest_within(numbers: Floats, matters: Floats, low: int | None, high: int) -> Floats:
    """`nearest`, cut off at the bounds, as float32; it has to be right only where `matters` is above 0."""
    reach = np.abs(numbers)
    if not (reach <= NEAREST_AT_MOST).all() and (matters[~(reach <= NEAREST_AT_MOST)] > 0).any():
        made: Floats = np.clip(nearest(numbers), low, high).astype(F)
        return made
    np.rint(numbers, out=numbers)
    return np.clip(numbers, None if low is None else F(low), F(high), out=numbers)


@dataclass(frozen=True, eq=False)
class Affine:
    """Codes from a minimum upwards: x ≈ scale · code − minimum.

    Attributes:
        scale: (B); 0 where all numbers are equal.
        minimum: (B), not negative: what is subtracted.
        codes: (n, B).
    """

    scale: Floats
    minimum: Floats
    codes: Floats


@dataclass(frozen=True)
class Grid:
    """Which grids a search tries: (first + step · s + most) / range for s = 0 … steps."""

    most: int
    first: float
    step: float
    steps: int
    absolute: bool = False

    def factors(self) -> list[np.float32]:
        """The numerators, each rounded as C rounds them."""
        return [F(self.first) + F(self.step) * F(s) + F(self.most) for s in range(self.steps + 1)]


def affine_search(x: Floats, w: Floats, grid: Grid) -> Affine:
    """`make_qkx2_quants`, and `make_qkx3_quants`, which differs in nothing that can be seen here.

    A minimum found by least squares also moves the grids that are tried after it, since ggml uses one
    variable for both.
    """
    high, low = x.max(axis=0), least(x)
    minimum = np.where(low > 0, ZERO, low)
    flat = high <= minimum
    errors = _Errors(x, w, grid)
    taken, start = F(grid.most) / np.where(flat, F(1), high - minimum), minimum
    scale = F(1) / taken
    errors.lay(taken, start)
    best = errors.of(scale, start)
    for factor in grid.factors():
        trial = factor / np.where(flat, F(1), high - minimum)
        errors.lay(trial, minimum)
        fitted, moved, solved = errors.fit()
        found = errors.of(fitted, moved)
        better = solved & (found < best) & ~flat
        best = chosen(found, best, better)
        scale = chosen(fitted, scale, better)
        taken = chosen(trial, taken, better)
        start = chosen(minimum, start, better)
        minimum = chosen(moved, minimum, better)
    errors.lay(taken, start)
    errors.codes[:, flat] = 0
    return Affine(np.where(flat, ZERO, scale), -minimum, errors.codes)


class _Errors:
    """What the trials of `affine_search` share: the codes of the last one, and room to compute in."""

    def __init__(self, x: Floats, w: Floats, grid: Grid) -> None:
        self._x, self._w, self._grid = x, w, grid
        self._reach = np.maximum(np.abs(x.max(axis=0)), np.abs(x.min(axis=0)))
        self._sum_w, self._sum_x = ordered_sum(w), ordered_sum(w * x)
        self.codes, self._wl, self._scratch = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def lay(self, inverse_scale: Floats, start: Floats) -> None:
        """The codes for a grid."""
        np.subtract(self._x, start, out=self.codes)
        np.multiply(self.codes, inverse_scale, out=self.codes)
        if np.all(np.abs(inverse_scale) * (self._reach + np.abs(start)) <= NEAREST_AT_MOST):
            np.rint(self.codes, out=self.codes)
        else:
            self.codes[:] = nearest(self.codes)
        np.clip(self.codes, ZERO, F(self._grid.most), out=self.codes)

    def of(self, scale: Floats, start: Floats) -> Floats:
        """The weighted error of the codes with a scale and a minimum, (B)."""
        error = self._scratch
        np.multiply(self.codes, scale, out=error)
        np.add(error, start, out=error)
        np.subtract(error, self._x, out=error)
        (np.abs if self._grid.absolute else np.square)(error, out=error)
        return ordered_sum(np.multiply(error, self._w, out=error))

    def fit(self) -> tuple[Floats, Floats, Flags]:
        """Scale and minimum of least squares for the codes, (B) each, and where there is a solution."""
        wl, scratch = self._wl, self._scratch
        np.multiply(self._w, self.codes, out=wl)
        sum_l2 = ordered_sum(np.multiply(wl, self.codes, out=scratch))
        sum_xl = ordered_sum(np.multiply(wl, self._x, out=scratch))
        sum_l = ordered_sum(wl)
        determinant = self._sum_w * sum_l2 - sum_l * sum_l
        scale = (self._sum_w * sum_xl - self._sum_x * sum_l) / determinant
        minimum = (sum_l2 * self._sum_x - sum_l * sum_xl) / determinant
        above = minimum > 0
        minimum = chosen(np.zeros_like(minimum), minimum, above)
        return chosen(sum_xl / sum_l2, scale, above), minimum, determinant > 0
