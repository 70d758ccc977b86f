"""Dot product: two words, their numbers multiplied and added up, and the angle that comes of it.

What to notice: opposites are similar, and hardly a pair lies below zero. Stage: `core.embeddings.dots`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from core.stages import once
from labapp.labs.embeddings.completing import WordLine
from labapp.labs.embeddings.dot_view import AngleView, RunningSum
from labapp.labs.embeddings.inspector import NeighborBars
from labapp.labs.embeddings.subject import Opened, SubjectPage, centering_box
from labapp.labs.embeddings.tables import percent, shown, signed
from labapp.labs.embeddings.vector_bars import VectorBars
from labapp.scenes import read_json
from labapp.widgets.formula import Formula, Term
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.dots import BelowZero, Dot, Examples
    from labapp.labs.embeddings import EmbeddingsLab

TOP = 10  # words by dot product beside those by cosine
PAIRS = 200_000  # that are drawn
TITLE = 68  # px of the names of the rows
SLIDER = 100  # steps of the slider for each doubling of the length


class DotPage(SubjectPage):
    """Two words on the left, their numbers and arrows in the middle, who is nearest on the right."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.opened: Opened | None = None
        self.dot: Dot | None = None
        self.below: BelowZero | None = None
        self.examples: Examples | None = None
        self._scene: dict[str, Any] | None = None
        self._wanted: list[str] = []
        self._rows = (0, 0)
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.a, self.b = WordLine(self.subject, tr("Word a")), WordLine(self.subject, tr("Word b"))
        words = QHBoxLayout()
        words.setSpacing(6)
        for line, title in ((self.a, tr("Word a")), (self.b, tr("Word b"))):
            line.row_chosen.connect(lambda _: self.multiply())
            words.addWidget(field(title, line))
            line.setToolTip(tr("A word; Enter takes it"))
        self.centering = centering_box(centered=False)
        self.centering.activated.connect(lambda _: self.multiply())
        self.length = QSlider(Qt.Orientation.Horizontal)
        self.length.setRange(-2 * SLIDER, 2 * SLIDER)
        self.length.setPageStep(SLIDER // 2)
        self.length.valueChanged.connect(lambda _: self._show())
        self.times = label("", "small")
        presets = QGridLayout()
        presets.setContentsMargins(0, 0, 0, 0)
        presets.setSpacing(4)
        for n, one in enumerate(read_json("scenes", "embeddings", "presets.json")["pairs"]):
            made = button(
                tr("{a} · {b}", a=one[0], b=one[1]), partial(self.show_words, *one),
                tip=tr("Take these two words"), role="sample",
            )  # fmt: skip
            presets.addWidget(made, n // 2, n % 2)
        self.finds = button(
            tr("Find pairs in the data"), self.find, tip=tr("Draw random pairs of words and look")
        )
        self.found = Table(
            tr("Pairs found in the data"),
            [Column(tr("Pair"), stretch=True), Column(tr("Cosine"), number=True)],
        )
        self.found.row_chosen.connect(self._take_pair)
        self.found.setMinimumHeight(60)
        self.rest = QVBoxLayout()  # takes the room of the pairs while they are kept back
        self.rest.addStretch()
        self.controls = controls(
            self.top, words, field(tr("Measured"), self.centering, tr("From where vectors are measured")),
            field(tr("Length of a"), self.length, tr("Make a longer or shorter: the dot product follows, "
                                                      "the cosine does not")),
            self.times, presets, self.finds, self.found, self.rest, grows=self.found,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.first, self.second = VectorBars(tr("Numbers of a"), 22), VectorBars(tr("Numbers of b"), 22)
        self.products = VectorBars(tr("Products, number by number"), 22)
        self.sums = RunningSum(tr("The products added up"))
        self.titles = [label("", "small") for _ in range(4)]
        bars = (self.first, self.second, self.products)
        for view in bars:
            view.pointed.connect(self._point)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        rows: tuple[QWidget, ...] = (*bars, self.sums)
        for n, (title, shown_) in enumerate(zip(self.titles, rows, strict=True)):
            title.setFixedWidth(TITLE)
            grid.addWidget(title, n, 0)
            grid.addWidget(shown_, n, 1)
            grid.setRowStretch(n, 1)
        self.numbers_card = card(grid, margin=10)
        self.angle = AngleView(tr("The two vectors and their angle"))
        self.angle.setMinimumHeight(64)
        self.formula = Formula(
            tr("a · b is the length of a times that of b times the cosine of the angle"),
            [
                Term(r"\mathbf{a}\cdot\mathbf{b}=\sum_i a_i b_i"),
                Term(r"=|\mathbf{a}|\,|\mathbf{b}|\,\cos\theta"),
            ], size=1.2,
        )  # fmt: skip
        self.inserted = label("", "small", wrap=True)
        below = QVBoxLayout()
        below.setSpacing(6)
        below.addWidget(self.formula)
        below.addWidget(self.inserted)
        below.addStretch(1)
        both = QHBoxLayout()
        both.setSpacing(10)
        both.addWidget(self.angle, 1)
        both.addLayout(below, 1)
        self.angle_card = card(both, margin=10)
        self.caption = label("", "small", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(self.numbers_card, 3)
        layout.addWidget(self.angle_card, 2)
        layout.addWidget(self.caption)
        layout.addStretch()

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.by_dot, self.by_cosine = (
            NeighborBars(tr("Nearest by dot product")),
            NeighborBars(tr("Nearest by cosine")),
        )
        for bars in (self.by_dot, self.by_cosine):
            bars.row_chosen.connect(self._take_second)
        self.apart = label("", "small", wrap=True)
        self.share_title = label(tr("Pairs below zero"), "heading")
        self.share = label(tr("Not counted yet: Find pairs in the data."), "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(4)
        column.addWidget(self.heading)
        self.lists = QWidget()
        inner = QVBoxLayout(self.lists)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(4)
        for title, bars in ((tr("by dot product"), self.by_dot), (tr("by cosine"), self.by_cosine)):
            inner.addWidget(label(title, "small"))
            inner.addWidget(bars, 1)
        inner.addWidget(self.apart)
        column.addWidget(self.lists, 4)
        for part in (self.share_title, self.share):
            column.addWidget(part)
        column.addStretch(1)

    # The words.

    def show_first(self) -> None:
        scene = read_json("scenes", "embeddings", "words.json")["dot"]
        self._scene = scene
        self._wanted = list(scene["words"])
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._reveal(False)

    def take(self, opened: Opened) -> None:
        self.opened, self.dot, self.below, self.examples = opened, None, None, None
        self.found.set_rows([])
        self.share.setText(tr("Not counted yet: Find pairs in the data."))
        words = self._wanted or [self.a.text(), self.b.text()]
        self._wanted = []
        known = [self.a.show_word(words[0]), self.b.show_word(words[1])]
        if not all(known):  # other vectors: two of their first words
            rows = opened.vectors.words
            rows = rows if len(rows) > 1 else np.arange(len(opened.vectors))
            for line, row in zip((self.a, self.b), rows[:2].tolist(), strict=False):
                line.show_row(row)
        self.multiply()

    def show_words(self, a: str, b: str) -> None:
        """Take two words."""
        self.a.show_word(a)
        self.b.show_word(b)
        self.multiply()

    def _take_pair(self, at: int) -> None:
        pairs = self._pairs()
        if at < len(pairs):
            self._take_rows(pairs[at].a, pairs[at].b)

    def _take_second(self, row: int) -> None:
        self._take_rows(self._rows[0], row)

    def _take_rows(self, a: int, b: int) -> None:
        self.a.show_row(a)
        self.b.show_row(b)
        self.multiply()

    def multiply(self) -> None:
        """Multiply the two words."""
        if self.opened is not None and self.a.text().strip() and self.b.text().strip():
            self.lab.attempt(self._multiply, self.opened)

    def _multiply(self, opened: Opened) -> None:
        rows = []
        for line in (self.a, self.b):
            row = line.row
            rows.append(opened.vectors.row(line.text().removeprefix("·")) if row is None else row)
        self._rows = (rows[0], rows[1])
        self._show()
        self._show_nearest(opened)

    # What is shown.

    @property
    def factor(self) -> float:
        """How many times its length a is shown with."""
        return float(2.0 ** (self.length.value() / SLIDER))

    def _show(self) -> None:
        from core.embeddings.dots import explain_dot

        opened = self.opened
        if opened is None:
            return
        space = opened.space(self.centering.currentData())
        names = opened.vectors.names
        a, b = (shown(names[row]) for row in self._rows)
        first, second = space.vector(self._rows[0]) * np.float32(self.factor), space.vector(self._rows[1])
        self.dot = made = explain_dot(first, second)
        full = float(max(np.abs(first).max(), np.abs(second).max()))
        self.first.set_values(first, full)
        self.second.set_values(second, full)
        self.products.set_values(made.products)
        self.sums.set_sums(made.running)
        self.times.setText(tr("× {n:.2f}: length {length:.3g}", n=self.factor, length=made.norm_a))
        for title, text in zip(
            self.titles,
            (tr("a: {word}", word=a[:9]), tr("b: {word}", word=b[:9]), tr("products"), tr("their sum")),
            strict=True,
        ):
            title.setText(text)
        self.angle.set_vectors((a, b), (made.norm_a, made.norm_b), made.angle)
        self.inserted.setText(
            tr("{dot} = {a:.3g} × {b:.3g} × {cosine}; the thick line is the shadow of a on b: |a| cos θ. "
               "Attention compares by the plain dot product (over √d), games such as Semantle by the cosine.",
               dot=signed(made.dot, 3), a=made.norm_a, b=made.norm_b, cosine=signed(made.cosine, 3))
        )  # fmt: skip
        self.caption.setText(self.summary())

    def _point(self, at: int) -> None:
        made = self.dot
        if made is None:
            return
        for view in (self.first, self.second, self.products):
            view.point(at)
        self.sums.point(at)
        self.caption.setText(
            tr(
                "number {i}: {a} × {b} = {c}; up to here {sum}",
                i=at,
                a=signed(float(self.first.values[at]), 3),
                b=signed(float(self.second.values[at]), 3),
                c=signed(float(made.products[at]), 4),
                sum=signed(float(made.running[at]), 3),
            )
        )

    def _show_nearest(self, opened: Opened) -> None:
        space = opened.space(self.centering.currentData())
        words = opened.vectors.words
        row = self._rows[0]
        self.heading.setText(tr("Nearest to “{word}”", word=shown(opened.vectors.names[row])))
        by_dot, by_cosine = (space.neighbors(row, by, TOP, (), words) for by in ("dot", "cosine"))
        self.by_dot.show_neighbors(by_dot, "dot", self._rows[1])
        self.by_cosine.show_neighbors(by_cosine, "cosine", self._rows[1])
        both = len({one.row for one in by_dot} & {one.row for one in by_cosine})
        self.apart.setText(
            tr("{n} are in both lists: long vectors win by dot product. Among {words}, {origin}.", n=both,
               words=opened.vectors.words_said, origin=space.centered_on)
        )  # fmt: skip

    def summary(self) -> str:
        made, opened = self.dot, self.opened
        if made is None or opened is None or self.prediction.asking:
            return ""
        a, b = (shown(opened.vectors.names[row]) for row in self._rows)
        return tr(
            "{a} · {b} = {dot}, cosine {cosine}, angle {angle:.0f}°; {width} numbers, {origin}.",
            a=a, b=b, dot=signed(made.dot, 3), cosine=signed(made.cosine), angle=made.angle,
            width=opened.vectors.width, origin=opened.space(self.centering.currentData()).centered_on,
        )  # fmt: skip

    # Pairs in the data.

    def find(self) -> None:
        """Draw random pairs of words: how many are below zero, and which stand out."""
        if self.opened is not None:
            self.lab.attempt(self._find, self.opened)

    def _find(self, opened: Opened) -> None:
        from core.embeddings.dots import examples_of, share_below_zero

        space, words = opened.space(self.centering.currentData()), opened.vectors.words

        def both() -> tuple[Examples, BelowZero]:
            return examples_of(space, 5, 0, words, PAIRS), share_below_zero(space, PAIRS, 0, words)

        self.lab.ask(
            "pairs",
            lambda: once(both),
            tr("Drawing {n:,} pairs", n=PAIRS),
            partial(self._show_found, opened, space),
        )

    def _show_found(self, opened: Opened, space: Any, found: tuple[Examples, BelowZero]) -> None:
        if opened is not self.opened:
            return
        self.examples, self.below = found
        names = opened.vectors.names
        self.found.set_rows(
            [(f"{shown(names[p.a])} · {shown(names[p.b])}", signed(p.cosine)) for p in self._pairs()]
        )
        made = self.below
        self.share.setText(
            tr("{share} of n = {n:,} random pairs of words have a dot product below 0 (95 % interval "
               "{low} to {high}); "
               "their mean cosine is {mean}. {origin}, seed {seed}.",
               share=percent(made.share), n=made.n, low=percent(made.low), high=percent(made.high),
               mean=signed(made.mean), origin=space.centered_on.capitalize(), seed=made.seed)
        )  # fmt: skip

    def _pairs(self) -> tuple[Any, ...]:
        made = self.examples
        return () if made is None else (*made.positive, *made.near_zero, *made.negative)

    # The scene.

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal(True)

    def _reveal(self, shown_: bool) -> None:
        """Show what answers the question, or keep it back."""
        for part in (
            self.sums,
            self.titles[3],
            self.products,
            self.titles[2],
            self.angle_card,
            self.caption,
            self.lists,
            self.heading,
            self.found,
            self.finds,
        ):
            part.setVisible(shown_)
        self.caption.setText(self.summary())

    def numbers(self) -> Numbers:
        made = self.dot
        if made is None or self.prediction.asking:
            return (), ()
        rows = [
            (str(i), f"{a:.5f}", f"{b:.5f}", f"{c:.6f}", f"{s:.5f}")
            for i, (a, b, c, s) in enumerate(
                zip(self.first.values.tolist(), self.second.values.tolist(), made.products.tolist(),
                    made.running.tolist(), strict=True)
            )
        ]  # fmt: skip
        return (tr("number"), "a", "b", "a × b", tr("sum so far")), rows

    def take_focus(self) -> None:
        self.a.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Angle"): self.angle, tr("Products"): self.numbers_card}

    def save_state(self) -> dict[str, Any]:
        return {
            "words": [self.a.text(), self.b.text()], "centered": bool(self.centering.currentData()),
            "length": self.length.value(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        words, length = state.get("words"), state.get("length")
        good = isinstance(words, list) and len(words) == 2 and all(isinstance(w, str) and w for w in words)
        scene = read_json("scenes", "embeddings", "words.json")["dot"]
        self._wanted = list(words) if good and isinstance(words, list) else list(scene["words"])
        self.centering.setCurrentIndex(0 if state.get("centered") is True else 1)
        if type(length) is int:
            self.length.setValue(length)
