"""The filters against transformers', and what each cuts away."""

from __future__ import annotations

import pytest
import torch

from core.model.sampling import choose
from core.model.settings import SamplingSettings

SETTINGS = [
    SamplingSettings(),
    SamplingSettings(temperature=0.3),
    SamplingSettings(top_k=5),
    SamplingSettings(top_p=0.5),
    SamplingSettings(top_p=0.0),
    SamplingSettings(min_p=0.2),
    SamplingSettings(repetition_penalty=1.7),
    SamplingSettings(temperature=1.8, top_k=40, top_p=0.9, min_p=0.02, repetition_penalty=1.1),
    SamplingSettings(temperature=0.5, top_k=3, top_p=0.6, min_p=0.5, repetition_penalty=3.0),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_against_transformers(settings: SamplingSettings) -> None:
    process = pytest.importorskip("transformers.generation.logits_process")
    seen = [1, 5, 5, 17, 90]
    ids = torch.tensor([seen])
    for _ in range(20):
        logits = torch.randn(100) * 4
        scores = process.RepetitionPenaltyLogitsProcessor(settings.repetition_penalty)(
            ids, logits[None].clone()
        )
        scores = process.TemperatureLogitsWarper(settings.temperature)(ids, scores)
        if settings.top_k:
            scores = process.TopKLogitsWarper(settings.top_k)(ids, scores)
        if settings.top_p < 1:
            scores = process.TopPLogitsWarper(settings.top_p)(ids, scores)
        if settings.min_p:
            scores = process.MinPLogitsWarper(settings.min_p)(ids, scores)
        assert torch.allclose(choose(logits, settings, seen).probabilities, scores[0].softmax(-1), atol=1e-6)


def test_temperature_zero_takes_the_most_probable() -> None:
    choice = choose(torch.tensor([1.0, 3.0, 2.0]), SamplingSettings(temperature=0.0))
    assert choice.probabilities.tolist() == [0.0, 1.0, 0.0]
    assert choice.kept == 1
    assert choice.before.argmax() == 1


def test_temperature_never_changes_the_ranking() -> None:
    logits = torch.randn(50)
    orders = {
        tuple(choose(logits, SamplingSettings(temperature=t)).probabilities.argsort().tolist())
        for t in (0.5, 1.0, 2.0)
    }
    assert len(orders) == 1


def test_each_filter_is_told_what_it_cut() -> None:
    """Probabilities 0.4, 0.3, 0.2, 0.08, 0.02: top-k 4 cuts the last, top-p 0.85 of the rest the next."""
    logits = torch.tensor([0.4, 0.3, 0.2, 0.08, 0.02]).log()
    choice = choose(logits, SamplingSettings(top_k=4, top_p=0.85, min_p=0.6))
    assert choice.cut_by.tolist() == [0, 0, 3, 2, 1]
    assert choice.kept == 2
    assert torch.allclose(choice.probabilities, torch.tensor([4 / 7, 3 / 7, 0, 0, 0]))
    assert torch.allclose(choice.before, logits.exp())


def test_draws_follow_the_probabilities() -> None:
    choice = choose(torch.tensor([0.5, 0.3, 0.2]).log(), SamplingSettings())
    generator = torch.Generator().manual_seed(3)
    drawn = torch.tensor([choice.draw(generator) for _ in range(4000)]).bincount(minlength=3) / 4000
    assert (drawn - choice.probabilities).abs().max() < 0.03
