"""What blocks hold, bit for bit as the `gguf` package computes it, for random bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.formats.blocks import PLAIN, dequantize, readable
from core.formats.gguf import GGML_TYPES
from core.problems import LabError

quants = pytest.importorskip("gguf.quants")
kinds = pytest.importorskip("gguf").GGMLQuantizationType

BLOCKS = {form.name: form for form in GGML_TYPES.values()}


@pytest.mark.parametrize("kind", [kind for kind in readable() if kind not in PLAIN])
def test_random_blocks(kind: str) -> None:
    form = BLOCKS[kind]
    raw = np.random.default_rng(5).integers(0, 256, (4096, form.size), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = quants.dequantize(raw.reshape(-1), kinds[kind]).reshape(-1)
    out = torch.empty(4096 * form.block)
    dequantize(torch.from_numpy(raw.reshape(-1)), kind, out)
    bits, expected_bits = out.numpy().view(np.uint32), expected.view(np.uint32)
    both_nan = np.isnan(out.numpy()) & np.isnan(expected)
    assert bool(((bits == expected_bits) | both_nan).all())


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_numbers(kind: str) -> None:
    numbers = torch.randn(1000).to(PLAIN[kind])
    out = torch.empty(1000)
    dequantize(numbers.view(torch.uint8), kind, out)
    assert torch.equal(out, numbers.float())


def test_what_is_not_read_is_named() -> None:
    with pytest.raises(LabError, match="IQ1_S are not read"):
        dequantize(torch.zeros(50, dtype=torch.uint8), "IQ1_S", torch.empty(256))
