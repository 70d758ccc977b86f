"""One pair of tokens along the formula: the numbers are those of the pass, and a step can be left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.interpret.shrink import shrink
from core.interpret.walk import LEAVE_OUT_AT_MOST, leave_out, walk, work_row
from core.model.edits import Edits
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from tests.core.interpret.test_interpret import inside, model, traced

__all__ = ["model"]
IDS = [5, 9, 5, 33, 60, 1, 2]


def test_the_numbers_are_those_of_the_pass(model: Transformer) -> None:
    seen, trace = inside(model, IDS), traced(model, IDS)
    group = 1 // (model.config.heads // model.config.kv_heads)
    walked = walk(seen, 1, 1, 4, 2)
    at = "blocks.1.attn"
    assert np.allclose(walked.query.read, trace["blocks.1.ln1.normalized"][0, 4], atol=1e-5)
    assert np.allclose(walked.query.made, trace[f"{at}.q"][0, 1, 4], atol=1e-5)
    assert np.allclose(walked.key.made, trace[f"{at}.k"][0, group, 2], atol=1e-5)
    assert np.allclose(walked.value.made, trace[f"{at}.v"][0, group, 2], atol=1e-5)
    worked = work_row(walked)
    assert np.allclose(worked.scores, trace[f"{at}.scores"][0, 1, 4], atol=1e-4)
    assert np.allclose(worked.weights, trace[f"{at}.pattern"][0, 1, 4], atol=1e-5)
    assert np.allclose(worked.output, trace[f"{at}.z"][0, 4, 1], atol=1e-4)
    assert np.allclose(walked.heads, trace[f"{at}.z"][0, 4], atol=1e-4)
    assert np.allclose(walked.added(), trace[f"{at}_out"][0, 4], atol=1e-4)


def test_the_terms_add_up(model: Transformer) -> None:
    walked = walk(inside(model, IDS), 0, 0, 5, 3)
    assert float(walked.terms.sum()) == pytest.approx(float(walked.products[3]), abs=1e-3)
    made = walked.value.weight @ walked.value.read
    made = made if walked.value.bias is None else made + walked.value.bias
    assert np.allclose(made, walked.value.made, atol=1e-4)
    parts = sum(walked.added(head) for head in range(model.config.heads))
    bias = 0.0 if walked.bias is None else walked.bias
    assert np.allclose(parts + bias, walked.added(), atol=1e-4)


def test_a_step_left_out_of_a_row(model: Transformer) -> None:
    walked = walk(inside(model, IDS), 0, 1, 3, 3)
    assert np.array_equal(work_row(walked, scaling=False).scores, walked.products)
    assert (work_row(walked, mask=False).weights > 0).all()
    bare = work_row(walked, softmax=False)
    assert np.array_equal(bare.weights[:4], bare.scores[:4])
    assert not bare.weights[4:].any()


@pytest.mark.parametrize("left", ["scaling", "mask", "softmax"])
def test_a_step_left_out_of_the_model(model: Transformer, left: str) -> None:
    taken = {name: name != left for name in ("scaling", "mask", "softmax")}
    result = run_to_end(leave_out(model, IDS, **taken)).result
    n = len(IDS)
    allowed = None if taken["mask"] else torch.ones(n, n, dtype=torch.bool)
    edits = Edits(allowed=allowed, scaling=taken["scaling"], softmax=taken["softmax"])
    with torch.inference_mode():
        expected = model(torch.tensor([IDS]), edits=edits)[0, -1].log_softmax(-1)
        plain = model(torch.tensor([IDS]))[0, -1].log_softmax(-1)
    assert torch.allclose(result.before, plain, atol=1e-5)
    assert torch.allclose(result.after, expected, atol=1e-6)
    assert not torch.allclose(result.before, result.after, atol=1e-3)


def test_with_all_steps_nothing_changes(model: Transformer) -> None:
    result = run_to_end(leave_out(model, IDS, True, True, True)).result
    assert torch.equal(result.before, result.after)


@pytest.mark.parametrize("n", [0, LEAVE_OUT_AT_MOST + 1])
def test_no_text_and_too_long_a_text_are_refused(model: Transformer, n: int) -> None:
    with pytest.raises(LabError):
        leave_out(model, [1] * n, False, True, True)


def test_a_shrunk_matrix_keeps_what_is_farthest_from_0() -> None:
    matrix = np.random.default_rng(0).standard_normal((1000, 70)).astype(np.float32)
    small = shrink(matrix, 100)
    assert small.shape == (100, 70)
    assert np.abs(small).max() == np.abs(matrix).max()
    assert shrink(matrix, 1000) is matrix
