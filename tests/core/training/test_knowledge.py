"""What checkpoints know, scored and kept; the figures themselves are tests/core/evals's business."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.evals.scored import Answer, Scored
from core.model.initial import new_model
from core.problems import LabError
from core.stages import run_to_end
from core.training.knowledge import BOOK, Gap, Known, keep_known, measure_gap, read_known, score_steps
from core.training.settings import ShapeSettings

SCORED = Scored(
    "P2", "Capitals", 3, 4, 0.3, 0.95, 0.95, (("frames", 3, 4),), "A detail.",
    (Answer("The capital of “X” is", " Rome", " Paris", False, "frames"),),
)  # fmt: skip
GAP = Gap(0.5, 4.25, 1000, 80, 3.25, 4.25)


def test_what_was_scored_is_read_back_by_step(tmp_path: Path) -> None:
    keep_known(tmp_path, Known(300, None, (SCORED,), GAP))
    keep_known(tmp_path, Known(10, 40, (SCORED,)))
    assert read_known(tmp_path) == (Known(10, 40, (SCORED,)), Known(300, None, (SCORED,), GAP))


def test_a_step_that_is_scored_again_takes_the_place_of_the_old_figures(tmp_path: Path) -> None:
    keep_known(tmp_path, Known(300, 40, (SCORED,)))
    keep_known(tmp_path, Known(300, None, (replace(SCORED, right=4),)))
    (known,) = read_known(tmp_path)
    assert (known.most, known.scored[0].right) == (None, 4)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 2, "known": []}', '{"format": 1, "known": [{}]}', "{"]
)
def test_a_book_that_is_none_of_ours_counts_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / BOOK).write_text(text)
    assert read_known(tmp_path) == ()


def test_the_gap_of_a_model_is_the_difference_of_two_mean_losses() -> None:
    """A model of zeros gives each of 64 tokens 1/64, on any text: ln 64 twice, and no gap."""
    model = new_model(ShapeSettings(layers=1, width=8, heads=1, context=8).config(64), torch.Generator())
    with torch.no_grad():
        for each in model.parameters():
            each.zero_()
    text = torch.arange(18).reshape(2, 9)
    gap = run_to_end(measure_gap(model, [text], [text[:1], text[:1]])).result
    assert gap.read == pytest.approx(math.log(64), abs=1e-6)
    assert gap.size == pytest.approx(0, abs=1e-6)
    assert (gap.read_n, gap.unread_n) == (16, 16)
    assert not gap.shown


def test_the_limits_of_the_gap_grow_with_the_spread_of_the_losses() -> None:
    """Half the width is 1.96 · sqrt(var/n + var/n) (Welch), worked out from the model's own losses."""
    generator = torch.Generator().manual_seed(1)
    model = new_model(ShapeSettings(layers=1, width=16, heads=2, context=8).config(64), generator)
    read, unread = (
        torch.randint(64, (3, 9), generator=generator),
        torch.randint(64, (2, 9), generator=generator),
    )
    gap = run_to_end(measure_gap(model, [read], [unread])).result
    with torch.inference_mode():
        losses = [
            -model(rows[:, :-1]).log_softmax(-1).gather(2, rows[:, 1:, None]).flatten().double()
            for rows in (read, unread)
        ]
    half = 1.959963984540054 * math.sqrt(sum(float(one.var()) / len(one) for one in losses))
    assert gap.size == pytest.approx(float(losses[1].mean() - losses[0].mean()))
    assert (gap.high - gap.low) / 2 == pytest.approx(half)


def test_nothing_to_score_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no checkpoint to score"):
        score_steps([], None)
    with pytest.raises(LabError, match="At most 1 questions"):
        score_steps([(0, tmp_path)], None, most=1)
