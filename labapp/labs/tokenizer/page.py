"""What the pages of the Tokenizer lab have in common: the lab they belong to, and their three columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab


class TokenizerPage(QObject):
    """Base of the pages; a subclass fills `controls`, `picture` and `details` in its `__init__`."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.context = lab.context
        self.controls: QWidget
        self.picture: QWidget
        self.details: QWidget

    def show_first(self) -> None:
        """What the page begins with when there is nothing to restore; the lab's scene is set up apart."""

    def shown(self) -> None:
        """The page has come to the front."""

    def take_focus(self) -> None:
        """Put the keyboard where a person would begin."""
        self.picture.setFocus()

    def plots_ready(self) -> None:
        """pyqtgraph is imported: plots can be made."""

    def artifact_changed(self) -> None:
        """The workspace's artifacts have changed."""

    def open_files(self, files: list[Path]) -> None:
        """Open files that were dropped on the page."""

    def pictures(self) -> dict[str, QWidget]:
        """Pictures to export, by title."""
        return {}

    def save_state(self) -> dict[str, Any]:
        """What is to be restored, as JSON values."""
        return {}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave; anything may be missing."""
