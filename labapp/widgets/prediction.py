"""One prediction before the reveal: a question, a few choices on the keys 1 to 4, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QWidget

from labapp.widgets.parts import button, flat_button, label
from labapp.words import tr


class Prediction(QWidget):
    """Asks first, shows afterwards. Skipping is always possible."""

    answered = Signal(int)  # index of the choice
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 7, 6, 7)
        row.setSpacing(8)
        self._text = label("", "heading", wrap=True)
        row.addWidget(self._text, 1)
        self._choices = QHBoxLayout()
        self._choices.setSpacing(6)
        row.addLayout(self._choices)
        row.addWidget(flat_button("close", tr("Close the question"), self.close_question))
        self._buttons: list[QWidget] = []
        self._keys = [QShortcut(QKeySequence(str(i + 1)), self) for i in range(4)]
        for i, key in enumerate(self._keys):
            key.activated.connect(partial(self.answer, i))
        self.hide()

    @property
    def asking(self) -> bool:
        """Whether a question is open."""
        return bool(self._buttons) and not self.isHidden()

    @property
    def text(self) -> str:
        """The question, or what was revealed."""
        return self._text.text()

    def ask(self, question: str, choices: Sequence[str]) -> None:
        """Put a question with two to four choices."""
        self._clear()
        self._text.setText(question)
        for i, choice in enumerate(choices[:4]):
            made = button(f"{i + 1}  {choice}", partial(self.answer, i), tip=tr("Key {key}", key=i + 1))
            made.setAccessibleName(tr("Answer {n}: {choice}", n=i + 1, choice=choice))
            self._choices.addWidget(made)
            self._buttons.append(made)
        self.setAccessibleName(question)
        self._set_keys(True)
        self.show()

    def answer(self, index: int) -> None:
        """Choose; the asker is told once and then reveals."""
        if self.asking and index < len(self._buttons):
            self._clear()
            self.answered.emit(index)

    def reveal(self, text: str) -> None:
        """Say how it came out."""
        self._clear()
        self._text.setText(text)
        self.setAccessibleName(text)
        self.show()

    def close_question(self) -> None:
        """Go on without answering, or put the answer away."""
        self._clear()
        self.hide()
        self.closed.emit()

    def _clear(self) -> None:
        for made in self._buttons:
            self._choices.removeWidget(made)
            made.hide()
            made.deleteLater()
        self._buttons = []
        self._set_keys(False)

    def _set_keys(self, on: bool) -> None:
        for key in self._keys:
            key.setEnabled(on)
