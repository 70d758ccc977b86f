"""The numbers behind a picture, as a page gives them, and the file that they are saved in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

Numbers = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headers of columns, and rows."""


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as a file, with minus signs that programs read.

    >>> as_csv(["token", "weight"], [["a,b", "−0.5"]])
    'token,weight\\n"a,b",-0.5\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[cell.replace("−", "-") for cell in row] for row in rows])
    return text.getvalue()
