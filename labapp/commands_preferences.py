"""The commands of `llmlab preferences`: tasks, merging, agreement, datasets, and what keeps answers safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.problems import LabError
from labapp.commands import JsonOption, app, run_stage, say_result

if TYPE_CHECKING:
    from core.preferences.agreement import Agreement, Measure
    from core.preferences.store import Store

preferences_app = typer.Typer(help="Rankings of outputs by people.", no_args_is_help=True)
app.add_typer(preferences_app, name="preferences")

StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORE", help="A rankings.db, the folder that holds one, or postgresql://user@host/db."
    ),
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="key=value of any setting.")]
SeedOption = Annotated[int, typer.Option(help="Of the draws for the intervals.")]


@contextmanager
def _opened(name: str, *, read_only: bool = True) -> Iterator[Store]:
    from core.preferences.store import open_store

    with open_store(_place(name), read_only=read_only) as store:
        yield store


def _place(name: str) -> str | Path:
    """A URL as it stands, else the file, also where its folder was named."""
    from core.preferences.store import DATABASE

    if "://" in name:
        return name
    path = Path(name)
    return path / DATABASE if path.is_dir() else path


@preferences_app.command("task")
def task_command(
    prompts: Annotated[
        Path, typer.Argument(help="JSON Lines or CSV with a prompt and its outputs in each row.")
    ],
    out: Annotated[Path, typer.Option(help="New .llmlab file; with --database also a new rankings.db.")],
    name: Annotated[str, typer.Option(help="Name of the task; else that of the file.")] = "",
    guidelines: Annotated[Path | None, typer.Option(help="What to look at, as Markdown.")] = None,
    database: Annotated[Path | None, typer.Option(help="New database that knows who made what.")] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a task of prompts and outputs: one file to hand out."""
    from core.formats.files import read_text
    from core.preferences.importing import read_prompts
    from core.preferences.store import create_store
    from core.preferences.task import TaskSettings, make_task
    from core.preferences.task_files import write_task

    items = [prompt.item() for prompt in read_prompts(prompts).checked()]
    text = read_text(guidelines, 1_000_000) if guidelines else ""
    task = make_task(name or prompts.stem, items, text, _settings(TaskSettings, set_ or []))
    write_task(task, out)
    if database is not None:
        create_store(database, task).close()
    facts = {"task": str(out), "items": len(task.items), "sha256": task.sha256}
    say_result(facts, as_json, f"{len(task.items):,} items in {out}.")


@preferences_app.command("merge")
def merge_command(
    into: Annotated[str, typer.Argument(help="The store to merge into; made where it does not exist.")],
    files: Annotated[
        list[Path], typer.Argument(help="Databases of the same task, or files that were handed in.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Put the answers of many machines together; merging twice changes nothing."""
    from core.preferences.merging import merge_into, new_store_like

    place = _place(into)
    if isinstance(place, Path) and not place.exists():
        first = next((file for file in files if file.suffix == ".db"), None)
        if first is None:
            raise LabError(
                f"{place} does not exist, and handed-in files do not hold the task.",
                "Give a database of the task first.",
            )
        new_store_like(place, first).close()
    with _opened(into, read_only=False) as store:
        report = run_stage(merge_into(store, files), as_json)
    lines = []
    for one in report.files:
        fault = f"  {one.fault}" if one.fault else f"  {one.new:,} new of {one.events:,} events"
        lines.append(f"{one.path}{fault}")
    lines += [
        f"conflict: {one.annotator} answered {one.item_id} on two machines; the later answer counts"
        for one in report.conflicts
    ]
    facts = {
        "new": report.new, "conflicts": [dataclasses.asdict(one) for one in report.conflicts],
        "faults": {str(one.path): one.fault for one in report.faults},
    }  # fmt: skip
    say_result(facts, as_json, "\n".join(lines))
    if report.faults and len(report.faults) == len(report.files):
        raise LabError("Nothing was merged.", report.faults[0].fault)


@preferences_app.command("agreement")
def agreement_command(store: StoreArgument, seed: SeedOption = 0, as_json: JsonOption = False) -> None:
    """How far people agree, and how strong the models behind the outputs are."""
    from core.preferences.agreement import measure_agreement
    from core.preferences.quality import measure_quality
    from core.preferences.results import read_results
    from core.preferences.strengths import measure_strengths

    with _opened(store) as opened:
        results = read_results(opened)
    agreement: Agreement = run_stage(measure_agreement(results, seed=seed), as_json)
    facts: dict[str, Any] = {
        "items": agreement.items, "people": agreement.people,
        "agreement": {one.name: dataclasses.asdict(one) for one in agreement.overall},
    }  # fmt: skip
    lines = [f"{agreement.items:,} items that two people or more ranked, {agreement.people:,} people"]
    lines += [_line(one) for one in agreement.overall]
    quality = measure_quality(results)
    facts["quality"] = {
        "gold": quality.gold.value, "consistency": quality.consistency,
        "longer_wins": quality.length.longer_wins.value, "position_p": quality.position.p,
    }  # fmt: skip
    try:
        strengths = run_stage(measure_strengths(results, seed=seed), as_json)
    except LabError as error:
        lines.append(error.problem)
    else:
        facts["strengths"] = dataclasses.asdict(strengths)
        for one in strengths.bradley_terry:
            value = (
                "undefined" if one.value is None else f"{one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"
            )
            lines.append(f"{one.model:<40} {value}  place {one.rank_low} to {one.rank_high}")
    say_result(facts, as_json, "\n".join(lines))


def _line(one: Measure) -> str:
    if one.value is None:
        return f"{one.title:<28} undefined: {one.why}"
    ends = "" if one.low is None else f" [{one.low:.3f}, {one.high:.3f}]"
    return f"{one.title:<28} {one.value:.3f}{ends}  {one.means}"


@preferences_app.command("export")
def export_command(
    store: StoreArgument,
    out: Annotated[Path, typer.Option(help="New folder for the dataset.")],
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="native, trl, trl_chat, kto, hh or csv; else all.")
    ] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset that TRL and datasets open; everything is read back before success is said."""
    from core.preferences.erasing import note_export
    from core.preferences.export_settings import FORMATS, ExportSettings
    from core.preferences.exporting import export_dataset, preview
    from core.preferences.results import read_results

    settings = _settings(ExportSettings, set_ or [])
    with _opened(store) as opened:
        results = read_results(opened)
    wanted = tuple(formats or FORMATS)
    made = run_stage(export_dataset(results, out, settings, wanted), as_json)
    try:
        with _opened(store, read_only=False) as opened:
            note_export(opened, out)
    except LabError:  # a read-only place: the export stands all the same
        pass
    notes = preview(results, settings, wanted).notes
    rows = "\n".join(
        f"{name:<10} {of_split.get('train', 0):,} rows, {of_split.get('validation', 0):,} held out"
        for name, of_split in made.counts.items()
    )
    said = "\n".join([rows, *notes, f"The dataset is in {out}."])
    say_result(
        {"folder": str(out), "files": list(made.files), "counts": made.counts, "notes": list(notes)},
        as_json,
        said,
    )


@preferences_app.command("check")
def check_command(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Whether a store is sound, and what is in it."""
    from core.preferences.results import read_results

    with _opened(store) as opened:
        faults = opened.check()
        if faults:
            raise LabError(
                f"{opened.name} is not sound: {' '.join(faults)}",
                "Restore a backup, or run: llmlab preferences rescue.",
            )
        results = read_results(opened)
        facts = {
            "items": opened.count(), "rankings": len(results.rankings), "people": len(results.people),
            "skipped": len(results.skips), "events": opened.mark(),
        }  # fmt: skip
    text = f"{facts['items']:,} items, {facts['rankings']:,} rankings by {facts['people']:,} people: sound."
    say_result(facts, as_json, text)


@preferences_app.command("rescue")
def rescue_command(
    store: Annotated[Path, typer.Argument(help="The damaged rankings.db; it is not written to.")],
    out: Annotated[Path, typer.Option(help="New folder.")],
    task: Annotated[
        Path | None, typer.Option(help="The task's .llmlab file, where the task itself is lost.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read what can be read of a damaged store into a new one."""
    from core.preferences.rescue import rescue
    from core.preferences.task_files import read_task

    found = run_stage(rescue(store, out, read_task(task) if task else None), as_json)
    facts = {
        "store": str(found.store) if found.store else None, "items": found.items, "events": found.events,
        "homeless": found.homeless,
    }  # fmt: skip
    where = found.store or "no store: give the task's .llmlab file with --task"
    say_result(
        facts, as_json, f"{found.events:,} events rescued, {found.homeless:,} without their item; {where}."
    )


@preferences_app.command("erase")
def erase_command(
    store: StoreArgument,
    person: Annotated[str, typer.Option(help="Id of the person; llmlab preferences people lists them.")],
    as_json: JsonOption = False,
) -> None:
    """Erase a person from a store and its backups, so that no byte is left in them."""
    from core.preferences.erasing import erase_annotator, erase_on_server

    place = _place(store)
    if isinstance(place, str):
        with _opened(store, read_only=False) as opened:
            gone = erase_on_server(opened, person)
    else:
        gone = run_stage(erase_annotator(place, person), as_json)
    lines = [
        f"{gone.events:,} events are gone, {gone.kept:,} of others stay; {gone.copies:,} backups are deleted."
    ]
    lines += [f"out of reach: {export}" for export in gone.exports]
    say_result(dataclasses.asdict(gone), as_json, "\n".join(lines))


@preferences_app.command("people")
def people_command(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Who entered: ids and names."""
    with _opened(store) as opened:
        people = opened.annotators()
    text = "\n".join(
        f"{one.id}  {one.name}{f'  joined to {one.joined_to}' if one.joined_to else ''}" for one in people
    )
    say_result(
        {"people": [dataclasses.asdict(one) for one in people]}, as_json, text or "Nobody has entered."
    )


def _settings(cls: Any, changes: list[str]) -> Any:
    from core.settings import from_json

    values = {}
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise LabError(f"--set {change} has no =.", "Write --set key=value.")
        values[key.strip()] = value
    return from_json(cls, values)
