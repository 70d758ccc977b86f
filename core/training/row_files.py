"""Files of rows as a person looks at them: sound rows, and the faults of the others by line; and written.

`rows.py` refuses a file with a fault, as a run must; here the faults are told beside the sound rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.artifacts import durable
from core.formats.files import decode_text, read_bytes, shown
from core.problems import LabError
from core.stages import Finished, Progress
from core.training.rows import FILE_AT_MOST, Row, as_line, parse_row

_AT_ONCE = 500  # lines between two events


@dataclass(frozen=True)
class Surveyed:
    """What stands in a file.

    Attributes:
        rows: Sound rows of one kind.
        faults: What is wrong with each of the other lines, with its number.
    """

    rows: tuple[Row, ...]
    faults: tuple[str, ...]


def survey_rows(path: Path) -> Iterator[Progress | Finished[Surveyed]]:
    """Read a file of JSON Lines.

    Raises:
        LabError: The file cannot be read.
    """
    lines = decode_text(read_bytes(path, FILE_AT_MOST), shown(path)).split("\n")
    return _survey(shown(path), lines)


def _survey(name: str, lines: list[str]) -> Iterator[Progress | Finished[Surveyed]]:
    rows: list[Row] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found = parse_row(line, number)
            if isinstance(found, str):
                faults.append(f"line {number:,}: {found}")
            elif rows and type(found) is not type(rows[0]):
                faults.append(f"line {number:,}: it is of another kind than the rows before")
            else:
                rows.append(found)
        if number % _AT_ONCE == 0:
            yield Progress(f"Reading {name}", number, len(lines), "lines")
    yield Finished(f"{len(rows):,} rows, {len(faults):,} faults.", Surveyed(tuple(rows), tuple(faults)))


def drawn_rows(kind: str, count: int, seed: int = 1) -> Iterator[Progress | Finished[Surveyed]]:
    """Rows of the small world, as a run draws them.

    Args:
        kind: "instructions" or "preferences".
        count: How many.
        seed: Of the drawing.
    """
    from core.training.finetune import rows_of
    from core.training.finetune_plans import RowsChoice

    choice = RowsChoice(kind=kind, rows=max(10, count), seed=seed)
    learned, _ = yield from rows_of(choice, imitated=kind == "instructions", looked_at=1)
    yield Finished(f"{len(learned):,} rows were drawn.", Surveyed(tuple(learned), ()))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as a new file of JSON Lines.

    Raises:
        LabError: There is such a file already, there is no row, or the disk refused.
    """
    if path.exists():
        raise LabError(f"{shown(path)} is there already.", "Choose a new name: no file is overwritten.")
    if not rows:
        raise LabError("There is no row to be written.", "Add one.")
    durable.write_file(path, "".join(as_line(row) + "\n" for row in rows).encode())
