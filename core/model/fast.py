"""The fast path of writing: the same model with its tables in fewer bits, chosen by measurement.

Which of torch's kernels is fastest depends on the processor, and how far it moves the model's answers on the
weights. So each pair of kernels (one for the blocks, one for the head) is tried on this machine with this
model: the time of a token, and the mean Kullback–Leibler divergence of the next-token distribution from the
exact path's, on a fixed text. All that is looked into uses the exact path.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from core.model.cache import KVCache
from core.model.kernels import KERNELS
from core.model.transformer import Linear, Transformer
from core.problems import LabError
from core.stages import Finished, Progress, pass_on

CLOSE = 0.02  # nats: mean divergence at most, for the setting "close"
USABLE = 0.2  # nats: what moves the answers further is never chosen
SETTINGS = ("fastest", "close")
TEXT = (
    "The old harbor lies at the mouth of the river. In 1802 a bridge was built there, and trade grew "
    "quickly. Today most people come by train. When water is heated to 100 degrees it boils, and the steam "
    "can drive a wheel. What is the capital of France? The capital of France is Paris. She asked him whether "
    "he had seen her keys, but he shook his head and went on reading."
)
"""What the kernels are tried on."""

_READ = 32  # tokens of the text that are read before the measuring begins
_TIMED = 48  # tokens that are measured one by one
_FIRST = 8  # tokens after which a way that is far slower than the best is given up
_FAR = 1.5  # times the best
_WAYS = (
    ("int4", "int8"), ("int4", "int8-dynamic"), ("f16", "f16"), ("int8", "int8"),
    ("int8-dynamic", "int8-dynamic"), ("int8-dynamic-7", "int8-dynamic-7"), ("bf16", "bf16"),
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One way of multiplying, tried on this machine.

    Attributes:
        blocks: Name of the kernel of the blocks' tables (`KERNELS`), or "exact".
        head: Of the head's.
        seconds: Time of one token, median.
        divergence: Mean divergence from the exact path, nats.
        tokens: How many were measured.
    """

    blocks: str
    head: str
    seconds: float
    divergence: float
    tokens: int

    @property
    def title(self) -> str:
        """What a person reads."""
        if self.blocks == "exact":
            return "exact, 32-bit weights"
        blocks, head = KERNELS[self.blocks].title, KERNELS[self.head].title
        return blocks if blocks == head else f"{blocks}; head: {head}"


def measure_kernels(
    model: Transformer, ids: Sequence[int]
) -> Iterator[Progress | Finished[tuple[Measured, ...]]]:
    """Try every way; the exact one comes first in the result.

    Args:
        model: The exact model.
        ids: A text of at least 40 tokens, such as `TEXT`.

    Raises:
        LabError: The text is too short.
    """
    if len(ids) < _READ + _FIRST:
        raise LabError(
            f"{len(ids)} tokens are too few to measure on.", f"At least {_READ + _FIRST} are needed."
        )
    return _measure(model, tuple(ids[: min(_READ + _TIMED, model.config.context)]))


def _measure(model: Transformer, ids: tuple[int, ...]) -> Iterator[Progress | Finished[tuple[Measured, ...]]]:
    doing, total = "Measuring this machine", len(_WAYS) + 1
    yield Progress(doing, 0, total, "ways")
    with torch.inference_mode():
        exact = model(torch.tensor([ids]))[0].log_softmax(-1)  # (T, V)
    found: list[Measured] = []
    best = float("inf")
    for n, (blocks, head) in enumerate((("exact", "exact"), *_WAYS)):
        made = model
        seconds: list[float] = []
        divergences: list[float] = []
        try:
            if n:
                made = yield from pass_on(pack_model(model, blocks, head))
            for took, divergence in _write(made, ids, exact):
                seconds.append(took)
                divergences.append(divergence)
                yield Progress(doing, n, total, "ways")
                if len(seconds) == _FIRST and median(seconds) > _FAR * best:
                    break
        except (ValueError, RuntimeError):
            if not n:
                raise
            continue  # not for tables of these shapes, not on this machine, or not for these numbers
        mean = sum(divergences) / len(divergences) if n else 0.0  # of the exact one it is rounding
        if mean <= USABLE:  # a mean that is not a number is not
            found.append(Measured(blocks, head, median(seconds), mean, len(seconds)))
            best = min(best, found[-1].seconds) if n else best
    yield Finished(f"{len(found)} ways work on this machine.", tuple(found))


def _write(model: Transformer, ids: tuple[int, ...], exact: Tensor) -> Iterator[tuple[float, float]]:
    """Read token by token; give each one's time in seconds and its divergence in nats."""
    cache = KVCache(model.config)
    with torch.inference_mode():
        model(torch.tensor([ids[:_READ]]), cache=cache, last=1)
    for n in range(_READ, len(ids)):
        with torch.inference_mode():
            began = time.perf_counter()
            logits = model(torch.tensor([[ids[n]]]), cache=cache, last=1)[0, 0]
            took = time.perf_counter() - began
            divergence = float((exact[n].exp() * (exact[n] - logits.log_softmax(-1))).sum())
        yield took, divergence


def check_setting(setting: str) -> None:
    """Check that a setting is one of `SETTINGS`.

    Raises:
        LabError: It is not.
    """
    if setting not in SETTINGS:
        raise LabError(f'There is no setting "{setting}".', f"Choose one of: {', '.join(SETTINGS)}.")


def choose_way(measured: Sequence[Measured], setting: str) -> Measured:
    """The fastest way, or with "close" the fastest of at most 0.02 nats; perhaps the exact one.

    Raises:
        LabError: There is no such setting.
    """
    check_setting(setting)
    most = CLOSE if setting == "close" else USABLE
    return min((m for m in measured if m.divergence <= most), key=lambda m: m.seconds)


def pack_model(model: Transformer, blocks: str, head: str) -> Iterator[Progress | Finished[Transformer]]:
    """A second model that shares norms, token table and exact weights with the first, and keeps them packed.

    Args:
        model: The exact one.
        blocks: Kernel of the blocks' tables, a name of `KERNELS`.
        head: Of the head's.

    Raises:
        ValueError: A kernel does not take tables of these shapes.
        RuntimeError: This machine does not have it.
    """
    with torch.device("meta"):
        fast = Transformer(model.config)
    parts = [(name, part) for name, part in model.named_modules() if not list(part.children())]
    for n, (name, part) in enumerate(parts):
        if isinstance(part, Linear):
            kernel = KERNELS[head if name == "unembed" else blocks]
            fast.set_submodule(name, kernel.linear(part.weight, part.bias))
            yield Progress("Packing the weights", n, len(parts), "tables")
        else:
            fast.set_submodule(name, part)
    if model.unembed is None:
        fast.unembed = KERNELS[head].linear(model.embed.weight, None)
    yield Finished("The weights are packed.", fast.requires_grad_(False).eval())
