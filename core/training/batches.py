"""Which tokens a step learns from: a pure function of seed and step, so that a run needs no memory of it.

In each pass over the text it is cut, from a random first place, into pieces of the length of the context,
which come in random order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.problems import LabError
from core.training.tokens import Ids


class Batches:
    """The batches of a run.

    Args:
        ids: The training tokens.
        context: Tokens of a sequence.
        batch: Sequences of a step.
        seed: Of first places and order.

    Raises:
        LabError: The text is shorter than one sequence.
    """

    def __init__(self, ids: Ids, context: int, batch: int, seed: int) -> None:
        self.ids, self.context, self.batch, self.seed = ids, context, batch, seed
        self._pieces = (len(ids) - 1) // context - 1
        if self._pieces < 1:
            raise LabError(
                f"The training text has {len(ids):,} tokens; a sequence of {context:,} does not fit twice.",
                "Choose a shorter context or a longer text.",
            )
        self._pass, self._starts = -1, np.zeros(0, np.int64)

    def at(self, step: int) -> Tensor:
        """The sequences of a step, from 0, each with the token after it: int64, (batch, context + 1)."""
        first = step * self.batch
        rows = [self._sequence(n) for n in range(first, first + self.batch)]
        return torch.from_numpy(np.stack(rows))

    def _sequence(self, n: int) -> np.ndarray:
        number, place = divmod(n, self._pieces)
        if number != self._pass:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            shift = int(torch.randint(self.context, (1,), generator=generator))
            order = torch.randperm(self._pieces, generator=generator).numpy()
            self._pass, self._starts = number, order * self.context + shift
        begin = int(self._starts[place])
        return self.ids[begin : begin + self.context + 1].astype(np.int64)


def validation_batches(ids: Ids, context: int, batch: int, tokens: int) -> list[Tensor]:
    """Sequences of the validation text, evenly spaced, that hold about so many tokens together."""
    context = min(context, len(ids) - 1)
    pieces = (len(ids) - 1) // context
    wanted = max(1, min(pieces, tokens // context))
    starts = [int(n * pieces / wanted) * context for n in range(wanted)]
    rows = [torch.from_numpy(ids[s : s + context + 1].astype(np.int64)) for s in starts]
    return [torch.stack(rows[n : n + batch]) for n in range(0, len(rows), batch)]
