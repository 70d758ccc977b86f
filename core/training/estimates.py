"""How long a plan takes, reckoned from what was measured of a few steps (`pace.py`). Knows no torch."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from core.training.kept_figures import recall, remember
from core.training.presets import RunPlan


@dataclass(frozen=True)
class Pace:
    """What was measured.

    Attributes:
        step: Seconds of a step with the whole batch.
        look: Seconds of one batch of a look at validation.
        sample: Seconds of a sample, at its longest.
        word: Seconds to write and encode a word of the small world.
        sequences: Sequences of the batch that were tried at once.
        precision: "f32" or "bf16".
    """

    step: float
    look: float
    sample: float
    word: float
    sequences: int
    precision: str


@dataclass(frozen=True)
class Estimate:
    """How long a plan will take, in seconds.

    Attributes:
        text: Writing and encoding the text.
        steps: All steps.
        looks: All looks at validation and all samples.
    """

    text: float
    steps: float
    looks: float

    @property
    def seconds(self) -> float:
        """All together."""
        return self.text + self.steps + self.looks


def estimate(plan: RunPlan, pace: Pace) -> Estimate:
    """How long a plan takes.

    >>> from core.training.presets import preset
    >>> made = estimate(preset("taste").plan, Pace(0.5, 0.1, 0.5, 1e-6, 8, "f32"))
    >>> round(made.text, 1), made.steps, round(made.looks, 1)
    (1.2, 150.0, 36.4)
    """
    settings = plan.settings
    looks = 1 + math.ceil(settings.steps / settings.evaluate_every)
    batches = math.ceil(settings.evaluate_tokens / (settings.batch * plan.shape.context))
    samples = len(plan.prompts) * pace.sample
    words = plan.corpus.words if plan.corpus.kind == "smallworld" else 0
    return Estimate(
        words * pace.word, settings.steps * pace.step, looks * (batches * pace.look + samples)
    )  # fmt: skip


def vocab_size(plan: RunPlan) -> int:
    """Tokens of the vocabulary that a plan will have; a named tokenizer is taken for the usual one."""
    own = plan.corpus.kind == "file" and not plan.corpus.tokenizer
    return plan.corpus.vocab_size if own else 2048


# What was measured is kept, by what decides it


def pace_key(plan: RunPlan) -> str:
    """What decides how long a step takes, as a short name."""
    settings = plan.settings
    told = [
        asdict(plan.shape), vocab_size(plan), plan.corpus.kind, settings.batch, settings.optimizer,
        settings.precision, settings.device, settings.masked,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def read_pace(file: Path, plan: RunPlan) -> Pace | None:
    """What was measured earlier for a plan like this one; None where nothing was."""
    kept = recall(file, pace_key(plan))
    try:
        return Pace(**kept)
    except TypeError:
        return None


def keep_pace(file: Path, plan: RunPlan, pace: Pace) -> None:
    """Remember what was measured.

    Raises:
        LabError: The disk refused.
    """
    remember(file, pace_key(plan), asdict(pace))
