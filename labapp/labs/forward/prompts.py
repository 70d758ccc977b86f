"""Prompts: a model is a function from a text to a distribution; four texts, and what it makes of them.

For each: its tokens, the most probable next ones, and the text that grows when the best is always taken.
Stages: `core.model.generation`. The sets are data, in `resources/forward/prompts.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QPlainTextEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.stages import Finished, Progress
from labapp.labs.forward.subject import TYPING, SubjectPage
from labapp.runner import Outcome, Slot
from labapp.scenes import read_json
from labapp.theme import theme_of
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.parts import controls, field, label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_chips import TokenChips
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel
    from labapp.labs.forward import ForwardLab

BEST = 10  # next tokens that are kept
BARS = 3  # of them that a panel shows
ANSWER = 32  # tokens of the text that grows
PANELS = 4


@dataclass(frozen=True)
class Case:
    """One prompt.

    Attributes:
        title: What is tried.
        text: The text.
        template: Whether it stands in the chat template.
        says: What to notice, or "".
    """

    title: str
    text: str
    template: bool
    says: str


@dataclass(frozen=True)
class Answered:
    """What the model makes of one prompt.

    Attributes:
        place: Which panel.
        ids: The prompt's tokens.
        tokens: Their bytes.
        best: The most probable next tokens: bytes and probability.
        answer: The text that grew.
        ended: Whether the model ended it.
    """

    place: int
    ids: tuple[int, ...]
    tokens: tuple[bytes, ...]
    best: tuple[tuple[bytes, float], ...]
    answer: str
    ended: bool


def answer_prompts(loaded: LoadedModel, cases: dict[int, Case]) -> Iterator[Any]:
    """The stage: every prompt's next tokens, then the text that grows, greedily.

    Raises:
        LabError: The model has no tokenizer.
    """
    return _answer(loaded, loaded.needed_tokenizer(), cases)


def _answer(loaded: LoadedModel, tokenizer: Any, cases: dict[int, Case]) -> Iterator[Any]:
    from core.model.chat import chat_ids
    from core.model.generation import Reader, Written, generate
    from core.model.sampling import most_probable
    from core.model.settings import GenerationSettings

    for place, case in cases.items():
        if not case.text:
            continue
        if case.template:
            ids = chat_ids(tokenizer, [{"role": "user", "content": case.text}])
        else:
            ids = tokenizer.encode(case.text)
        reader = Reader(loaded.model)
        logits = yield from reader.read(ids)
        best = tuple((tokenizer.token_bytes(i), p) for i, p in most_probable(logits, BEST))
        tokens = tuple(tokenizer.token_bytes(i) for i in ids)
        yield Answered(place, tuple(ids), tokens, best, "", False)
        written = Written((), None)
        settings = GenerationSettings(temperature=0.0, max_tokens=ANSWER)
        for event in generate(reader, ids, settings, tokenizer.end_ids):
            if isinstance(event, Finished):
                written = event.result
            else:
                yield Progress(tr("Answering prompt {n}", n=place + 1), place, PANELS, "prompts")
        text = tokenizer.decode_text(written.ids)
        yield Answered(place, tuple(ids), tokens, best, text, written.stopped_by is not None)
    yield Finished("", None)


class Panel(QFrame):
    """One prompt's panel."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.text = ""
        self.marked = False
        self.title = label("", "heading")
        self.chips = TokenChips()
        self.chips.setMinimumHeight(40)
        self.bars = Bars(tr("Most probable next tokens"))
        self.bars.setFixedHeight(BARS * 18)
        self.bars.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.answer = label("", "", wrap=True)
        self.answer.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.answer.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(3)
        layout.addWidget(self.title)
        layout.addWidget(self.chips, 3)
        layout.addWidget(self.bars)
        layout.addWidget(self.answer, 2)

    def show_case(self, case: Case) -> None:
        """Begin with a prompt whose answer is not there yet."""
        self.text = case.text
        self.title.setText(tr(case.title) + (tr(" · chat template") if case.template else ""))
        self.chips.set_tokens(b"", np.zeros(0, int), np.zeros(0, int), np.zeros(1, int))
        self.bars.set_bars([])
        self.answer.setText("")

    def show_answer(self, answered: Answered) -> None:
        """Show what the model makes of it; of the tokens those of the text itself, without the template's."""
        lengths = [len(token) for token in answered.tokens]
        ends = np.cumsum(lengths)
        text = self.text.encode()
        begin = b"".join(answered.tokens).rfind(text)
        own = [
            n for n, end in enumerate(ends.tolist()) if end > begin and end - lengths[n] < begin + len(text)
        ]
        starts = np.concatenate([[0], np.cumsum([lengths[n] for n in own])]).astype(np.int64)
        ids = np.array([answered.ids[n] for n in own], dtype=np.int64)
        self.chips.set_tokens(b"".join(answered.tokens[n] for n in own), starts[:-1], ids, starts)
        self.chips.show_end()
        self.bars.set_bars(
            [
                Bar(visible(token), share, f"{100 * share:.1f} %", strong=n == 0)
                for n, (token, share) in enumerate(answered.best[:BARS])
            ]
        )
        if answered.answer or answered.ended:
            shown = answered.answer.strip().replace("\n", " ⏎ ")
            self.answer.setText(f"→ {shown}" if shown else tr("→ nothing: it ends at once"))
        self.answer.setToolTip(answered.answer)

    def mark(self, on: bool) -> None:
        """Show whether it is the chosen one."""
        self.marked = on
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.marked:
            with QPainter(self) as painter:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(QPen(QColor(theme_of(self).accent), 2))
                painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 6, 6)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self.chosen.emit()


class PromptsPage(SubjectPage):
    """A set of prompts on the left, its four panels in the middle, the chosen one's numbers on the right."""

    with_text = False

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.sets: list[dict[str, Any]] = read_json("forward", "prompts.json")["sets"]
        self.cases: list[Case] = []
        self.answers: dict[int, Answered] = {}
        self.place = 0
        self._model: LoadedModel | None = None
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self._typed)
        self._build_controls()
        self._build_picture()
        self._build_details()
        self.choose_set(0)

    def _build_controls(self) -> None:
        self.which = QComboBox()
        for each in self.sets:
            self.which.addItem(tr(each["title"]))
        self.which.activated.connect(self.choose_set)
        self.editor = QPlainTextEdit()
        self.editor.setMinimumHeight(54)
        self.editor.setMaximumHeight(110)
        self.editor.setTabChangesFocus(True)
        self.editor.textChanged.connect(lambda: self._typing.start())
        self.template = QCheckBox(tr("In the chat template"))
        self.template.setToolTip(tr("Put the text where a user's message stands"))
        self.template.toggled.connect(lambda _: self._typed())
        self.note = label("", "small", wrap=True)
        self.controls = controls(
            self.top,
            field(tr("Prompts"), self.which, tr("What the four panels try")),
            field(tr("The chosen prompt"), self.editor, tr("Change it: its panel answers anew")),
            self.template,
            self.note,
        )

    def _build_picture(self) -> None:
        self.panels = [Panel() for _ in range(PANELS)]
        self.picture = QWidget()
        grid = QGridLayout(self.picture)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(8)
        for n, panel in enumerate(self.panels):
            grid.addWidget(panel, n // 2, n % 2)
            panel.chosen.connect(partial(self.choose, n))
            panel.chips.clicked.connect(partial(self._chip_clicked, n))
        for n in range(2):
            grid.setRowStretch(n, 1)
            grid.setColumnStretch(n, 1)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.says = label("", "small", wrap=True)
        self.best = Table(
            tr("Most probable next tokens"),
            [Column(tr("Next token"), mono=True, stretch=True), Column(tr("Probability"), number=True)],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for widget in (self.title, self.says):
            column.addWidget(widget)
        column.addWidget(self.best, 1)

    # Prompts.

    def choose_set(self, index: int) -> None:
        """Show another set of prompts."""
        chosen = self.sets[index]
        self.which.setCurrentIndex(index)
        self.cases = [
            Case(each["title"], each["text"], each["template"], each["says"]) for each in chosen["cases"]
        ]
        self.note.setText(tr(chosen["note"]))
        self.answers = {}
        for panel, case in zip(self.panels, self.cases, strict=True):
            panel.show_case(case)
        self.choose(0)
        self.ask(range(PANELS))

    def choose(self, place: int) -> None:
        """Show one panel's prompt and numbers."""
        self.place = place
        for n, panel in enumerate(self.panels):
            panel.mark(n == place)
        case = self.cases[place]
        for widget in (self.editor, self.template):
            widget.blockSignals(True)
        self.editor.setPlainText(case.text)
        self.template.setChecked(case.template)
        for widget in (self.editor, self.template):
            widget.blockSignals(False)
        self._show_details()

    def _chip_clicked(self, place: int, token: object) -> None:
        self.choose(place)

    def _typed(self) -> None:
        """The chosen prompt was changed."""
        self._typing.stop()
        old = self.cases[self.place]
        made = Case(old.title, self.editor.toPlainText(), self.template.isChecked(), "")
        if (made.text, made.template) == (old.text, old.template):
            return
        self.cases[self.place] = made
        self.answers.pop(self.place, None)
        self.panels[self.place].show_case(made)
        self._show_details()
        self.ask(n for n in range(PANELS) if n not in self.answers)

    def take_subject(self) -> None:
        loaded = self.subject.loaded
        if loaded is self._model:
            return
        self._model = loaded
        self.template.setEnabled(loaded is not None and loaded.chats)
        self.answers = {}
        for panel, case in zip(self.panels, self.cases, strict=True):
            panel.show_case(case)
        self.ask(range(PANELS))

    def ask(self, places: Any) -> None:
        """Let the model answer some of the prompts."""
        loaded = self.subject.loaded
        if loaded is None:
            return
        wanted = {n: self.cases[n] for n in places if loaded.chats or not self.cases[n].template}
        for n in set(range(PANELS)) - set(wanted) - set(self.answers):
            self.panels[n].answer.setText(tr("This model has no chat template."))
        self.lab.attempt(self._start, loaded, wanted)

    def _start(self, loaded: LoadedModel, wanted: dict[int, Case]) -> None:
        self.context.runner.start(
            Slot(self.lab.name, "prompts"),
            lambda: answer_prompts(loaded, wanted),
            title=tr("Answering the prompts"),
            on_events=self._on_events,
            on_end=self._on_end,
        )

    def _on_events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, Answered):
                self.answers[event.place] = event
                self.panels[event.place].show_answer(event)
                if event.place == self.place:
                    self._show_details()

    def _on_end(self, outcome: Outcome) -> None:
        self.lab.show_failure(outcome)

    def _show_details(self) -> None:
        case, answered = self.cases[self.place], self.answers.get(self.place)
        self.title.setText(tr(case.title))
        n = tr("{n} tokens. ", n=len(answered.ids)) if answered is not None else ""
        self.says.setText(n + tr(case.says))
        rows = [] if answered is None else answered.best
        self.best.set_rows([(visible(token), f"{100 * share:.2f} %") for token, share in rows])

    def take_focus(self) -> None:
        self.which.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Prompts"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"set": self.which.currentIndex()}

    def restore_state(self, state: dict[str, Any]) -> None:
        index = state.get("set")
        if isinstance(index, int) and 0 <= index < len(self.sets):
            self.choose_set(index)
