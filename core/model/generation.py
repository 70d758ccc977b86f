"""Text that a model writes, token by token, each with its probability.

A `Reader` keeps what was read (`KVCache`), so that going on, stepping back and taking another token by hand
read only what is new. `generate` is the stage that the window, the command line and the tests pull.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.model.cache import KVCache
from core.model.config import check_fits
from core.model.edits import NONE, Edits
from core.model.sampling import choose
from core.model.settings import GenerationSettings
from core.model.transformer import Transformer
from core.problems import LabError
from core.settings import check
from core.stages import Finished, Progress

_AT_ONCE = 256  # tokens of a prompt that are read between two events


@dataclass(frozen=True, eq=False)
class Wrote:
    """One token of the text.

    Attributes:
        step: Its number, from 1.
        id: The token.
        probability: How probable the model held it, before any filter and at temperature 1.
        chosen_from: How many tokens the filters had left.
        logits: All logits of this position, shape (V,), where they were asked for; else None.
    """

    step: int
    id: int
    probability: float
    chosen_from: int
    logits: Tensor | None


@dataclass(frozen=True)
class Written:
    """What a generation gave.

    Attributes:
        ids: The new tokens, without the one that ended the text.
        stopped_by: The token that ended it, or None.
    """

    ids: tuple[int, ...]
    stopped_by: int | None


class Reader:
    """A model and the text that it has read.

    Args:
        model: Which model; the exact or a fast one.
        edits: What is changed in every pass.
    """

    def __init__(self, model: Transformer, edits: Edits = NONE) -> None:
        self.model = model
        self._edits = edits
        self._cache = KVCache(model.config)
        self._ids: list[int] = []

    def read(self, ids: Sequence[int]) -> Generator[Progress, None, Tensor]:
        """Read a text and return the logits for its next token, shape (V,); what was read before is kept.

        Raises:
            LabError: The text is empty or longer than the model's context.
        """
        if not ids:
            raise LabError("There is no token to go on from.", "Type at least one character.")
        check_fits(self.model.config, len(ids))
        known = 0
        while known < min(len(self._ids), len(ids) - 1) and self._ids[known] == ids[known]:
            known += 1  # the last one is read again: its logits are what is asked for
        self._cache.keep(known)
        self._ids = self._ids[:known]
        logits = torch.empty(0)
        for begin in range(known, len(ids), _AT_ONCE):
            part = list(ids[begin : begin + _AT_ONCE])
            with torch.inference_mode():
                logits = self.model(torch.tensor([part]), cache=self._cache, last=1, edits=self._edits)[
                    0, -1
                ]  # (V,)
            self._ids += part
            if len(ids) - known > 1:
                yield Progress("Reading the text", begin - known + len(part), len(ids) - known, "tokens")
        return logits


def generate(
    reader: Reader,
    ids: Sequence[int],
    settings: GenerationSettings,
    stop: frozenset[int] = frozenset(),
    with_logits: bool = False,
) -> Iterator[Progress | Wrote | Finished[Written]]:
    """Go on from a text; one event for each new token.

    Args:
        reader: The model, with what it has read.
        ids: The text so far; taking a token by hand is putting it here.
        settings: Checked here.
        stop: Tokens that end the text.
        with_logits: Whether each event carries all logits of its position.

    Raises:
        LabError: A setting is outside its limits, or the text is empty, too long, or holds an unknown id.
    """
    check(settings)
    most = reader.model.config.vocab_size
    wrong = next((id_ for id_ in ids if not 0 <= id_ < most), None)
    if wrong is not None:
        raise LabError(f"The model has no token {wrong:,}.", f"Its ids go from 0 to {most - 1:,}.")
    return _generate(reader, list(ids), settings, stop, with_logits)


def _generate(
    reader: Reader, ids: list[int], settings: GenerationSettings, stop: frozenset[int], with_logits: bool
) -> Iterator[Progress | Wrote | Finished[Written]]:
    generator = torch.Generator().manual_seed(settings.seed)
    prompt = len(ids)
    context = reader.model.config.context
    for step in range(1, settings.max_tokens + 1):
        if len(ids) == context and step > 1:
            yield Finished(
                f"The model's context of {context:,} tokens is full.", Written(tuple(ids[prompt:]), None)
            )
            return
        logits = yield from reader.read(ids)
        with torch.inference_mode():
            choice = choose(logits, settings, ids)
            token = (
                int(choice.probabilities.argmax()) if settings.temperature == 0 else choice.draw(generator)
            )
            probability = float(logits.softmax(-1)[token])
        yield Wrote(step, token, probability, choice.kept, logits if with_logits else None)
        if token in stop:
            yield Finished("The model ended the text.", Written(tuple(ids[prompt:]), token))
            return
        ids.append(token)
    yield Finished(
        f"The text has its {settings.max_tokens:,} new tokens.", Written(tuple(ids[prompt:]), None)
    )
