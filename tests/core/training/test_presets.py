"""Plans as JSON, and the presets: each can be run, and each failure changes what it says it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.artifacts import plain_json
from core.problems import LabError
from core.settings import check
from core.training.presets import PLAN, PRESETS, Preset, RunPlan, preset, read_plan, with_settings


@pytest.mark.parametrize("one", PRESETS, ids=lambda one: one.name)
def test_a_plan_survives_json_and_keeps_its_limits(one: Preset) -> None:
    assert RunPlan.from_json(one.plan.to_json()) == one.plan
    for part in (one.plan.corpus, one.plan.shape, one.plan.settings):
        check(part)
    one.plan.shape.config(2048)
    assert one.promise
    assert one.look_for
    assert one.why


def test_the_failures_differ_from_a_good_run_in_what_they_are_named_after() -> None:
    assert preset("rate").plan.settings.rate > 50 * preset("taste").plan.settings.rate
    assert not preset("nomask").plan.settings.masked
    assert preset("nowarmup").plan.settings.warmup == 0
    assert preset("overfit").plan.corpus.words < preset("taste").plan.corpus.words / 100
    assert preset("small").plan.shape.layers == 1


def test_a_setting_is_changed_by_its_name_alone() -> None:
    plan = with_settings(preset("taste").plan, {"rate": 0.01, "width": 64, "words": 500})
    assert (plan.settings.rate, plan.shape.width, plan.corpus.words) == (0.01, 64, 500)
    assert plan.name == "taste"


def test_an_unknown_setting_or_value_is_said() -> None:
    with pytest.raises(LabError, match="no setting 'speed'"):
        with_settings(preset("taste").plan, {"speed": 3})
    with pytest.raises(LabError, match="0"):
        with_settings(preset("taste").plan, {"steps": 0})
    with pytest.raises(LabError, match="no preset 'best'"):
        preset("best")


@pytest.mark.parametrize("values", [None, [], {}, {"corpus": 1}, {"prompts": "The"}])
def test_what_is_no_plan_is_refused(values: object, tmp_path: Path) -> None:
    with pytest.raises(LabError):
        RunPlan.from_json(values)
    plain_json.write_json(tmp_path / PLAN, values)
    assert read_plan(tmp_path) is None
