"""What this machine can do: measured at the start of a run, never assumed."""

from __future__ import annotations

import time

import torch

from core.model.config import ModelConfig
from core.problems import LabError

_SHAPES = ((2048, 256, 1024), (1024, 1024, 1024))
_PRECISIONS = {"f32": torch.float32, "bf16": torch.bfloat16}


def check_device(device: str) -> None:
    """Check that there is such a device.

    Raises:
        LabError: There is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise LabError("This machine has no NVIDIA card that PyTorch can use.", "Choose the device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise LabError("This machine has no Apple chip that PyTorch can use.", "Choose the device cpu.")


def matmul_peak(precision: str, device: str = "cpu", repeats: int = 5, budget: float = 0.4) -> float:
    """The best speed of a product of matrices, FLOP/s: best of `repeats` of two shapes.

    Args:
        precision: "f32" or "bf16".
        device: Where.
        repeats: Of each shape.
        budget: Seconds after which no further product is begun (emulated bf16 takes seconds for one).
    """
    best, began = 0.0, time.perf_counter()
    for m, k, n in _SHAPES:
        a = torch.ones(m, k, dtype=_PRECISIONS[precision], device=device)
        b = torch.ones(k, n, dtype=_PRECISIONS[precision], device=device)
        for _ in range(repeats + 1):  # the first one warms up
            start = time.perf_counter()
            a @ b
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * m * k * n / (time.perf_counter() - start))
            if time.perf_counter() - began > budget and best:
                return best
    return best


def choose_precision(wanted: str, device: str) -> tuple[str, float]:
    """The precision to train in, and its measured peak; "auto" takes bf16 only where it is clearly faster.

    Twice the speed of a product is asked for: converting to bf16 and back costs the rest.
    """
    if wanted != "auto":
        return wanted, matmul_peak(wanted, device)
    exact = matmul_peak("f32", device)
    half = matmul_peak("bf16", device)
    return ("bf16", half) if half > 1.6 * exact else ("f32", exact)


def step_flops(config: ModelConfig, tokens: int) -> float:
    """FLOPs of the matrix products of a forward and backward pass over so many tokens.

    6 for each parameter of a matrix and token (2 forward, 4 backward), and 6 · T · d for attention in each
    layer, half of the square being masked (Kaplan et al., https://arxiv.org/abs/2001.08361, section 2.1;
    Chowdhery et al., https://arxiv.org/abs/2204.02311, appendix B).
    """
    matrices = sum(
        shape[0] * shape[1]
        for name, shape in config.shapes().items()
        if len(shape) == 2 and not name.startswith(("positions", "embed"))
    )
    matrices += config.vocab_size * config.width if config.tied else 0
    return tokens * (6.0 * matrices + 6.0 * config.layers * config.context * config.width)
