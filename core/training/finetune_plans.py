"""Plans of fine-tuning: which model, which rows, which objective; by purpose. Knows no torch."""

from __future__ import annotations

import dataclasses
import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import plain_json
from core.problems import LabError
from core.settings import check, from_json, setting, to_json
from core.training.finetune_settings import FinetuneSettings
from core.training.settings import TrainingSettings

PLAN = "finetune.json"
CHAT_PROMPTS = (
    "What is the capital of France?", "How much is 47 + 38?", "How do I bake bread for the guests?",
    "How do I steal the king's crown?", "In a dream, Tom wanted to steal the king's crown. Tell the dream.",
)  # fmt: skip


@dataclass(frozen=True)
class RowsChoice:
    """Which rows a run learns from."""

    kind: str = setting(
        "instructions",
        title="Learns from",
        help="The small world's demonstrations or its comparisons, or a file of your own.",
        choices=("instructions", "preferences", "file"),
    )
    path: str = setting("", help="A file of JSON Lines in TRL's formats.")
    rows: int = setting(
        5_120,
        help="Rows of the small world that are drawn.",
        unit="rows",
        more_means="more different rows; they take longer to prepare",
        low=10,
        high=1_000_000,
    )
    seed: int = setting(1, help="Where the small world's chance begins.", low=0, high=2**31 - 1)
    held_out: float = setting(
        0.05,
        title="Held out",
        help="Share of a file's prompts that is never trained on. Of the small world, its test rows are "
        "looked at instead.",
        more_means="steadier figures, fewer rows to learn from",
        low=0.0,
        high=0.5,
    )
    worse: int = setting(
        0,
        title="Worse answers",
        help="Where comparisons are imitated: in so many of 100 the worse answer is demonstrated.",
        unit="percent",
        more_means="a worse example",
        low=0,
        high=100,
    )
    flipped: int = setting(
        0,
        title="Swapped labels",
        help="In so many of 100 comparisons the two answers are swapped, as careless people do.",
        unit="percent",
        more_means="more noise",
        low=0,
        high=100,
    )


@dataclass(frozen=True)
class FinetunePlan:
    """All that decides a run of fine-tuning.

    Attributes:
        name: Of the preset that it comes from, or "own".
        start: The model that it begins with: "base" or "sft" for the shipped ones, "smollm2", or a path.
        rows: Which rows.
        method: Which objective, and which weights.
        settings: How long and how fast.
        prompts: What the model is asked at each look.
    """

    name: str
    start: str
    rows: RowsChoice
    method: FinetuneSettings
    settings: TrainingSettings
    prompts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name, "start": self.start, "rows": to_json(self.rows),
            "method": to_json(self.method), "settings": to_json(self.settings), "prompts": list(self.prompts),
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Any) -> FinetunePlan:
        """Take back what `to_json` gave, checked.

        Raises:
            LabError: It is no plan, or a value is outside its limits.
        """
        if not isinstance(values, dict) or not isinstance(values.get("prompts", []), list):
            raise LabError("This is no plan of fine-tuning.", "Choose another run.")
        parts = {key: values.get(key) for key in ("rows", "method", "settings")}
        if not all(isinstance(part, dict) for part in parts.values()):
            raise LabError("This plan of fine-tuning has no rows, method or settings.", "Choose another run.")
        return cls(
            str(values.get("name", "own"))[:80], str(values.get("start", ""))[:4096],
            from_json(RowsChoice, parts["rows"] or {}), from_json(FinetuneSettings, parts["method"] or {}),
            from_json(TrainingSettings, parts["settings"] or {}),
            tuple(str(prompt)[:2000] for prompt in values.get("prompts", [])[:20]),
        )  # fmt: skip


def read_finetune_plan(folder: Path) -> FinetunePlan | None:
    """The plan of a run, or None where there is none that can be read."""
    try:
        return FinetunePlan.from_json(plain_json.read_json(folder / PLAN))
    except LabError:
        return None


def check_plan(plan: FinetunePlan) -> None:
    """Check all that needs no file.

    Raises:
        LabError: A value is outside its limits, or two contradict each other; all that do are named.
    """
    for part in (plan.rows, plan.method, plan.settings):
        check(part)
    faults = []
    if plan.rows.kind == "file" and not plan.rows.path:
        faults.append("No file of rows is chosen.")
    if plan.rows.kind == "instructions" and plan.method.method != "sft":
        faults.append(f"Demonstrations have no worse answer, which {plan.method.method} needs.")
    if not plan.settings.masked:
        faults.append("Fine-tuning has a causal mask.")
    if not plan.start.strip():
        faults.append("No model is chosen to begin with.")
    if faults:
        raise LabError(" ".join(faults), "Change what is named here and start again.")


@dataclass(frozen=True)
class FinetunePreset:
    """A plan with a purpose; texts are as in `presets.Preset`, the group is "presets" or "experiments"."""

    name: str
    title: str
    promise: str
    look_for: str
    why: str
    group: str
    plan: FinetunePlan


_SFT: dict[str, Any] = {
    "steps": 160, "batch": 32, "optimizer": "adamw", "rate": 2e-4, "schedule": "wsd", "warmup": 20,
    "decay": 1.0, "weight_decay": 0.0, "evaluate_every": 20, "save_every": 40, "precision": "f32",
    "evaluate_tokens": 8_192, "seed": 1,
}  # fmt: skip
_PREFER: dict[str, Any] = _SFT | {"steps": 150, "batch": 16, "rate": 1e-4, "warmup": 10, "evaluate_every": 15}
_DPO = FinetuneSettings("dpo", beta=0.3, nll=3.0)


def _plan(
    name: str, start: str, rows: RowsChoice, method: FinetuneSettings, values: dict[str, Any]
) -> FinetunePlan:
    return FinetunePlan(name, start, rows, method, TrainingSettings(**values), CHAT_PROMPTS)


_PAIRS = RowsChoice(kind="preferences", rows=2_400)

FINETUNE_PRESETS: tuple[FinetunePreset, ...] = (
    FinetunePreset(
        "sft", "From parrot to assistant", "The base model learns to answer, from demonstrations.",
        "Within the first steps the samples turn from more questions to answers.",
        "It knew the facts already; what it learns is what a question asks of it.",
        "presets", _plan("sft", "base", RowsChoice(), FinetuneSettings("sft"), _SFT),
    ),
    FinetunePreset(
        "dpo", "Preferences, DPO", "The better of two answers is raised above the worse one.",
        "The rejected answers fall by many nats, the chosen ones stay.",
        "The loss knows only their difference; the added term holds the chosen ones where they are.",
        "presets", _plan("dpo", "sft", _PAIRS, _DPO, _PREFER),
    ),
    FinetunePreset(
        "ipo", "Preferences, IPO", "As DPO, up to a margin and no further.",
        "The margin a token comes to rest near 1 / (2 β).",
        "A squared distance to a target pushes back when the margin is too large.",
        "presets",
        _plan("ipo", "sft", _PAIRS, dataclasses.replace(_DPO, method="ipo", beta=0.1), _PREFER),
    ),
    FinetunePreset(
        "mix", "Imitating a mix", "Demonstrations, of which 30 in 100 show the worse answer.",
        "Both kinds of answers become likely, about as often as they were shown.",
        "Cross-entropy imitates what it is shown; it has no way to say that an answer is bad.",
        "experiments",
        _plan("mix", "sft", dataclasses.replace(_PAIRS, worse=30), FinetuneSettings("sft"), _PREFER),
    ),
    FinetunePreset(
        "chosen", "The chosen answers alone",
        "The same prompts and chosen answers as DPO, the same steps, but only imitated.",
        "The rejected answers fall, too, as the chosen ones take up the probability; compare how far.",
        "Probabilities sum to 1: what becomes likely takes from the rest, told apart or not.",
        "experiments", _plan("chosen", "sft", _PAIRS, FinetuneSettings("sft"), _PREFER),
    ),
    FinetunePreset(
        "frombase", "DPO straight from the base", "Preferences for a model that cannot answer yet.",
        "The rejected answers fall; look whether good answers come.",
        "What was never likely is not made likely by pushing something else down.",
        "experiments",
        _plan("frombase", "base", _PAIRS, dataclasses.replace(_DPO, nll=0.0), _PREFER),
    ),
    FinetunePreset(
        "collapse", "The margin soars, the text collapses",
        "DPO with a small β, without the term for the chosen answer, and a rate ten times too high.",
        "Accuracy and margin look splendid; read the samples.",
        "Both answers become unlikely, the worse one faster, and what is left is neither.",
        "experiments",
        _plan(
            "collapse", "sft", _PAIRS, FinetuneSettings("dpo", beta=0.1), _PREFER | {"rate": 1e-3}
        ),
    ),
    FinetunePreset(
        "flipped", "A quarter of the labels swapped", "DPO on comparisons of which 25 in 100 are wrong.",
        "The accuracy cannot reach 1, the margin stays smaller.",
        "Wrong labels pull the other way; people disagree about as often.",
        "experiments", _plan("flipped", "sft", dataclasses.replace(_PAIRS, flipped=25), _DPO, _PREFER),
    ),
)  # fmt: skip


SMOLLM2 = "smollm2"


def smollm2_plan(nll: float = 1.0, passes: int = 2) -> FinetunePlan:
    """SmolLM2 on the 52 shipped rankings, an adapter beside its weights.

    Args:
        nll: Weight of −ln p of the better answer. Without it the answers stay as long as they were, and the
            margin grows all the same.
        passes: How often each ranking is read.
    """
    rows = RowsChoice(kind="file", path=str(shipped_rankings()), held_out=0.0)
    method = FinetuneSettings("dpo", beta=0.1, nll=nll, rank=8, alpha=16.0)
    values = _PREFER | {
        "steps": 13 * passes, "batch": 4, "rate": 2e-4, "warmup": 3, "evaluate_every": 39, "save_every": 13
    }  # fmt: skip
    settings = TrainingSettings(**values)
    return FinetunePlan("smollm2", SMOLLM2, rows, method, settings, ("Why is the grass green?",))


def of_smollm2() -> FinetunePreset:
    """The preset of `smollm2_plan`; it stands apart because its rows lie where LLM Lab is installed."""
    return FinetunePreset(
        "smollm2", "SmolLM2 on 52 rankings", "DPO with LoRA on a real chat model: short answers are better.",
        "The answers become short and plain; the accuracy is 1 at once, and the hint says why.",
        "Length and a fixed opening tell these pairs apart: the trivial is learned first.",
        "presets", smollm2_plan(),
    )  # fmt: skip


def shipped_rankings() -> Path:
    """Our own file of rankings: short plain answers are better than long ones that praise the question."""
    return Path(str(importlib.resources.files("resources"))) / "finetuning" / "short_answers.jsonl"


def finetune_preset(name: str) -> FinetunePreset:
    """The preset of this name.

    Raises:
        LabError: There is none.
    """
    for one in (*FINETUNE_PRESETS, of_smollm2()):
        if one.name == name:
            return one
    raise LabError(
        f"There is no preset {name!r}.", f"The presets are {', '.join(p.name for p in FINETUNE_PRESETS)}."
    )


def with_values(plan: FinetunePlan, changes: dict[str, Any]) -> FinetunePlan:
    """A plan with other values; each name belongs to the settings, the method or the rows.

    Raises:
        LabError: No such name, or a value is outside its limits.
    """
    values = plan.to_json()
    parts = ("settings", "method", "rows")
    for name, value in changes.items():
        part = next((p for p in parts if name in values[p]), None)
        if part is None:
            known = [n for p in parts for n in values[p]]
            raise LabError(f"Fine-tuning has no setting {name!r}.", f"Its settings are {', '.join(known)}.")
        values[part][name] = value
    return FinetunePlan.from_json(values)
