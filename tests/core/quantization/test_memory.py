"""Does it fit? Against the figures that are known of Qwen3-8B."""

from __future__ import annotations

import pytest

from core.model.config import ModelConfig
from core.problems import LabError
from core.quantization.known import KNOWN_SHAPES
from core.quantization.memory import (
    CAPACITIES,
    GIB,
    MemorySettings,
    Weighed,
    judge,
    memory_needed,
    this_machine,
    weigh_plan,
)
from core.quantization.recipes import Wish, make_plan, tensors_of

QWEN3 = KNOWN_SHAPES["Qwen3-8B"]


def weighed(recipe: str, config: ModelConfig = QWEN3) -> Weighed:
    return weigh_plan(make_plan(tensors_of(config), config, Wish(recipe)))


def gib(number: float) -> float:
    return round(number / GIB, 2)


def test_qwen3_8b_with_4k_tokens_is_tight_on_a_6_gb_laptop() -> None:
    settings = MemorySettings(context=4096)
    need = memory_needed(weighed("Q4_K_M"), QWEN3, settings)
    assert (gib(need.weights), gib(need.cache), gib(need.computing), gib(need.driver)) == (
        4.35,
        0.56,
        0.29,
        0.5,
    )
    assert str(need) == "4.35 + 0.56 + 0.29 + 0.50 = 5.70 GiB"
    assert judge(need, CAPACITIES["6 GB laptop graphics"], settings).word == "tight"
    assert judge(need, CAPACITIES["4 GB laptop graphics"], settings).word == "no"
    assert judge(need, CAPACITIES["8 GB laptop graphics"], settings).word == "fits"


@pytest.mark.parametrize(("recipe", "total"), [("BF16", 19.39), ("Q8_0", 12.78), ("Q4_K_M", 9.64)])
def test_qwen3_8b_with_32k_tokens(recipe: str, total: float) -> None:
    need = memory_needed(weighed(recipe), QWEN3, MemorySettings(context=32_768))
    assert gib(need.total) == total


@pytest.mark.parametrize(("cache", "size"), [("F16", 4.5), ("Q8_0", 2.39), ("Q4_0", 1.27)])
def test_the_cache_of_32k_tokens(cache: str, size: float) -> None:
    need = memory_needed(weighed("Q4_K_M"), QWEN3, MemorySettings(context=32_768, cache=cache))
    assert gib(need.cache) == size


def test_without_flash_attention_scores_take_2_gib() -> None:
    settings = MemorySettings(context=32_768, flash_attention=False)
    assert gib(memory_needed(weighed("Q4_K_M"), QWEN3, settings).computing) == 2.0


def test_layers_kept_on_the_cpu_leave_the_card() -> None:
    every = weighed("Q4_K_M")
    whole, half = (memory_needed(every, QWEN3, MemorySettings(layers_on_cpu=n)) for n in (0, 18))
    assert half.cache == whole.cache // 2
    assert half.weights < whole.weights
    assert half.weights + half.beside + half.cache == pytest.approx(
        whole.weights + whole.beside + whole.cache, abs=9
    )


def test_without_a_card_all_weights_count_and_no_driver() -> None:
    need = memory_needed(weighed("Q4_K_M"), QWEN3, MemorySettings(on_card=False, layers_on_cpu=5))
    assert need.weights == weighed("Q4_K_M").total
    assert (need.driver, need.beside) == (0, 0)


def test_a_tied_embedding_is_needed_on_the_card() -> None:
    assert weighed("Q8_0", KNOWN_SHAPES["Qwen3-4B"]).embedding == 0


def test_a_context_beyond_the_model_is_told() -> None:
    with pytest.raises(LabError, match="50,000 tokens is beyond the model's 40,960"):
        memory_needed(weighed("Q8_0"), QWEN3, MemorySettings(context=50_000))


def test_this_machine_has_memory() -> None:
    assert 0 < this_machine().free <= this_machine().total
