"""Play: attention on a few numbers that are typed by hand, every step of it in sight.

What to notice: what a query and a key have in common decides, and only how they compare with the others; each
switch shows what its step is for. Worked out by `core.interpret.by_hand`, at once: it is some dozen numbers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut, QUndoCommand, QUndoStack
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.interpret.by_hand import (
    SHARPEST,
    TOKENS,
    WIDTHS,
    Example,
    Worked,
    look_up,
    read_example,
    work_out,
)
from core.problems import LabError
from labapp.labs.attention.cells import Cells, number
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.formula import Formula, Term
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, flat_button, inset, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.attention import AttentionLab

EXAMPLES = ("pronoun", "dictionary", "previous")
SWITCHES = (
    ("scaling", "Divide by √d", "Divide every product by √d"),
    ("mask", "Mask", "A token sees only itself and those before it"),
    ("softmax", "Softmax", "Make weights of the scores: positive, and 1 in all"),
)


class Change(QUndoCommand):
    """From one example to another; both keep the name of the shipped one that they come from."""

    def __init__(self, page: PlayPage, after: Example, name: str, text: str) -> None:
        super().__init__(text)
        self._page, self._before, self._after = page, (page.example, page.name), (after, name)

    def redo(self) -> None:
        self._show(*self._after)

    def undo(self) -> None:
        self._show(*self._before)

    def _show(self, example: Example, name: str) -> None:
        self._page.name = name
        self._page.show_example(example)


class PlayPage(PicturePage):
    """Sizes and switches on the left; Q, K and V over scores, weights and output; one pair on the right."""

    def __init__(self, lab: AttentionLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.name = EXAMPLES[0]
        self.example = self._shipped(self.name)
        self.worked: Worked = work_out(self.example)
        self.pair = (len(self.example.tokens) - 1, 1)  # who looks, at whom
        self.undo = QUndoStack(self)
        self._build_controls()
        self._build_picture()
        self._build_details()
        for column in (self.controls, self.picture, self.details):
            for key, do in (
                (QKeySequence.StandardKey.Undo, self.undo.undo),
                (QKeySequence.StandardKey.Redo, self.undo.redo),
            ):
                shortcut = QShortcut(QKeySequence(key), column)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(do)
        self.show_example(self.example)

    # Assembly.

    def _build_controls(self) -> None:
        self.examples = QComboBox()
        for name in EXAMPLES:
            self.examples.addItem(tr(read_json("scenes", "attention", f"play-{name}.json")["title"]), name)
        self.examples.activated.connect(lambda _: self.open_example(self.examples.currentData()))
        self.tokens, self.width = QSpinBox(), QSpinBox()
        sizes = QHBoxLayout()
        sizes.setSpacing(8)
        for box, title, (low, high), tip in (
            (self.tokens, tr("Tokens"), TOKENS, tr("How many tokens there are")),
            (self.width, tr("Numbers, d"), WIDTHS, tr("How many numbers each vector has")),
        ):
            box.setRange(low, high)
            inset(box)
            box.valueChanged.connect(lambda _: self._resized())
            sizes.addWidget(field(title, box, tip))
        self.sharpness = QSlider(Qt.Orientation.Horizontal)
        self.sharpness.setRange(1, int(SHARPEST))
        self.sharpness.valueChanged.connect(self._sharpened)
        self.sharp_says = label("", "small")
        self.sharp_says.setBuddy(self.sharpness)
        self.sharpness.setAccessibleName(tr("Sharpness"))
        self.sharpness.setToolTip(tr("By what all queries are multiplied"))
        self.switches: dict[str, QCheckBox] = {}
        for name, title, tip in SWITCHES:
            self.switches[name] = made = QCheckBox(tr(title))
            made.setToolTip(tr(tip))
            made.clicked.connect(lambda on, name=name: self.switch(name, on))
        turn = QHBoxLayout()
        self.undo_button = flat_button("undo", tr("Undo (Ctrl+Z)"), self.undo.undo)
        self.redo_button = flat_button("redo", tr("Redo (Ctrl+Shift+Z)"), self.undo.redo)
        self.undo.canUndoChanged.connect(self.undo_button.setEnabled)
        self.undo.canRedoChanged.connect(self.redo_button.setEnabled)
        self.reset_button = button(
            tr("Reset"), self.reset, tip=tr("Go back to the example as it was shipped")
        )
        turn.addWidget(self.reset_button)
        turn.addWidget(self.undo_button)
        turn.addWidget(self.redo_button)
        turn.addStretch(1)
        self.undo_button.setEnabled(False)
        self.redo_button.setEnabled(False)
        self.controls = controls(
            field(tr("Example"), self.examples, tr("Numbers to begin with")), sizes, *self.switches.values(),
            self.sharp_says, self.sharpness, turn,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.formula = Formula(tr("Attention, step by step"), centered=True)
        self.formula.term_chosen.connect(self._term_chosen)
        self.q = Cells(tr("Queries"), editable=True)
        self.k = Cells(tr("Keys"), editable=True)
        self.v = Cells(tr("Values"), editable=True)
        self.scores = Cells(tr("Scores"))
        self.weights = Cells(tr("Weights"), weights=True)
        self.output = Cells(tr("Output"))
        self.titles = {name: label("", "heading") for name in ("scores", "weights", "output")}
        self.picture = QWidget()
        column = QVBoxLayout(self.picture)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.formula)
        above, self._below = QHBoxLayout(), QHBoxLayout()
        for row, title, cells in (
            (above, label(tr("Q: what a token looks for"), "heading"), self.q),
            (above, label(tr("K: what it is found by"), "heading"), self.k),
            (above, label(tr("V: what it gives"), "heading"), self.v),
            (self._below, self.titles["scores"], self.scores),
            (self._below, self.titles["weights"], self.weights),
            (self._below, self.titles["output"], self.output),
        ):
            title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            row.setSpacing(8)
            row.addWidget(card(title, cells, margin=10, spacing=2, grows=cells), 1)
        column.addLayout(above, 1)
        column.addLayout(self._below, 1)
        self.q.edited.connect(partial(self._edited, "q"))
        self.k.edited.connect(partial(self._edited, "k"))
        self.v.edited.connect(partial(self._edited, "v"))
        self.q.chosen.connect(lambda row, _: self.choose_pair(row, self.pair[1]))
        self.k.chosen.connect(lambda row, _: self.choose_pair(self.pair[0], row))
        self.v.chosen.connect(lambda row, _: self.choose_pair(self.pair[0], row))
        self.scores.chosen.connect(self.choose_pair)
        self.weights.chosen.connect(self.choose_pair)
        self.output.chosen.connect(lambda row, _: self.choose_pair(row, self.pair[1]))

    def _build_details(self) -> None:
        self.pair_title = label("", "heading", wrap=True)
        self.table = Table(
            tr("One product, term by term"),
            [
                Column(tr("Number"), stretch=True),
                Column("q", number=True),
                Column("k", number=True),
                Column("q·k", number=True),
            ],
        )
        self.dictionary = label("", wrap=True)
        self.soft = label("", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        two_ways = label(tr("The same query, two ways"), "heading")
        for part in (self.pair_title, self.table, two_ways, self.dictionary, self.soft):
            column.addWidget(part)
        column.addStretch(1)

    def shown(self) -> None:
        self._show_says()

    # What a person does.

    def _shipped(self, name: str) -> Example:
        return read_example(read_json("scenes", "attention", f"play-{name}.json"))

    def _do(self, after: Example, text: str, name: str = "") -> None:
        if after != self.example or name not in ("", self.name):
            self.undo.push(Change(self, after, name or self.name, text))

    def open_example(self, name: str) -> None:
        """Open a shipped example; that can be undone."""
        self._do(self._shipped(name), tr("Open an example"), name)

    def reset(self) -> None:
        """Go back to the example as it was shipped; that can be undone."""
        self._do(self._shipped(self.name), tr("Reset"))

    def switch(self, name: str, on: bool) -> None:
        """Take a step or leave it out: "scaling", "mask" or "softmax"."""
        changed: dict[str, Any] = {name: on}
        self._do(replace(self.example, steps=replace(self.example.steps, **changed)), tr("Switch a step"))

    def _sharpened(self, value: int) -> None:
        steps = replace(self.example.steps, sharpness=float(value))
        self._do(replace(self.example, steps=steps), tr("Sharpen"))

    def _resized(self) -> None:
        after = self.lab.attempt(self.example.with_size, self.tokens.value(), self.width.value())
        self._do(after, tr("Another size"))

    def _edited(self, table: str, row: int, column: int, text: str) -> None:
        self.lab.attempt(self._edit, table, row, column, text)

    def _edit(self, table: str, row: int, column: int, text: str) -> None:
        try:
            value = float(text.replace("−", "-").replace(",", "."))
        except ValueError:
            raise LabError(
                tr("“{text}” is no number.", text=text), tr("Type a number such as −1.5.")
            ) from None
        self._do(self.example.with_number(table, row, column, value), tr("Another number"))

    def choose_pair(self, row: int, column: int) -> None:
        """Take one pair of tokens apart."""
        self.pair = (row, column)
        self._show_pair()

    def _term_chosen(self, name: str) -> None:
        self.lab.frame.messages.clear()
        getattr(self, name).setFocus()

    # What is shown.

    def show_example(self, example: Example) -> None:
        """Show these numbers, and all that follows from them."""
        self.example, self.worked = example, work_out(example)
        n, d, steps = len(example.tokens), example.width, example.steps
        self.pair = (min(self.pair[0], n - 1), min(self.pair[1], n - 1))
        for widget, value in (
            (self.tokens, n), (self.width, d), (self.sharpness, round(steps.sharpness)),
        ):  # fmt: skip
            widget.blockSignals(True)
            widget.setValue(value)
            widget.blockSignals(False)
        for name, box in self.switches.items():
            box.setChecked(getattr(steps, name))
        self.sharp_says.setText(tr("Sharpness: queries × {x:g}", x=steps.sharpness))
        for place, share in enumerate((n, n, max(3, d))):  # a wider table gets more room
            self._below.setStretch(place, share)
        numbers = [str(i + 1) for i in range(d)]
        for cells, shown in (
            (self.q, example.q), (self.k, example.k), (self.v, example.v), (self.output, self.worked.output),
        ):  # fmt: skip
            cells.set_numbers(np.array(shown), example.tokens, numbers)
        self.scores.set_numbers(self.worked.masked, example.tokens, example.tokens)
        self.weights.set_numbers(self.worked.weights, example.tokens, example.tokens)
        self._show_formula()
        self._show_says()
        self._show_pair()

    def _show_formula(self) -> None:
        steps = self.example.steps
        terms = [Term(r"QK^{\top}", "scores", tr("Every query times every key: the scores"))]
        if steps.scaling:
            terms += [Term("/"), Term(r"\sqrt{d}", "scores", tr("Divided by the root of d"))]
        if steps.mask:
            terms += [Term("+"), Term("M", "scores", tr("The mask: −∞ where a token may not look"))]
        if steps.softmax:
            terms = [
                Term(r"\mathrm{softmax}", "weights", tr("Makes weights of the scores")),
                Term(r"\bigl("), *terms, Term(r"\bigr)"),
            ]  # fmt: skip
        elif len(terms) > 1:
            terms = [Term(r"\bigl("), *terms, Term(r"\bigr)")]
        terms += [Term("V", "v", tr("The values, which are added up by weight")), Term("=")]
        self.formula.set_terms(
            [*terms, Term(r"\mathrm{output}", "output", tr("What each token takes along"))]
        )
        root = " / √d" if steps.scaling else ""
        mask = " + M" if steps.mask else ""
        self.titles["scores"].setText(tr("Scores: QKᵀ") + root + mask)
        self.titles["weights"].setText(
            tr("Weights: their softmax") if steps.softmax else tr("Weights: the scores")
        )
        self.titles["output"].setText(tr("Output: weights × V"))

    def _show_says(self) -> None:
        """Say in the strip what the example is about."""
        self.examples.setCurrentIndex(EXAMPLES.index(self.name))
        if self.lab.frame.page == "play":
            scene = read_json("scenes", "attention", f"play-{self.name}.json")
            self.lab.frame.set_strip(f"{tr(scene['says'])} {tr(self.lab.strip_text('play'))}")

    def _show_pair(self) -> None:
        (row, column), example, worked = self.pair, self.example, self.worked
        a, b = example.tokens[row], example.tokens[column]
        weight = float(worked.weights[row, column])
        self.pair_title.setText(tr("“{a}” looks at “{b}” with {w:.2f}", a=a, b=b, w=weight))
        self.q.mark(row, None)
        self.k.mark(column, None)
        self.v.mark(column, None)
        self.scores.mark(row, column)
        self.weights.mark(row, column)
        self.output.mark(row, None)
        sharp = example.steps.sharpness
        rows = [
            (str(i + 1), number(sharp * x), number(y), number(sharp * x * y))
            for i, (x, y) in enumerate(zip(example.q[row], example.k[column], strict=True))
        ]
        rows.append((tr("q · k, their sum"), "", "", number(float(worked.products[row, column]))))
        if example.steps.scaling:
            root = tr("÷ √{d} = ÷ {root:.3g}", d=example.width, root=math.sqrt(example.width))
            rows.append((root, "", "", number(float(worked.scores[row, column]))))
        if example.steps.mask and column > row:
            rows.append((tr("masked: it comes later"), "", "", number(float(worked.masked[row, column]))))
        if example.steps.softmax:
            rows.append((tr("softmax: weight"), "", "", number(weight)))
        self.table.set_rows(rows)
        self.table.fit_height()
        self._show_dictionary(row)

    def _show_dictionary(self, row: int) -> None:
        example, weights = self.example, self.worked.weights[row]
        found = look_up(example, row)
        query = ", ".join(map(number, example.q[row]))
        said = (
            tr("no key equals the query: nothing is found")
            if found is None
            else tr("the key of “{key}” equals it: its value ({value})",
                    key=example.tokens[found], value=", ".join(map(number, example.v[found])))
        )  # fmt: skip
        self.dictionary.setText(tr("Dictionary, asked for ({query}): {said}.", query=query, said=said))
        best = int(weights.argmax())
        self.soft.setText(
            tr("Attention: all values by weight, {w:.0f} % of “{key}” the most: ({value}).",
               w=100 * float(weights[best]), key=example.tokens[best],
               value=", ".join(map(number, self.worked.output[row].tolist())))
        )  # fmt: skip

    # State, pictures.

    def take_focus(self) -> None:
        self.q.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Attention by hand"): self.picture}

    def numbers(self) -> Numbers:
        tables = (
            ("Q", self.q), ("K", self.k), ("V", self.v), (tr("scores"), self.scores),
            (tr("weights"), self.weights), (tr("output"), self.output),
        )  # fmt: skip
        most = max(len(cells.columns) for _, cells in tables)
        rows = [
            (name, *row, *([""] * (most + 1 - len(row)))) for name, cells in tables for row in cells.as_rows()
        ]
        return (tr("Table"), tr("Token"), *(str(i + 1) for i in range(most))), rows

    def save_state(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self.example), "pair": list(self.pair)}

    def restore_state(self, state: dict[str, Any]) -> None:
        if state.get("name") in EXAMPLES:
            self.name = state["name"]
        if "q" in state:
            try:
                self.example = read_example(state)
            except LabError:  # of another version: the shipped one is shown
                self.example = self._shipped(self.name)
        pair = state.get("pair")
        if isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair):
            self.pair = (pair[0], pair[1])
        self.show_example(self.example)
