"""Analogies by the dozen: for each kind of relation, how often the expected word comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from labapp.runner import Slot
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.analogies import Scored
    from labapp.labs.embeddings.analogy import AnalogyPage


class SuiteTable(QWidget):
    """A button that asks all questions, one line of figures for each relation, and the questions of one of
    them."""

    def __init__(self, page: AnalogyPage) -> None:
        super().__init__()
        self.scored: list[Scored] = []
        self._page = page
        self.go = button(
            tr("Ask all questions"), self.ask, tip=tr("Every two pairs of a relation make a question")
        )
        self.says = label(tr("Nothing is computed yet."), "small", wrap=True)
        self.table = Table(
            tr("Relations"),
            [
                Column(tr("Relation"), stretch=True),
                Column(tr("First"), number=True),
                Column(tr("n"), number=True),
                Column(tr("95 % interval"), number=True),
                Column(tr("In first 5"), number=True),
                Column(tr("Inputs allowed"), number=True),
            ],
        )
        self.table.row_chosen.connect(self._show_questions)
        self.questions = Table(
            tr("Questions of the relation"),
            [
                Column(tr("Question"), stretch=True), Column(tr("Expected")), Column(tr("Came first")),
                Column(tr("Place"), number=True),
            ],
        )  # fmt: skip
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.go)
        row.addWidget(self.says, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self.table, 1)
        column.addWidget(self.questions, 1)

    def clear(self) -> None:
        """Other vectors: what was asked is no more true."""
        self.scored = []
        self.table.set_rows([])
        self.questions.set_rows([])
        self.says.setText(tr("Nothing is computed yet."))

    def ask(self) -> None:
        """Ask all questions of all relations."""
        page = self._page
        if page.opened is None:
            return
        from core.embeddings.analogies import score_suites

        space = page.opened.space(page.centering.currentData())
        self.clear()
        page.context.runner.start(
            Slot(page.lab.name, "suites"),
            lambda: score_suites(space),
            title=tr("Asking analogies"),
            on_events=self._on_events,
            on_end=page.lab.show_failure,
        )

    def _on_events(self, events: list[Any]) -> None:
        self.scored += [event for event in events if hasattr(event, "asked")]
        self.table.set_rows(
            [
                (
                    tr(s.title),
                    f"{100 * s.share:.0f} %",
                    f"{s.n:,}",
                    f"{100 * s.low:.0f} – {100 * s.high:.0f} %",
                    f"{100 * s.in_five / max(1, s.n):.0f} %",
                    f"{100 * s.right_with_inputs / max(1, s.n):.0f} %",
                )
                for s in self.scored
            ]
        )
        self.says.setText(self.summary())
        if self.scored and self.questions.rows.rowCount() == 0:
            self._show_questions(0)

    def _show_questions(self, at: int) -> None:
        scored = self.scored[at]
        asked = sorted(scored.asked, key=lambda one: one.right)
        rows = [(f"{q.b} − {q.a} + {q.c}", q.expected, q.got, f"{q.rank:,}") for q in asked]
        self.questions.set_rows(rows)

    def summary(self) -> str:
        """The figures in a sentence."""
        if not self.scored:
            return tr("Nothing is computed yet.")
        n, right = sum(s.n for s in self.scored), sum(s.right for s in self.scored)
        with_inputs = sum(s.right_with_inputs for s in self.scored)
        missing = sum(len(s.missing) for s in self.scored)
        says = tr(
            "{right:,} of {n:,} questions have the expected word first, input words left out; {w:,} "
            "with them allowed. "
            "Questions share pairs of words: the intervals are too narrow. {origin}.",
            right=right,
            n=n,
            w=with_inputs,
            origin=self.scored[0].said.capitalize(),
        )
        if missing:
            says += " " + tr("{n} words are not one token here: their pairs are left out.", n=missing)
        return says

    def numbers(self) -> Numbers:
        """The figures as a table."""
        columns = [column.title for column in self.table.rows.columns]
        return columns, [self.table.rows.row(i) for i in range(self.table.rows.rowCount())]
