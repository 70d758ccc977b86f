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
from core.model.rope import Rope, turn
from core.model.transformer import Transformer, allowed_places
from core.problems import LabError
from core.stages import Finished, Progress

KEPT_AT_MOST = 72 << 20  # bytes of residual streams, where that is room for all layers
KEPT_OF_LONG = 54 << 20  # bytes, where it is not
_AT_ONCE = 1024  # tokens that go through a block together
_TILE = 2 << 20  # bytes of weights that are made at once
_ROWS = 8  # of a pattern that are made at once, at least
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
        size = 4 * len(ids) * model.config.width * model.config.layers  # bytes of all streams
        self._stride = 1 if size <= KEPT_AT_MOST else math.ceil(size / KEPT_OF_LONG)
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
            self._last = None  # one stream less while blocks run
            rope = self.model.rope(0, self.tokens)
            with torch.inference_mode():
                for n in range(begin, layer):
                    x = self.run(n, x, rope)
            self._last = (layer, x)
            return x

    def run(self, layer: int, x: Tensor, rope: Rope | None) -> Tensor:
        """The residual stream, (1, T, W), after a block; through which a long text goes in pieces."""
        block = self.model.block(layer)
        made: Tensor = block(x, rope) if self.tokens <= _AT_ONCE else block.read_long(x, rope)
        return made

    def head(self, layer: int, head: int) -> HeadVectors:
        """What one head makes of every token."""
        block, x, rope = self.model.block(layer), self.stream(layer), self.model.rope(0, self.tokens)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        with torch.inference_mode():
            for part in torch.split(x, _AT_ONCE, dim=1):
                q, k, v = block.attn.heads(block.norm_1(part))
                group = head // (q.shape[1] // k.shape[1])
                found.append((q[0, head].clone(), k[0, group].clone(), v[0, group].clone()))
            q, k, v = (torch.cat(parts) for parts in zip(*found, strict=True))  # (T, d)
            return HeadVectors(q, k, v, *((q, k) if rope is None else (turn(q, rope), turn(k, rope))))

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
        weights = torch.zeros(self.tokens, self.tokens)
        for begin, tile in self.tiles(layer, head):
            weights[begin : begin + tile.shape[1], : tile.shape[2]] = tile[0]
        return weights

    def row(self, layer: int, head: int, token: int) -> Tensor:
        """The weights of one token, shape (T,)."""
        weights = torch.zeros(self.tokens)
        weights[: token + 1] = self.weights_of(layer, token)[head]
        return weights

    def weights_of(self, layer: int, token: int) -> Tensor:
        """The weights of one token in all heads, on itself and those before it: shape (H, token + 1)."""
        with torch.inference_mode():
            return self._look(layer, token)[0].flatten(0, 1)

    def pooled(self, layer: int, head: int | None, size: int) -> Tensor:
        """Patterns of at most size × size cells, each the largest weight in it: shape (heads, n, n)."""
        heads = self.model.config.heads if head is None else 1
        made = Pooled(heads, self.tokens, size)
        for begin, tile in self.tiles(layer, head):
            made.add(begin, tile)
        return made.cells

    def tiles(self, layer: int, head: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """The patterns of one head, or of all, in tiles of rows.

        Yields:
            First row, and weights of shape (heads, rows, S), S up to and with the last of these rows; the
            columns behind are 0. A tile is written over when the next one is asked for.
        """
        block, x, rope = self.model.block(layer), self.stream(layer), self.model.rope(0, self.tokens)
        config = self.model.config
        groups = config.heads // config.kv_heads
        chosen = slice(None) if head is None else slice(head, head + 1)
        heads = config.heads if head is None else 1
        step = min(self.tokens, max(_ROWS, _TILE // (4 * heads * self.tokens)))
        with torch.inference_mode():
            keys = block.keys_and_values(x, rope)[0][0]  # (K, T, d)
            if head is not None:
                keys = keys[head // groups][None].clone()
            room = torch.empty(2, heads * step * self.tokens)
        for begin in range(0, self.tokens, step):
            end = min(begin + step, self.tokens)
            with torch.inference_mode():
                q = block.queries(x[:, begin:end], rope, begin)[0, chosen] / math.sqrt(keys.shape[-1])
                yield begin, _softmax_of(q, keys[:, :end], begin, room)

    def z(self, layer: int, position: int) -> Tensor:
        """The weighted sums of values of all heads at one position, shape (H, d)."""
        with torch.inference_mode():
            weights, v = self._look(layer, position)
            return (weights @ v).flatten(0, 1)

    def logits(self, positions: slice = slice(None)) -> Tensor:
        """Logits at some positions, shape (n, V)."""
        with torch.inference_mode():
            return self.model.head(self.final[positions][None])[0]

    def heads(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, (1, H, T, d), keys and values, each (1, K, T, d), of one layer, not yet turned."""
        block = self.model.block(layer)
        return block.attn.heads(block.norm_1(self.stream(layer)))

    def _look(self, layer: int, token: int) -> tuple[Tensor, Tensor]:
        """The weights of one token, (K, H/K, token + 1), and the values they are of, (K, token + 1, d)."""
        block, x = self.model.block(layer), self.stream(layer)[:, : token + 1]
        rope = self.model.rope(0, token + 1)
        keys, values = block.keys_and_values(x, rope)
        query = block.queries(x[:, token:], rope, token)  # (1, H, 1, d)
        query = query.reshape(keys.shape[1], -1, keys.shape[-1])  # (K, H/K, d)
        scores = query @ keys[0].transpose(-1, -2) / math.sqrt(keys.shape[-1])
        return scores.softmax(-1), values[0]


def _softmax_of(q: Tensor, keys: Tensor, begin: int, room: Tensor) -> Tensor:
    """Weights of some rows, (heads, rows, S), from scaled queries, (heads, rows, d), and keys, (K, S, d).

    Args:
        q: Queries; the first stands at `begin`.
        keys: Up to and with the last row.
        begin: See q.
        room: Where scores and weights are written, (2, numbers).
    """
    heads, rows, d = q.shape
    S = keys.shape[1]
    scores, weights = room[:, : heads * rows * S].view(2, heads, rows, S)
    shared = scores.view(len(keys), -1, S)  # (K, heads/K · rows, S)
    torch.bmm(q.reshape(len(keys), -1, d), keys.transpose(1, 2), out=shared)
    scores[:, :, begin:].masked_fill_(~allowed_places(rows, rows), -math.inf)
    return torch.softmax(scores, -1, out=weights)


class Pooled:
    """Patterns made small: at most size × size cells, each the largest weight in it.

    A cell covers what torch's adaptive pooling lets it cover: where the tokens do not divide evenly, a row or
    column at a border belongs to both sides.

    Args:
        heads: How many patterns.
        tokens: Rows and columns of each.
        size: Cells in a row, at most.

    Attributes:
        cells: Shape (heads, n, n).
    """

    def __init__(self, heads: int, tokens: int, size: int) -> None:
        self._tokens, self._size = tokens, min(size, tokens)
        self.cells = torch.zeros(heads, self._size, self._size)

    def add(self, begin: int, tile: Tensor) -> None:
        """Take some rows, (heads, rows, S), the first at `begin`; what is behind their S columns is 0."""
        T, size = self._tokens, self._size
        with torch.inference_mode():
            tile = F.pad(tile, (0, T - tile.shape[2]))
            if size < T:
                tile = F.adaptive_max_pool2d(tile, (tile.shape[1], size))
            row = torch.arange(begin, begin + tile.shape[1])
            for cell in (row * size // T, ((row + 1) * size - 1) // T):  # two at a border
                at = cell[None, :, None].expand_as(tile)
                self.cells.scatter_reduce_(1, at, tile, "amax")


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
    for n in range(len(model.blocks)):
        inside.keep(n, x)
        with torch.inference_mode():
            x = inside.run(n, x, rope)
        yield Progress("Reading the text", n + 1, len(model.blocks), "layers")
    inside.final = x[0]
    yield Finished(f"{len(ids):,} tokens are read.", inside)
