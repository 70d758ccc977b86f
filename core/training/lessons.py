"""What a run learns from, and how its loss is made: the part of the loop that differs from run to run.

A lesson gives the model that a run begins with, the parts of each step's batch, and the loss of a part; the
loop around it (`loop.py`, `trainer.py`) is the same for all. Here is the one of pretraining; those of
fine-tuning are in `answer_lessons.py`.

B sequences of a batch, T tokens of the context, V vocabulary.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.model.config import ModelConfig
from core.model.edits import NONE, Edits
from core.model.export import write_model
from core.model.initial import new_model
from core.model.transformer import Transformer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training import processes
from core.training.batches import Batches, validation_batches
from core.training.objectives import cross_entropy
from core.training.settings import TrainingSettings
from core.training.tokens import SEPARATOR, Tokens, check_unchanged

Weighed = tuple[Any, float]
"""A part of a batch and what it weighs in the batch's loss: sequences, tokens or pairs."""

Measures = Mapping[str, tuple[float, float]]
"""Of each name a sum and a count; their quotient is the measure."""


def added(several: Iterable[Measures]) -> dict[str, float]:
    """Measures of several parts as one number each.

    >>> added([{"entropy": (2.0, 1.0)}, {"entropy": (2.0, 3.0)}])
    {'entropy': 1.0}
    """
    totals: dict[str, tuple[float, float]] = {}
    for measures in several:
        for name, (value, count) in measures.items():
            before = totals.get(name, (0.0, 0.0))
            totals[name] = (before[0] + value, before[1] + count)
    return {name: value / count if count else 0.0 for name, (value, count) in totals.items()}


@dataclass(frozen=True)
class LessonFacts:
    """What is known of a lesson before it begins.

    Attributes:
        identity: Of what is learned from: a run goes on only with the same.
        tokens: Tokens to learn from.
        validation: Tokens never trained on.
        chance_loss: Loss of a model that knows nothing.
        unigram_loss: Loss of one that knows only how frequent each token is; not a number where that says
            nothing.
        floor_loss: What no model can be expected to stay below, or None.
        step_tokens: Tokens that a step learns from, on average.
    """

    identity: str
    tokens: int
    validation: int
    chance_loss: float
    unigram_loss: float
    floor_loss: float | None
    step_tokens: int


class Lesson(ABC):
    """What a run learns from.

    Attributes:
        config: Shape of the model.
        tokenizer: Of its text.
        facts: What is known beforehand.
        sample_tokens: New tokens of a sample at most.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    facts: LessonFacts
    sample_tokens: int = 48

    @abstractmethod
    def check(self) -> None:
        """Check that what is learned from is what was prepared.

        Raises:
            LabError: It is not.
        """

    @abstractmethod
    def new_model(self, generator: torch.Generator) -> Transformer:
        """The model that a run begins with; what learns of it asks for gradients."""

    @abstractmethod
    def parts(self, step: int) -> Sequence[Weighed]:
        """The parts of this process's batch of a step, from 0."""

    @abstractmethod
    def looks(self) -> Sequence[Weighed]:
        """The parts of what is never trained on."""

    @abstractmethod
    def loss(self, model: Transformer, part: Any, precision: str) -> tuple[Tensor, Measures]:
        """The loss of a part as if it were the whole batch, and what else is measured of it."""

    @abstractmethod
    def first(self, step: int) -> list[int]:
        """The first sequence of a step's batch, to be shown."""

    def tokens_before(self, step: int) -> int:
        """Tokens that were learned from before a step."""
        return step * self.facts.step_tokens

    @abstractmethod
    def prompt_ids(self, prompt: str) -> list[int]:
        """What the model goes on from when it is given a prompt."""

    def per_byte(self, loss: float) -> float:
        """A loss of validation in bits a byte of text; not a number where it is no cross-entropy."""
        return math.nan

    @abstractmethod
    def write(self, model: Transformer, folder: Path) -> None:
        """Write a checkpoint into a new folder."""

    def edits(self) -> Edits:
        """What is changed in every pass."""
        return NONE


class Pretraining(Lesson):
    """Foretell every next token of a text.

    Args:
        config: Shape of the new model.
        tokens: The text.
        tokenizer: How it was made.
        settings: Batches, seed, mask.
    """

    def __init__(
        self, config: ModelConfig, tokens: Tokens, tokenizer: Tokenizer, settings: TrainingSettings
    ) -> None:
        self.config, self.tokenizer, self.settings, self.tokens = config, tokenizer, settings, tokens
        self._batch = settings.batch * processes.count()
        self._batches: Batches | None = None
        everywhere = torch.ones(config.context, config.context, dtype=torch.bool, device=settings.device)
        self._edits = NONE if settings.masked else Edits(allowed=everywhere)
        facts = tokens.facts
        self.facts = LessonFacts(
            facts.sha256, facts.train, facts.validation, math.log(config.vocab_size), facts.unigram,
            facts.floor, self._batch * config.context,
        )  # fmt: skip

    def check(self) -> None:
        """See `Lesson`."""
        check_unchanged(self.tokens)

    def new_model(self, generator: torch.Generator) -> Transformer:
        """See `Lesson`."""
        return new_model(self.config, generator)

    def parts(self, step: int) -> Sequence[Weighed]:
        """See `Lesson`."""
        batch = self._mine(step)
        cut = batch.chunk(min(self.settings.accumulation, len(batch)))
        return [(part, len(part)) for part in cut]

    def _mine(self, step: int) -> Tensor:
        """The sequences of this process, (B, T + 1)."""
        if self._batches is None:
            self._batches = Batches(self.tokens.train, self.config.context, self._batch, self.settings.seed)
        return self._batches.at(step).chunk(processes.count())[processes.number()]

    def looks(self) -> Sequence[Weighed]:
        """See `Lesson`."""
        batches = validation_batches(
            self.tokens.validation, self.config.context, self.settings.batch, self.settings.evaluate_tokens
        )
        return [(batch, batch.shape[0] * (batch.shape[1] - 1)) for batch in batches]

    def loss(self, model: Transformer, part: Tensor, precision: str) -> tuple[Tensor, Measures]:
        """Cross-entropy of sequences, (B, T + 1), in nats a token."""
        part = part.to(self.settings.device)
        with torch.autocast(part.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(part[:, :-1], edits=self._edits)  # (B, T, V)
        return cross_entropy(logits, part[:, 1:]), {}

    def first(self, step: int) -> list[int]:
        """See `Lesson`."""
        return [int(token) for token in self._mine(step)[0]]

    def prompt_ids(self, prompt: str) -> list[int]:
        """See `Lesson`."""
        return [*self._mark(), *self.tokenizer.encode(prompt)]

    def _mark(self) -> list[int]:
        mark = self.tokenizer.encode(SEPARATOR, special="all")
        return mark if len(mark) == 1 else []

    def per_byte(self, loss: float) -> float:
        """See `Lesson`."""
        facts = self.tokens.facts
        return loss / math.log(2) * facts.validation / max(1, facts.validation_bytes)

    def write(self, model: Transformer, folder: Path) -> None:
        """See `Lesson`."""
        end = next(iter(self._mark()), None)
        write_model(self.config, dict(model.named_parameters()), folder, end=end)
        write_tokenizer(self.tokenizer, folder)

    def edits(self) -> Edits:
        """See `Lesson`."""
        return self._edits
