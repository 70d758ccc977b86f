"""Analogy: a − b + c, the arrow that lands near a fourth word, and how near.

What to notice: the answer depends on leaving the input words out and on the centering; many relations fail.
Stages: `core.embeddings.analogies`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from labapp.labs.embeddings.analogy_view import AnalogyView, ArrowsView, Place
from labapp.labs.embeddings.completing import WordLine
from labapp.labs.embeddings.subject import Opened, SubjectPage, centering_box
from labapp.labs.embeddings.suites import SuiteTable
from labapp.labs.embeddings.tables import shown, signed
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.analogies import Solved
    from labapp.labs.embeddings import EmbeddingsLab

RANKED = 20  # answers in the list
OWN = 6  # analogies of one's own that are kept
WORDS = (("a", ""), ("b", "−"), ("c", "+"), ("target", "≈"))
VIEWS = (
    ("Analogy", "The words in the plane through a, b and c"),
    ("Two arrows", "The two differences from one point, in the plane that they span"),
    ("Many questions", "Six kinds of relation, each asked many times: where it works and where not"),
)


class AnalogyPage(SubjectPage):
    """Four words on the left, arrows in the middle, the ranked answers on the right."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.opened: Opened | None = None
        self.solved: Solved | None = None
        self.own: list[list[str]] = []
        self._scene: dict[str, Any] | None = None
        self._wanted: list[str] = []  # words to begin with
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        names = {"a": tr("begin with"), "b": tr("take away"), "c": tr("add"), "target": tr("should give")}
        self.lines: dict[str, WordLine] = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        for n, (key, sign) in enumerate(WORDS):
            line = WordLine(self.subject, names[key])
            line.row_chosen.connect(lambda _: self.solve())
            line.setMinimumHeight(line.sizeHint().height())  # in a low window a grid gives its rows less
            self.lines[key] = line
            signs = label(sign, "heading")
            signs.setFixedWidth(14)
            signs.setAlignment(Qt.AlignmentFlag.AlignCenter)
            title = label(names[key], "small")
            grid.addWidget(signs, n, 0)
            grid.addWidget(line, n, 1)
            grid.addWidget(title, n, 2)
        self.centering = centering_box()
        self.centering.activated.connect(lambda _: self.solve())
        self.go = button(
            tr("Solve"), self.solve, tip=tr("Find what lies nearest to a − b + c"), role="primary"
        )
        self.keep = button(tr("Keep"), self.keep_own, tip=tr("Keep these words among the presets"))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.go, 1)
        row.addWidget(self.keep)
        self.presets = QGridLayout()
        self.presets.setContentsMargins(0, 0, 0, 0)
        self.presets.setSpacing(4)
        self.controls = controls(
            self.top, grid, field(tr("Measured"), self.centering, tr("From where vectors are measured")), row,
            label(tr("Presets"), "small"), self.presets,
        )  # fmt: skip
        self._show_presets()

    def _build_picture(self) -> None:
        self.view = AnalogyView(tr("The analogy in the plane of its words"))
        self.arrows = ArrowsView(tr("Two differences compared"))
        self.suites = SuiteTable(self)
        self.views = QStackedWidget()
        for widget in (self.view, self.arrows, self.suites):
            self.views.addWidget(widget)
        self.head = ViewButtons(VIEWS, self.show_view)
        self.answer = label("", "heading")
        self.head.row.addWidget(self.answer)
        self.caption = label("", "small", wrap=True)
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(card(self.head, self.views, self.caption, margin=10, spacing=6, grows=self.views), 1)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.ranked = Table(
            tr("Nearest words, without a, b and c"),
            [Column("", number=True), Column(tr("Word"), stretch=True), Column(tr("Cosine"), number=True)],
        )
        self.inputs = label("", "small", wrap=True)
        self.why_title = label(tr("Why not exactly?"), "heading")
        self.why = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        column.addWidget(self.heading)
        column.addWidget(self.ranked, 1)
        for part in (self.inputs, self.why_title, self.why):
            column.addWidget(part)
        column.addStretch()

    def _show_presets(self) -> None:
        while self.presets.count():
            item = self.presets.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        shipped = [
            (tr(one["title"]), one["words"])
            for one in read_json("scenes", "embeddings", "presets.json")["analogies"]
        ]
        own = [(f"{a} − {b} + {c}", [a, b, c, d]) for a, b, c, d in self.own]
        for n, (title, words) in enumerate(shipped + own):
            tip = tr("{a} − {b} + {c} ≈ {d}", a=words[0], b=words[1], c=words[2], d=words[3] or "?")
            made = button(title, partial(self.show_words, list(words)), tip=tip, role="sample")
            self.presets.addWidget(made, n // 2, n % 2)

    # The words.

    def show_first(self) -> None:
        scene = read_json("scenes", "embeddings", "words.json")["analogy"]
        self._scene = scene
        self._wanted = list(scene["words"])
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._reveal(False)

    def take(self, opened: Opened) -> None:
        self.opened, self.solved = opened, None
        self.suites.clear()
        words = self._wanted or [line.text() for line in self.lines.values()]
        self._wanted = []
        vectors = opened.vectors
        if words[:3] and all(words[:3]) and not all(self._known(word) for word in words[:3]):
            for line in self.lines.values():  # other vectors: these words are not among them
                line.setText("")
            self._show_nothing(tr("Write three words of {title}.", title=vectors.title))
            return
        self.show_words(words)

    def _known(self, word: str) -> bool:
        return self.lines["a"].show_word(word)

    def show_words(self, words: list[str]) -> None:
        """Solve with these: a, b, c, and what it should give, or ""."""
        for line, word in zip(self.lines.values(), words, strict=False):
            line.show_word(word)
        self.solve()

    def keep_own(self) -> None:
        """Keep the words among the presets."""
        words = [line.text().strip() for line in self.lines.values()]
        if all(words[:3]) and words not in self.own:
            self.own = [*self.own, words][-OWN:]
            self._show_presets()

    def solve(self) -> None:
        """Find what lies nearest to a − b + c."""
        for line in self.lines.values():
            if line.text().strip():
                line.take_quietly()
        if self.opened is not None and all(self.lines[key].text().strip() for key in "abc"):
            self.lab.attempt(self._solve, self.opened)

    def _solve(self, opened: Opened) -> None:
        from core.embeddings.analogies import analogy

        space = opened.space(self.centering.currentData())
        rows = [opened.vectors.row(self.lines[key].text().removeprefix("·")) for key in "abc"]
        text = self.lines["target"].text().strip()
        target = opened.vectors.row(text.removeprefix("·")) if text else None
        self.solved = analogy(space, rows[0], rows[1], rows[2], RANKED)
        self._show(opened, self.solved, target)

    # What is shown.

    def _show_caption(self) -> None:
        self.caption.setVisible(self.views.currentIndex() != 2 and not self.prediction.asking)
        self.caption.setText(self.summary())

    def show_view(self, n: int) -> None:
        """Show the plane, the two arrows, or the suites."""
        self.head.mark(n)
        self.views.setCurrentIndex(n)
        self._show_caption()

    def _show_nothing(self, why: str) -> None:
        self.view.set_places([], False)
        self.ranked.set_rows([])
        for part in (self.inputs, self.why):
            part.setText("")
        self.heading.setText(why)
        self.answer.setText("")
        self.caption.setText("")

    def _show(self, opened: Opened, solved: Solved, target: int | None) -> None:
        space = opened.space(self.centering.currentData())
        names = opened.vectors.names
        if not solved.ranked:
            return
        first = solved.ranked[0]
        if self.prediction.asking:
            return
        self.heading.setText(
            tr("{a} − {b} + {c} ≈ {word}, {cosine}", a=shown(names[solved.a]), b=shown(names[solved.b]),
               c=shown(names[solved.c]), word=shown(first.name), cosine=signed(first.value))
        )  # fmt: skip
        self.answer.setText(tr("≈ {word} {cosine}", word=shown(first.name), cosine=signed(first.value)))
        mark = next((n for n, one in enumerate(solved.ranked) if one.row == target), None)
        self.ranked.set_rows(
            [(f"{n + 1}", shown(one.name), signed(one.value)) for n, one in enumerate(solved.ranked)], mark
        )
        top = ", ".join(
            f"{shown(names[int(row)])} {signed(float(value))}"
            for row, value in zip(solved.rows[:3], solved.values[:3], strict=True)
        )
        self.inputs.setText(
            tr("Words a, b and c are left out of this list. With them it begins: {top}. Cosine, {origin}; "
               "candidates: {among}.", top=top, origin=space.centered_on, among=solved.among)
        )  # fmt: skip
        self._show_places(opened, solved, target)
        self._show_why(opened, solved, target)
        self._show_caption()
        self.view.setAccessibleDescription(self.summary())

    def _show_places(self, opened: Opened, solved: Solved, target: int | None) -> None:
        from core.embeddings.analogies import corner
        from core.embeddings.projection import outside, plane_through

        space, names = opened.space(self.centering.currentData()), opened.vectors.names
        seen = dict.fromkeys(
            row for row in (target, *(one.row for one in solved.ranked[:3])) if row is not None
        )
        rows = [solved.b, solved.a, solved.c]
        plane = plane_through(np.stack([corner(space, row, solved.unit) for row in rows]))
        others = np.stack([solved.point, *(corner(space, row, solved.unit) for row in seen)])
        placed, off = plane.place(others), outside(plane, others)
        places = [
            Place(shown(names[row]), float(x), float(y))
            for row, (x, y) in zip(rows, plane.points, strict=True)
        ]
        point = tr(
            "{a} − {b} + {c}", a=shown(names[solved.a]), b=shown(names[solved.b]), c=shown(names[solved.c])
        )
        places.append(Place(point, float(placed[0][0]), float(placed[0][1]), "point"))
        for row, (x, y), far in zip(seen, placed[1:], off[1:], strict=True):
            kind = "target" if row == target else "near"
            places.append(Place(shown(names[row]), float(x), float(y), kind, float(far)))
        self.view.set_places(places, move=not self.context.reduced_motion)

    def _show_why(self, opened: Opened, solved: Solved, target: int | None) -> None:
        from core.embeddings.analogies import compare_arrows, miss

        names = opened.vectors.names
        space = opened.space(self.centering.currentData())
        self.why_title.setVisible(target is not None)
        if target is None:
            self.why.setText(tr("Write what it should give, and see how far it is missed."))
            self.arrows.set_arrows(("", 1.0), ("", 1.0), 0.0)
            return
        found = miss(space, solved, target)
        without, with_inputs = solved.rank_without(target), solved.rank_with_inputs(target)
        self.why.setText(
            tr("“{word}” comes {without}; with the input words, {with_inputs}. Its cosine with the point is "
               "{cosine}, its distance {distance:.3g}; its own nearest word, {nearest}, is {usual:.3g} away.",
               word=shown(names[target]), without=_place(without), with_inputs=_place(with_inputs),
               cosine=signed(found.cosine), distance=found.distance, nearest=shown(found.near.name),
               usual=found.usual)
        )  # fmt: skip
        both = compare_arrows(space, solved.a, target, solved.b, solved.c)
        self.arrows.set_arrows(
            (f"{shown(names[solved.a])} − {shown(names[target])}", both.first),
            (f"{shown(names[solved.b])} − {shown(names[solved.c])}", both.second), both.angle,
        )  # fmt: skip
        self._both = both

    def summary(self) -> str:
        opened, solved = self.opened, self.solved
        if opened is None or solved is None or self.prediction.asking:
            return ""
        space = opened.space(self.centering.currentData())
        if self.views.currentIndex() == 2:
            return self.suites.summary() if self.suites.scored else ""
        if self.views.currentIndex() == 1:
            if not self.arrows.first[0]:
                return tr("Write what the analogy should give: then two differences are compared.")
            return tr(
                "{first} has length {a:.3g}, {second} {b:.3g}; the cosine between them is {cosine} (1 "
                "is parallel).",
                first=self.arrows.first[0], a=self.arrows.first[1], second=self.arrows.second[0],
                b=self.arrows.second[1], cosine=signed(self._both.cosine),
            )  # fmt: skip
        parts = [
            tr("The plane through the three words, each of length 1, {origin}.", origin=space.centered_on),
        ]
        off = [f"{place.name} {place.outside:.3g}" for place in self.view.places if place.outside > 0]
        if off:
            parts.append(tr("Outside of it by: {far}.", far=", ".join(off[:4])))
        return " ".join(parts)

    def numbers(self) -> Numbers:
        if self.views.currentIndex() == 2:
            return self.suites.numbers()
        solved = self.solved
        if solved is None or self.opened is None or self.prediction.asking:
            return (), ()
        names = self.opened.vectors.names
        rows = [
            (shown(names[int(row)]), str(n + 1), signed(float(value), 4))
            for n, (row, value) in enumerate(zip(solved.rows[:500], solved.values[:500], strict=True))
        ]
        return (tr("word"), tr("rank, input words among them"), tr("cosine")), rows

    # The scene.

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal(True)

    def _reveal(self, shown_: bool) -> None:
        """Show what answers the question, or keep it back."""
        for part in (self.ranked, self.inputs, self.why, self.why_title, self.views, self.head):
            part.setVisible(shown_)
        if not shown_:
            self.heading.setText(tr("Answer first, or close the question."))
        elif self.opened is not None and self.solved is not None:
            self.solve()
        self._show_caption()

    def take_focus(self) -> None:
        self.lines["a"].setFocus()

    def pictures(self) -> dict[str, QWidget]:
        titles = (tr("Analogy"), tr("Two arrows"), tr("Many questions"))
        at = self.views.currentIndex()
        return {titles[at]: (self.view, self.arrows, self.suites)[at]}

    def save_state(self) -> dict[str, Any]:
        return {
            "words": [line.text() for line in self.lines.values()], "own": self.own,
            "centered": bool(self.centering.currentData()), "view": self.views.currentIndex(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        words, own, view = state.get("words"), state.get("own"), state.get("view")
        good = isinstance(words, list) and len(words) == 4 and all(isinstance(w, str) for w in words)
        self._wanted = list(words) if good and isinstance(words, list) else []
        if not any(self._wanted):
            self._wanted = list(read_json("scenes", "embeddings", "words.json")["analogy"]["words"])
        if isinstance(own, list):
            kept = [
                w for w in own if isinstance(w, list) and len(w) == 4 and all(isinstance(x, str) for x in w)
            ]
            self.own = kept[-OWN:]
            self._show_presets()
        self.centering.setCurrentIndex(1 if state.get("centered") is False else 0)
        if type(view) is int and 0 <= view < len(VIEWS):
            self.show_view(view)


def _place(rank: int | None) -> str:
    return tr("nowhere") if rank is None else tr("first") if rank == 1 else tr("in place {n:,}", n=rank)
