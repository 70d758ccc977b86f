"""The text of a model of the small world, written again from its settings."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest

from core.problems import LabError
from core.stages import run_to_end
from core.training.presets import CorpusChoice, RunPlan, preset, read_plan, with_settings
from core.training.runs import start_run
from core.training.settings import ShapeSettings, TrainingSettings
from core.training.text_again import world_plan, write_text_again
from core.training.tokens import open_tokens

PLAN = RunPlan(
    "tiny", CorpusChoice(words=1500, seed=5), ShapeSettings(layers=1, width=16, heads=2, context=32),
    TrainingSettings(steps=1, batch=2, precision="f32"),
)  # fmt: skip


def test_the_text_written_again_is_the_one_that_the_run_learned_from(tmp_path: Path) -> None:
    run = run_to_end(start_run(tmp_path / "run", PLAN)).result
    plan = world_plan(PLAN.to_json())
    assert plan == PLAN
    again = run_to_end(write_text_again(PLAN, run.model, tmp_path / "again")).result
    own, other = open_tokens(tmp_path / "run" / "tokens"), open_tokens(again / "tokens")
    assert own.facts == other.facts
    assert read_plan(again) == PLAN
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_text_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    stage = write_text_again(
        with_settings(PLAN, {"words": 60_000}),
        Path(str(importlib.resources.files("resources"))) / "lineage" / "base",
        tmp_path / "t",
    )
    next(stage)
    stage.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_another_text_cannot_be_written_again(tmp_path: Path) -> None:
    assert world_plan(preset("text").plan.to_json()) is None
    assert world_plan({"vocab_size": 3}) is None
    with pytest.raises(LabError, match="somebody's own"):
        write_text_again(preset("text").plan, tmp_path, tmp_path / "t")
