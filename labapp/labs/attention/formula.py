"""Formula: one pair of tokens along softmax(QKᵀ / √d + M) V, in the model that the Heads page shows.

What to notice: every number of the picture comes from the one before. A step that is left out changes the
numbers after it, and what the whole model says. Stages: `core.interpret.walk`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.stages import once
from labapp.labs.attention.left_out import LeftOutPanel, Said, say_without
from labapp.labs.attention.walk_steps import STEPS, StepView, terms_of
from labapp.pages import PicturePage
from labapp.widgets.formula import Formula
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import controls, field, inset, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.walk import RowWorked, Walk
    from labapp.labs.attention import AttentionLab

SWITCHES = (
    ("scaling", "÷ √d", "Divide every product by √d, in the whole model"),
    ("mask", "mask", "Hide what comes after a token, in the whole model"),
    ("softmax", "softmax", "Make weights of the scores: positive, and 1 in all; in the whole model"),
)


class FormulaPage(PicturePage):
    """Where it walks on the left; the formula over the picture of a step; its numbers on the right."""

    def __init__(self, lab: AttentionLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.step = STEPS[0].name
        self.walked: Walk | None = None
        self.worked: RowWorked | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()
        lab.heads.looked_at.connect(self._look)
        self.choose_step(self.step)

    # Assembly.

    def _build_controls(self) -> None:
        self.layer, self.head = QSpinBox(), QSpinBox()
        self.looks_from, self.looks_to = QComboBox(), QComboBox()
        place = QHBoxLayout()
        place.setSpacing(8)
        for spin, title, tip in (
            (self.layer, tr("Layer"), tr("Layers are counted from 0")),
            (self.head, tr("Head"), tr("Heads are counted from 0")),
        ):
            inset(spin)
            spin.valueChanged.connect(lambda _: self._head_chosen())
            place.addWidget(field(title, spin, tip))
        pair = QHBoxLayout()
        pair.setSpacing(6)
        for box, what in (
            (self.looks_from, tr("The token that looks")),
            (self.looks_to, tr("The token looked at")),
        ):
            box.setToolTip(what)
            box.setAccessibleName(what)
            box.setMinimumWidth(40)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.activated.connect(lambda _: self._pair_chosen())
        pair.addWidget(self.looks_from, 1)
        pair.addWidget(label("→", "secondary"))
        pair.addWidget(self.looks_to, 1)
        self.steps = Table(tr("Steps of the formula"), [Column(tr("Step"), stretch=True)])
        self.steps.set_rows([(tr(step.title),) for step in STEPS], choose=0)
        self.steps.horizontalHeader().hide()
        self.steps.row_chosen.connect(lambda row: self.choose_step(STEPS[row].name))
        self.switches: dict[str, QCheckBox] = {}
        switches = QHBoxLayout()
        switches.setSpacing(6)
        for name, title, tip in SWITCHES:
            self.switches[name] = made = QCheckBox(tr(title))
            made.setToolTip(tr(tip))
            made.setChecked(True)
            made.clicked.connect(lambda _: self._switched())
            switches.addWidget(made)
        self.controls = controls(
            place,
            pair,
            self.steps,
            label(tr("Take these steps"), "small"),
            switches,
            grows=self.steps,
        )

    def _build_picture(self) -> None:
        self.formula = Formula(tr("Attention, step by step"), size=1.35, centered=True)
        self.formula.term_chosen.connect(self.choose_step)
        self.views: dict[str, StepView] = {}
        self.stack = QStackedWidget()
        for step in STEPS:
            self.views[step.name] = view = step.make()
            self.stack.addWidget(view)
            view.token_chosen.connect(self._token_chosen)
        self.picture = QWidget()
        column = QVBoxLayout(self.picture)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.formula)
        column.addWidget(self.stack, 1)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.says = label("", wrap=True)
        self.table = Table(
            tr("The pair, number by number"),
            [Column(tr("Step"), stretch=True), Column(tr("Value"), number=True)],
        )
        self.left_out = LeftOutPanel()
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for part in (self.title, self.says, self.table, self.left_out):
            column.addWidget(part)
        column.addStretch(1)

    # What a person does.

    def shown(self) -> None:
        self._look()

    def choose_step(self, name: str) -> None:
        """Show one step of the formula, by its name in `STEPS`."""
        self.step = name
        at = [step.name for step in STEPS].index(name)
        self.steps.set_rows([(tr(step.title),) for step in STEPS], choose=at)
        self._show_formula()
        self.stack.setCurrentWidget(self.views[name])
        self._show_step()

    def _head_chosen(self) -> None:
        self.lab.heads.choose_head(self.layer.value(), self.head.value())

    def _pair_chosen(self) -> None:
        self.lab.heads.choose_pair(self.looks_from.currentIndex(), self.looks_to.currentIndex())

    def _token_chosen(self, token: int) -> None:
        if self.walked is not None:
            self.lab.heads.choose_pair(self.walked.row, token)

    def taken(self) -> tuple[bool, bool, bool]:
        """Which of scaling, mask and softmax are taken."""
        scaling, mask, softmax = (self.switches[name].isChecked() for name, _, _ in SWITCHES)
        return scaling, mask, softmax

    def _switched(self) -> None:
        self._show_formula()
        self._work()
        self._ask_model()

    # From the Heads page.

    def _look(self) -> None:
        """Take apart what the Heads page shows, if this page is in view."""
        if self.lab.frame.page != "formula":
            return
        heads = self.lab.heads
        place, inside = heads.place, heads.inside
        if place is None or inside is None:
            self.title.setText(tr("Type a text on the Heads page."))
            return
        layer, head, row, column = place
        config = inside.model.config
        for spin, value, most in (
            (self.layer, layer, config.layers - 1),
            (self.head, head, config.heads - 1),
        ):
            spin.blockSignals(True)
            spin.setRange(0, most)
            spin.setValue(value)
            spin.blockSignals(False)
        for box, token in ((self.looks_from, row), (self.looks_to, column)):
            if [box.itemText(i) for i in range(box.count())] != _named(heads.tokens):
                box.clear()
                box.addItems(_named(heads.tokens))
            box.setCurrentIndex(token)
        from core.interpret.walk import walk

        self.lab.ask(
            "walk",
            lambda: once(lambda: walk(inside, layer, head, row, column)),
            tr("Taking the head apart"),
            self._take,
        )
        self._ask_model()

    def _ask_model(self) -> None:
        """What does the whole model say without the steps that are left out?"""
        loaded, inside, taken = self.lab.heads.loaded, self.lab.heads.inside, self.taken()
        if loaded is None or inside is None or all(taken):
            self.left_out.show_result(None)
            return
        if self.left_out.shown_for == (inside, taken):
            return
        self.left_out.show_result(None)
        self.lab.attempt(
            self.lab.ask,
            "left out",
            lambda: say_without(loaded, inside.ids, *taken),
            tr("Reading without a step"),
            lambda said: self._show_said(said, (inside, taken)),
        )

    def _show_said(self, said: Said, of: tuple[Any, tuple[bool, bool, bool]]) -> None:
        self.left_out.show_result(said, of)

    def _take(self, walked: Walk) -> None:
        self.walked = walked
        self._work()

    # What is shown.

    def _work(self) -> None:
        if self.walked is None:
            return
        from core.interpret.walk import work_row

        self.worked = work_row(self.walked, *self.taken())
        self._show_step()
        self._show_table()

    def _show_formula(self) -> None:
        self.formula.set_terms(terms_of(*self.taken()))
        self.formula.choose(self.step)

    def _show_step(self) -> None:
        if self.walked is None or self.worked is None:
            return
        tokens = self.lab.heads.tokens
        if len(tokens) != len(self.walked.products):
            return  # of the text before
        view = self.views[self.step]
        view.show_walk(self.walked, self.worked, tokens, self.taken())
        self.title.setText(view.title)
        self.says.setText(view.says)

    def _show_table(self) -> None:
        walked, worked = self.walked, self.worked
        if walked is None or worked is None:
            return
        column = walked.column
        scaling, _, softmax = self.taken()
        rows = [(tr("q · k"), _number(walked.products[column]))]
        if scaling:
            root = float(np.sqrt(walked.d))
            rows.append((tr("÷ √{d} = ÷ {root:.3g}", d=walked.d, root=root), _number(worked.scores[column])))
        rows.append((tr("after the mask"), _number(worked.masked[column])))
        rows.append((tr("weight") if softmax else tr("weight, no softmax"), _number(worked.weights[column])))
        rows.append((tr("all weights together"), _number(worked.weights.sum())))
        self.table.set_rows(rows)
        self.table.fit_height()

    # State, pictures.

    def take_focus(self) -> None:
        self.formula.setFocus(Qt.FocusReason.OtherFocusReason)

    def pictures(self) -> dict[str, QWidget]:
        return {tr("The formula, step by step"): self.picture}

    def numbers(self) -> Numbers:
        walked, worked, tokens = self.walked, self.worked, self.lab.heads.tokens
        if walked is None or worked is None or len(tokens) != len(walked.products):
            return (), ()
        columns = (walked.products, worked.scores, worked.masked, worked.weights)
        rows = [(name, *(_number(column[i]) for column in columns)) for i, name in enumerate(tokens)]
        return (tr("Token"), tr("q · k"), tr("scores"), tr("after the mask"), tr("weights")), rows

    def save_state(self) -> dict[str, Any]:
        return {"step": self.step, **dict(zip(self.switches, self.taken(), strict=True))}

    def restore_state(self, state: dict[str, Any]) -> None:
        for name, box in self.switches.items():
            box.setChecked(state.get(name) is not False)
        if state.get("step") in [step.name for step in STEPS]:
            self.choose_step(state["step"])
        self._show_formula()


def _named(tokens: Sequence[str]) -> list[str]:
    return [f"{i}  {name}" for i, name in enumerate(tokens)]


def _number(value: Any) -> str:
    """As a table shows it.

    >>> _number(-2.345), _number(float("-inf")), _number(0.00012)
    ('−2.35', '−∞', '0.000')
    """
    value = float(value)
    if not np.isfinite(value):
        return "−∞" if value < 0 else ("∞" if value > 0 else "?")
    return (f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}").replace("-", "−")
