"""Strengths of things that were compared: Bradley–Terry from wins, Plackett–Luce from whole rankings.

Both are maxima of a concave likelihood, found by Newton's method with Σθ = 0. They exist only where every
thing is beaten, over a chain of others, by every other one (L. R. Ford, 1957); `connected` says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.preferences.measures import Numbers

_STEPS = 200
_ENOUGH = 1e-11
_LONGEST = 2.0  # of a step: keeps Newton's method from jumping where the likelihood is flat

Pattern = tuple[tuple[int, ...], ...]
"""A ranking of things by their numbers, the best tier first; a thing may stand in it more than once."""


def connected(wins: Numbers) -> bool:
    """Whether every thing has beaten, over a chain of others, every other one.

    >>> connected(np.array([[0, 1.0], [0, 0]])), connected(np.array([[0, 3.0], [1, 0]]))
    (False, True)
    """
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for _ in range(len(wins).bit_length()):
        reach = (reach.astype(float) @ reach.astype(float)) > 0
    return bool(reach.all())


def bradley_terry(wins: Numbers, ridge: float = 0.0) -> Numbers:
    """θ with P(i ≻ j) = σ(θ_i − θ_j); `wins[i, j]` counts how often i beat j, a tie as half a win each.

    Args:
        ridge: Draws the strengths together (½·ridge·Σθ²), for wins that are not connected.

    >>> bradley_terry(np.array([[0, 7, 8], [3, 0, 6], [2, 4, 0.0]])).round(5).tolist()
    [0.74057, -0.1491, -0.59147]
    """
    games = wins + wins.T
    theta = np.zeros(len(wins))
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(np.clip(theta[None, :] - theta[:, None], -500, 500)))  # P(i beats j)
        gradient = wins.sum(1) - (games * chance).sum(1) - ridge * theta
        weight = games * chance * (1 - chance)
        hessian = np.diag(weight.sum(1) + ridge) - weight
        if (step := _newton(theta, gradient, hessian)) is None:
            break
        theta = step
    return theta


def plackett_luce(patterns: Sequence[Pattern], weights: Numbers, count: int, ridge: float = 0.0) -> Numbers:
    """Strengths s with P(y₁ ≻ … ≻ y_K) = Π_i e^{s_i} / Σ_{j ≥ i} e^{s_j}.

    Those in a tier are each taken to be chosen from that tier and all below (Breslow's rule for ties).

    Args:
        patterns: Different rankings of things 0 … count − 1.
        weights: How often each occurs.

    >>> order = [((0,), (1,), (2,)), ((1,), (0,), (2,)), ((0,), (2,), (1,))]
    >>> plackett_luce(order, np.array([2, 1, 1.0]), 3).round(4).tolist()
    [1.3635, -0.0976, -1.2659]
    """
    stages, chosen, of_pattern = _stages(patterns, count)
    times = weights[of_pattern]  # how often each stage occurs
    picked = (times[:, None] * chosen).sum(0)
    sizes = times * chosen.sum(1)
    s = np.zeros(count)
    for _ in range(_STEPS):
        power = stages * np.exp(s - s.max())  # (stages, count)
        share = power / power.sum(1, keepdims=True)
        gradient = picked - (sizes[:, None] * share).sum(0) - ridge * s
        spread = (sizes[:, None] * share).T @ share
        hessian = np.diag((sizes[:, None] * share).sum(0) + ridge) - spread
        if (step := _newton(s, gradient, hessian)) is None:
            break
        s = step
    return s


def _stages(patterns: Sequence[Pattern], count: int) -> tuple[Numbers, Numbers, np.ndarray]:
    """Every choice in every ranking: how often each thing could be chosen, and was."""
    could, was, owner = [], [], []
    for number, pattern in enumerate(patterns):
        left = np.zeros(count)
        for tier in pattern:
            for thing in tier:
                left[thing] += 1
        for tier in pattern[:-1]:
            taken = np.zeros(count)
            for thing in tier:
                taken[thing] += 1
            could.append(left.copy())
            was.append(taken)
            owner.append(number)
            left -= taken
    shape = (len(could), count)
    return np.array(could).reshape(shape), np.array(was).reshape(shape), np.array(owner, int)


def _newton(at: Numbers, gradient: Numbers, hessian: Numbers) -> Numbers | None:
    """The next point, with mean zero; None where the last step was small enough."""
    if np.abs(gradient).max(initial=0) < _ENOUGH * max(1.0, float(np.abs(hessian).max(initial=0))):
        return None
    step = np.linalg.lstsq(hessian + 1 / len(at), gradient, rcond=None)[0]
    longest = float(np.abs(step).max())
    if longest > _LONGEST:
        step *= _LONGEST / longest
    following = at + step
    return np.asarray(following - following.mean())
