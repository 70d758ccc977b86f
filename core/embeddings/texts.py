"""Vectors from text files: word2vec and GloVe (a word and its numbers), and the Embedding Projector's TSV.

- Projector: `vectors.tsv` has numbers between tabs and nothing else; its names lie in `metadata.tsv`, which
  has a header if, and only if, it has more than one column (projector.tensorflow.org, "Load data").
- word2vec: the first line says how many vectors and how many numbers each, then a word and its numbers.
- GloVe: the same without the first line. Words may hold spaces there: what counts is the right-hand side.

Lines are counted first, so that the numbers are laid where they stay and nothing is held twice.

N vectors, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from core.embeddings.lines import blocks_of_lines, count_lines
from core.embeddings.vectors import Numbers
from core.formats.files import BoundedReader, open_bounded, quoted
from core.problems import LabError
from core.stages import Progress

WIDEST = 100_000  # numbers in a vector
NAMES_AT_MOST = 256 << 20  # bytes of a file of names
_LOOKED_AT = 5  # lines that say what a file is
_SPARE = 200 << 20  # bytes of memory that are left to the rest of the machine


@dataclass(frozen=True)
class Form:
    """How a text file of vectors is written.

    Attributes:
        title: "word2vec", "GloVe", "Projector".
        named: Whether each line begins with a word.
        separator: Between the numbers; None: any white space.
        header: Lines before the first vector.
        width: W.
        count: N as the file announces it, or None.
    """

    title: str
    named: bool
    separator: bytes | None
    header: int
    width: int
    count: int | None


def recognize(path: Path) -> Form:
    """Look at the first lines and say what the file is.

    Raises:
        LabError: It is empty, or its first lines hold no vector.
    """
    with open_bounded(path) as file:
        if file.size == 0:
            raise LabError(f"{file.name} is empty: it has 0 bytes.", "Choose a file with vectors in it.")
        first = _first_lines(file, _LOOKED_AT)
        head, size, name = first[0], file.size, file.name
    parts = head.split()
    if len(parts) == 2 and b"\t" not in head and all(part.isdigit() for part in parts) and len(first) > 1:
        count, width = int(parts[0][:20]), int(parts[1][:20])
        if len(first[1].split()) > 2 or width == 1:
            _check_header(count, width, size, name)
            return Form("word2vec", True, None, 1, width, count)
    tabs = head.split(b"\t")
    if len(tabs) > 1:
        if _is_number(tabs[0]):
            return Form("Embedding Projector", False, b"\t", 0, len(tabs), None)
        return Form("words and numbers between tabs", True, b"\t", 0, len(tabs) - 1, None)
    widths = [_numbers_at_end(line.split()) for line in first if line.strip()]
    if len(parts) >= 2 and widths[0] > 0:
        words = [found for line, found in zip(first, widths, strict=False) if found < len(line.split())]
        if not words:  # "2000" may be a word, but then other lines have other words
            return Form("numbers between spaces", False, None, 0, len(parts), None)
        return Form("GloVe", True, None, 0, max(words, key=words.count), None)
    raise LabError(
        f"{name}, line 1: {quoted(head, 40)} is neither a vector nor a word with one.",
        "Choose a .npy file, a vectors.tsv, or a text file of word2vec or GloVe.",
    )


def _numbers_at_end(parts: Sequence[bytes]) -> int:
    """How many numbers a line ends with.

    >>> _numbers_at_end([b"a", b"1", b"b", b"2", b"3"])
    2
    """
    return next((at for at, part in enumerate(reversed(parts)) if not _is_number(part)), len(parts))


def _first_lines(file: BoundedReader, count: int) -> list[bytes]:
    found: list[bytes] = []
    for lines in blocks_of_lines(file):
        found += lines
        if len(found) >= count:
            break
    return found[:count]


def _check_header(count: int, width: int, size: int, name: str) -> None:
    """The announced sizes against the file's, before anything is made of them: a number takes two bytes."""
    if not 1 <= width <= WIDEST:
        raise LabError(
            f"{name}, line 1: vectors of {width:,} numbers are announced.", f"1 to {WIDEST:,} are read."
        )
    if count < 1:
        raise LabError(f"{name}, line 1: {count:,} vectors are announced.", "Choose a file that has some.")
    if count * width * 2 > size:
        raise LabError(
            f"{name}, line 1: {count:,} vectors of {width:,} numbers are announced, which {size:,} bytes "
            "cannot hold.",
            "The file is cut short or damaged: get it again.",
        )


def check_memory(count: int, width: int, name: str, available: int | None = None) -> None:
    """Refuse what does not fit, with the sum that says so.

    Raises:
        LabError: It does not fit.
    """
    need = count * width * 4
    free = psutil.virtual_memory().available if available is None else available
    if need + _SPARE > free:
        raise LabError(
            f"{name} does not fit: {count:,} vectors × {width:,} numbers × 4 bytes = {need / 1e6:,.0f} MB, "
            f"and {free / 1e6:,.0f} MB of memory are free.",
            "Close other programs, or choose a file with fewer vectors.",
        )


# Numbers


@dataclass(eq=False)
class Read:
    """What a text file held: `values` (N, W), and `names`, empty where the file has none."""

    values: Numbers
    names: list[str]
    repaired: int = 0


def read_text_vectors(path: Path, form: Form, into: list[Read]) -> Iterator[Progress]:
    """Read all vectors of a text file; what was read is appended to `into`.

    Raises:
        LabError: A line has more or fewer numbers than the first, a number is none or not finite, or there
            are more or fewer lines than announced; the line is named.
    """
    lines = 0
    with open_bounded(path) as file:
        size, name = file.size, file.name
    for counted in count_lines(path):
        lines = counted
        yield Progress(f"Counting the lines of {name}", 0, size, "bytes")
    rows = lines - form.header
    count = _agreed(rows, form, name)
    check_memory(count, form.width, name)
    made = Read(np.empty((count, form.width), np.float32), [])
    at, number = 0, 0
    with open_bounded(path) as file:
        for block in blocks_of_lines(file):
            begin = at
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is named below
                for line in block:
                    number += 1
                    if number <= form.header:
                        continue
                    if not line.strip():
                        _check_blank(number, lines, name)
                        continue
                    if at == count:
                        raise _too_many(form, number, name)
                    _read_line(line, form, made, at, number, name)
                    at += 1
            _check_finite(made.values[begin:at], number, block, name)
            yield Progress(f"Reading {name}", file.position, size, "bytes")
    if at < count and form.count is not None:
        raise _too_few(form, at, number, name)
    if at == 0:
        raise LabError(f"{name} holds no vector.", "Choose a file with vectors in it.")
    made.values = made.values[:at]  # blank lines at the end were counted
    into.append(made)


def _agreed(rows: int, form: Form, name: str) -> int:
    if form.count is not None and rows < form.count:
        raise _too_few(form, rows, rows + form.header, name)
    return rows if form.count is None else form.count


def _too_few(form: Form, found: int, number: int, name: str) -> LabError:
    return LabError(
        f"{name} ends after line {number:,}: it has {found:,} vectors, and its first line announces "
        f"{form.count:,}.",
        "The file is cut short: get it again, or correct its first line.",
    )


def _too_many(form: Form, number: int, name: str) -> LabError:
    return LabError(
        f"{name}, line {number:,}: there are more vectors than the {form.count:,} that its first line "
        "announces.",
        "Correct the first line.",
    )


def _check_blank(number: int, lines: int, name: str) -> None:
    if number < lines:
        raise LabError(
            f"{name}, line {number:,}: it is empty, and {lines - number:,} more lines follow.",
            "Remove the empty line, or give the vector that is missing.",
        )


def _read_line(line: bytes, form: Form, made: Read, at: int, number: int, name: str) -> None:
    """One vector: its numbers into row `at`, and its word to the names."""
    parts = line.split(form.separator)
    extra = len(parts) - form.width
    if extra != int(form.named) and not (form.named and extra > 1 and form.separator is None):
        raise _ragged(parts, form, number, name)
    try:
        if b"_" in line:  # Python's own numbers may have it inside
            _check_underscores(parts[extra:])
        made.values[at] = np.fromiter(map(float, parts[extra:]), np.float32, form.width)
    except ValueError:
        raise _no_number(parts[extra:], extra, number, name) from None
    if form.named:
        word = parts[0] if extra == 1 else b" ".join(parts[:extra])
        try:
            made.names.append(word.decode("utf-8"))
        except UnicodeDecodeError:  # as in the vectors of Google News
            made.names.append(word.decode("utf-8", "backslashreplace"))
            made.repaired += 1


def _ragged(parts: Sequence[bytes], form: Form, number: int, name: str) -> LabError:
    found = len(parts) - int(form.named)
    return LabError(
        f"{name}, line {number:,}: it has {max(0, found):,} numbers, and the first vector has "
        f"{form.width:,}.",
        f"Give each line as many, with {'a tab' if form.separator else 'a space'} between two"
        f"{' and a word before' if form.named else ''}.",
    )


def _no_number(numbers: Sequence[bytes], before: int, number: int, name: str) -> LabError:
    at, wrong = next(((at, part) for at, part in enumerate(numbers) if not _is_number(part)), (0, b""))
    said = quoted(wrong, 30) if wrong.strip() else "nothing between two separators"
    remedy = "Write numbers such as 0.25 or -1.5e-3."
    if number == 1 and not before:
        remedy += " A file of vectors has no heading: names belong into metadata.tsv."
    return LabError(f"{name}, line {number:,}, column {before + at + 1:,}: {said} is no number.", remedy)


def _check_underscores(numbers: Sequence[bytes]) -> None:
    if any(b"_" in part for part in numbers):
        raise ValueError("underscore")


def _check_finite(values: Numbers, number: int, block: Sequence[bytes], name: str) -> None:
    """NaN and infinity have no place in space: named with their line."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if not len(bad):
        return
    kept = [at for at, line in enumerate(block) if line.strip()][-len(values) :]
    line = number - len(block) + 1 + kept[int(bad[0])]
    row = values[bad[0]]
    column = int(np.flatnonzero(~np.isfinite(row))[0])
    said = "nan" if math.isnan(row[column]) else "a number too large for 32 bits, or inf,"
    raise LabError(
        f"{name}, line {line:,}: its number {column + 1:,} is {said} and has no place.",
        "Leave this vector out, or write finite numbers below 3.4e38.",
    )


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return b"_" not in part


# Names


@dataclass(frozen=True)
class Metadata:
    """Names and what else is known of each vector."""

    names: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


NAME_COLUMNS = ("name", "label", "word", "token", "title", "text")


def read_metadata(path: Path, count: int) -> Metadata:
    """Read the names of `count` vectors: one a line, or a table with a header.

    Raises:
        LabError: The lines are not as many, a row is ragged, or it is no text in UTF-8.
    """
    with open_bounded(path) as file:
        if file.size > NAMES_AT_MOST:
            raise LabError(
                f"{file.name} holds {file.size:,} bytes; at most {NAMES_AT_MOST:,} are read.",
                "Choose the file with the names.",
            )
        name, raw = file.name, [line for block in blocks_of_lines(file) for line in block]
    table = [_cells(line, number, name) for number, line in enumerate(raw, 1)]
    if not table:
        raise LabError(f"{name} is empty, and {count:,} names are needed.", "Give one name a line.")
    width = len(table[0])
    for number, cells in enumerate(table, 1):
        if len(cells) != width:
            raise LabError(
                f"{name}, line {number:,}: it has {len(cells):,} columns, and the first line has {width:,}.",
                "Give each line as many, with a tab between two.",
            )
    return _named_columns(table, count, width, name)


def _cells(line: bytes, number: int, name: str) -> list[str]:
    try:
        return line.decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise LabError(
            f"{name}, line {number:,}: 0x{line[error.start]:02x} is not valid UTF-8 here.",
            "Save the file as UTF-8 text.",
        ) from None


def _named_columns(table: list[list[str]], count: int, width: int, name: str) -> Metadata:
    notes: list[str] = []
    heading = [f"column {at + 1}" for at in range(width)]
    if len(table) == count + 1:
        heading, table = table[0], table[1:]
        if width == 1:
            notes.append(f"The first line of {name} was taken for a heading.")
    elif len(table) != count:
        raise LabError(
            f"{name} has {len(table):,} lines, and there are {count:,} vectors.",
            "Give one line for each vector, and a heading where there is more than one column.",
        )
    elif width > 1:
        notes.append(f"{name} has no heading: its columns are numbered.")
    heading = [title.strip() or f"column {at + 1}" for at, title in enumerate(heading)]
    at = next((at for at, title in enumerate(heading) if title.casefold() in NAME_COLUMNS), 0)
    columns: dict[str, tuple[str, ...]] = {}
    for column, title in enumerate(heading):
        if column != at:
            fresh = title if title not in columns else f"{title} ({column + 1})"
            columns[fresh] = tuple(row[column] for row in table)
    return Metadata(tuple(row[at] for row in table), columns, tuple(notes))
