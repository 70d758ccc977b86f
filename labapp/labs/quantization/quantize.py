"""Quantize: one model, several recipes at once, tensor after tensor; each file becomes an artifact.

What to notice: the error of a tensor follows from its type, and a name such as Q4_K_M is kept only where the
rows fit. Stage: `core.quantization.publish`, by way of `quantizing.py`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from core.artifacts import Artifact, Work
from core.problems import LabError
from core.stages import Finished, Progress, once
from labapp.handoff import Handoff
from labapp.labs.quantization.choosing import SourcePicker, subject_of
from labapp.labs.quantization.models import Planned, plan_all
from labapp.labs.quantization.page import column, figures
from labapp.labs.quantization.quantize_results import Results, tensor_row
from labapp.labs.quantization.quantizing import WORK, Began, Made, Order, quantize_all, state_of
from labapp.pages import PicturePage
from labapp.runner import Done, Job, Outcome, Slot
from labapp.scenes import read_json
from labapp.widgets.checked_table import CheckedTable
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.quantize import TensorDone
    from core.quantization.recipes import Plan
    from labapp.labs.quantization import QuantizationLab

TICKED = ("Q8_0", "Q4_K_M", "Q2_K")
PLAIN = ("F32", "F16", "BF16")


class QuantizePage(PicturePage):
    """Model and text on the left, recipes over tensors in the middle, what came out on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.planned: Planned | None = None
        self.ticked: set[str] = set(TICKED)
        self.done: dict[str, list[TensorDone]] = {}  # of each recipe, so far
        self.made: dict[str, Artifact] = {}
        self.chosen = "Q4_K_M"
        self.text = ""
        self.job: Job | None = None
        self._work: Work | None = None
        self._order: Order | None = None
        self._doing = ""
        self._wanted = "smallworld"
        self._scene = read_json("scenes", "quantization", "quantize.json")
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.model = SourcePicker(tr("Model"), self.context.workspace)
        self.model.chosen.connect(self.compute)
        self.banner = label("", "warning", wrap=True)
        self.text_button = button(
            tr("No text"),
            self._ask_text,
            tip=tr("A text, or an importance matrix of llama-imatrix, that weighs the errors"),
        )
        self.no_text = button(tr("None"), partial(self.take_text, ""), tip=tr("Weigh all columns alike"))
        text = QHBoxLayout()
        text.setSpacing(6)
        text.addWidget(self.text_button, 1)
        text.addWidget(self.no_text)
        self.start_button = button(
            tr("Quantize"), self.start, role="primary", tip=tr("Carry out the ticked recipes")
        )
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("What is done stays, to be gone on with"))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.start_button, 1)
        row.addWidget(self.stop_button)
        self.left_says = label("", "small", wrap=True)
        self.go_on = button(tr("Go on"), self.resume, tip=tr("Go on where it was stopped"))
        self.drop = button(tr("Drop"), self.drop_work, tip=tr("Put what was stopped into the trash"))
        rest = QHBoxLayout()
        rest.setSpacing(6)
        rest.addWidget(self.go_on, 1)
        rest.addWidget(self.drop)
        self.controls = controls(
            field(tr("Model"), self.model, tr("Which model is to have fewer bits")), self.banner,
            label(tr("Importances from a text"), "small"), text, row, self.left_says, rest,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        self.recipes = CheckedTable(
            tr("Recipes"),
            [
                Column(tr("Recipe")), Column(tr("Bits a weight"), number=True),
                Column(tr("Size"), number=True), Column(tr("What comes out"), stretch=True),
                Column(tr("State")),
            ],
        )  # fmt: skip
        self.recipes.setToolTip(tr("Tick what is to be made; a click shows the tensors of a recipe"))
        self.recipes.ticked.connect(self.tick)
        self.recipes.row_chosen.connect(self._choose_row)
        self.tensors = Table(
            tr("Tensors, as they are done"),
            [
                Column(tr("Tensor"), mono=True, stretch=True), Column(tr("Was")), Column(tr("Is")),
                Column(tr("Bytes"), number=True), Column(tr("Error (%)"), number=True), Column(tr("Note")),
            ],
        )  # fmt: skip
        self.tensors.setToolTip(tr("Error: root mean square of the errors against that of the weights"))
        self.tensors_title = label("", "heading")
        self.recipes_card = card(self.recipes, margin=8, grows=self.recipes)
        self.tensors_card = card(self.tensors_title, self.tensors, margin=8, grows=self.tensors)
        self.caption = label("", "", wrap=True)
        self.picture = column(
            self.prediction, self.recipes_card, self.tensors_card, self.caption, grows=self.recipes_card
        )
        layout = self.picture.layout()
        if isinstance(layout, QVBoxLayout):
            layout.setStretchFactor(self.tensors_card, 1)

    def _build_details(self) -> None:
        self.results = Results(self._compare, self._take_away, self._open_menu)
        self.details = self.results

    # The model and what recipes would make of it.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown(self) -> None:
        if self.planned is None:
            self.compute(self._wanted)
        self._show()

    def compute(self, key: str) -> None:
        """Take a model, and carry out all recipes on paper."""
        from core.quantization.recipes import RECIPES

        subject = self.lab.attempt(subject_of, self.context.workspace, key)
        if subject is not None:
            self._wanted = key
            self.lab.ask(
                "quantize-plans", lambda: once(lambda: plan_all(subject, tuple(RECIPES))),
                tr("Computing types"), self._take,
            )  # fmt: skip

    def _take(self, planned: Planned) -> None:
        if self.planned is None or self.planned.subject.key != planned.subject.key:
            self.done, self.made = {}, {}
        self.planned = planned
        self.model.show_subject(planned.subject)
        self._show()

    def plan_of(self, recipe: str) -> Plan | None:
        """What a recipe makes of the model."""
        plans = self.planned.plans if self.planned is not None else ()
        return next((plan for plan in plans if plan.recipe.name == recipe), None)

    def tick(self, row: int, on: bool) -> None:
        """Have a recipe carried out, or leave it out."""
        if self.planned is not None and self.job is None:
            name = self.planned.plans[row].recipe.name
            self.ticked = self.ticked | {name} if on else self.ticked - {name}
            self._show()

    def _choose_row(self, row: int) -> None:
        if self.planned is not None and 0 <= row < len(self.planned.plans):
            self.chosen = self.planned.plans[row].recipe.name
            self._show_chosen()

    def _ask_text(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self.lab.window(), tr("Choose a text"), "", "*.txt *.md *.gguf *.dat *"
        )
        if name:
            self.take_text(name)

    def take_text(self, path: str) -> None:
        """Weigh errors with importances from a text file; "" weighs all columns alike."""
        self.text = path
        self.text_button.setText(Path(path).name[:24] if path else tr("No text"))
        self._show_buttons()

    # The work.

    def start(self) -> None:
        """Carry out the ticked recipes."""
        self.lab.attempt(self._start)

    def _start(self) -> None:
        if self.planned is None or self.job is not None:
            return
        recipes = tuple(p.recipe.name for p in self.planned.plans if p.recipe.name in self.ticked)
        if not recipes:
            raise LabError(tr("No recipe is ticked."), tr("Tick one or more in the table."))
        order = Order(self.planned.subject, recipes, self.text)
        self._launch(self.context.workspace.new_work(WORK, order.subject.title[:200], state_of(order)), order)

    def resume(self) -> None:
        """Go on with what was stopped."""
        self.lab.attempt(self._resume)

    def _resume(self) -> None:
        left = self.context.workspace.works(WORK)
        if not left or self.job is not None:
            return
        work = self.context.workspace.open_work(WORK, left[0].id)
        try:
            _check_free(work)
            subject = subject_of(self.context.workspace, str(work.state["model"]))
            order = Order(subject, tuple(work.state["recipes"]), str(work.state["text"]))
            if self.planned is None or self.planned.subject.key != subject.key:
                self.compute(subject.key)
            self._launch(work, order)
        except BaseException:
            if self._work is not work:
                work.close()
            raise

    def _launch(self, work: Work, order: Order) -> None:
        self.prediction.close_question()
        context = self.context
        self._work, self._order = work, order
        try:
            self.job = context.runner.start(
                Slot(self.lab.name, "quantize"),
                lambda: quantize_all(context.workspace, context.models, order, work),
                title=tr("Quantizing {name}", name=order.subject.title), heavy=True,
                on_events=self._on_events, on_end=self._on_end,
            )  # fmt: skip
        except LabError:
            self._work = None
            work.close()
            raise
        self._show()

    def stop(self) -> None:
        """Stop; what is done stays, to be gone on with."""
        if self.job is not None:
            self.job.stop()

    def drop_work(self) -> None:
        """Put what was stopped into the trash."""
        for info in self.context.workspace.works(WORK):
            self.lab.attempt(self.context.workspace.trash_work, WORK, info.id)
        self._show_buttons()

    def _on_events(self, events: list[Any]) -> None:
        for event in events:
            match event:
                case Began(recipe=recipe):
                    self._doing = self.chosen = recipe
                    self.done[recipe] = []
                case Made(recipe=recipe, artifact=artifact):
                    self.made[recipe] = artifact
                    self.context.published(artifact)
                case Progress() | Finished():
                    pass
                case _:
                    self.done[self._doing].append(event)
        self._show()

    def _on_end(self, outcome: Outcome) -> None:
        work, self._work, self.job = self._work, None, None
        self._doing = ""
        if work is not None:
            work.close()
            if isinstance(outcome, Done):
                self.lab.attempt(self.context.workspace.trash_work, WORK, work.id)
        self.lab.show_failure(outcome)
        self._show()

    # What is shown.

    def _show(self) -> None:
        asking = self.prediction.asking
        if self.planned is not None:
            rows = [self._recipe_row(plan, asking) for plan in self.planned.plans]
            names = [plan.recipe.name for plan in self.planned.plans]
            at = names.index(self.chosen) if self.chosen in names else None
            self.recipes.set_rows(rows, at)
            self.recipes.set_checked(frozenset(n for n, name in enumerate(names) if name in self.ticked))
            self._show_banner(self.planned)
        self._show_chosen()
        self._show_buttons()
        self.caption.setText(self.summary())

    def _recipe_row(self, plan: Plan, asking: bool) -> tuple[str, ...]:
        name = plan.recipe.name
        done = len(self.done.get(name, ()))
        state = ""
        if name in self.made:
            state = tr("in the workspace")
        elif done and name == self._doing:
            state = tr("{n} of {all}", n=done, all=len(plan.choices))
        elif done:
            state = tr("stopped at {n}", n=done)
        comes = plan.title if plan.fallbacks else tr(plan.recipe.about)
        hidden = "" if asking and name not in PLAIN else None
        return (
            name, hidden if hidden is not None else f"{plan.bits_per_weight:.2f}",
            hidden if hidden is not None else f"{plan.bytes / 1e6:,.1f} MB", comes, state,
        )  # fmt: skip

    def _show_banner(self, planned: Planned) -> None:
        rounded = planned.stored and planned.stored not in PLAIN
        self.banner.setVisible(bool(rounded))
        if rounded:
            self.banner.setText(
                tr("This model is already rounded: most of its weights are {kind}. What is measured here is "
                   "the loss against that. As {kind} it is a round trip: the bytes are copied.",
                   kind=planned.stored)
            )  # fmt: skip

    def _show_chosen(self) -> None:
        done, plan = self.done.get(self.chosen, []), self.plan_of(self.chosen)
        self.tensors.set_rows([tensor_row(one) for one in done])
        self.tensors.scrollToBottom()
        self.tensors_card.setVisible(bool(done))
        self.tensors_title.setText(
            tr("{recipe}: {n} of {all} tensors", recipe=self.chosen, n=len(done),
               all=len(plan.choices) if plan else 0)
        )  # fmt: skip
        self.results.show_plan(plan, done, self.prediction.asking, self.chosen in self.made)

    def _show_buttons(self) -> None:
        running = self.job is not None
        self.start_button.setEnabled(self.planned is not None and not running)
        self.stop_button.setEnabled(running)
        self.no_text.setEnabled(bool(self.text) and not running)
        self.text_button.setEnabled(not running)
        self.model.setEnabled(not running)
        left = [] if running else self.context.workspace.works(WORK)
        for part in (self.go_on, self.drop, self.left_says):
            part.setVisible(bool(left))
        if left:
            self.left_says.setText(tr("Stopped: {name}", name=left[0].name))

    def summary(self) -> str:
        plan = self.plan_of(self.chosen)
        if plan is None or self.planned is None or self.prediction.asking:
            return ""
        done = self.done.get(self.chosen, [])
        rounded = [one for one in done if one.error]
        if not rounded:
            return tr(
                "{recipe} of {model}: {bits:.2f} bits a weight, {size:,.1f} MB.", recipe=self.chosen,
                model=self.planned.subject.title, bits=plan.bits_per_weight, size=plan.bytes / 1e6,
            )  # fmt: skip
        worst = max(rounded, key=lambda one: one.error)
        return tr(
            "{recipe}: {n} tensors are rounded; the largest relative error: {error} %, of {name} as {kind}.",
            recipe=self.chosen, n=len(rounded), error=figures(100 * worst.error),
            name=worst.choice.tensor.name, kind=worst.choice.kind,
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        plan = self.plan_of("Q4_K_M")
        if plan is None:
            self.prediction.close_question()
            return
        said = tr("Yes.") if index == self._scene["right"] else tr("Not quite.")
        self.prediction.reveal(
            tr("{said} {bits:.2f} bits a weight: {size:.1f} MB. {more}", said=said, bits=plan.bits_per_weight,
               size=plan.bytes / 1e6, more=tr(self._scene["reveal"]))
        )  # fmt: skip
        self._show()

    # Where results go.

    def _compare(self) -> None:
        made = self.made.get(self.chosen)
        if made is not None and self.planned is not None:
            keys = [f"artifact:{one.id}" for one in self.made.values()]
            self.lab.compare_with(self.planned.subject.key, keys)

    def _take_away(self) -> None:
        made = self.made.get(self.chosen)
        if made is not None:
            self.lab.take_away_model(f"artifact:{made.id}")

    def opened_elsewhere(self) -> Artifact | None:
        """The chosen result, if other labs can open it."""
        from core.model.source import open_model

        made = self.made.get(self.chosen)
        try:
            return made if made is not None and open_model(made.folder) else None
        except LabError:
            return None

    def _open_menu(self) -> None:
        made = self.made.get(self.chosen)
        if made is None:
            return
        menu = QMenu(self.lab)
        menu.addAction(tr("Inspect")).triggered.connect(
            lambda _=False: self.lab.receive(Handoff(model_id=made.id))
        )
        handoff = Handoff(model_id=made.id) if self.opened_elsewhere() is not None else Handoff()
        for name, title in self.context.labs_for(handoff):
            if name != self.lab.name:
                menu.addAction(title).triggered.connect(
                    lambda _=False, name=name: self.context.open_in(name, handoff)
                )
        menu.exec(self.results.open_button.mapToGlobal(self.results.open_button.rect().bottomLeft()))
        menu.deleteLater()

    def artifact_changed(self) -> None:
        self._show_buttons()

    def open_files(self, files: list[Path]) -> None:
        if files[0].suffix in (".txt", ".md"):
            self.take_text(str(files[0]))
        else:
            self.compute(f"file:{files[0]}")

    def numbers(self) -> Numbers:
        done = self.done.get(self.chosen, [])
        if done:
            return [c.title for c in self.tensors.rows.columns], [tensor_row(one) for one in done]
        rows = self.recipes.rows
        return [c.title for c in rows.columns], [rows.row(n) for n in range(rows.rowCount())]

    def take_focus(self) -> None:
        self.recipes.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        found: dict[str, QWidget] = {tr("Recipes"): self.recipes_card}
        if self.done.get(self.chosen):
            found[tr("Tensors")] = self.tensors_card
        return found

    def save_state(self) -> dict[str, Any]:
        return {
            "model": self._wanted, "ticked": sorted(self.ticked), "chosen": self.chosen, "text": self.text,
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        ticked, model = state.get("ticked"), state.get("model")
        if isinstance(ticked, list):
            self.ticked = {name for name in ticked if isinstance(name, str)}
        if isinstance(state.get("chosen"), str):
            self.chosen = state["chosen"]
        if isinstance(state.get("text"), str) and Path(state["text"]).is_file():
            self.take_text(state["text"])
        self._wanted = model if isinstance(model, str) else self._wanted
        self.compute(self._wanted)


def _check_free(work: Work) -> None:
    if work.read_only:
        raise LabError(tr("Another window goes on with it."), tr("Close it there first."))
