"""A text as the source of a cloud: one point for each of its tokens, at a layer that a slider chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSlider, QWidget

from core.problems import LabError
from core.stages import Finished, pass_on
from labapp.labs.embeddings.recipe import Recipe
from labapp.labs.embeddings.subject import Opened, VectorsPicker
from labapp.models import Models
from labapp.widgets.parts import label
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.in_text import TextStreams
    from core.embeddings.streams import Reference
    from labapp.labs.embeddings import EmbeddingsLab

LONGEST = 4_000  # characters
SAMPLE = (
    "We pulled the canoe out of the water and up the muddy bank. Reeds and willows grew along the bank. "
    "She deposited her salary at the bank. The interest on the loan is paid to the bank."
)


def read_in_text(
    models: Models, path: Path, title: str, text: str, center: Reference | None
) -> Iterator[Any]:
    """The stage: take a model, let it read the text, and give it back."""
    from core.embeddings.in_text import text_streams

    loaded = yield from pass_on(models.take(path, title))
    try:
        reading = text_streams(loaded.model, loaded.needed_tokenizer(), text, loaded.source.name, center)
        read = yield from pass_on(reading)
    finally:
        models.give_back(loaded)
    yield Finished("", read)


class TextSource(QWidget):
    """A line for the text, and a slider for the layer.

    Args:
        lab: Whose picker says which model reads.

    Attributes:
        read: The text as it was read last, or None.
    """

    wanted = Signal()  # somebody asks for the picture of the text
    layer_changed = Signal()

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__()
        self.read: TextStreams | None = None
        self._lab = lab
        self._of = ("", "")  # the model's key, and the text, of what was read
        self._opened: tuple[int, Opened] | None = None  # of one layer
        self._layer = 10  # that is wanted, before anything is read
        self.line = QLineEdit(SAMPLE)
        self.line.setMaxLength(LONGEST)
        self.line.setCursorPosition(0)
        self.line.setAccessibleName(tr("Text"))
        self.line.setToolTip(tr("A text; Enter lets the model read it, and each token becomes a point"))
        self.line.returnPressed.connect(self.wanted)
        self.name = label("", "small")
        self.name.setMinimumWidth(52)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Layer"))
        self.slider.setToolTip(tr("After how many blocks the tokens are looked at"))
        self.slider.setEnabled(False)
        self.slider.valueChanged.connect(self._slid)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.line, 3)
        row.addWidget(self.name)
        row.addWidget(self.slider, 2)
        self.hide()

    @property
    def text(self) -> str:
        """What is written."""
        return self.line.text()

    @property
    def layer(self) -> int:
        """After how many blocks."""
        return self._layer

    def show_text(self, text: str, layer: int) -> None:
        """Put a text and a layer into the controls."""
        self.line.setText(text)
        self.line.setCursorPosition(0)
        self._set_layer(layer)

    def _set_layer(self, layer: int) -> None:
        self._layer = layer
        self.slider.blockSignals(True)
        self.slider.setValue(layer)
        self.slider.blockSignals(False)
        self._name_layer()

    def _slid(self, layer: int) -> None:
        self._layer = layer
        self._name_layer()
        self.layer_changed.emit()

    def _name_layer(self) -> None:
        self.name.setText(tr("layer {n}", n=self._layer) if self.read is not None else "")

    def need(self, recipe: Recipe, picker: VectorsPicker, then: Callable[[Opened, Recipe], None]) -> None:
        """Read the text where it is not, and go on with its tokens at the layer.

        Raises:
            LabError: There is no text, or no model to read it.
        """
        text = recipe.text.strip()
        if not text:
            raise LabError(tr("There is no text."), tr("Write one: each of its tokens becomes a point."))
        key = picker.key
        path, title = picker.model()
        if (key, text) == self._of:
            self._go_on(recipe, then)
            return
        center = self.read.reference if self.read is not None and self._of[0] == key else None
        self._lab.ask(
            "text", lambda: read_in_text(self._lab.context.models, path, title, text, center),
            tr("Reading the text"), lambda read: self._take((key, text), read, recipe, then),
        )  # fmt: skip

    def _take(
        self, of: tuple[str, str], read: TextStreams, recipe: Recipe, then: Callable[[Opened, Recipe], None]
    ) -> None:
        self._of, self.read, self._opened = of, read, None
        self.slider.blockSignals(True)
        self.slider.setRange(0, read.layers)
        self.slider.blockSignals(False)
        self.slider.setEnabled(True)
        self._set_layer(min(recipe.layer, read.layers))
        self._go_on(recipe, then)

    def _go_on(self, recipe: Recipe, then: Callable[[Opened, Recipe], None]) -> None:
        from core.embeddings.in_text import at_layer
        from core.embeddings.neighbors import Space

        read = self.read
        if read is None:
            return
        layer = min(recipe.layer, read.layers)
        if self._opened is None or self._opened[0] != layer:
            vectors, origin = at_layer(read, layer)
            self._opened = (layer, Opened(vectors, Space(vectors, origin), Space(vectors, False)))
        then(self._opened[1], replace(recipe, layer=layer))
