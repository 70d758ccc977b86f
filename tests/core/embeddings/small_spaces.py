"""Small spaces of known geometry, for the tests of embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.embeddings.vectors import Numbers, Vectors


def cloud(n: int = 300, width: int = 12, seed: int = 1) -> Numbers:
    """Points that differ less and less from the first direction to the last, away from the origin."""
    draw = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(draw.standard_normal((width, width)))
    spread = 1.5 ** -np.arange(width)
    return ((draw.standard_normal((n, width)) * spread) @ turn.T + 3).astype(np.float32)


def named(values: Sequence[Sequence[float]] | Numbers, *names: str, tokens: bool = False) -> Vectors:
    """Vectors with names; `tokens` makes them the tokens of a table."""
    made = np.array(values, np.float32)
    called = names or tuple(f"word {at}" for at in range(len(made)))
    return Vectors("small", called, made, {}, tuple(range(len(made))) if tokens else None, "Made by hand.")


def kingdom() -> Vectors:
    """Two coordinates, royal and female: king − man + woman is queen exactly, before any length is taken."""
    return named(
        [[1, 0], [1, 1], [0, 0.5], [0, 1.5], [0.2, 0.4], [0.9, 0.2]],
        " king", " queen", " man", " woman", "ing", " duke", tokens=True,
    )  # fmt: skip
