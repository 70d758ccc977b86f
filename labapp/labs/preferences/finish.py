"""What is shown when nothing is left to rank, or others hold what is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from labapp.labs.preferences.desk import NotPassed
from labapp.widgets.parts import button, label
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.session import AllDone, Waiting
    from labapp.labs.preferences.rank import RankPage


class Finish(QWidget):
    """The last page."""

    def __init__(self, page: RankPage) -> None:
        super().__init__()
        self.title = label("", "title", wrap=True)
        self.text = label("", "secondary", wrap=True)
        tip = tr("Write your answers as one file, into the class folder or onto a stick")
        self.hand_in = button(tr("Hand in…"), page.lab.ask_to_hand_in, tip=tip, role="primary")
        self.results = button(tr("Results"), page.lab.show_results, tip=tr("Read what all of you said"))
        self.undo = button(tr("Undo"), page.undo, tip=tr("Open the last ranking again (Ctrl+Z)"))
        self.practice = button(tr("Practice again"), self._practice, tip=tr("Rank it anew"), role="primary")
        self._page, self._item = page, ""
        row = QHBoxLayout()
        row.setSpacing(8)
        for made in (self.practice, self.hand_in, self.results, self.undo):
            row.addWidget(made)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setSpacing(12)
        layout.addStretch(1)
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addLayout(row)
        layout.addStretch(2)
        layout.setAlignment(Qt.AlignmentFlag.AlignLeft)

    def _practice(self) -> None:
        self._page.look_at(self._item, 0)

    def show_end(self, end: AllDone | Waiting | NotPassed | None) -> None:
        """Say why no item is in view."""
        held = isinstance(end, NotPassed)
        self.practice.setVisible(held)
        self.hand_in.setVisible(not held)
        self.results.setVisible(not held and not self._page.lab.alone)
        if isinstance(end, NotPassed):
            self._item = end.item_id
            self.title.setText(tr("Practice comes first."))
            text = tr("{n} % must come out as known. Read the guidelines, and rank again.", n=end.mark)
            self.text.setText(text)
            return
        until = getattr(end, "until", None)
        if until is not None:
            self.title.setText(tr("Others hold what is left."))
            clock = time.strftime("%H:%M", time.localtime(until))
            self.text.setText(
                tr("The next prompt may be free at {time}; this page looks by itself.", time=clock)
            )
        else:
            self.title.setText(tr("That was all."))
            self.text.setText(tr(getattr(end, "reason", "")))
