"""Mixes from names and shapes alone."""

from __future__ import annotations

import pytest

from core.problems import LabError
from core.quantization.known import KNOWN_SHAPES
from core.quantization.recipes import RECIPES, Named, Wish, find_recipe, make_plan, parse_override, tensors_of

PUBLISHED = {
    "Q2_K": 3.1593, "Q3_K_S": 3.6429, "Q3_K_M": 3.9960, "Q3_K_L": 4.2979, "Q4_K_S": 4.6672, "Q4_K_M": 4.8944,
    "Q5_K_S": 5.5704, "Q5_K_M": 5.7036, "Q6_K": 6.5633, "Q8_0": 8.5008, "IQ4_NL": 4.6818, "F16": 16.0005,
}  # fmt: skip
"""Bits per weight of Llama-3.1-8B in the README of llama.cpp's tools/quantize."""


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_bits_per_weight_of_llama_3_1_8b_are_those_published(recipe: str) -> None:
    config = KNOWN_SHAPES["Llama-3.1-8B"]
    plan = make_plan(tensors_of(config), config, Wish(recipe))
    assert round(plan.bits_per_weight, 4) == PUBLISHED[recipe]


@pytest.mark.parametrize(
    ("recipe", "gigabytes"), [("BF16", 16.382), ("Q8_0", 8.704), ("Q4_K_M", 5.022), ("Q2_K", 3.276)]
)
def test_bytes_of_qwen3_8b(recipe: str, gigabytes: float) -> None:
    config = KNOWN_SHAPES["Qwen3-8B"]
    plan = make_plan(tensors_of(config), config, Wish(recipe))
    assert plan.numbers == 8_190_735_360
    assert round(plan.bytes / 1e9, 3) == gigabytes


def test_a_tied_embedding_takes_the_rule_of_the_output() -> None:
    config = KNOWN_SHAPES["Qwen3-4B"]
    plan = make_plan(tensors_of(config), config, Wish("Q4_K_M"))
    assert (plan.choices[0].kind, plan.choices[0].why) == ("Q6_K", "output")


def test_norms_biases_and_positions_are_kept() -> None:
    config = KNOWN_SHAPES["GPT-2"]
    plan = make_plan(tensors_of(config), config, Wish("Q4_K_M"))
    kept = {choice.tensor.name for choice in plan.choices if choice.why == "kept"}
    assert {"position_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_qkv.bias"} <= kept
    assert all(choice.kind == "F32" for choice in plan.choices if choice.why == "kept")


def test_rows_that_do_not_fit_fall_back_and_the_title_says_so() -> None:
    config = KNOWN_SHAPES["GPT-2"]
    tensors = [Named("blk.0.attn_q.weight", (576, 576)), Named("blk.0.ffn_down.weight", (576, 1536))]
    plan = make_plan(tensors, config, Wish("Q4_K_S"))
    assert [(c.kind, c.wanted, c.why) for c in plan.choices] == [
        ("Q5_0", "Q4_K", "fallback"), ("Q5_K", "Q5_K", "mix"),
    ]  # fmt: skip
    assert plan.title == "1 Q5_0, 1 Q5_K (Q4_K_S asked, 1 of 2 tensors fell back)"


def test_overrides_decide_before_the_mix_and_are_not_counted_by_it() -> None:
    """llama.cpp counts only tensors that its mix has decided on: the second layer is then its first."""
    config = KNOWN_SHAPES["GPT-2"]
    wish = Wish("Q4_K_S", (("blk.0.ffn_down.weight", "Q8_0"), ("*attn_qkv*", "Q6_K")))
    plan = make_plan(tensors_of(config), config, wish)
    of = {choice.tensor.name: choice for choice in plan.choices}
    assert (of["blk.0.ffn_down.weight"].kind, of["blk.0.ffn_down.weight"].why) == ("Q8_0", "override")
    assert of["blk.1.ffn_down.weight"].kind == "Q5_K"  # 12 layers: the first one of those it counts
    assert all(of[f"blk.{n}.attn_qkv.weight"].kind == "Q6_K" for n in range(12))


def test_importances_change_the_older_mixes() -> None:
    config = KNOWN_SHAPES["GPT-2"]
    plain, weighed = (
        make_plan(tensors_of(config), config, Wish("Q4_0", importances=im)) for im in (False, True)
    )
    changed = [a.tensor.name for a, b in zip(plain.choices, weighed.choices, strict=True) if a.kind != b.kind]
    assert changed == ["blk.0.ffn_down.weight"]


def test_what_there_is_not_is_told() -> None:
    with pytest.raises(LabError, match=r"llama\.cpp has no Q4_K_L"):
        find_recipe("Q4_K_L")
    with pytest.raises(LabError, match="No recipe is called Q4_K_X"):
        find_recipe("Q4_K_X")
    config = KNOWN_SHAPES["GPT-2"]
    with pytest.raises(LabError, match=r"No tensor is called blk\.99"):
        make_plan(tensors_of(config), config, Wish("Q4_K_M", (("blk.99.*", "Q8_0"),)))
    with pytest.raises(LabError, match="does not say which tensors"):
        parse_override("output.weight:Q8_0")


def test_every_recipe_is_smaller_than_those_before_it_but_for_the_older_ones() -> None:
    config = KNOWN_SHAPES["Llama-3.1-8B"]
    names = [name for name in RECIPES if name not in ("Q5_0", "Q5_1", "Q4_0", "Q4_1", "IQ4_NL", "BF16")]
    sizes = [make_plan(tensors_of(config), config, Wish(name)).bytes for name in names]
    assert sizes == sorted(sizes, reverse=True)
