"""A text as the Attention lab reads it: its tokens, the residual stream, and every head measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from core.interpret.heads import LayerMeasured, measure_heads
from core.interpret.inside import Inside, look_inside
from core.model.shelf import LoadedModel
from core.problems import LabError
from core.stages import Finished, Progress

Weights = npt.NDArray[np.float32]
SIZE = 512  # cells of a picture of weights, at most


@dataclass(frozen=True, eq=False)
class TextRead:
    """The tokens of the text, and the stream.

    Attributes:
        inside: What can be asked.
        tokens: The bytes of each token.
    """

    inside: Inside
    tokens: tuple[bytes, ...]


@dataclass(frozen=True, eq=False)
class HeadSeen:
    """One head's pattern, or its picture where the text is long.

    Attributes:
        layer: Which layer.
        head: Which head of it.
        weights: Shape (n, n), n the number of tokens; or `SIZE`, and each cell is the largest weight in it.
    """

    layer: int
    head: int
    weights: Weights


@dataclass(frozen=True)
class PairSeen:
    """One pair of tokens in one head, number by number.

    Attributes:
        product: q · k.
        root: √d.
        score: Their quotient.
        among: How many tokens the softmax is over.
        weight: The attention weight.
        row: All weights of the token that looks.
    """

    product: float
    root: float
    score: float
    among: int
    weight: float
    row: tuple[float, ...]


def read_text(
    loaded: LoadedModel, text: str
) -> Iterator[Progress | TextRead | LayerMeasured | Finished[None]]:
    """Read a text and measure its heads.

    Raises:
        LabError: The text is empty or too long, or the model has no tokenizer.
    """
    tokenizer = loaded.needed_tokenizer()
    ids = tokenizer.encode(text, special="all")
    return _read_text(
        look_inside(loaded.model, ids, loaded.lock), tuple(tokenizer.token_bytes(i) for i in ids)
    )


def _read_text(
    looking: Iterator[Progress | Finished[Inside]], tokens: tuple[bytes, ...]
) -> Iterator[Progress | TextRead | LayerMeasured | Finished[None]]:
    inside: Inside | None = None
    for event in looking:
        if isinstance(event, Finished):
            inside = event.result
        else:
            yield event
    if inside is None:
        raise LabError("The text was not read.", "Try again.")
    yield TextRead(inside, tokens)
    yield from measure_heads(inside)


def read_only(loaded: LoadedModel, text: str) -> Iterator[Progress | Finished[TextRead]]:
    """Read a text without measuring its heads.

    Raises:
        LabError: The text is empty or too long, or the model has no tokenizer.
    """
    tokenizer = loaded.needed_tokenizer()
    ids = tokenizer.encode(text, special="all")
    return _read_only(
        look_inside(loaded.model, ids, loaded.lock), tuple(tokenizer.token_bytes(i) for i in ids)
    )


def _read_only(
    looking: Iterator[Progress | Finished[Inside]], tokens: tuple[bytes, ...]
) -> Iterator[Progress | Finished[TextRead]]:
    for event in looking:
        yield Finished(event.reason, TextRead(event.result, tokens)) if isinstance(event, Finished) else event


def see_head(inside: Inside, layer: int, head: int) -> Iterator[Finished[HeadSeen]]:
    """The pattern of one head."""
    weights = inside.pooled(layer, head, SIZE)[0]
    yield Finished("", HeadSeen(layer, head, weights.numpy()))


def see_pair(inside: Inside, layer: int, head: int, row: int, column: int) -> PairSeen:
    """What one token's look at another is made of; `row` looks at `column`."""
    vectors = inside.head(layer, head)
    root = math.sqrt(vectors.query.shape[-1])
    with torch.inference_mode():
        products = vectors.turned_key @ vectors.turned_query[row]  # (T,)
        weights = (products[: row + 1] / root).softmax(-1).tolist()  # what comes after it is masked
    product, weight = float(products[column]), weights[column] if column <= row else 0.0
    return PairSeen(product, root, product / root, row + 1, weight, tuple(weights))


def look_between(inside: Inside, row: int, column: int) -> Iterator[Progress | Finished[Weights]]:
    """How much every head looks from one token at another: shape (layers, H)."""
    config = inside.model.config
    found = np.zeros((config.layers, config.heads), dtype=np.float32)
    for layer in range(config.layers):
        found[layer] = inside.weights_of(layer, row)[:, column].numpy() if column <= row else 0.0
        yield Progress("Looking through the heads", layer + 1, config.layers, "layers")
    yield Finished("", found)
