"""One step of learning: forward, backward, clip, change the weights. What goes around it is in `loop.py`.

T tokens of a sequence, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from core.training import processes
from core.training.events import SeenBatch
from core.training.lessons import Lesson, Measures, Weighed, added
from core.training.optimizers import Optimizer
from core.training.schedule import rate_share
from core.training.settings import TrainingSettings

_BEST = 5  # of the most probable tokens that come with a batch that is shown


class Trainer:
    """A model that learns, its optimizer, and where it stands in the text.

    Args:
        lesson: What it learns from.
        settings: How it is trained.
        precision: "f32" or "bf16".

    Attributes:
        model: Owned by this run alone.
        step: Steps done.
        measures: What else was measured of the last step's batch, and of the last look.
    """

    def __init__(self, lesson: Lesson, settings: TrainingSettings, precision: str) -> None:
        self.lesson, self.settings, self.precision = lesson, settings, precision
        generator = torch.Generator().manual_seed(settings.seed)
        self.model = lesson.new_model(generator).to(settings.device)
        self.optimizer = Optimizer(self.model, settings, precision)
        self.step = 0
        self.measures: dict[str, float] = {}

    def weights(self) -> dict[str, Tensor]:
        """What learns, by name; the tensors themselves, no copies."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def restore(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor], step: int) -> None:
        """Take back what was saved after a step."""
        for name, parameter in self.weights().items():
            parameter.copy_(weights[name])
        self.optimizer.restore(optimizer)
        self.step = step

    def next_step(self, rate_factor: float = 1.0) -> Iterator[tuple[float, float] | None]:
        """Learn from the next batch: None after each part but the last, then loss and length of the gradient.

        The weights are changed only where both are finite.
        """
        parts = self.lesson.parts(self.step)
        whole = self._mean(sum(weight for _, weight in parts))
        loss, measured = 0.0, []
        for n, (part, weight) in enumerate(parts):
            if n:
                yield None
            share = weight / whole
            one, measures = self._learn(part, share)
            loss += one * share
            measured.append(measures)
        loss, gradient = self._gather(loss)
        self.measures = added(measured)
        if math.isfinite(loss) and math.isfinite(gradient):
            self.optimizer.step(rate_share(self.step + 1, self.settings) * rate_factor)
            self.step += 1
        self.model.zero_grad(set_to_none=True)
        yield loss, gradient

    def _learn(self, part: Any, share: float) -> tuple[float, Measures]:
        loss, measures = self.lesson.loss(self.model, part, self.precision)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), measures

    def show(self) -> SeenBatch:
        """The first sequence of the next batch, as the model sees it now."""
        row = torch.tensor([self.lesson.first(self.step)], device=self.settings.device)  # (1, T + 1)
        with torch.inference_mode():
            edits = self.lesson.edits()
            logs = self.model(row[:, :-1], edits=edits)[0].float().log_softmax(-1).cpu()  # (T, V)
        came = row[0, 1:].cpu()
        best = logs.topk(min(_BEST, logs.shape[1]))
        pairs = zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
        return SeenBatch(
            self.step + 1, tuple(row[0].tolist()), tuple((-logs.gather(1, came[:, None])[:, 0]).tolist()),
            tuple(tuple(zip(ids, shares, strict=True)) for ids, shares in pairs),
        )  # fmt: skip

    def validate(self, parts: Sequence[Weighed]) -> Iterator[float | None]:
        """Mean loss of what is never trained on: None after each part, then the loss."""
        total, whole, measured = 0.0, 0.0, []
        for part, weight in parts:
            with torch.inference_mode():
                loss, measures = self.lesson.loss(self.model, part, self.precision)
            total, whole = total + float(loss) * weight, whole + weight
            measured.append(measures)
            yield None
        self.measures = added(measured)
        yield total / whole if parts else math.nan

    def _mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        mean = torch.tensor(value, dtype=torch.float64, device=self.settings.device)
        processes.average([mean])
        return float(mean)

    def _gather(self, loss: float) -> tuple[float, float]:
        """Loss and length of the gradient, averaged over all processes; the gradient is clipped."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        mean = torch.tensor(loss, dtype=torch.float64, device=self.settings.device)
        processes.average([*(p.grad for p in parameters if p.grad is not None), mean])
        longest = self.settings.clip or math.inf
        return float(mean), float(torch.nn.utils.clip_grad_norm_(parameters, longest))
