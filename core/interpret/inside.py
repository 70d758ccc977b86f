"""A text inside a model: the residual stream is kept, and what is asked for is computed from it.

Patterns are never kept: at 8,192 tokens one head's weights are 268 MB. A pattern is made from the residual
stream when it is looked at, in tiles of rows. Where even the stream of every layer would be large, that of
some layers is kept and those between are run again.

B texts (1 here), T tokens, W width, H heads, K key/value heads, d head width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.model.config import check_fits
from core.model.rope import turn
from core.model.transformer import Transformer, allowed_places
from core.problems import LabError
from core.stages import Finished, Progress

KEPT_AT_MOST = 96 << 20  # bytes of residual streams
_TILE = 4 << 20  # bytes of weights that are made at once
_ROWS = 48  # of a pattern that are made at once, at least
_PATTERN_AT_MOST = 512 << 20  # bytes of one pattern


@dataclass(frozen=True, eq=False)
class HeadVectors:
    """Queries, keys and values of one head, each (T, d).

    Attributes:
        query: As the projection gives them, normed where the model does that.
        key: Alike.
        value: Alike.
        turned_query: After RoPE; the same where the model has none.
        turned_key: Alike.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    turned_query: Tensor
    turned_key: Tensor


class Inside:
    """A text that a model has read. Made by `look_inside`.

    Attributes:
        model: The model.
        ids: The text.
        final: The residual stream after the last block, shape (T, W).
    """

    def __init__(
        self, model: Transformer, ids: Sequence[int], lock: AbstractContextManager[object] | None = None
    ) -> None:
        self.model = model
        self._lock = lock or nullcontext()
        self.ids = tuple(ids)
        size = 4 * len(ids) * model.config.width
        self._stride = max(1, math.ceil(model.config.layers * size / KEPT_AT_MOST))
        self._kept: dict[int, Tensor] = {}
        self._last: tuple[int, Tensor] | None = None  # the stream that was made last, and its layer
        self.final = torch.empty(0)

    @property
    def tokens(self) -> int:
        """How many tokens the text has."""
        return len(self.ids)

    def keep(self, layer: int, stream: Tensor) -> None:
        """Keep the stream before a layer if that layer is one of those kept."""
        if layer % self._stride == 0:
            self._kept[layer] = stream

    def stream(self, layer: int) -> Tensor:
        """The residual stream before a block, shape (1, T, W)."""
        with self._lock:  # several may ask at once: the blocks between are run once
            begin, x = layer - layer % self._stride, None
            if self._last is not None and begin <= self._last[0] <= layer:
                begin, x = self._last
            x = self._kept[begin] if x is None else x
            rope = self.model.rope(0, self.tokens)
            with torch.inference_mode():
                for n in range(begin, layer):
                    x = self.model.blocks[n](x, rope)
            self._last = (layer, x)
            return x

    def head(self, layer: int, head: int) -> HeadVectors:
        """What one head makes of every token."""
        with torch.inference_mode():
            q, k, v = self.heads(layer)
            group = head // (q.shape[1] // k.shape[1])
            turned_q, turned_k = self._turned(q, k)
            return HeadVectors(q[0, head], k[0, group], v[0, group], turned_q[0, head], turned_k[0, group])

    def pattern(self, layer: int, head: int) -> Tensor:
        """The attention weights of one head, shape (T, T): row by row what a token looks at.

        Raises:
            LabError: The matrix would not fit into memory; `pooled` makes a picture of it.
        """
        if 4 * self.tokens**2 > _PATTERN_AT_MOST:
            raise LabError(
                f"{self.tokens:,} × {self.tokens:,} weights are {4 * self.tokens**2 / 1e6:,.0f} MB.",
                "Look at a part of the text, or at the picture.",
            )
        return torch.cat([tile[0] for _, tile in self.tiles(layer, head)])

    def row(self, layer: int, head: int, token: int) -> Tensor:
        """The weights of one token, shape (T,)."""
        weights = torch.zeros(self.tokens)
        weights[: token + 1] = self.weights_of(layer, token)[head]
        return weights

    def weights_of(self, layer: int, token: int) -> Tensor:
        """The weights of one token in all heads, on itself and those before it: shape (H, token + 1)."""
        with torch.inference_mode():
            q, k, _ = self.heads(layer)
            return self._weights(q, k, token).flatten(0, 1)

    def pooled(self, layer: int, head: int | None, size: int) -> Tensor:
        """Patterns of at most size × size cells, each the largest weight in it: shape (heads, n, n)."""
        rows = [pool_columns(tile, size) for _, tile in self.tiles(layer, head)]
        return pool_rows(torch.cat(rows, dim=1), size)

    def tiles(self, layer: int, head: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """The patterns of one head, or of all, in tiles: first row, and weights of shape (heads, rows, T)."""
        with torch.inference_mode():
            q, k, _ = self.heads(layer)
            q, k = self._turned(q, k)
            k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
            if head is not None:
                q, k = q[:, head : head + 1], k[:, head : head + 1]
            heads = q.shape[1]
            step = max(_ROWS, _TILE // (4 * heads * self.tokens))
        for begin in range(0, self.tokens, step):
            end = min(begin + step, self.tokens)
            with torch.inference_mode():
                scores = q[0, :, begin:end] @ k[0].transpose(-1, -2)  # (heads, rows, T)
                scores /= math.sqrt(q.shape[-1])
                forbidden = ~allowed_places(end - begin, end)
                scores[:, :, :end].masked_fill_(forbidden, -math.inf)
                scores[:, :, end:] = -math.inf
                weights = scores.softmax(-1)
            yield begin, weights

    def z(self, layer: int, position: int) -> Tensor:
        """The weighted sums of values of all heads at one position, shape (H, d)."""
        with torch.inference_mode():
            q, k, v = self.heads(layer)
            return (self._weights(q, k, position) @ v[0, :, : position + 1]).flatten(0, 1)

    def logits(self, positions: slice = slice(None)) -> Tensor:
        """Logits at some positions, shape (n, V)."""
        with torch.inference_mode():
            return self.model.head(self.final[positions][None])[0]

    def heads(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, (1, H, T, d), keys and values, each (1, K, T, d), of one layer, not yet turned."""
        block = self.model.block(layer)
        return block.attn.heads(block.norm_1(self.stream(layer)))

    def _turned(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys after RoPE; unchanged where the model has none."""
        rope = self.model.rope(0, self.tokens)
        return (q, k) if rope is None else (turn(q, rope), turn(k, rope))

    def _weights(self, q: Tensor, k: Tensor, token: int) -> Tensor:
        """The weights of one token, by group of heads that share keys: (K, H/K, token + 1)."""
        q, k = self._turned(q, k)
        query = q[0, :, token].view(k.shape[1], -1, q.shape[-1])  # (K, H/K, d)
        keys = k[0, :, : token + 1]  # (K, S, d)
        return (query @ keys.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)


def pool_columns(tile: Tensor, size: int) -> Tensor:
    """Rows of patterns, (heads, rows, T), in at most `size` columns, each the largest of what it covers."""
    return tile if tile.shape[2] <= size else F.adaptive_max_pool2d(tile, (tile.shape[1], size))


def pool_rows(weights: Tensor, size: int) -> Tensor:
    """The same for rows, when all of them are there: (heads, T, n)."""
    return weights if weights.shape[1] <= size else F.adaptive_max_pool2d(weights, (size, weights.shape[2]))


def look_inside(
    model: Transformer, ids: Sequence[int], lock: AbstractContextManager[object] | None = None
) -> Iterator[Progress | Finished[Inside]]:
    """Read a text and keep its residual stream; one event for each block.

    Args:
        model: Which model.
        ids: The text.
        lock: Held while blocks are run again later on.

    Raises:
        LabError: The text is empty or longer than the model's context.
    """
    if not ids:
        raise LabError("There is no token to look at.", "Type at least one character.")
    check_fits(model.config, len(ids))
    return _look_inside(model, Inside(model, ids, lock))


def _look_inside(model: Transformer, inside: Inside) -> Iterator[Progress | Finished[Inside]]:
    ids = inside.ids
    with torch.inference_mode():
        x = model.embed_at(torch.tensor([ids]))  # (1, T, W)
        rope = model.rope(0, len(ids))
    for n, block in enumerate(model.blocks):
        inside.keep(n, x)
        with torch.inference_mode():
            x = block(x, rope)
        yield Progress("Reading the text", n + 1, len(model.blocks), "layers")
    inside.final = x[0]
    yield Finished(f"{len(ids):,} tokens are read.", inside)
