"""Compare: the head in view beside another head, the same head on another sentence, or in another model.

What to notice: replace one word, and see which heads move their weight, and where. Stages:
`core.interpret.reading.read_only`, `core.interpret.difference.compare_heads`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QPlainTextEdit,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.problems import LabError
from core.stages import once, run_to_end
from labapp.labs.attention.heads import LONGEST, TYPING, name_of
from labapp.labs.attention.matter import named
from labapp.labs.attention.pattern import PatternView
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.model_picker import ModelPicker
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import card, controls, field, inset, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.inside import Inside
    from core.interpret.reading import TextRead
    from core.model.shelf import LoadedModel
    from labapp.labs.attention import AttentionLab

HEADS, SENTENCES, MODELS = "heads", "sentences", "models"
LISTED = 10  # heads in the table
FAINTEST = 0.005  # weight in A or B from which on a pair is in the table of all numbers
ROWS = 6  # tokens in the table


class SideBySide(QWidget):
    """Widgets beside each other, or below where there is more height than width."""

    def __init__(self) -> None:
        super().__init__()
        self.row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(8)
        self.extras: list[QWidget] = []  # shown where a widget below another leaves room at its side

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        upright = self.height() > self.width()
        kinds = QBoxLayout.Direction
        self.row.setDirection(kinds.TopToBottom if upright else kinds.LeftToRight)
        for extra in self.extras:
            extra.setVisible(upright)


class ComparePage(PicturePage):
    """What is compared on the left, both patterns or their difference in the middle, a pair on the right."""

    def __init__(self, lab: AttentionLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.loaded: LoadedModel | None = None  # B's, where it is another model
        self.inside: Inside | None = None  # B's reading, where it is another one
        self.tokens: list[str] = []  # B's
        self.moved: Any = None  # of every head, shape (layers, H)
        self._read_for: tuple[Any, ...] = ()  # what B's reading is of
        self._listed: list[tuple[int, int]] = []
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self.look)
        lab.heads.looked_at.connect(self.look)
        lab.pins.changed.connect(self._list_heads)
        self._show_choice()

    # Assembly.

    def _build_controls(self) -> None:
        self.what = QComboBox()
        for name, title in (
            (HEADS, tr("two heads")),
            (SENTENCES, tr("two sentences")),
            (MODELS, tr("two models")),
        ):
            self.what.addItem(title, name)
        self.what.activated.connect(lambda _: self.choose(self.what.currentData()))
        self.first = label("", "secondary", wrap=True)
        self.layer, self.head = QSpinBox(), QSpinBox()
        self.of_heads = QWidget()
        row = QHBoxLayout(self.of_heads)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for spin, title, tip in (
            (self.layer, tr("B: layer"), tr("Layers are counted from 0")),
            (self.head, tr("head"), tr("Heads are counted from 0")),
        ):
            inset(spin)
            spin.valueChanged.connect(lambda _: self.look())
            row.addWidget(field(title, spin, tip))
        self.text = QPlainTextEdit()
        self.text.setFixedHeight(58)
        self.text.setTabChangesFocus(True)
        self.text.textChanged.connect(lambda: self._typing.start())
        self.of_sentences = field(tr("B: text"), self.text, tr("The same head reads this text"))
        self.picker = ModelPicker(tr("Second model"), self.context, self.lab.name)
        self.picker.chosen.connect(self._model_chosen)
        self.of_models = field(tr("B: model"), self.picker, tr("The same text in this model"))
        self.difference = QCheckBox(tr("Difference A − B"))
        self.difference.setToolTip(tr("One picture: where A looks more, and where B does"))
        self.difference.clicked.connect(lambda _: self._show())
        self.list_title = label("", "small")
        self.list = Table(
            tr("Heads to choose from"), [Column(tr("Head"), stretch=True), Column(tr("Moved"), number=True)]
        )
        self.list.row_chosen.connect(self._head_listed)
        self.controls = controls(
            field(tr("Compare"), self.what, tr("What A and B differ in")),
            self.first,
            self.of_heads,
            self.of_sentences,
            self.of_models,
            self.difference,
            self.list_title,
            self.list,
            grows=self.list,
        )

    def _build_picture(self) -> None:
        self.a, self.b, self.apart = PatternView(), PatternView(), PatternView()
        self.apart.signed = True
        self.titles = [label("", "heading") for _ in range(3)]
        self.cards: list[QWidget] = []
        self.bars: list[Bars] = []  # of the token that looks, in A and B
        self.picture = SideBySide()
        for title, view in zip(self.titles, (self.a, self.b, self.apart), strict=True):
            title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            view.setMinimumSize(150, 120)
            view.pair_chosen.connect(self._pair_chosen)
            inner = QWidget()
            beside = QHBoxLayout(inner)
            beside.setContentsMargins(0, 0, 0, 0)
            beside.addWidget(view, 3)
            if view is not self.apart:
                bars = Bars(tr("What the chosen token looks at"))
                beside.addWidget(bars, 2)
                self.bars.append(bars)
                self.picture.extras.append(bars)
            made = card(title, inner, margin=10, spacing=4, grows=inner)
            self.cards.append(made)
            self.picture.row.addWidget(made, 1)
        self.a.setAccessibleName(tr("Pattern A"))
        self.b.setAccessibleName(tr("Pattern B"))
        self.apart.setAccessibleName(tr("Difference of the patterns"))

    def _build_details(self) -> None:
        self.pair_title = label("", "heading", wrap=True)
        self.pair = Table(
            tr("The pair in A and B"),
            [Column(tr("Weight"), stretch=True), Column("A", number=True), Column("B", number=True)],
        )
        self.rows_title = label(tr("Where the weight has moved"), "heading")
        self.rows = Table(
            tr("Tokens whose looks differ most"),
            [Column(tr("Token"), stretch=True), Column(tr("Moved"), number=True)],
        )
        self.rows.row_chosen.connect(self._row_chosen)
        self.says = label("", "small", wrap=True)
        self._most: list[int] = []
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for part in (self.pair_title, self.pair, self.rows_title, self.rows, self.says):
            column.addWidget(part)
        column.addStretch(1)

    # What a person does.

    def show_first(self) -> None:
        scene = read_json("scenes", "attention", "compare.json")
        self.text.setPlainText(scene["text"])
        self._typing.stop()
        self._set_head(scene["layer"], scene["head"])

    def _set_head(self, layer: int, head: int) -> None:
        for spin, value in ((self.layer, layer), (self.head, head)):
            spin.blockSignals(True)
            spin.setMaximum(max(spin.maximum(), value))
            spin.setValue(value)
            spin.blockSignals(False)

    def choose(self, what: str) -> None:
        """Compare heads, sentences or models."""
        self.what.setCurrentIndex(self.what.findData(what))
        self._show_choice()
        self.look()

    def _show_choice(self) -> None:
        what = self.what.currentData()
        self.of_heads.setVisible(what == HEADS)
        self.of_sentences.setVisible(what == SENTENCES)
        self.of_models.setVisible(what == MODELS)
        self._list_heads()

    def _head_listed(self, row: int) -> None:
        if row >= len(self._listed):
            return
        if self.what.currentData() == HEADS:
            self._set_head(*self._listed[row])
            self.look()
        else:
            self.lab.heads.choose_head(*self._listed[row])

    def _pair_chosen(self, row: int, column: int) -> None:
        n = len(self.lab.heads.tokens)
        self.lab.heads.choose_pair(min(row, n - 1), min(column, n - 1))

    def _row_chosen(self, row: int) -> None:
        if row < len(self._most):
            token = self._most[row]
            self.lab.heads.choose_pair(token, int(np.abs(self.apart.weights[token]).argmax()))

    def _model_chosen(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.look()

    # Reading.

    def shown(self) -> None:
        self.look()

    def look(self) -> None:
        """Compare with what the Heads page shows now, if this page is in view."""
        self._typing.stop()
        heads = self.lab.heads
        if self.lab.frame.page != "compare" or heads.inside is None or heads.loaded is None:
            return
        config = heads.inside.model.config
        self.layer.setMaximum(config.layers - 1)
        self.head.setMaximum(config.heads - 1)
        self.first.setText(
            tr("A: head {head}, “{text}”", head=named([heads.grid.chosen]), text=self._short())
        )
        what = self.what.currentData()
        loaded, text = heads.loaded, self.text.toPlainText()[:LONGEST]
        if what == HEADS:
            self._take_reading((), None, heads.tokens)
            return
        if what == MODELS:
            if self.loaded is None:
                self._clear(tr("Choose a second model."))
                return
            loaded, text = self.loaded, heads.text.toPlainText()[:LONGEST]
        if self._read_for == (loaded, text) and self.inside is not None:
            self._take_reading(self._read_for, self.inside, self.tokens)
            return
        self.lab.attempt(self._read, loaded, text)

    def _short(self) -> str:
        text = self.lab.heads.text.toPlainText()
        return text if len(text) <= 80 else f"{text[:80]}…"

    def _read(self, loaded: LoadedModel, text: str) -> None:
        from core.interpret.reading import read_only

        if not text:
            raise LabError(tr("There is no second text."), tr("Type one on the left."))

        def take(read: TextRead) -> None:
            self.moved = None
            self._take_reading((loaded, text), read.inside, [name_of(token) for token in read.tokens])

        reading = tr("Reading the second text")
        try:
            self.lab.ask("second text", lambda: read_only(loaded, text), reading, take)
        except LabError:
            self._clear(tr("B cannot be read."))
            raise

    def _take_reading(self, of: tuple[Any, ...], inside: Inside | None, tokens: list[str]) -> None:
        self._read_for, self.inside, self.tokens = of, inside, tokens
        self._ask_patterns()
        self._ask_moved()

    def _ask_patterns(self) -> None:
        first = self.lab.heads.inside
        if first is None:
            return
        from core.interpret.reading import see_head

        second = self.inside or first
        at = self.lab.heads.grid.chosen
        other = (self.layer.value(), self.head.value()) if self.what.currentData() == HEADS else at
        config = second.model.config
        other = (min(other[0], config.layers - 1), min(other[1], config.heads - 1))

        def both() -> tuple[Any, Any]:
            return (
                run_to_end(see_head(first, *at)).result,
                run_to_end(see_head(second, *other)).result,
            )

        self.lab.ask("patterns", lambda: once(both), tr("Making the patterns"), self._take_patterns)

    def _take_patterns(self, both: tuple[Any, Any]) -> None:
        first, second = both
        names = (self.lab.heads.tokens, self.tokens)
        for view, tokens, seen, title, letter in zip(
            (self.a, self.b), names, both, self.titles, "AB", strict=False
        ):
            view.set_tokens(tokens)
            view.set_weights(seen.weights)
            title.setText(
                tr("{letter}: layer {layer}, head {head}", letter=letter, layer=seen.layer, head=seen.head)
            )
        alike = first.weights.shape == second.weights.shape and len(names[0]) == len(names[1])
        self.difference.setEnabled(alike)
        if alike:
            self.apart.set_tokens([a if a == b else f"{a}/{b}" for a, b in zip(*names, strict=True)])
            self.apart.set_weights(first.weights - second.weights)
        else:
            self.apart.set_tokens([])
        self.titles[2].setText(tr("A − B, in hundredths: blue where A looks more, orange where B does"))
        self._show()

    def _ask_moved(self) -> None:
        """How far has every head moved? Asked once for each pair of readings."""
        first, second = self.lab.heads.inside, self.inside
        if first is None or second is None:
            self.moved = None
            self._list_heads()
            return
        from core.interpret.difference import compare_heads

        try:
            stage = compare_heads(first, second)
        except LabError as error:
            self.moved = None
            self._list_heads(f"{error.problem} {error.remedy}")
            return

        def take(moved: Any) -> None:
            if (first, second) == (self.lab.heads.inside, self.inside):  # else other texts are in view by now
                self.moved = moved
                self._list_heads()

        self.lab.ask("moved", lambda: stage, tr("Comparing the heads"), take)

    # What is shown.

    def _clear(self, said: str) -> None:
        for view in (self.a, self.b, self.apart):
            view.set_tokens([])
        self._read_for, self.inside, self.tokens, self.moved = (), None, [], None
        self._list_heads()
        self.says.setText(said)
        self.titles[0].setText(said)

    def _list_heads(self, problem: str = "") -> None:
        """The pinned heads, or those that differ most."""
        if self.what.currentData() == HEADS:
            self._listed = list(self.lab.pins.heads)
            self.list_title.setText(tr("Pinned heads") if self._listed else tr("Pin heads to list them here"))
            self.list.set_rows([(named([at]), "") for at in self._listed])
            return
        if self.moved is None:
            self._listed = []
            self.list_title.setText(problem or tr("Heads that differ most"))
            self.list_title.setWordWrap(True)
            self.list.set_rows([])
            return
        order = np.argsort(-self.moved, axis=None)[:LISTED]
        self._listed = [(int(i) // self.moved.shape[1], int(i) % self.moved.shape[1]) for i in order]
        self.list_title.setText(tr("Heads that differ most"))
        self.list.set_rows([(named([at]), f"{100 * float(self.moved[at]):.0f} %") for at in self._listed])

    def _show(self) -> None:
        apart = self.difference.isChecked() and self.difference.isEnabled()
        for made, shown in zip(self.cards, (not apart, not apart, apart), strict=True):
            made.setVisible(shown)
        place = self.lab.heads.place
        if place is None:
            return
        _, _, row, column = place
        for view in (self.a, self.b, self.apart):
            if row < len(view.tokens) and column < len(view.tokens):
                view.choose(row, column)
        self._show_pair(row, column)
        self._show_rows()

    def _show_pair(self, row: int, column: int) -> None:
        tokens = self.lab.heads.tokens
        if row >= len(tokens):
            return
        self.pair_title.setText(tr("“{a}” looks at “{b}”", a=tokens[row], b=tokens[column]))
        rows = [
            view.weights[row] if view.exact and self._has_pair(view, row, column) else np.zeros(0)
            for view in (self.a, self.b)
        ]
        weights = [f"{float(looks[column]):.3f}" if len(looks) else "–" for looks in rows]
        self.pair.set_rows([(tr("of this pair"), *weights)])
        for view, bars, looks in zip((self.a, self.b), self.bars, rows, strict=True):
            best = np.argsort(-looks, kind="stable")[:ROWS].tolist()
            bars.set_bars(
                [Bar(view.tokens[i], float(looks[i]), f"{looks[i]:.2f}", i == column) for i in best]
            )
        self.pair.fit_height()

    def _has_pair(self, view: PatternView, row: int, column: int) -> bool:
        """Whether the tokens of A at these places stand there in this view, too, or others in their place."""
        ours, theirs = self.a.tokens, view.tokens
        if len(ours) == len(theirs):
            return row < len(theirs)
        return all(at < min(len(ours), len(theirs)) and ours[at] == theirs[at] for at in (row, column))

    def _show_rows(self) -> None:
        exact = self.apart.exact
        for widget in (self.rows_title, self.rows):
            widget.setVisible(exact)
        if not exact:
            self.says.setText(
                tr("A has {a:,} tokens, B {b:,}: they stand side by side, without a difference.",
                   a=len(self.a.tokens), b=len(self.b.tokens))
                if len(self.a.tokens) != len(self.b.tokens)
                else tr("The text is long: each cell is the largest weight in it.")
            )  # fmt: skip
            return
        from core.interpret.difference import moved

        rows = moved(self.a.weights, self.b.weights)
        self._most = np.argsort(-rows, kind="stable")[:ROWS].tolist()
        self.rows.set_rows([(self.apart.tokens[i], f"{100 * float(rows[i]):.0f} %") for i in self._most])
        self.rows.fit_height()
        share = 100 * float(rows[1:].mean()) if len(rows) > 1 else 0.0
        self.says.setText(
            tr("{all:.0f} % of all weight lies elsewhere, the first token left out; most for “{token}”.",
               all=share, token=self.apart.tokens[self._most[0]])
        )  # fmt: skip

    # State, pictures.

    def take_focus(self) -> None:
        self.what.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Two patterns"): self.picture}

    def numbers(self) -> Numbers:
        if not self.apart.exact:
            return (), ()
        rows = [
            (
                self.apart.tokens[i],
                self.apart.tokens[j],
                *(f"{float(view.weights[i, j]):.3f}" for view in (self.a, self.b, self.apart)),
            )
            for i, j in np.argwhere(np.maximum(self.a.weights, self.b.weights) >= FAINTEST).tolist()
        ]
        return (tr("Token"), tr("looks at"), "A", "B", "A − B"), rows

    def save_state(self) -> dict[str, Any]:
        return {
            "what": self.what.currentData(),
            "text": self.text.toPlainText()[:LONGEST],
            "head": [self.layer.value(), self.head.value()],
            "difference": self.difference.isChecked(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        self.show_first()
        if isinstance(state.get("text"), str):
            self.text.setPlainText(state["text"][:LONGEST])
            self._typing.stop()
        head = state.get("head")
        if isinstance(head, list) and len(head) == 2 and all(type(n) is int and 0 <= n < 1000 for n in head):
            self._set_head(head[0], head[1])
        self.difference.setChecked(state.get("difference") is True)
        if state.get("what") in (HEADS, SENTENCES, MODELS):
            self.choose(state["what"])
