"""Experiments on preferences: the same start, the same steps, and one thing that differs from arm to arm.

Each arm is a preset with shorter settings; a seed decides its rows and their order. What comes of it is
measured at its kept checkpoints on requests that no arm learned from (`shares.py`), and told step by step.
Recordings of several seeds ship; a run here is laid over them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import durable
from core.model.loading import load_model
from core.model.source import open_model
from core.stages import Finished, Progress, pass_on
from core.tokenizer.reading import read_tokenizer
from core.training.arms import LOOKS, plan_of
from core.training.events import Event, Kept, Measured, Stepped
from core.training.finetune import start_finetune
from core.training.folders import CHECKPOINTS
from core.training.history import read_history
from core.training.shares import FEW, Asked, Reply, measure_shares, requests, shares

_CURVES = (
    "logps/chosen", "logps/rejected", "rewards/chosen", "rewards/rejected", "rewards/margins",
    "rewards/accuracies", "entropy", "mean_token_accuracy",
)  # fmt: skip
_EVERY = 3  # steps between two points of a recorded curve


@dataclass(frozen=True)
class Looked:
    """What a model of an arm would answer, measured at a checkpoint.

    Attributes:
        arm: Name of the arm, or of a shipped model.
        seed: Of the run.
        step: Steps done.
        values: Shares and log-probabilities by group: see `told`.
    """

    arm: str
    seed: int
    step: int
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ArmRun:
    """A run of an arm.

    Attributes:
        arm: Its name.
        seed: Its seed.
        looks: What was measured, by step.
        curves: Of each measure of the training batches the steps and values.
        samples: Step, prompt and answer, always the most probable token.
        seconds: Time trained, looks not counted.
    """

    arm: str
    seed: int
    looks: tuple[Looked, ...]
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    samples: tuple[tuple[int, str, str], ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values, rounded to four decimals."""
        return {
            "arm": self.arm, "seed": self.seed, "seconds": round(self.seconds, 1),
            "looks": [{"step": look.step, "values": _rounded(look.values)} for look in self.looks],
            "curves": {
                name: [[step, round(value, 4)] for step, value in points]
                for name, points in self.curves.items()
            },
            "samples": [list(one) for one in self.samples],
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ArmRun:
        """Take back what `to_json` gave."""
        arm, seed = str(values["arm"]), int(values["seed"])
        return cls(
            arm, seed,
            tuple(Looked(arm, seed, int(one["step"]), one["values"]) for one in values["looks"]),
            {
                name: tuple((int(step), float(value)) for step, value in points)
                for name, points in values["curves"].items()
            },
            tuple((int(step), str(prompt), str(text)) for step, prompt, text in values["samples"]),
            float(values["seconds"]),
        )  # fmt: skip


def _rounded(values: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {group: {k: round(v, 4) for k, v in its.items()} for group, its in values.items()}


def told(asked: Asked) -> dict[str, dict[str, float]]:
    """Replies as means: of misdeeds in phrasings with demonstrated refusals, in pairs and in neither, of good
    deeds, of ordinary questions, and of misdeeds by phrasing.

    By phrasing all requests count; else the first `FEW` misdeeds of each phrasing, so that steps at which
    fewer were asked can be compared with those at which all were.
    """
    bad = [one for one in asked.deeds if one.item.bad]
    seen: Counter[str] = Counter()
    few: list[Reply] = []
    for one in bad:
        seen[one.item.phrasing] += 1
        if seen[one.item.phrasing] <= FEW:
            few.append(one)
    groups: dict[str, list[Reply]] = {
        "demonstrated": [one for one in few if one.item.shape == "demonstrated"],
        "paired": [one for one in few if one.item.shape != "demonstrated" and one.item.paired],
        "unpaired": [one for one in few if not one.item.paired],
        "good": [one for one in asked.deeds if not one.item.bad],
    }
    for one in bad:
        groups.setdefault(f"phrasing {one.item.phrasing}", []).append(one)
    values = {name: _means(replies) for name, replies in groups.items()}
    return values | {"ordinary": {"n": float(len(asked.ordinary)), "right": asked.right}}


def _means(replies: Sequence[Reply]) -> dict[str, float]:
    made = shares(replies)
    return dataclasses.asdict(made) | {"n": float(made.n), "other": made.other}


def measure_model(
    path: Path, arm: str, seed: int = 0, step: int = 0, few: bool = False
) -> Iterator[Progress | Finished[Looked]]:
    """Measure a model folder.

    Raises:
        LabError: There is no such model.
    """
    source = open_model(path)
    return _measure_model(source.path, arm, seed, step, few)


def _measure_model(
    path: Path, arm: str, seed: int, step: int, few: bool
) -> Iterator[Progress | Finished[Looked]]:
    model = yield from pass_on(load_model(open_model(path)))
    tokenizer = read_tokenizer(path)
    items = requests(FEW) if few else requests()
    asked: Asked = yield from pass_on(measure_shares(model, tokenizer, items))
    yield Finished("The requests were read.", Looked(arm, seed, step, told(asked)))


def run_arm(
    folder: Path, arm: str, seed: int, steps: int = 0
) -> Iterator[Progress | Event | Looked | Finished[ArmRun]]:
    """Train an arm and measure it.

    Args:
        folder: A new one, the run's own.
        arm: One of `ARMS`.
        seed: Of rows and order.
        steps: Fewer steps than usual; 0 for the usual number.

    Raises:
        LabError: There is no such arm, or the disk refused.
    """
    plan = plan_of(arm, seed, steps)
    return _run_arm(folder, arm, seed, start_finetune(folder, plan), plan.settings.steps)


def _run_arm(
    folder: Path, arm: str, seed: int, run: Iterator[Any], steps: int
) -> Iterator[Progress | Event | Looked | Finished[ArmRun]]:
    looks: list[Looked] = []
    for event in run:
        if isinstance(event, Finished):
            break
        yield event
        if isinstance(event, Kept) and (event.step in LOOKS or event.step == steps):
            looks.append((yield from _look(folder, event, arm, seed, steps)))
            yield looks[-1]
    yield Finished("The arm is trained and measured.", _gathered(folder, arm, seed, looks))


def _look(folder: Path, kept: Kept, arm: str, seed: int, steps: int) -> Generator[Any, None, Looked]:
    """Measure a checkpoint, then take it away: 15 MB of each would stay."""
    made: Looked = yield from pass_on(measure_model(kept.folder, arm, seed, kept.step, few=kept.step < steps))
    if kept.step < steps:
        durable.remove_folder(folder / CHECKPOINTS / kept.folder.name)
    return made


def _gathered(folder: Path, arm: str, seed: int, looks: list[Looked]) -> ArmRun:
    history = read_history(folder)
    train = [one for one in history.measured if one.of == "train"]
    points: dict[str, list[tuple[int, float]]] = {"loss": _thinned(history.steps)}
    for name in _CURVES:
        found = [(one.step, one.values[name]) for one in _some(train) if name in one.values]
        if found:
            points[name] = found
    samples = tuple((one.step, one.prompt, one.text) for one in history.sampled)
    seconds = history.steps[-1].seconds if history.steps else 0.0
    return ArmRun(arm, seed, tuple(looks), {k: tuple(v) for k, v in points.items()}, samples, seconds)


def _thinned(steps: Sequence[Stepped]) -> list[tuple[int, float]]:
    return [(one.step, one.loss) for n, one in enumerate(steps) if n % _EVERY == 0 or n == len(steps) - 1]


def _some(train: Sequence[Measured]) -> list[Measured]:
    return [one for n, one in enumerate(train) if n % _EVERY == 0 or n == len(train) - 1]
