"""What a run makes small: functions of logits and targets, each with its formula's source."""

from __future__ import annotations

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
