"""What the curves of a preference run warn of, in words: the failure signs that are known.

A hint is a suspicion with the figures that raised it, not a verdict; whoever reads it looks at samples next.
Knows no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.training.events import Measured
from core.training.history import smoothed

_ZERO = 0.01  # nats of reward: a margin below it is none
_FALL = 1.0  # nats by which an answer's log-probability must have fallen
_LEAST = 10  # steps before anything but the first is judged
_SOON = 0.2  # share of the steps that counts as at once


@dataclass(frozen=True)
class Hint:
    """A failure sign that was seen.

    Attributes:
        name: Short name.
        text: What was seen, with its figures, and what it may mean.
        remedy: What to try.
    """

    name: str
    text: str
    remedy: str


def hints(measured: Sequence[Measured], steps: int, beta: float) -> tuple[Hint, ...]:
    """The failure signs in what a run of DPO or IPO has measured so far; none for other runs.

    Args:
        measured: Of the run, in their order.
        steps: Steps of the run in all.
        beta: The run's own: rewards are β · h.
    """
    train = [one for one in measured if one.of == "train" and "rewards/margins" in one.values]
    if not train:
        return ()
    found = [_reference(train)]
    if len(train) >= _LEAST:
        found += [_displacement(train, beta), *(sign(train, steps) for sign in _SIGNS)]
    return tuple(hint for hint in found if hint is not None)


def _curve(train: Sequence[Measured], name: str) -> list[float]:
    return smoothed([one.values[name] for one in train])


def _reference(train: Sequence[Measured]) -> Hint | None:
    """Before anything is learned the model is its reference, and every margin 0."""
    margin = train[0].values["rewards/margins"]
    if train[0].step != 1 or abs(margin) < _ZERO:
        return None
    return Hint(
        "reference differs",
        f"The first margin is {margin:.3f} and not 0: the model is not what the reference was made of.",
        "Make the reference anew, from the model that is trained, with the same chat template and rows.",
    )


def _displacement(train: Sequence[Measured], beta: float) -> Hint | None:
    """Likelihood displacement (Razin et al., https://arxiv.org/abs/2410.08847)."""
    chosen, rejected = (-_curve(train, f"rewards/{which}")[-1] / beta for which in ("chosen", "rejected"))
    if chosen < _FALL or rejected < _FALL:
        return None
    return Hint(
        "both answers fall",
        f"The better answers became less likely by {chosen:.1f} nats, the worse ones by {rejected:.1f}: the "
        "margin grows, and the probability goes to neither.",
        "Add the term for the better answer (nll), raise beta, or lower the rate; read the samples.",
    )


def _collapse(train: Sequence[Measured], steps: int) -> Hint | None:
    """A margin that grows while the better answers' own tokens are foretold worse and worse."""
    accuracy = _curve(train, "mean_token_accuracy")
    if max(accuracy) - accuracy[-1] < 0.1 or _curve(train, "rewards/margins")[-1] < 1:
        return None
    return Hint(
        "the text collapses",
        f"Of the better answers' tokens {accuracy[-1]:.0%} are the most probable ones, {max(accuracy):.0%} "
        "were before, while the margin is large.",
        "Stop here, go back to an earlier checkpoint, and lower the rate; add nll.",
    )


def _trivial(train: Sequence[Measured], steps: int) -> Hint | None:
    """Accuracy 1 at once: length or format gives the pairs away (huggingface/trl issue 1236)."""
    soon = [one.values["rewards/accuracies"] for one in train if one.step <= max(_LEAST, _SOON * steps)]
    half = soon[len(soon) // 2 :]
    if len(half) < 3 or sum(half) / len(half) < 0.995:
        return None
    return Hint(
        "right at once",
        f"From step {train[len(soon) // 2].step:,} on every pair is told right: something simple, such as "
        "length or a fixed sentence, may give the better answer away.",
        "Look at pairs of equal length, and at rows that are held out.",
    )


def _nothing(train: Sequence[Measured], steps: int) -> Hint | None:
    """Accuracy stays at chance."""
    accuracy = _curve(train, "rewards/accuracies")
    if train[-1].step < steps / 2 or abs(accuracy[-1] - 0.5) > 0.07:
        return None
    return Hint(
        "nothing is learned",
        f"After {train[-1].step:,} steps {accuracy[-1]:.0%} of the pairs are told right, as by chance.",
        "Check that better and worse answers are not mixed up; else raise the rate.",
    )


_SIGNS: tuple[Callable[[Sequence[Measured], int], Hint | None], ...] = (_collapse, _trivial, _nothing)
