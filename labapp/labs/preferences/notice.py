"""A line that asks or tells, with up to two things to do; it stays until one is done."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from labapp.widgets.parts import button, flat_button, label
from labapp.words import tr


class Notice(QWidget):
    """Hidden while there is nothing to ask."""

    def __init__(self, closed: Callable[[], object]) -> None:
        super().__init__()
        self.setObjectName("message")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._closed = closed
        self._do: Callable[[], object] | None = None
        self._text = label("", wrap=True)
        self.yes: QPushButton = button("", self._accept, role="primary")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.setSpacing(8)
        row.addWidget(self._text, 1)
        row.addWidget(self.yes)
        row.addWidget(flat_button("close", tr("Close this line"), self.close_notice))
        self.hide()

    @property
    def text(self) -> str:
        """What is being said, or ""."""
        return "" if self.isHidden() else self._text.text()

    def offers(self, do: Callable[[], object]) -> bool:
        """Whether the button would do this right now."""
        return not self.isHidden() and self._do == do

    def say(self, text: str, do: str = "", then: Callable[[], object] | None = None, tip: str = "") -> None:
        """Say something; `do` names what the button does."""
        self._text.setText(text)
        self._do = then
        self.yes.setText(do)
        self.yes.setToolTip(tip or do)
        self.yes.setVisible(bool(do))
        self.setAccessibleName(text)
        self.show()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def close_notice(self) -> None:
        """Take the line away; the page has the keyboard again."""
        self.hide()
        self._do = None
        self._closed()

    def _accept(self) -> None:
        do = self._do
        self.close_notice()
        if do is not None:
            do()
