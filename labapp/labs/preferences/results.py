"""Read what people said: do they agree, which model is better, can the answers be trusted, what comes of it.

What to notice: every figure has an interval and a plain word, what is undefined is said, and no person is
judged in a small group. Stage: `reading.read_all` over `core.preferences`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from core.preferences.texts import prompt_text
from core.stages import once
from labapp.handoff import Handoff
from labapp.labs.preferences.dataset import Dataset
from labapp.labs.preferences.item_view import ItemView
from labapp.labs.preferences.reading import Measured, figure, percent, quality_rows, read_all, short_names
from labapp.labs.preferences.win_matrix import WinMatrix
from labapp.pages import PicturePage
from labapp.widgets.interval_rows import IntervalRow, IntervalRows
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, controls, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.artifacts import Artifact
    from labapp.labs.preferences import PreferencesLab

VIEWS = (
    ("Agreement", "How far people agree"), ("Strengths", "Which model is better, and is it real"),
    ("Wins", "Who beats whom"), ("Quality", "Whether the answers can be trusted"),
    ("Look together", "Prompts with the widest disagreement"), ("Dataset", "Export, and train on these"),
)  # fmt: skip
AGREEMENT, STRENGTHS, WINS, QUALITY, TOGETHER, DATASET = range(6)
STRENGTH_WORDS = (
    "A strength is in nats, 0 on average: a model that is 1 nat stronger wins 73 times in a hundred. "
    "Bradley–Terry (BT) counts every two answers of a ranking, a tie as half a win each; Plackett–Luce (PL) "
    "takes a ranking as a whole. Lines are 95 % intervals; prompts are drawn with replacement. Where an "
    "interval of a difference holds 0, the difference may be chance."
)
DATASET_WORDS = (
    "TRL’s preference format has a prompt, a chosen and a rejected answer in each row; ties are not in it. "
    "Held-out rows are of other prompts than those to learn from. Everything written is read back before it "
    "is said to be written."
)
PERSON = ("Answers", "Checks right", "With the others", "With oneself", "Too fast")
MOST_LISTED = 200  # prompts with disagreement that are listed


class ResultsPage(PicturePage):
    """Counts on the left, figures in the middle, one prompt with all its rankings at the right."""

    def __init__(self, lab: PreferencesLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.measured: Measured | None = None
        self._mark: tuple[str, int] = ("", -1)  # task and the mark that was measured
        self.task = label("", "heading", wrap=True)
        self.counts = label("", "secondary", wrap=True)
        self.note = label("", "small", wrap=True)
        self.again = button(tr("Read again"), self.read, tip=tr("Measure what was said meanwhile"))
        self.details = self.item_view = ItemView()
        self.controls = controls(self.task, self.counts, self.again, self.note)
        self._build_picture()

    def _build_picture(self) -> None:
        self.views = ViewButtons(VIEWS, self.show_view)
        self.agreement = IntervalRows(tr("Agreement"), (-1, 1), "")
        self.agreement_table = Table(
            tr("Agreement"),
            [
                Column(tr("Measure")),
                Column(tr("Value"), number=True),
                Column(tr("95 % interval"), number=True),
                Column(tr("Prompts"), number=True),
                Column(tr("What it means"), stretch=True),
            ],
        )
        self.strengths = IntervalRows(tr("Strengths"), (-1, 1), tr("nats"))
        self.strengths_table = Table(
            tr("Is the difference real?"),
            [
                Column(tr("Two models"), stretch=True),
                Column(tr("Wins"), number=True),
                Column(tr("Difference"), number=True),
                Column(tr("95 % interval"), number=True),
                Column(tr("Real?")),
            ],
        )
        self.matrix = WinMatrix()
        self.cycles = label("", "small", wrap=True)
        self.quality = Table(
            tr("Quality"),
            [Column(tr("What")), Column(tr("Value"), number=True), Column(tr("What it means"), stretch=True)],
        )
        self.people = Table(
            tr("Person by person"),
            [
                Column(tr("Person"), stretch=True),
                *(Column(tr(name), number=True) for name in PERSON),
            ],
        )
        self.together = Table(
            tr("Prompts with the widest disagreement"),
            [Column(tr("Prompt"), stretch=True), Column(tr("Same relation"), number=True)],
        )
        self.together.row_chosen.connect(self._chosen)
        self.dataset = Dataset(self._preview, self.ask_to_export, self.train)
        for table in (self.agreement_table, self.strengths_table, self.quality, self.people, self.together):
            table.setToolTip(tr("Ctrl+C copies the rows"))
        self.stack = QStackedWidget()
        for parts in (
            (self.agreement, self.agreement_table), (self.strengths, self.strengths_table),
            (self.matrix, self.cycles), (self.quality, self.people), (self.together,), (self.dataset,),
        ):  # fmt: skip
            page = QWidget()
            column = QVBoxLayout(page)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(8)
            for part in parts:
                column.addWidget(part, 0 if part is self.cycles else 1)
            self.stack.addWidget(page)
        self.caption = label("", "", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.views)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self.caption)

    # Reading.

    def shown(self) -> None:
        self.lab.rank.shown()
        self.read_if_new()

    def read_if_new(self) -> None:
        """Measure where something was said since the last time."""
        opened = self.lab.rank.desk.opened
        if opened is not None and self._mark != (opened.key, opened.store.mark()):
            self.read()

    def read(self) -> None:
        """Read and measure the task that is open."""
        opened = self.lab.rank.desk.opened
        if opened is None:
            return
        self._mark = (opened.key, opened.store.mark())
        store = opened.store
        self.lab.ask("results", lambda: read_all(store), tr("Measuring the rankings"), self._take)

    def _take(self, measured: Measured) -> None:
        self.measured = measured
        results, work = measured.results, measured.results.work()
        self.task.setText(results.task.name)
        parts = [
            tr("{n:,} rankings by {p:,} people", n=len(work), p=len({one.annotator for one in work})),
            tr("{n:,} prompts ranked by two people or more", n=measured.agreement.items),
            tr("{n:,} passed over", n=len(results.skips)),
        ]  # fmt: skip
        if results.withdrawn:
            parts.append(tr("{n:,} withdrew and are left out", n=results.withdrawn))
        self.counts.setText("\n".join(parts))
        self.note.setText("\n".join(dict.fromkeys([measured.agreement.no_pairs, measured.quality.no_people])))
        self._show_agreement(measured)
        self._show_strengths(measured)
        self._show_quality(measured)
        items = results.items
        listed = measured.quality.disagreement[:MOST_LISTED]
        self.together.set_rows([(prompt_text(items[id].prompt)[:80], percent(share)) for id, share in listed])
        self._preview()
        self.show_view(self.stack.currentIndex())

    def _show_agreement(self, measured: Measured) -> None:
        overall = measured.agreement.overall
        self.agreement.set_rows([IntervalRow(tr(m.title), m.value, m.low, m.high, m.why) for m in overall])
        self.agreement_table.set_rows(
            [
                (tr(m.title), figure(m.value), _interval(m.low, m.high), f"{m.n:,}", tr(m.means or m.why))
                for m in overall
            ]
        )

    def _show_strengths(self, measured: Measured) -> None:
        found = measured.strengths
        if found is None:
            self.strengths.set_rows([])
            self.strengths_table.set_rows([(measured.why, "", "", "", "")])
            self.matrix.set_wins((), (), ())
            self.cycles.setText(measured.why)
            return
        short = dict(zip(found.models, short_names(found.models), strict=True))
        self.strengths.set_rows(
            [
                IntervalRow(f"{short[one.model]} · {fit}", one.value, one.low, one.high, found.why)
                for fit, fitted in (("BT", found.bradley_terry), ("PL", found.plackett_luce))
                for one in fitted
            ]
        )
        self.strengths_table.set_rows(
            [
                (
                    f"{short[one.model]} – {short[one.other]}",
                    percent(one.wins),
                    figure(one.value),
                    _interval(one.low, one.high),
                    tr("yes") if one.real else tr("may be chance"),
                )
                for one in found.differences
            ]
        )
        self.matrix.set_wins(short_names(found.models), found.wins, found.games)
        round_ = "; ".join(" > ".join([*cycle, cycle[0]]) for cycle in found.cycles)
        text = (
            tr("Preferences go round: {cycles}.", cycles=round_)
            if round_
            else tr("No three models go round.")
        )
        text += " " + tr("Prompts whose answers go round by majority: {n:,}.", n=len(found.item_cycles))
        self.cycles.setText(text)

    def _show_quality(self, measured: Measured) -> None:
        quality, people = measured.quality, measured.results.people
        twice = {p.name for p in people if [q.name for q in people].count(p.name) > 1}
        names = {p.id: f"{p.name} ({p.id[:4]})" if p.name in twice else p.name for p in people}
        self.quality.set_rows(quality_rows(quality))
        self.people.setVisible(bool(quality.people))
        self.people.set_rows(
            [(names.get(one.annotator, one.annotator), f"{one.answers:,}", percent(one.gold.value),
              percent(one.with_others.value), figure(one.consistency), percent(one.hasty.value))
             for one in quality.people]
        )  # fmt: skip

    def _chosen(self, row: int) -> None:
        measured = self.measured
        if measured is None or row >= len(measured.quality.disagreement):
            return
        id = measured.quality.disagreement[row][0]
        given = [one.ranks() for one in measured.results.work() if one.item_id == id]
        ranks = {
            output.id: ", ".join(str(ranks[output.id] + 1) for ranks in given if output.id in ranks)
            for output in measured.results.items[id].outputs
        }
        self.item_view.show_ranked(measured.results.items[id], ranks)

    # The dataset.

    def _preview(self) -> None:
        measured = self.measured
        settings = self.lab.attempt(self.dataset.settings)
        if measured is None or settings is None:
            return
        from core.preferences.exporting import preview

        self.lab.ask(
            "preview", lambda: once(lambda: preview(measured.results, settings)), tr("Counting"),
            self.dataset.show_preview,
        )  # fmt: skip

    def ask_to_export(self) -> None:
        """Ask for a folder and write all formats into it."""
        chosen, _ = QFileDialog.getSaveFileName(
            self.lab.window(), tr("A new folder for the dataset"), str(Path.home() / "preferences")
        )
        if chosen:
            self.lab.attempt(self.export_to, Path(chosen))

    def export_to(self, folder: Path) -> None:
        """Write all formats into a new folder; it is read back."""
        from core.preferences.exporting import export_dataset

        measured, settings = self.measured, self.dataset.settings()
        if measured is not None:
            results, say = measured.results, self.lab.frame.messages.show_note
            text = tr("Written to {folder} and read back.", folder=folder)
            self.lab.ask(
                "export", lambda: export_dataset(results, folder, settings), tr("Writing the dataset"),
                lambda _: say(text),
            )  # fmt: skip

    def train(self) -> None:
        """Keep a snapshot as an artifact and open it in fine-tuning."""
        self.lab.attempt(self._train)

    def _train(self) -> None:
        from core.preferences.publishing import publish_preferences

        measured, settings, workspace = self.measured, self.dataset.settings(), self.context.workspace
        if measured is not None:
            name = measured.results.task.name
            self.lab.ask(
                "publish", lambda: publish_preferences(workspace, measured.results, name, settings),
                tr("Keeping a snapshot"), self._published,
            )  # fmt: skip

    def _published(self, artifact: Artifact) -> None:
        self.context.published(artifact)
        handoff = Handoff(artifact_id=artifact.id)
        labs = [name for name, _ in self.context.labs_for(handoff)]
        if "finetuning" in labs:
            self.context.open_in("finetuning", handoff)
        else:
            text = tr("“{name}” is in the workspace: fine-tuning takes it.", name=artifact.name)
            self.lab.frame.messages.show_note(text)

    # What is shown.

    def show_view(self, view: int) -> None:
        """Show one of the views."""
        self.stack.setCurrentIndex(view)
        self.views.mark(view)
        self.caption.setText(self.summary())
        self.caption.setVisible(bool(self.caption.text()))
        self.item_view.show_words(*self._words(view))

    def _words(self, view: int) -> tuple[str, str]:
        """What the figures of a view mean: a heading, and plain words."""
        measured = self.measured
        if measured is None:
            return tr("What it means"), ""
        if view == AGREEMENT:
            said = [(m.title, figure(m.value), m.means or m.why) for m in measured.agreement.overall]
            return tr("What it means"), "\n\n".join(f"{tr(a)}: {b}\n{tr(c)}" for a, b, c in said)
        if view in (STRENGTHS, WINS):
            return tr("What it means"), measured.why or tr(STRENGTH_WORDS)
        if view == QUALITY:
            return tr("What it means"), "\n\n".join(
                f"{a}: {b}\n{c}" for a, b, c in quality_rows(measured.quality)
            )
        if view == TOGETHER:
            return tr("One prompt"), tr("Choose one in the table to see what everybody said.")
        return tr("Where it goes"), tr(DATASET_WORDS)

    def numbers(self) -> Numbers:
        if self.measured is None:
            return (), ()
        tables = {
            AGREEMENT: self.agreement_table, STRENGTHS: self.strengths_table, QUALITY: self.quality,
            TOGETHER: self.together, DATASET: self.dataset.counts,
        }  # fmt: skip
        view = self.stack.currentIndex()
        if view == WINS:
            models = self.matrix.models
            return ("", *models), [
                (name, *(percent(self.matrix.share(i, j)) for j in range(len(models))))
                for i, name in enumerate(models)
            ]
        rows = tables[view].rows
        return tuple(c.title for c in rows.columns), [tuple(rows.row(i)) for i in range(rows.rowCount())]

    def summary(self) -> str:
        if self.measured is None:
            return tr("Nothing is measured yet.")
        if self.stack.currentIndex() == AGREEMENT:
            if not self.measured.agreement.items:
                return tr("Agreement needs two people who ranked the same prompt.")
            same = self.measured.agreement.overall[0]
            return f"{tr(same.title)}: {figure(same.value)}. {tr(same.means or same.why)}"
        if self.stack.currentIndex() in (STRENGTHS, WINS):
            found = self.measured.strengths
            if found is None or not found.models:
                return self.measured.why
            real = sum(one.real for one in found.differences)
            return tr(
                "{model} is ahead. {n:,} of {all:,} differences are more than chance.",
                model=found.models[0], n=real, all=len(found.differences),
            )  # fmt: skip
        return ""

    def take_focus(self) -> None:
        self.again.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        name = tr(VIEWS[self.stack.currentIndex()][0])
        return {name: self.stack.currentWidget() or self.stack}

    def save_state(self) -> dict[str, Any]:
        return {"view": self.stack.currentIndex()}

    def restore_state(self, state: dict[str, Any]) -> None:
        if state.get("view") in range(len(VIEWS)):
            self.show_view(state["view"])


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{figure(low)} … {figure(high)}"
