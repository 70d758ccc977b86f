"""Texts of several models side by side: the stronger a color, the farther from the reference's probability.

The first token that differs from the first text is outlined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtWidgets import QGridLayout, QWidget

from labapp.labs.quantization.comparing import Piece
from labapp.widgets.parts import label
from labapp.widgets.token_text import visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

MOST = 6  # texts


class SideTexts(QWidget):
    """A grid of texts with a heading each, in columns where there is room."""

    def __init__(self) -> None:
        super().__init__()
        self.names: tuple[str, ...] = ()
        self.pieces: list[list[Piece]] = []
        self.texts: list[ValueChips] = []
        self.headings = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(6)
        for n in range(MOST):
            heading = label("", "small", wrap=True)
            text = ValueChips(tr("Text {n}", n=n + 1))
            text.setMinimumHeight(40)
            for part in (heading, text):
                part.setParent(self)
                part.hide()
            self.headings.append(heading)
            self.texts.append(text)

    def begin(self, names: Sequence[str]) -> None:
        """Make room for texts of these models."""
        self.names = tuple(names[:MOST])
        self.pieces = [[] for _ in self.names]
        columns = 1 if len(self.names) < 2 else 2
        for n, (heading, text) in enumerate(zip(self.headings, self.texts, strict=True)):
            self._grid.removeWidget(heading)
            self._grid.removeWidget(text)
            shown = n < len(self.names)
            heading.setVisible(shown)
            text.setVisible(shown)
            if shown:
                row, at = divmod(n, columns)
                self._grid.addWidget(heading, 2 * row, at)
                self._grid.addWidget(text, 2 * row + 1, at)
                self._grid.setRowStretch(2 * row + 1, 1)
                self._grid.setColumnStretch(at, 1)
                text.setAccessibleName(tr("What {name} writes", name=self.names[n]))
        rows = (len(self.names) + columns - 1) // columns
        for row in range(rows, MOST):
            self._grid.setRowStretch(2 * row + 1, 0)
        self._show()

    def add(self, pieces: Sequence[Piece]) -> None:
        """Tokens have come."""
        for piece in pieces:
            if piece.writer < len(self.pieces):
                self.pieces[piece.writer].append(piece)
        self._show()

    def differs_at(self, n: int) -> int | None:
        """Where a text leaves the first one's; None where it does not so far."""
        for place, (a, b) in enumerate(zip(self.pieces[0], self.pieces[n], strict=False)):
            if a.data != b.data:
                return place
        return None

    def _show(self) -> None:
        for n, pieces in enumerate(self.pieces):
            shown = [piece for piece in pieces if not piece.ends]
            values = np.array([abs(piece.probability - piece.reference) for piece in shown])
            self.texts[n].set_values([piece.data for piece in shown], values, self._describer(n))
            at = self.differs_at(n) if n else None
            self.texts[n].mark_id(at)
            self.headings[n].setText(self._heading(n, at))

    def _heading(self, n: int, at: int | None) -> str:
        name = self.names[n]
        if not self.pieces[n] or n == 0:
            return name
        if at is None:
            return tr("{name}: the same {count} tokens", name=name, count=len(self.pieces[n]))
        ours, theirs = visible(self.pieces[n][at].data), visible(self.pieces[0][at].data)
        return tr("{name}: differs at token {n}, “{ours}” for “{theirs}”", name=name, n=at + 1,
                  ours=ours, theirs=theirs)  # fmt: skip

    def _describer(self, n: int) -> Callable[[int], str]:
        def says(place: int) -> str:
            shown = [piece for piece in self.pieces[n] if not piece.ends]
            if place >= len(shown):
                return ""
            piece = shown[place]
            return tr(
                "“{token}” {own:.1f} %; the reference gives it {true:.1f} %, and prefers “{instead}”",
                token=visible(piece.data), own=100 * piece.probability, true=100 * piece.reference,
                instead=visible(piece.instead),
            )  # fmt: skip

        return says
