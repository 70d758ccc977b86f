"""Make a task: prompts, answers to rank (sampled here, or brought along), guidelines; hand it out as a file.

What to notice: equal answers become one card, an answer that names its model is marked, and models are left
out of the file that people are given. Stage: `core.preferences.sampling`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.preferences.sampling_settings import SampleSettings
from core.preferences.texts import prompt_text
from core.problems import LabError
from core.stages import Finished, once
from labapp.labs.preferences.add_model import AddModel
from labapp.labs.preferences.item_view import ItemView
from labapp.labs.preferences.making import Making, Place, sample_all
from labapp.labs.preferences.rules import Rules
from labapp.labs.preferences.tasks import add_task
from labapp.labs.preferences.unfinished import Unfinished
from labapp.pages import PicturePage
from labapp.runner import Done, Job, Outcome, Slot
from labapp.widgets.form import SettingsForm
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.importing import Imported
    from labapp.labs.preferences import PreferencesLab

FORMS = (
    ("lines", "A prompt a line"),
    ("paragraphs", "A prompt a paragraph"),
    ("csv", "CSV"),
    ("jsonl", "JSON Lines"),
)
VIEWS = (
    ("Prompts", "What is asked"),
    ("Answers", "What is to be ranked"),
    ("Rules", "Guidelines, and how it is ranked"),
)
PROMPTS, ANSWERS, RULES = range(3)
FILE = "file"  # the picker's key for a file
SHOWN = 60  # characters of a prompt in a table


class MakePage(PicturePage):
    """Sources and sampling on the left, what comes of it in the middle, one prompt at the right."""

    def __init__(self, lab: PreferencesLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.making = Making()
        self.unfinished = Unfinished(self.context.workspace)
        self.job: Job | None = None
        self._left = True
        self._build_controls()
        self._build_picture()
        self.details = self.item_view = ItemView()
        unfinished = self.unfinished
        self.picture.destroyed.connect(lambda: unfinished.close())
        self._show()

    # Assembly.

    def _build_controls(self) -> None:
        self.source = Picker(tr("Prompts"), self._sources)
        self.source.set_title(tr("Typed or pasted"))
        self.source.picked.connect(self.take_source)
        self.add = AddModel(self.context, self.lab.name)
        self.add.added.connect(self.add_place)
        self.places = label("", "small", wrap=True)
        self.clear = button(tr("None"), self.clear_places, tip=tr("Sample from no model"), role="sample")
        self.form = SettingsForm(SampleSettings, ("outputs", "max_tokens", "temperatures", "seed"), columns=2)
        tip = tr("Have the models answer every prompt; it can be stopped and gone on with")
        self.sample = button(tr("Sample"), self.start_or_stop, tip=tip, role="primary")
        self.name = QLineEdit(tr("My task"))
        self.name.setMaxLength(200)
        self.make = button(
            tr("Make the task"), self.make_task, tip=tr("Keep it in the workspace and rank it")
        )
        tip = tr("Write the open task as one file for the people who rank; models are left out")
        self.export = button(tr("Hand out…"), self.ask_to_export, tip=tip)
        models, go, end = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        models.addWidget(self.places, 1)
        models.addWidget(self.clear, 0, Qt.AlignmentFlag.AlignTop)
        go.addWidget(self.sample)
        go.addStretch(1)
        end.addWidget(self.make)
        end.addWidget(self.export)
        self.controls = controls(
            field(tr("Prompts from"), self.source), field(tr("Models"), self.add), models, self.form, go,
            field(tr("Name of the task"), self.name, tr("As people will call it")), end,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.views = ViewButtons(VIEWS, self.show_view)
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(tr("Prompts"))
        self.text.setToolTip(tr("Type or paste prompts here, then take them"))
        self.text.setPlaceholderText(tr("Type or paste prompts here"))
        self.text.setTabChangesFocus(True)
        self.form_box = QComboBox()
        for name, title in FORMS:
            self.form_box.addItem(tr(title), name)
        self.form_box.setAccessibleName(tr("How the text is read"))
        self.form_box.setToolTip(tr("How the text is read"))
        tip = tr("Read the text whole; where a line is at fault, nothing is taken")
        self.take = button(tr("Take these prompts"), self.take_text, tip=tip, role="primary")
        self.faults = Table(
            tr("What is wrong"), [Column(tr("Line"), number=True), Column(tr("What is wrong"), stretch=True)]
        )
        self.faults.setToolTip(tr("Lines to be mended; nothing was taken"))
        self.faults.hide()
        row = QHBoxLayout()
        row.addWidget(self.form_box)
        row.addWidget(self.take)
        row.addStretch(1)
        prompts = QWidget()
        column = QVBoxLayout(prompts)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text, 2)
        column.addLayout(row)
        column.addWidget(self.faults, 1)
        self.items = Table(
            tr("Prompts and their answers"),
            [
                Column(tr("No."), number=True),
                Column(tr("Prompt"), stretch=True),
                Column(tr("Answers"), number=True),
                Column(tr("Look at")),
            ],
        )
        self.items.setToolTip(tr("Choose a prompt to read its answers"))
        self.items.row_chosen.connect(self._chosen)
        self.rules = Rules(self._new_version)
        self.stack = QStackedWidget()
        for page in (prompts, self.items, self.rules):
            self.stack.addWidget(page)
        self.caption = label("", "", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.views)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self.caption)

    # Prompts.

    def _sources(self) -> list[Choice]:
        from core.preferences.shipped import shipped_sets

        sets = [Choice(one.name, tr(one.title), tr("Shipped"), tip=tr(one.about)) for one in shipped_sets()]
        return [*sets, Choice(FILE, tr("A file…"), tr("Yours"), tip=tr("Text, CSV or JSON Lines"))]

    def take_source(self, key: str) -> None:
        """Take a shipped set, or ask for a file."""
        if key == FILE:
            name, _ = QFileDialog.getOpenFileName(
                self.lab.window(), tr("Open prompts"), "", "*.txt *.csv *.tsv *.jsonl"
            )
            if name:
                self.open_files([Path(name)])
            return
        from core.preferences.shipped import load_shipped_prompts, shipped_sets

        title = next(one.title for one in shipped_sets() if one.name == key)
        self.lab.ask(
            "prompts", lambda: once(lambda: load_shipped_prompts(key)), tr("Reading prompts"),
            lambda prompts: self._take(prompts, tr(title)),
        )  # fmt: skip

    def open_files(self, files: list[Path]) -> None:
        from core.preferences.importing import read_prompts

        path = files[0]
        self.lab.ask(
            "prompts", lambda: once(lambda: read_prompts(path)), tr("Reading {name}", name=path.name),
            lambda found: self._take_imported(found, path.name),
        )  # fmt: skip

    def add_text(self, prompt: str) -> None:
        """Add a prompt to those that are typed or pasted; it is taken with them."""
        before = self.text.toPlainText().rstrip("\n")
        form = "paragraphs" if "\n" in prompt.strip() else "lines"
        self.form_box.setCurrentIndex(self.form_box.findData(form))
        gap = "\n\n" if form == "paragraphs" else "\n"
        self.text.setPlainText(gap.join(part for part in (before, prompt.strip()) if part))
        self.show_view(PROMPTS)

    def take_text(self) -> None:
        """Take what is typed or pasted."""
        from core.preferences.importing import read_prompts_text

        found = self.lab.attempt(read_prompts_text, self.text.toPlainText(), self.form_box.currentData())
        if found is not None:
            self._take_imported(found, tr("Typed or pasted"))

    def _take_imported(self, found: Imported, title: str) -> None:
        self.faults.setVisible(bool(found.faults))
        self.faults.set_rows([(f"{fault.line:,}", fault.text) for fault in found.faults])
        if found.faults:
            self.show_view(PROMPTS)
        prompts = self.lab.attempt(found.checked)
        if prompts is not None:
            self._take(prompts, title)

    def _take(self, prompts: Any, title: str) -> None:
        if self.job is not None:
            self.job.stop()
        try:
            self.making.take(prompts)
        except LabError as error:
            self.lab.frame.messages.show_problem(error)
            return
        self.source.set_title(title)
        self.show_view(ANSWERS)
        self._show()

    # Answers.

    def add_place(self, place: Place) -> None:
        """Sample from a model, too."""
        if all(known.key != place.key for known in self.making.places):
            self.making.places.append(place)
        self._show()

    def clear_places(self) -> None:
        """Sample from no model."""
        self.making.places.clear()
        self._show()

    def start_or_stop(self) -> None:
        """Sample, go on with it, or stop."""
        if self.job is not None:
            self.job.stop()
        else:
            self.lab.attempt(self._start)

    def _start(self) -> None:
        making, context = self.making, self.context
        settings = self.form.settings()
        if making.items and len(making.sampled) < len(making.prompts):
            making.sampled = []
        self.unfinished.begin(making, settings, self.source.title)
        try:
            self.job = context.runner.start(
                Slot(self.lab.name, "sample"),
                lambda: sample_all(context.models, making.places, making.prompts, settings, making.sampled),
                title=tr("Sampling answers"), heavy=True, on_events=self._on_events, on_end=self._on_end,
            )  # fmt: skip
        except LabError:
            self.unfinished.close()
            raise
        self._show()

    def _on_events(self, events: list[Any]) -> None:
        from core.preferences.sampling import Sampled

        fresh = [event for event in events if isinstance(event, Sampled)]
        self.making.sampled += fresh
        if fresh:
            self.lab.attempt(self.unfinished.add, fresh)
            self._show()

    def _on_end(self, outcome: Outcome) -> None:
        self.job = None
        self.unfinished.close()
        if isinstance(outcome, Done) and isinstance(outcome.finished, Finished):
            self.making.items = outcome.finished.result
            self.making.sampled = []
            self.lab.attempt(self.unfinished.drop)
            self.lab.frame.messages.show_note(outcome.finished.reason)
        self.lab.show_failure(outcome)
        self._show()

    # The task.

    def make_task(self) -> None:
        """Make the task and open it on the page Rank."""
        self.lab.attempt(self._make_task)

    def _make_task(self) -> None:
        task = self.making.task(
            self.name.text(), self.rules.guidelines.toPlainText(), self.rules.settings(),
            practice=self.rules.practice.isChecked(), gold=self.rules.gold.isChecked(),
        )  # fmt: skip
        workspace = self.context.workspace
        self.lab.ask(
            "make",
            lambda: once(lambda: add_task(workspace, task, task.id)),
            tr("Making the task"),
            self._made,
        )

    def _made(self, key: str) -> None:
        self.lab.rank.open(key)
        self.lab.frame.show_page("rank")

    def ask_to_export(self) -> None:
        """Ask for a name and write the task that is open."""
        opened = self.lab.rank.desk.opened
        if opened is None:
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self.lab.window(), tr("Hand out {task}", task=opened.store.task.name),
            f"{opened.store.task.name}.llmlab", "*.llmlab",
        )  # fmt: skip
        if chosen:
            self.lab.attempt(self.export_to, Path(chosen))

    def export_to(self, path: Path) -> None:
        """Write the task that is open as one file, which is read back."""
        from core.preferences.merging import task_of
        from core.preferences.task_files import write_task

        opened = self.lab.rank.desk.opened
        if opened is not None:
            path = path if path.suffix else path.with_suffix(".llmlab")
            write_task(task_of(opened.store), path, overwrite=True)
            self.lab.frame.messages.show_note(tr("Written and read back: {name}.", name=path.name))

    def _new_version(self) -> None:
        opened = self.lab.rank.desk.opened
        if opened is None:
            return
        made = self.lab.attempt(opened.store.new_guidelines, self.rules.guidelines.toPlainText())
        if made is not None:
            self.lab.rank.side.show_task(opened.store.task)
            text = tr(
                "Version {n} of the guidelines of “{task}”.", n=made.version, task=opened.store.task.name
            )
            self.lab.frame.messages.show_note(text)

    # What is shown.

    def show_view(self, view: int) -> None:
        """Show prompts, answers or rules."""
        self.stack.setCurrentIndex(view)
        self.views.mark(view)

    def shown(self) -> None:
        if self._left:  # once: what another window left is taken up
            self._left = False
            left = self.lab.attempt(self.unfinished.restore, self.making)
            if left is not None:
                self.source.set_title(left[0])
                self.form.set_values(left[1])
                self.show_view(ANSWERS)
        self._show()

    def _show(self) -> None:
        making = self.making
        names = ", ".join(place.title for place in making.places)
        self.places.setText(names or tr("No model yet: needed where prompts bring no answers."))
        self.clear.setVisible(bool(making.places))
        going, rest = self.job is not None, bool(making.sampled)
        self.sample.setText(tr("Stop") if going else tr("Go on") if rest else tr("Sample"))
        self.sample.setEnabled(going or (bool(making.prompts) and bool(making.places)))
        self.make.setEnabled(bool(making.items) and not going)
        opened = self.lab.rank.desk.opened
        self.export.setEnabled(opened is not None)
        self.rules.renew.setEnabled(opened is not None)
        self.items.set_rows(self.numbers()[1])
        self.caption.setText(self.summary())

    def numbers(self) -> Numbers:
        columns = (tr("No."), tr("Prompt"), tr("Answers"), tr("Look at"))
        made: dict[int, int] = {}
        for one in self.making.sampled:
            made[one.prompt_index] = made.get(one.prompt_index, 0) + 1
        if self.making.items and not self.making.sampled:
            return columns, [
                (f"{n:,}", prompt_text(item.prompt)[:SHOWN], str(len(item.outputs)),
                 "; ".join(mark for output in item.outputs for mark in output.marks))
                for n, item in enumerate(self.making.items, 1)
            ]  # fmt: skip
        return columns, [
            (f"{n + 1:,}", prompt_text(prompt.prompt)[:SHOWN], str(made.get(n, 0)), "")
            for n, prompt in enumerate(self.making.prompts)
        ]

    def summary(self) -> str:
        making = self.making
        if not making.prompts:
            return tr("No prompts yet. Choose a shipped set, open a file, or type some and take them.")
        if making.sampled or not making.items:
            done, total = len(making.sampled), len(making.prompts)
            return tr("{n:,} prompts; {done:,} answers were sampled so far.", n=total, done=done)
        text = tr("{n:,} prompts with their answers.", n=len(making.items))
        if making.marked:
            text += " " + tr(
                "Prompts with an answer that names a model: {n:,}; look at them.", n=making.marked
            )
        return text

    def _chosen(self, row: int) -> None:
        if row < len(self.making.items) and not self.making.sampled:
            self.item_view.show_item(self.making.items[row])
        elif row < len(self.making.prompts):
            of = [(one.text, one.maker) for one in self.making.sampled if one.prompt_index == row]
            self.item_view.show_texts(self.making.prompts[row].prompt, of)

    def take_focus(self) -> None:
        self.source.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Task in the making"): self.stack}

    def save_state(self) -> dict[str, Any]:
        return {
            "text": self.text.toPlainText(), "name": self.name.text(), "sampling": self.form.values(),
            "rules": self.rules.save_state(), "view": self.stack.currentIndex(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("text"), str):
            self.text.setPlainText(state["text"])
        if isinstance(state.get("name"), str):
            self.name.setText(state["name"])
        if isinstance(state.get("sampling"), dict):
            self.form.set_values(state["sampling"])
        if isinstance(state.get("rules"), dict):
            self.rules.restore_state(state["rules"])
        if state.get("view") in (PROMPTS, ANSWERS, RULES):
            self.show_view(state["view"])
