"""One point looked into: its numbers, its length, its token, and what lies nearest to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from labapp.handoff import Handoff
from labapp.labs.embeddings.subject import Opened, centering_box
from labapp.labs.embeddings.tables import shown, signed
from labapp.labs.embeddings.vector_bars import VectorBars
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, label
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.neighbors import By, Neighbor
    from labapp.labs.embeddings import EmbeddingsLab

COUNT = 10  # neighbors
MEASURES = (("cosine", "Cosine"), ("dot", "Dot product"), ("distance", "Distance"))


class NeighborBars(Bars):
    """Bars of neighbors, one of which can be clicked or chosen by keys."""

    row_chosen = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.found: tuple[Neighbor, ...] = ()
        self._at = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(tr("Click a word to look into it; Up, Down and Enter do the same"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_neighbors(self, found: Sequence[Neighbor], by: str, strong: int | None = None) -> None:
        """Show neighbors; a distance has the longer bar the larger it is."""
        self.found, self._at = tuple(found), -1
        digits = 3 if by == "cosine" or max((abs(n.value) for n in found), default=0) < 10 else 1
        self.set_bars(
            [
                Bar(
                    shown(n.name)[:22],
                    max(0.0, n.value),
                    signed(n.value, digits).lstrip("+"),
                    n.row == strong,
                )
                for n in found
            ]
        )

    def _row_height(self) -> float:
        return min(self.ROW * self.font().pixelSize() / 13, self.height() / max(1, len(self.bars)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = int(event.position().y() / max(1.0, self._row_height()))
        if 0 <= at < len(self.found):
            self.row_chosen.emit(self.found[at].row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self.found:
            by = 1 if key == Qt.Key.Key_Down else -1
            self._at = min(max(self._at + by, 0), len(self.found) - 1)
            self.set_bars([Bar(b.name, b.value, b.text, i == self._at) for i, b in enumerate(self.bars)])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._at >= 0:
            self.row_chosen.emit(self.found[self._at].row)
        else:
            super().keyPressEvent(event)


class Inspector(QWidget):
    """The details of a point; `row_chosen` tells a neighbor that was clicked.

    Attributes:
        row: Which point, or None.
    """

    row_chosen = Signal(int)

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__()
        self.row: int | None = None
        self._lab = lab
        self._opened: Opened | None = None
        self.heading = label(tr("Click a point, or search for a word."), "heading", wrap=True)
        self.facts = label("", "small", wrap=True)
        self.bars = VectorBars(tr("The numbers of the vector"), 64)
        self.bars.setMaximumHeight(90)
        self.pointed = label("", "small")
        self.bars.pointed.connect(lambda at: self.pointed.setText(self.bars.words()))
        self.by = QComboBox()
        for key, title in MEASURES:
            self.by.addItem(tr(title), key)
        self.by.setAccessibleName(tr("How near is measured"))
        self.by.setToolTip(
            tr(
                "Attention compares by the plain dot product; games such as Semantle by the cosine, "
                "without length"
            )
        )
        self.centering = centering_box()
        self.centering.setItemText(0, tr("Centered"))  # on what is said below
        self.centering.setAccessibleName(tr("From where vectors are measured"))
        self.centering.setToolTip(
            tr("Raw vectors share a direction, their mean; without it differences show")
        )
        for box in (self.by, self.centering):
            box.activated.connect(lambda _: self._show())
        self.neighbors = NeighborBars(tr("Nearest neighbors"))
        self.neighbors.row_chosen.connect(self.row_chosen)
        self.says = label("", "small", wrap=True)
        self.tokenizer = button(
            tr("Show in Tokenizer"), self._open_tokenizer, tip=tr("How the tokenizer came to this token")
        )
        self._build()

    def _build(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.by, 2)
        row.addWidget(self.centering, 3)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        for part in (self.heading, self.facts, self.bars, self.pointed):
            column.addWidget(part)
        column.addLayout(row)
        column.addWidget(self.neighbors, 12)
        column.addWidget(self.says)
        column.addWidget(self.tokenizer)
        column.addStretch(1)
        self._parts: tuple[QWidget, ...] = (
            self.bars, self.by, self.centering, self.neighbors, self.says, self.tokenizer,
        )  # fmt: skip
        for hidden in self._parts:
            hidden.hide()

    def take(self, opened: Opened) -> None:
        """Other vectors."""
        self._opened, self.row = opened, None
        self.heading.setText(tr("Click a point, or search for a word."))
        self.facts.setText("")
        self.pointed.setText("")
        for part in self._parts:
            part.hide()

    def show_row(self, row: int) -> None:
        """Look into a point."""
        opened = self._opened
        if opened is None:
            return
        self.row = row
        for part in self._parts:
            part.show()
        self.tokenizer.setVisible(opened.vectors.ids is not None)
        self.bars.set_values(opened.vectors.values[row])
        self._show()

    def _show(self) -> None:
        opened, row = self._opened, self.row
        if opened is None or row is None:
            return
        vectors = opened.vectors
        space = opened.space(self.centering.currentData())
        by = cast("By", self.by.currentData())
        name = vectors.names[row]
        self.heading.setText(tr("“{word}”", word=shown(name)))
        self.facts.setText(self._facts(opened, row))
        found = space.neighbors(row, by, COUNT)
        self.neighbors.show_neighbors(found, by)
        self.says.setText(
            tr("The {k} nearest of all {n:,}, exactly; {origin}.", k=len(found), n=len(vectors) - 1,
               origin=space.centered_on)
        )  # fmt: skip

    def _facts(self, opened: Opened, row: int) -> str:
        vectors = opened.vectors
        parts = [tr("{n:,} numbers, length {raw:.3g}", n=vectors.width, raw=float(opened.raw.norms[row]))]
        parts.append(tr("{length:.3g} from the mean", length=float(opened.centered.norms[row])))
        if vectors.ids is not None:
            parts.append(
                tr("token {id:,}, bytes {bytes}", id=vectors.ids[row], bytes=_bytes_of(vectors.names[row]))
            )
        parts += [f"{title}: {column[row]}" for title, column in vectors.columns.items()]
        return " · ".join(parts)

    def _open_tokenizer(self) -> None:
        opened, row = self._opened, self.row
        if opened is not None and row is not None:
            self._lab.context.open_in("tokenizer", Handoff(text=opened.vectors.names[row]))

    def numbers(self) -> Numbers:
        """The neighbors as a table."""
        rows = [(shown(n.name), signed(n.value, 4)) for n in self.neighbors.found]
        return (tr("neighbor"), tr(self.by.currentText())), rows


def _bytes_of(name: str) -> str:
    """The bytes of a token, of which some may be no character and stand as ⟨hex⟩ in its name.

    >>> _bytes_of(" é"), _bytes_of("⟨C3⟩")
    ('20 C3 A9', 'C3')
    """
    found = []
    for part in re.split(r"⟨([0-9A-F]{2}(?: [0-9A-F]{2})*)⟩", name):
        known = re.fullmatch(r"[0-9A-F]{2}(?: [0-9A-F]{2})*", part) and f"⟨{part}⟩" in name
        found.append(part if known else " ".join(f"{byte:02X}" for byte in part.encode()))
    return " ".join(part for part in found if part)
