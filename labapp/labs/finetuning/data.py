"""Data: the rows that a model is fine-tuned on, read, edited and added; and what it really sees of one.

Stages: `core.training.row_files.survey_rows`. A user's file is never written: changed rows make a new one.
What to notice: which tokens of the chat template are learned, and that a fault is named with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import once
from core.training.rows import Comparison, Demonstration, Row, Turn, answered
from core.training.rows import asked as turn_of
from labapp.labs.finetuning.models import model_choices, place_of, title_of
from labapp.pages import LabPage
from labapp.widgets.parts import WholeLabel, button, card, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.table import Column, Table
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from core.training.row_files import Surveyed
    from core.training.template_view import Laid
    from labapp.labs.finetuning import FinetuningLab

SETS = {
    "instructions": "The small world's demonstrations", "preferences": "The small world's comparisons",
    "rankings": "Short answers: 52 rankings for SmolLM2",
}  # fmt: skip
DRAWN_SETS = ("instructions", "preferences")
DRAWN = 300  # rows of the small world that are shown
CUT = 60  # characters of a cell


class DataPage(LabPage):
    """Rows in a table, the chosen one in fields, and its tokens."""

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.rows: list[Row] = []
        self.source = ""
        self.path: Path | None = None
        self.faults: tuple[str, ...] = ()
        self.unsaved = False
        self.model = "sft"
        self.laid: Laid | None = None
        self._row = -1
        self._build_controls()
        self._build_picture()
        self._build_details()

    def _build_controls(self) -> None:
        self.picker = Picker(tr("Rows"), self._choices)
        self.picker.picked.connect(self.choose)
        self.open_button = button(
            tr("Open a file…"), self._open, tip=tr("JSON Lines in TRL's formats; or drop one here")
        )
        self.add_button = button(tr("Add a row"), self.add, tip=tr("A copy of the chosen row, to be edited"))
        self.remove_button = button(
            tr("Remove the row"), self.remove, tip=tr("From the list here; no file changes")
        )
        self.save_button = button(
            tr("Save as a new file"), self.save, role="primary",
            tip=tr("Write all rows as JSON Lines into the workspace; your file stays as it is"),
        )  # fmt: skip
        self.use_button = button(tr("Train on these"), self.use, tip=tr("Choose these rows on the page Run"))
        self.about = label("", "small", wrap=True)
        self.fault_says = label("", "warning", wrap=True)
        self.controls = controls(
            field(tr("Rows"), self.picker, tr("What ships, or was saved here")), self.open_button, self.about,
            self.fault_says, self.add_button, self.remove_button, self.save_button, self.use_button,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.table = Table(
            tr("Rows"),
            [
                Column(tr("Line"), number=True), Column(tr("Prompt"), stretch=True),
                Column(tr("Answer"), stretch=True), Column(tr("Worse answer"), stretch=True),
            ],
        )  # fmt: skip
        self.table.row_chosen.connect(self.choose_row)
        self.chips = ValueChips(tr("The row in tokens; those that are trained on are colored"))
        self.model_picker = Picker(tr("Model whose template is shown"), lambda: model_choices(self.context))
        self.model_picker.picked.connect(self.choose_model)
        self.model_picker.setFixedWidth(140)
        self.tokens_say = WholeLabel("", "small")
        self.worse_button = button(
            tr("Worse"), self._lay_out, tip=tr("Show the tokens of the worse answer"), role="sample"
        )
        self.worse_button.setCheckable(True)
        head = QHBoxLayout()
        head.addWidget(label(tr("What the model reads"), "heading"))
        head.addWidget(self.tokens_say, 1)
        head.addWidget(self.worse_button)
        head.addWidget(self.model_picker)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(card(self.table, margin=4, grows=self.table), 3)
        layout.addWidget(card(head, self.chips, spacing=4, grows=self.chips), 2)

    def _build_details(self) -> None:
        self.fields: dict[str, QPlainTextEdit] = {}
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        column.addWidget(label(tr("The chosen row"), "heading"))
        for name, title in (
            ("prompt", "Prompt"), ("chosen", "Answer"), ("rejected", "Worse answer (empty: none)")
        ):  # fmt: skip
            made = QPlainTextEdit()
            made.setTabChangesFocus(True)
            self.fields[name] = made
            column.addWidget(field(tr(title), made, tr("Edit it, then press Change")), 1)
        self.change_button = button(
            tr("Change"), self.change, tip=tr("Take what stands in the fields into the row")
        )
        column.addWidget(self.change_button)

    # Rows.

    def _choices(self) -> list[Choice]:
        found = [Choice(name, tr(title), tr("With LLM Lab")) for name, title in SETS.items()]
        for info in self.context.workspace.works("rows"):
            file = info.folder / "rows.jsonl"
            if file.is_file():
                found.append(Choice(str(file), info.name, tr("Saved here")))
        for one in self.context.workspace.artifacts("preferences"):
            for file in sorted(one.folder.glob("*.jsonl")):
                found.append(Choice(str(file), f"{one.name}: {file.name}", tr("Rankings")))
        return found

    def shown(self) -> None:
        if not self.rows and not self.source:
            self.choose("preferences")

    def choose(self, key: str) -> None:
        """Show a shipped set, or a file."""
        self.lab.attempt(self._choose, key)

    def _choose(self, key: str) -> None:
        def stage() -> Any:
            from core.training.finetune_plans import shipped_rankings
            from core.training.row_files import drawn_rows, survey_rows

            if key in DRAWN_SETS:
                return drawn_rows(key, DRAWN)
            return survey_rows(shipped_rankings() if key == "rankings" else Path(key))

        self.source = key
        self.lab.ask("rows", stage, tr("Reading rows"), self._take)

    def _take(self, made: Surveyed) -> None:
        key = self.source
        self.rows, self.faults, self.unsaved = list(made.rows), made.faults, False
        self.path = None if key in SETS else Path(key)
        self.picker.set_title(tr(SETS[key]) if key in SETS else Path(key).name)
        self._row = 0 if self.rows else -1
        self._show()

    def open_files(self, files: list[Path]) -> None:
        self.choose(str(files[0]))

    def _open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self.controls.window(), tr("Choose rows"), "", "*.jsonl *.json")
        if name:
            self.choose(name)

    def choose_row(self, n: int) -> None:
        """Take a row."""
        self._row = n
        row = self.rows[n] if 0 <= n < len(self.rows) else None
        texts = _texts(row) if row is not None else ("", "", "")
        for made, text in zip(self.fields.values(), texts, strict=True):
            made.setPlainText(text)
        self.worse_button.setVisible(isinstance(row, Comparison))
        self._lay_out()

    def change(self) -> None:
        """Take what stands in the fields into the row."""
        self.lab.attempt(self._change)

    def _change(self) -> None:
        prompt, chosen, rejected = (made.toPlainText() for made in self.fields.values())
        if not prompt.strip() or not chosen.strip():
            raise LabError(tr("A row needs a prompt and an answer."), tr("Write both."))
        kind = type(self.rows[0]) if self.rows else (Comparison if rejected.strip() else Demonstration)
        if kind is Comparison and (not rejected.strip() or rejected == chosen):
            raise LabError(
                tr("These rows are comparisons: the worse answer is missing, or the same as the better one."),
                tr("Write another one."),
            )
        if kind is Demonstration and rejected.strip():
            raise LabError(
                tr("These rows are demonstrations: they have one answer."), tr("Empty the last field.")
            )
        line = self.rows[self._row].line if self._row >= 0 else 0
        made: Row = Demonstration(turn_of(prompt), answered(chosen), line)
        if kind is Comparison:
            made = Comparison(turn_of(prompt), answered(chosen), answered(rejected), line)
        if self._row >= 0:
            self.rows[self._row] = made
        else:
            self.rows, self._row = [made], 0
        self.unsaved = True
        self._show()

    def add(self) -> None:
        """Add a copy of the chosen row."""
        if self._row >= 0:
            self.rows.insert(self._row + 1, self.rows[self._row])
            self._row += 1
            self.unsaved = True
            self._show()

    def remove(self) -> None:
        """Take the chosen row out of the list."""
        if self._row >= 0:
            self.rows.pop(self._row)
            self._row = min(self._row, len(self.rows) - 1)
            self.unsaved = True
            self._show()

    def save(self) -> None:
        """Write all rows as a new file into the workspace."""
        self.lab.attempt(self._save)

    def _save(self) -> Path:
        from core.training.row_files import write_rows

        name = tr("{name}, changed", name=self.picker.title.removesuffix(tr(", changed")))
        with self.context.workspace.new_work("rows", name[:200]) as work:
            file = work.folder / "rows.jsonl"
            write_rows(file, self.rows)
        self.source, self.path, self.unsaved = str(file), file, False
        self.picker.set_title(name)
        self._show()
        self.lab.frame.messages.show_note(tr("{n:,} rows are in {path}", n=len(self.rows), path=file))
        return file

    def use(self) -> None:
        """Choose these rows on the page Run."""
        if self.source in DRAWN_SETS and not self.unsaved:
            self.lab.run.form.kind.set_values({"kind": self.source})
            self.lab.run.form.show_facts()
        else:
            file = self.path
            if self.unsaved or file is None:
                file = self.lab.attempt(self._save)
            if file is None:
                return
            self.lab.run.form.choose_file(file)
        self.lab.frame.show_page("run")

    # What is shown.

    def _show(self) -> None:
        self.table.set_rows([_cells(n, row) for n, row in enumerate(self.rows)], self._row)
        self.about.setText(self._summary())
        self.fault_says.setVisible(bool(self.faults))
        if self.faults:
            more = tr(" … and {n:,} more.", n=len(self.faults) - 4) if len(self.faults) > 4 else ""
            words = "; ".join(self.faults[:4])
            self.fault_says.setText(
                tr("{n:,} rows are left out: {words}.{more}", n=len(self.faults), words=words, more=more)
            )
        for part in (self.add_button, self.remove_button, self.save_button, self.use_button):
            part.setEnabled(bool(self.rows))
        self.choose_row(self._row)

    def _summary(self) -> str:
        compared = bool(self.rows) and isinstance(self.rows[0], Comparison)
        kinds = tr("comparisons") if compared else tr("demonstrations")
        parts = [tr("{n:,} {kinds}.", n=len(self.rows), kinds=kinds)]
        if self.source in DRAWN_SETS:
            parts.append(tr("The first of those that a run draws."))
        if self.unsaved:
            parts.append(tr("Changed, not saved."))
        return " ".join(parts)

    def choose_model(self, key: str) -> None:
        """Show the template of another model."""
        self.model = key
        self._lay_out()

    def _lay_out(self) -> None:
        self.model_picker.set_title(title_of(self.context, self.model))
        if not 0 <= self._row < len(self.rows):
            self.chips.set_values([], np.zeros(0), lambda _: "")
            return
        row, worse = self.rows[self._row], self.worse_button.isChecked()
        self.lab.attempt(self._ask_laid, row, worse)

    def _ask_laid(self, row: Row, worse: bool) -> None:
        place = place_of(self.context, self.model)

        def laid() -> Laid:
            from core.training.template_view import lay_out

            return lay_out(row, place, worse)

        self.lab.ask("template", lambda: once(laid), tr("Laying out the row"), self._show_laid)

    def _show_laid(self, laid: Laid) -> None:
        self.laid = laid
        values = np.array([1.0 if n >= laid.begin else np.nan for n in range(len(laid.tokens))])
        self.chips.set_values(list(laid.tokens), values, self._describe)
        self.tokens_say.setText(
            tr("{m:,} of {n:,} tokens are trained on", n=len(laid.ids), m=len(laid.ids) - laid.begin)
        )

    def _describe(self, n: int) -> str:
        laid = self.laid
        if laid is None or not 0 <= n < len(laid.ids):
            return ""
        trained = tr("trained on") if n >= laid.begin else tr("only read")
        return tr("id {id:,}, {trained}", id=laid.ids[n], trained=trained)

    def take_focus(self) -> None:
        self.table.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("A row in tokens"): self.chips}

    def save_state(self) -> dict[str, Any]:
        return {"source": self.source, "row": self._row, "model": self.model}

    def restore_state(self, state: dict[str, Any]) -> None:
        source = state.get("source")
        if isinstance(state.get("model"), str):
            self.model = state["model"]
        if isinstance(source, str) and (source in SETS or Path(source).is_file()):
            self.choose(source)


def _texts(row: Row) -> tuple[str, str, str]:
    if isinstance(row, Demonstration):
        return _plain(row.prompt), _plain(row.completion), ""
    return _plain(row.prompt), _plain(row.chosen), _plain(row.rejected)


def _plain(said: str | tuple[Turn, ...]) -> str:
    return said if isinstance(said, str) else "\n".join(turn.content for turn in said)


def _cells(n: int, row: Row) -> tuple[str, ...]:
    texts = [text.replace("\n", " ") for text in _texts(row)]
    cut = [text if len(text) <= CUT else f"{text[: CUT - 1]}…" for text in texts]
    return (f"{row.line or n + 1:,}", *cut)
