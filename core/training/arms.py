"""The arms of the experiments on preferences, and what each experiment sets side by side. Knows no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from core.problems import LabError
from core.training.finetune_plans import FinetunePlan, finetune_preset, with_values

STEPS, BATCH = 60, 16
"""Of every arm: each row is read once."""
LOOKS = (10, 18, 32)
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
        preset: Whose plan it has.
        changes: What differs from that.
    """

    title: str
    preset: str
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)


ARMS: dict[str, Arm] = {
    "mix": Arm("SFT, 30 % worse answers", "mix"),
    "chosen": Arm("SFT, chosen answers only", "chosen"),
    "dpo": Arm("DPO with NLL", "dpo"),
    "ipo": Arm("IPO with NLL", "ipo"),
    "frombase": Arm("DPO from the base", "frombase"),
    "collapse": Arm("DPO, rate × 10, β 0.1, no NLL", "collapse"),
    "flipped10": Arm("DPO, 10 % labels swapped", "flipped", {"flipped": 10}),
    "flipped": Arm("DPO, 25 % labels swapped", "flipped"),
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
    (10, 960)
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
