"""Ways of multiplying one token by a table that read fewer bits than the exact float32 does.

Writing reads every weight once for each token: what is stored in fewer bits is read sooner, and is a little
wrong. Which kernel of torch is fast differs from processor to processor, and how wrong it is from model to
model, so that `fast.py` measures both. Activations, norms and attention stay float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_GROUP = 32  # numbers of a row that share a scale in the 4-bit kernel


class PackedLinear(nn.Module):
    """A table that is kept a second time in fewer bits, for texts of which one token is new.

    Several tokens at once are multiplied exactly: each weight then serves all of them, and fewer bits gain
    nothing. Takes the place of `nn.Linear`.

    Args:
        weight: float32, shape (out, in); shared with the exact model.
        bias: float32, shape (out,), or None.

    Attributes:
        steps: What the rows and the columns of a table must be multiples of. torch checks it for some kernels
            only; others then read beyond the table's end.

    Raises:
        ValueError: The kernel does not take this shape.
        RuntimeError: This machine does not have it.
    """

    steps = (1, 1)

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        if any(size % step for size, step in zip(weight.shape, self.steps, strict=True)):
            raise ValueError(f"{tuple(weight.shape)} is no multiple of {self.steps}.")
        self.weight = weight
        self.bias = bias
        self.pack(weight)

    def pack(self, weight: Tensor) -> None:
        """Keep what `multiply` needs."""
        raise NotImplementedError

    def multiply(self, x: Tensor) -> Tensor:
        """x Wᵀ, (n, out), from x, float32, (n, in)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, out) from (B, T, in)."""
        if x.shape[-2] > 1:
            return F.linear(x, self.weight, self.bias)
        y = self.multiply(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class _Half(PackedLinear):
    """16-bit floating point: weights and activations."""

    dtype = torch.float16

    def pack(self, weight: Tensor) -> None:
        self.packed = weight.to(self.dtype, memory_format=torch.contiguous_format)

    def multiply(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.dtype), self.packed).float()


class _Brain(_Half):
    """bfloat16: as many bits, fewer of them for digits; some processors multiply it by themselves."""

    dtype = torch.bfloat16


class _Int8Weights(PackedLinear):
    """8-bit weights with one scale for each row; activations in bfloat16."""

    steps = (16, 32)

    def pack(self, weight: Tensor) -> None:
        whole, scale = _eight_bits(weight)
        self.packed, self.scale = whole, scale.bfloat16()

    def multiply(self, x: Tensor) -> Tensor:
        return torch._weight_int8pack_mm(x.bfloat16(), self.packed, self.scale).float()


class _Int4Weights(PackedLinear):
    """4-bit weights with a scale and an offset for 32 of them; activations in bfloat16.

    A file of type Q4_1 stores its weights on just such a grid, from the least to the largest of a block, so
    that only scales and offsets lose digits here.
    """

    steps = (16, _GROUP)

    def pack(self, weight: Tensor) -> None:
        rows, width = weight.shape
        blocks = weight.reshape(rows, width // _GROUP, _GROUP)
        low, high = blocks.amin(-1), blocks.amax(-1)  # (out, in / 32)
        step = ((high - low) / 15).clamp_min(torch.finfo(torch.float32).tiny)
        level = ((blocks - low[..., None]) / step[..., None]).round().to(torch.int32).view(rows, width)
        self.packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(level, 1)
        middle = low + 8 * step  # the kernel computes (level − 8) · step + middle
        self.scales = torch.stack((step, middle), -1).transpose(0, 1).contiguous().bfloat16()

    def multiply(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), self.packed, _GROUP, self.scales)
        return y.float()


class _Int8Both(PackedLinear):
    """8-bit weights with one scale for each row, times activations rounded to 8 bits as they come."""

    reduced = False

    def pack(self, weight: Tensor) -> None:
        whole, scale = _eight_bits(weight)
        zeros = torch.zeros(len(scale), dtype=torch.int64)
        with warnings.catch_warnings():
            # WORKAROUND: torch announces that this way of making the kernel's input will go; the one after
            # torch 2.13 retires these lines.
            warnings.simplefilter("ignore", UserWarning)
            made = torch._make_per_channel_quantized_tensor(whole, scale.double(), zeros, 0)
        self.packed = torch.ops.quantized.linear_prepack(made, None)

    def multiply(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.quantized.linear_dynamic(x, self.packed, self.reduced)
        return y


class _Int8Both7(_Int8Both):
    """Activations in 7 bits: sums of two products cannot overflow 16 bits on processors without VNNI."""

    reduced = True


@dataclass(frozen=True)
class Kernel:
    """One way.

    Attributes:
        name: Short, for files and the command line.
        title: What a person reads.
        linear: Makes a table of it.
    """

    name: str
    title: str
    linear: type[PackedLinear]


KERNELS: Mapping[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Kernel("f16", "16-bit weights", _Half),
        Kernel("bf16", "bfloat16", _Brain),
        Kernel("int8", "8-bit weights", _Int8Weights),
        Kernel("int8-dynamic", "8-bit weights and activations", _Int8Both),
        Kernel("int8-dynamic-7", "8-bit weights, 7-bit activations", _Int8Both7),
        Kernel("int4", "4-bit weights", _Int4Weights),
    )
}


def _eight_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from −127 to 127, int8, and the scale of each row."""
    scale = (weight.abs().amax(1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    return (weight / scale[:, None]).round().to(torch.int8, memory_format=torch.contiguous_format), scale
