"""Spaces: two tables of vectors side by side, at the words that both have; a run's table at any of its
checkpoints.

What to notice: coordinates of two models have nothing to do with each other; who is whose neighbor can be
compared. Stages: `core.embeddings.vectors.read_token_vectors`, `core.embeddings.projection.pca`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QStringListModel, Qt
from PySide6.QtWidgets import QComboBox, QCompleter, QHBoxLayout, QLineEdit, QSlider, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import Finished, once, pass_on
from labapp.labs.embeddings.checkpoints import Steps, runs_of
from labapp.labs.embeddings.cloud_view import CloudView
from labapp.labs.embeddings.inspector import NeighborBars
from labapp.labs.embeddings.subject import Opened, VectorsPicker, open_vectors
from labapp.labs.embeddings.tables import shown, signed
from labapp.pages import PicturePage
from labapp.runner import Done, Slot
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.embeddings import EmbeddingsLab

Rows = npt.NDArray[np.intp]
COUNT = 10  # neighbors that are compared
FIRST_WORDS = ("king", "river", "green", "the")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two spaces at the words that both have.

    Attributes:
        names: Of the words in common.
        rows: Their rows on the left and on the right.
        points: Where they lie in the two pictures, each (n, 2).
        said: How the two pictures are made.
    """

    names: tuple[str, ...]
    rows: tuple[Rows, Rows]
    points: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
    said: str


def pair_up(left: Opened, right: Opened, same_run: bool) -> Pair:
    """The words in common, and both pictures of them.

    Args:
        left: One space.
        right: The other one.
        same_run: Both are one model at two steps: their coordinates are the same, and so is the plane.

    Raises:
        LabError: They have hardly a word in common.
    """
    from core.embeddings.projection import pca

    there = {name: row for row, name in reversed(list(enumerate(right.vectors.names)))}
    common = [row for row in left.vectors.words.tolist() if left.vectors.names[row] in there]
    if len(common) < COUNT + 1:
        raise LabError(
            tr("The two have {n} words in common.", n=len(common)), tr("Choose tables of the same language.")
        )
    names = tuple(left.vectors.names[row] for row in common)
    rows = (np.array(common), np.array([there[name] for name in names]))
    seen = pca(right.vectors.values[rows[1]], 2)
    if same_run:
        points = (seen.place(left.vectors.values[rows[0]]), seen.points)
        return Pair(names, rows, points, tr("both along components 1 and 2 of the right one"))
    own = pca(left.vectors.values[rows[0]], 2)
    return Pair(names, rows, (own.points, seen.points), tr("each along components 1 and 2 of its own"))


def read_side(path: Path, title: str) -> Iterator[Any]:
    """The stage that reads the table of a checkpoint."""
    from core.embeddings.vectors import read_token_vectors

    opened = yield from pass_on(open_vectors(read_token_vectors(path, title)))
    yield Finished("", opened)


class SpacesPage(PicturePage):
    """Two pickers, a slider and a word on the left, two clouds in the middle, neighbors in both on the
    right."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.left: Opened | None = None
        self.right: Opened | None = None
        self.pair: Pair | None = None
        self.at: int | None = None  # which of the common words
        self.runs: list[tuple[str, Steps]] = []
        self._steps: tuple[int | None, int | None] = (None, None)  # of the run in view, where a side is one
        self._word = ""
        self._scene: dict[str, Any] | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.pickers = []
        for title, side in ((tr("Left"), 0), (tr("Right"), 1)):
            made = VectorsPicker(title, self.context, self.lab.name, f"space-{side}")
            made.opened.connect(partial(self._opened, side, None))
            self.pickers.append(made)
        self.run = QComboBox()
        self.run.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.run.activated.connect(lambda _: self.show_run())
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.valueChanged.connect(lambda at: self._show_step(at))
        self.step = label("", "small", wrap=True)
        self.begin = button(
            tr("Begin and end"), self.show_run, tip=tr("The table before the first step, and after the last")
        )
        self.models = button(
            tr("SmolLM2 and the small world"), self.show_models, tip=tr("Two models that share no coordinate")
        )
        self.word = QLineEdit()
        self.word.setMaxLength(200)
        self.word.returnPressed.connect(lambda: self.show_word(self.word.text()))
        self._completions = QStringListModel(self)
        completer = QCompleter(self._completions, self.word)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.activated.connect(self.show_word)
        self.word.setCompleter(completer)
        tip = tr("Which table of vectors is shown here")
        self.controls = controls(
            field(tr("Left"), self.pickers[0], tip), field(tr("Right"), self.pickers[1], tip),
            field(tr("Run"), self.run, tr("Whose checkpoints the slider goes through")),
            field(tr("Right one after step"), self.slider, tr("Drag: the table as it was after so many "
                                                              "steps")),
            self.step, self.begin, self.models,
            field(tr("Word"), self.word, tr("A word that both have; Enter marks it in both")),
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.views = [CloudView(tr("The left space")), CloudView(tr("The right space"))]
        self.titles = [label("", "heading"), label("", "heading")]
        row = QHBoxLayout()
        row.setSpacing(8)
        self.cards = []
        for view, title in zip(self.views, self.titles, strict=True):
            view.row_chosen.connect(self.choose)
            view.camera_changed.connect(partial(self._move_together, view))
            title.setMinimumWidth(10)
            self.cards.append(card(title, view, margin=8, spacing=4, grows=view))
            row.addWidget(self.cards[-1], 1)
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.caption = label("", "small", wrap=True)
        self.both = QWidget()
        self.both.setLayout(row)
        row.setContentsMargins(0, 0, 0, 0)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.prediction)
        layout.addWidget(self.both, 1)
        layout.addWidget(self.caption)

    def _build_details(self) -> None:
        self.heading = label(tr("Click a word."), "heading", wrap=True)
        self.lists = [NeighborBars(tr("Neighbors on the left")), NeighborBars(tr("Neighbors on the right"))]
        self.says = label("", "small", wrap=True)
        sizes = label(
            tr("Numbers in an embedding, for comparison: GPT-2 768, GPT-3 12,288, Qwen3-8B 4,096, "
               "SmolLM2-135M 576."),
            "small", wrap=True,
        )  # fmt: skip
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(4)
        column.addWidget(self.heading)
        self.sides = [label(tr("left"), "small"), label(tr("right"), "small")]
        for title, bars in zip(self.sides, self.lists, strict=True):
            column.addWidget(title)
            column.addWidget(bars, 1)
            bars.row_chosen.connect(partial(self._neighbor_chosen, bars))
        column.addWidget(self.says)
        self.rest = QWidget()  # takes the room of what is kept back
        column.addWidget(self.rest, 1)
        self.rest.hide()
        column.addWidget(sizes)

    # Which spaces.

    def shown(self) -> None:
        if not self.runs:
            self._find_runs()
        if self.left is None and self.right is None:
            self.show_run()

    def _find_runs(self) -> None:
        self.runs = runs_of(self.context.workspace)
        before = self.run.currentIndex()
        self.run.clear()
        self.run.addItems([title for title, _ in self.runs])
        self.run.setCurrentIndex(max(0, before))

    def artifact_changed(self) -> None:
        if self.runs:
            self._find_runs()

    @property
    def steps(self) -> Steps:
        """The checkpoints of the run that is chosen."""
        at = self.run.currentIndex()
        return self.runs[at][1] if 0 <= at < len(self.runs) else []

    def show_run(self) -> None:
        """The first checkpoint of the run on the left, its last one on the right."""
        steps = self.steps
        if not steps:
            return
        self.slider.blockSignals(True)
        self.slider.setRange(0, len(steps) - 1)
        self.slider.setValue(len(steps) - 1)
        self.slider.blockSignals(False)
        self._read_step(0, 0)
        self._read_step(1, len(steps) - 1)

    def show_models(self) -> None:
        """SmolLM2 on the left, the end of the run on the right."""
        self.prediction.close_question()  # it is about the run
        self.pickers[0].pick(self.pickers[0].default_key())
        if self.steps:
            self.slider.setValue(len(self.steps) - 1)
            self._read_step(1, len(self.steps) - 1)

    def _show_step(self, at: int) -> None:
        self._read_step(1, at)

    def _read_step(self, side: int, at: int) -> None:
        step, place = self.steps[at]
        title = tr("step {n:,}", n=step)
        self.context.runner.start(
            Slot(self.lab.name, f"space-{side}"),
            lambda: read_side(place, title),
            title=tr("Reading {name}", name=title),
            on_events=lambda events: None,
            on_end=partial(self._read, side, step),
        )
        self.pickers[side].set_title(title)

    def _read(self, side: int, step: int, outcome: Any) -> None:
        if isinstance(outcome, Done):
            self._opened(side, step, outcome.finished.result)
        self.lab.show_failure(outcome)

    def _opened(self, side: int, step: int | None, opened: Opened) -> None:
        if side == 0:
            self.left, self._steps = opened, (step, self._steps[1])
        else:
            self.right, self._steps = opened, (self._steps[0], step)
        if self.left is not None and self.right is not None:
            self._pair_up(self.left, self.right)

    def _pair_up(self, left: Opened, right: Opened) -> None:
        same = None not in self._steps
        self.lab.ask(
            "spaces", lambda: once(lambda: pair_up(left, right, same)), tr("Comparing the two"),
            partial(self._show, left, right),
        )  # fmt: skip

    # What is shown.

    def _show(self, left: Opened, right: Opened, pair: Pair) -> None:
        if left is not self.left or right is not self.right:
            return
        same = self.pair is not None and self.pair.names == pair.names
        self.pair = pair
        self._completions.setStringList([name.strip() for name in pair.names])
        order = np.array([n for n, name in enumerate(pair.names) if len(name) > 3] or range(len(pair.names)))
        for view, points in zip(self.views, pair.points, strict=True):
            view.set_points(points, self._name_of, order, keep_camera=same)
            view.set_axes((tr("component 1"), tr("component 2")))
        for title, opened in zip(self.titles, (left, right), strict=True):
            title.setText(
                tr(
                    "{name}: {n:,} × {w:,}",
                    name=opened.vectors.title,
                    n=len(opened.vectors),
                    w=opened.vectors.width,
                )
            )
        self.step.setText(self._about_steps())
        self.caption.setText(self.summary())
        for view in self.views:
            view.describe(self.summary())
        wanted = self._word or next((w for w in FIRST_WORDS if f" {w}" in pair.names), pair.names[0].strip())
        self._word = ""
        if same and self.at is not None:
            self.choose(self.at)
        else:
            self.at = None
            self.show_word(wanted)

    def _about_steps(self) -> str:
        right = self._steps[1]
        last = self.steps[-1][0] if self.steps else 0
        return tr("Step {n:,} of {last:,}", n=right, last=last) if right is not None else ""

    def _name_of(self, at: int) -> str:
        return shown(self.pair.names[at]) if self.pair is not None else ""

    def show_word(self, word: str) -> None:
        """Mark a word in both."""
        pair = self.pair
        if pair is None or not word.strip():
            self._word = word
            return
        for name in (f" {word.strip()}", word):
            if name in pair.names:
                self.choose(pair.names.index(name))
                return
        self.lab.frame.messages.show_problem(
            LabError(
                tr("“{word}” is not a word of both.", word=word[:40]),
                tr("Choose one that is offered while you type."),
            )
        )

    def choose(self, at: int) -> None:
        """Mark one of the common words and show its neighbors in both."""
        pair = self.pair
        if pair is None or self.left is None or self.right is None:
            return
        self.at = at
        self.word.setText(pair.names[at].strip())
        found = []
        for view, bars, opened, rows in zip(
            self.views, self.lists, (self.left, self.right), pair.rows, strict=True
        ):
            near = opened.centered.neighbors(int(rows[at]), "cosine", COUNT, (), rows)
            bars.show_neighbors(near, "cosine")
            found.append({one.name for one in near})
            places = {int(row): n for n, row in enumerate(rows.tolist())}
            view.choose(at)
            view.set_marked(np.array([places[one.row] for one in near], dtype=np.intp))
        if not self.prediction.asking:
            self.heading.setText(tr("Nearest to “{word}”", word=pair.names[at].strip()))
        self.says.setText(
            tr("{k} of the {n} nearest are the same, among {all:,} common words; by chance it would be "
               "{chance:.2f}. "
               "Cosine, each space centered on its own words.",
               k=len(found[0] & found[1]), n=COUNT, all=len(pair.names),
               chance=COUNT * COUNT / max(1, len(pair.names) - 1))
        )  # fmt: skip

    def _move_together(self, moved: CloudView) -> None:
        """Let the other view be seen from where this one is."""
        for view in self.views:
            if view.camera is not moved.camera:
                view.set_camera(moved.camera)

    def _neighbor_chosen(self, bars: NeighborBars, row: int) -> None:
        if self.pair is not None:
            rows = self.pair.rows[self.lists.index(bars)]
            self.choose(int(np.flatnonzero(rows == row)[0]))

    def summary(self) -> str:
        """The picture in a sentence."""
        pair = self.pair
        if pair is None or self.left is None or self.right is None or self.prediction.asking:
            return ""
        return tr(
            "{left} and {right} at {n:,} words that both have, {said}. Marked: the {k} nearest of the "
            "chosen word.",
            left=self.left.vectors.title,
            right=self.right.vectors.title,
            n=len(pair.names),
            said=pair.said,
            k=COUNT,
        )

    def numbers(self) -> Numbers:
        """The neighbors in both."""
        if self.prediction.asking:
            return (), ()
        rows = [
            (shown(a.name), signed(a.value, 3), shown(b.name), signed(b.value, 3))
            for a, b in zip(self.lists[0].found, self.lists[1].found, strict=False)
        ]
        return (tr("left"), tr("cosine"), tr("right"), tr("cosine")), rows

    # The scene.

    def show_first(self) -> None:
        scene = read_json("scenes", "embeddings", "words.json")["spaces"]
        self._scene = scene
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._reveal(False)

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal(True)

    def _reveal(self, shown_: bool) -> None:
        """Show the right space and who is near whom, or keep them back; the left one is always there."""
        for part in (self.cards[1], *self.lists, *self.sides, self.says, self.caption):
            part.setVisible(shown_)
        self.rest.setVisible(not shown_)
        self.heading.setText(tr("Click a word.") if shown_ else tr("Answer first, or close the question."))
        self.caption.setText(self.summary())
        if shown_ and self.at is not None:
            self.choose(self.at)

    def take_focus(self) -> None:
        self.word.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Two spaces"): self.both}

    def save_state(self) -> dict[str, Any]:
        return {"word": self.word.text() or self._word, "slider": self.slider.value()}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("word"), str):
            self._word = state["word"][:200]
