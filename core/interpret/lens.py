"""The logit lens: what the model would say if it stopped after each block.

The residual stream of every layer is given to the final norm and the head, as if it were the last
(nostalgebraist, "interpreting GPT: the logit lens", 2020). Early layers were never trained to be read so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.interpret.inside import Inside
from core.model.sampling import most_probable
from core.stages import Finished, Progress

_AT_ONCE = 128  # positions whose logits are made at once: 25 MB at a vocabulary of 49,152


@dataclass(frozen=True, eq=False)
class LensRow:
    """One layer.

    Attributes:
        layer: How many blocks the stream has passed: 0 is the embedding.
        tokens: The most probable token at each position, shape (T,).
        probabilities: Its probability, shape (T,).
        of_final: Probability here of what the model says in the end, shape (T,).
    """

    layer: int
    tokens: Tensor
    probabilities: Tensor
    of_final: Tensor


def logit_lens(inside: Inside) -> Iterator[LensRow | Progress | Finished[None]]:
    """One row for each layer, from the last to the embedding: what is certain first."""
    layers = len(inside.model.blocks)
    said = torch.empty(0, dtype=torch.long)
    for layer in range(layers, -1, -1):
        stream = _stream(inside, layer)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for begin in range(0, inside.tokens, _AT_ONCE):
            with torch.inference_mode():
                logits = inside.model.head(stream[None, begin : begin + _AT_ONCE])[0]  # (n, V)
                probabilities = logits.softmax(-1)
                best = probabilities.max(-1)
                final = best.indices if layer == layers else said[begin : begin + _AT_ONCE]
                parts.append((best.indices, best.values, probabilities.gather(1, final[:, None])[:, 0]))
            yield Progress("Reading the layers", layers - layer, layers + 1, "layers")
        tokens, values, of_final = (torch.cat(column) for column in zip(*parts, strict=True))
        said = tokens if layer == layers else said
        yield LensRow(layer, tokens, values, of_final)
    yield Finished(f"{layers + 1:,} layers are read.", None)


def lens_cell(inside: Inside, layer: int, position: int, count: int) -> list[tuple[int, float]]:
    """The most probable tokens at one place: ids with their probabilities."""
    with torch.inference_mode():
        logits = inside.model.head(_stream(inside, layer)[None, position : position + 1])[0, 0]  # (V,)
    return most_probable(logits, count)


def _stream(inside: Inside, layer: int) -> Tensor:
    """The residual stream after so many blocks, (T, W)."""
    return inside.final if layer == len(inside.model.blocks) else inside.stream(layer)[0]
