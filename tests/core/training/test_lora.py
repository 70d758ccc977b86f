"""LoRA changes nothing at the start, never the base, and the same merged or apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.model.initial import new_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.training.adapters import read_adapter, write_adapter
from core.training.lora import Adapter, adapter_of, cut_to, merged, new_adapter, places, with_adapter
from core.training.settings import ShapeSettings

CONFIG = ShapeSettings(layers=2, width=16, heads=2, context=16).config(23)
IDS = torch.arange(12).view(2, 6)


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model() -> Transformer:
    return new_model(CONFIG, chance(7))


def a_few_steps(model: Transformer, adapter: Adapter) -> Transformer:
    made = with_adapter(model, adapter)
    learning = [p for p in made.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        logits = made(IDS[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), IDS[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return made


@pytest.mark.parametrize("targets", ["all", "attention", "mlp", "attn.out blocks.1.mlp.down"])
def test_nothing_is_changed_at_the_start(model: Transformer, targets: str) -> None:
    made = with_adapter(model, new_adapter(CONFIG, 4, 8.0, targets, chance()))
    with torch.inference_mode():  # torch takes another kernel where a gradient is asked for
        assert torch.equal(made(IDS), model(IDS))


def test_only_the_thin_matrices_learn_and_b_moves_first(model: Transformer) -> None:
    adapter = new_adapter(CONFIG, 4, 8.0, "all", chance())
    made = with_adapter(model, adapter)
    assert sum(p.numel() for p in made.parameters() if p.requires_grad) == adapter.numbers
    made(IDS).logsumexp(-1).sum().backward()
    for thin in adapter_of(made, adapter).thin.values():
        assert thin.a.grad is not None
        assert thin.b.grad is not None
        assert float(thin.a.grad.abs().max()) == 0.0
        assert float(thin.b.grad.abs().max()) > 0.0


def test_learning_leaves_the_base_as_it_was(model: Transformer) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    was = model(IDS).detach()
    made = a_few_steps(model, new_adapter(CONFIG, 4, 8.0, "all", chance()))
    assert (made(IDS) - was).abs().max() > 1e-2
    assert torch.equal(model(IDS), was)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_merged_is_as_apart(model: Transformer) -> None:
    adapter = new_adapter(CONFIG, 4, 8.0, "all", chance())
    made = a_few_steps(model, adapter)
    weights = dict(model.named_parameters())
    together = Transformer(CONFIG)
    together.load_state_dict(merged(weights, adapter_of(made, adapter)), assign=True)
    assert (together(IDS) - made(IDS)).abs().max() < 1e-5
    assert (together(IDS) - model(IDS)).abs().max() > 1e-2
    assert (made(IDS, explicit=True) - made(IDS)).abs().max() < 1e-5
    assert torch.equal(made.block(0).attn.qkv.weight, together.block(0).attn.qkv.weight)


def test_what_is_written_is_read_back(model: Transformer, tmp_path: Path) -> None:
    adapter = new_adapter(CONFIG, 4, 8.0, "attention", chance())
    made = adapter_of(a_few_steps(model, adapter), adapter)
    write_adapter(made, CONFIG, tmp_path, base="models/base")
    found = read_adapter(tmp_path, CONFIG)
    assert found.base == "models/base"
    assert list(found.adapter.thin) == list(made.thin)
    assert all(
        torch.equal(one.a, made.thin[p].a) and torch.equal(one.b, made.thin[p].b)
        for p, one in found.adapter.thin.items()
    )
    assert set(safetensors.torch.load_file(tmp_path / "adapter_model.safetensors")) >= {
        "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight"
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "not LORA"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"c_attn": 2}}, "rank_pattern"),
        ({"r": 3}, "do not fit this model"),
        ({"r": 0}, "the rank is"),
        ({"lora_alpha": "8"}, "alpha is"),
    ],
)
def test_an_adapter_that_does_something_else_is_refused_by_name(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    write_adapter(new_adapter(CONFIG, 4, 8.0, "attention", chance()), CONFIG, tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LabError, match=message):
        read_adapter(tmp_path, CONFIG)


def test_an_adapter_of_another_model_is_refused(model: Transformer, tmp_path: Path) -> None:
    wider = ShapeSettings(layers=2, width=32, heads=2, context=16).config(23)
    deeper = ShapeSettings(layers=3, width=16, heads=2, context=16).config(23)
    for other, message in ((wider, "do not fit this model"), (deeper, "belongs to no matrix")):
        adapter = new_adapter(other, 4, 8.0, "all", chance())
        folder = tmp_path / str(other.layers * other.width)
        folder.mkdir()
        write_adapter(adapter, other, folder)
        with pytest.raises(LabError, match=message):
            read_adapter(folder, CONFIG)
        with pytest.raises((LabError, AttributeError)):
            with_adapter(model, adapter)


def test_words_that_name_no_matrix_are_refused() -> None:
    with pytest.raises(LabError, match="'embed'"):
        places(CONFIG, "all embed")
    with pytest.raises(LabError, match="No matrix is named"):
        places(CONFIG, " ")
    with pytest.raises(LabError, match="rank of LoRA is 0"):
        new_adapter(CONFIG, 0, 8.0, "all", chance())
    with pytest.raises(LabError, match="rank 5 was asked for"):
        cut_to(new_adapter(CONFIG, 4, 8.0, "all", chance()), 5)
