"""Loss, gradients and what is exported, against transformers; the optimizers against plain formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from core.model.config import ModelConfig
from core.model.export import tensors_of, write_model
from core.model.initial import new_model
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.stages import run_to_end
from core.training.objectives import cross_entropy
from core.training.optimizers import Optimizer, orthogonalized
from core.training.settings import ShapeSettings, TrainingSettings

GPT2 = ShapeSettings(layers=2, width=16, heads=2, context=16).config(61)
LLAMA = replace(
    GPT2, family="llama", norm="rms", positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False,
    tied=False, kv_heads=1, hidden=24,
)  # fmt: skip
CONFIGS = {
    "gpt2": GPT2,
    "gpt2 untied": replace(GPT2, tied=False),
    "llama": LLAMA,
    "llama tied": replace(LLAMA, tied=True, kv_heads=2),
    "qwen3": replace(LLAMA, family="qwen3", qk_norm=True, head_width=12),
}


def random_model(config: ModelConfig) -> Transformer:
    generator = torch.Generator().manual_seed(5)
    model = new_model(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_exported_opens_elsewhere_and_here(name: str, tmp_path: Path) -> None:
    model = random_model(CONFIGS[name])
    write_model(CONFIGS[name], dict(model.named_parameters()), tmp_path, end=0)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    again = run_to_end(load_model(open_model(tmp_path))).result
    ids = torch.randint(0, 61, (3, 16))
    with torch.inference_mode():
        ours = model(ids)
        assert torch.equal(again(ids), ours)
        assert (theirs(ids).logits - ours).abs().max() < 1e-5


@pytest.mark.parametrize("name", CONFIGS)
def test_loss_and_gradients(name: str, tmp_path: Path, report: Callable[[str, object], None]) -> None:
    config = CONFIGS[name]
    model = random_model(config)
    write_model(config, dict(model.named_parameters()), tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    ids = torch.randint(0, 61, (4, 16))
    expected = theirs(ids, labels=ids).loss
    expected.backward()
    loss = cross_entropy(model(ids)[:, :-1], ids[:, 1:])
    loss.backward()  # type: ignore[no-untyped-call]
    assert abs(float(loss.detach()) - float(expected.detach())) < 1e-5
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    ours = tensors_of(config, gradients)
    named: dict[str, Any] = dict(theirs.named_parameters())
    assert set(ours) == set(named)
    worst = max(float((ours[n] - named[n].grad).abs().max()) for n in named)
    report(f"{name}: largest difference of a gradient from transformers'", f"{worst:.1e}")
    assert worst < 1e-5


def test_adamw_takes_the_same_path_as_the_formula_by_hand() -> None:
    """Loshchilov and Hutter, https://arxiv.org/abs/1711.05101, algorithm 2, in float64."""
    settings = TrainingSettings(optimizer="adamw", rate=0.01, weight_decay=0.1)
    model = random_model(GPT2)
    optimizer = Optimizer(model, settings)
    paths = {n: p.detach().double().clone() for n, p in model.named_parameters()}
    moments = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in paths.items()}
    ids = torch.randint(0, 61, (2, 17))
    for step in range(1, 6):
        model.zero_grad()
        cross_entropy(model(ids[:, :-1]), ids[:, 1:]).backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            g, (m, v), p = parameter.grad.double(), moments[name], paths[name]
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.95).add_(0.05 * g * g)
            p.mul_(1 - 0.01 * (0.1 if p.dim() == 2 else 0.0))
            p.sub_(0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.95**step)).sqrt() + 1e-8))
        optimizer.step(1.0)
        for name, parameter in model.named_parameters():
            assert (parameter.double() - paths[name]).abs().max() < 1e-5, (name, step)


def newton_schulz(g: torch.Tensor) -> torch.Tensor:
    """As https://kellerjordan.github.io/posts/muon/ prints it, in float64 instead of bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.double() / (g.double().norm() + 1e-7)
    if g.shape[0] > g.shape[1]:
        x = x.T
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def test_muon_takes_the_same_path_as_the_formula_of_its_source() -> None:
    settings = TrainingSettings(optimizer="muon", matrix_rate=0.02, weight_decay=0.1)
    model = random_model(GPT2)
    optimizer = Optimizer(model, settings)
    matrices = {n: p for n, p in model.named_parameters() if n.startswith("blocks.") and p.dim() == 2}
    paths = {n: p.detach().double().clone() for n, p in matrices.items()}
    momenta = {n: torch.zeros_like(p) for n, p in paths.items()}
    chance = torch.Generator().manual_seed(3)
    for _ in range(4):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=chance)
        for name, parameter in matrices.items():
            assert parameter.grad is not None
            g = parameter.grad.double()
            momenta[name] = 0.95 * momenta[name] + 0.05 * g
            nesterov = 0.05 * g + 0.95 * momenta[name]
            for p, u in zip(
                paths[name].chunk(3 if "qkv" in name else 1), nesterov.chunk(3 if "qkv" in name else 1),
                strict=True,
            ):  # fmt: skip
                p.mul_(1 - 0.02 * 0.1)
                p.sub_(0.02 * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 * newton_schulz(u))
        optimizer.step(1.0)
        for name, parameter in matrices.items():
            assert (parameter.double() - paths[name]).abs().max() < 1e-5, name


def test_orthogonalized_matrices_have_singular_values_near_one() -> None:
    made = orthogonalized(torch.randn(3, 24, 16))
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3"])
def test_gradients_of_the_whole_model_are_those_of_small_differences(name: str) -> None:
    """Attention, norms, MLPs and embeddings, every parameter, in float64."""
    model = random_model(CONFIGS[name]).double()
    names, values = zip(*model.named_parameters(), strict=True)
    ids, targets = torch.randint(0, 61, (2, 7)), torch.randint(0, 61, (2, 7))

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        made = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (ids,))
        return torch.nn.functional.cross_entropy(made.flatten(0, 1), targets.flatten())

    assert torch.autograd.gradcheck(loss, values, fast_mode=True)


def test_the_gradient_of_the_loss_is_the_models_share_less_what_came() -> None:
    targets = torch.randint(0, 11, (1, 4))
    logits = torch.randn(1, 4, 11, requires_grad=True)
    cross_entropy(logits, targets).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    by_hand = (logits.detach().softmax(-1) - torch.nn.functional.one_hot(targets, 11)) / 4
    assert torch.allclose(logits.grad, by_hand, atol=1e-7)
