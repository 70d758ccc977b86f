"""The tokens of a text as vectors: what a model holds of each of them after some of its blocks.

In a model's table a word has one vector, wherever it stands. Here every token of a text has its own, since
each block adds what the tokens before it have to say: "bank" by a river is not "bank" with a loan. The first
token is left out: models park there what they do not need, and one vector many times longer than all others
would be all that a picture shows.

L blocks (so L + 1 places: before the first and after each), W width, T tokens, the first left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.embeddings.neighbors import Origin
from core.embeddings.streams import Reference, reference, streams
from core.embeddings.vectors import Numbers, Vectors, named_token
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from core.model.transformer import Transformer

FEWEST, LONGEST = 4, 512  # tokens, the first among them
SHOWN = 2  # tokens before one that say which it is


@dataclass(frozen=True, eq=False)
class TextStreams:
    """A text that a model has read.

    Attributes:
        title: Of the model.
        text: The text.
        ids: Token ids, T of them.
        stream: Residual stream, shape (T, L + 1, W), float32.
        reference: What may be taken away, by layer.
        names: Of the tokens, with their spaces.
        kinds: What each token is, as in `Vectors.columns` of a table.
    """

    title: str
    text: str
    ids: tuple[int, ...]
    stream: Numbers
    reference: Reference
    names: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def layers(self) -> int:
        """L: blocks passed at the last place."""
        return int(self.stream.shape[1]) - 1


def text_streams(
    model: Transformer, tokenizer: Tokenizer, text: str, title: str, center: Reference | None = None
) -> Iterator[Progress | Finished[TextStreams]]:
    """Read a text and keep the residual stream of each of its tokens; one event a block.

    Args:
        model: Any.
        tokenizer: Its own.
        text: The text.
        title: What the model is called.
        center: The reference, where it is known already; None: it is read, too.

    Raises:
        LabError: The text has too few tokens, or too many.
    """
    ids = tokenizer.encode(text)
    longest = min(LONGEST, model.config.context)
    if len(ids) < FEWEST:
        raise LabError(f"The text is too short: {len(ids):,} of {FEWEST:,} tokens.", "Write some words more.")
    if len(ids) > longest:
        raise LabError(f"The text is too long: {len(ids):,} tokens.", f"Give at most {longest:,}.")
    return _text_streams(model, tokenizer, text, ids, title, center)


def _text_streams(
    model: Transformer, tokenizer: Tokenizer, text: str, ids: list[int], title: str, center: Reference | None
) -> Iterator[Progress | Finished[TextStreams]]:
    if center is None:
        center = yield from pass_on(reference(model, tokenizer))
    places = len(model.blocks) + 1
    stream = np.empty((len(ids) - 1, places, model.config.width), np.float32)
    for layer, values in enumerate(streams(model, ids)):
        stream[:, layer] = values[1:]
        yield Progress("Reading the text", layer + 1, places, "layers")
    names, kinds = zip(*(named_token(tokenizer, id_) for id_ in ids[1:]), strict=True)
    made = TextStreams(title, text, tuple(ids[1:]), stream, center, names, kinds)
    yield Finished(f"{len(ids):,} tokens are read.", made)


def at_layer(read: TextStreams, layer: int) -> tuple[Vectors, Origin]:
    """The tokens after so many blocks as named vectors, and where to measure from.

    Raises:
        LabError: There is no such layer.
    """
    if not 0 <= layer <= read.layers:
        raise LabError(f"There is no layer {layer:,}.", f"Choose 0 to {read.layers:,}.")
    said = f"{len(read.ids):,} tokens after {layer:,} of {read.layers:,} blocks, without the first token"
    columns = {
        "in the text": tuple(_before(read.names, n) for n in range(len(read.ids))),
        "kind": read.kinds,
        "place in the text": tuple(str(n) for n in range(2, len(read.ids) + 2)),
    }
    values = np.ascontiguousarray(read.stream[:, layer])
    vectors = Vectors(f"{read.title}, a text", read.names, values, columns, read.ids, said)
    return vectors, Origin(read.reference.mean[layer], f"{read.reference.said}, at layer {layer:,}")


def _before(names: Sequence[str], at: int) -> str:
    """A token with those before it: which of several equal ones it is.

    >>> _before([" up", " the", " muddy", " bank"], 3)
    'the muddy bank'
    """
    return "".join(names[max(0, at - SHOWN) : at + 1]).strip()
