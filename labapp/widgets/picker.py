"""The picker: a button that shows what is chosen and opens a list of samples, artifacts and other ways.

The list is made anew each time it opens, so artifacts that other labs or windows made are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from core.artifacts import Workspace
from labapp.icons import icon
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr


@dataclass(frozen=True)
class Choice:
    """Something to pick: its key, what the list says, and the heading that it stands under."""

    key: str
    title: str
    group: str = ""
    enabled: bool = True
    tip: str = ""


class Picker(QPushButton):
    """Shows the title of what is chosen; emits the key of what is picked, also when it is the same again."""

    picked = Signal(str)

    def __init__(
        self, name: str, choices: Callable[[], Sequence[Choice]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._name = name
        self._choices = choices
        self._title = ""
        self.setObjectName("picker")
        self.setAccessibleName(name)
        self.setMinimumWidth(60)
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(self._fill)
        self.clicked.connect(self.open)

    def set_title(self, title: str) -> None:
        """Say what is chosen."""
        self._title = title
        self.setAccessibleName(f"{self._name}: {title}")
        self.setToolTip(plain_tooltip(title))
        self._elide()

    @property
    def title(self) -> str:
        """What is chosen, in full."""
        return self._title

    def choices(self) -> Sequence[Choice]:
        """What can be picked right now."""
        return self._choices()

    def open(self) -> None:
        """Open the list below the button."""
        self._menu.setMinimumWidth(self.width())
        self._menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _fill(self) -> None:
        menu = self._menu
        menu.clear()
        group = ""
        for choice in self._choices():
            if choice.group != group:
                group = choice.group
                if group:
                    menu.addSection(group)
                else:
                    menu.addSeparator()
            action = menu.addAction(choice.title.replace("&", "&&"))
            action.setEnabled(choice.enabled)
            action.setToolTip(choice.tip)
            action.triggered.connect(lambda _=False, key=choice.key: self.picked.emit(key))

    def _elide(self) -> None:
        room = max(20, self.width() - 40)
        self.setText(self.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideMiddle, room))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        size = self.fontMetrics().height()
        box = self.rect().adjusted(self.width() - size - 6, 0, -6, 0)
        box.setTop((self.height() - size) // 2)
        box.setHeight(size)
        with QPainter(self) as painter:
            icon("chevron-down").paint(painter, box)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()


def artifact_choices(workspace: Workspace, kind: str, group: str = "") -> list[Choice]:
    """One choice per artifact of a kind, newest first; its key is `artifact:` and the id."""
    found = []
    for artifact in workspace.artifacts(kind):
        made = artifact.created.astimezone().strftime("%Y-%m-%d %H:%M")
        title = tr("{name} · {date}", name=artifact.name, date=made)
        found.append(Choice(f"artifact:{artifact.id}", title, group or tr("From the workspace")))
    return found
