"""Compare: what fewer bits cost, in figures, in plots, tensor by tensor, and in what the models write.

What to notice: the divergence sees damage long before the perplexity does, and steps that build on each other
break first. Stages: `core.quantization.comparison`, `tensors` and `side_by_side`, by way of `comparing.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import (
    QHBoxLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.problems import LabError
from labapp.labs.quantization.choosing import SourcePicker, Subject, subject_of
from labapp.labs.quantization.compare_table import CompareTable, detail_rows
from labapp.labs.quantization.comparing import (
    Row,
    Sized,
    compare_models,
    recorded_rows,
    rows_of,
    short_name,
    tensor_errors,
    tensor_spread,
)
from labapp.labs.quantization.page import column, figures
from labapp.labs.quantization.side_views import ChatView, PromptView
from labapp.labs.quantization.tensor_losses import TensorLosses
from labapp.labs.quantization.text_choice import TextPicker
from labapp.pages import PicturePage
from labapp.runner import Done, Job, Outcome, Slot
from labapp.scenes import read_json
from labapp.widgets.checked_table import CheckedTable
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.comparison import WindowCompared
    from core.quantization.tensors import Spread
    from labapp.labs.quantization import QuantizationLab
    from labapp.labs.quantization.loss_plots import LossPlots

TABLE, PLOTS, TENSORS, PROMPT, CHAT = range(5)
MOST = 12  # models in the list
VIEWS = [
    ("Figures", "Every model in numbers"),
    ("Plots", "Size against loss"),
    ("Tensors", "Which tensors lost most"),
    ("Same prompt", "What each model writes"),
    ("Chat", "Two models answer at once"),
]


class ComparePage(PicturePage):
    """Reference, models and text on the left, five views in the middle, the chosen model on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.reference: Subject | None = None
        self.others: list[Subject] = []
        self.ticked: set[str] = set()
        self.measured: dict[str, Row] = {}  # by key, against the reference in view
        self.plots: LossPlots | None = None
        self.job: Job | None = None
        self.stopped: tuple[Any, WindowCompared, Sized] | None = None  # what a stopped comparison was of
        self._sized: Sized | None = None
        self._last: WindowCompared | None = None
        self._asked: Any = None
        self._view = TABLE
        self._chosen = "Q4_K_M"
        self._errors_of: tuple[str, str] = ("", "")
        self._recorded = recorded_rows()
        self._scene = read_json("scenes", "quantization", "compare.json")
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.model = SourcePicker(tr("Reference"), self.context.workspace)
        self.model.chosen.connect(self.take_reference)
        self.list = CheckedTable(tr("Models"), [Column(tr("Compared with it"), stretch=True)])
        self.list.setToolTip(tr("Tick what is compared; at most six write side by side"))
        self.list.setMinimumHeight(60)
        self.list.ticked.connect(self.tick)
        self.list.row_chosen.connect(self._choose_other)
        self.adder = SourcePicker(tr("Add a model"), self.context.workspace)
        self.adder.set_title(tr("Add a model…"))
        self.adder.chosen.connect(self.add)
        self.text = TextPicker()
        self.start_button = button(
            tr("Compare"), self.start, role="primary", tip=tr("Measure the ticked models on the text")
        )
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("What is measured stays"))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.start_button, 1)
        row.addWidget(self.stop_button)
        self.controls = controls(
            field(tr("Reference"), self.model, tr("In full precision: what the others are held against")),
            self.list, self.adder, self.text, row, grows=self.list,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        self.views = ViewButtons(VIEWS, self.show_view)
        self.table = CompareTable()
        self.table.row_chosen.connect(self._choose_row)
        self.plot_place = QWidget()
        self._plot_column = QVBoxLayout(self.plot_place)
        self._plot_column.setContentsMargins(0, 0, 0, 0)
        self.tensors = TensorLosses()
        self.tensors.chosen.connect(self._ask_spread)
        self.prompt = PromptView(self, [str(prompt) for prompt in self._scene["prompts"]])
        self.chat = ChatView(self)
        self.stack = QStackedWidget()
        self._shown_as: tuple[QWidget, ...] = (
            self.table.card,
            self.plot_place,
            self.tensors,
            self.prompt,
            self.chat,
        )
        for view in self._shown_as:
            self.stack.addWidget(view)
        self.caption = label("", "", wrap=True)
        self.picture = column(self.prediction, self.views, self.stack, self.caption, grows=self.stack)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.says = label("", "small", wrap=True)
        self.facts = Table(
            tr("The chosen model"), [Column(tr("Figure"), stretch=True), Column(tr("Value"), number=True)]
        )
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.says)
        layout.addWidget(self.facts, 1)

    # What is compared.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown(self) -> None:
        if self.reference is None:
            self.take_reference("smallworld")
        self._show()

    def take_reference(self, key: str) -> None:
        """Hold everything against another model."""
        subject = self.lab.attempt(subject_of, self.context.workspace, key)
        if subject is None or self.job is not None:
            return
        if self.reference is None or subject.key != self.reference.key:
            self.measured, self.stopped = {}, None
        self.reference = subject
        self.model.show_subject(subject)
        self._add_children(subject)
        self._show()

    def _add_children(self, subject: Subject) -> None:
        """List what was quantized from the reference here."""
        for artifact in self.context.workspace.artifacts("quantized"):
            of_it = subject.parent and subject.parent in artifact.parents
            paths = {reference.path for reference in artifact.references}
            if of_it or subject.path in paths or any(path.parent == subject.path for path in paths):
                self._list(f"artifact:{artifact.id}")

    def _list(self, key: str) -> None:
        if len(self.others) < MOST and key not in {one.key for one in self.others}:
            subject = self.lab.attempt(subject_of, self.context.workspace, key)
            if subject is not None:
                self.others.append(subject)
                self.ticked.add(key)

    def add(self, key: str) -> None:
        """Put a model on the list, ticked."""
        if len(self.others) >= MOST:
            self.lab.attempt(self._refuse_more)
            return
        self._list(key)
        self._show()

    def _refuse_more(self) -> None:
        raise LabError(tr("{n} models are on the list already.", n=MOST), tr("Take the tick from some."))

    def tick(self, row: int, on: bool) -> None:
        """Compare a model, or leave it out."""
        key = self.others[row].key
        self.ticked = self.ticked | {key} if on else self.ticked - {key}
        self._show()

    def chosen_others(self) -> list[Subject]:
        """The ticked models, in order."""
        return [one for one in self.others if one.key in self.ticked]

    def needed(self, most: int = MOST) -> tuple[Subject, list[Subject]]:
        """Reference and ticked models.

        Raises:
            LabError: None is ticked.
        """
        others = self.chosen_others()[:most]
        if self.reference is None or not others:
            raise LabError(
                tr("No model is ticked."), tr("Make one on the page Quantize, or add one to the list.")
            )
        return self.reference, others

    # Measuring.

    def start(self) -> None:
        """Measure, or go on with what was stopped."""
        self.lab.attempt(self._start)

    def _start(self) -> None:
        if self.job is not None:
            return
        reference, others = self.needed()
        text, windows = self.text.choice, self.text.windows.value()
        asked = (reference.key, tuple(one.key for one in others), text, windows)
        so_far = self.stopped[1] if self.stopped is not None and self.stopped[0] == asked else None
        self._asked, self._measuring, self._last = asked, others, so_far
        self.prediction.close_question()
        models = self.context.models
        self.job = self.context.runner.start(
            Slot(self.lab.name, "compare"),
            lambda: compare_models(models, reference, others, text, windows, so_far),
            title=tr("Comparing with {name}", name=reference.title), heavy=True,
            on_events=self._on_events, on_end=self._on_end,
        )  # fmt: skip
        self._chosen = others[-1].key
        self._show()

    def stop(self) -> None:
        """Stop measuring; what was measured stays."""
        if self.job is not None:
            self.job.stop()

    def _on_events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, Sized):
                self._sized = event
            elif hasattr(event, "totals"):
                self._last = event
        if self._last is not None and self._sized is not None:
            title = self.reference.title if self.reference is not None else ""
            for row in rows_of(title, self._measuring, self._sized, self._last):
                self.measured[row.key] = row
        self._show()

    def _on_end(self, outcome: Outcome) -> None:
        self.job = None
        whole = isinstance(outcome, Done) or self._last is None or self._sized is None
        self.stopped = None if whole else (self._asked, self._last, self._sized)  # type: ignore[assignment]
        self.lab.show_failure(outcome)
        self._show()

    # What is shown.

    def rows(self) -> list[Row]:
        """Recorded ones of the small world, then what was measured here."""
        small = self.reference is not None and self.reference.key == "smallworld"
        return (self._recorded if small else []) + list(self.measured.values())

    def plots_ready(self) -> None:
        if self.plots is None:
            from labapp.labs.quantization.loss_plots import LossPlots

            self.plots = LossPlots()
            self._plot_column.addWidget(self.plots)
            self.tensors.plots_ready()
            self._show()

    def show_view(self, view: int) -> None:
        """Show one of the five views."""
        self._view = view
        self.views.mark(view)
        if not self.prediction.asking:
            self.prediction.hide()
        self._show()
        if view == TENSORS:
            self._ask_errors()

    def _choose_row(self, row: int) -> None:
        rows = self.rows()
        if 0 <= row < len(rows):
            self._chosen = rows[row].key
            self._show_details()

    def _choose_other(self, row: int) -> None:
        if 0 <= row < len(self.others):
            self._chosen = self.others[row].key
            self._show_details()
            if self._view == TENSORS:
                self._ask_errors()

    def _show(self) -> None:
        asking, rows = self.prediction.asking, self.rows()
        self.stack.setCurrentIndex(TABLE if asking else self._view)
        self.views.setVisible(not asking)
        keys = [row.key for row in rows]
        self.table.show_rows(rows, asking, keys.index(self._chosen) if self._chosen in keys else None)
        if self.plots is not None and not asking:
            self.plots.show_rows(rows)
        title = self.reference.title if self.reference is not None else ""
        self.list.set_rows([(short_name(title, one.title),) for one in self.others])
        self.list.set_checked(frozenset(n for n, one in enumerate(self.others) if one.key in self.ticked))
        running = self.job is not None
        self.start_button.setEnabled(not running)
        self.start_button.setText(tr("Go on") if self.stopped is not None else tr("Compare"))
        self.stop_button.setEnabled(running)
        self.model.setEnabled(not running)
        self.chat.show_subjects(self.reference, self.others)
        self._show_details()

    def _show_details(self) -> None:
        row = next((row for row in self.rows() if row.key == self._chosen), None)
        asking = self.prediction.asking
        self.heading.setText(
            tr("The answer is shown after the question.") if asking else row.name if row else ""
        )
        self.facts.setVisible(row is not None and not asking)
        self.says.setVisible(not asking)
        self.says.setText("")
        if row is not None:
            self.says.setText(
                tr("Recorded when the app was made, on text that the model has not read.")
                if row.recorded else tr("Measured here.")
            )  # fmt: skip
            self.facts.set_rows(detail_rows(row))
        self.caption.setText(self.summary())

    def _ask_errors(self) -> None:
        other = next((one for one in self.others if one.key == self._chosen), None)
        other = other or next(iter(self.chosen_others()), None)
        if self.reference is None or other is None:
            self.tensors.show_errors("", ())
            self.tensors.title.setText(tr("Make a model on the page Quantize, or add one to the list."))
            return
        reference, chosen = self.reference, other
        if self._errors_of == (reference.key, other.key):
            return
        self._errors_of = (reference.key, other.key)

        def show(errors: Any) -> None:
            self.tensors.show_errors(chosen.title, errors)
            self.caption.setText(self.summary())

        self.lab.ask("tensors", lambda: tensor_errors(reference, chosen), tr("Comparing tensors"), show)

    def _ask_spread(self, name: str) -> None:
        keys = {one.key: one for one in self.others}
        reference, other = self.reference, keys.get(self._errors_of[1])
        if reference is None or other is None:
            return

        def show(spread: Spread) -> None:
            self.tensors.show_spread(spread)

        self.lab.ask("spread", lambda: tensor_spread(reference, other, name), tr("Counting weights"), show)

    def summary(self) -> str:
        if self.prediction.asking:
            return ""
        if self._view == TENSORS and self.tensors.errors:
            worst = self.tensors.errors[0]
            return tr("Largest relative error: {error} %, of {name} as {kind}.",
                      error=figures(100 * worst.error), name=worst.name, kind=worst.kind)  # fmt: skip
        if self._view in (PROMPT, CHAT):
            return tr("The stronger a color, the farther a token's probability lies from the reference's.")
        row = next((row for row in self.rows() if row.key == self._chosen), None)
        if row is None:
            return tr("Make models on the page Quantize, or add some to the list.")
        told = row.figures
        return tr(
            "{name}: perplexity {ppl:.3f} ± {ppl_e:.3f} (reference {true:.3f}), KL {kl} ± {kl_e} nats, "
            "the same first choice in {same:.2f} % of {n:,} places.",
            name=row.name, ppl=told["perplexity"], ppl_e=told["perplexity ±"], true=told["reference"],
            kl=figures(told["divergence"]), kl_e=figures(told["divergence ±"]),
            same=100 * told["same_top"], n=int(told["tokens"]),
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        said = tr("Yes.") if index == self._scene["right"] else tr("Not quite.")
        asked = {row.key: row.phenomena for row in self._recorded}
        name = "P7 step by step"
        before, after = asked["F32"][name], asked["Q2_K"][name]
        self.prediction.reveal(
            tr("{said} {more} {a} of {n} right in 32 bits, {b} as Q2_K.", said=said,
               more=tr(self._scene["reveal"]), a=before[0], n=before[1], b=after[0])
        )  # fmt: skip
        self._show()

    def numbers(self) -> Numbers:
        if self.prediction.asking:
            return (), ()
        if self._view == TENSORS:
            return self.tensors.numbers()
        if self._view in (PROMPT, CHAT):
            return (self.prompt if self._view == PROMPT else self.chat).numbers()
        return self.table.numbers()

    def artifact_changed(self) -> None:
        if self.reference is not None and self.job is None:
            self._add_children(self.reference)
            self._show()

    def open_files(self, files: list[Path]) -> None:
        for file in files:
            if file.suffix in (".txt", ".md"):
                self.text.take(str(file))
            else:
                self.add(f"file:{file}")

    def take_focus(self) -> None:
        self.table.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        view = TABLE if self.prediction.asking else self._view
        return {tr(VIEWS[view][0]): self._shown_as[view]}

    def save_state(self) -> dict[str, Any]:
        return {
            "reference": self.reference.key if self.reference is not None else "smallworld",
            "others": [one.key for one in self.others], "ticked": sorted(self.ticked), "view": self._view,
            "prompt": self.prompt.line.text(), **self.text.save_state(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        others = state.get("others")
        for key in others if isinstance(others, list) else ():
            if isinstance(key, str) and _is_there(key, self.context.workspace.artifacts("quantized")):
                self._list(key)
        if isinstance(state.get("ticked"), list):
            self.ticked = {key for key in state["ticked"] if isinstance(key, str)}
        reference = state.get("reference")
        self.text.restore_state(state)
        if isinstance(state.get("prompt"), str):
            self.prompt.line.setText(state["prompt"])
        if type(state.get("view")) is int and 0 <= state["view"] < len(VIEWS):
            self._view = state["view"]
            self.views.mark(self._view)
        self.take_reference(reference if isinstance(reference, str) else "smallworld")


def _is_there(key: str, artifacts: list[Any]) -> bool:
    """Whether a key of a saved state still stands for something; what is gone is left out without a word."""
    if key.startswith("artifact:"):
        return key.removeprefix("artifact:") in {one.id for one in artifacts}
    return not key.startswith("file:") or Path(key.removeprefix("file:")).exists()
