"""Objectives over answers: what a model's log-probabilities of learned tokens make of a part of a batch.

Each gives a loss that is to be added up over the parts, and measures as sums and counts under TRL's names, so
that a batch read in parts gives what the whole one gives. Only places before learned tokens go through the
head. Letters as in `objectives.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.model.transformer import Transformer
from core.training.finetune_settings import FinetuneSettings
from core.training.lessons import Measures
from core.training.objectives import dpo, ipo, sums, token_logs
from core.training.pieces import Padded


@dataclass(frozen=True, eq=False)
class Read:
    """What a model makes of the learned tokens of a part.

    Attributes:
        logs: ln p of each, with its gradient, (N,).
        entropy: Of the model's choice at each place, nats, (N,).
        best: Whether the token is the most probable one, bool, (N,).
        logits: Mean logit at each place, (N,).
    """

    logs: Tensor
    entropy: Tensor
    best: Tensor
    logits: Tensor


def read(model: Transformer, part: Padded, precision: str = "f32", measured: bool = True) -> Read:
    """Read a part; gradients flow where they are on.

    Args:
        model: Which model.
        part: On the model's device.
        precision: "f32" or "bf16".
        measured: Whether entropy, best and mean logits are wanted; else they are 0.
    """
    with torch.autocast(part.ids.device.type, torch.bfloat16, enabled=precision == "bf16"):
        x = model.read(part.ids[:, :-1])  # (B, T − 1, W)
        logits = model.head(x[part.learned])  # (N, V)
    logs = token_logs(logits, part.targets)
    if not measured:
        none = torch.zeros_like(logs)
        return Read(logs, none, none.bool(), none)
    with torch.no_grad():
        logits = logits.detach().float()
        spread = logits.log_softmax(-1)  # (N, V)
        entropy = -(spread.exp() * spread).sum(-1)
        best = logits.argmax(-1) == part.targets
    return Read(logs, entropy, best, logits.mean(-1))


def of_demonstrations(made: Read, tokens: int) -> tuple[Tensor, Measures]:
    """Mean of −ln p over the learned tokens of the whole batch, and TRL's measures of SFT.

    Not the mean of parts' means: every token weighs the same, however the batch is cut.

    Args:
        made: Of one part.
        tokens: Learned tokens of the whole batch.
    """
    n = float(len(made.logs))
    return -made.logs.sum() / tokens, {
        "entropy": (float(made.entropy.sum()), n),
        "mean_token_accuracy": (float(made.best.sum()), n),
    }


@dataclass(frozen=True, eq=False)
class Pairs:
    """A part of a batch of comparisons: the better answers, then the worse ones.

    Attributes:
        padded: 2 B pieces.
        reference: ln π_ref of each answer, (2 B,).
    """

    padded: Padded
    reference: Tensor

    @property
    def count(self) -> int:
        """B."""
        return len(self.reference) // 2


def of_comparisons(
    made: Read, part: Pairs, settings: FinetuneSettings, pairs: int, chosen_tokens: float
) -> tuple[Tensor, Measures]:
    """DPO or IPO, with −ln p of the better answers added where that is asked for, and TRL's measures.

    Args:
        made: Of one part.
        part: The part.
        settings: Which objective.
        pairs: Comparisons of the whole batch.
        chosen_tokens: Learned tokens of its better answers.
    """
    n, owners = part.count, part.padded.owners
    logs = sums(made.logs, owners, 2 * n)  # (2 B,)
    lengths = owners.bincount(minlength=2 * n)  # (2 B,)
    h = logs - part.reference  # (2 B,)
    loss = pair_losses(h, lengths, settings).sum() / pairs
    of_chosen = owners < n  # (N,)
    if settings.nll:
        loss = loss - settings.nll * made.logs[of_chosen].sum() / chosen_tokens
    return loss, _measures(made, h.detach(), logs.detach(), of_chosen, settings.beta)


def pair_losses(h: Tensor, lengths: Tensor, settings: FinetuneSettings) -> Tensor:
    """The loss of each pair, (B,), of h, the better answers' before the worse ones', (2 B,)."""
    if settings.method == "ipo" and settings.ipo_lengths == "means":
        h = h / lengths
    better, worse = h.chunk(2)
    delta = better - worse  # (B,)
    if settings.method == "ipo":
        return ipo(delta, settings.beta, settings.smoothing)
    return dpo(delta, settings.beta, settings.smoothing, settings.robust)


def _measures(made: Read, h: Tensor, logs: Tensor, of_chosen: Tensor, beta: float) -> Measures:
    n = len(h) // 2
    rewards = beta * h  # (2 B,)
    better, worse = rewards.chunk(2)
    chosen, rejected = logs.chunk(2)
    tokens, of_rejected = float(of_chosen.sum()), ~of_chosen
    named = {
        "rewards/chosen": better, "rewards/rejected": worse, "rewards/margins": better - worse,
        "rewards/accuracies": (better > worse).float(), "logps/chosen": chosen, "logps/rejected": rejected,
    }  # fmt: skip
    measures = {name: (float(values.sum()), float(n)) for name, values in named.items()}
    return measures | {
        "logits/chosen": (float(made.logits[of_chosen].sum()), tokens),
        "logits/rejected": (float(made.logits[of_rejected].sum()), float(of_rejected.sum())),
        "entropy": (float(made.entropy.sum()), float(len(made.logs))),
        "mean_token_accuracy": (float(made.best[of_chosen].sum()), tokens),
    }
