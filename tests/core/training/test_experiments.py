"""An arm is trained and measured in one stage; the arms that stand side by side differ in one thing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.problems import LabError
from core.stages import Finished
from core.training.arms import ARMS, EXPERIMENTS, plan_of
from core.training.events import Stepped
from core.training.experiments import ArmRun, Looked, run_arm, told
from core.training.shares import Asked, Reply, requests


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
        yield
    torch.set_num_threads(threads)


def test_an_arm_is_trained_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.experiments.requests", lambda *_: requests(1)[::9])
    monkeypatch.setattr("core.training.finetune._LOOKED_AT", 4)
    events = list(run_arm(tmp_path / "run", "chosen", 1, steps=1))
    assert [one.step for one in events if isinstance(one, Stepped)] == [1]
    looks = [one for one in events if isinstance(one, Looked)]
    assert [one.step for one in looks] == [1]
    end = events[-1]
    assert isinstance(end, Finished)
    made: ArmRun = end.result
    assert made.looks == tuple(looks)
    values = looks[0].values["good"]
    assert values["refused"] + values["planned"] + values["other"] == pytest.approx(1, abs=1e-4)
    again = ArmRun.from_json(made.to_json())
    assert json.dumps(again.to_json()) == json.dumps(made.to_json())  # a group without requests is no number
    assert (again.arm, again.seed) == ("chosen", 1)
    with pytest.raises(LabError, match="no arm 'none'"):
        run_arm(tmp_path / "none", "none", 1)


def test_the_matched_arm_has_the_same_rows_steps_and_seed_and_only_imitates() -> None:
    one, other = plan_of("dpo", 2), plan_of("chosen", 2)
    assert one.rows == other.rows
    assert one.settings == other.settings
    assert one.start == other.start
    assert (one.method.method, other.method.method) == ("dpo", "sft")
    swapped = plan_of("flipped10", 2)
    assert swapped.method == one.method
    assert dataclasses.replace(swapped.rows, flipped=0) == one.rows
    assert {arm for each in EXPERIMENTS for arm in each.arms} == set(ARMS)


def test_steps_are_compared_on_the_same_requests() -> None:
    items = requests()
    all_of_them = Asked(tuple(Reply(item, -1.0, (-3.0,) * 8) for item in items), (-0.5,))
    few = Asked(tuple(Reply(item, -1.0, (-3.0,) * 8) for item in requests(3)), (-0.5,))
    for group in ("demonstrated", "paired", "unpaired", "good"):
        assert told(all_of_them)[group]["n"] == told(few)[group]["n"]
    assert told(all_of_them)["phrasing do"]["n"] == 6
