"""Choosing models to sample from: each choice adds one; nothing is loaded before the sampling begins."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog

from core.problems import LabError
from labapp.lab import LabContext
from labapp.labs.preferences.making import Place
from labapp.widgets.export import message_bar_of
from labapp.widgets.model_picker import ModelPicker
from labapp.words import tr


class AddModel(ModelPicker):
    """A picker that adds what is picked."""

    added = Signal(object)  # Place

    def __init__(self, context: LabContext, lab: str) -> None:
        super().__init__(tr("Models"), context, lab)
        self.set_title(tr("Add a model…"))

    def pick(self, key: str) -> None:
        """Add what a key stands for."""
        if key == "open":
            name, _ = QFileDialog.getOpenFileName(
                self.window(), tr("Open a model"), "", "*.gguf *.safetensors config.json"
            )
            key = f"file:{name}" if name else ""
        if not key:
            return
        try:
            path, title = self._place(key)
        except LabError as error:
            bar = message_bar_of(self)
            if bar is not None:
                bar.show_problem(error)
            return
        self.added.emit(Place(key, path, title or Path(path).stem))
