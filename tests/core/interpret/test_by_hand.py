"""Attention on numbers typed by hand: worked examples, and the same as the model's own attention."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.interpret.by_hand import Example, Steps, look_up, read_example, work_out
from core.problems import LabError

EXAMPLE = Example(
    tokens=("a", "b", "c"),
    q=((1.0, 0.0), (0.0, 2.0), (1.0, 1.0)),
    k=((1.0, 0.0), (0.0, 1.0), (2.0, 0.0)),
    v=((1.0, 0.0), (0.0, 1.0), (4.0, 4.0)),
)


def test_every_step_by_hand() -> None:
    """The last token: products 1, 1, 2; over √2: 0.71, 0.71, 1.41; raised: 2.03, 2.03, 4.11, in all 8.17."""
    worked = work_out(EXAMPLE)
    assert worked.products[2].tolist() == [1, 1, 2]
    assert worked.scores[2] == pytest.approx([0.7071, 0.7071, 1.4142], abs=1e-4)
    assert worked.weights[2] == pytest.approx([0.2483, 0.2483, 0.5035], abs=1e-4)
    assert worked.output[2] == pytest.approx([0.2483 + 4 * 0.5035, 0.2483 + 4 * 0.5035], abs=1e-3)
    assert worked.masked[0].tolist() == [worked.scores[0, 0], -math.inf, -math.inf]
    assert worked.weights[0].tolist() == [1, 0, 0]


def test_against_torch() -> None:
    q, k, v = (torch.tensor(part)[None, None] for part in (EXAMPLE.q, EXAMPLE.k, EXAMPLE.v))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 0]
    assert np.allclose(work_out(EXAMPLE).output, expected.numpy(), atol=1e-6)


def test_each_step_can_be_left_out() -> None:
    def with_steps(**steps: bool) -> Example:
        return Example(EXAMPLE.tokens, EXAMPLE.q, EXAMPLE.k, EXAMPLE.v, Steps(**steps))

    assert np.array_equal(work_out(with_steps(scaling=False)).scores, work_out(EXAMPLE).products)
    assert (work_out(with_steps(mask=False)).weights > 0).all()
    bare = work_out(with_steps(softmax=False))
    assert bare.weights[2].tolist() == bare.scores[2].tolist()
    assert bare.weights[0, 1:].tolist() == [0, 0]


def test_a_sharp_attention_is_a_dictionary() -> None:
    example = read_example(
        {
            "tokens": "xyz",
            "q": EXAMPLE.k,
            "k": np.eye(3)[:, :2].tolist(),
            "v": EXAMPLE.v,
            "steps": {"mask": False},
        }
    )
    assert look_up(example, 0) == 0
    assert look_up(example, 1) == 1
    assert look_up(example, 2) is None
    sharp = Example(example.tokens, example.q, example.k, example.v, Steps(mask=False, sharpness=20.0))
    assert work_out(sharp).output[1] == pytest.approx(example.v[1], abs=1e-4)


def test_sizes_and_numbers_have_bounds() -> None:
    larger = EXAMPLE.with_size(5, 4)
    assert larger.tokens == ("a", "b", "c", "token 4", "token 5")
    assert larger.q[1] == (0.0, 2.0, 0.0, 0.0)
    assert larger.with_size(3, 2) == EXAMPLE
    for wrong in (lambda: EXAMPLE.with_size(7, 2), lambda: EXAMPLE.with_size(3, 1)):
        with pytest.raises(LabError):
            wrong()
    for value in (math.nan, math.inf, 1e9):
        with pytest.raises(LabError):
            EXAMPLE.with_number("q", 0, 0, value)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"tokens": ["a"], "q": [[1, 2]], "k": [[1, 2]], "v": [[1, 2]]},
        {"tokens": "abc", "q": [[1, 2]] * 3, "k": [[1, 2]] * 3, "v": [[1, 2, 3]] * 3},
        {"tokens": "abc", "q": [[1, 2]] * 3, "k": [[1, 2]] * 3, "v": [[1, "x"]] * 3},
        {"tokens": "abc", "q": [[1, 2]] * 3, "k": [[1, 2]] * 3, "v": [[1, 1e300]] * 3},
        {"tokens": "abc", "q": [[1, 2]] * 3, "k": [[1, 2]] * 3, "v": [[1, 2]] * 3, "steps": {"mask": 1}},
        {"tokens": "abc", "q": [[1, 2]] * 3, "k": [[1, 2]] * 3, "v": [[1, 2]] * 3, "steps": {"x": True}},
        {"tokens": "abc", "q": [[1, 2]] * 3, "k": [[1, 2]] * 3, "v": [[1, 2]] * 3, "steps": {"sharpness": 0}},
    ],
)
def test_what_is_no_example_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(LabError):
        read_example(data)
