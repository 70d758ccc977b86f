"""What a model holds of each token, block by block: the residual stream; and its mean, to measure from.

Streams of all tokens share a large common part, so that their cosines are all near 1. They are therefore also
given less the mean of a fixed set of other sentences, at the same layer: the reference.

L blocks (so L + 1 places: before the first and after each), W width, T tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from core.embeddings.vectors import Numbers
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from core.model.transformer import Transformer


@dataclass(frozen=True, eq=False)
class Reference:
    """The mean residual stream of other sentences, by layer.

    Attributes:
        mean: Shape (L + 1, W), float32.
        tokens: Over so many tokens; the first of each sentence is left out, since models park there.
        said: What it is, for a sentence on screen.
    """

    mean: Numbers
    tokens: int
    said: str


def load_reference() -> tuple[str, ...]:
    """The fixed set of other sentences.

    >>> len(load_reference())
    20
    """
    text = files("resources").joinpath("embeddings", "senses.json").read_bytes().decode("utf-8")
    return tuple(json.loads(text)["reference"])


def streams(model: Transformer, ids: Sequence[int]) -> Iterator[Numbers]:
    """The residual stream of a text before the first block and after each, (T, W)."""
    import torch

    with torch.inference_mode():
        x = model.embed_at(torch.tensor([list(ids)]))  # (1, T, W)
        rope = model.rope(0, len(ids))
    for n in range(len(model.blocks) + 1):
        yield x[0].numpy()
        if n < len(model.blocks):
            with torch.inference_mode():
                x = model.block(n)(x, rope)


def reference(
    model: Transformer, tokenizer: Tokenizer, sentences: Sequence[str] | None = None
) -> Iterator[Progress | Finished[Reference]]:
    """The mean residual stream of other sentences at each layer.

    Args:
        model: Any.
        tokenizer: Its own.
        sentences: None: the fixed set that ships.

    Raises:
        LabError: They have no token but their first ones.
    """
    chosen = tuple(load_reference() if sentences is None else sentences)
    encoded = [tokenizer.encode(text)[: model.config.context] for text in chosen]
    if sum(max(0, len(ids) - 1) for ids in encoded) == 0:
        raise LabError("The reference holds no text.", "Give some sentences.")
    said = "that ship" if sentences is None else "of your own"
    return _reference(model, encoded, f"the mean of {len(chosen):,} other sentences {said}")


def _reference(
    model: Transformer, encoded: list[list[int]], said: str
) -> Iterator[Progress | Finished[Reference]]:
    sums = np.zeros((len(model.blocks) + 1, model.config.width))
    tokens = 0
    for n, ids in enumerate(encoded, 1):
        if len(ids) > 1:
            for layer, values in enumerate(streams(model, ids)):
                sums[layer] += values[1:].sum(axis=0, dtype=np.float64)
            tokens += len(ids) - 1
        yield Progress("Reading the reference", n, len(encoded), "sentences")
    mean = (sums / tokens).astype(np.float32)
    yield Finished(f"{tokens:,} tokens are read.", Reference(mean, tokens, f"{said}, {tokens:,} tokens"))
