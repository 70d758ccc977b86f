"""The fast path: near the exact one, measured, remembered, and gone with its model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from core.model.config import ModelConfig
from core.model.fast import CLOSE, USABLE, Measured, choose_way, measure_kernels, pack_model
from core.model.fast_memory import FILE, FastMemory
from core.model.initial import new_model
from core.model.kernels import KERNELS
from core.model.shelf import LoadedModel, Shelf
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from tests.core.model.test_shelf import take, tiny

IDS = tuple(n * 7 % 96 for n in range(80))


def small_model(tied: bool = True) -> Transformer:
    config = ModelConfig(
        family="llama", vocab_size=96, context=128, width=64, layers=2, heads=4, kv_heads=2, head_width=16,
        hidden=160, norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu", attention_bias=False,
        mlp_bias=False, qk_norm=False, tied=tied,
    )  # fmt: skip
    return new_model(config, torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("tied", [True, False])
def test_every_kernel_gives_nearly_the_exact_answer(kernel: str, tied: bool) -> None:
    model = small_model(tied)
    fast = run_to_end(pack_model(model, kernel, kernel)).result
    cut = torch.tensor([[5]])
    with torch.inference_mode():
        exact, near = model(cut)[0, 0], fast(cut)[0, 0]
        assert torch.equal(fast(torch.tensor([IDS])), model(torch.tensor([IDS]))), "many tokens at once"
    assert not torch.equal(near, exact)
    divergence = float((exact.softmax(-1) * (exact.log_softmax(-1) - near.log_softmax(-1))).sum())
    assert 0 <= divergence < {"f16": 1e-6, "bf16": 1e-4}.get(kernel, 0.01), divergence
    assert fast.embed.weight is model.embed.weight, "shared, not copied"


def test_measured_ways_are_numbers_and_the_exact_one_is_first() -> None:
    measured = run_to_end(measure_kernels(small_model(), IDS)).result
    assert measured[0].blocks == "exact"
    assert measured[0].divergence == 0
    assert len(measured) > 2
    assert all(0 <= each.divergence <= USABLE and each.seconds > 0 for each in measured)
    assert all(each.title for each in measured)


def test_a_table_that_a_kernel_does_not_take_is_left_out() -> None:
    config = ModelConfig(
        family="gpt2", vocab_size=30, context=64, width=12, layers=1, heads=2, kv_heads=2, head_width=6,
        hidden=20, norm="layer", norm_eps=1e-5, positions="learned", mlp="gelu_tanh", attention_bias=True,
        mlp_bias=True, qk_norm=False, tied=True,
    )  # fmt: skip
    measured = run_to_end(
        measure_kernels(new_model(config, torch.Generator().manual_seed(1)), [n % 30 for n in range(60)])
    ).result
    assert not any(each.blocks == "int4" for each in measured), "12 numbers are no block of 32"
    assert not any(each.blocks == "int8" for each in measured), "it would read beyond the table"
    assert measured[0].blocks == "exact"


def test_the_setting_decides_between_fast_and_close() -> None:
    exact = Measured("exact", "exact", 0.040, 0.0, 48)
    rough = Measured("int8-dynamic-7", "int8-dynamic-7", 0.010, CLOSE * 3, 48)
    close = Measured("f16", "f16", 0.020, 1e-5, 48)
    assert choose_way((exact, rough, close), "fastest") is rough
    assert choose_way((exact, rough, close), "close") is close
    assert choose_way((exact, rough), "close") is exact
    with pytest.raises(LabError, match='no setting "best"'):
        choose_way((exact,), "best")


def test_a_short_text_is_refused() -> None:
    with pytest.raises(LabError, match="3 tokens are too few"):
        measure_kernels(small_model(), [1, 2, 3])


def loaded_small(tmp_path: Path) -> tuple[Shelf, LoadedModel]:
    shelf = Shelf(memory=FastMemory(tmp_path))
    return shelf, take(shelf, tiny(tmp_path / "a", context=64))


def test_what_was_measured_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, loaded = loaded_small(tmp_path)
    first = run_to_end(shelf.take_fast(loaded, "close")).result
    assert run_to_end(shelf.take_fast(loaded, "close")).result is first
    kept = json.loads((tmp_path / FILE).read_text())
    assert len(kept) == 1
    assert FastMemory(tmp_path).recall(loaded.source.path.resolve())

    def never(*_: object) -> None:
        raise RuntimeError("measured again")

    monkeypatch.setattr("core.model.shelf.measure_kernels", never)
    other = Shelf(memory=FastMemory(tmp_path))
    again = run_to_end(other.take_fast(take(other, loaded.source.path), "close")).result
    assert again.way == first.way


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1}', '[{"blocks": "exec"}]', '[{"blocks": "exact", "head": "exact", "seconds": 1e999}]'],
)  # fmt: skip
def test_a_damaged_memory_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    shelf, loaded = loaded_small(tmp_path)
    run_to_end(shelf.take_fast(loaded, "fastest"))
    path = loaded.source.path.resolve()
    key = next(iter(json.loads((tmp_path / FILE).read_text())))
    (tmp_path / FILE).write_text(f'{{"{key}": {text}}}' if text.startswith("[{") else text)
    assert FastMemory(tmp_path).recall(path) == ()


def test_a_fast_model_goes_with_its_exact_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, loaded = loaded_small(tmp_path)
    run_to_end(shelf.take_fast(loaded, "fastest"))
    monkeypatch.setattr("core.model.shelf.IDLE_AT_MOST", 0)
    shelf.give_back(loaded)
    assert not shelf._fast


def test_an_answer_that_is_no_number_is_never_chosen() -> None:
    model = small_model()
    with torch.inference_mode():
        model.block(1).mlp.down.weight[0, 0] = math.inf
    measured = run_to_end(measure_kernels(model, IDS)).result
    assert [each.blocks for each in measured] == ["exact"]
