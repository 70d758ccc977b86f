"""Two readings side by side: how far the pattern of every head lies from the other one's.

Each row of a pattern is a distribution, so the distance of two rows is their total variation, half the sum
of |a − b|: the share of the weight that lies elsewhere, from 0 to 1. A head's distance is the mean over its
rows, the first left out, which has only itself to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from core.interpret.inside import Inside
from core.problems import LabError
from core.stages import Finished, Progress

Weights = npt.NDArray[np.float32]
TOKENS_AT_MOST = 512  # whose patterns are compared in every head


def moved(first: Weights, second: Weights) -> Weights:
    """The share of the weight that lies elsewhere, row by row; shapes (n, n), (n,).

    >>> moved(np.array([[1, 0], [0.5, 0.5]]), np.array([[1, 0], [0.2, 0.8]])).round(2).tolist()
    [0.0, 0.3]
    """
    found: Weights = 0.5 * np.abs(first - second).sum(-1)
    return found


def compare_heads(first: Inside, second: Inside) -> Iterator[Progress | Finished[Weights]]:
    """How far apart every head's patterns are, shape (layers, H).

    Raises:
        LabError: The readings cannot be laid over each other, or they are too long.
    """
    a, b = first.model.config, second.model.config
    if first.tokens != second.tokens:
        raise LabError(
            f"The texts have {first.tokens:,} and {second.tokens:,} tokens.",
            "A difference needs as many in both: replace a word by one of as many tokens.",
        )
    if (a.layers, a.heads) != (b.layers, b.heads):
        raise LabError(
            f"The models have {a.layers} × {a.heads} and {b.layers} × {b.heads} heads.",
            "Look at them side by side.",
        )
    if first.tokens > TOKENS_AT_MOST:
        raise LabError(
            f"{first.tokens:,} tokens are too many to compare every head.",
            f"Take texts of at most {TOKENS_AT_MOST}.",
        )
    return _compare_heads(first, second)


def _compare_heads(first: Inside, second: Inside) -> Iterator[Progress | Finished[Weights]]:
    config, n = first.model.config, first.tokens
    found = np.zeros((config.layers, config.heads), dtype=np.float32)
    for layer in range(config.layers):
        patterns = [inside.pooled(layer, None, n).numpy() for inside in (first, second)]  # (H, n, n)
        rows = moved(patterns[0], patterns[1])  # (H, n)
        found[layer] = rows[:, 1:].mean(-1) if n > 1 else 0.0
        yield Progress("Comparing the heads", layer + 1, config.layers, "layers")
    yield Finished("", found)
