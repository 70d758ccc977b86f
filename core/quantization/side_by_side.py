"""The same prompt in several models: what each writes, where the first token differs, and how sure each was.

Every model takes its most probable token. Beside its probability stands the one that the reference gives to
the same token after the same text, so that damage shows before a word changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from core.model.config import check_fits
from core.model.generation import Reader
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress


@dataclass(frozen=True, eq=False)
class Writer:
    """A model that writes: its name, and the text that it goes on from."""

    name: str
    model: Transformer
    ids: tuple[int, ...]


@dataclass(frozen=True)
class SideToken:
    """A model has written a token.

    Attributes:
        writer: The model's place.
        step: From 0.
        id: The token.
        probability: How probable the model held it.
        reference: How probable the reference holds it there.
        instead: The reference's own first choice there.
    """

    writer: int
    step: int
    id: int
    probability: float
    reference: float
    instead: int


@dataclass(frozen=True)
class SideText:
    """What a model wrote, and where it leaves the first one's text; None where it does not."""

    name: str
    tokens: tuple[SideToken, ...]
    differs_at: int | None


def write_side_by_side(
    reference: Transformer, writers: Sequence[Writer], tokens: int, stop: frozenset[int] = frozenset()
) -> Iterator[Progress | SideToken | Finished[tuple[SideText, ...]]]:
    """Let models write in turns, a token each.

    Args:
        reference: What probabilities are held against.
        writers: The models; the others' texts are compared with the first one's.
        tokens: New tokens at most.
        stop: Tokens that end a text; they are told, too.

    Raises:
        LabError: No token to go on from, a text that is too long, or another vocabulary.
    """
    if tokens < 1:
        raise LabError(f"{tokens} tokens were asked for.", "Ask for one or more.")
    for writer in writers:
        if not writer.ids:
            raise LabError("There is no token to go on from.", "Type at least one character.")
        for model in (reference, writer.model):
            check_fits(model.config, len(writer.ids) + tokens)
            if model.config.vocab_size <= max(writer.ids):
                raise LabError(
                    f"{writer.name} has other tokens than the reference.",
                    "Only models with the same tokenizer can be compared this way.",
                )
        if writer.model.config.vocab_size != reference.config.vocab_size:
            raise LabError(
                f"{writer.name} has {writer.model.config.vocab_size:,} tokens, the reference "
                f"{reference.config.vocab_size:,}.",
                "Only models with the same tokenizer can be compared this way.",
            )
    return _write(reference, tuple(writers), tokens, stop)


def _write(
    reference: Transformer, writers: tuple[Writer, ...], tokens: int, stop: frozenset[int]
) -> Iterator[Progress | SideToken | Finished[tuple[SideText, ...]]]:
    own = [Reader(writer.model) for writer in writers]
    true = [None if writer.model is reference else Reader(reference) for writer in writers]
    ids = [list(writer.ids) for writer in writers]
    written: list[list[SideToken]] = [[] for _ in writers]
    for step in range(tokens):
        for n in range(len(writers)):
            if written[n] and written[n][-1].id in stop:
                continue
            logits = yield from own[n].read(ids[n])
            beside = true[n]
            held = logits if beside is None else (yield from beside.read(ids[n]))
            with torch.inference_mode():
                token = int(logits.argmax())
                made = SideToken(
                    n, step, token, float(logits.softmax(-1)[token]), float(held.softmax(-1)[token]),
                    int(held.argmax()),
                )  # fmt: skip
            ids[n].append(token)
            written[n].append(made)
            yield made
    first = [token.id for token in written[0]] if written else []
    texts = tuple(
        SideText(writer.name, tuple(told), first_difference(first, [token.id for token in told]))
        for writer, told in zip(writers, written, strict=True)
    )
    changed = sum(text.differs_at is not None for text in texts)
    yield Finished(f"{changed} of {max(0, len(texts) - 1)} texts differ from the first.", texts)


def first_difference(first: Sequence[int], other: Sequence[int]) -> int | None:
    """The place where two texts part; None where they are the same.

    >>> first_difference([1, 2, 3], [1, 2, 4]), first_difference([1, 2], [1])
    (2, 1)
    """
    for place, (a, b) in enumerate(zip(first, other, strict=False)):
        if a != b:
            return place
    return None if len(first) == len(other) else min(len(first), len(other))
