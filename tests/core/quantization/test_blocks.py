"""Blocks by hand, and what does not depend on how a table is cut into slices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from core.formats.blocks import dequantize
from core.problems import LabError
from core.quantization import blocks
from core.quantization.blocks import block_format, quantize, quantize_rows, writable

KINDS = [kind for kind in writable() if kind not in ("F32", "F16", "BF16")]


def back(raw: torch.Tensor, kind: str, numbers: int) -> torch.Tensor:
    out = torch.empty(numbers)
    dequantize(raw.reshape(-1), kind, out)
    return out


def test_a_block_of_q4_0_by_hand() -> None:
    """32 numbers from −8 to 7.5 in steps of a half.

    The one furthest from zero is −8, so d = −8 / −8 = 1, in float16 00 3c. Code = cut off(x + 8.5): −8 gives 0,
    −7.5 gives 1 (a half goes up), −7 gives 1, …, 7.5 gives 16, at most 15. Byte j holds the codes of numbers j
    and j + 16: 0 and 8 give 0x80, 1 and 9 give 0x91.
    """
    x = torch.arange(32) / 2 - 8
    raw = quantize(x, "Q4_0")[0].tolist()
    assert raw[:2] == [0x00, 0x3C]
    assert raw[2:5] == [0x80, 0x91, 0x91]
    assert raw[17] == 0xF8
    assert back(quantize(x, "Q4_0"), "Q4_0", 32)[:4].tolist() == [-8, -7, -7, -6]


def test_a_block_of_q8_0_rounds_halves_away_from_zero() -> None:
    x = torch.zeros(32)
    x[:4] = torch.tensor([127.0, 0.5, -0.5, 2.5])  # the largest is 127, so d is 1
    assert quantize(x, "Q8_0")[0, 2:].view(torch.int8)[:4].tolist() == [127, 1, -1, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_stay_zeros(kind: str) -> None:
    assert not back(quantize(torch.zeros(2, 512), kind), kind, 1024).any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_block_alone_is_the_same_as_among_others(kind: str) -> None:
    rows = torch.randn(40, 256)
    together = quantize(rows, kind)
    assert torch.equal(torch.cat([quantize(row, kind) for row in rows]), together)


@pytest.mark.parametrize("kind", ["Q4_K", "Q6_K", "Q5_1", "F16"])
def test_bytes_do_not_depend_on_slices_or_on_who_works_on_them(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = torch.randn(70, 512)
    whole = quantize(rows, kind)
    monkeypatch.setattr(blocks, "AT_ONCE", 3 * 512)
    monkeypatch.setattr(blocks, "AT_ONCE_QUICK", 3 * 512)
    assert torch.equal(quantize(rows, kind), whole)
    with ThreadPoolExecutor(3) as pool:
        pieces = list(quantize_rows(rows, kind, spread=pool.map))
    assert [piece.begin for piece in pieces] == list(range(0, 70, 3))
    assert torch.equal(torch.cat([piece.raw for piece in pieces]), whole)


def test_more_bits_have_smaller_errors() -> None:
    rows = torch.randn(64, 512)
    kinds = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "F16")
    errors = [
        float((back(quantize(rows, kind), kind, rows.numel()) - rows.view(-1)).square().mean())
        for kind in kinds
    ]
    assert errors == sorted(errors, reverse=True)


def test_importances_make_the_columns_that_count_more_exact() -> None:
    rows = torch.randn(256, 256)
    importance = torch.ones(256)
    importance[:16] = 1000.0
    plain, weighed = (
        back(quantize(rows, "Q2_K", w), "Q2_K", rows.numel()).view_as(rows) for w in (None, importance)
    )
    assert (weighed - rows)[:, :16].square().mean() < 0.8 * (plain - rows)[:, :16].square().mean()


@pytest.mark.parametrize(
    ("rows", "kind", "importance", "told"),
    [
        (torch.zeros(4, 100), "Q4_0", None, "Rows of 100 numbers cannot be cut into Q4_0's blocks of 32"),
        (torch.zeros(4, 256), "Q9_X", None, "The type Q9_X is not made here"),
        (torch.full((4, 256), float("inf")), "Q8_0", None, "holds inf at row 0, column 0"),
        (torch.zeros(4, 256), "Q4_K", torch.ones(255), "are 255 numbers, its rows 256"),
        (torch.zeros(4, 256), "Q4_K", -torch.ones(256), "negative or not finite"),
    ],
)
def test_what_cannot_be_quantized_is_refused(
    rows: torch.Tensor, kind: str, importance: torch.Tensor | None, told: str
) -> None:
    with pytest.raises(LabError, match=told):
        quantize(rows, kind, importance)


def test_a_sum_that_overflows_is_no_fault() -> None:
    rows = torch.full((2, 256), 3e38)
    assert quantize(rows, "BF16").shape == (2, 512)


def test_sizes_are_those_of_the_reader(tmp_path: Path) -> None:
    for kind in KINDS:
        form = block_format(kind)
        assert quantize(torch.ones(form.block), kind).numel() == form.size
