"""Two readings compared: the share of weight that lies elsewhere, in every head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.interpret import difference
from core.interpret.difference import compare_heads
from core.model.initial import new_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from tests.core.interpret.test_interpret import GPT2, LLAMA, inside, model

__all__ = ["model"]


def test_the_distance_is_that_of_the_patterns(model: Transformer) -> None:
    first, second = inside(model, [5, 9, 5, 33, 60]), inside(model, [5, 9, 6, 33, 60])
    found = run_to_end(compare_heads(first, second)).result
    assert found.shape == (model.config.layers, model.config.heads)
    a, b = first.pattern(1, 1), second.pattern(1, 1)
    expected = (0.5 * (a - b).abs().sum(-1))[1:].mean()
    assert float(found[1, 1]) == pytest.approx(float(expected), abs=1e-5)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_reading_does_not_differ_from_itself(model: Transformer) -> None:
    first, second = inside(model, [1, 2, 3, 4]), inside(model, [1, 2, 3, 4])
    assert not run_to_end(compare_heads(first, second)).result.any()
    one = inside(model, [7])
    assert np.array_equal(run_to_end(compare_heads(one, one)).result, np.zeros_like(found_shape(model)))


def found_shape(model: Transformer) -> np.ndarray:
    return np.zeros((model.config.layers, model.config.heads), dtype=np.float32)


def test_what_cannot_be_laid_over_each_other_is_refused(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inside(model, [1, 2, 3])
    with pytest.raises(LabError, match="3 and 4 tokens"):
        compare_heads(first, inside(model, [1, 2, 3, 4]))
    config = GPT2 if model.config.family == "llama" else LLAMA
    other = new_model(config, torch.Generator().manual_seed(0)).requires_grad_(False).eval()
    with pytest.raises(LabError, match="side by side"):
        compare_heads(first, inside(other, [1, 2, 3]))
    monkeypatch.setattr(difference, "TOKENS_AT_MOST", 2)
    with pytest.raises(LabError, match="at most 2"):
        compare_heads(first, first)
