"""The parts of a pass: their shapes are those of a trace, their costs those that torch counts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.model.anatomy import pass_parts, sum_parameters
from core.model.config import ModelConfig
from core.model.initial import new_model
from core.model.source import open_model
from core.model.trace import Trace
from tests.core.model.test_shelf import tiny

COMMON = {
    "vocab_size": 50,
    "context": 32,
    "width": 24,
    "layers": 2,
    "heads": 4,
    "hidden": 40,
    "norm_eps": 1e-5,
}
CONFIGS = {
    "gpt2": ModelConfig(
        family="gpt2", kv_heads=4, head_width=6, norm="layer", positions="learned", mlp="gelu_tanh",
        attention_bias=True, mlp_bias=True, qk_norm=False, tied=True, **COMMON,
    ),
    "llama": ModelConfig(
        family="llama", kv_heads=2, head_width=6, norm="rms", positions="rope", mlp="swiglu",
        attention_bias=False, mlp_bias=False, qk_norm=False, tied=False, **COMMON,
    ),
    "qwen3": ModelConfig(
        family="qwen3", kv_heads=1, head_width=10, norm="rms", positions="rope", mlp="swiglu",
        attention_bias=False, mlp_bias=False, qk_norm=True, tied=True, **COMMON,
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", CONFIGS)
def test_shapes_are_those_of_a_trace(family: str) -> None:
    config = CONFIGS[family]
    model = new_model(config, torch.Generator().manual_seed(1))
    trace = Trace(["*"])
    with torch.inference_mode():
        model(torch.tensor([[1, 2, 3, 4, 5]]), explicit=True, trace=trace)
    parts = [part for part in pass_parts(config, 5) if part.name != "probabilities"]
    assert [part.name for part in parts] == [n for n in trace.tensors if not n.endswith(".attn.result")]
    for part in parts:
        assert part.shape == tuple(trace[part.name].shape[1:]), part.name
        assert len(part.axes) == len(part.shape), part.name


@pytest.mark.parametrize("family", CONFIGS)
def test_costs_are_those_that_torch_counts(family: str) -> None:
    config = CONFIGS[family]
    model = new_model(config, torch.Generator().manual_seed(1))
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        model(torch.tensor([list(range(7))]), explicit=True)
    assert sum(part.flops for part in pass_parts(config, 7)) == counter.get_total_flops()


@pytest.mark.parametrize("family", CONFIGS)
def test_every_parameter_makes_a_part(family: str) -> None:
    config = CONFIGS[family]
    used = {name for part in pass_parts(config, 3) for name in part.parameters}
    assert used == set(config.shapes())


def test_parameters_add_up_to_what_the_file_holds(tmp_path: Path) -> None:
    source = open_model(tiny(tmp_path / "a"))
    added = sum_parameters(source)
    expected = sum(math.prod(shape) for shape in source.config.shapes().values())
    assert added.numbers == expected == added.in_file
    assert sum(group.stored for group in added.groups) == added.stored == 4 * expected
    assert {group.title for group in added.groups} >= {"token embedding", "final norm (bias)"}
