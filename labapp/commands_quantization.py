"""The commands of `llmlab` around fewer bits: quantize a model, say what that loses, weigh its columns."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.problems import LabError
from labapp.commands import SCORED_AT_MOST, JsonOption, app, load_named, run_stage, say_result, shown

if TYPE_CHECKING:
    from core.quantization.comparison import Figures
    from core.quantization.quantize import TensorDone


@app.command("quantize")
def quantize_command(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A folder with a model and its tokenizer, a GGUF file, smollm2 or base."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The GGUF file to write; nothing may be there.")],
    recipe: Annotated[str, typer.Option("--type", help="Q4_K_M, Q8_0, F16 and so on.")] = "Q4_K_M",
    override: Annotated[
        list[str] | None, typer.Option("--override", help="pattern=TYPE for some tensors; may be repeated.")
    ] = None,
    importance: Annotated[
        Path | None, typer.Option(help="Importance matrix, from llmlab importance or llama-imatrix.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model in fewer bits, as a GGUF file that llama.cpp and Ollama run."""
    from core.model.source import open_model
    from core.quantization.importance import check_matches, read_importance
    from core.quantization.quantize import TensorDone, begins_texts, plan_for, quantize_model, tokenizer_of
    from core.quantization.recipes import Wish, parse_override

    path, title = _place(model)
    source = open_model(path, title)
    matrix = read_importance(importance) if importance is not None else None
    wish = Wish(recipe, tuple(parse_override(text) for text in override or ()), matrix is not None)
    weights = None
    if matrix is not None:
        check_matches(matrix, {c.tensor.name: c.tensor.shape for c in plan_for(source, wish).choices})
        weights = matrix.weights()
    last: Any = None
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stage = quantize_model(
            source, out, wish, tokenizer_of(source), weights, begins_texts(source), pool.map
        )
        for event in shown(stage, as_json):
            if isinstance(event, TensorDone) and not as_json:
                print(_line(event), flush=True)
            last = event
    made = last.result
    say_result(
        {
            "file": str(out), "bytes": made.file_bytes, "bits_per_weight": made.plan.bits_per_weight,
            "title": made.plan.title, "fallbacks": len(made.plan.fallbacks), "round_trips": made.round_trips,
        },
        as_json,
        f"{last.reason} {made.file_bytes / 1e6:,.1f} MB in {out}.",
    )  # fmt: skip


@app.command("compare")
def compare_command(
    names: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Folders, GGUF files, smollm2 or base.")
    ],
    reference: Annotated[str, typer.Option("--reference", help="The model in full precision.")],
    file: Annotated[Path, typer.Option("--text", help="Text file in UTF-8.")],
    window: Annotated[int, typer.Option(help="Tokens read together; half of them are scored.")] = 512,
    most: Annotated[int, typer.Option(help="Read at most so many windows; 0 for the whole text.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Say what models lose against a reference on a text, as llama-perplexity does."""
    from core.formats.files import read_text
    from core.quantization.comparison import CompareSettings, compare
    from core.quantization.quantize import first_token

    text = read_text(file, SCORED_AT_MOST)
    true = load_named(reference, as_json)
    others = [(name, load_named(name, as_json)) for name in names]
    tokenizer = true.needed_tokenizer()
    models = [(name, loaded.model) for name, loaded in others]
    settings, begin = CompareSettings(window, most), first_token(true.source, tokenizer)
    stage = compare(true.model, models, tokenizer.encode(text), settings, begin)
    figures = run_stage(stage, as_json)
    say_result(
        {"compared": [dataclasses.asdict(one) for one in figures]}, as_json,
        "\n".join(_told(one) for one in figures),
    )  # fmt: skip


@app.command("importance")
def importance_command(
    model: Annotated[
        str,
        typer.Option("--model", help="The model in full precision: a folder, a GGUF file, smollm2 or base."),
    ],
    file: Annotated[Path, typer.Option("--text", help="Text file in UTF-8, a few thousand words at least.")],
    out: Annotated[Path, typer.Option(help="The GGUF file to write; nothing may be there.")],
    window: Annotated[int, typer.Option(help="Tokens that are read together.")] = 512,
    as_json: JsonOption = False,
) -> None:
    """Read a text and write which columns of each table matter (an importance matrix)."""
    from core.formats.files import read_text
    from core.quantization.importance import collect_importance, write_importance
    from core.quantization.quantize import first_token

    text = read_text(file, SCORED_AT_MOST)
    loaded = load_named(model, as_json)
    tokenizer = loaded.needed_tokenizer()
    begin = first_token(loaded.source, tokenizer)
    stage = collect_importance(loaded.model, tokenizer.encode(text), file.name, window, begin)
    made = run_stage(stage, as_json)
    write_importance(made, out)
    say_result(
        {"file": str(out), "tables": len(made.sums), "tokens": made.windows * made.window}, as_json,
        f"{len(made.sums):,} tables, {made.windows * made.window:,} tokens read; in {out}.",
    )  # fmt: skip


def _place(name: str) -> tuple[Path, str]:
    """Where a model lies, and what to call it.

    Raises:
        LabError: Nothing is there.
    """
    from core.tokenizer.known import known_path
    from labapp.app import shipped_folder
    from labapp.commands import SHIPPED

    if name == "smollm2":
        return known_path(name), "SmolLM2-135M"
    if name in SHIPPED and not Path(name).exists():
        return shipped_folder() / name, SHIPPED[name]
    if not Path(name).exists():
        raise LabError(f"{name} does not exist.", "Name a folder, a GGUF file, smollm2 or base.")
    return Path(name), ""


def _line(done: TensorDone) -> str:
    """A tensor in a line."""
    choice = done.choice
    note = f"  {choice.wanted} does not fit rows of {choice.tensor.shape[-1]:,}" * (choice.why == "fallback")
    error = "copied" if done.copied else f"error {done.error:.2%}"
    return (
        f"{done.index + 1:>4} / {done.count}  {choice.tensor.name:<28} {done.stored:>5} to {choice.kind:<6} "
        f"{done.bytes:>12,} bytes  {error}{note}"
    )


def _told(one: Figures) -> str:
    """Figures in a few lines."""
    return (
        f"{one.name}: {one.tokens:,} tokens\n"
        f"  perplexity {one.perplexity.value:.4f} ± {one.perplexity.error:.4f} (reference "
        f"{one.reference.value:.4f}); ln of the ratio {one.ratio.value:.5f} ± {one.ratio.error:.5f}\n"
        f"  KL divergence {one.divergence.value:.5f} ± {one.divergence.error:.5f} nats, median "
        f"{one.median:.5f}, 99.9 % below {one.most_999:.3f}\n"
        f"  RMS Δp {one.rms.value:.3%} ± {one.rms.error:.3%}; same first choice {one.same_top.value:.2%} "
        f"± {one.same_top.error:.2%}; {one.tokens_per_second:,.0f} tokens/s read here"
    )
