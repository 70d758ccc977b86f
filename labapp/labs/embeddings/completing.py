"""A line for one word of the vocabulary, completed while it is typed."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCompleter, QLineEdit

from core.problems import LabError
from labapp.labs.embeddings.subject import Subject
from labapp.labs.embeddings.tables import shown
from labapp.words import tr


class WordLine(QLineEdit):
    """Takes a word; `row_chosen` tells its row once it is one of the vocabulary.

    Args:
        subject: Whose vocabulary.
        name: What the word is for.

    Attributes:
        row: The row of the word that was taken last, or None.
    """

    row_chosen = Signal(int)

    def __init__(self, subject: Subject, name: str) -> None:
        super().__init__()
        self.row: int | None = None
        self._subject = subject
        self.setAccessibleName(name)
        self.setToolTip(tr("{name}: a word; Enter takes it", name=name))
        self.setMaxLength(200)
        completer = QCompleter(subject.words, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setMaxVisibleItems(8)
        completer.activated.connect(lambda text: self.take())
        self.setCompleter(completer)
        self.returnPressed.connect(self.take)
        self.textEdited.connect(lambda _: self._forget())
        subject.changed.connect(self._forget)

    def take(self) -> None:
        """Find the word that stands in the line; the lab says so where there is none."""
        opened = self._subject.opened
        text = self.text()
        if opened is None or not text.strip():
            return
        row = self._subject.lab.attempt(opened.vectors.row, text.removeprefix("·"))
        if row is not None and row != self.row:
            self.row = row
            self.row_chosen.emit(row)

    def take_quietly(self) -> None:
        """Find the word that stands in the line, without telling anybody."""
        if self.row is None:
            self.show_word(self.text())

    def show_row(self, row: int) -> None:
        """Show a word, without telling."""
        opened = self._subject.opened
        if opened is not None and 0 <= row < len(opened.vectors):
            self.row = row
            self.setText(shown(opened.vectors.names[row]))

    def show_word(self, word: str) -> bool:
        """Show a word by its name, without telling; whether it is there."""
        self.setText(word)
        opened = self._subject.opened
        try:
            self.row = None if opened is None else opened.vectors.row(word.removeprefix("·"))
        except LabError:
            self.row = None
        return self.row is not None

    def _forget(self) -> None:
        self.row = None
