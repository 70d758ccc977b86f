"""Copies: how much of what a model writes stands in its training text, and what it makes of questions.

Stages: `core.training.parrot.write_and_compare` and `ask_questions`. What to notice: short runs are copied by
everybody; a model that was trained too long on too little copies whole passages.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from core.corpus.smallworld.settings import QUIZ_SHARE
from core.model.settings import GenerationSettings
from core.settings import describe
from core.stages import Finished, pass_on
from core.training.folders import checkpoints_of, run_of
from core.training.presets import PLAN, RunPlan, read_plan
from labapp.labs.training.copies_panel import CopiesPanel
from labapp.labs.training.model_choice import CheckpointPicker, artifact_of
from labapp.labs.training.questions import Questions
from labapp.pages import LabPage
from labapp.runner import Done, Failed, Outcome, Slot
from labapp.widgets.parts import ViewButtons, button, card, controls, field, label
from labapp.widgets.slider_field import SliderField
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.model.shelf import LoadedModel
    from core.training.copies import CopyIndex
    from core.training.parrot import Answered, Compared
    from labapp.labs.training import TrainingLab

LENGTH = 200  # tokens that a model writes at most
TEMPERATURES = [n / 10 for n in range(16)]
TEMPERATURE = 0.8  # at first
PASSAGE = 140  # px of the training text at most
OVERFIT = "overfit"  # name of the preset
VIEWS = (
    ("What is copied", "A text of the model, colored by what of it stands in the training text"),
    ("Three questions", "What a base model makes of a question, a beginning, and two examples"),
)


class ParrotPage(LabPage):
    """Texts of the chosen model and of the overfit run over the passage that was copied; or three answers."""

    def __init__(self, lab: TrainingLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.seed = 0
        self._index: dict[Path, CopyIndex] = {}  # of at most one run for each panel
        self._build_controls()
        self._build_picture()
        self._build_details()

    def _build_controls(self) -> None:
        self.picker = CheckpointPicker(tr("Model"), self.context, self.lab.name, self._run_folder)
        self.picker.chosen.connect(lambda _: self._model_chosen())
        self.prompt = QLineEdit(tr("One day"))
        self.prompt.returnPressed.connect(self.write)
        info = next(each for each in describe(GenerationSettings) if each.name == "temperature")
        self.temperature = SliderField(info, TEMPERATURES)
        self.temperature.set_value(TEMPERATURE)
        self.again = button(
            tr("Write again"), self.write, tip=tr("Another text, from the same prompt"), role="primary"
        )
        self.compared_with = label("", "small", wrap=True)
        self.text_button = button(
            tr("Write its text again"), self.write_text,
            tip=tr("The small world's generator gives the same text for the settings kept with the model"),
        )  # fmt: skip
        self.text_button.hide()
        self.vary = button(
            tr("Set up a run without quizzes"), lambda: self.lab.vary_quizzes(0.0),
            tip=tr("Fills the form on the page Run; what it makes of P1 is scored on the page Knowledge"),
        )  # fmt: skip
        self.vary.hide()
        self.controls = controls(
            field(tr("Model"), self.picker, tr("Who writes: a checkpoint of the run, or another model")),
            field(
                tr("Prompt"),
                self.prompt,
                tr("What the text begins with; empty for the beginning of a document"),
            ),
            self.temperature,
            self.again,
            self.compared_with,
            self.text_button,
            self.vary,
        )

    def _build_picture(self) -> None:
        self.mine = CopiesPanel(tr("What the chosen model wrote"))
        self.overfit = CopiesPanel(tr("What the overfit run wrote"))
        for panel in (self.mine, self.overfit):
            panel.chosen.connect(partial(self.show_match, panel))
        self.passage_title = label("", "heading", wrap=True)
        self.passage = ValueChips(tr("The place in the training text"))
        self.passage.setToolTip(tr("The training text around the run that was copied"))
        sides = QHBoxLayout()
        sides.setSpacing(8)
        sides.addWidget(self.mine, 1)
        sides.addWidget(self.overfit, 1)
        copies = QWidget()
        column = QVBoxLayout(copies)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(sides, 7)
        below = card(self.passage_title, self.passage, spacing=4, grows=self.passage)
        below.setMaximumHeight(PASSAGE)  # the texts have what is left
        column.addWidget(below, 3)
        self.views = QStackedWidget()
        self.views.addWidget(copies)
        self.questions = Questions()
        self.views.addWidget(self.questions)
        self.head = ViewButtons(VIEWS, self.show_view)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.head)
        layout.addWidget(self.views, 1)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.says = label("", "", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for widget in (
            self.title,
            self.says,
            label(
                tr(
                    "Stronger color: a longer match, a step for each doubling from 4 to 128 tokens. A match "
                    "is word for word; a passage with one word changed counts as two shorter ones."
                ),
                "small", wrap=True,
            ),
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch(1)
        self._show_nothing()

    # The page.

    def shown(self) -> None:
        if self.picker.loaded is None:
            self.picker.pick(self.picker.key or self.picker.default_key())

    def show_view(self, n: int) -> None:
        """Show what is copied (0) or the three questions (1)."""
        self.views.setCurrentIndex(n)
        self.head.mark(n)
        self.vary.setVisible(n == 1)
        if n == 1 and not self.questions.answers:
            self.ask()

    def _run_folder(self) -> Path | None:
        return self.lab.run.folder

    def _overfit_model(self) -> tuple[Path, Path] | None:
        """The newest overfit run that has a checkpoint: its folder and the last one."""
        for work in sorted(self.context.workspace.works("training"), key=lambda one: one.id, reverse=True):
            plan = read_plan(work.folder)
            found = checkpoints_of(work.folder) if plan is not None and plan.name == OVERFIT else []
            if found:
                return work.folder, found[-1][1]
        return None

    def _model_chosen(self) -> None:
        self.questions.clear()
        self.lab.attempt(self._write)
        if self.views.currentIndex() == 1:
            self.ask()

    # Writing.

    def write(self) -> None:
        """Have both models write another text."""
        self.seed += 1
        self.lab.attempt(self._write)

    def _write(self) -> None:
        loaded = self.picker.loaded
        if loaded is None:
            return
        run = self._text_of(loaded)
        self.text_button.setVisible(run is None and self._recorded(loaded) is not None)
        self.compared_with.setText(
            tr("Compared with the training text of {run}.", run=_name(run))
            if run is not None
            else tr("The training text of this model is not here.")
        )
        self._show_nothing()
        self._start(self.mine, "copies", loaded.source.path, loaded.source.name, run)
        found = self._overfit_model()
        if found is None:
            self.overfit.say(
                tr("Overfit"),
                tr("Train the failure “Overfit” to see here what a model writes that knows a text by heart."),
            )
        else:
            self._start(self.overfit, "copies of overfit", found[1], tr("Overfit"), found[0])

    def _text_of(self, loaded: LoadedModel) -> Path | None:
        """The run whose text a model is compared with: its own, or the one in view if the tokens agree.

        Of an artifact it is the text that was written again, where it was.
        """
        own = run_of(loaded.source.path)
        recorded = self._recorded(loaded)
        if own is None and recorded is not None:
            return recorded[1] if (recorded[1] / PLAN).is_file() else None
        run = own or self._run_folder()
        if own is not None or run is None or not (run / "tokens" / "train.bin").is_file():
            return own
        from core.tokenizer.reading import read_tokenizer

        return run if read_tokenizer(run / "tokenizer") == loaded.tokenizer else None

    def _recorded(self, loaded: LoadedModel) -> tuple[RunPlan, Path] | None:
        """The plan of an artifact that was trained on the small world, and where its text is written to."""
        from core.training.text_again import world_plan

        artifact = artifact_of(self.context.workspace, loaded.source.path)
        plan = world_plan(artifact.settings) if artifact is not None else None
        if artifact is None or plan is None:
            return None
        return plan, self.context.workspace.root / "texts" / artifact.id

    def write_text(self) -> None:
        """Write the training text of the chosen model again."""
        self.lab.attempt(self._write_text)

    def _write_text(self) -> None:
        loaded = self.picker.loaded
        recorded = self._recorded(loaded) if loaded is not None else None
        if loaded is None or recorded is None:
            return
        from core.training.text_again import write_text_again

        plan, folder = recorded
        path = loaded.source.path
        place = path if path.is_dir() else path.parent
        self.text_button.hide()
        self.compared_with.setText(tr("{n:,} words are written again…", n=plan.corpus.words))
        self.lab.ask(
            "text", lambda: write_text_again(plan, place, folder), tr("Writing the training text again"),
            lambda _: self.lab.attempt(self._write),
        )  # fmt: skip

    def _settings(self) -> GenerationSettings:
        return GenerationSettings(temperature=self.temperature.value, max_tokens=LENGTH, seed=self.seed)

    def _start(self, panel: CopiesPanel, purpose: str, path: Path, title: str, run: Path | None) -> None:
        prompt, settings, models = self.prompt.text(), self._settings(), self.context.models
        known = self._index.get(run) if run is not None else None
        panel.say(tr("{title}: writing…", title=title), "")
        tokens: list[bytes] = [prompt.encode()] if prompt else []
        token_bytes: Callable[[int], bytes] = bytes  # the model's own, once it is loaded

        def grow(events: list[Any]) -> None:
            from core.model.generation import Wrote

            new = [token_bytes(event.id) for event in events if isinstance(event, Wrote)]
            tokens.extend(new)
            if new:
                panel.show_growing(title, tokens)

        def stage() -> Iterator[Any]:
            from core.training.parrot import write_and_compare

            nonlocal token_bytes
            loaded = yield from pass_on(models.take(path, title))
            try:
                tokenizer = loaded.needed_tokenizer()
                token_bytes = tokenizer.token_bytes
                training = known or (run / "tokens" if run is not None else None)
                compared = yield from pass_on(
                    write_and_compare(loaded.model, tokenizer, prompt, settings, training)
                )
                yield Finished("", (compared, tokenizer.token_bytes))
            finally:
                models.give_back(loaded)

        self.context.runner.start(
            Slot(self.lab.name, purpose),
            stage,
            title=tr("Writing and comparing"),
            on_events=grow,
            on_end=partial(self._written, panel, title, run),
        )

    def _written(self, panel: CopiesPanel, title: str, run: Path | None, outcome: Outcome) -> None:
        match outcome:
            case Done(finished=finished):
                compared, token_bytes = finished.result
                self._keep(run, compared)
                panel.show_text(title, compared, token_bytes)
                if panel is self.mine or self.mine.compared is None:
                    self._show_longest(panel)
            case Failed():
                panel.say(title, tr("No text was written."))
            case _:
                panel.say(title, tr("Stopped."))
        self.lab.show_failure(outcome)

    def _keep(self, run: Path | None, compared: Compared) -> None:
        """Remember the index of a run; of two runs at most, since a large one takes 70 MB."""
        if run is None or compared.index is None:
            return
        self._index.pop(run, None)
        self._index[run] = compared.index
        for old in list(self._index)[:-2]:
            del self._index[old]

    # What is shown.

    def _show_longest(self, panel: CopiesPanel) -> None:
        copies = panel.compared.copies if panel.compared is not None else None
        if copies is not None and any(copies.lengths[copies.begin :]):
            self.show_match(panel, copies.begin + int(np.argmax(copies.lengths[copies.begin :])))

    def show_match(self, panel: CopiesPanel, place: int) -> None:
        """Show the match of a token, and where it stands in the training text."""
        found = panel.match(place)
        for each in (self.mine, self.overfit):
            each.view.mark_id(place if each is panel else None)
        if found is None:
            self._show_nothing()
            self.says.setText(panel.describe(place))
            return
        self.title.setText(tr("{n:,} tokens word for word", n=found.length))
        self.says.setText(tr("“{text}”: {what}.", text=panel.copied_text(found), what=panel.describe(place)))
        times = tr("once") if found.times == 1 else tr("{n:,} times, first", n=found.times)
        self.passage_title.setText(
            tr("In the training text {times} at token {place:,}", times=times, place=found.place + 1)
        )
        panel.show_passage(found, self.passage)

    def _show_nothing(self) -> None:
        self.title.setText(tr("Click a token"))
        self.says.setText(tr("Where it stands in the training text is shown below the text."))
        self.passage_title.setText(tr("The training text"))
        self.passage.set_values([], np.zeros(0), lambda _: "")

    # Three questions.

    def ask(self) -> None:
        """Ask the chosen model three questions."""
        self.lab.attempt(self._ask)

    def _ask(self) -> None:
        from core.training.parrot import ask_questions

        loaded = self.picker.loaded
        if loaded is None:
            return
        tokenizer = loaded.needed_tokenizer()
        self.lab.ask(
            "questions", lambda: ask_questions(loaded.model, tokenizer), tr("Asking the model"), self._asked
        )

    def _asked(self, answers: tuple[Answered, ...]) -> None:
        loaded = self.picker.loaded
        run = run_of(loaded.source.path) if loaded is not None else None
        plan = read_plan(run) if run is not None else None
        share = QUIZ_SHARE if plan is None else plan.corpus.quiz_share
        self.questions.show_answers(answers, share, plan is not None)

    # State and the rest.

    def take_focus(self) -> None:
        self.mine.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Copies"): self.mine.view, tr("Copies of the overfit run"): self.overfit.view}

    def save_state(self) -> dict[str, Any]:
        return {
            "model": self.picker.key,
            "prompt": self.prompt.text(),
            "temperature": self.temperature.value,
            "view": self.views.currentIndex(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("model"), str):
            self.picker.key = state["model"]  # loaded when the page is shown
        if isinstance(state.get("prompt"), str):
            self.prompt.setText(state["prompt"][:2000])
        if isinstance(state.get("temperature"), int | float):
            self.temperature.set_value(state["temperature"])
        if state.get("view") == 1:
            self.show_view(1)


def _name(run: Path) -> str:
    """What a run is called."""
    plan = read_plan(run)
    return run.name if plan is None else tr("the run “{name}”", name=plan.name)
