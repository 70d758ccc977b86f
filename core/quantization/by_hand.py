"""Rounding as it is taught: a grid of 2^bits levels over some weights, and what that costs.

Absmax: levels lie evenly around zero, scale = max |x| / (2^(bits−1) − 1), code = round(x / scale).
Zero-point: levels cover the range from the smallest to the largest weight, scale = (max − min) /
(2^bits − 1), and the code of 0 is a whole number, so that 0 stays 0. (Dettmers et al., LLM.int8(),
https://arxiv.org/abs/2208.07339, section 2.) One scale serves the whole tensor, a row, or a group of weights
in a row: the smaller the group, the fewer weights an outlier spoils and the more bits the scales take.

These files are for looking: what a model is written with is `blocks.py`. `taken_apart` shows the parts of a
block of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.formats.blocks import dequantize
from core.problems import LabError
from core.quantization.blocks import block_format, quantize
from core.settings import check, setting

SCALE_BITS = 16  # a scale is stored as float16
WHOLE_TENSOR, EACH_ROW, GROUPS = "tensor", "row", "group"


@dataclass(frozen=True)
class Rounding:
    """How weights are rounded."""

    bits: int = setting(
        4, title="Bits", help="Bits of a code: 4 bits have 16 levels.", unit="bits",
        more_means="finer levels, a larger file", low=2, high=8,
    )  # fmt: skip
    symmetric: bool = setting(
        True, title="Around zero",
        help="Levels lie evenly around zero (absmax); else they cover the range (zero-point).",
    )  # fmt: skip
    per: str = setting(
        GROUPS, title="One scale for",
        help="What shares a scale: the whole tensor, a row, or a group in a row.",
        choices=(WHOLE_TENSOR, EACH_ROW, GROUPS),
    )  # fmt: skip
    group: int = setting(
        32, title="Group", help="Weights of a group.", unit="weights",
        more_means="fewer scales to store, more weights that an outlier spoils", low=2, high=65_536,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rounded:
    """Weights after rounding; a group is a row, all of them, or a piece of a row.

    Attributes:
        codes: Whole numbers, int32, in the shape of the weights.
        scale: Distance of two levels, one for each group, (G).
        zero: The code that stands for 0, int32, (G); 0 where levels lie around zero.
        back: What the codes stand for, in the shape of the weights.
        low: The smallest code.
        high: The largest code.
        bits_per_weight: Codes, and the scales (and zero codes) spread over the weights.
        error: Root mean square of the errors.
        largest: The largest error of one weight.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor
    back: Tensor
    low: int
    high: int
    bits_per_weight: float
    error: float
    largest: float

    def levels(self, group: int) -> Tensor:
        """All values that weights of a group can have, from the smallest."""
        codes = torch.arange(self.low, self.high + 1)
        return (codes - int(self.zero[group])) * self.scale[group]


def round_weights(weights: Tensor, rounding: Rounding) -> Rounded:
    """Round a row, (C), or a table, (R, C).

    Raises:
        LabError: A setting is outside its limits, rows cannot be cut into such groups, or a weight is not
            finite.

    >>> made = round_weights(torch.tensor([0.1, -0.5, 0.7, 0.0]), Rounding(bits=4, per="row"))
    >>> made.codes.tolist(), round(float(made.scale[0]), 6)
    ([1, -5, 7, 0], 0.1)
    """
    check(rounding)
    if not bool(torch.isfinite(weights).all()):
        raise LabError("A weight is not finite.", "Choose another tensor.")
    columns = weights.shape[-1]
    size = {WHOLE_TENSOR: weights.numel(), EACH_ROW: columns}.get(rounding.per, rounding.group)
    if rounding.per == GROUPS and columns % size:
        raise LabError(
            f"Rows of {columns:,} weights cannot be cut into groups of {size:,}.",
            "Choose a group that divides a row, such as 32.",
        )
    x = weights.float().reshape(-1, size)  # (G, n)
    if rounding.symmetric:
        high = 2 ** (rounding.bits - 1) - 1
        low, scale = -high, x.abs().amax(1) / high
        zero = torch.zeros(len(x), dtype=torch.int32)
    else:
        low, high = 0, 2**rounding.bits - 1
        least, most = x.amin(1).clamp(max=0), x.amax(1).clamp(min=0)  # 0 is among the levels
        scale = (most - least) / high
        zero = torch.where(scale > 0, (-least / scale).round(), 0.0).to(torch.int32)
    safe = torch.where(scale > 0, scale, 1.0)
    codes = ((x / safe[:, None]).round().to(torch.int32) + zero[:, None]).clamp(low, high)
    back = (codes - zero[:, None]) * scale[:, None]
    wrong = back - x
    extra = SCALE_BITS + (0 if rounding.symmetric else rounding.bits)
    return Rounded(
        codes.view(weights.shape),
        scale,
        zero,
        back.view(weights.shape),
        low,
        high,
        rounding.bits + extra / size,
        math.sqrt(float(wrong.square().mean())),
        float(wrong.abs().max()),
    )


@dataclass(frozen=True)
class Part:
    """Some bytes of a block.

    Attributes:
        name: As ggml calls them: "d", "scales", "qs".
        begin: The first byte.
        end: The byte after the last one.
        about: What they hold.
    """

    name: str
    begin: int
    end: int
    about: str


@dataclass(frozen=True, eq=False)
class TakenApart:
    """A block and its parts.

    Attributes:
        kind: Its type.
        raw: Its bytes, uint8.
        parts: What they are, in their order.
        back: What it stands for, float32, (n).
        weights: What it was made of, (n).
    """

    kind: str
    raw: Tensor
    parts: tuple[Part, ...]
    back: Tensor
    weights: Tensor

    @property
    def error(self) -> float:
        """Root mean square of the errors."""
        return math.sqrt(float((self.back - self.weights).square().mean()))


_D = "the scale of the block, float16"
_DMIN = "the scale of the minima, float16"
_LAYOUTS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Q8_0": (("d", 2, _D), ("qs", 32, "32 codes of 8 bits")),
    "Q4_0": (("d", 2, _D), ("qs", 16, "32 codes of 4 bits, two a byte")),
    "Q4_1": (("d", 2, _D), ("m", 2, "the minimum, float16"), ("qs", 16, "32 codes of 4 bits, two a byte")),
    "Q5_0": (("d", 2, _D), ("qh", 4, "the fifth bit of 32 codes"), ("qs", 16, "their lower 4 bits")),
    "Q5_1": (
        ("d", 2, _D), ("m", 2, "the minimum, float16"), ("qh", 4, "the fifth bit of 32 codes"),
        ("qs", 16, "their lower 4 bits"),
    ),
    "IQ4_NL": (("d", 2, _D), ("qs", 16, "32 places in a table of 16 uneven levels")),
    "Q2_K": (
        ("scales", 16, "for 16 small blocks: 4 bits of scale, 4 of minimum"),
        ("qs", 64, "256 codes of 2 bits, four a byte"), ("d", 2, _D), ("dmin", 2, _DMIN),
    ),
    "Q3_K": (
        ("hmask", 32, "the third bit of 256 codes"), ("qs", 64, "their lower 2 bits, four a byte"),
        ("scales", 12, "16 scales of 6 bits"), ("d", 2, _D),
    ),
    "Q4_K": (
        ("d", 2, _D), ("dmin", 2, _DMIN), ("scales", 12, "8 scales and 8 minima of 6 bits"),
        ("qs", 128, "256 codes of 4 bits, two a byte"),
    ),
    "Q5_K": (
        ("d", 2, _D), ("dmin", 2, _DMIN), ("scales", 12, "8 scales and 8 minima of 6 bits"),
        ("qh", 32, "the fifth bit of 256 codes"), ("qs", 128, "their lower 4 bits, two a byte"),
    ),
    "Q6_K": (
        ("ql", 128, "the lower 4 bits of 256 codes"), ("qh", 64, "their upper 2 bits, four a byte"),
        ("scales", 16, "16 scales of 8 bits with sign"), ("d", 2, _D),
    ),
}  # fmt: skip


def layout(kind: str) -> tuple[Part, ...]:
    """The parts of a block, in the order in which they lie in a file.

    Raises:
        LabError: The type has no blocks, or is not made here.

    >>> [(part.name, part.begin, part.end) for part in layout("Q4_K")]
    [('d', 0, 2), ('dmin', 2, 4), ('scales', 4, 16), ('qs', 16, 144)]
    """
    block_format(kind)
    if kind not in _LAYOUTS:
        raise LabError(
            f"{kind} has no blocks: every number stands for itself.", "Choose a type such as Q4_K."
        )
    parts, begin = [], 0
    for name, size, about in _LAYOUTS[kind]:
        parts.append(Part(name, begin, begin + size, about))
        begin += size
    return tuple(parts)


def take_apart(weights: Tensor, kind: str) -> TakenApart:
    """Make one block and show its parts.

    Args:
        weights: As many as the type's block has, (n).
        kind: The type.

    Raises:
        LabError: Another number of weights, one is not finite, or the type has no blocks.
    """
    parts, size = layout(kind), block_format(kind).block
    if weights.shape != (size,):
        raise LabError(
            f"A block of {kind} has {size} weights, not {weights.numel():,}.", f"Choose {size} in a row."
        )
    raw = quantize(weights.float(), kind, name="the block").view(-1)
    back = torch.empty(size)
    dequantize(raw, kind, back)
    return TakenApart(kind, raw, parts, back, weights.float())


@dataclass(frozen=True)
class SmallScales:
    """The two layers of scales of a K block: whole numbers, times a scale in 16 bits.

    Attributes:
        d: What the whole numbers are multiplied with.
        dmin: The same for the minima; 0 where the type has none.
        scales: One whole number for each small block.
        minima: The same, or empty.
    """

    d: float
    dmin: float
    scales: tuple[int, ...]
    minima: tuple[int, ...]


def small_scales(block: TakenApart) -> SmallScales:
    """The scales of small blocks: 8 of 32 weights in Q4_K and Q5_K, 16 of 16 in Q2_K, Q3_K and Q6_K.

    Raises:
        LabError: The type has no small blocks.
    """
    part = {p.name: block.raw[p.begin : p.end] for p in block.parts}
    if "scales" not in part:
        raise LabError(f"{block.kind} has no small blocks.", "Choose a K type, such as Q4_K.")
    halves = {n: float(part[n].clone().view(torch.float16)) for n in ("d", "dmin") if n in part}
    s = part["scales"].to(torch.int32)
    minima: list[int] = []
    if block.kind in ("Q4_K", "Q5_K"):
        first, second, third = s[:4], s[4:8], s[8:]
        scales = [*(first & 63).tolist(), *((third & 15) | (first >> 6) << 4).tolist()]
        minima = [*(second & 63).tolist(), *((third >> 4) | (second >> 6) << 4).tolist()]
    elif block.kind == "Q2_K":
        scales, minima = (s & 15).tolist(), (s >> 4).tolist()
    elif block.kind == "Q6_K":
        scales = part["scales"].clone().view(torch.int8).tolist()
    else:
        low = torch.cat((s[:8] & 15, s[:8] >> 4))
        high = torch.cat([(s[8:] >> shift) & 3 for shift in (0, 2, 4, 6)])
        scales = ((low | high << 4) - 32).tolist()
    return SmallScales(halves["d"], halves.get("dmin", 0.0), tuple(scales), tuple(minima))
