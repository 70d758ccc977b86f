"""Knowledge: what a checkpoint knows of the small world, and at which step of the run it came to know it.

Stage: `core.training.knowledge.score_steps`. What to notice: the loss falls evenly, the facts come one by one
and suddenly; the questions stand in no training text.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QComboBox, QMenu, QPlainTextEdit, QStackedWidget, QVBoxLayout, QWidget

from labapp.labs.training.model_choice import CheckpointPicker, Series, series_of
from labapp.pages import LabPage
from labapp.runner import Outcome, Slot
from labapp.widgets.export import add_picture_actions
from labapp.widgets.parts import ViewButtons, button, card, controls, field, flat_button, label
from labapp.widgets.table import Column, Table
from labapp.widgets.whiskers import Whisker, Whiskers
from labapp.words import tr

if TYPE_CHECKING:
    from core.evals.scored import Answer, Scored
    from core.training.knowledge import Gap, Known
    from labapp.labs.training import TrainingLab
    from labapp.labs.training.growth import Growth

QUESTIONS: tuple[int | None, ...] = (20, 40, 100, None)  # of each kind; all take 10 s a checkpoint
SHARES = (0.0, 0.3)  # of quizzes, in the experiment
VIEWS = (
    ("One checkpoint", "Every figure of the chosen checkpoint, with its 95 % interval and its bar"),
    ("Over the steps", "When each was learned: the shares of all scored checkpoints of the run"),
)
TITLES = {
    "P1": "a question, then another",
    "P2": "capitals, in new sentences",
    "P5": "whom “it” means",
    "P5 pairs": "… right both ways",
    "P5 head": "… a head looks there",
    "P6 king": "king − man + woman",
    "P6 gender pairs": "he and she, by analogy",
    "P6 capitals": "capitals, by analogy",
    "P7 step by step": "sums, step by step",
    "P7 at once": "sums, answered at once",
    "P7": "what the steps gain",
    "P8 bank": "two senses of “bank”",
    "P8 mole": "two senses of “mole”",
}


class KnowledgePage(LabPage):
    """The figures of a checkpoint, or their growth over the steps; the chosen one's examples beside.

    Attributes:
        series: The checkpoints that belong to the chosen model.
        known: What was scored of them, by step.
    """

    def __init__(self, lab: TrainingLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.series = Series((), 0, None)
        self.known: dict[int, Known] = {}
        self.growth: Growth | None = None
        self._coming: list[Scored] = []  # of the checkpoint that is being scored
        self._name = ""  # of the figure in view
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._show()

    def _build_controls(self) -> None:
        self.picker = CheckpointPicker(tr("Model"), self.context, self.lab.name, lambda: self.lab.run.folder)
        self.picker.chosen.connect(lambda _: self._model_chosen())
        self.questions = QComboBox()
        for most in QUESTIONS:
            self.questions.addItem(tr("all") if most is None else tr("{n} at most", n=most), most)
        self.questions.setCurrentIndex(QUESTIONS.index(None))
        self.score_button = button(
            tr("Score"), self.score, tip=tr("Ask this checkpoint what it has not read"), role="primary"
        )
        self.all_button = button(
            tr("Score every step"), self.score_all, tip=tr("All checkpoints of its run, one after another")
        )
        self.says = label("", "small", wrap=True)
        self.experiments = [
            button(
                tr("Set up a run with {n:.0f} % quizzes", n=100 * share),
                partial(self.lab.vary_quizzes, share),
                tip=tr("Fills the form on the page Run; then press Train there, and score it here"),
            )
            for share in SHARES
        ]
        self.controls = controls(
            field(tr("Model"), self.picker, tr("A checkpoint of the run in view, or another model")),
            field(
                tr("Questions of each kind"),
                self.questions,
                tr("More questions: narrower intervals, more time. The sentences of P8 are few: always all."),
            ),
            self.score_button,
            self.all_button,
            self.says,
            label(tr("An experiment: does P1 come from the quizzes in the text?"), "small", wrap=True),
            *self.experiments,
        )

    def _build_picture(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.whiskers = Whiskers(tr("What the checkpoint knows"))
        self.whiskers.row_chosen.connect(self._row_chosen)
        self.gap_says = label("", "small", wrap=True)
        self.place = QVBoxLayout()
        self.place.setContentsMargins(0, 0, 0, 0)
        steps = QWidget()
        steps.setLayout(self.place)
        self.views = QStackedWidget()
        self.views.addWidget(card(self.heading, self.whiskers, self.gap_says, spacing=4, grows=self.whiskers))
        self.views.addWidget(steps)
        self.head = ViewButtons(VIEWS, self.show_view)
        self._menu = flat_button("dots-horizontal", tr("Copy or save this picture"), self._open_menu)
        self.head.row.addWidget(self._menu)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.head)
        layout.addWidget(self.views, 1)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.detail = label("", "small", wrap=True)
        self.groups = Table(
            tr("Its parts"), [Column(tr("Part"), stretch=True), Column(tr("Right"), number=True)]
        )
        self.examples_title = label(tr("Examples, wrong ones first"), "heading")
        self.examples = QPlainTextEdit()
        self.examples.setReadOnly(True)
        self.examples.setTabChangesFocus(True)
        self.examples.setAccessibleName(tr("Examples"))
        self.examples.setToolTip(tr("What was asked, and what the model went on with"))
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.detail)
        column.addWidget(self.groups)
        column.addWidget(self.examples_title)
        column.addWidget(self.examples, 1)
        column.addStretch(0)

    # The page.

    def shown(self) -> None:
        if self.picker.loaded is None:
            self.picker.pick(self.picker.key or self.picker.default_key())

    def plots_ready(self) -> None:
        if self.growth is None:
            from labapp.labs.training.growth import Growth

            self.growth = Growth()
            self.place.addWidget(self.growth)
            self._show()

    def show_view(self, n: int) -> None:
        """Show one checkpoint (0) or all steps (1)."""
        self.views.setCurrentIndex(n)
        self.head.mark(n)
        self._menu.setVisible(n == 0)  # the plot has its own

    def _open_menu(self) -> None:
        menu = QMenu(self.picture)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_picture_actions(
            menu, self.whiskers, tr("What the checkpoint knows"), rows=self.whiskers.as_table,
            columns=Whiskers.columns(),
        )  # fmt: skip
        menu.popup(self._menu.mapToGlobal(QPointF(0, self._menu.height()).toPoint()))

    def take_checkpoint(self, folder: Path) -> None:
        """Choose a checkpoint of a run."""
        self.picker.pick(f"file:{folder}")

    def _model_chosen(self) -> None:
        from core.training.knowledge import read_known

        loaded = self.picker.loaded
        if loaded is None:
            return
        self.series = series_of(self.context.workspace, loaded.source.path)
        book = self.series.book
        self.known = {one.step: one for one in read_known(book)} if book is not None else {}
        self._show()

    # Scoring.

    def score(self) -> None:
        """Score the chosen checkpoint."""
        step = self.series.step
        self.lab.attempt(self._score, [one for one in self.series.steps if one[0] == step])

    def score_all(self) -> None:
        """Score every checkpoint of its run."""
        self.lab.attempt(self._score, list(self.series.steps))

    def _score(self, steps: list[tuple[int, Path]]) -> None:
        from core.training.knowledge import score_steps

        book, most = self.series.book, self.questions.currentData()
        self._coming = []
        title = tr("Scoring {n:,} checkpoints", n=len(steps)) if len(steps) > 1 else tr("Scoring")
        self.context.runner.start(
            Slot(self.lab.name, "knowledge"),
            lambda: score_steps(steps, book, most),
            title=title,
            on_events=self._take,
            on_end=self._ended,
            heavy=len(steps) > 1,
        )

    def _take(self, events: list[Any]) -> None:
        from core.evals.scored import Scored
        from core.training.knowledge import Known

        for event in events:
            if isinstance(event, Scored):
                self._coming.append(event)
            elif isinstance(event, Known):
                self.known[event.step] = event
                self._coming = []
        if any(isinstance(event, Scored | Known) for event in events):
            self._show()

    def _ended(self, outcome: Outcome) -> None:
        self._coming = []
        self._show()
        self.lab.show_failure(outcome)

    # What is shown.

    def _shown(self) -> tuple[Scored, ...]:
        known = self.known.get(self.series.step)
        return tuple(self._coming) or (known.scored if known is not None else ())

    def _show(self) -> None:
        for part in (self.score_button, self.all_button):
            part.setEnabled(bool(self.series.steps))
        self.all_button.setVisible(len(self.series.steps) > 1)
        known, scored = self.known.get(self.series.step), self._shown()
        self.whiskers.set_rows([row_of(one) for one in scored])
        self.heading.setText(self._heading(scored))
        gap = known.gap if known is not None and not self._coming else None
        self.gap_says.setText(gap_text(gap))
        self.gap_says.setVisible(gap is not None)
        self.says.setText(
            "" if len(self.series.steps) < 2 else
            tr("{n} of {all} checkpoints are scored.", n=len(self.known), all=len(self.series.steps))
        )  # fmt: skip
        self._show_figure(self._figure(scored))
        if self.growth is not None:
            self.growth.show_known(sorted(self.known.values(), key=lambda one: one.step))

    def _heading(self, scored: tuple[Scored, ...]) -> str:
        if not scored:
            return tr("Nothing is scored yet: press Score. The questions stand in no training text.")
        with_bar = [one for one in scored if one.bar is not None]
        reached = sum(one.reached for one in with_bar)
        return tr(
            "{what}: {reached} of {n} bars reached",
            what=self.picker.title, reached=reached, n=len(with_bar),
        )  # fmt: skip

    def _figure(self, scored: tuple[Scored, ...]) -> Scored | None:
        """The figure in view: the clicked one, else the first that misses its bar, else the first."""
        named = [one for one in scored if one.name == self._name]
        missed = [one for one in scored if not one.reached]
        return next(iter([*named, *missed, *scored]), None)

    def _row_chosen(self, row: int) -> None:
        scored = self._shown()
        if row < len(scored):
            self._name = scored[row].name
            self._show_figure(scored[row])

    def _show_figure(self, one: Scored | None) -> None:
        if one is None:
            self.title.setText(tr("Click a figure"))
            self.detail.setText(tr("What was asked, and what the model made of it, is shown here."))
        else:
            self.title.setText(one.title)
            self.detail.setText(f"{row_of(one).in_words()}. {one.detail}".strip())
        groups = one.groups if one is not None else ()
        self.groups.setVisible(bool(groups))
        self.groups.set_rows([(name, f"{right:,} / {n:,}") for name, right, n in groups])
        if len(groups) <= 8:
            self.groups.fit_height()
        examples = one.examples if one is not None else ()
        self.examples_title.setVisible(bool(examples))
        self.examples.setVisible(bool(examples))
        self.examples.setPlainText("\n\n".join(map(example_text, examples)))

    # State and the rest.

    def take_focus(self) -> None:
        self.whiskers.setFocus(Qt.FocusReason.OtherFocusReason)

    def pictures(self) -> dict[str, QWidget]:
        if self.views.currentIndex() == 1 and self.growth is not None:
            return {self.growth.plot.title: self.growth.plot}
        return {tr("What the checkpoint knows"): self.whiskers}

    def save_state(self) -> dict[str, Any]:
        return {
            "model": self.picker.key,
            "questions": self.questions.currentData(),
            "view": self.views.currentIndex(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("model"), str):
            self.picker.key = state["model"]  # loaded when the page is shown
        if state.get("questions") in QUESTIONS:
            self.questions.setCurrentIndex(QUESTIONS.index(state.get("questions")))
        if state.get("view") == 1:
            self.show_view(1)


def row_of(one: Scored) -> Whisker:
    """A figure as a row of the picture."""
    return Whisker(
        one.name.split()[0], tr(TITLES.get(one.name, one.title)), one.share, one.low, one.high, one.n, one.bar
    )


def gap_text(gap: Gap | None) -> str:
    """P9 in two sentences."""
    if gap is None:
        return ""
    verdict = tr("✓ it shows") if gap.shown else tr("no gap that chance does not explain")
    return tr(
        "P9 overfitting: {read:.2f} nats a token on text that it was trained on, {unread:.2f} on text that "
        "it never saw: a gap of {size:.2f}, 95 % interval {low:.2f} to {high:.2f}; {verdict}. n = {n:,} and "
        "{m:,} tokens, taken as independent.",
        read=gap.read, unread=gap.unread, size=gap.size, low=gap.low, high=gap.high, verdict=verdict,
        n=gap.read_n, m=gap.unread_n,
    )  # fmt: skip


def example_text(one: Answer) -> str:
    """An answer as it is shown beside the figures."""
    sign = "✓" if one.right else "✗"
    if one.right:
        return tr("{sign} {prompt} ▸ {got}", sign=sign, prompt=one.prompt.strip(), got=one.got.strip())
    return tr(
        "{sign} {prompt} ▸ {got}\n   right: {wanted}",
        sign=sign, prompt=one.prompt.strip(), got=one.got.strip() or tr("(nothing)"), wanted=one.expected,
    )  # fmt: skip
