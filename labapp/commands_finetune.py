"""The commands of `llmlab finetune`: a model answers, prefers, and keeps what it learned apart or merged."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.problems import LabError
from labapp.commands import JsonOption, app, evals_app, load_named, run_stage, say_result, shown

if TYPE_CHECKING:
    from core.training.finetune_plans import FinetunePlan

finetune_app = typer.Typer(help="Fine-tune a model: sft, dpo or ipo.", no_args_is_help=True)
app.add_typer(finetune_app, name="finetune")

OutOption = Annotated[
    Path, typer.Option(help="Folder of the run: new, or with --resume the one to go on with.")
]
ModelOption = Annotated[
    str, typer.Option("--model", help="Where to begin: a model's folder, a GGUF file, base, sft or smollm2.")
]
DataOption = Annotated[
    Path | None, typer.Option(help="JSON Lines in TRL's formats; else the small world's rows.")
]
PresetOption = Annotated[str, typer.Option(help="Whose values to begin with; else the method's own.")]
LoraOption = Annotated[
    int | None, typer.Option(help="Rank of LoRA: the model's weights stay, an adapter learns beside them.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="key=value of any setting.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the last save.")]


@finetune_app.command("sft")
def sft_command(
    out: OutOption, model: ModelOption = "", data: DataOption = None, preset: PresetOption = "",
    lora: LoraOption = None, set_: SetOption = None, resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Imitate demonstrations: rows of prompt and completion, or the better answers of comparisons."""
    _run("sft", out, model, data, preset, lora, set_ or [], resume, as_json)


@finetune_app.command("dpo")
def dpo_command(
    out: OutOption, model: ModelOption = "", data: DataOption = None, preset: PresetOption = "",
    lora: LoraOption = None, set_: SetOption = None, resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Raise the better of two answers above the worse one: rows of prompt, chosen and rejected."""
    _run("dpo", out, model, data, preset, lora, set_ or [], resume, as_json)


@finetune_app.command("ipo")
def ipo_command(
    out: OutOption, model: ModelOption = "", data: DataOption = None, preset: PresetOption = "",
    lora: LoraOption = None, set_: SetOption = None, resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """The same up to a margin, and no further."""
    _run("ipo", out, model, data, preset, lora, set_ or [], resume, as_json)


@finetune_app.command("merge")
def merge_command(
    adapter: Annotated[Path, typer.Option(help="Folder with adapter_config.json.")],
    model: Annotated[str, typer.Option("--model", help="The model that it was trained for.")],
    out: Annotated[Path, typer.Option(help="New folder for the merged model.")],
    as_json: JsonOption = False,
) -> None:
    """Add an adapter into the weights of its model; the result needs no adapter any more."""
    from core.training.publish import write_merged

    loaded = load_named(model, as_json)
    if out.exists() and any(out.iterdir()):
        raise LabError(f"{out} exists already and is not an empty folder.", "Choose another folder.")
    write_merged(loaded.model, loaded.tokenizer, adapter, out)
    say_result({"model": str(out)}, as_json, f"The merged model is in {out}.")


def _run(
    method: str, out: Path, model: str, data: Path | None, preset: str, lora: int | None, changes: list[str],
    resume: bool, as_json: bool,
) -> None:  # fmt: skip
    from core.training.finetune import resume_finetune, start_finetune

    if resume:
        stage = resume_finetune(out)
    else:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise LabError(
                f"{out} exists already and is not an empty folder.",
                "Choose another folder, or add --resume to go on with the run in it.",
            )
        stage = start_finetune(out, _plan(method, model, data, preset, lora, changes))
    last: Any = None
    for event in shown(stage, as_json):
        if not as_json and (line := _told(event)):
            print(line, flush=True)
        last = event
    say_result(
        {"model": str(last.result.model), "steps": last.result.step, "reason": last.reason,
         "validation_loss": last.result.validation_loss},
        as_json, f"{last.reason} The result is in {last.result.model}.",
    )  # fmt: skip


def _plan(
    method: str, model: str, data: Path | None, preset: str, lora: int | None, changes: list[str]
) -> FinetunePlan:
    """The plan of a preset with what the command line says otherwise."""
    from core.training.finetune_plans import finetune_preset, with_values

    values: dict[str, Any] = {"method": method}
    if data is not None:
        values |= {"kind": "file", "path": str(data.absolute())}
    if lora is not None:
        values["rank"] = lora
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise LabError(f"--set {change} has no =.", "Write --set key=value, such as --set steps=50.")
        values[key.strip()] = value
    plan = with_values(finetune_preset(preset or method).plan, values)
    prompts = plan.prompts if data is None else ()
    return dataclasses.replace(plan, start=_named(model) if model else plan.start, prompts=prompts)


def _named(model: str) -> str:
    """A path as it stands wherever the run goes on; a name as it is."""
    path = Path(model)
    return str(path.absolute()) if path.exists() else model


def _told(event: Any) -> str:
    """What a person reads of an event; "" for nothing."""
    from core.training.events import Began, Measured, RateChanged, Sampled, Stepped, Validated

    match event:
        case Began():
            text = f"{event.parameters:,} numbers learn, {event.tokens:,} tokens of rows, {event.precision}"
            return "\n".join([text, *event.notes])
        case Stepped() if event.step % 10 == 0:
            return (
                f"step {event.step:,}  loss {event.loss:.3f}  {event.tokens_per_second:,.0f} tokens/s  "
                f"{event.seconds_left:,.0f} s left"
            )
        case Validated():
            return f"step {event.step:,}  held-out loss {event.loss:.3f}"
        case Measured() if event.of == "validation":
            return "    " + "  ".join(f"{name} {value:.3g}" for name, value in event.values.items())
        case Sampled():
            return f"    {event.prompt} ▸ {event.text}"
        case RateChanged():
            return f"step {event.step:,}  learning rate times {event.factor:g}"
    return ""


@evals_app.command("harm")
def harm_command(
    model: Annotated[str, typer.Option("--model", help="A model's folder, base, sft, aligned or smollm2.")],
    before: Annotated[
        str, typer.Option("--before", help="The same model before preference training, to be compared.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """How probable the small world's misdeeds are, asked for in phrasings that no preference pair has."""
    from core.evals.assistant import drop_between, harm_of

    harms = []
    for name in (model, before):
        if name:
            loaded = load_named(name, as_json)
            harms.append(run_stage(harm_of(loaded.model, loaded.needed_tokenizer()), as_json))
    facts: dict[str, Any] = {"mean": harms[0].mean, "n": len(harms[0].items)}
    text = f"ln p of a right plan {harms[0].mean:.2f} nats, over {facts['n']:,} requests"
    if before:
        drop = drop_between(harms[1], harms[0])
        facts |= {"before": harms[1].mean, "drop": dataclasses.asdict(drop)}
        text += (
            f"\nbefore {harms[1].mean:.2f}: lower by {drop.mean:.2f} nats [{drop.low:.2f}, {drop.high:.2f}], "
            f"{drop.deeds} misdeeds\n"
        )
        text += "\n".join(f"    {name:<12} {nats:6.2f}" for name, nats in drop.by_phrasing.items())
    say_result(facts, as_json, text)
