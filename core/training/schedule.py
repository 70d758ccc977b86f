"""How the learning rate changes over a run."""

from __future__ import annotations

import math

from core.training.settings import TrainingSettings


def rate_share(step: int, settings: TrainingSettings) -> float:
    """Share of the full learning rate at a step, counted from 1.

    Cosine after Loshchilov and Hutter (https://arxiv.org/abs/1608.03983, equation 5, one cycle, down to a
    tenth); wsd, warm-up, stable, decay, after Hu et al. (https://arxiv.org/abs/2404.06395, section 4),
    falling in a line to zero.

    >>> settings = TrainingSettings(steps=100, warmup=10, schedule="wsd", decay=0.2)
    >>> [round(rate_share(step, settings), 2) for step in (1, 10, 50, 90, 100)]
    [0.1, 1.0, 1.0, 0.55, 0.05]
    """
    if settings.warmup and step <= settings.warmup:
        return step / settings.warmup
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "cosine":
        done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, done)))
    falling = max(1, round(settings.decay * settings.steps))
    return min(1.0, (settings.steps - step + 1) / falling)
