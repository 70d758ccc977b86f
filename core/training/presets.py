"""Plans of runs: by purpose, and a gallery of failures. Knows no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import plain_json
from core.problems import LabError
from core.settings import from_json, setting, to_json
from core.training.settings import ShapeSettings, TrainingSettings

PLAN = "plan.json"
WORLD_PROMPTS = (
    "The capital of France is", "The king",
    "The cat sat on the mat because it was tired. What was tired? The",
    "Step by step: 47 + 38.",
)  # fmt: skip


@dataclass(frozen=True)
class CorpusChoice:
    """Which text a run learns from."""

    kind: str = setting(
        "smallworld", help="The small world, or a text of your own.", choices=("smallworld", "file")
    )
    path: str = setting("", help="A text file, a folder of them, or JSONL with a `text` in each line.")
    words: int = setting(
        1_200_000,
        help="Words of the small world that are written for this run.",
        unit="words",
        more_means="more different documents",
        low=100,
        high=200_000_000,
    )
    seed: int = setting(1, help="Where the small world's chance begins.", low=0, high=2**31 - 1)
    quiz_share: float = setting(
        0.07,
        title="Share of quizzes",
        help="Share of the small world's documents that are questions without answers.",
        more_means="the base model answers questions with questions more often",
        low=0.0,
        high=0.5,
    )
    tokenizer: str = setting(
        "", help="Folder of a tokenizer; where none is named, the small world's or a new one."
    )
    vocab_size: int = setting(
        1024, title="Vocabulary", help="Tokens of the tokenizer that is learned from a text of your own.",
        unit="tokens",
        more_means="longer tokens", low=256, high=50_000,
    )  # fmt: skip


@dataclass(frozen=True)
class RunPlan:
    """All that decides a run.

    Attributes:
        name: Of the preset that it comes from, or "own".
        corpus: Which text.
        shape: Of the model.
        settings: Of the training.
        prompts: What the model is to go on from at each look at validation.
    """

    name: str
    corpus: CorpusChoice
    shape: ShapeSettings
    settings: TrainingSettings
    prompts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name, "corpus": to_json(self.corpus), "shape": to_json(self.shape),
            "settings": to_json(self.settings), "prompts": list(self.prompts),
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Any) -> RunPlan:
        """Take back what `to_json` gave, checked.

        Raises:
            LabError: It is no plan, or a value is outside its limits.
        """
        if not isinstance(values, dict) or not isinstance(values.get("prompts", []), list):
            raise LabError("This is no plan of a run.", "Choose another run.")
        parts = {key: values.get(key) for key in ("corpus", "shape", "settings")}
        if not all(isinstance(part, dict) for part in parts.values()):
            raise LabError("This plan of a run has no corpus, shape or settings.", "Choose another run.")
        return cls(
            str(values.get("name", "own"))[:80], from_json(CorpusChoice, parts["corpus"] or {}),
            from_json(ShapeSettings, parts["shape"] or {}),
            from_json(TrainingSettings, parts["settings"] or {}),
            tuple(str(prompt)[:2000] for prompt in values.get("prompts", [])[:20]),
        )  # fmt: skip


def read_plan(folder: Path) -> RunPlan | None:
    """The plan of a run, or None where there is none that can be read."""
    try:
        return RunPlan.from_json(plain_json.read_json(folder / PLAN))
    except LabError:
        return None


@dataclass(frozen=True)
class Preset:
    """A plan with a purpose.

    Attributes:
        name: Short name.
        title: As a person reads it.
        promise: What it does.
        look_for: What to watch.
        why: Why that happens.
        group: "presets" or "failures".
        plan: The plan.
    """

    name: str
    title: str
    promise: str
    look_for: str
    why: str
    group: str
    plan: RunPlan


def _plan(
    name: str, corpus: CorpusChoice | None = None, shape: ShapeSettings | None = None,
    prompts: tuple[str, ...] = WORLD_PROMPTS, **settings: Any,
) -> RunPlan:  # fmt: skip
    return RunPlan(
        name, corpus or CorpusChoice(), shape or ShapeSettings(), TrainingSettings(**settings), prompts
    )


_SHORT: dict[str, Any] = {
    "steps": 200,
    "evaluate_every": 20,
    "evaluate_tokens": 8_192,
    "save_every": 50,
    "warmup": 20,
}
_SMALL = ShapeSettings(layers=2, width=128, heads=4, context=128)
_TINY_TEXT = CorpusChoice(words=3_000)

PRESETS: tuple[Preset, ...] = (
    Preset(
        "taste", "A taste", "Words appear within three minutes.",
        "The loss falls from 7.6 in a bend; the samples turn from noise to words to sentences.",
        "First the model learns which tokens are frequent, then which follow one another, then what a "
        "sentence is.",
        "presets", _plan("taste", steps=300, evaluate_every=25, save_every=50, warmup=30),
    ),
    Preset(
        "smallworld", "The small world", "Within about half an hour the model knows the facts of its world.",
        "Capitals after about a million tokens, pronouns and sums much later, and suddenly.",
        "Copying and adding need several heads that work together; until all are there, nothing shows.",
        "presets",
        _plan(
            "smallworld", CorpusChoice(words=3_600_000), steps=2_500, batch=8, evaluate_every=100,
            save_every=100,
        ),
    ),
    Preset(
        "text", "Your text", "Any text file: a tokenizer is learned from it, then a model.",
        "Training and validation loss part where the model begins to learn the text by heart.",
        "A small text is soon known; what is left to learn is its very words.",
        "presets",
        _plan(
            "text", CorpusChoice(kind="file"), ShapeSettings(layers=4, width=256, heads=8, context=128),
            ("The ", "I "),
            steps=600, batch=16, evaluate_every=25, save_every=50,
        ),
    ),
    Preset(
        "rate", "Learning rate too high", "The same model with steps a hundred times too long.",
        "The loss leaps up and stays high, or becomes no number at all.",
        "Each step overshoots the valley that it aims at.",
        "failures", _plan("rate", shape=_SMALL, **_SHORT, optimizer="adamw", rate=0.5, clip=0.0),
    ),
    Preset(
        "nomask", "No mask", "Every token may look at the ones after it.",
        "The loss falls below the generator's own floor, and the samples are garbage.",
        "The model copies the next token instead of foreseeing it; when it writes, there is none to copy.",
        "failures", _plan("nomask", shape=_SMALL, **_SHORT, masked=False),
    ),
    Preset(
        "nowarmup", "No warm-up", "The full learning rate from the first step on.",
        "The first steps jump, and the loss is higher for long.",
        "At the start the directions of the gradients are noise, and Adam makes every step equally long.",
        "failures",
        _plan("nowarmup", shape=_SMALL, **(_SHORT | {"warmup": 0}), optimizer="adamw", rate=0.02, clip=0.0),
    ),
    Preset(
        "overfit", "Overfit", "A text of 3,000 words, read again and again.",
        "The training loss falls on, the validation loss turns and climbs.",
        "The model learns the text by heart; that does not help with any other text.",
        "failures",
        _plan("overfit", _TINY_TEXT, ShapeSettings(context=128), **(_SHORT | {"steps": 300}), batch=8),
    ),
    Preset(
        "small", "Too small", "One block, 32 numbers wide.",
        "The loss flattens far above the others; the samples have words and no sense.",
        "There is no room for the facts, and one block cannot copy.",
        "failures", _plan("small", shape=ShapeSettings(layers=1, width=32, heads=2, context=128), **_SHORT),
    ),
)  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        LabError: There is none.
    """
    for one in PRESETS:
        if one.name == name:
            return one
    raise LabError(f"There is no preset {name!r}.", f"The presets are {', '.join(p.name for p in PRESETS)}.")


def with_settings(plan: RunPlan, changes: dict[str, Any]) -> RunPlan:
    """A plan with other values; each name belongs to the training, the shape or the corpus.

    Raises:
        LabError: No such name, or a value is outside its limits.
    """
    values = plan.to_json()
    for name, value in changes.items():
        part = next((p for p in ("settings", "shape", "corpus") if name in values[p]), None)
        if part is None:
            known = [n for p in ("settings", "shape", "corpus") for n in values[p]]
            raise LabError(f"A run has no setting {name!r}.", f"Its settings are {', '.join(known)}.")
        values[part][name] = value
    return dataclasses.replace(RunPlan.from_json(values), name=plan.name)
