"""How long a plan takes: reckoned from trials, which are remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.problems import LabError
from core.stages import Progress, run_to_end
from core.training.estimates import Pace, estimate, keep_pace, read_pace
from core.training.pace import measure_pace
from core.training.presets import CorpusChoice, RunPlan, preset, with_settings
from core.training.settings import ShapeSettings, TrainingSettings

PLAN = RunPlan(
    "tiny", CorpusChoice(words=1000), ShapeSettings(layers=1, width=16, heads=2, context=32),
    TrainingSettings(steps=100, batch=2, precision="f32", evaluate_every=50, evaluate_tokens=128),
    ("The king",),
)  # fmt: skip
PACE = Pace(step=0.5, look=0.1, sample=2.0, word=0.001, sequences=2, precision="f32")


def test_an_estimate_adds_up_text_steps_looks_and_samples() -> None:
    """100 steps of 0.5 s; 3 looks (at 0, 50, 100) of 2 batches of 0.1 s and one sample of 2 s; 1,000 words."""
    made = estimate(PLAN, PACE)
    assert (made.text, made.steps) == (1.0, 50.0)
    assert made.looks == pytest.approx(3 * (2 * 0.1 + 2.0))
    assert made.seconds == pytest.approx(57.6)


def test_three_steps_of_a_plan_are_tried() -> None:
    events = list(measure_pace(PLAN))
    assert len([event for event in events if isinstance(event, Progress)]) == 6
    pace = run_to_end(iter(events)).result
    assert pace.sequences == 2
    assert min(pace.step, pace.look, pace.sample, pace.word) > 0


def test_what_was_measured_is_found_for_every_plan_of_that_shape(tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    assert read_pace(file, PLAN) is None
    keep_pace(file, PLAN, PACE)
    assert read_pace(file, with_settings(PLAN, {"steps": 7, "rate": 0.1})) == PACE
    assert read_pace(file, with_settings(PLAN, {"width": 32})) is None
    keep_pace(file, with_settings(PLAN, {"width": 32}), PACE)
    assert read_pace(file, PLAN) == PACE


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}'])
def test_a_file_that_is_none_of_ours_says_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pace.json"
    file.write_text(text)
    assert read_pace(file, PLAN) is None
    keep_pace(file, PLAN, PACE)
    assert read_pace(file, PLAN) == PACE


def test_a_model_that_is_too_large_to_be_tried_is_said_at_once() -> None:
    with pytest.raises(LabError, match="too large to be tried"):
        measure_pace(with_settings(preset("taste").plan, {"width": 4096, "layers": 48, "heads": 32}))
