"""What a run tells, and what it may be told while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Began:
    """A run begins, or goes on.

    Attributes:
        step: Steps done already: 0 for a new run.
        steps: Steps in all.
        parameters: Numbers that are learned.
        tokens: Tokens of the training text.
        validation_tokens: Tokens that are never trained on.
        step_tokens: Tokens that a step learns from.
        vocab_size: Tokens of the vocabulary.
        chance_loss: Loss of a model that knows nothing, ln(vocabulary), in nats.
        unigram_loss: Loss of one that knows only how frequent each token is, in nats.
        floor_loss: What the text's generator itself drew, in nats a token: no model can be expected to stay
            below for long; None for a text that nobody drew.
        precision: "f32" or "bf16".
        peak: Best measured speed of a matrix product in this precision, FLOP/s.
        notes: Sentences on what differs from before.
    """

    step: int
    steps: int
    parameters: int
    tokens: int
    validation_tokens: int
    step_tokens: int
    vocab_size: int
    chance_loss: float
    unigram_loss: float
    floor_loss: float | None
    precision: str
    peak: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stepped:
    """One step is done.

    Attributes:
        step: Its number, from 1.
        loss: Mean cross-entropy of its batch before the step, nats a token.
        rate: Learning rate of `TrainingSettings.rate` at this step.
        gradient: Length of the gradient before clipping.
        tokens: Tokens trained on since the run was new.
        seconds: Time trained since the run was new, looks at validation and saves not counted.
        tokens_per_second: Over the last 20 steps of this sitting.
        utilization: Share of the measured peak that the matrix products reached, 0 to 1.
        seconds_left: Estimate for the steps that are left.
    """

    step: int
    loss: float
    rate: float
    gradient: float
    tokens: int
    seconds: float
    tokens_per_second: float
    utilization: float
    seconds_left: float


@dataclass(frozen=True)
class Validated:
    """A look at text that is never trained on.

    Attributes:
        step: Steps done.
        loss: Mean cross-entropy, nats a token.
        bits_per_byte: The same, in bits a byte of text.
        tokens: Tokens looked at.
    """

    step: int
    loss: float
    bits_per_byte: float
    tokens: int


@dataclass(frozen=True)
class Measured:
    """What is measured beside the loss, under TRL's names: "rewards/margins", "logps/chosen", "entropy", …

    Attributes:
        step: Steps done.
        of: "train" for the batch of that step, "validation" for a look at what is never trained on.
        values: Each measure by name.
    """

    step: int
    of: str
    values: dict[str, float]


@dataclass(frozen=True)
class Sampled:
    """The model went on from a prompt by itself, always taking the most probable token."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class Saved:
    """A place from which the run can go on is on the disk."""

    step: int
    folder: Path


@dataclass(frozen=True)
class Kept:
    """A checkpoint that stays, a model folder that every lab opens."""

    step: int
    folder: Path


@dataclass(frozen=True)
class RateChanged:
    """The learning rate was multiplied while the run went on.

    Attributes:
        step: The first step with it.
        factor: What the schedule's rate is multiplied by from now on.
    """

    step: int
    factor: float


@dataclass(frozen=True)
class SeenBatch:
    """One sequence of a batch, as asked for.

    Attributes:
        step: The step that learned from it.
        ids: Its tokens, T + 1 of them.
        losses: −ln p of each but the first, T of them.
        best: The most probable tokens in the place of each but the first, a few of them, (id, probability).
    """

    step: int
    ids: tuple[int, ...]
    losses: tuple[float, ...]
    best: tuple[tuple[tuple[int, float], ...], ...]


@dataclass
class Controls:
    """What a person changes while a run goes on; the run looks at it between two steps.

    Attributes:
        rate_factor: What the schedule's learning rate is multiplied by. What is set before a run goes on
            multiplies the factor that it had.
        show_batch: Ask for one `SeenBatch` from the next step.
        changes: What was changed at which step; kept with the run.
    """

    rate_factor: float = 1.0
    show_batch: bool = False
    changes: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What a run gave.

    Attributes:
        step: Steps done.
        folder: The run's folder.
        model: Folder of the last checkpoint.
        validation_loss: The last one, nats a token.
    """

    step: int
    folder: Path
    model: Path
    validation_loss: float


Event = Began | Stepped | Validated | Measured | Sampled | Saved | Kept | RateChanged | SeenBatch
