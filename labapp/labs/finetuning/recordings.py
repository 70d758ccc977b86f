"""The recorded runs that ship, as the pages show them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from core.training.arms import ARMS, STEPS, plan_of
from core.training.events import Measured, Sampled, Stepped
from core.training.history import History
from labapp.scenes import read_json
from labapp.words import tr


@dataclass(frozen=True)
class RecordedRun:
    """A run of an arm, as JSON values: see `core.training.experiments.ArmRun.to_json`."""

    arm: str
    seed: int
    values: dict[str, Any]

    def curve(self, name: str) -> list[tuple[int, float]]:
        """A measure of the training batches."""
        return [(int(step), float(value)) for step, value in self.values["curves"].get(name, [])]

    def shares(self, group: str, measure: str) -> list[tuple[int, float]]:
        """A measure of requests that no arm learned from, by step."""
        return [
            (int(look["step"]), float(look["values"][group][measure]))
            for look in self.values["looks"]
            if measure in look["values"].get(group, {})
        ]


@functools.cache
def recording() -> dict[str, Any]:
    """The whole file."""
    return read_json("finetuning", "experiments.json")


def recorded_runs(arm: str) -> list[RecordedRun]:
    """The recorded runs of an arm, a seed each."""
    return [RecordedRun(arm, int(one["seed"]), one) for one in recording()["runs"] if one["arm"] == arm]


def start_shares(name: str, group: str, measure: str) -> float:
    """What a shipped model does before anything is learned here."""
    look = recording()["starts"][name]["looks"][0]
    return float(look["values"][group][measure])


def recorded_history(arm: str) -> tuple[History, float, str]:
    """The first recorded run of an arm as a history, its β, and what it is called."""
    beta = plan_of(arm, 1).method.beta
    runs = recorded_runs(arm)
    if not runs:
        return History(), beta, ""
    run = runs[0]
    names = [name for name in run.values["curves"] if name != "loss"]
    by_step: dict[int, dict[str, float]] = {}
    for name in names:
        for step, value in run.curve(name):
            by_step.setdefault(step, {})[name] = value
    history = History(
        steps=tuple(Stepped(step, loss, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0) for step, loss in run.curve("loss")),
        measured=tuple(Measured(step, "train", values) for step, values in by_step.items()),
        sampled=tuple(Sampled(int(n), prompt, text) for n, prompt, text in run.values["samples"]),
    )
    title = tr("A recording: {arm}, {n} steps, seed {seed}", arm=tr(ARMS[arm].title), n=STEPS, seed=run.seed)
    return history, beta, title
