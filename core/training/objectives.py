"""What a run makes small: functions of logits, targets and log-probabilities, with their formulas' sources.

π is the model that learns, π_ref the one that it began as; h = ln π(answer) − ln π_ref(answer), a sum over
the answer's tokens; h_w that of the better answer, h_l of the worse one, Δ = h_w − h_l. B pairs, N tokens,
V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean of −ln p(target): how surprised the model is, in nats a token.

    Shannon, A Mathematical Theory of Communication, 1948, section 7; as a loss: Bengio et al., A Neural
    Probabilistic Language Model, 2003, section 2.

    Args:
        logits: (B, T, V).
        targets: int64, (B, T).
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def token_logs(logits: Tensor, targets: Tensor) -> Tensor:
    """ln p of each target, (N,), of logits, (N, V)."""
    if not logits.dtype.itemsize > 4:
        logits = logits.float()  # of halves the sum over the vocabulary would be off
    return -F.cross_entropy(logits, targets, reduction="none")


def sums(logs: Tensor, owners: Tensor, count: int) -> Tensor:
    """Log-probability of each answer, (count,), of its tokens', (N,).

    >>> sums(torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([0, 0, 1]), 2).tolist()
    [-3.0, -4.0]
    """
    return torch.zeros(count, dtype=logs.dtype, device=logs.device).index_add(0, owners, logs)


def dpo(delta: Tensor, beta: float, smoothing: float = 0.0, robust: bool = False) -> Tensor:
    """−ln σ(β Δ) of each pair: raise the better answer above the worse one, compared with the reference.

    Rafailov et al., https://arxiv.org/abs/2305.18290, equation 7. Where a share of the labels, `smoothing`,
    is held to be wrong: the conservative form weighs both orders (Mitchell, A note on DPO with noisy
    preferences, 2023), the robust one removes the bias as well (Chowdhury et al.,
    https://arxiv.org/abs/2403.00409, equation 9). Only Δ is in it: both answers may become less likely.

    Args:
        delta: Δ, (B,).
        beta: How dear it is to leave the reference.
        smoothing: Share of swapped labels, below 0.5.
        robust: Whether the robust form is taken.

    >>> [round(float(dpo(torch.tensor(1.5), 0.1, *how)), 6) for how in ((), (0.1,), (0.1, True))]
    [0.620957, 0.635957, 0.602207]
    """
    right, swapped = -F.logsigmoid(beta * delta), -F.logsigmoid(-beta * delta)
    if robust:
        return ((1 - smoothing) * right - smoothing * swapped) / (1 - 2 * smoothing)
    return (1 - smoothing) * right + smoothing * swapped if smoothing else right


def ipo(delta: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """(Δ − 1 / 2β)² of each pair: a margin of 1 / 2β, and no more.

    Azar et al., https://arxiv.org/abs/2310.12036, equation 17, with τ = β, where h are sums. TRL takes means
    over each answer's tokens for h; then give their difference as Δ.

    Args:
        delta: Δ, (B,), of sums or of means.
        beta: How dear it is to leave the reference.
        smoothing: Share of swapped labels.

    >>> float(ipo(torch.tensor(1.5), 0.1)), round(float(ipo(torch.tensor(1 / 5 + 0.5 / 4), 0.1)), 4)
    (12.25, 21.8556)
    """
    target = 1 / (2 * beta)
    right = (delta - target) ** 2
    return (1 - smoothing) * right + smoothing * (delta + target) ** 2 if smoothing else right
