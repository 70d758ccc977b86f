"""The rankings as a dataset: what would be written, with counts, before it is; and "Train on these"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from core.preferences.export_settings import FORMATS, TITLES, ExportSettings
from labapp.widgets.form import SettingsForm
from labapp.widgets.parts import button, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.exporting import Preview

NAMES = ("pairs", "people", "at_least", "validation")
TICKS = ("ties", "all_bad", "comments", "models", "fresh")


class Dataset(QWidget):
    """Settings above, counts below.

    Args:
        changed: Told that a setting is another.
        export: Asks for a folder and writes.
        train: Publishes, and hands on to fine-tuning.
    """

    def __init__(
        self, changed: Callable[[], object], export: Callable[[], object], train: Callable[[], object]
    ) -> None:
        super().__init__()
        self.form = SettingsForm(ExportSettings, NAMES, columns=4)
        self.ticks = SettingsForm(ExportSettings, TICKS, columns=3)
        self.license = SettingsForm(ExportSettings, ("license",))
        for form in (self.form, self.ticks, self.license):
            form.changed.connect(changed)
        self.counts = Table(
            tr("What would be written"),
            [Column(tr("Format")), Column(tr("To learn from"), number=True),
             Column(tr("Held out"), number=True), Column(tr("Left out"), stretch=True)],
        )  # fmt: skip
        self.counts.setToolTip(tr("Rows of each format, and why others are left out"))
        self.notes = label("", "warning", wrap=True)
        self.export = button(
            tr("Export…"), export, tip=tr("Write all formats into a new folder, and read them back")
        )
        tip = tr("Keep a snapshot in the workspace and open it in fine-tuning")
        self.train = button(tr("Train on these"), train, tip=tip, role="primary")
        row = QHBoxLayout()
        row.addWidget(self.train)
        row.addWidget(self.export)
        row.addStretch(1)
        above = QHBoxLayout()
        above.addWidget(self.ticks, 3)
        above.addWidget(self.license, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.form)
        layout.addLayout(above)
        layout.addWidget(self.counts, 1)
        layout.addWidget(self.notes)
        layout.addLayout(row)

    def settings(self) -> ExportSettings:
        """The settings as they stand.

        Raises:
            LabError: One is outside its limits.
        """
        from core.settings import from_json

        values = self.form.values() | self.ticks.values() | self.license.values()
        made: ExportSettings = from_json(ExportSettings, values)
        return made

    def show_preview(self, preview: Preview) -> None:
        """Show what would be written."""
        rows = []
        for name in FORMATS:
            of = preview.counts.get(name, {})
            left = ", ".join(f"{why}: {n:,}" for why, n in preview.left_out.get(name, {}).items())
            rows.append((tr(TITLES[name]), f"{of.get('train', 0):,}", f"{of.get('validation', 0):,}", left))
        self.counts.set_rows(rows)
        self.notes.setText("\n".join(preview.notes))
        self.notes.setVisible(bool(preview.notes))
        self.train.setEnabled(preview.counts.get("trl", {}).get("train", 0) > 0)
