"""The numbers inside a pass: those of one block and of what stands before and after all blocks.

A traced pass of the text; what one token's part of a tensor looks like is cut from it (`slab`). A causal
model computes the first tokens of a text alike whatever follows, so that a long text is read in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.model.anatomy import OUTSIDE
from core.model.config import check_fits
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress

TOKENS_AT_MOST = 256  # a block of SmolLM2 takes 13 MB at that length


@dataclass(frozen=True)
class Spread:
    """A tensor in four numbers; infinities (the mask) are left out and counted.

    Attributes:
        low, high: The least and the largest.
        mean: Of all.
        deviation: Standard deviation.
        infinite: How many are infinite or no numbers.
    """

    low: float
    high: float
    mean: float
    deviation: float
    infinite: int


class Values:
    """What a traced pass recorded of one block.

    Attributes:
        layer: Which block.
        tokens: How many tokens were read.
        spreads: By the part's name.
    """

    def __init__(self, layer: int, tokens: int, tensors: dict[str, Tensor]) -> None:
        self.layer, self.tokens = layer, tokens
        self._tensors = tensors
        self.spreads = {name: _spread(tensor) for name, tensor in tensors.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def slab(self, name: str, token: int) -> npt.NDArray[np.float32]:
        """Part of a tensor as a matrix: all tokens × its numbers; of a tensor by heads that of one token.

        Args:
            name: Of a part.
            token: Which token, where the tensor is by heads: heads × its numbers.
        """
        tensor = self._tensors[name]
        if name.endswith(".attn.z"):
            tensor = tensor[token]  # (H, d)
        elif tensor.ndim == 3:
            tensor = tensor[:, token]  # (H or K, d or T)
        elif tensor.ndim == 1:
            tensor = tensor[None]  # (1, V)
        made: npt.NDArray[np.float32] = tensor.numpy()
        return made

    def pairs(self, name: str, token: int, head: int) -> npt.NDArray[np.float32]:
        """The pairs of numbers that RoPE turns, of one token in one head: (d/2, 2)."""
        first, second = self._tensors[name][head, token].chunk(2)
        made: npt.NDArray[np.float32] = torch.stack((first, second), -1).numpy()
        return made


def read_values(model: Transformer, ids: Sequence[int], layer: int) -> Iterator[Progress | Finished[Values]]:
    """Trace a pass.

    Args:
        model: Which model.
        ids: The text; of a long one the first `TOKENS_AT_MOST` tokens.
        layer: Which block is recorded.

    Raises:
        LabError: The text is empty or too long, or there is no such block.
    """
    if not ids:
        raise LabError("There is no token to look at.", "Type at least one character.")
    check_fits(model.config, len(ids))
    if not 0 <= layer < model.config.layers:
        raise LabError(f"There is no block {layer}.", f"The blocks are 0 to {model.config.layers - 1}.")
    return _read(model, tuple(ids[:TOKENS_AT_MOST]), layer)


def _read(model: Transformer, ids: tuple[int, ...], layer: int) -> Iterator[Progress | Finished[Values]]:
    trace = Trace((f"blocks.{layer}.*", *OUTSIDE))
    with torch.inference_mode():
        x = model.embed_at(torch.tensor([ids]), trace=trace)
        rope = model.rope(0, len(ids))
    for n in range(model.config.layers):
        with torch.inference_mode():
            x = model.block(n)(x, rope, explicit=n == layer, trace=trace)
        yield Progress("Reading the text", n + 1, model.config.layers, "layers")
    with torch.inference_mode():
        normed = model.norm(x)[0]
        logits = model.head(x[:, -1:])[0]  # (1, V), of the last token: those of a long text are large
    tensors = {name: tensor[0] for name, tensor in trace.tensors.items() if not name.endswith(".attn.result")}
    tensors |= {
        "ln_final.normalized": normed, "logits": logits, "probabilities": logits[0].softmax(-1)
    }  # fmt: skip
    yield Finished(f"{len(ids):,} tokens are read.", Values(layer, len(ids), tensors))


def _spread(tensor: Tensor) -> Spread:
    finite = tensor[tensor.isfinite()].double()
    infinite = tensor.numel() - finite.numel()
    if not finite.numel():
        return Spread(0.0, 0.0, 0.0, 0.0, infinite)
    low, high = float(finite.min()), float(finite.max())
    return Spread(low, high, float(finite.mean()), float(finite.std(correction=0)), infinite)
