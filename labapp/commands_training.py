"""The commands of `llmlab` around a model of one's own: the text it learns from, and what it has learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.artifacts import publish_folder
from core.settings import to_json
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
        list[str] | None, typer.Option("--only", help="P1, P2, P5, P6, P7 or P8; may be repeated.")
    ] = None,
    most: Annotated[int | None, typer.Option(help="Ask at most so many questions of each kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score what a model has learned of the small world, on questions that it has not read."""
    from core.evals.scored import Scored
    from core.evals.smallworld import ALL, evaluate_smallworld

    loaded = load_named(model, as_json)
    stage = evaluate_smallworld(loaded.model, loaded.needed_tokenizer(), tuple(only or ALL), most)
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
