"""Failure signs of preference runs: each is seen in curves that show it, and in no sound ones."""

from __future__ import annotations

from core.training.events import Measured
from core.training.hints import hints


def run(steps: int = 100, **ends: float) -> list[Measured]:
    """Straight curves from a sound beginning to the given ends."""
    begin = {
        "rewards/margins": 0.0, "rewards/accuracies": 0.0, "rewards/chosen": 0.0, "rewards/rejected": 0.0,
        "mean_token_accuracy": 0.95,
    }  # fmt: skip
    sound = {"margins": 3.0, "accuracies": 0.9, "chosen": 0.1, "rejected": -2.9, "accuracy": 0.96} | ends
    keys = ("margins", "accuracies", "chosen", "rejected", "accuracy")
    return [
        Measured(
            step,
            "train",
            {
                name: start + (sound[key] - start) * (step - 1) / (steps - 1)
                for (name, start), key in zip(begin.items(), keys, strict=True)
            },
        )
        for step in range(1, steps + 1)
    ]


def names(measured: list[Measured], steps: int = 100) -> list[str]:
    return [hint.name for hint in hints(measured, steps, 0.3)]


def test_a_sound_run_has_no_hint() -> None:
    assert names(run()) == []
    assert names([]) == []
    assert names([Measured(1, "train", {"entropy": 1.0})]) == []


def test_both_answers_fall() -> None:
    found = hints(run(chosen=-1.5), 100, beta=0.3)
    assert [hint.name for hint in found] == ["both answers fall"]
    assert "by 4." in found[0].text  # 1.5 / 0.3 nats, less what the smoothing lags behind


def test_the_text_collapses() -> None:
    assert names(run(chosen=-9.0, rejected=-12.0, accuracy=0.3)) == [
        "both answers fall",
        "the text collapses",
    ]


def test_the_first_margin_is_not_zero() -> None:
    measured = run()
    first = measured[0].values | {"rewards/margins": 0.4}
    assert names([Measured(1, "train", first), *measured[1:]]) == ["reference differs"]
    assert names(measured[1:]) == []  # the first step is not there: nothing is said of it


def test_every_pair_is_right_at_once() -> None:
    told = [Measured(one.step, "train", one.values | {"rewards/accuracies": 1.0}) for one in run()]
    assert names(told) == ["right at once"]


def test_nothing_is_learned() -> None:
    told = [Measured(one.step, "train", one.values | {"rewards/accuracies": 0.5}) for one in run()]
    assert names(told) == ["nothing is learned"]
    assert names(told[:30]) == []  # it may yet come
