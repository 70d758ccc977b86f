"""Chat: talk with the model on its fast path; every word shows how probable it was, and what it was not.

Stages: the shelf's fast path (measured on this machine when it is first used), then
`core.model.generation.generate` in the model's own chat template.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.model.settings import GenerationSettings
from core.problems import LabError
from core.settings import describe
from core.stages import pass_on
from labapp.handoff import Handoff
from labapp.labs.forward.choosing import STEPS, Taken, taken_of
from labapp.labs.forward.subject import SubjectPage
from labapp.runner import Failed, Job, Outcome, Slot, Stopped
from labapp.widgets.parts import button, card, controls, label
from labapp.widgets.parts import field as named
from labapp.widgets.slider_field import SliderField
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import Token, visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import FastModel, LoadedModel
    from labapp.labs.forward import ForwardLab
    from labapp.models import Models

ANSWER = 300  # tokens of an answer at most
TEMPERATURE = 0.4  # at first
PATHS = (("fastest", "Fast"), ("close", "Fast, within 0.02 nats"), ("exact", "Exact, 32-bit"))


@dataclass
class Turn:
    """A question and what came of it.

    Attributes:
        question: What was asked.
        prompt: The ids that the model read: all of the conversation up to here, in the template.
        words: The answer's tokens.
        note: How the answer ended and how fast it was.
    """

    question: str
    prompt: tuple[int, ...] = ()
    words: list[Taken] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Piece:
    """One piece of the transcript: a turn's word, or what stands around it (`word` is None)."""

    data: bytes
    turn: int
    word: int | None


@dataclass(frozen=True, eq=False)
class Ready:
    """The path is ready, the prompt is in tokens."""

    fast: FastModel | None
    prompt: tuple[int, ...]


def answer(
    models: Models, loaded: LoadedModel, path: str, messages: list[dict[str, str]], settings: Any
) -> Iterator[Any]:
    """The stage: find the path, put the conversation into the template, write.

    Raises:
        LabError: The model has no tokenizer.
    """
    return _answer(models, loaded, loaded.needed_tokenizer(), path, messages, settings)


def _answer(
    models: Models,
    loaded: LoadedModel,
    tokenizer: Any,
    path: str,
    messages: list[dict[str, str]],
    settings: Any,
) -> Iterator[Any]:
    from core.model.chat import chat_ids
    from core.model.generation import Reader, generate

    fast = None
    if path != "exact":
        fast = yield from pass_on(models.take_fast(loaded, path))
    ids = chat_ids(tokenizer, messages)
    yield Ready(fast, tuple(ids))
    reader = Reader(loaded.model if fast is None else fast.model)
    yield from generate(reader, ids, settings, tokenizer.end_ids, with_logits=True)


class ChatPage(SubjectPage):
    """One line to ask on below the transcript; "why this word?" on the right."""

    with_text = False

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.turns: list[Turn] = []
        self._pieces: list[Piece] = []
        self._job: Job | None = None
        self._model: LoadedModel | None = None
        self._began = 0.0
        self._chosen: tuple[int, int] | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._show()

    def _build_controls(self) -> None:
        self.path = QComboBox()
        for key, title in PATHS:
            self.path.addItem(tr(title), key)
        self.measured = label("", "small", wrap=True)
        info = next(each for each in describe(GenerationSettings) if each.name == "temperature")
        self.temperature = SliderField(info, STEPS["temperature"][0])
        self.temperature.set_value(TEMPERATURE)
        self.clear_button = button(tr("New conversation"), self.clear, tip=tr("Forget what was said"))
        self.controls = controls(
            self.top,
            named(tr("Path"), self.path, tr("Fewer bits are faster, and a little wrong: it is measured")),
            self.measured,
            self.temperature,
            self.clear_button,
        )
        self.path.activated.connect(lambda _: self.measured.setText(""))

    def _build_picture(self) -> None:
        self.warning = label(
            tr("135 million parameters: often wrong. The stronger a word's color, the less probable it was."),
            "small", wrap=True,
        )  # fmt: skip
        self.view = ValueChips(tr("The conversation, each word of the model colored by its probability"))
        self.view.clicked.connect(self._clicked)
        self.line = QLineEdit()
        self.line.setPlaceholderText(tr("Ask the model something"))
        self.line.setAccessibleName(tr("Your question"))
        self.line.setToolTip(tr("Enter sends it"))
        self.line.setMaxLength(20_000)
        self.line.returnPressed.connect(self.ask)
        self.ask_button = button(tr("Ask"), self.ask, role="primary", tip=tr("Send the question (Enter)"))
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("End the answer here"))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.line, 1)
        row.addWidget(self.ask_button)
        row.addWidget(self.stop_button)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(self.warning, self.view, row, spacing=6, grows=self.view))

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.says = label("", "small", wrap=True)
        self.instead = Table(
            tr("What could have stood here"),
            [Column(tr("Instead"), mono=True, stretch=True), Column(tr("Probability"), number=True)],
        )
        self.to_next = button(tr("What came next here?"), lambda: self.why("next"),
                              tip=tr("Open the text before this word in Next token"))  # fmt: skip
        self.to_lens = button(tr("Which layer knew it?"), lambda: self.why("lens"),
                              tip=tr("Open the text before this word in Lens"))  # fmt: skip
        self.to_attention = button(tr("What did it look at?"), lambda: self.why("attention"),
                                   tip=tr("Open the text before this word in the Attention lab"))  # fmt: skip
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for widget in (
            self.title, self.says, self.instead, self.to_next, self.to_lens, self.to_attention
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch(1)

    # Asking.

    @property
    def answering(self) -> bool:
        """Whether an answer is on its way."""
        return self._job is not None and not self._job.ended

    def take_subject(self) -> None:
        loaded = self.subject.loaded
        if loaded is self._model:
            return  # the text is another one, which is not chat's
        self._model = loaded
        self.clear()
        self.measured.setText("")
        chats = loaded is None or loaded.chats
        self.line.setEnabled(chats)
        self.line.setPlaceholderText(
            tr("Ask the model something") if chats
            else tr("This model has no chat template: choose one made for chatting")
        )  # fmt: skip
        self._show_buttons()

    def ask(self) -> None:
        """Send the line."""
        question = self.line.text().strip()
        if not question or self.answering:
            return
        if self.lab.attempt(self._start, question):
            self.line.clear()

    def _start(self, question: str) -> bool:
        loaded = self.subject.loaded
        if loaded is None:
            raise LabError(tr("The model is not loaded yet."), tr("Wait until it is, then ask again."))
        messages = []
        for turn in self.turns:
            text = loaded.needed_tokenizer().decode_text([each.id for each in turn.words])
            messages += [
                {"role": "user", "content": turn.question}, {"role": "assistant", "content": text.strip()}
            ]  # fmt: skip
        messages.append({"role": "user", "content": question})
        settings = GenerationSettings(
            temperature=self.temperature.value, max_tokens=ANSWER, seed=len(self.turns)
        )
        path, models = self.path.currentData(), self.context.models
        self._job = self.context.runner.start(
            Slot(self.lab.name, "answer"),
            lambda: answer(models, loaded, path, messages, settings),
            title=tr("Answering"),
            on_events=self._on_events,
            on_end=self._on_end,
        )
        self.turns.append(Turn(question))
        self._show()
        return True

    def stop(self) -> None:
        """End the answer; what was written stays."""
        if self._job is not None and not self._job.ended:
            self._job.stop()
        self._show_buttons()

    def clear(self) -> None:
        """Begin a new conversation."""
        self.stop()
        self.turns = []
        self._choose(None)
        self._show()

    def _on_events(self, events: list[Any]) -> None:
        from core.model.generation import Wrote

        if not self.turns:
            return
        turn = self.turns[-1]
        for event in events:
            match event:
                case Ready():
                    turn.prompt = event.prompt
                    self._show_path(event.fast)
                case Wrote():
                    if not turn.words:
                        self._began = time.perf_counter()
                    turn.words.append(taken_of(event.id, event.logits, by_hand=False))
                case _:
                    pass
        self._show()

    def _on_end(self, outcome: Outcome) -> None:
        if not self.turns:
            return
        turn = self.turns[-1]
        loaded = self.subject.loaded
        if loaded is not None and turn.words and turn.words[-1].id in loaded.needed_tokenizer().end_ids:
            turn.words.pop()
        seconds = max(1e-3, time.perf_counter() - self._began)
        rate = tr("{n} tokens", n=len(turn.words))
        if len(turn.words) > 1:
            rate = tr("{n}, {rate:.0f} per second", n=rate, rate=(len(turn.words) - 1) / seconds)
        match outcome:
            case Failed(error=LabError() as error):
                self.lab.frame.messages.show_problem(error)
                if not turn.words:
                    self.turns.pop()
            case Stopped():
                turn.note = tr("stopped · {rate}", rate=rate)
            case _:
                turn.note = rate
        self._show()

    # What is shown.

    def _show_path(self, fast: FastModel | None) -> None:
        if fast is None:
            self.measured.setText(tr("Exact path: 32-bit weights, as in all other pages."))
        elif fast.way.blocks == "exact":
            self.measured.setText(tr("On this machine nothing is faster than the exact path."))
        else:
            self.measured.setText(
                tr(
                    "{title}. Measured here: {rate:.0f} tokens/s (exact: {exact:.0f}), {nats:.4f} nats from "
                    "the exact path (mean KL divergence over {n} tokens).",
                    title=fast.way.title.capitalize(), rate=1 / fast.way.seconds,
                    exact=1 / fast.exact.seconds, nats=fast.way.divergence, n=fast.way.tokens,
                )
            )  # fmt: skip

    def _show(self) -> None:
        pieces: list[Piece] = []
        values: list[float] = []
        for n, turn in enumerate(self.turns):
            pieces.append(Piece(tr("You: {text}", text=turn.question).encode() + b"\n", n, None))
            values.append(np.nan)
            for word, taken in enumerate(turn.words):
                pieces.append(Piece(self.subject.token_bytes(taken.id), n, word))
                values.append(1 - taken.probability)
            pieces.append(Piece(f"\n{turn.note}\n\n".encode() if turn.note else b"\n", n, None))
            values.append(np.nan)
        split = [
            (Piece(part, piece.turn, piece.word), value)
            for piece, value in zip(pieces, values, strict=True)
            for part in _lines(piece)
        ]
        self._pieces = [piece for piece, _ in split]
        self.view.set_values(
            [piece.data for piece in self._pieces], np.array([value for _, value in split]), self._describe
        )
        self.view.show_end()
        self._show_buttons()

    def _show_buttons(self) -> None:
        self.ask_button.setEnabled(not self.answering and self.line.isEnabled())
        self.stop_button.setEnabled(self.answering)
        self.clear_button.setEnabled(bool(self.turns))

    def _word(self, place: int) -> tuple[Turn, Taken] | None:
        piece = self._pieces[place] if 0 <= place < len(self._pieces) else None
        if piece is None or piece.word is None:
            return None
        turn = self.turns[piece.turn]
        return turn, turn.words[piece.word]

    def _describe(self, place: int) -> str:
        found = self._word(place)
        if found is None:
            return ""
        _, taken = found
        instead = ", ".join(
            f"{visible(self.subject.token_bytes(i))} {100 * p:.1f} %" for i, p in taken.instead
        )
        return tr("probability {share:.1f} %. Most probable: {instead}",
                  share=100 * taken.probability, instead=instead)  # fmt: skip

    def _clicked(self, token: Token) -> None:
        piece = self._pieces[token.id] if token.id < len(self._pieces) else None
        self._choose(None if piece is None or piece.word is None else (piece.turn, piece.word))

    def _choose(self, chosen: tuple[int, int] | None) -> None:
        """Show why a word was written."""
        self._chosen = chosen
        for widget in (self.instead, self.to_next, self.to_lens, self.to_attention):
            widget.setVisible(chosen is not None)
        if chosen is None:
            self.title.setText(tr("Why this word?"))
            self.says.setText(
                tr("Click a word of an answer: what it was instead of, and where it came from.")
            )
            return
        taken = self.turns[chosen[0]].words[chosen[1]]
        name = visible(self.subject.token_bytes(taken.id))
        self.title.setText(tr("Why “{token}”?", token=name))
        self.says.setText(tr("It had {share:.1f} % before the draw.", share=100 * taken.probability))
        self.instead.set_rows(
            [(visible(self.subject.token_bytes(i)), f"{100 * p:.1f} %") for i, p in taken.instead]
        )
        self.instead.fit_height()

    def why(self, where: str) -> None:
        """Open what the model had read before the chosen word: in another page, or in the Attention lab."""
        loaded, chosen = self.subject.loaded, self._chosen
        if loaded is None or chosen is None:
            return
        turn = self.turns[chosen[0]]
        ids = (*turn.prompt, *(each.id for each in turn.words[: chosen[1]]))
        text = loaded.needed_tokenizer().decode_text(ids)
        if where == "attention":
            self.context.open_in("attention", Handoff(text=text))
            return
        self.lab.next.prediction.close_question()
        self.subject.show_text(text)
        self.lab.frame.show_page(where)

    def take_focus(self) -> None:
        self.line.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Conversation"): self.view}

    def save_state(self) -> dict[str, Any]:
        return {"path": self.path.currentData(), "temperature": self.temperature.value}

    def restore_state(self, state: dict[str, Any]) -> None:
        index = self.path.findData(state.get("path"))
        if index >= 0:
            self.path.setCurrentIndex(index)
        if isinstance(state.get("temperature"), int | float):
            self.temperature.set_value(state["temperature"])


def _lines(piece: Piece) -> list[bytes]:
    """A piece as chips: a word of the model is one; other text is cut behind spaces, so that lines break."""
    return [piece.data] if piece.word is not None else re.findall(rb"[^ \n]*[ \n]|[^ \n]+", piece.data)
