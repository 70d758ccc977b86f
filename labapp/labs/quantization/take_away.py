"""Take it away: the GGUF file with a Modelfile, command lines for llama.cpp and Ollama, and a trial of both.

What to notice: the same file gives the same first tokens in another program. Stages:
`core.quantization.elsewhere`, by way of `taking_away.py`.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.problems import LabError
from core.stages import once
from core.tokenizer.known import known_tokenizers
from labapp.labs.quantization.choosing import SourcePicker, Subject, subject_of
from labapp.labs.quantization.page import column, size_text
from labapp.labs.quantization.taking_away import (
    Parcel,
    Tried,
    copy_away,
    has_llama_cpp_python,
    parcel_of,
    try_here,
    which,
)
from labapp.pages import PicturePage
from labapp.runner import Done, Job, Outcome, Slot
from labapp.scenes import read_json
from labapp.theme import mono_font
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, card, controls, field, inset, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.elsewhere import Command
    from labapp.labs.quantization import QuantizationLab

LINES, MODELFILE, TRIAL = range(3)
VIEWS = [
    ("Command lines", "What to type to run the file"),
    ("Modelfile", "What Ollama makes a model from"),
    ("Try it", "Both programs on this machine, if they are there"),
]
TRIED = ("llama-completion", "ollama")


class TakeAwayPage(PicturePage):
    """File and names on the left; lines to type, Modelfile or trial in the middle; facts on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.parcel: Parcel | None = None
        self.programs: dict[str, Path | None] = {}
        self.tried: Tried | None = None
        self.job: Job | None = None
        self.commands: tuple[Command, ...] = ()
        self._wanted = ""
        self._view = LINES
        self._scene = read_json("scenes", "quantization", "take_away.json")
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.model = SourcePicker(tr("File"), self.context.workspace)
        self.model.chosen.connect(self.open)
        self.name, self.prompt = QLineEdit(), QLineEdit()
        self.name.setMaxLength(60)
        self.prompt.setMaxLength(4000)
        self.prompt.setText(str(self._scene["prompt"]))
        self.context_box = QSpinBox()
        self.context_box.setRange(16, 1_000_000)
        self.context_box.setValue(2048)
        inset(self.context_box)
        for line in (self.name, self.prompt):
            line.textChanged.connect(lambda _: self._show())
        self.context_box.valueChanged.connect(lambda _: self._show())
        self.save_button = button(
            tr("Save file and Modelfile…"), self.ask_and_copy, role="primary",
            tip=tr("Copy both into a folder, such as one on a USB stick"),
        )  # fmt: skip
        self.note = label("", "small", wrap=True)
        self.controls = controls(
            field(tr("File"), self.model, tr("Which GGUF file is taken away")),
            field(tr("Name in Ollama"), self.name, tr("Lower case, digits, - and .")),
            field(tr("Context"), self.context_box, tr("Tokens that the model looks back on")),
            field(tr("Prompt"), self.prompt, tr("For the command lines and the trial")),
            self.save_button, self.note,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        self.views = ViewButtons(VIEWS, self.show_view)
        self.lines = Table(
            tr("Command lines"), [Column(tr("What for")), Column(tr("Line"), mono=True, stretch=True)]
        )
        self.lines.setToolTip(tr("A click copies the line"))
        self.lines.row_chosen.connect(self.copy_line)
        self.line = label("", "", wrap=True)
        self.line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.lines_card = card(self.lines, self.line, margin=8, grows=self.lines)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName(tr("The Modelfile"))
        self.text.setToolTip(tr("Ollama reads it: ollama create NAME -f Modelfile"))
        self.text_says = label("", "small", wrap=True)
        self.text_card = card(self.text, self.text_says, margin=8, grows=self.text)
        self._build_trial()
        self.stack = QStackedWidget()
        self._shown_as: tuple[QWidget, ...] = (self.lines_card, self.text_card, self.trial_card)
        for view in self._shown_as:
            self.stack.addWidget(view)
        self.caption = label("", "", wrap=True)
        self.picture = column(self.prediction, self.views, self.stack, self.caption, grows=self.stack)

    def _build_trial(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.try_buttons = {}
        for name in TRIED:
            made = button(tr("Try {name}", name=name), partial(self.try_program, name),
                          tip=tr("Let it write, and compare its tokens with ours"))  # fmt: skip
            self.try_buttons[name] = made
            row.addWidget(made)
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("End the program"))
        row.addWidget(self.stop_button)
        row.addStretch(1)
        self.trial_says = label("", "heading", wrap=True)
        self.rest = QWidget()
        self.ours, self.theirs = ValueChips(tr("What is written here")), ValueChips(tr("What it writes"))
        self.ours_title, self.theirs_title = label(tr("Here"), "small"), label("", "small")
        self.missing = label("", "", wrap=True)
        self.trial_card = card(
            row, self.missing, self.trial_says, self.ours_title, self.ours, self.theirs_title, self.theirs,
            self.rest, margin=8,
        )  # fmt: skip
        layout = self.trial_card.layout()
        if isinstance(layout, QVBoxLayout):
            for part in (self.ours, self.theirs, self.rest):
                layout.setStretchFactor(part, 1)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.facts = Table(
            tr("The file"), [Column(tr("What"), stretch=True), Column(tr("Value"), number=True)]
        )
        self.here = Table(
            tr("Programs on this machine"), [Column(tr("Program"), stretch=True), Column(tr("Here"))]
        )
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.facts, 1)
        layout.addWidget(label(tr("On this machine"), "heading"))
        layout.addWidget(self.here, 1)

    # The file.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown(self) -> None:
        from core.quantization.elsewhere import find_programs

        self.programs = find_programs(which)
        if self.parcel is None:
            self.open(self._wanted or self._first_key())
        self.text.document().setDefaultFont(mono_font(self.text, 1 / 1.15))
        self._show()

    def _first_key(self) -> str:
        """The newest file that was made here, else SmolLM2."""
        made = self.context.workspace.artifacts("quantized")
        if made:
            return f"artifact:{made[0].id}"
        smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
        return "smollm2" if smollm2.available else ""

    def open(self, key: str) -> None:
        """Take a file."""
        if not key:
            return
        subject: Subject | None = self.lab.attempt(subject_of, self.context.workspace, key)
        if subject is not None and self.job is None:
            chosen = subject
            self.lab.ask(
                "parcel", lambda: once(lambda: parcel_of(chosen)), tr("Reading the header"), self._take
            )

    def _take(self, parcel: Parcel) -> None:
        self.parcel, self.tried = parcel, None
        self.note.setText("")
        self._wanted = parcel.subject.key
        self.model.show_subject(parcel.subject)
        self.name.setText(ollama_name(parcel.file.stem))
        self.context_box.setMaximum(max(16, parcel.context))
        self.context_box.setValue(min(2048, parcel.context))
        self._show()

    def modelfile(self) -> str:
        """The text of the Modelfile."""
        from core.quantization.modelfile import modelfile

        if self.parcel is None:
            return ""
        parcel = self.parcel
        return modelfile(parcel.file.name, parcel.turns, parcel.stops, self.context_box.value())

    def ask_and_copy(self) -> None:
        """Ask for a folder, and copy file and Modelfile there."""
        folder = QFileDialog.getExistingDirectory(self.lab.window(), tr("Choose a folder"))
        if folder:
            self.copy_to(Path(folder))

    def copy_to(self, folder: Path) -> None:
        """Copy file and Modelfile into a folder."""
        self.lab.attempt(self._copy_to, folder)

    def _copy_to(self, folder: Path) -> None:
        if self.parcel is None:
            raise LabError(tr("No file is chosen."), tr("Make one on the page Quantize, or open one."))
        parcel, text = self.parcel, self.modelfile()
        self.lab.ask(
            "copy", lambda: copy_away(parcel, folder, text), tr("Copying {name}", name=parcel.file.name),
            lambda target: self.note.setText(tr("Saved in {folder}.", folder=target.parent)),
        )  # fmt: skip

    def copy_line(self, row: int) -> None:
        """Put a command line on the clipboard."""
        if 0 <= row < len(self.commands):
            QGuiApplication.clipboard().setText(self.commands[row].line)
            self.line.setText(tr("Copied: {line}", line=self.commands[row].line))

    # The trial.

    def try_program(self, name: str) -> None:
        """Let another program write, and compare."""
        self.lab.attempt(self._try, name)

    def _try(self, name: str) -> None:
        path = self.programs.get(name)
        if self.parcel is None or path is None or self.job is not None:
            return
        self.prediction.close_question()
        parcel, models, text, prompt = self.parcel, self.context.models, self.modelfile(), self.prompt.text()
        tokens = int(self._scene["tokens"])
        self.job = self.context.runner.start(
            Slot(self.lab.name, "trial"),
            lambda: try_here(models, parcel, (name, path), text, prompt, tokens),
            title=tr("Trying {name}", name=name), heavy=True, on_events=lambda events: None,
            on_end=self._on_end,
        )  # fmt: skip
        self.tried = None
        self._show()

    def stop(self) -> None:
        """End the program."""
        if self.job is not None:
            self.job.stop()

    def _on_end(self, outcome: Outcome) -> None:
        self.job = None
        if isinstance(outcome, Done):
            self.tried = outcome.finished.result
        self.lab.show_failure(outcome)
        self._show()

    # What is shown.

    def show_view(self, view: int) -> None:
        """Show command lines, the Modelfile, or the trial."""
        self._view = view
        self.views.mark(view)
        if not self.prediction.asking:
            self.prediction.hide()
        self._show()

    def _show(self) -> None:
        from core.quantization.elsewhere import command_lines

        asking, parcel = self.prediction.asking, self.parcel
        self.stack.setCurrentIndex(LINES if asking else self._view)
        self.views.setVisible(not asking)
        self.save_button.setEnabled(parcel is not None)
        self.heading.setText(parcel.file.name if parcel is not None else tr("No file is chosen yet"))
        if parcel is not None:
            self.commands = command_lines(
                Path(parcel.file.name), self.name.text() or "model", self.prompt.text(),
                int(self._scene["tokens"]), self.context_box.value(), parcel.chats,
            )  # fmt: skip
            self.facts.set_rows([
                (tr("Size"), size_text(parcel.bytes)), (tr("Bits a weight"), f"{parcel.bits:.3f}"),
                (tr("Context (tokens)"), f"{parcel.context:,}"),
                (tr("Chat template"), tr("yes") if parcel.chats else tr("none")),
            ])  # fmt: skip
        else:
            self.commands = ()
            self.note.setText(tr("Make a file on the page Quantize, or open one."))
        self.lines.set_rows([(tr(command.about), command.line) for command in self.commands])
        if self.commands:
            self.line.setText(self.commands[0].line)
        if self.text.toPlainText() != (text := self.modelfile()):
            self.text.setPlainText(text)
        self.text_says.setText(self._template_says(parcel))
        self._show_programs()
        self._show_trial()
        self.caption.setText(self.summary())

    def _template_says(self, parcel: Parcel | None) -> str:
        if parcel is None:
            return ""
        if parcel.turns is not None:
            return tr(
                "The model's chat template in Ollama's words; a test conversation reads the same in both."
            )
        if parcel.chats:
            return tr("The model's chat template cannot be said in Ollama's words: it goes on from a text.")
        return tr("The model has no chat template: it goes on from a text.")

    def _show_programs(self) -> None:
        rows = [(name, "✓" if path is not None else tr("not found")) for name, path in self.programs.items()]
        python = tr("installed") if has_llama_cpp_python() else tr("not installed")
        self.here.set_rows([*rows, ("llama-cpp-python", python)])

    def _show_trial(self) -> None:
        there = [name for name in TRIED if self.programs.get(name) is not None]
        for name, made in self.try_buttons.items():
            made.setEnabled(name in there and self.job is None and self.parcel is not None)
        self.stop_button.setEnabled(self.job is not None)
        self.missing.setVisible(not there)
        self.missing.setText(
            tr("Neither llama-completion (of llama.cpp) nor ollama is on this machine's PATH. Install one, "
               "or take the file to a machine that has it: the command lines are the same there.")
        )  # fmt: skip
        parts = (self.trial_says, self.ours_title, self.ours, self.theirs_title, self.theirs)
        for part in parts:
            part.setVisible(self.tried is not None)
        self.rest.setVisible(self.tried is None)
        if self.tried is None:
            return
        agreement = self.tried.agreement
        n = min(len(agreement.ours), len(agreement.theirs))
        self.trial_says.setText(
            tr("The first {same} of {n} tokens agree with {program}.", same=agreement.same, n=n,
               program=agreement.program)
        )  # fmt: skip
        self.theirs_title.setText(agreement.program)
        for chips, tokens in ((self.ours, self.tried.ours), (self.theirs, self.tried.theirs)):
            chips.set_values(list(tokens), np.full(len(tokens), np.nan), _says(tokens))
            chips.mark_id(None if agreement.whole else agreement.same)

    def summary(self) -> str:
        if self.parcel is None or self.prediction.asking:
            return ""
        if self._view == TRIAL and self.tried is not None:
            return self.trial_says.text()
        return tr(
            "{name}, {size}: llama.cpp, Ollama and LM Studio open it as it is; a click copies a line.",
            name=self.parcel.file.name, size=size_text(self.parcel.bytes),
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        said = tr("Yes.") if index == self._scene["right"] else tr("Not quite.")
        self.prediction.reveal(tr("{said} {more}", said=said, more=tr(self._scene["reveal"])))
        self._show()

    def numbers(self) -> Numbers:
        if self.prediction.asking:
            return (), ()
        if self._view == TRIAL and self.tried is not None:
            tokens = zip(self.tried.ours, self.tried.theirs, strict=False)
            return (tr("token"), tr("here"), self.tried.agreement.program), [
                (str(n), visible(a), visible(b)) for n, (a, b) in enumerate(tokens)
            ]
        return (tr("what for"), tr("line")), [(tr(c.about), c.line) for c in self.commands]

    def open_files(self, files: list[Path]) -> None:
        self.open(f"file:{files[0]}")

    def take_focus(self) -> None:
        self.lines.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        view = LINES if self.prediction.asking else self._view
        return {tr(VIEWS[view][0]): self._shown_as[view]}

    def save_state(self) -> dict[str, Any]:
        return {"file": self._wanted, "view": self._view, "prompt": self.prompt.text()}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("prompt"), str):
            self.prompt.setText(state["prompt"])
        if type(state.get("view")) is int and 0 <= state["view"] < len(VIEWS):
            self._view = state["view"]
            self.views.mark(self._view)
        if isinstance(state.get("file"), str):
            self._wanted = state["file"]


def ollama_name(stem: str) -> str:
    """A name as Ollama takes it.

    >>> ollama_name("Small-world-base-Q4_K_M"), ollama_name("模型")
    ('small-world-base-q4_k_m', 'model')
    """
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:60] or "model"


def _says(tokens: tuple[bytes, ...]) -> Any:
    return lambda place: f"“{visible(tokens[place])}”" if place < len(tokens) else ""
