"""What all pages of the lab are about: one model and one text, in controls that move to the page in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QPlainTextEdit, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import once
from labapp.pages import LabPage
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.parts import field, label
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel
    from labapp.labs.forward import ForwardLab

TYPING = 400  # ms without a key after which the text is read
LONGEST = 200_000  # characters of a text that the editor takes


class Subject(QWidget):
    """A model picker over a text; `changed` tells when the text is in tokens of the model.

    Attributes:
        loaded: The model, or None.
        ids: The text's tokens; empty until they are there.
        version: Counts the changes.
    """

    changed = Signal()
    model_changed = Signal()

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.loaded: LoadedModel | None = None
        self.ids: tuple[int, ...] = ()
        self.version = 0
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self.encode)
        self.picker = ModelPicker(tr("Model"), lab.context, lab.name)
        self.picker.chosen.connect(self._model_chosen)
        self.editor = QPlainTextEdit()
        self.editor.setMinimumHeight(46)
        self.editor.setMaximumHeight(70)
        self.editor.setTabChangesFocus(True)
        self.editor.textChanged.connect(lambda: self._typing.start())
        self.template = QCheckBox(tr("In the chat template"))
        self.template.setToolTip(
            tr("Put the text where a user's message stands: so the model saw them as it learned to chat")
        )
        self.template.toggled.connect(lambda _: self.encode())
        self.counted = label("", "small")
        self._text = QWidget()
        column = QVBoxLayout(self._text)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(field(tr("Text"), self.editor, tr("Any text; it is read when you stop typing")))
        column.addWidget(self.template)
        column.addWidget(self.counted)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(field(tr("Model"), self.picker, tr("Whose pass is shown")))
        layout.addWidget(self._text)

    @property
    def text(self) -> str:
        """The text as it stands in the editor."""
        return self.editor.toPlainText()[:LONGEST]

    def move_to(self, place: QVBoxLayout, with_text: bool) -> None:
        """Stand in a page's controls."""
        place.addWidget(self)
        self._text.setVisible(with_text)
        self.show()

    def need_model(self) -> None:
        """Load the first model where none is chosen yet."""
        if self.loaded is None and not self.picker.key:
            self.picker.pick(FIRST)

    def show_text(self, text: str, in_template: bool = False) -> None:
        """Take a text."""
        self.template.blockSignals(True)
        self.template.setChecked(in_template)
        self.template.blockSignals(False)
        self.editor.setPlainText(text)
        self.encode()
        self.need_model()

    def encode(self) -> None:
        """Put the text, as it is now, into tokens."""
        self._typing.stop()
        if self.loaded is not None:
            self.lab.attempt(self._encode, self.loaded, self.text, self.template.isChecked())

    def _encode(self, loaded: LoadedModel, text: str, in_template: bool) -> None:
        tokenizer = loaded.needed_tokenizer()

        def ids() -> tuple[int, ...]:
            from core.model.chat import chat_ids

            if in_template and text:
                return tuple(chat_ids(tokenizer, [{"role": "user", "content": text}]))
            return tuple(tokenizer.encode(text, special="all"))

        self.lab.ask("encode", lambda: once(ids), tr("Encoding the text"), self._encoded)

    def _encoded(self, ids: tuple[int, ...]) -> None:
        loaded = self.loaded
        if loaded is None:
            return
        most = loaded.source.config.context
        self.counted.setText(tr("{n:,} tokens of at most {most:,}", n=len(ids), most=most))
        self.ids = ids if 0 < len(ids) <= most else ()
        self.version += 1
        if len(ids) > most:
            self.lab.frame.messages.show_problem(
                LabError(
                    tr("The text has {n:,} tokens; the model looks back on {most:,}.", n=len(ids), most=most),
                    tr("Shorten it."),
                )
            )
        self.changed.emit()

    def _model_chosen(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.ids = ()
        self.version += 1
        self.template.setEnabled(loaded.chats)
        if not loaded.chats:
            self.template.setChecked(False)
        self.model_changed.emit()
        self.encode()

    def token_bytes(self, id_: int) -> bytes:
        """The bytes of a token of the model."""
        tokenizer = self.loaded.tokenizer if self.loaded is not None else None
        return b"" if tokenizer is None else tokenizer.token_bytes(id_)

    def save_state(self) -> dict[str, Any]:
        """What is to be restored."""
        return {"model": self.picker.key, "text": self.text, "template": self.template.isChecked()}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave; anything may be missing."""
        text, key = state.get("text"), state.get("model")
        if isinstance(text, str):
            self.editor.setPlainText(text)
            self._typing.stop()
        self.template.setChecked(state.get("template") is True)
        self.picker.pick(key if isinstance(key, str) and key else FIRST)


class SubjectPage(LabPage):
    """A page that has the subject's controls on top while it is in view, and takes the subject when it is.

    Attributes:
        with_text: Whether the text belongs to the page, too.
        top: Where the subject's controls stand.
    """

    with_text = True

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.subject = lab.subject
        self.top = QVBoxLayout()
        self._seen = -1
        self.subject.changed.connect(self._subject_changed)
        self.subject.model_changed.connect(self._subject_changed)

    def shown(self) -> None:
        self.subject.move_to(self.top, self.with_text)
        self.subject.need_model()
        self._subject_changed()

    def _subject_changed(self) -> None:
        if self.lab.in_view(self) and self._seen != self.subject.version:
            self._seen = self.subject.version
            self.take_subject()

    def take_subject(self) -> None:
        """The model or the text is another one; `ids` is empty where there is nothing to show."""
        raise NotImplementedError
