"""One step of learning: forward, backward, clip, change the weights. What goes around it is in `loop.py`.

B sequences of a batch, T tokens of the context, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from core.model.config import ModelConfig
from core.model.edits import NONE, Edits
from core.model.initial import new_model
from core.training import processes
from core.training.batches import Batches
from core.training.events import SeenBatch
from core.training.objectives import cross_entropy
from core.training.optimizers import Optimizer
from core.training.schedule import rate_share
from core.training.settings import TrainingSettings
from core.training.tokens import Ids

_BEST = 5  # of the most probable tokens that come with a batch that is shown


class Trainer:
    """A model that learns, its optimizer, and where it stands in the text.

    Args:
        config: Shape of the model.
        settings: How it is trained.
        ids: Training tokens.
        precision: "f32" or "bf16".

    Attributes:
        model: Owned by this run alone.
        step: Steps done.
    """

    def __init__(self, config: ModelConfig, settings: TrainingSettings, ids: Ids, precision: str) -> None:
        self.settings, self.precision = settings, precision
        generator = torch.Generator().manual_seed(settings.seed)
        self.model = new_model(config, generator).to(settings.device)
        self.optimizer = Optimizer(self.model, settings, precision)
        self.batches = Batches(ids, config.context, settings.batch * processes.count(), settings.seed)
        self.step = 0
        everywhere = torch.ones(config.context, config.context, dtype=torch.bool, device=settings.device)
        self._edits = NONE if settings.masked else Edits(allowed=everywhere)

    @property
    def step_tokens(self) -> int:
        """Tokens that a step learns from, over all processes."""
        return self.batches.batch * self.batches.context

    def next_step(self, rate_factor: float = 1.0) -> Iterator[tuple[float, float] | None]:
        """Learn from the next batch: None after each part but the last, then loss and length of the gradient.

        The weights are changed only where both are finite.
        """
        batch = self._mine(self.batches.at(self.step)).to(self.settings.device)  # (B, T + 1)
        loss = 0.0
        for n, part in enumerate(batch.chunk(min(self.settings.accumulation, len(batch)))):
            if n:
                yield None
            share = len(part) / len(batch)
            loss += self._learn(part, share) * share
        loss, gradient = self._gather(loss)
        if math.isfinite(loss) and math.isfinite(gradient):
            self.optimizer.step(rate_share(self.step + 1, self.settings) * rate_factor)
            self.step += 1
        self.model.zero_grad(set_to_none=True)
        yield loss, gradient

    def _learn(self, part: Tensor, share: float) -> float:
        loss = self.loss(part)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def loss(self, batch: Tensor) -> Tensor:
        """Cross-entropy of sequences, (B, T + 1), in nats a token."""
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.model(batch[:, :-1], edits=self._edits)  # (B, T, V)
        return cross_entropy(logits, batch[:, 1:])

    def show(self) -> SeenBatch:
        """The first sequence of the next batch, as the model sees it now."""
        row = self._mine(self.batches.at(self.step))[:1].to(self.settings.device)  # (1, T + 1)
        with torch.inference_mode():
            logs = self.model(row[:, :-1], edits=self._edits)[0].float().log_softmax(-1).cpu()  # (T, V)
        came = row[0, 1:].cpu()
        best = logs.topk(min(_BEST, logs.shape[1]))
        pairs = zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
        return SeenBatch(
            self.step + 1, tuple(row[0].tolist()), tuple((-logs.gather(1, came[:, None])[:, 0]).tolist()),
            tuple(tuple(zip(ids, shares, strict=True)) for ids, shares in pairs),
        )  # fmt: skip

    def validate(self, batches: list[Tensor]) -> Iterator[float | None]:
        """Mean loss of sequences that are never trained on: None after each batch, then the loss."""
        nats, tokens = 0.0, 0
        for batch in batches:
            with torch.inference_mode():
                loss = float(self.loss(batch.to(self.settings.device)))
            count = batch.shape[0] * (batch.shape[1] - 1)
            nats, tokens = nats + loss * count, tokens + count
            yield None
        yield nats / tokens

    def _mine(self, batch: Tensor) -> Tensor:
        """The sequences of this process."""
        return batch.chunk(processes.count())[processes.number()]

    def _gather(self, loss: float) -> tuple[float, float]:
        """Loss and length of the gradient, averaged over all processes; the gradient is clipped."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        mean = torch.tensor(loss, dtype=torch.float64, device=self.settings.device)
        processes.average([*(p.grad for p in parameters if p.grad is not None), mean])
        longest = self.settings.clip or math.inf
        return float(mean), float(torch.nn.utils.clip_grad_norm_(parameters, longest))
