"""What a plan of fine-tuning will train, and how long that takes here: known before it begins.

Parameters, their share and the least memory are arithmetic on the model's header. Time is measured: a few
rows are read as the reference reads them, three steps are tried (the first one warms up), and the rest grows
with their numbers. Left out: what a batch's activations take in memory, and what other programs do meanwhile.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from core.model.config import ModelConfig
from core.model.loading import load_model
from core.model.source import open_model
from core.stages import Finished, Progress, pass_on
from core.training.answer_lessons import Imitation, Preferring, Start, read_references
from core.training.finetune import rows_of, start_path, tokenizer_of
from core.training.finetune_plans import FinetunePlan, RowsChoice, check_plan
from core.training.kept_figures import recall, remember
from core.training.lora import places
from core.training.machine import check_device, choose_precision
from core.training.pieces import chat_tokenizer, encode_rows
from core.training.trainer import Trainer

STEPS = 2  # tried after one that warms up; the faster one counts
_WEIGHT, _LEARNED = 4, 12  # bytes of a weight, and what a learned one takes besides: gradient, two averages


@dataclass(frozen=True)
class FinetuneFacts:
    """What a plan will train.

    Attributes:
        parameters: Numbers of the model.
        learned: Numbers that learn; with LoRA beside those of the model.
        bytes: Memory that weights, gradients and averages take at least.
    """

    parameters: int
    learned: int
    bytes: int

    @property
    def share(self) -> float:
        """Learned ones against the model's."""
        return self.learned / self.parameters


def finetune_facts(plan: FinetunePlan) -> FinetuneFacts:
    """What a plan will train; only the model's header is read.

    Raises:
        LabError: A value of the plan is outside its limits, or there is no such model.
    """
    check_plan(dataclasses.replace(plan, rows=RowsChoice(kind="preferences")))
    return facts_of(open_model(start_path(plan.start)).config, plan)


def facts_of(config: ModelConfig, plan: FinetunePlan) -> FinetuneFacts:
    """The same of a shape.

    Raises:
        LabError: LoRA's targets name nothing.

    >>> from core.training.finetune_plans import finetune_preset, with_values
    >>> from core.training.settings import ShapeSettings
    >>> config = ShapeSettings(layers=1, width=16, heads=2, context=16).config(61)
    >>> facts_of(config, with_values(finetune_preset("sft").plan, {"rank": 2, "targets": "attn.out"}))
    FinetuneFacts(parameters=4544, learned=64, bytes=19200)
    """
    parameters = sum(math.prod(shape) for shape in config.shapes().values())
    rank = plan.method.rank
    if not rank:  # the run learns on a copy of the model that it began with
        return FinetuneFacts(parameters, parameters, (2 * _WEIGHT + _LEARNED) * parameters)
    learned = sum(rank * (one.columns + one.end - one.begin) for one in places(config, plan.method.targets))
    return FinetuneFacts(parameters, learned, _WEIGHT * parameters + (_WEIGHT + _LEARNED) * learned)


@dataclass(frozen=True)
class FinetunePace:
    """What was measured.

    Attributes:
        step: Seconds of a step.
        row: Seconds to prepare a row: to encode it and to read its answers as the reference does.
    """

    step: float
    row: float

    def seconds(self, plan: FinetunePlan, rows: int) -> float:
        """How long all steps of a plan take, and its rows, so many of them; looks are not counted."""
        return plan.settings.steps * self.step + rows * self.row


def measure_finetune_pace(plan: FinetunePlan) -> Iterator[Progress | Finished[FinetunePace]]:
    """Try a few steps of a plan.

    Args:
        plan: What is to be done.

    Raises:
        LabError: A value is outside its limits, there is no such model, file or device.
    """
    check_plan(plan)
    check_device(plan.settings.device)
    open_model(start_path(plan.start))
    return _measure(plan)


def _measure(plan: FinetunePlan) -> Iterator[Progress | Finished[FinetunePace]]:
    settings = dataclasses.replace(plan.settings, evaluate_tokens=1)
    some = settings.batch * (STEPS + 1)
    total = STEPS + 4
    yield Progress("Reading the model", 0, total, "trials")
    source = open_model(start_path(plan.start))
    model = yield from pass_on(load_model(source))
    model.to(settings.device)
    rows = dataclasses.replace(plan.rows, rows=max(10, some))
    learned, _ = yield from rows_of(rows, imitated=plan.method.method == "sft", looked_at=1)
    few = learned[: max(1, some)]
    tokenizer = tokenizer_of(source)
    chat = not isinstance(few[0].prompt, str)
    tokenizer = chat_tokenizer(tokenizer) if chat else tokenizer
    yield Progress("Trying rows", 1, total, "trials")
    began = time.perf_counter()
    pieces = yield from pass_on(encode_rows(few, tokenizer, source.config.context))
    start = Start(model, tokenizer, "", "", chat)
    lesson: Imitation | Preferring
    if plan.method.method == "sft":
        lesson = Imitation(start, pieces, (), settings, plan.method)
    else:
        references = yield from pass_on(read_references(model, pieces, ()))
        lesson = Preferring(start, pieces, (), settings, plan.method, references)
    row = (time.perf_counter() - began) / len(few)
    precision, _ = choose_precision(settings.precision, settings.device)
    trainer = Trainer(lesson, settings, precision)
    times = []
    for n in range(STEPS + 1):
        began = time.perf_counter()
        for result in trainer.next_step():
            if result is None:
                yield Progress("Trying steps", 2 + n, total, "trials")
        times.append(time.perf_counter() - began)
        yield Progress("Trying steps", 3 + n, total, "trials")
    pace = FinetunePace(min(times[1:]), row)
    yield Finished(f"A step takes {pace.step:.2f} s.", pace)


# What was measured is kept, by what decides it


def pace_key(plan: FinetunePlan) -> str:
    """What decides how long a step takes, as a short name."""
    settings, method = plan.settings, plan.method
    told = [
        plan.start, plan.rows.kind, plan.rows.path, settings.batch, settings.optimizer, settings.precision,
        settings.device, settings.accumulation, method.method, method.rank, method.targets,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def read_finetune_pace(file: Path, plan: FinetunePlan) -> FinetunePace | None:
    """What was measured earlier for a plan like this one; None where nothing was."""
    kept = recall(file, pace_key(plan))
    try:
        return FinetunePace(**kept)
    except TypeError:
        return None


def keep_finetune_pace(file: Path, plan: FinetunePlan, pace: FinetunePace) -> None:
    """Remember what was measured.

    Raises:
        LabError: The disk refused.
    """
    remember(file, pace_key(plan), asdict(pace))
