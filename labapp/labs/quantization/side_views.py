"""Two views of the page Compare in which models write: one prompt for all, and a chat with two at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.problems import LabError
from labapp.labs.quantization.choosing import Subject
from labapp.labs.quantization.comparing import Piece, Said, chat_side_by_side, short_name, write_prompt
from labapp.labs.quantization.page import number
from labapp.labs.quantization.side_texts import MOST, SideTexts
from labapp.runner import Job, Outcome, Slot
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, label
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.quantization.compare import ComparePage

HINT = (
    "Two models answer the same question, each in a conversation of its own. They need a chat template: "
    "SmolLM2 has one, and the small world's fine-tuned models."
)
TOKENS = 40  # of a text
ANSWER = 120  # tokens of an answer


class SideView(QWidget):
    """A line to write on, texts below it; a job that fills them.

    Args:
        page: Whose models write.
        purpose: Names the job's slot.
        placeholder: Of the line.
        go: The button's text.
    """

    def __init__(self, page: ComparePage, purpose: str, placeholder: str, go: str) -> None:
        super().__init__()
        self.page, self._purpose = page, purpose
        self.job: Job | None = None
        self.texts = SideTexts()
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self.line.setAccessibleName(placeholder)
        self.line.setToolTip(tr("Enter lets the models write"))
        self.line.setMaxLength(4000)
        self.line.returnPressed.connect(self.write)
        self.go = button(go, self.write, role="primary", tip=tr("Let the models write (Enter)"))
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("End the texts here"))
        self.stop_button.setEnabled(False)
        self.top = QHBoxLayout()
        self.top.setSpacing(6)
        self.top.addWidget(self.line, 1)
        self.top.addWidget(self.go)
        self.top.addWidget(self.stop_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.card = card(self.top, self.texts, margin=8, grows=self.texts)
        layout.addWidget(self.card)

    def write(self) -> None:
        """Let the models write."""
        if self.job is None:
            self.page.lab.attempt(self._write)

    def _write(self) -> None:
        raise NotImplementedError

    def _launch(self, make: Any, title: str) -> None:
        self.job = self.page.context.runner.start(
            Slot(self.page.lab.name, self._purpose), make, title=title,
            on_events=self._on_events, on_end=self._on_end,
        )  # fmt: skip
        self.go.setEnabled(False)
        self.stop_button.setEnabled(True)

    def stop(self) -> None:
        """End the texts here."""
        if self.job is not None:
            self.job.stop()

    def _on_events(self, events: list[Any]) -> None:
        self.texts.add([event for event in events if isinstance(event, Piece)])

    def _on_end(self, outcome: Outcome) -> None:
        self.job = None
        self.go.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.page.lab.show_failure(outcome)

    def numbers(self) -> Numbers:
        """Every token with its probabilities."""
        rows = [
            (name, str(place), visible(piece.data), number(piece.probability), number(piece.reference))
            for name, pieces in zip(self.texts.names, self.texts.pieces, strict=True)
            for place, piece in enumerate(pieces)
        ]
        return (tr("model"), tr("token"), tr("text"), tr("probability"), tr("reference")), rows


class PromptView(SideView):
    """The reference and the ticked models go on from one prompt."""

    def __init__(self, page: ComparePage, prompts: Sequence[str]) -> None:
        super().__init__(page, "prompt", tr("A prompt for all models"), tr("Write"))
        self.line.setText(prompts[0])
        for place, prompt in enumerate(prompts):
            sample = button(prompt, partial(self._take, prompt), role="sample", tip=tr("Take this prompt"))
            self.top.insertWidget(1 + place, sample)

    def _take(self, prompt: str) -> None:
        self.line.setText(prompt)
        self.write()

    def _write(self) -> None:
        reference, others = self.page.needed(MOST - 1)
        prompt = self.line.text()
        if not prompt:
            raise LabError(tr("There is no prompt."), tr("Type at least one character."))
        models = self.page.context.models
        self._launch(
            lambda: write_prompt(models, reference, others, prompt, TOKENS), tr("Writing side by side")
        )
        names = [short_name(reference.title, one.title) for one in others]
        self.texts.begin([reference.title, *names])


class ChatView(SideView):
    """Two models, each with a conversation of its own."""

    def __init__(self, page: ComparePage) -> None:
        super().__init__(page, "chat", tr("Ask both models something"), tr("Ask"))
        self.said: list[Said] = [[], []]
        self._keys: list[str] = []
        self._talking: list[Subject] = []
        self.boxes = (QComboBox(), QComboBox())
        choice = QHBoxLayout()
        choice.setSpacing(6)
        for n, box in enumerate(self.boxes):
            box.setAccessibleName(tr("Model {n} of the chat", n=n + 1))
            box.setToolTip(tr("Who answers"))
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.activated.connect(lambda _: self.clear())
            choice.addWidget(box, 1)
        self.clear_button = button(tr("New conversation"), self.clear, tip=tr("Forget what was said"))
        choice.addWidget(self.clear_button)
        self.history = label(tr(HINT), "small", wrap=True)
        layout = self.card.layout()
        if isinstance(layout, QVBoxLayout):
            layout.insertLayout(0, choice)
            layout.insertWidget(1, self.history)

    def show_subjects(self, reference: Subject | None, others: Sequence[Subject]) -> None:
        """Offer these models."""
        there = ([reference] if reference is not None else []) + list(others)
        keys = [one.key for one in there]
        if keys == self._keys:
            return
        chosen = [box.currentData() for box in self.boxes]
        self._keys = keys
        for n, box in enumerate(self.boxes):
            box.clear()
            for one in there:
                box.addItem(one.title, one.key)
            at = box.findData(chosen[n])
            box.setCurrentIndex(at if at >= 0 else min(n, len(there) - 1))

    def clear(self) -> None:
        """Begin a new conversation."""
        self.stop()
        self.said = [[], []]
        self.history.setText(tr(HINT))
        self.texts.begin(())

    def _write(self) -> None:
        question = self.line.text().strip()
        there = {one.key: one for one in [self.page.reference, *self.page.others] if one is not None}
        talking = [there[box.currentData()] for box in self.boxes if box.currentData() in there]
        reference = self.page.reference
        if not question or reference is None or len(talking) < 2:
            return
        said = [[*turns, ("user", question)] for turns in self.said]
        models = self.page.context.models
        self._launch(
            lambda: chat_side_by_side(models, reference, talking, said, ANSWER), tr("Answering, twice")
        )
        self.said, self._talking = said, talking
        asked = [text for role, text in said[0] if role == "user"]
        self.history.setText(tr("You: {text}", text=" · ".join(asked)[-300:]))
        self.texts.begin([one.title for one in talking])
        self.line.clear()

    def _on_end(self, outcome: Outcome) -> None:
        super()._on_end(outcome)
        for turns, pieces in zip(self.said, self.texts.pieces, strict=False):
            answer = b"".join(piece.data for piece in pieces if not piece.ends)
            if answer:
                turns.append(("assistant", answer.decode("utf-8", "replace").strip()))
            elif turns and turns[-1][0] == "user":
                turns.pop()  # nothing was answered: the question is asked anew
