"""The lab's own bar: what happened, with the value, and what to do. It interrupts nothing."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from core.problems import LabError
from labapp.widgets.parts import flat_button, label
from labapp.words import tr

NOTE_SHOWN = 6000  # ms that a note stays; a problem stays until it is closed or mended


class MessageBar(QWidget):
    """One message at a time, above the picture; hidden when there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("message")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.setSpacing(8)
        self._sign = label("", "warning")
        self._text = label("", wrap=True)
        row.addWidget(self._sign)
        row.addWidget(self._text, 1)
        row.addWidget(flat_button("close", tr("Close this message"), self.clear))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.clear)
        self.hide()

    @property
    def text(self) -> str:
        """What is being said; empty when nothing is."""
        return self._text.text() if not self.isHidden() else ""

    def show_problem(self, error: LabError) -> None:
        """Say what is wrong and what to do, until it is closed."""
        self._say(tr("Please note"), f"{error.problem} {error.remedy}")

    def show_note(self, text: str) -> None:
        """Say that something was done; it goes away by itself."""
        self._say(tr("Done"), text)
        self._timer.start(NOTE_SHOWN)

    def clear(self) -> None:
        """Take the message away."""
        self._timer.stop()
        self.hide()

    def _say(self, sign: str, text: str) -> None:
        self._timer.stop()
        self._sign.setText(sign)
        self._text.setText(text)
        self.setAccessibleName(f"{sign}: {text}")
        self.show()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))
