"""What the blocks of a quantized tensor hold: bytes to float32, bit for bit as ggml computes it.

A block of `n` numbers shares a scale d, and in some formats a minimum m; the K formats cut a block of 256
into smaller ones with whole-number scales of their own. Which bits hold which number is the layout of
ggml-quants.c (`dequantize_row_*`); its order of operations is kept, since float32 rounds after each. Making
blocks is elsewhere (`core/quantization`).

Letters: b blocks; h halves of 128 numbers, c chunks of 64, s small blocks of 16 or 32; l a place in one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.problems import LabError

PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Formats without blocks, little-endian."""

NONLINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""The values of IQ4_NL's 16 codes (`kvalues_iq4nl`)."""


def dequantize(raw: Tensor, kind: str, out: Tensor) -> None:
    """Write the numbers of whole blocks into `out`.

    Args:
        raw: Bytes as they stand in the file, uint8, shape (b · bytes of a block).
        kind: A name in `readable`.
        out: float32, contiguous, shape (b · numbers of a block).

    Raises:
        LabError: No format of this name is read here.
    """
    if kind in PLAIN:
        out.copy_(raw.view(PLAIN[kind]))
    elif kind in _FORMATS:
        numbers, size, read = _FORMATS[kind]
        read(raw.view(-1, size), out.view(-1, numbers))
    else:
        raise LabError(
            f"Weights of the type {kind} are not read here.",
            f"Choose a file with one of these types: {', '.join(readable())}.",
        )


def readable() -> tuple[str, ...]:
    """The names of all formats that `dequantize` reads."""
    return (*PLAIN, *_FORMATS)


def _half(raw: Tensor, at: int) -> Tensor:
    """The float16 that begins at byte `at` of every block, as float32."""
    return raw[:, at : at + 2].contiguous().view(torch.float16).float()  # (b, 1)


def _shifted(raw: Tensor, shifts: tuple[int, ...], mask: int) -> Tensor:
    """Some bits of every byte, once for each shift: (b, …, 1, l) to (b, …, shifts, l)."""
    return torch.cat([(raw >> shift) & mask for shift in shifts], dim=-2)


def _q4(raw: Tensor) -> Tensor:
    """16 bytes of low, then high nibbles."""
    return _shifted(raw[:, None, :], (0, 4), 15)  # (b, 2, 16)


def _read_q4_0(raw: Tensor, out: Tensor) -> None:
    q = out.view(-1, 2, 16).copy_(_q4(raw[:, 2:])).sub_(8)
    q.mul_(_half(raw, 0)[:, :, None])


def _read_q4_1(raw: Tensor, out: Tensor) -> None:
    q = out.view(-1, 2, 16).copy_(_q4(raw[:, 4:]))
    q.mul_(_half(raw, 0)[:, :, None]).add_(_half(raw, 2)[:, :, None])


def _fifth_bit(raw: Tensor) -> Tensor:
    """Bit i of 4 bytes is bit 4 of the number i."""
    bits = (raw[:, :, None] >> torch.arange(8, dtype=torch.uint8)) & 1  # (b, byte, bit)
    return bits.view(-1, 2, 16) << 4


def _read_q5_0(raw: Tensor, out: Tensor) -> None:
    q = out.view(-1, 2, 16).copy_(_q4(raw[:, 6:]) | _fifth_bit(raw[:, 2:6])).sub_(16)
    q.mul_(_half(raw, 0)[:, :, None])


def _read_q5_1(raw: Tensor, out: Tensor) -> None:
    q = out.view(-1, 2, 16).copy_(_q4(raw[:, 8:]) | _fifth_bit(raw[:, 4:8]))
    q.mul_(_half(raw, 0)[:, :, None]).add_(_half(raw, 2)[:, :, None])


def _read_q8_0(raw: Tensor, out: Tensor) -> None:
    out.copy_(raw[:, 2:].view(torch.int8)).mul_(_half(raw, 0))


def _read_iq4_nl(raw: Tensor, out: Tensor) -> None:
    values = torch.tensor(NONLINEAR, dtype=torch.float32)
    out.view(-1, 2, 16).copy_(values[_q4(raw[:, 2:]).long()]).mul_(_half(raw, 0)[:, :, None])


def _read_q2_k(raw: Tensor, out: Tensor) -> None:
    scales = raw[:, :16].view(-1, 2, 4, 2, 1)  # (b, h, quarter, s, 1)
    q = out.view(-1, 2, 4, 32).copy_(_shifted(raw[:, 16:80].reshape(-1, 2, 1, 32), (0, 2, 4, 6), 3))
    w = q.view(-1, 2, 4, 2, 16)
    d, least = _half(raw, 80)[:, :, None, None, None], _half(raw, 82)[:, :, None, None, None]
    w.mul_(d * (scales & 15)).sub_(least * (scales >> 4))


def _read_q3_k(raw: Tensor, out: Tensor) -> None:
    low = _shifted(raw[:, 32:96].reshape(-1, 2, 1, 32), (0, 2, 4, 6), 3)  # (b, h, quarter, l)
    high = _shifted(raw[:, None, :32], tuple(range(8)), 1).view(-1, 2, 4, 32) << 2
    q = out.view(-1, 2, 4, 32).copy_(low | high).sub_(4)
    packed = raw[:, 96:104]
    nibbles = torch.cat((packed & 15, packed >> 4), dim=1)  # (b, s)
    upper = _shifted(raw[:, None, 104:108], (0, 2, 4, 6), 3).reshape(-1, 16)
    scales = (nibbles | upper << 4).to(torch.int8).sub_(32)
    q.view(-1, 16, 16).mul_((_half(raw, 108) * scales)[:, :, None])


def _six_bits(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and minima of 8 small blocks from 12 bytes, each (b, 8)."""
    first, second, third = raw[:, 0:4], raw[:, 4:8], raw[:, 8:12]
    scales = torch.cat((first & 63, (third & 15) | (first >> 6) << 4), dim=1)
    minima = torch.cat((second & 63, (third >> 4) | (second >> 6) << 4), dim=1)
    return scales, minima


def _scale_and_shift(raw: Tensor, q: Tensor) -> None:
    """w = (d · scale) · q − (dmin · minimum), for 8 small blocks of 32: q is (b, 8, 32)."""
    scales, minima = _six_bits(raw[:, 4:16])
    q.mul_((_half(raw, 0) * scales)[:, :, None]).sub_((_half(raw, 2) * minima)[:, :, None])


def _read_q4_k(raw: Tensor, out: Tensor) -> None:
    q = out.view(-1, 4, 2, 32).copy_(_shifted(raw[:, 16:].reshape(-1, 4, 1, 32), (0, 4), 15))
    _scale_and_shift(raw, q.view(-1, 8, 32))


def _read_q5_k(raw: Tensor, out: Tensor) -> None:
    low = _shifted(raw[:, 48:].reshape(-1, 4, 1, 32), (0, 4), 15)  # (b, c, 2, l)
    high = _shifted(raw[:, None, 16:48], tuple(range(8)), 1).view(-1, 4, 2, 32) << 4
    q = out.view(-1, 4, 2, 32).copy_(low | high)
    _scale_and_shift(raw, q.view(-1, 8, 32))


def _read_q6_k(raw: Tensor, out: Tensor) -> None:
    low = _shifted(raw[:, :128].reshape(-1, 2, 1, 64), (0, 4), 15).view(-1, 2, 4, 32)  # (b, h, quarter, l)
    high = _shifted(raw[:, 128:192].reshape(-1, 2, 1, 32), (0, 2, 4, 6), 3) << 4
    q = out.view(-1, 2, 4, 32).copy_(low | high).sub_(32)
    scales = raw[:, 192:208].view(torch.int8)
    q.view(-1, 16, 16).mul_((_half(raw, 208) * scales)[:, :, None])


_FORMATS: dict[str, tuple[int, int, Callable[[Tensor, Tensor], None]]] = {
    "Q4_0": (32, 18, _read_q4_0),
    "Q4_1": (32, 20, _read_q4_1),
    "Q5_0": (32, 22, _read_q5_0),
    "Q5_1": (32, 24, _read_q5_1),
    "Q8_0": (32, 34, _read_q8_0),
    "Q2_K": (256, 84, _read_q2_k),
    "Q3_K": (256, 110, _read_q3_k),
    "Q4_K": (256, 144, _read_q4_k),
    "Q5_K": (256, 176, _read_q5_k),
    "Q6_K": (256, 210, _read_q6_k),
    "IQ4_NL": (32, 18, _read_iq4_nl),
}
"""Numbers and bytes of a block, and what reads it."""
