"""NumPy's .npy files of one matrix, read within bounds: plain numbers only, never objects.

The header is text that NumPy evaluates; here its three entries are matched instead (numpy.lib.format,
"Format Version 1.0"). What is read is float32, whatever the file holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.embeddings.texts import WIDEST, check_memory
from core.embeddings.vectors import Numbers
from core.formats.files import BoundedReader, open_bounded, quoted
from core.problems import LabError
from core.stages import Progress

MAGIC = b"\x93NUMPY"
_HEADER_AT_MOST = 10_000  # bytes, as NumPy has it
_AT_ONCE = 1 << 20  # numbers that are read at once
_KINDS = ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8")
_HEADER = re.compile(
    r"\s*\{\s*'descr'\s*:\s*'([^']{1,40})'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,"
    r"\s*'shape'\s*:\s*\(([0-9,\sL]{0,80})\)\s*,?\s*\}\s*"
)


@dataclass(frozen=True)
class _Header:
    kind: str
    by_columns: bool
    shape: tuple[int, int]


def read_npy(path: Path, into: list[Numbers]) -> Iterator[Progress]:
    """Read a matrix, a row for each vector; it is appended to `into`.

    Raises:
        LabError: It is no .npy file, no matrix of plain numbers, shorter or longer than its header says, or
            a number is not finite; the row is named.
    """
    with open_bounded(path) as file:
        header = _header(file)
        rows, width = header.shape
        check_memory(rows, width, file.name)
        values = np.empty((rows, width), np.float32)
        # Written column by column: a block of the file is a block of the transposed matrix.
        flat = values.reshape(-1) if not header.by_columns else np.empty(rows * width, np.float32)
        size = np.dtype(header.kind).itemsize
        for begin in range(0, len(flat), _AT_ONCE):
            count = min(_AT_ONCE, len(flat) - begin)
            part = np.frombuffer(file.read(count * size), header.kind)
            with np.errstate(over="ignore", invalid="ignore"):
                flat[begin : begin + count] = part
            _check_finite(flat[begin : begin + count], begin, header, file.name)
            yield Progress(f"Reading {file.name}", file.position, file.size, "bytes")
    if header.by_columns:
        values[:] = flat.reshape(width, rows).T
    into.append(values)


def _header(file: BoundedReader) -> _Header:
    damaged = "The file is cut short or damaged: get it again."
    if file.size < 10 or file.read(6) != MAGIC:
        raise LabError(
            f"{file.name} does not begin as a .npy file does.", "Choose a file that np.save wrote."
        )
    version, _ = file.u8(), file.u8()
    if version not in (1, 2, 3):
        raise LabError(f"{file.name} has the version {version} of the format.", "Versions 1 to 3 are read.")
    length = file.u16() if version == 1 else file.u32()
    if length > _HEADER_AT_MOST:
        raise LabError(f"{file.name} has a header of {length:,} bytes.", damaged)
    text = file.read(length).decode("latin-1")
    found = _HEADER.fullmatch(text)
    if found is None:
        raise LabError(
            f"{file.name} holds no matrix of plain numbers: {quoted(text.strip(), 60)}.",
            "Save a float32 matrix with np.save.",
        )
    kind, order, sizes = found.groups()
    shape = [int(size.strip().rstrip("L")) for size in sizes.split(",") if size.strip().rstrip("L").isdigit()]
    if kind not in _KINDS:
        raise LabError(
            f"{file.name} holds {quoted(kind)}, which is not read.", "Save float32 with np.save, no objects."
        )
    if len(shape) != 2:
        raise LabError(
            f"{file.name} has the shape ({sizes.strip()}).", "Vectors are a matrix: a row for each of them."
        )
    _check_shape(file, kind, shape)
    return _Header(kind, order == "True", (shape[0], shape[1]))


def _check_shape(file: BoundedReader, kind: str, shape: list[int]) -> None:
    rows, width = shape
    if rows < 1 or not 1 <= width <= WIDEST:
        raise LabError(
            f"{file.name} has the shape ({rows:,}, {width:,}).",
            f"Give at least one vector, of 1 to {WIDEST:,} numbers.",
        )
    expected = rows * width * np.dtype(kind).itemsize
    if expected != file.remaining:
        raise LabError(
            f"{file.name} has {file.remaining:,} bytes of numbers, and its header announces {expected:,}.",
            "The file is cut short or damaged: get it again.",
        )


def _check_finite(part: Numbers, begin: int, header: _Header, name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(part))
    if not len(bad):
        return
    at = begin + int(bad[0])
    rows, width = header.shape
    row, column = (at % rows, at // rows) if header.by_columns else divmod(at, width)
    said = "nan" if math.isnan(part[bad[0]]) else "infinite, or too large for 32 bits,"
    raise LabError(
        f"{name}, row {row:,} (from 0): its number {column + 1:,} is {said} and has no place.",
        "Leave this vector out, or save finite numbers.",
    )
