"""Dimensions: is there an Italian-ness? A direction made of examples, the words along it, and how many
numbers carry it.

What to notice: a direction may mean something; hardly any single number does, and turning the space changes
every number and no similarity. Stage: `core.embeddings.dimensions`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.stages import Finished, pass_on
from labapp.idle import when_idle
from labapp.labs.embeddings.along_view import Along, AlongView
from labapp.labs.embeddings.recipe import split_axis
from labapp.labs.embeddings.subject import Opened, SubjectPage, centering_box
from labapp.labs.embeddings.tables import percent, shown, signed
from labapp.labs.embeddings.vector_bars import VectorBars
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.dimensions import Along as Ranked
    from core.embeddings.dimensions import Carried, Rotated, Separation
    from core.embeddings.neighbors import Space
    from core.embeddings.vectors import Numbers as Vector
    from labapp.labs.embeddings import EmbeddingsLab
    from labapp.plots import Plot, Series

ENDS = 14  # words in the picture from either end
LISTED = 250  # words in the table from either end
FEWEST = 3  # words at each end, where some are left out
SEED = 1  # of the rotation


@dataclass(frozen=True, eq=False)
class Examined:
    """What is known of a direction in one space, turned or not.

    Attributes:
        space: Where.
        plus: Rows of the examples for.
        minus: Rows of the examples against.
        direction: From the mean of `minus` to that of `plus`, shape (W,).
        along: The words farthest at both ends, by their cosine with it.
        carried: How much of it the largest k numbers hold.
        separation: The best single number against the whole direction, on words left out; None where there
            are too few words for that.
        rotated: What the rotation did, or None.
    """

    space: Space
    plus: tuple[int, ...]
    minus: tuple[int, ...]
    direction: Vector
    along: Ranked
    carried: Carried
    separation: Separation | None
    rotated: Rotated | None


class DimensionsPage(SubjectPage):
    """Example words on the left, the words along their direction in the middle, its figures on the right."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.opened: Opened | None = None
        self.found: Examined | None = None
        self.before: Examined | None = None  # the space was turned
        self.plot: Plot | None = None
        self._curve: Series | None = None
        self._scene: dict[str, Any] | None = None
        self._wanted = ""
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.plus, self.minus = QLineEdit(), QLineEdit()
        for line in (self.plus, self.minus):
            line.setMaxLength(1000)
            line.returnPressed.connect(self.find)
        tip = tr("Words, with commas between them; five or more make a figure worth reading")
        self.centering = centering_box()
        self.go = button(
            tr("Find the direction"), self.find, tip=tr("From the second words to the first"), role="primary"
        )
        self.turn = button(
            tr("Rotate the space"), self.rotate,
            tip=tr("Turn all vectors by one random rotation: every number changes, no similarity does"),
        )  # fmt: skip
        self.turn.setCheckable(True)
        presets = QGridLayout()
        presets.setContentsMargins(0, 0, 0, 0)
        presets.setSpacing(4)
        for n, one in enumerate(read_json("scenes", "embeddings", "presets.json")["directions"]):
            made = button(
                tr(one["title"]),
                partial(self.show_words, one["plus"], one["minus"]),
                tip=f"{one['plus']} − {one['minus']}",
                role="sample",
            )
            presets.addWidget(made, n // 2, n % 2)
        self.controls = controls(
            self.top, field(tr("Words for"), self.plus, tip), field(tr("Words "
                                                                       "against"), self.minus, tip), presets,
            field(tr("Measured"), self.centering, tr("From where vectors are measured")), self.go, self.turn,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.view = AlongView(tr("Words along the direction"))
        self.numbers_view = VectorBars(tr("The numbers of the direction"), 34)
        self.pointed = label("", "small")
        self.numbers_view.pointed.connect(lambda at: self.pointed.setText(self.numbers_view.words()))
        self.caption = label("", "small", wrap=True)
        head = QHBoxLayout()
        head.addWidget(label(tr("Words along the direction"), "heading"), 1)
        self.view_card = card(head, self.view, margin=8, spacing=4, grows=self.view)
        self.lower = QWidget()
        self._lower = QHBoxLayout(self.lower)
        self._lower.setContentsMargins(0, 0, 0, 0)
        self._lower.setSpacing(8)
        row = QHBoxLayout()
        row.addWidget(label(tr("Its numbers"), "heading"))
        row.addWidget(self.pointed, 1)
        self._lower.addWidget(card(row, self.numbers_view, margin=8, spacing=4, grows=self.numbers_view), 1)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(self.view_card, 4)
        layout.addWidget(self.lower, 3)
        layout.addWidget(self.caption)
        layout.addStretch()  # what is kept back leaves its room to nobody

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.table = Table(
            tr("Words along the direction"),
            [Column("", number=True), Column(tr("Word"), stretch=True), Column(tr("Cosine"), number=True)],
        )
        self.versus = Table(
            tr("Told apart on words left out"),
            [Column(tr("Told apart by"), stretch=True), Column(tr("Right"), number=True)],
        )
        self.says = label("", "small", wrap=True)
        self.turned = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        column.addWidget(self.heading)
        column.addWidget(self.table, 1)
        for part in (self.versus, self.says, self.turned):
            column.addWidget(part)
        column.addStretch()

    def plots_ready(self) -> None:
        if self.plot is not None:
            return
        from labapp.plots import line_plot

        self.plot = line_plot(
            tr("Share carried"),
            x=(tr("numbers, the largest first"), ""),
            y=(tr("share of length²"), ""),
        )
        self._curve = self.plot.add_curve(tr("this direction"))
        self._lower.addWidget(self.plot, 1)
        self._draw()

    @property
    def plots_there(self) -> bool:
        """Whether the curve can be drawn."""
        return self.plot is not None

    # Actions.

    def show_first(self) -> None:
        scene = read_json("scenes", "embeddings", "words.json")["dimensions"]
        self._scene = scene
        self._wanted = scene["words"]
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._reveal(False)

    def shown(self) -> None:
        super().shown()
        if "labapp.plots" in sys.modules:
            self.plots_ready()
        else:
            when_idle("labapp.plots", self, self.plots_ready)

    def take(self, opened: Opened) -> None:
        self.opened, self.found, self.before = opened, None, None
        self.turn.setChecked(False)
        if self._wanted:
            plus, minus = split_axis(self._wanted)
            self.plus.setText(", ".join(plus))
            self.minus.setText(", ".join(minus))
            self._wanted = ""
        if not self.prediction.asking:
            self._show_nothing()

    def show_words(self, plus: str, minus: str) -> None:
        """Find the direction of these words."""
        self.plus.setText(plus)
        self.minus.setText(minus)
        self.find()

    def find(self) -> None:
        """Find the direction from the second words to the first, and what is known of it."""
        if self.opened is not None:
            self.lab.attempt(self._find, self.opened)

    def _find(self, opened: Opened) -> None:
        vectors = opened.vectors
        ends = []
        for line in (self.plus, self.minus):
            words, _ = split_axis(line.text())
            ends.append(tuple(dict.fromkeys(vectors.row(word) for word in words)))
        centered, turned = bool(self.centering.currentData()), self.turn.isChecked()
        self.lab.ask(
            "direction", lambda: examine(opened, centered, ends[0], ends[1], turned),
            tr("Rotating the space") if turned else tr("Finding the direction"), partial(self._show, opened),
        )  # fmt: skip

    def rotate(self) -> None:
        """Turn the space, or turn it back, and look again."""
        self.before = self.found if self.turn.isChecked() else None
        self.found = None if self.found is not None and self.found.rotated is not None else self.found
        self.find()

    # What is shown.

    def _show_nothing(self) -> None:
        self.view.set_words([])
        self.table.set_rows([])
        self.versus.set_rows([])
        self.heading.setText(tr("Write words for and against, then find the direction."))
        for part in (self.says, self.turned, self.caption):
            part.setText("")

    def _show(self, opened: Opened, found: Examined) -> None:
        if opened is not self.opened:
            return
        self.found = found
        names = opened.vectors.names
        self.heading.setText(
            tr("“{a}” to “{b}”: {words}", a=shown(names[found.minus[0]]) if found.minus else "0",
               b=shown(names[found.plus[0]]), words=opened.vectors.words_said)
        )  # fmt: skip
        self.table.set_rows([(place, name, value) for name, place, value in self._listed(found)])
        examples = dict.fromkeys(found.plus, 1) | dict.fromkeys(found.minus, -1)
        values = found.along.coordinates
        marked = [Along(shown(names[row]), float(values[row]), kind) for row, kind in examples.items()]
        both = (*found.along.top[:ENDS], *found.along.bottom[:ENDS])
        ends = [one for one in both if one.row not in examples]
        self.view.set_words(marked + [Along(shown(one.name), one.value) for one in ends])
        self.numbers_view.set_values(found.direction)
        self._show_figures(found)
        self._draw()
        self.caption.setText(self.summary())

    def _listed(self, found: Examined) -> list[tuple[str, str, str]]:
        """Word, place and cosine of both ends of the direction."""
        all_ = len(found.space.vectors.words)
        top = [(shown(one.name), f"{n + 1:,}", signed(one.value)) for n, one in enumerate(found.along.top)]
        low = [
            (shown(one.name), f"{all_ - n:,}", signed(one.value)) for n, one in enumerate(found.along.bottom)
        ]
        return top + low[::-1]

    def _show_figures(self, found: Examined) -> None:
        made = found.separation
        if made is None:
            self.versus.set_rows([])
            self.says.setText(
                tr("With three words or more at each end it is measured how well they are told apart.")
            )
        else:
            self.versus.set_rows(
                [
                    (tr("the direction of the others"), percent(made.direction)),
                    (tr("the best number of the others"), percent(made.coordinate)),
                    (tr("number {n}, none left out", n=made.best), percent(made.seen_coordinate)),
                ]
            )
            self.says.setText(
                tr(
                    "Pairs ordered rightly, of {pairs:,} ({p} words for × {m} against), both left out; "
                    "50 % is "
                    "chance. The last line only looks good: among so many numbers one fits any words.",
                    pairs=made.pairs, p=made.positive, m=made.negative,
                )
            )  # fmt: skip
        self.versus.fit_height()
        self.turned.setText(self._about_turning(found))

    def _about_turning(self, found: Examined) -> str:
        rotated, before = found.rotated, self.before
        if rotated is None:
            return ""
        says = tr(
            "Rotated: the numbers changed by {changed:.1f} times their size, the cosines of {n:,} "
            "random pairs by at "
            "most {most:.0e}.",
            changed=rotated.changed, n=rotated.pairs, most=rotated.similarity,
        )  # fmt: skip
        if before is not None and before.separation is not None and found.separation is not None:
            says += " " + tr(
                "The best number was {a} and is {b}; the direction orders as many pairs as before.",
                a=before.separation.best, b=found.separation.best,
            )  # fmt: skip
        return says

    def _draw(self) -> None:
        found = self.found
        if self.plot is None or self._curve is None or found is None:
            return
        k = np.arange(len(found.carried.shares) + 1)
        self.plot.set_data(self._curve, k, np.concatenate([[0], found.carried.shares]))
        self.plot.mark(found.carried.half)

    def summary(self) -> str:
        found = self.found
        if found is None or self.prediction.asking:
            return ""
        made = found.carried
        return tr(
            "{half:,} of {width:,} numbers carry half of the direction, {most:,} carry 90 %: it is "
            "spread as over "
            "{effective:,.0f} equal ones (a random direction: {random:,.0f}). {origin}; {n} examples.",
            half=made.half,
            width=len(made.shares),
            most=made.most,
            effective=made.effective,
            random=made.of_random,
            origin=found.space.centered_on.capitalize(),
            n=len(found.plus) + len(found.minus),
        )

    def numbers(self) -> Numbers:
        if self.found is None or self.prediction.asking:
            return (), ()
        return (tr("word"), tr("place"), tr("cosine with the direction")), self._listed(self.found)

    # The scene.

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal(True)
        self.find()

    def _reveal(self, shown_: bool) -> None:
        for part in (self.lower, self.view_card, self.table, self.versus, self.caption):
            part.setVisible(shown_)
        if not shown_:
            self.heading.setText(tr("Answer first, or close the question."))
        elif self.found is None:
            self._show_nothing()

    def take_focus(self) -> None:
        self.plus.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Numbers of the direction"): self.numbers_view, tr("Words along the direction"): self.view}

    def save_state(self) -> dict[str, Any]:
        words = f"{self.plus.text()} − {self.minus.text()}" if self.plus.text() else self._wanted
        return {"words": words, "centered": bool(self.centering.currentData())}

    def restore_state(self, state: dict[str, Any]) -> None:
        words = state.get("words")
        scene = read_json("scenes", "embeddings", "words.json")["dimensions"]
        self._wanted = words if isinstance(words, str) and words.strip() else scene["words"]
        self.centering.setCurrentIndex(1 if state.get("centered") is False else 0)


def examine(
    opened: Opened, centered: bool, plus: tuple[int, ...], minus: tuple[int, ...], turned: bool
) -> Iterator[Any]:
    """The stage: turn the space where that is wanted, then all that is shown of a direction."""
    from core.embeddings.dimensions import direction, rank_along, rotate_space, separate, share_carried
    from core.embeddings.neighbors import Space

    space, rotated = opened.space(centered), None
    if turned:
        rotated = yield from pass_on(rotate_space(opened.vectors, SEED))
        space = Space(rotated.vectors, centered)
    made = direction(space, plus, minus)
    along = rank_along(space, made, LISTED, by_cosine=True)
    separation = None
    if min(len(plus), len(minus)) >= FEWEST:
        separation = yield from pass_on(separate(space, plus, minus))
    found = Examined(space, plus, minus, made, along, share_carried(made, SEED), separation, rotated)
    yield Finished("", found)
