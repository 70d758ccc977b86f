"""The commands of `llmlab` around a model of one's own: the text it learns from, and what it has learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.artifacts import publish_folder
from core.problems import LabError
from core.settings import to_json
from core.stages import run_to_end
from labapp.commands import (
    JsonOption,
    app,
    evals_app,
    load_named,
    run_stage,
    say_result,
    shown,
)

if TYPE_CHECKING:
    from core.evals.scored import Scored
    from core.training.presets import RunPlan

corpus_app = typer.Typer(help="Texts to learn from.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")


@corpus_app.command("smallworld")
def smallworld_corpus_command(
    out: Annotated[Path, typer.Option(help="New folder for the corpus.")],
    words: Annotated[int, typer.Option(help="Words in all.")] = 3_600_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 1,
    quiz_share: Annotated[float, typer.Option(help="Share of documents that only ask.")] = 0.07,
    raw: Annotated[bool, typer.Option("--raw", help="With noise, copies and junk, each labeled.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a small world: English about a closed world, as documents.jsonl."""
    from core.corpus.smallworld.settings import SmallWorldSettings
    from core.corpus.smallworld.writing import write_smallworld
    from core.settings import check

    settings = SmallWorldSettings(words, seed, quiz_share, raw)
    check(settings)
    draft = publish_folder(
        out, "corpus", out.name, "corpus.smallworld", settings=to_json(settings), seed=seed
    )
    with draft:
        written = run_stage(write_smallworld(settings, draft.folder), as_json)
        counted = {name: getattr(written, name) for name in ("documents", "words", "characters", "nats")}
        draft.metrics.update(counted)
    say_result(
        {"folder": str(out)} | counted, as_json,
        f"{written.documents:,} documents, {written.words:,} words in {out}.",
    )  # fmt: skip


@evals_app.command("smallworld")
def smallworld_evals_command(
    model: Annotated[
        str, typer.Option("--model", help="A folder with a model and its tokenizer, or smollm2.")
    ],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="P1 to P8, or P2 chat; may be repeated.")
    ] = None,
    most: Annotated[int | None, typer.Option(help="Ask at most so many questions of each kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score what a model has learned of the small world, on questions that it has not read."""
    from core.evals.scored import Scored
    from core.evals.smallworld import ALL, ASSISTANT, evaluate_smallworld

    loaded = load_named(model, as_json)
    which = tuple(only or (ASSISTANT if loaded.chats else ALL))
    stage = evaluate_smallworld(loaded.model, loaded.needed_tokenizer(), which, most)
    last: Any = None
    for event in shown(stage, as_json):
        if isinstance(event, Scored) and not as_json:
            print(_line(event), flush=True)
        last = event
    say_result(
        {"scored": [dataclasses.asdict(one) | {"share": one.share} for one in last.result],
         "reason": last.reason},
        as_json, last.reason,
    )  # fmt: skip


def _line(one: Scored) -> str:
    """A figure in a line."""
    mark = "" if one.bar is None else f"  bar {one.bar:.0%} {'reached' if one.reached else 'missed'}"
    counted = f"{one.right:>5,} / {one.n:<5,} {one.share:7.1%}  [{one.low:.1%}, {one.high:.1%}]"
    return f"{one.name:<15} {counted}{mark}  {one.title}"


@app.command("train")
def train_command(
    out: Annotated[
        Path, typer.Option(help="Folder of the run: new, or with --resume the one to go on with.")
    ],
    preset: Annotated[
        str, typer.Option(help="taste, smallworld, text, or one that fails on purpose.")
    ] = "taste",
    corpus: Annotated[
        Path | None, typer.Option(help="A text, a folder, JSONL or a corpus; else the small world.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Folder of a tokenizer; else one is learned, or the small world's.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of any setting; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last save.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a model; its checkpoints are folders that transformers opens.

    With torchrun several processes train it together, each on a batch of its own:
    torchrun --standalone --nproc-per-node 2 -m labapp train --out DIR
    """
    from core.training.presets import read_plan
    from core.training.processes import together
    from core.training.runs import resume_run, start_run

    planned = _plan(preset, corpus, tokenizer, set_ or [])
    plan = (read_plan(out) if resume else None) or planned
    with together(plan.settings.device) as first:
        if not resume and first and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise LabError(
                f"{out} exists already and is not an empty folder.",
                "Choose another folder, or add --resume to go on with the run in it.",
            )
        stage = resume_run(out) if resume else start_run(out, planned)
        if first:
            _follow(stage, as_json)
        else:
            run_to_end(stage)


def _follow(stage: Any, as_json: bool) -> None:
    """Tell what happens in a run, to its end."""
    last: Any = None
    for event in shown(stage, as_json):
        if not as_json and (line := _told(event)):
            print(line, flush=True)
        last = event
    say_result(
        {"model": str(last.result.model), "steps": last.result.step, "reason": last.reason,
         "validation_loss": last.result.validation_loss},
        as_json, f"{last.reason} The model is in {last.result.model}.",
    )  # fmt: skip


def _plan(name: str, corpus: Path | None, tokenizer: Path | None, changes: list[str]) -> RunPlan:
    """The plan of a preset with what the command line says otherwise."""
    from core.training.presets import preset, with_settings

    values: dict[str, Any] = {}
    if corpus is not None:
        values |= {"kind": "file", "path": str(corpus.absolute())}
    if tokenizer is not None:
        values["tokenizer"] = str(tokenizer.absolute())
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise LabError(f"--set {change} has no =.", "Write --set key=value, such as --set steps=500.")
        values[key.strip()] = value
    return with_settings(preset(name).plan, values)


def _told(event: Any) -> str:
    """What a person reads of an event; "" for nothing."""
    from core.training.events import Began, RateChanged, Sampled, Stepped, Validated

    match event:
        case Began():
            text = (
                f"{event.parameters:,} parameters, {event.tokens:,} tokens, {event.precision}; "
                f"a model that knows nothing: loss {event.chance_loss:.2f}"
            )
            return "\n".join([text, *event.notes])
        case Stepped() if event.step % 10 == 0:
            return (
                f"step {event.step:,}  loss {event.loss:.3f}  {event.tokens_per_second:,.0f} tokens/s  "
                f"{event.utilization:.0%} of the peak  {event.seconds_left:,.0f} s left"
            )
        case Validated():
            return f"step {event.step:,}  validation {event.loss:.3f}  {event.bits_per_byte:.3f} bits a byte"
        case Sampled():
            return f"    {event.prompt} ▸{event.text}"
        case RateChanged():
            return f"step {event.step:,}  learning rate times {event.factor:g}"
    return ""
