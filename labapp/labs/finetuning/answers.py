"""Before and after: the same question to a model before and after it was fine-tuned, side by side.

Stages: `core.training.speakers.answer` and `draw_answers`; what ships was asked beforehand.
What to notice: the base model has read the answer and goes on with more questions all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from core.evals.intervals import wilson
from core.problems import LabError
from core.stages import pass_on
from labapp.handoff import Handoff
from labapp.labs.finetuning.models import SHIPPED, place_of, speaker_choices, title_of
from labapp.pages import LabPage
from labapp.runner import Done, Outcome, Slot
from labapp.scenes import read_json
from labapp.widgets.parts import WholeLabel, button, card, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.widgets.whiskers import Whisker, Whiskers
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.finetuning import FinetuningLab
    from labapp.models import Models

FIRST = "What is the capital of France?"
THREE = ("base", "sft", "aligned")
SHORT = {"base": "Base", "sft": "SFT", "aligned": "Aligned", "smollm2": "SmolLM2"}
KINDS = ("refused", "the right plan", "other")
TITLES = {"refused": "refused", "the right plan": "complied: a right plan", "other": "anything else"}
DRAWN = 20  # answers that are drawn at a click
NOT_ASKED = "Not asked yet: press Ask."


def asking(models: Models, place: str, prompt: str, drawn: int) -> Iterator[Any]:
    """The stage: open the model, let it answer, and draw where that is asked for."""
    from core.training.speakers import answer, draw_answers, open_speaker

    speaker = yield from pass_on(open_speaker(place, lambda path: models.take(path)))
    try:
        if drawn:
            yield from draw_answers(speaker, prompt, drawn, 1)
        else:
            yield from answer(speaker, prompt)
    finally:
        if speaker.taken is not None:
            models.give_back(speaker.taken)


class Column3(QWidget):
    """One of the three models: which it is, and what it answers."""

    def __init__(self, page: AnswersPage, number: int) -> None:
        super().__init__()
        self.key = THREE[number]
        self.picker = Picker(tr("Model {n}", n=number + 1), lambda: speaker_choices(page.context))
        self.picker.picked.connect(lambda key: page.choose_model(number, key))
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(tr("Answer {n}", n=number + 1))
        self.text.setToolTip(tr("The most probable answer"))
        self.says = label("", "small", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(self.picker, self.text, self.says, margin=8, grows=self.text))


class AnswersPage(LabPage):
    """A question above three answers, and below them what drawn answers were, counted."""

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.prompt = FIRST
        self.texts: dict[tuple[str, str], str] = {}  # by model and prompt
        self.counts: dict[tuple[str, str], dict[str, int]] = {}
        self.recorded: set[tuple[str, str]] = set()
        self._hidden = False
        self._read_recording()
        self._build_controls()
        self._build_picture()
        self._build_details()
        for n, one in enumerate(self.columns):
            self._name(n, one.key)
        self._show()

    def _read_recording(self) -> None:
        said = read_json("finetuning", "answers.json")
        for prompt, by_model in said["answers"].items():
            for model, told in by_model.items():
                self.texts[model, prompt] = told["text"]
                self.counts[model, prompt] = told["counts"]
                self.recorded.add((model, prompt))
        self.prompts = tuple(said["answers"])

    # Assembly.

    def _build_controls(self) -> None:
        self.picker = Picker(tr("Question"), self._choices)
        self.picker.picked.connect(self.show_prompt)
        self.line = QLineEdit()
        self.line.setMaxLength(2000)
        self.line.setPlaceholderText(tr("Or ask your own"))
        self.line.setAccessibleName(tr("Your question"))
        self.line.setToolTip(tr("Enter asks all three models"))
        self.line.returnPressed.connect(self.ask_own)
        self.ask_button = button(
            tr("Ask all three"), self.ask_all, role="primary",
            tip=tr("Let the three models answer here, always with the most probable token"),
        )  # fmt: skip
        self.draw_button = button(
            tr("Draw {n} answers of each", n=DRAWN), self.draw_all,
            tip=tr("Draw answers at temperature 1 and count what they are"),
        )  # fmt: skip
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("End what is being asked"))
        self.open_button = button(
            tr("Open in Attention"), self._open, tip=tr("Look at this question inside a model")
        )
        self.controls = controls(
            field(tr("Question"), self.picker, tr("Questions that the shipped models were asked")), self.line,
            self.ask_button, self.draw_button, self.stop_button, self.open_button,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._reveal)
        self.heading = WholeLabel("", "heading")
        self.columns = [Column3(self, n) for n in range(3)]
        row = QHBoxLayout()
        row.setSpacing(8)
        for one in self.columns:
            row.addWidget(one, 1)
        self.whiskers = Whiskers(tr("What drawn answers were, with 95 % intervals"))
        self.whiskers_card = card(
            label(tr("Drawn answers, counted"), "heading"), self.whiskers, spacing=4, grows=self.whiskers
        )
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(self.heading)
        layout.addLayout(row, 3)
        layout.addWidget(self.whiskers_card, 2)

    def _build_details(self) -> None:
        self.table = Table(
            tr("Counts"),
            [Column(tr("Model"), stretch=True), Column(tr("Kind")), Column(tr("n"), number=True)],
        )
        self.notes = label("", "", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(label(tr("What to notice"), "heading"))
        column.addWidget(self.notes)
        column.addWidget(label(tr("Counts"), "heading"))
        column.addWidget(self.table, 1)

    # Asking.

    def _choices(self) -> list[Choice]:
        return [Choice(prompt, prompt, tr("Asked beforehand")) for prompt in self.prompts]

    def show_prompt(self, prompt: str) -> None:
        """Show another question."""
        self.prompt = prompt.strip()[:2000] or FIRST
        self._reveal()

    def ask_own(self) -> None:
        """Ask what stands in the line."""
        if self.line.text().strip():
            self.show_prompt(self.line.text())
            self.ask_all()

    def choose_model(self, number: int, key: str) -> None:
        """Put another model into a column."""
        self.columns[number].key = key
        self._name(number, key)
        self._show()
        if (key, self.prompt) not in self.texts:
            self.lab.attempt(self._ask, number, 0)

    def _name(self, number: int, key: str) -> None:
        self.columns[number].picker.set_title(title_of(self.context, key))

    def ask_all(self) -> None:
        """Let the three models answer."""
        self._reveal()
        for number in range(3):
            self.lab.attempt(self._ask, number, 0)

    def draw_all(self) -> None:
        """Draw answers of the three models."""
        self._reveal()
        for number in range(3):
            self.lab.attempt(self._ask, number, DRAWN)

    def _ask(self, number: int, drawn: int) -> None:
        key, prompt, models = self.columns[number].key, self.prompt, self.context.models
        place = place_of(self.context, key)
        made: list[str] = []

        def take(events: list[Any]) -> None:
            from core.training.speakers import Drawn, Said

            for event in events:
                if isinstance(event, Said):
                    self.texts[key, prompt] = event.text
                    self.recorded.discard((key, prompt))
                elif isinstance(event, Drawn):
                    made.append(event.kind)
                    self.counts[key, prompt] = {kind: made.count(kind) for kind in KINDS}
                    self.recorded.discard((key, prompt))
            self._show()

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Done) and not drawn:
                self.texts[key, prompt] = outcome.finished.result
            self.lab.show_failure(outcome)
            self._show()

        self.context.runner.start(
            Slot(self.lab.name, f"answer-{number}"), lambda: asking(models, place, prompt, drawn),
            title=tr("Asking {name}", name=title_of(self.context, key)), on_events=take, on_end=end,
        )  # fmt: skip

    def stop(self) -> None:
        """End what is being asked."""
        for number in range(3):
            job = self.context.runner.job(Slot(self.lab.name, f"answer-{number}"))
            if job is not None:
                job.stop()

    # What is shown.

    def _show(self) -> None:
        self.heading.setText(tr("“{prompt}”", prompt=self.prompt))
        self.heading.setToolTip(self.prompt)
        self.picker.set_title(self.prompt)
        for one in self.columns:
            at = (one.key, self.prompt)
            text = tr("…") if self._hidden else self.texts.get(at, tr(NOT_ASKED)).strip()
            if one.text.toPlainText() != text:
                one.text.setPlainText(text)
            one.says.setText(tr("asked beforehand") if at in self.recorded and not self._hidden else "")
        self._show_counts()
        self.notes.setText(self._noticed())

    def _show_counts(self) -> None:
        """Of each model the kinds that occurred anywhere; "other" alone where there was nothing else."""
        by_model = [
            (one.key, {} if self._hidden else self.counts.get((one.key, self.prompt), {}))
            for one in self.columns
        ]
        came = [kind for kind in KINDS[:2] if any(counts.get(kind) for _, counts in by_model)]
        rows, told = [], []
        for key, counts in by_model:
            n = sum(counts.values())
            title = tr(SHORT.get(key, title_of(self.context, key)[-18:]))
            told += [(title, tr(TITLES[kind]), f"{counts[kind]:,}") for kind in KINDS if n]
            for kind in (came or KINDS[2:]) if n else ():
                low, high = wilson(counts[kind], n)
                rows.append(Whisker(title, tr(TITLES[kind]), counts[kind] / n, low, high, n))
        self.whiskers.set_rows(rows)
        self.whiskers_card.setVisible(bool(rows))
        self.table.set_rows(told)

    def _noticed(self) -> str:
        if self._hidden:
            return tr("Foresee first what the base model does.")
        return tr(
            "The base model only goes on as its texts did: in them a question stands among questions. SFT "
            "demonstrated answers, refusals of misdeeds among them; in other words the same misdeed is "
            "told. Preferences reach further: see “In a dream…”. Counts are of answers drawn at "
            "temperature 1; the point is the share, the line its 95 % interval (Wilson)."
        )

    # The scene.

    def show_scene(self) -> None:
        """Ask the class's question."""
        for n, key in enumerate(THREE):
            self.columns[n].key = key
            self._name(n, key)
        self.prompt, self._hidden = FIRST, True
        self.prediction.ask(
            tr("The base model has read that it is Paris. What does it do with this question?"),
            [tr("“Paris”"), tr("More questions"), tr("It refuses")],
        )
        self._show()

    def show_first(self) -> None:
        self.show_scene()

    def _answered(self, index: int) -> None:
        self._hidden = False
        words = self.texts["base", FIRST].split("?")[0].strip()
        self.prediction.reveal(
            tr(
                "It goes on with “{words}?”. SFT changes what a question asks of it, not what it knows.",
                words=words,
            )
        )
        self._show()

    def _reveal(self) -> None:
        self._hidden = False
        if self.prediction.asking:
            self.prediction.hide()
        self._show()

    def _open(self) -> None:
        try:
            key = self.columns[2].key
            own = [one for one in self.context.workspace.artifacts("model") if one.role == key]
            id_ = key.partition(":")[2] if key.startswith("artifact:") else (own[-1].id if own else None)
            self.context.open_in("attention", Handoff(text=self.prompt, model_id=id_))
        except LabError as error:
            self.lab.frame.messages.show_problem(error)

    def take_focus(self) -> None:
        self.line.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Answers side by side"): self.picture}

    def artifact_changed(self) -> None:
        for n, one in enumerate(self.columns):
            self._name(n, one.key)

    # State.

    def save_state(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "models": [one.key for one in self.columns]}

    def restore_state(self, state: dict[str, Any]) -> None:
        keys = state.get("models")
        known = {choice.key for choice in speaker_choices(self.context)} | set(SHIPPED)
        if isinstance(keys, list) and len(keys) == 3:
            for n, key in enumerate(keys):
                if key in known:
                    self.columns[n].key = key
                    self._name(n, key)
        if isinstance(state.get("prompt"), str):
            self.show_prompt(state["prompt"])
