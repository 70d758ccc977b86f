"""From logits to the next token: the filters, in their order, and the draw.

The order is that of transformers: repetition penalty, temperature, top-k, top-p, min-p. (llama.cpp puts the
temperature last.) Each filter sees what the one before it left, with probabilities made anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.model.settings import SamplingSettings

FILTERS = ("top-k", "top-p", "min-p")
"""What may cut a token away, in this order."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What the filters made of one position's logits.

    Attributes:
        before: Probabilities after penalty and temperature, before anything is cut, shape (V,).
        probabilities: Those that are drawn from, shape (V,); 0 where a token was cut.
        cut_by: 0 for each token that was kept, else 1 + the place in `FILTERS` of what cut it, shape (V,).
    """

    before: Tensor
    probabilities: Tensor
    cut_by: Tensor

    @property
    def kept(self) -> int:
        """How many tokens are left."""
        return int((self.cut_by == 0).sum())

    def draw(self, generator: torch.Generator) -> int:
        """One token, as probable as it should be."""
        return int(torch.multinomial(self.probabilities, 1, generator=generator))


def choose(logits: Tensor, settings: SamplingSettings, seen: Sequence[int] = ()) -> Choice:
    """Apply the filters.

    Args:
        logits: Of one position, shape (V,).
        settings: Checked.
        seen: Ids of the text so far, for the repetition penalty.
    """
    scores = _penalized(logits, settings.repetition_penalty, seen)
    if settings.temperature == 0:
        best = torch.zeros_like(scores)
        best[int(scores.argmax())] = 1.0
        return Choice(scores.softmax(-1), best, (best == 0).to(torch.int8))
    scores = scores / settings.temperature
    before = scores.softmax(-1)
    cut_by = torch.zeros(len(scores), dtype=torch.int8)
    for number, keeps in enumerate((_top_k, _top_p, _min_p), start=1):
        kept = keeps(scores, settings)
        if kept is not None:
            cut_by[~kept & (cut_by == 0)] = number
            scores = scores.masked_fill(~kept, -math.inf)
    return Choice(before, scores.softmax(-1), cut_by)


@dataclass(frozen=True)
class Candidate:
    """One token that might come next.

    Attributes:
        id: The token.
        logit: What the model gives it.
        probability: Softmax of the logits as they are.
        tempered: After penalty and temperature, before anything is cut.
        final: What it is drawn with; 0 where it was cut.
        cut_by: 0, or 1 + the place in `FILTERS` of what cut it.
    """

    id: int
    logit: float
    probability: float
    tempered: float
    final: float
    cut_by: int


@dataclass(frozen=True)
class Candidates:
    """What might come next, the most probable first.

    Attributes:
        rows: The first of them.
        kept: How many tokens are left to draw from.
        cut: How many each of `FILTERS` cut.
        bits: Entropy of what is drawn from: 0 where only one token is left.
    """

    rows: tuple[Candidate, ...]
    kept: int
    cut: tuple[int, ...]
    bits: float


def candidates(
    logits: Tensor, settings: SamplingSettings, seen: Sequence[int] = (), most: int = 50
) -> Candidates:
    """Take the choice of the next token apart; arguments as for `choose`."""
    choice = choose(logits, settings, seen)
    plain = logits.softmax(-1)
    order = choice.before.topk(min(most, len(logits))).indices
    columns = (order, logits[order], plain[order], choice.before[order], choice.probabilities[order])
    numbers = zip(*(column.tolist() for column in columns), choice.cut_by[order].tolist(), strict=True)
    rows = tuple(Candidate(*row) for row in numbers)
    left = choice.probabilities[choice.probabilities > 0].double()
    cut = tuple(int((choice.cut_by == n).sum()) for n in range(1, len(FILTERS) + 1))
    return Candidates(rows, choice.kept, cut, float(-(left * left.log2()).sum()) + 0.0)


def most_probable(logits: Tensor, count: int) -> list[tuple[int, float]]:
    """The most probable tokens of logits, shape (V,), before any filter: ids with their probabilities.

    >>> [(id_, round(share, 2)) for id_, share in most_probable(torch.tensor([0.0, 2.0, 1.0]), 2)]
    [(1, 0.67), (2, 0.24)]
    """
    best = logits.softmax(-1).topk(min(count, len(logits)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def _penalized(logits: Tensor, penalty: float, seen: Sequence[int]) -> Tensor:
    if penalty == 1.0 or not seen:
        return logits
    ids = torch.tensor(sorted(set(seen)))
    old = logits[ids]
    made = logits.clone()
    made[ids] = torch.where(old < 0, old * penalty, old / penalty)
    return made


def _top_k(scores: Tensor, settings: SamplingSettings) -> Tensor | None:
    """Those that are at least as large as the k-th; None for all."""
    if not 0 < settings.top_k < len(scores):
        return None
    return scores >= scores.topk(settings.top_k).values[-1]


def _top_p(scores: Tensor, settings: SamplingSettings) -> Tensor | None:
    """The smallest set that adds up to p (Holtzman et al., https://arxiv.org/abs/1904.09751, section 3.1)."""
    if settings.top_p >= 1.0:
        return None
    ordered, order = scores.sort()  # the least probable first: what is cut is a beginning
    kept = torch.empty(len(scores), dtype=torch.bool)
    kept[order] = ordered.softmax(-1).cumsum(-1) > 1 - settings.top_p
    kept[order[-1]] = True
    return kept


def _min_p(scores: Tensor, settings: SamplingSettings) -> Tensor | None:
    """Those of at least min_p of the largest (Nguyen et al., https://arxiv.org/abs/2407.01082)."""
    if settings.min_p == 0.0:
        return None
    probabilities = scores.softmax(-1)
    return probabilities >= settings.min_p * probabilities.max()
