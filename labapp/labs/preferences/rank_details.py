"""The right column of the page Rank: the guidelines, and what was done before, to be looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from labapp.widgets.parts import label
from labapp.widgets.prose import Prose
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.session import Done
    from core.preferences.store import TaskFacts
    from labapp.labs.preferences.rank import RankPage

LISTED = 60  # things done that are listed
WHAT = {"submit": "ranked", "revise": "changed", "skip": "skipped", "flag": "flagged"}


class RankDetails(QWidget):
    """Guidelines above, the list below."""

    def __init__(self, page: RankPage) -> None:
        super().__init__()
        self._page = page
        self._done: tuple[Done, ...] = ()
        self.title = label("", "heading")
        self.guidelines = Prose(name=tr("Guidelines"))
        self.guidelines.setFrameShape(QFrame.Shape.NoFrame)
        self.list_title = label(tr("Done before"), "heading")
        self.done = Table(
            tr("Done before; choose one to look at it again"),
            [Column(tr("Prompt"), number=True), Column(tr("What"), stretch=True), Column(tr("When"))],
        )
        self.done.setToolTip(tr("Choose one to look at it again, and to change it"))
        self.done.row_chosen.connect(self._chosen)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.title)
        layout.addWidget(self.guidelines, 3)
        layout.addWidget(self.list_title)
        layout.addWidget(self.done, 2)

    def show_task(self, task: TaskFacts) -> None:
        """Show the guidelines of a task."""
        self.title.setText(tr("Guidelines, version {n}", n=task.guidelines.version))
        self.guidelines.show_markdown(task.guidelines.text or tr("There are none for this task."))

    def refresh(self) -> None:
        """Show what was done before."""
        session = self._page.desk.session
        self._done = session.recent(LISTED) if session is not None and session.agreed else ()
        self.list_title.setVisible(bool(self._done))
        self.done.setVisible(bool(self._done))
        self.done.set_rows(
            [(f"{one.number:,}", tr(WHAT.get(one.what, one.what)), one.time[11:16]) for one in self._done]
        )

    def _chosen(self, row: int) -> None:
        if row < len(self._done):
            self._page.look_at(self._done[row].item_id, self._done[row].attempt)
