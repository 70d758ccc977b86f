"""Runs of fine-tuning in folders: begin one from a plan, go on with one.

finetune.json  rows/train.jsonl  rows/held.jsonl  tokenizer/  references.safetensors  metrics.jsonl
resume/step-N/  checkpoints/step-N/
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from core.artifacts import durable, plain_json
from core.corpus.smallworld.instruct import instruction_pairs
from core.corpus.smallworld.phrasings import TEST, TRAIN
from core.corpus.smallworld.preferences import preference_pairs
from core.model.loading import load_model
from core.model.source import ModelSource, open_model
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.gguf_vocabulary import gguf_tokenizer
from core.tokenizer.known import known_path
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training.answer_lessons import Imitation, Preferring, References, Start, read_references
from core.training.events import Controls
from core.training.finetune_plans import (
    PLAN,
    FinetunePlan,
    RowsChoice,
    check_plan,
    read_finetune_plan,
    with_values,
)
from core.training.loop import Told, Work, train
from core.training.pieces import chat_tokenizer, encode_rows
from core.training.rows import (
    Comparison,
    Demonstration,
    Row,
    Rows,
    answered,
    as_line,
    asked,
    checked,
    chosen_alone,
    flipped,
    read_rows,
    split_rows,
)

_ROWS, _HELD, _REFERENCES = "rows/train.jsonl", "rows/held.jsonl", "references.safetensors"
_LOOKED_AT = 256  # test rows of the small world
_AT_ONCE = 500  # rows between two events


def start_finetune(folder: Path, plan: FinetunePlan, controls: Controls | None = None) -> Told:
    """Prepare the rows of a plan and fine-tune.

    Args:
        folder: The run's own: that of a new `Work`, or any new folder.
        plan: What is to be done.
        controls: What a person changes meanwhile.

    Raises:
        LabError: A value of the plan is outside its limits or contradicts another; there is no such model or
            file. While it goes on: rows are at fault, which are named by line.
    """
    check_plan(plan)
    open_model(start_path(plan.start))
    if plan.rows.kind == "file":
        read_rows(Path(plan.rows.path))
    return _start(folder, plan, controls or Controls())


def resume_finetune(folder: Path, controls: Controls | None = None, steps: int | None = None) -> Told:
    """Go on with a run from its last save.

    Args:
        folder: The run's own.
        controls: What a person changes meanwhile.
        steps: Steps in all, where they are to be other than planned.

    Raises:
        LabError: The folder holds no run of fine-tuning.
    """
    plan = read_finetune_plan(folder)
    if plan is None:
        raise LabError(f"{durable.shown(folder)} holds no run of fine-tuning.", "Start a new one.")
    if not (folder / _ROWS).is_file():
        return start_finetune(folder, plan, controls)  # it was stopped before its rows were prepared
    if steps and steps != plan.settings.steps:
        plain_json.write_json(folder / PLAN, with_values(plan, {"steps": steps}).to_json())
    return _go_on(folder, controls or Controls())


def start_path(start: str) -> Path:
    """Where the model of a plan lies: "base", "sft" and "aligned" ship, "smollm2" comes in a package.

    Raises:
        LabError: There is no such model.
    """
    path = Path(start)
    if start == "smollm2" and not path.exists():
        return known_path(start)
    shipped = Path(str(importlib.resources.files("resources"))) / "lineage" / start
    if not path.exists() and start.isalnum() and (shipped / "config.json").is_file():
        return shipped
    if not path.exists():
        raise LabError(
            f"There is no model at {durable.shown(start)}.",
            "Choose a folder with a model, a GGUF file, base, sft or smollm2.",
        )
    return path


def _start(folder: Path, plan: FinetunePlan, controls: Controls) -> Told:
    yield from _prepare(folder, plan)
    yield from _go_on(folder, controls)


def _go_on(folder: Path, controls: Controls) -> Told:
    work = yield from pass_on(open_finetune(folder))
    yield from train(work, controls)


def _prepare(folder: Path, plan: FinetunePlan) -> Iterator[Progress]:
    """Write the plan, the tokenizer and the rows; the rows come last."""
    durable.ensure_folder(folder)
    plain_json.write_json(folder / PLAN, plan.to_json())
    learned, held = yield from rows_of(plan.rows, imitated=plan.method.method == "sft")
    tokenizer = tokenizer_of(open_model(start_path(plan.start)))
    chat = not isinstance(learned[0].prompt, str)
    durable.remove_folder(folder / "tokenizer")
    durable.ensure_folder(folder / "tokenizer")
    write_tokenizer(chat_tokenizer(tokenizer) if chat else tokenizer, folder / "tokenizer")
    durable.ensure_folder(folder / "rows")
    for name, rows in ((_HELD, held), (_ROWS, learned)):
        durable.write_file(folder / name, "".join(as_line(row) + "\n" for row in rows).encode())


def rows_of(
    choice: RowsChoice, imitated: bool, looked_at: int = _LOOKED_AT
) -> Generator[Progress, None, tuple[Rows, Rows]]:
    """Rows to learn from and rows to look at; of the small world so many of these.

    Raises:
        LabError: Rows of the file are at fault, or have no worse answer where one is needed.
    """
    if choice.kind == "file":
        found: Rows = yield from pass_on(read_rows(Path(choice.path)))
        learned, held = split_rows(found, choice.held_out)
    else:
        learned = yield from _drawn(choice.kind, choice.seed, TRAIN, choice.rows)
        held = yield from _drawn(choice.kind, choice.seed + 1, TEST, looked_at)
    compared = tuple(row for row in learned if isinstance(row, Comparison))
    if compared:
        unseen = tuple(row for row in held if isinstance(row, Comparison))
        swapped = flipped(compared, choice.flipped)
        if imitated:
            return chosen_alone(flipped(swapped, choice.worse)), chosen_alone(unseen)
        return swapped, unseen
    if not imitated:
        raise LabError("These rows have no worse answer.", "Choose comparisons, or the method sft.")
    return learned, held


def _drawn(kind: str, seed: int, split: str, count: int) -> Generator[Progress, None, Rows]:
    """Rows of the small world."""
    rows: list[Row] = []
    made: Iterator[Row]
    if kind == "instructions":
        made = (
            Demonstration(asked(one.prompt), answered(one.completion))
            for one in instruction_pairs(seed, split, count)
        )
    else:
        made = (
            Comparison(asked(one.prompt), answered(one.chosen), answered(one.rejected))
            for one in preference_pairs(seed, split, count)
        )
    for n, row in enumerate(made, 1):
        rows.append(row)
        if n % _AT_ONCE == 0:
            yield Progress("Drawing rows", n, count, "rows")
    return checked(rows, (), "The small world")


def tokenizer_of(source: ModelSource) -> Tokenizer:
    """The tokenizer beside a model, or in its GGUF file."""
    if source.header is not None:
        return gguf_tokenizer(source.header, source.name)
    return read_tokenizer(source.path if source.path.is_dir() else source.path.parent)


def open_finetune(folder: Path) -> Iterator[Progress | Finished[Work]]:
    """What a run works on, read from its folder; what is missing of it is made.

    Raises:
        LabError: The folder holds no run. While it goes on: its model or its rows cannot be read.
    """
    plan = read_finetune_plan(folder)
    if plan is None or not (folder / _ROWS).is_file():
        raise LabError(f"{durable.shown(folder)} holds no run that can go on.", "Start a new one.")
    return _open(folder, plan)


def _open(folder: Path, plan: FinetunePlan) -> Iterator[Progress | Finished[Work]]:
    source = open_model(start_path(plan.start))
    model = yield from pass_on(load_model(source))
    model.to(plan.settings.device)
    identity = yield from _identity(source)
    tokenizer = read_tokenizer(folder / "tokenizer")
    rows: Rows = yield from pass_on(read_rows(folder / _ROWS))
    pieces = yield from pass_on(encode_rows(rows, tokenizer, source.config.context))
    held_rows: Sequence[Any] = ()
    if (folder / _HELD).stat().st_size:
        held_rows = yield from pass_on(read_rows(folder / _HELD))
    held = yield from pass_on(encode_rows(tuple(held_rows), tokenizer, source.config.context))
    chat = not isinstance(rows[0].prompt, str)
    begun = Start(model, tokenizer, str(source.path), identity, chat)
    lesson: Imitation | Preferring
    if plan.method.method == "sft":
        lesson = Imitation(begun, pieces, held, plan.settings, plan.method)
    else:
        references = yield from _references(folder, begun, pieces, held)
        lesson = Preferring(begun, pieces, held, plan.settings, plan.method, references)
    yield Finished("The run can begin.", Work(folder, lesson, plan.settings, plan.prompts))


def _identity(source: ModelSource) -> Generator[Progress, None, str]:
    """A hash of the model's files."""
    files = sorted({piece.stored.path for pieces in source.parameters.values() for piece in pieces})
    hashes = []
    for file in files:
        hashing, done, total = durable.hashing(file), 0, file.stat().st_size
        while True:
            try:
                done += next(hashing)
            except StopIteration as end:
                hashes.append(str(end.value))
                break
            yield Progress(f"Checking {durable.shown(file)}", done, total, "bytes")
    return " ".join(hashes)


def _references(folder: Path, start: Start, train: Any, held: Any) -> Generator[Progress, None, References]:
    """ln π_ref of every answer: read once, then kept beside the run."""
    path = folder / _REFERENCES
    if path.is_file():
        kept = safetensors.torch.load(path.read_bytes())
        sizes = {name: len(tensor) for name, tensor in kept.items()}
        if sizes == {"train": len(train), "held": len(held)}:
            return References(kept["train"], kept["held"])
    made = yield from pass_on(read_references(start.model, train, held))
    with torch.no_grad():
        tensors = {"train": made.train.clone(), "held": made.held.clone()}
    durable.write_file(path, safetensors.torch.save(tensors))
    return References(tensors["train"], tensors["held"])
