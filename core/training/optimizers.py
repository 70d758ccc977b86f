"""The optimizers: torch's own AdamW, and Muon.

torch's Muon computes its Newton–Schulz iteration in bfloat16, which a processor without units for it only
emulates; this one computes in the precision of the run, for all matrices of one shape together.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from core.model.transformer import Transformer
from core.training.settings import TrainingSettings

_A, _B, _C = 3.4445, -4.7750, 2.0315  # coefficients of the quintic, from the source named in `orthogonalized`
_ITERATIONS = 5


def orthogonalized(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Matrices whose singular values are near 1 and whose directions are those of the given ones.

    Newton–Schulz iteration of fifth order, X ← a X + (b A + c A²) X with A = X Xᵀ (Jordan et al., Muon, 2024,
    https://kellerjordan.github.io/posts/muon/).

    Args:
        matrices: (n, rows, columns), float32.
        dtype: What the iteration computes in; the result is float32.
    """
    x = (matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT.contiguous() if tall else x
    for _ in range(_ITERATIONS):
        gram = x @ x.mT  # (n, rows, rows)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    made: Tensor = x.mT if tall else x
    return made.float()


class Muon:
    """Momentum, made orthogonal, for the matrices inside the blocks.

    Args:
        matrices: Name and parameter, (rows, columns). Queries, keys and values in one parameter are taken as
            three matrices.
        dtype: Precision of the iteration.
        momentum: Nesterov's.
    """

    def __init__(
        self,
        matrices: Iterable[tuple[str, Tensor]],
        dtype: torch.dtype = torch.float32,
        momentum: float = 0.95,
    ) -> None:
        self.matrices = dict(matrices)
        self.dtype = dtype
        self.momentum = momentum
        self.buffers = {name: torch.zeros_like(p) for name, p in self.matrices.items()}

    @torch.no_grad()
    def step(self, rate: float, weight_decay: float) -> None:
        """Change the parameters by their gradients."""
        groups: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for name, parameter in self.matrices.items():
            if parameter.grad is None:
                continue
            buffer = self.buffers[name]
            buffer.lerp_(parameter.grad, 1 - self.momentum)
            update = parameter.grad.lerp(buffer, self.momentum)  # (rows, columns)
            parts = 3 if name.endswith("qkv.weight") else 1
            for whole, part in zip(parameter.chunk(parts), update.chunk(parts), strict=True):
                groups.setdefault((part.shape[0], part.shape[1]), []).append((whole, part))
        for (rows, columns), pairs in groups.items():
            updates = orthogonalized(
                torch.stack([part for _, part in pairs]), self.dtype
            )  # (n, rows, columns)
            scale = max(1.0, rows / columns) ** 0.5
            for (parameter, _), update in zip(pairs, updates, strict=True):
                parameter.mul_(1 - rate * weight_decay)
                parameter.add_(update, alpha=-rate * scale)


class Optimizer:
    """The optimizer of a run: AdamW for all, or Muon for the blocks' matrices and AdamW for the rest."""

    def __init__(self, model: Transformer, settings: TrainingSettings, precision: str = "f32") -> None:
        self.settings = settings
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [(n, p) for n, p in named if p.dim() == 2 and n.startswith("blocks.")]
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.muon = Muon(matrices if settings.optimizer == "muon" else [], dtype)
        self._rest = [(n, p) for n, p in named if n not in self.muon.matrices]
        decayed = [p for _, p in self._rest if p.dim() == 2]
        others = [p for _, p in self._rest if p.dim() != 2]
        groups = [
            {
                "params": decayed,
                "weight_decay": settings.weight_decay if settings.optimizer == "adamw" else 0.0,
            },
            {"params": others, "weight_decay": 0.0},
        ]
        self.adamw = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.95), eps=1e-8, fused=True)

    def step(self, share: float) -> None:
        """Change all parameters by their gradients, with this share of the full learning rates."""
        for group in self.adamw.param_groups:
            group["lr"] = self.settings.rate * share
        self.adamw.step()
        self.muon.step(self.settings.matrix_rate * share, self.settings.weight_decay)

    def tensors(self) -> dict[str, Tensor]:
        """Its state, by name, to be saved; the tensors themselves, no copies."""
        state: dict[str, Tensor] = {f"momentum.{name}": b for name, b in self.muon.buffers.items()}
        for name, parameter in self._rest:
            held = self.adamw.state.get(parameter, {})
            state |= {f"{key}.{name}": held[key] for key in ("step", "exp_avg", "exp_avg_sq") if key in held}
        return state

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for name, buffer in self.muon.buffers.items():
            buffer.copy_(state[f"momentum.{name}"])
        for name, parameter in self._rest:
            if f"step.{name}" in state:
                keys = ("step", "exp_avg", "exp_avg_sq")
                self.adamw.state[parameter] = {key: state[f"{key}.{name}"].clone() for key in keys}
