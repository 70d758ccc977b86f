"""What a person is told before the first item: what is recorded, who sees it, how long, how to withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from labapp.widgets.parts import button, card, field, label
from labapp.widgets.prose import Prose
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.store import Annotator, TaskFacts


def consent_text(task: TaskFacts) -> str:
    """The words, as Markdown; they are stored with the person's agreement."""
    settings = task.settings
    what = tr(
        "**What is recorded:** your ranking of each prompt, the order in which you saw the answers, flags, "
        "ratings and comments, what you took back, and how long you worked at it (time without input is not "
        "counted)."
    )
    hidden = tr(
        "**Hidden checks:** some prompts may have an order that is known, or come a second time, to see how "
        "well people agree with themselves."
    )
    who = tr("**Who sees it:** {who} Exports name you by a pseudonym.", who=settings.who_sees)
    long = tr("**How long:** about {n:,} minutes for {items:,} prompts; stop and go on whenever you like.",
              n=settings.minutes, items=task.items)  # fmt: skip
    out = tr(
        "**How to withdraw:** with “Withdraw…” at the left, at any time and without a reason; your answers "
        "then count no longer, and the person who made the task erases them."
    )
    return "\n\n".join([what, hidden, who, long, out])


class Consent(QWidget):
    """The page before the first item."""

    begun = Signal(str, str)  # id of somebody who has entered, or ""; and the name of somebody new

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.title = label("", "title", wrap=True)
        self.warning = label("", "warning", wrap=True)
        self.prose = Prose(name=tr("What is recorded"))
        self.prose.setFrameShape(QFrame.Shape.NoFrame)
        self.who = QComboBox()
        self.who.currentIndexChanged.connect(lambda _: self._chosen())
        self.name = QLineEdit()
        self.name.setMaxLength(200)
        self.name.returnPressed.connect(self._begin)
        tip = tr("As the person who made the task knows you; two people of one name stay two")
        self.go = button(
            tr("I have read this: begin"), self._begin, tip=tr("Enter begins, too"), role="primary"
        )
        row = QHBoxLayout()
        row.setSpacing(8)
        self._who_field = field(tr("Who ranks"), self.who, tr("Somebody new, or somebody who goes on"))
        self._name_field = field(tr("Your name"), self.name, tip)
        row.addWidget(self._who_field, 1)
        row.addWidget(self._name_field, 1)
        row.addWidget(self.go, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(
            card(self.title, self.warning, self.prose, row, margin=16, spacing=8, grows=self.prose), 1
        )

    def show_task(self, task: TaskFacts, people: Sequence[Annotator]) -> None:
        """Say it for a task; those who have entered can go on."""
        self.title.setText(task.name)
        self.warning.setText(task.settings.warning)
        self.warning.setVisible(bool(task.settings.warning))
        self.text = consent_text(task)
        self.prose.show_markdown(self.text)
        self.who.clear()
        self.who.addItem(tr("Somebody new"), "")
        for person in people:
            self.who.addItem(person.name, person.id)
        self._who_field.setVisible(bool(people))
        if not self.name.text():
            self.name.setText(tr("Me"))
        self._chosen()

    def _chosen(self) -> None:
        self._name_field.setVisible(not self.who.currentData())

    def _begin(self) -> None:
        self.begun.emit(self.who.currentData() or "", self.name.text())
