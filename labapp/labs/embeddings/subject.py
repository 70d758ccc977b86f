"""What all pages are about: one table of vectors, chosen in a control that moves to the page in view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QStringListModel, Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.known import known_tokenizers
from labapp.lab import LabContext
from labapp.pages import PicturePage
from labapp.runner import Done, Failed, Outcome, Slot
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.parts import field
from labapp.widgets.picker import Choice
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.neighbors import Space
    from core.embeddings.vectors import Vectors
    from labapp.labs.embeddings import EmbeddingsLab

FILE = "vectors:"  # begins the key of a file of vectors
FILES = "*.npy *.tsv *.txt *.vec"


@dataclass(frozen=True, eq=False)
class Opened:
    """Vectors, ready to be measured.

    Attributes:
        vectors: All of them.
        centered: Measured from the mean of the words.
        raw: Measured from the origin.
    """

    vectors: Vectors
    centered: Space
    raw: Space

    def space(self, centered: bool) -> Space:
        """One of the two."""
        return self.centered if centered else self.raw


def open_vectors(stage: Iterator[Any]) -> Iterator[Any]:
    """The stage: read vectors with another stage, then find their mean and their lengths."""
    from core.embeddings.neighbors import Space

    vectors = yield from pass_on(stage)
    yield Progress("Measuring lengths", 0, None, "vectors")
    made = Opened(vectors, Space(vectors, True), Space(vectors, False))
    yield Finished(f"{len(vectors):,} vectors are read.", made)


class VectorsPicker(ModelPicker):
    """Chooses the token table of a model, or a file of vectors; `opened` tells when it is read.

    Args:
        name: Of the control.
        context: The lab's.
        lab: The lab's name, for the slot.
        purpose: What is read, for the slot.
    """

    opened = Signal(object)  # Opened

    def __init__(self, name: str, context: LabContext, lab: str, purpose: str = "vectors") -> None:
        super().__init__(name, context, lab)
        self._purpose = purpose
        self.set_title(tr("Choose vectors"))

    def _all_choices(self) -> list[Choice]:
        kinds = tr("A .npy file, tab-separated values, or the text format of word2vec and GloVe")
        choices = super()._all_choices()
        choices.insert(2, Choice("vectors", tr("Open vectors…"), tr("Yours"), tip=kinds))
        return choices

    def model(self) -> tuple[Path, str]:
        """Where the model of the chosen table lies, and its name.

        Raises:
            LabError: A file of vectors is chosen, or nothing.
        """
        if not self.key or self.key.startswith(FILE):
            raise LabError(tr("These vectors have no model that reads a text."), tr("Choose a model above."))
        return self._folder(self.key)

    def default_key(self) -> str:
        """SmolLM2 where it is installed, else the newest base model."""
        smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
        found = [one for one in self._context.workspace.artifacts("model") if one.role == "base"]
        return FIRST if smollm2.available or not found else f"artifact:{found[0].id}"

    def pick(self, key: str) -> None:
        """Read what a key stands for; see `ModelPicker.pick`; "vectors:…" is a file of vectors."""
        if key in ("open", "vectors"):
            wanted = "*.gguf *.safetensors config.json" if key == "open" else FILES
            name, _ = QFileDialog.getOpenFileName(self.window(), tr("Open vectors"), "", wanted)
            if name:
                self.pick(f"{'file:' if key == 'open' else FILE}{name}")
            return
        try:
            title, stage = self._stage_of(key)
            self._context.runner.start(
                Slot(self._lab, self._purpose),
                lambda: open_vectors(stage),
                title=tr("Reading {name}", name=title),
                on_events=lambda events: None,
                on_end=partial(self._read, key),
            )
        except LabError as error:
            self._say(error)

    def _stage_of(self, key: str) -> tuple[str, Iterator[Any]]:
        from core.embeddings.vectors import read_token_vectors

        if key.startswith(FILE):
            from core.embeddings.files import read_vectors

            file = Path(key.removeprefix(FILE))
            return file.name, read_vectors(file)
        path, title = self._folder(key)
        return title or path.name, read_token_vectors(path, title)

    def _folder(self, key: str) -> tuple[Path, str]:
        path, title = self._place(key)
        return (path.parent if path.name in ("model.safetensors", "config.json") else path), title

    def _read(self, key: str, outcome: Outcome) -> None:
        match outcome:
            case Done(finished=finished):
                self.key = key
                self.set_title(finished.result.vectors.title)
                self.opened.emit(finished.result)
            case Failed(error=LabError() as error):
                self._say(error)
            case _:
                pass


class Subject(QWidget):
    """A picker of vectors; `changed` tells when others are there.

    Attributes:
        opened: The vectors, or None.
        words: Names of the words, for completion.
        version: Counts the changes.
    """

    changed = Signal()

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.opened: Opened | None = None
        self.words = QStringListModel(self)
        self.version = 0
        self.picker = VectorsPicker(tr("Vectors"), lab.context, lab.name)
        self.picker.opened.connect(self._opened)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field(tr("Vectors"), self.picker, tr("Whose token embeddings, or which file")))

    def move_to(self, place: QVBoxLayout) -> None:
        """Stand in a page's controls."""
        place.addWidget(self)
        self.show()

    def need(self) -> None:
        """Read the first vectors where none are chosen yet."""
        running = self.lab.context.runner.job(Slot(self.lab.name, "vectors"))
        if self.opened is None and not self.picker.key and running is None:
            self.picker.pick(self.picker.default_key())

    def _opened(self, opened: Opened) -> None:
        self.opened = opened
        vectors = opened.vectors
        names = dict.fromkeys(vectors.names[row].strip() for row in vectors.words.tolist())
        self.words.setStringList(list(names))
        self.version += 1
        if vectors.notes:
            self.lab.frame.messages.show_note(" ".join(vectors.notes))
        self.changed.emit()

    def save_state(self) -> dict[str, Any]:
        """What is to be restored."""
        return {"vectors": self.picker.key}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave; anything may be missing."""
        key = state.get("vectors")
        self.picker.pick(key if isinstance(key, str) and key else self.picker.default_key())


class SubjectPage(PicturePage):
    """A page that has the picker on top while it is in view, and takes the vectors when it is.

    Attributes:
        top: Where the picker stands.
    """

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.subject = lab.subject
        self.top = QVBoxLayout()
        self._seen = -1
        self.subject.changed.connect(self._subject_changed)

    def shown(self) -> None:
        self.subject.move_to(self.top)
        self.subject.need()
        self._subject_changed()

    def _subject_changed(self) -> None:
        opened = self.subject.opened
        if opened is not None and self.in_view and self._seen != self.subject.version:
            self._seen = self.subject.version
            self.take(opened)

    @property
    def in_view(self) -> bool:
        """Whether this is the page in view."""
        return self.lab.in_view(self)

    def take(self, opened: Opened) -> None:
        """The vectors are other ones."""
        raise NotImplementedError


def centering_box(centered: bool = True) -> QComboBox:
    """A choice between the space around the words' mean and the raw one; `currentData()` is whether
    centered."""
    made = QComboBox()
    made.addItem(tr("Centered on words"), True)
    made.addItem(tr("Raw"), False)
    made.setCurrentIndex(0 if centered else 1)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return made
