"""What a person changes inside a forward pass: heads and MLPs switched off, the mask edited, a step left out.

Edits are an argument of the pass; the weights stay as they are. Whoever builds them is `core/interpret`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Replaced:
    """What stands in the place of a part's output: `scale` of its own, plus `constant`.

    Zero ablation is scale 0; mean ablation scale 0 with the mean as constant.

    Attributes:
        scale: Factor of the part's own output.
        constant: What is added, shape (d,) for a head, (W,) for an MLP; None for nothing.
    """

    scale: float = 0.0
    constant: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Edits:
    """All changes of one pass.

    Attributes:
        heads: By (layer, head): what stands for the head's z.
        mlps: By layer: what stands for the MLP's output.
        allowed: Which token may look at which, shape (T, S), in place of the causal mask; None leaves it.
        scaling: Whether scores are divided by √d. The explicit path only, like the next one.
        softmax: Whether weights are the softmax of scores; without it they are the scores themselves, 0
            where the mask forbids.
    """

    heads: Mapping[tuple[int, int], Replaced] = field(default_factory=dict)
    mlps: Mapping[int, Replaced] = field(default_factory=dict)
    allowed: Tensor | None = None
    scaling: bool = True
    softmax: bool = True

    def of_heads(self, layer: int, z: Tensor) -> Tensor:
        """z of one layer, shape (B, T, H, d), with the edited heads replaced."""
        wanted = {head: replaced for (at, head), replaced in self.heads.items() if at == layer}
        if not wanted:
            return z
        parts = list(z.unbind(dim=2))
        for head, replaced in wanted.items():
            parts[head] = _replace(parts[head], replaced)
        return torch.stack(parts, dim=2)

    def of_mlp(self, layer: int, out: Tensor) -> Tensor:
        """The output of one MLP, shape (B, T, W), or what stands for it."""
        return _replace(out, self.mlps[layer]) if layer in self.mlps else out


def _replace(x: Tensor, replaced: Replaced) -> Tensor:
    made = x * replaced.scale
    return made if replaced.constant is None else made + replaced.constant


NONE = Edits()
