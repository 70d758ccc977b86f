"""What the pages of this lab share: the numbers behind their pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from labapp.pages import LabPage

Numbers = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headers of columns, and rows."""


class AttentionPage(LabPage):
    """A page whose picture can be shown as a table."""

    def numbers(self) -> Numbers:
        """The numbers behind the picture in view; no rows where there are none."""
        return (), ()


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as a file.

    >>> as_csv(["token", "weight"], [["a,b", "−0.5"]])
    'token,weight\\n"a,b",-0.5\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[cell.replace("−", "-") for cell in row] for row in rows])
    return text.getvalue()
