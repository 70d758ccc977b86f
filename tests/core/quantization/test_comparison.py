"""Models against a reference, against plain formulas on whole logits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.quantization.comparison import CompareSettings, Figures, WindowCompared, compare
from core.stages import run_to_end

BASE = Path(__file__).resolve().parents[3] / "resources" / "lineage" / "base"
IDS = [(n * 37 + n // 7) % 2000 for n in range(330)]
SETTINGS = CompareSettings(window=64)


def load() -> Transformer:
    loaded: Transformer = run_to_end(load_model(open_model(BASE))).result
    return loaded


@pytest.fixture(scope="module")
def models() -> tuple[Transformer, Transformer]:
    other = load()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.01
            )
    return load(), other


def figures(reference: Transformer, other: Transformer) -> Figures:
    (one,) = run_to_end(compare(reference, [("other", other)], IDS, SETTINGS)).result
    made: Figures = one
    return made


def test_a_model_against_itself_loses_nothing(models: tuple[Transformer, Transformer]) -> None:
    same = figures(models[0], models[0])
    assert (same.divergence.value, same.rms.value, same.same_top.value, same.ratio.value) == (0, 0, 1, 0)
    assert same.perplexity == same.reference


def test_figures_are_those_of_plain_formulas(models: tuple[Transformer, Transformer]) -> None:
    """Five windows of 64, of which tokens 33 to 63 are scored: 155 in all."""
    reference, other = models
    made = figures(reference, other)
    windows = torch.tensor(IDS[:320]).view(5, 64)
    with torch.inference_mode():
        p, q = (model(windows)[:, 32:-1].double().log_softmax(-1).flatten(0, 1) for model in models)
    came = windows[:, 33:].reshape(-1, 1)
    assert made.tokens == len(came) == 155
    own_p, own_q = p.gather(1, came)[:, 0], q.gather(1, came)[:, 0]
    kl = torch.where(p > -16, p.exp() * (p - q), 0.0).sum(-1)
    dp = own_q.exp() - own_p.exp()
    n = len(came)
    assert made.perplexity.value == pytest.approx(math.exp(-own_q.mean()), rel=1e-4)
    assert made.perplexity.error == pytest.approx(
        made.perplexity.value * float(own_q.std(correction=0)) / math.sqrt(n - 1), rel=1e-3
    )
    assert made.divergence.value == pytest.approx(float(kl.mean()), rel=1e-3)
    assert made.median == pytest.approx(float(kl.quantile(0.5)), rel=1e-2)
    assert made.most_999 == pytest.approx(float(kl.quantile(0.999)), rel=1e-2)
    assert made.rms.value == pytest.approx(float(dp.square().mean().sqrt()), rel=1e-3)
    assert made.difference.value == pytest.approx(float(dp.mean()), rel=1e-2, abs=1e-6)
    assert made.same_top.value == float((p.argmax(-1) == q.argmax(-1)).double().mean())
    difference = own_p - own_q
    assert made.ratio.value == pytest.approx(float(difference.mean()), rel=1e-3)
    assert made.ratio.error == pytest.approx(float(difference.std(correction=0)) / math.sqrt(n - 1), rel=1e-3)


def test_a_stopped_comparison_goes_on_to_the_same_figures(models: tuple[Transformer, Transformer]) -> None:
    reference, other = models
    stage = compare(reference, [("other", other)], IDS, SETTINGS)
    half = next(event for event in stage if isinstance(event, WindowCompared) and event.window == 2)
    stage.close()  # type: ignore[attr-defined]
    (rest,) = run_to_end(compare(reference, [("other", other)], IDS, SETTINGS, so_far=half)).result
    whole = figures(reference, other)
    assert (rest.tokens, rest.divergence, rest.perplexity) == (
        whole.tokens,
        whole.divergence,
        whole.perplexity,
    )


def test_windows_that_begin_with_a_token_of_their_own_score_the_same_text(
    models: tuple[Transformer, Transformer],
) -> None:
    reference, other = models
    (begun,) = run_to_end(compare(reference, [("other", other)], IDS, SETTINGS, begin=0)).result
    whole = figures(reference, other)
    assert begun.tokens == whole.tokens
    assert begun.perplexity.value != whole.perplexity.value


@pytest.mark.parametrize(
    ("ids", "settings", "told"),
    [
        (IDS[:40], SETTINGS, "has 40 tokens and fills no window of 64"),
        (IDS, CompareSettings(window=100_000), "looks back on"),
        (IDS, CompareSettings(window=2), "below 4"),
    ],
)
def test_what_cannot_be_compared_is_told(
    ids: list[int], settings: CompareSettings, told: str, models: tuple[Transformer, Transformer]
) -> None:
    with pytest.raises(LabError, match=told):
        compare(models[0], [("other", models[1])], ids, settings)
