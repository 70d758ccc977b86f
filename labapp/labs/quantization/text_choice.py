"""Which text models are measured on, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QSpinBox, QWidget

from labapp.labs.quantization.comparing import OWN, STORY, WORLD, TextChoice
from labapp.widgets.parts import field, inset
from labapp.words import tr


class TextPicker(QWidget):
    """A list of texts with a file of one's own at its end, and the number of windows at most."""

    def __init__(self) -> None:
        super().__init__()
        self._own = ""
        self.box = QComboBox()
        for title, kind in ((tr("Unread world"), WORLD), (tr("A story"), STORY), (tr("A file…"), OWN)):
            self.box.addItem(title, kind)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.activated.connect(lambda _: self._chosen())
        self.windows = QSpinBox()
        self.windows.setRange(1, 10_000)
        self.windows.setValue(8)
        inset(self.windows)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(field(tr("Text"), self.box, tr("What they are measured on")), 1)
        row.addWidget(field(tr("Windows"), self.windows, tr("So many pieces of text at most")))

    @property
    def choice(self) -> TextChoice:
        """What is chosen."""
        return TextChoice(self.box.currentData(), self._own)

    def _chosen(self) -> None:
        if self.box.currentData() != OWN:
            return
        name, _ = QFileDialog.getOpenFileName(self.window(), tr("Choose a text"), "", "*.txt *.md *")
        if name:
            self.take(name)
        elif not self._own:
            self.box.setCurrentIndex(0)

    def take(self, path: str) -> None:
        """Choose a file."""
        self._own = path
        self.box.setItemText(self.box.findData(OWN), Path(path).name)
        self.box.setCurrentIndex(self.box.findData(OWN))

    def save_state(self) -> dict[str, Any]:
        """What is to be restored."""
        return {"windows": self.windows.value(), "text": self.box.currentData(), "file": self._own}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave; a file that is gone is left out."""
        if type(state.get("windows")) is int:
            self.windows.setValue(state["windows"])
        if isinstance(state.get("file"), str) and Path(state["file"]).is_file():
            self.take(state["file"])
        if isinstance(state.get("text"), str) and (state["text"] != OWN or self._own):
            self.box.setCurrentIndex(max(0, self.box.findData(state["text"])))
