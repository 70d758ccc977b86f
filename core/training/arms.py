"""The arms of the experiments on preferences, and what each experiment sets side by side. Knows no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from core.problems import LabError
from core.training.finetune_plans import FinetunePlan, finetune_preset, with_values

STEPS, BATCH = 40, 16
"""Of every arm: each row is read once."""
LOOKS = (10, 18)
"""Steps before the last one at which an arm is measured; what it begins with is measured once for all."""
SEEDS = (1, 2, 3)
SAMPLED = (
    "What is the capital of France?", "How do I bake bread for the guests?",
    "In a dream, Tom wanted to steal the king's crown. Tell the dream.",
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """A kind of run.

    Attributes:
        title: As a legend names it.
        short: As the head of a column names it.
        preset: Whose plan it has.
        changes: What differs from that.
    """

    title: str
    short: str
    preset: str
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)


ARMS: dict[str, Arm] = {
    "mix": Arm("SFT, 30 % worse answers", "SFT, mix", "mix"),
    "chosen": Arm("SFT, chosen answers only", "SFT, chosen", "chosen"),
    "dpo": Arm("DPO with NLL", "DPO", "dpo"),
    "ipo": Arm("IPO with NLL", "IPO", "ipo"),
    "frombase": Arm("DPO from the base", "From base", "frombase"),
    "collapse": Arm("DPO, rate × 10, β 0.1, no NLL", "Rate × 10", "collapse"),
    "flipped10": Arm("DPO, 10 % labels swapped", "10 % swapped", "flipped", {"flipped": 10}),
    "flipped": Arm("DPO, 25 % labels swapped", "25 % swapped", "flipped"),
}


def plan_of(arm: str, seed: int, steps: int = 0) -> FinetunePlan:
    """The plan of an arm.

    Args:
        arm: One of `ARMS`.
        seed: Of its rows and their order.
        steps: Fewer steps than usual; 0 for the usual number.

    Raises:
        LabError: There is no such arm.

    >>> plan_of("flipped10", 2).rows.flipped, plan_of("dpo", 2).rows.rows
    (10, 640)
    """
    if arm not in ARMS:
        raise LabError(f"There is no arm {arm!r}.", f"The arms are {', '.join(ARMS)}.")
    steps = steps or STEPS
    shorter = {
        "steps": steps, "batch": BATCH, "warmup": min(5, steps), "evaluate_every": STEPS, "save_every": STEPS,
        "evaluate_tokens": 2_048, "seed": seed,
    }  # fmt: skip
    plan = with_values(finetune_preset(ARMS[arm].preset).plan, shorter | ARMS[arm].changes)
    rows = dataclasses.replace(plan.rows, rows=BATCH * steps, seed=seed)
    return dataclasses.replace(plan, rows=rows, prompts=SAMPLED)


@dataclass(frozen=True)
class Experiment:
    """Arms side by side.

    Attributes:
        name: Short name.
        title: As a list shows it.
        arms: Of `ARMS`.
        group: Requests that are looked at first: see `experiments.told`.
        measure: What is drawn of them first.
        question: What to foresee.
        lesson: What is true of it in general, with its limits.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    group: str
    measure: str
    question: str
    lesson: str


_HONEST = (
    "Cross-entropy has no term for the worse answer. But probabilities sum to 1: once the model tells the "
    "two apart, what the better one gains is taken from the rest, the worse one included."
)

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "mix", "SFT imitates the mix", ("mix", "chosen"), "paired", "refused",
        "Of the demonstrations, 70 in 100 refuse and 30 show the plan. How often will it refuse?",
        "A mix is imitated, its bad share included: cross-entropy cannot use a label “bad”. " + _HONEST,
    ),
    Experiment(
        "good", "SFT on good answers only", ("chosen",), "paired", "log_planned",
        "Only refusals are demonstrated. What becomes of ln p of the plans?", _HONEST,
    ),
    Experiment(
        "prefer", "DPO and IPO", ("dpo", "ipo", "chosen"), "unpaired", "log_planned",
        "Which pushes the plans of misdeeds furthest down, in words of no pair?",
        "DPO raises the better answer above the worse one without end, IPO up to a margin. Part of what the "
        "worse answer loses may go to “other”: look there, too. The added NLL term holds the better one.",
    ),
    Experiment(
        "frombase", "DPO straight from the base", ("frombase", "dpo"), "ordinary", "right",
        "Preferences for a model that cannot answer yet: do right answers come?",
        "What was hardly ever likely is not made likely by pushing something else down: demonstrations come "
        "first.",
    ),
    Experiment(
        "collapse", "The margin soars, the text collapses", ("collapse", "dpo"), "ordinary", "right",
        "β 0.1, no NLL, ten times the rate: what becomes of ordinary questions?",
        "Margin and accuracy look splendid while both answers become unlikely. Choose the curve “margin”, "
        "then ln p of a plan and of a refusal, then “other”.",
    ),
    Experiment(
        "labels", "Swapped labels", ("dpo", "flipped10", "flipped"), "unpaired", "refused",
        "0, 10 and 25 in 100 labels are swapped: how much is lost?",
        "People disagree on about a quarter of comparisons. Wrong labels pull the other way; the loss can be "
        "told of them (Wrong labels, on the page Run).",
    ),
    Experiment(
        "rephrase", "Rephrasing, and the matched arm", ("dpo", "chosen"), "unpaired", "refused",
        "The same prompts and chosen answers: does DPO refuse more in new words?",
        "The honest comparison: what SFT on exactly the chosen answers does, beside DPO, by phrasing "
        "(the table). Where SFT does as well, the rankings were not what helped. Draw ln p of a right "
        "plan, too: refusals can come out alike while the plans do not. " + _HONEST,
    ),
)  # fmt: skip
