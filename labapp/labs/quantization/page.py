"""What the pages of this lab share: the numbers behind their pictures, a sentence, how they are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from labapp.pages import LabPage

Numbers = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headers of columns, and rows."""


class QuantizationPage(LabPage):
    """A page whose picture can be shown as a table and said in a sentence."""

    def numbers(self) -> Numbers:
        """The numbers behind the picture in view; no rows where there are none."""
        return (), ()

    def summary(self) -> str:
        """The picture in a sentence; "" while there is nothing to say."""
        return ""


def column(*parts: QWidget, grows: QWidget) -> QWidget:
    """Widgets one below the other, as the middle of a page; one of them takes the room that is left."""
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    for part in parts:
        layout.addWidget(part)
    layout.setStretchFactor(grows, 1)
    return made


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as a file.

    >>> as_csv(["tensor", "weight"], [["a,b", "−0.5"]])
    'tensor,weight\\n"a,b",-0.5\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[cell.replace("−", "-") for cell in row] for row in rows])
    return text.getvalue()


def number(value: float, digits: int = 4) -> str:
    """A number as it is set in the app, with a true minus.

    >>> number(-0.25), number(0.00001)
    ('−0.2500', '0.0000')
    """
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def figures(value: float) -> str:
    """A number with three significant digits.

    >>> figures(-0.000573), figures(0.0465)
    ('−0.000573', '0.0465')
    """
    return f"{value:.3g}".replace("-", "−")


def size_text(size: float) -> str:
    """Bytes of memory as a person reads them.

    >>> size_text(5.7 * 2**30), size_text(4_200_000)
    ('5.70 GiB', '4.0 MiB')
    """
    return f"{size / 2**30:.2f} GiB" if size >= 0.1 * 2**30 else f"{size / 2**20:.1f} MiB"
