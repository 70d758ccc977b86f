"""The Help menu's sheets on shortcuts and the app itself. None of them blocks the window."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QShortcut
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from labapp.widgets.parts import label
from labapp.widgets.table import Column, Table
from labapp.words import tr


def show_shortcuts(parent: QWidget, actions: Sequence[QAction], lab: QWidget | None) -> None:
    """Every key of the window and of the lab in view."""
    rows = [
        (action.shortcut().toString(), action.text().replace("&", ""))
        for action in actions
        if not action.shortcut().isEmpty()
    ]
    seen: dict[str, str] = {}
    for shortcut in lab.findChildren(QShortcut) if lab is not None else []:
        if shortcut.whatsThis():
            seen.setdefault(shortcut.key().toString(), shortcut.whatsThis())
    rows += list(seen.items())
    table = Table(
        tr("Keyboard shortcuts"), [Column(tr("Key"), bold=True), Column(tr("What it does"), stretch=True)]
    )
    table.set_rows(rows)
    _show(parent, tr("Keyboard shortcuts"), [table], (460, 460))


def show_about(parent: QWidget) -> None:
    """What this is, its version and its license."""
    version = importlib.metadata.version("llm-lab")
    lines = [
        label(tr("LLM Lab {version}", version=version), "title"),
        label(
            tr(
                "Take a language model from raw text to a chat model, offline, on one laptop,"
                " and look inside at every step."
            ),
            wrap=True,
        ),
        label(
            tr("MIT license. The file NOTICE names the data that others made, with their licenses."),
            "secondary",
            True,
        ),
        label(tr("It opens no connection to any network."), "secondary", True),
    ]
    _show(parent, tr("About LLM Lab"), lines, (420, 220))


def _show(parent: QWidget, title: str, widgets: Sequence[QWidget], size: tuple[int, int]) -> None:
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    layout = QVBoxLayout(dialog)
    for widget in widgets:
        layout.addWidget(widget)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    layout.addWidget(buttons)
    dialog.resize(*size)
    dialog.show()
