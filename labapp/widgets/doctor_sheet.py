"""Help > Check this installation: what is installed, and on request every lab's real work tried once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QVBoxLayout, QWidget

from labapp.doctor import examine
from labapp.runner import Done, Outcome, Runner, Slot
from labapp.widgets.parts import button, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

SLOT = Slot("house", "check")


class DoctorSheet(QDialog):
    """The report as a table that can be copied. It does not block the window; closing it stops the trials."""

    def __init__(self, parent: QWidget, root: Path, runner: Runner) -> None:
        super().__init__(parent)
        self._runner = runner
        self.checks = examine(root)
        self._lines = [check.line() for check in self.checks]
        self._rows = [(c.state, c.name, c.found, c.remedy) for c in self.checks]
        self.setWindowTitle(tr("Check of this installation"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.table = Table(
            tr("Check of this installation"),
            [
                Column(tr("State"), bold=True),
                Column(tr("What")),
                Column(tr("Found"), stretch=True),
                Column(tr("Remedy")),
            ],
        )
        self.table.set_rows(self._rows)
        self.try_button = button(
            tr("Try every lab's work"), self.try_labs, role="primary",
            tip=tr("A small task of each lab, on what ships with the app, held against a known figure"),
        )  # fmt: skip
        copy = button(tr("Copy report"), self._copy, tip=tr("Copy it to send it"))
        self.told = label("", "small", wrap=True)
        row = QHBoxLayout()
        row.addWidget(self.try_button)
        row.addWidget(copy)
        row.addWidget(self.told, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addLayout(row)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout.addWidget(buttons)
        self.resize(940, 560)
        self.finished.connect(lambda _: self._stop())

    def try_labs(self) -> None:
        """Start the trials."""
        from labapp.trials import try_labs

        self.try_button.setEnabled(False)
        self.told.setText(tr("This takes half a minute to two minutes; the other labs go on meanwhile."))
        self._runner.start(
            SLOT, try_labs, title=tr("Trying every lab"), heavy=True,
            on_events=self._heard, on_end=self._ended,
        )  # fmt: skip

    def _heard(self, events: list[Any]) -> None:
        from labapp.trials import Tried

        if not shiboken6.isValid(self):  # closed; what it started is being stopped
            return
        for event in events:
            if isinstance(event, Tried):
                self._rows.append((event.state, f"{event.lab}: {event.work}", event.found, event.remedy))
                self._lines.append(event.line())
        self.table.set_rows(self._rows)
        self.table.scrollToBottom()

    def _ended(self, outcome: Outcome) -> None:
        if not shiboken6.isValid(self):
            return
        finished = outcome.finished if isinstance(outcome, Done) else None
        self.told.setText(finished.reason if finished is not None else tr("The trials were not finished."))
        self.try_button.setEnabled(True)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(self._lines))

    def _stop(self) -> None:
        job = self._runner.job(SLOT)
        if job is not None:
            job.stop()
