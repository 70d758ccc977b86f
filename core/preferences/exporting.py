"""Rankings written as a dataset: a folder that appears whole, after everything in it was read back.

Which rows there are is told in `export_rows.py`, what the card says in `cards.py`.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import settings as schema
from core.artifacts import durable
from core.formats.bounded_json import parse_json
from core.formats.files import decode_text, read_bytes, shown
from core.preferences import export_rows as rows_of
from core.preferences.agreement import Agreement, measure_agreement
from core.preferences.cards import card, file_of
from core.preferences.csv_safe import csv_rows, csv_text
from core.preferences.export_rows import Row, Rows
from core.preferences.export_settings import FILES, FORMATS, TITLES, ExportSettings
from core.preferences.pseudonyms import new_secret, personal, pseudonym
from core.preferences.results import Results
from core.preferences.texts import prompt_text
from core.problems import LabError
from core.stages import Finished, Progress, pass_on

CARD = "README.md"
TIES = "ties.jsonl"
SMALL = 5  # people: below it, style and times tell who is who
_MOST = 4 << 30  # bytes of a file that is read back
_AT_ONCE = 2_000  # rows between two events


@dataclass(frozen=True)
class Preview:
    """What an export would hold.

    Attributes:
        counts: Format to split to rows.
        left_out: Format to why rows are left out, and how many.
        notes: What to think of before it leaves the house, a sentence each.
    """

    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """What was written and read back."""

    folder: Path
    files: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]


def preview(results: Results, settings: ExportSettings, formats: Sequence[str] = FORMATS) -> Preview:
    """Count what an export would hold; call it on a worker.

    Raises:
        LabError: A setting is outside its limits.
    """
    schema.check(settings)
    made = {name: _rows(results, settings, name, lambda id: id) for name in formats if name != "csv"}
    counts = {name: {split: len(rows) for split, rows in one.of_split.items()} for name, one in made.items()}
    if "csv" in formats:
        counts["csv"] = {"train": len(rows_of.table_rows(results, settings, lambda id: id)) - 1}
    left = {name: one.left_out for name, one in made.items() if one.left_out}
    return Preview(counts, left, _notes(results, settings))


def _rows(results: Results, settings: ExportSettings, name: str, call: Callable[[str], str]) -> Rows:
    match name:
        case "native":
            return rows_of.native_rows(results, settings, call)
        case "trl" | "trl_chat":
            return rows_of.trl_rows(results, settings, call, chat=name == "trl_chat")
        case "kto":
            return rows_of.kto_rows(results, settings, call)
        case "hh":
            return rows_of.hh_rows(results, settings, call)
        case "ties":
            return rows_of.tie_rows(results, settings, call)
    raise LabError(f"The format {name[:40]!r} is unknown.", f"Formats are {', '.join(TITLES)}.")


def _notes(results: Results, settings: ExportSettings) -> tuple[str, ...]:
    notes = []
    people = {one.annotator for one in results.rankings}
    if 0 < len(people) < SMALL:
        notes.append(
            f"{len(people)} people ranked: below {SMALL}, times and style may tell who is behind a pseudonym."
        )
    found: dict[str, int] = {}
    for item in results.items.values():
        for kind in personal(prompt_text(item.prompt)):
            found[kind] = found.get(kind, 0) + 1
    if settings.comments:
        for one in results.rankings:
            for kind in personal(one.comment):
                found[kind] = found.get(kind, 0) + 1
        notes.append("Comments are written: read them first, they may tell who wrote them.")
    notes += [f"{count:,} prompts or comments hold what looks like {kind}." for kind, count in found.items()]
    if results.conflicts:
        notes.append(
            f"{len(results.conflicts):,} items were answered twice on two machines; the later answer counts."
        )
    return tuple(notes)


def export_dataset(
    results: Results,
    folder: Path,
    settings: ExportSettings | None = None,
    formats: Sequence[str] = FORMATS,
    secret: bytes | None = None,
) -> Iterator[Progress | Finished[Exported]]:
    """Write a dataset; it appears at `folder` when everything was read back.

    Args:
        folder: New.
        formats: Some of `FORMATS`.
        secret: Of the pseudonyms, where they shall be those of an earlier export; else a new one.

    Raises:
        LabError: There is no ranking, the folder is there, a setting is at fault, or the disk refused.
    """
    settings = settings or ExportSettings()
    schema.check(settings)
    folder = Path(os.path.abspath(folder))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise LabError(
            f"The format {''.join(unknown[:1])!r} is unknown.", f"Formats are {', '.join(FORMATS)}."
        )
    if os.path.lexists(folder):
        raise LabError(f"{shown(folder)} exists already.", "Choose another name; nothing is overwritten.")
    if not results.work():
        raise LabError(
            "There is no ranking to write.", "Rank some items first, or merge the files of others."
        )
    return _export(results, folder, settings, formats, secret or new_secret())


def _export(
    results: Results, folder: Path, settings: ExportSettings, formats: Sequence[str], secret: bytes
) -> Iterator[Progress | Finished[Exported]]:
    agreement = yield from pass_on(measure_agreement(results))
    durable.ensure_folder(folder.parent)
    fresh = folder.parent / f".{secrets.token_hex(8)}.part"
    durable.ensure_folder(fresh)
    try:
        counts = yield from write_files(results, fresh, settings, formats, secret, agreement)
        files = tuple(sorted(os.listdir(fresh)))
        durable.move_folder(fresh, folder)
    finally:
        durable.remove_folder(fresh)
    rows = sum(sum(of_split.values()) for of_split in counts.values())
    yield Finished(
        f"{rows:,} rows in {len(files)} files were written and read back.", Exported(folder, files, counts)
    )


def write_files(
    results: Results, folder: Path, settings: ExportSettings, formats: Sequence[str], secret: bytes,
    agreement: Agreement | None,
) -> Generator[Progress, None, dict[str, dict[str, int]]]:  # fmt: skip
    """Write all files of a dataset, read each back, and return how many rows each format has."""
    counts: dict[str, dict[str, int]] = {}
    left: dict[str, Mapping[str, int]] = {}

    def call(id: str) -> str:
        return pseudonym(secret, id)

    wanted = [*formats, *(["ties"] if settings.ties else [])]
    for done, name in enumerate(wanted):
        yield Progress("Writing the dataset", done, len(wanted), "formats")
        if name == "csv":
            table = rows_of.table_rows(results, settings, call)
            _write_table(folder / FILES["csv"], table)
            counts["csv"] = {"train": len(table) - 1}
            continue
        made = _rows(results, settings, name, call)
        counts[name] = {split: len(rows) for split, rows in made.of_split.items()}
        left |= {name: made.left_out} if made.left_out else {}
        for split, rows in made.of_split.items():
            if rows:
                path = folder / file_of(FILES.get(name, TIES), split)
                yield from _write_lines(path, rows)
    text = card(results, settings, counts, left, agreement)
    durable.write_file(folder / CARD, text.encode("utf-8"))
    yield Progress("Writing the dataset", len(wanted), len(wanted), "formats")
    return counts


def _write_lines(path: Path, rows: Sequence[Row]) -> Iterator[Progress]:
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    durable.write_file(path, ("\n".join(lines) + "\n").encode("utf-8"))
    read = decode_text(read_bytes(path, _MOST), shown(path)).split("\n")
    if len(read) != len(rows) + 1 or read[-1]:
        raise _changed(path, min(len(read), len(rows)))
    for number, (line, row) in enumerate(zip(read, rows, strict=False), 1):
        if _read_row(line) != _plain(row):
            raise _changed(path, number)
        if number % _AT_ONCE == 0:
            yield Progress(f"Reading {path.name} back", number, len(rows), "rows")


def _read_row(line: str) -> Any:
    try:
        return parse_json(line, "a row")
    except LabError:
        return None


def _plain(row: Any) -> Any:
    """A row as it comes back: what is a tuple is a list then."""
    if isinstance(row, dict):
        return {key: _plain(value) for key, value in row.items()}
    return [_plain(value) for value in row] if isinstance(row, list | tuple) else row


def _write_table(path: Path, table: list[list[str]]) -> None:
    durable.write_file(path, csv_text(table).encode("utf-8"))
    back = csv_rows(decode_text(read_bytes(path, _MOST), shown(path)))
    if back != table:
        raise _changed(
            path, next((at for at, (a, b) in enumerate(zip(back, table, strict=False)) if a != b), 0) + 1
        )


def _changed(path: Path, row: int) -> LabError:
    return LabError(
        f"{shown(path)} does not read back as it was written, at row {row:,}.",
        "Check the disk and try again.",
    )
