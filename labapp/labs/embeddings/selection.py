"""What is selected in a cloud, taken away: names to the clipboard, vectors to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PySide6.QtWidgets import QFileDialog

from labapp.labs.embeddings.subject import Opened
from labapp.widgets.export import copy_text
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.embeddings.cloud import CloudPage


class Selection:
    """The selected points of a page.

    Args:
        page: Whose.
    """

    def __init__(self, page: CloudPage) -> None:
        self._page = page

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """Of the vectors, rising."""
        return self._page.rows[self._page.view.selected]

    def copy_names(self) -> None:
        """Copy the names, one a line."""
        opened = self._page.opened
        if opened is not None:
            names = opened.vectors.names
            copy_text("\n".join(names[row] for row in self.rows.tolist()))
            self._page.lab.frame.messages.show_note(tr("Copied {n:,} names.", n=len(self.rows)))

    def export(self) -> None:
        """Ask for a folder and save the vectors as the Embedding Projector reads them."""
        window = self._page.picture.window()
        folder = QFileDialog.getExistingDirectory(window, tr("Save the selected vectors"))
        if folder:
            self.export_to(Path(folder))

    def export_to(self, folder: Path) -> None:
        """Save the vectors in a folder."""
        if self._page.opened is not None:
            self._page.lab.attempt(self._export, self._page.opened, folder)

    def _export(self, opened: Opened, folder: Path) -> None:
        from core.embeddings.files import write_projector

        rows, lab = self.rows, self._page.lab
        says = tr("Saved {n:,} vectors and their metadata in {folder}.", n=len(rows), folder=folder)
        lab.ask(
            "export",
            lambda: write_projector(opened.vectors, folder, rows),
            tr("Saving {n:,} vectors", n=len(rows)),
            lambda _: lab.frame.messages.show_note(says),
        )
