"""CSV that no spreadsheet takes for a program.

A cell that begins with =, +, −, @, a tab or a line break is a formula to Excel and LibreOffice; it is
written with an apostrophe before it. A cell that begins with an apostrophe gets one more, so that reading
takes exactly one away and every text comes back as it was.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from core.preferences.texts import TEXT_AT_MOST

_ACTS = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "'",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # full width ones, too


def safe(cell: str) -> str:
    """A cell as it is written.

    >>> safe("=1+1"), safe("'quoted'"), safe("plain")
    ("'=1+1", "''quoted'", 'plain')
    """
    return "'" + cell if cell.lstrip(" \u00a0").startswith(_ACTS) or cell.startswith(_ACTS) else cell


def unsafe(cell: str) -> str:
    """A cell as it was meant."""
    return cell[1:] if cell.startswith("'") else cell


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, every cell in quotation marks, lines ended by CR LF (RFC 4180)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def csv_rows(text: str) -> list[list[str]]:
    """The rows of what `csv_text` gave.

    >>> csv_rows(csv_text([["=a", "'b", "c\\r\\nd"]]))
    [['=a', "'b", 'c\\r\\nd']]
    """
    limit = csv.field_size_limit(2 * TEXT_AT_MOST)
    try:
        return [
            [unsafe(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True)
        ]
    finally:
        csv.field_size_limit(limit)
