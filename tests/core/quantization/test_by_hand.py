"""Rounding as it is taught, and blocks taken apart."""

from __future__ import annotations

import pytest
import torch

from core.formats.blocks import dequantize
from core.problems import LabError
from core.quantization.blocks import writable
from core.quantization.by_hand import Rounding, layout, round_weights, small_scales, take_apart

BLOCKS = [kind for kind in writable() if kind not in ("F32", "F16", "BF16")]


def test_absmax_by_hand() -> None:
    """4 bits around zero: codes −7 … 7. The largest is 0.7, so the scale is 0.1."""
    made = round_weights(torch.tensor([0.7, -0.34, 0.04, 0.26]), Rounding(per="row"))
    assert made.codes.tolist() == [7, -3, 0, 3]
    torch.testing.assert_close(made.back, torch.tensor([0.7, -0.3, 0.0, 0.3]))
    assert made.levels(0).tolist() == pytest.approx([c / 10 for c in range(-7, 8)])
    assert made.error == pytest.approx(((0.04**2 + 0.04**2 + 0.04**2) / 4) ** 0.5, rel=1e-5)


def test_zero_point_by_hand() -> None:
    """2 bits over −1 … 2: scale 1, the code of 0 is 1."""
    made = round_weights(torch.tensor([-1.0, 0.0, 0.6, 2.0]), Rounding(bits=2, symmetric=False, per="row"))
    assert (made.scale.tolist(), made.zero.tolist()) == ([1.0], [1])
    assert made.codes.tolist() == [0, 1, 2, 3]
    assert made.back.tolist() == [-1.0, 0.0, 1.0, 2.0]


def test_zero_stays_zero_with_a_zero_point() -> None:
    weights = torch.rand(8, 32) + 0.5
    weights[:, 3] = 0
    made = round_weights(weights, Rounding(bits=3, symmetric=False))
    assert not made.back[:, 3].any()


def test_an_outlier_ruins_its_group_alone() -> None:
    weights = torch.randn(1, 128)
    weights[0, 5] = 100.0
    errors = (round_weights(weights, Rounding(group=32)).back - weights).view(4, 32).square().mean(1)
    assert errors[0] > 10 * errors[1:].max()
    whole = (round_weights(weights, Rounding(per="row")).back - weights).view(4, 32).square().mean(1)
    assert whole[1:].min() > 10 * errors[1:].max()


@pytest.mark.parametrize("bits", range(2, 9))
def test_no_weight_is_further_off_than_half_a_step(bits: int) -> None:
    weights = torch.randn(16, 64)
    for symmetric in (True, False):
        made = round_weights(weights, Rounding(bits=bits, symmetric=symmetric, per="tensor"))
        assert made.largest <= float(made.scale[0]) * 0.5001
        assert int(made.codes.amax()) <= made.high
        assert int(made.codes.amin()) >= made.low


def test_smaller_groups_cost_bits() -> None:
    made = round_weights(torch.randn(4, 64), Rounding(group=32))
    assert made.bits_per_weight == 4.5
    assert round_weights(torch.zeros(4, 64), Rounding(symmetric=False, group=32)).bits_per_weight == 4.625


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_block_taken_apart_is_whole(kind: str) -> None:
    size = {part.name: part.end - part.begin for part in layout(kind)}
    weights = torch.randn(256 if kind.endswith("_K") else 32)
    block = take_apart(weights, kind)
    assert sum(size.values()) == len(block.raw) == layout(kind)[-1].end
    assert 0 < block.error < 0.5


@pytest.mark.parametrize("kind", [kind for kind in BLOCKS if kind.endswith("_K")])
def test_scales_of_small_blocks_are_those_that_reading_uses(kind: str) -> None:
    """With all codes alike a block differs from one small block to the next by the scales alone."""
    block = take_apart(torch.randn(256), kind)
    found = small_scales(block)
    small = 8 if kind in ("Q4_K", "Q5_K") else 16
    assert len(found.scales) == small
    rebuilt = torch.empty(256)
    dequantize(block.raw, kind, rebuilt)
    spread = rebuilt.view(small, -1)
    for n, scale in enumerate(found.scales):
        levels = (spread[n] + (found.dmin * found.minima[n] if found.minima else 0)) / (found.d * scale or 1)
        assert torch.allclose(levels, levels.round(), atol=1e-2)


@pytest.mark.parametrize(
    ("weights", "rounding", "told"),
    [
        (torch.zeros(4, 30), Rounding(), "Rows of 30 weights cannot be cut into groups of 32"),
        (torch.tensor([float("nan")] * 32), Rounding(), "not finite"),
        (torch.zeros(32), Rounding(bits=9), "above 8"),
    ],
)
def test_what_cannot_be_rounded_is_told(weights: torch.Tensor, rounding: Rounding, told: str) -> None:
    with pytest.raises(LabError, match=told):
        round_weights(weights, rounding)


def test_types_without_blocks_are_told() -> None:
    with pytest.raises(LabError, match="F16 has no blocks"):
        take_apart(torch.zeros(32), "F16")
    with pytest.raises(LabError, match="A block of Q4_K has 256 weights, not 32"):
        take_apart(torch.zeros(32), "Q4_K")
