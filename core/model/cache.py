"""Keys and values of the tokens that were read, so that the next token need not read them again."""

from __future__ import annotations

import torch
from torch import Tensor

from core.model.config import ModelConfig

_FIRST = 256  # tokens there is room for at first; then twice as many, and so on


class KVCache:
    """Grows as tokens come; one text.

    Attributes:
        length: Tokens in it. A pass adds its own at the end.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._layers = config.layers
        self._most = config.context
        self._shape = (config.kv_heads, config.head_width)
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []
        self.length = 0

    def make_room(self, tokens: int) -> None:
        """Make room for so many more tokens."""
        needed = self.length + tokens
        room = self._keys[0].shape[2] if self._keys else 0
        if needed <= room:
            return
        new = max(needed, min(2 * room, self._most), min(_FIRST, self._most))
        heads, d = self._shape
        for rows in (self._keys, self._values):
            rows.extend(torch.empty(1, heads, 0, d) for _ in range(self._layers - len(rows)))
            for n, old in enumerate(rows):
                rows[n] = torch.empty(1, heads, new, d)
                rows[n][:, :, : self.length] = old[:, :, : self.length]

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values, (1, K, T, d), behind those of one layer; return all, (1, K, S, d)."""
        end = self.length + k.shape[2]
        self._keys[layer][:, :, self.length : end] = k
        self._values[layer][:, :, self.length : end] = v
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def keep(self, length: int) -> None:
        """Forget all tokens but the first `length`."""
        self.length = min(self.length, length)
