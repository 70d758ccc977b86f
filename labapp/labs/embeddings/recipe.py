"""What a cloud shows: which vectors, seen along which directions; and the controls that choose it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.embeddings.vectors import Vectors
from core.problems import LabError
from core.stages import once
from labapp.widgets.parts import field, inset, label
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.embeddings.text_source import TextSource

Rows = npt.NDArray[np.intp]
Points = npt.NDArray[np.float32]
KINDS = (
    ("raw", "Raw numbers"),
    ("pca", "PCA"),
    ("tsne", "t-SNE"),
    ("axes", "Word axes"),
)
COMPONENTS = 10  # that PCA offers
FEWEST, MOST = 100, 20_000  # points of t-SNE
USUAL = 4_000
TEXT = 4_000  # characters of a text that is kept
FLAT = {  # why some pictures have two directions and no more
    "tsne": "openTSNE draws t-SNE in two dimensions and no more",
    "axes": "Two axes of words make a plane",
}


@dataclass(frozen=True)
class Recipe:
    """What to show.

    Attributes:
        kind: One of `KINDS`.
        words: Whether words only.
        axes: Coordinates or components, from 0; as many as the picture has directions.
        first: Words of the first axis: "she, her − he, him".
        second: Those of the second one; "" takes the first principal component.
        count: How many points t-SNE gets, the most frequent ones.
        perplexity: Of t-SNE.
        exaggeration: Of its first steps.
        text: Whose tokens are shown; "" shows the table.
        layer: After how many blocks they are looked at.
    """

    kind: str = "raw"
    words: bool = False
    axes: tuple[int, ...] = (0, 1, 2)
    first: str = "she, her, woman − he, him, man"
    second: str = ""
    count: int = USUAL
    perplexity: float = 30.0
    exaggeration: float = 12.0
    text: str = ""
    layer: int = 0

    def rows(self, vectors: Vectors) -> Rows:
        """Which vectors are shown, rising."""
        rows = vectors.words if self.words else np.arange(len(vectors))
        if self.kind == "tsne":
            rows = rows[: self.count]
        made: Rows = np.asarray(rows, dtype=np.intp)
        return made

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"axes": list(self.axes)}


def recipe_from(state: object) -> Recipe:
    """A recipe as `to_json` gave it; what does not fit is left at its default.

    >>> recipe_from({"kind": "pca", "axes": [1, 2], "count": "many"}) == Recipe(kind="pca", axes=(1, 2))
    True
    """
    made = Recipe()
    if not isinstance(state, dict):
        return made
    good_values: dict[str, Any] = {}
    for one in fields(Recipe):
        value, default = state.get(one.name), getattr(made, one.name)
        if one.name == "axes":
            good = (
                isinstance(value, list)
                and 2 <= len(value) <= 3
                and all(type(n) is int and n >= 0 for n in value)
            )
            value = tuple(value) if good and isinstance(value, list) else default
        elif type(value) is not type(default) or (one.name == "kind" and value not in dict(KINDS)):
            value = default
        if one.name == "text":
            value = str(value)[:TEXT]
        good_values[one.name] = value
    return replace(made, **good_values)


def split_axis(text: str) -> tuple[list[str], list[str]]:
    """The words at both ends of an axis.

    >>> split_axis("she, her − he, him"), split_axis("king - man")
    ((['she', 'her'], ['he', 'him']), (['king'], ['man']))
    """
    plus, _, minus = re.sub(r"\s+-\s*|−", "−", text).partition("−")
    ends = [[word.strip() for word in re.split(r"[,;]", end) if word.strip()] for end in (plus, minus)]
    return ends[0], ends[1]


def make_projection(recipe: Recipe, vectors: Vectors, before: Points | None = None) -> Iterator[Any]:
    """The stage that ends in a `Projection` of the recipe's rows; t-SNE's yields its steps, too.

    Args:
        recipe: What to show.
        vectors: Of what.
        before: The same tokens at another layer, as they lie in the picture that is there, shape (N, k):
            components then point the same way.

    Raises:
        LabError: There is no such coordinate or word.
    """
    from core.embeddings import projection as made

    rows = recipe.rows(vectors)
    values = vectors.values if len(rows) == len(vectors) else vectors.values[rows]
    if recipe.kind == "raw":
        made.raw_dimensions(values[:1], recipe.axes)  # says at the click what is wrong
        return once(lambda: made.raw_dimensions(values, recipe.axes))
    if recipe.kind == "pca":

        def seen() -> made.Projection:
            found = made.pca(values, COMPONENTS).pick(recipe.axes)
            return found if before is None else found.facing(before)

        return once(seen)
    if recipe.kind == "axes":
        return once(_by_words(recipe, vectors, values))
    from core.embeddings.tsne import TsneSettings, tsne

    settings = TsneSettings(perplexity=recipe.perplexity, exaggeration=recipe.exaggeration)
    return tsne(values, settings)


def _by_words(recipe: Recipe, vectors: Vectors, values: npt.NDArray[np.float32]) -> Callable[[], Any]:
    from core.embeddings import projection as made

    directions, titles = [], []
    for text in (recipe.first, recipe.second):
        if not text.strip():
            continue
        plus, minus = ([vectors.row(word) for word in end] for end in split_axis(text))
        directions.append(made.difference_direction(vectors.values, plus, minus))
        titles.append(text.strip())
    if not directions:
        raise LabError(tr("The axis has no words."), tr("Write some, such as: she, her − he, him."))

    def both() -> Any:
        if len(directions) == 1:
            directions.append(made.pca(values, 1).axes[0])
            titles.append(tr("component 1"))
        return made.axis_projection(values, directions, titles)

    return both


class RecipeChoice(QWidget):
    """The controls of a recipe; nothing is made before somebody asks for it.

    Args:
        source: The controls of a text, which stand elsewhere; shown where its tokens are the points.
    """

    changed = Signal()
    kind_changed = Signal()

    def __init__(self, source: TextSource) -> None:
        super().__init__()
        self.source = source
        self.kind = QComboBox()
        for key, title in KINDS:
            self.kind.addItem(tr(title), key)
        self.kind.activated.connect(lambda _: self._show_kind())
        self.which = QComboBox()
        self.which.addItem(tr("All"), False)
        self.which.addItem(tr("Words"), True)
        self.which.addItem(tr("In a text"), "text")
        self.which.activated.connect(lambda _: self._show_kind())
        self._spins: dict[str, list[QSpinBox]] = {}
        self._stack = QStackedWidget()
        raw = self._numbers(
            "raw", 0, 100_000, tr("Which of the numbers of a vector is seen along this direction")
        )
        pca = self._numbers("pca", 1, COMPONENTS, tr("Which component: 1 is where vectors differ most"))
        for widget in (field(tr("Numbers"), raw), field(tr("Components"), pca), self._tsne(), self._words()):
            self._stack.addWidget(widget)
        row = QHBoxLayout()
        row.setSpacing(6)
        self.kind.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        tip = tr("Words: tokens of letters that begin a word. In a text: its tokens, as a layer of the model "
                 "holds them")  # fmt: skip
        row.addWidget(field(tr("Seen by"), self.kind, tr("How many numbers become two or three")), 6)
        row.addWidget(field(tr("Points"), self.which, tip), 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self._stack)

    def _numbers(self, kind: str, low: int, high: int, tip: str) -> QWidget:
        made = QWidget()
        row = QHBoxLayout(made)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self._spins[kind] = []
        for n, axis in enumerate((tr("right"), tr("up"), tr("deep"))):
            spin = QSpinBox()
            spin.setRange(low, high)
            spin.setValue(low + n)
            spin.setAccessibleName(axis)
            spin.setToolTip(f"{tip}: {axis}")
            inset(spin)
            self._spins[kind].append(spin)
            row.addWidget(spin)
        return made

    def _tsne(self) -> QWidget:
        self.count, self.perplexity, self.exaggeration = QSpinBox(), QSpinBox(), QSpinBox()
        given = (
            (self.count, tr("Points"), (FEWEST, MOST, USUAL),
             tr("How many: the first of the table, which are the most frequent tokens")),
            (self.perplexity, tr("Perplexity"), (2, 200, 30),
             tr("About how many neighbors each point is kept near to")),
            (self.exaggeration, tr("Exaggeration"), (1, 50, 12),
             tr("How much stronger points attract each other in the first steps: clusters form")),
        )  # fmt: skip
        made = QWidget()
        row = QHBoxLayout(made)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for spin, title, (low, high, usual), tip in given:
            spin.setRange(low, high)
            spin.setValue(usual)
            spin.setGroupSeparatorShown(True)
            inset(spin)
            row.addWidget(field(title, spin, tip), len(title))  # the longer the title, the more room
        return made

    def _words(self) -> QWidget:
        self.first, self.second = QLineEdit(Recipe().first), QLineEdit()
        self.second.setPlaceholderText(tr("component 1"))
        made = QWidget()
        column = QVBoxLayout(made)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        tip = tr("Words, then − and other words: the mean of the first less the mean of the others")
        for title, line in ((tr("Right"), self.first), (tr("Up"), self.second)):
            row = QHBoxLayout()
            row.setSpacing(6)
            name = label(title, "small")
            name.setFixedWidth(34)
            row.addWidget(name)
            row.addWidget(line)
            line.setAccessibleName(tr("Axis to the {where}", where=title))
            line.setToolTip(tip)
            line.returnPressed.connect(self.changed)
            column.addLayout(row)
        return made

    def _show_kind(self) -> None:
        self._stack.setCurrentIndex(self.kind.currentIndex())
        self.source.setVisible(self.in_text)
        self.kind_changed.emit()

    @property
    def in_text(self) -> bool:
        """Whether the points are the tokens of a text."""
        return bool(self.which.currentData() == "text")

    @property
    def why_flat(self) -> str:
        """Why the picture has two directions and no more; "" where it can have three."""
        why = FLAT.get(str(self.kind.currentData()), "")
        return tr(why) if why else ""

    def set_width(self, width: int) -> None:
        """How many numbers a vector has."""
        for spin in self._spins["raw"]:
            spin.setMaximum(max(0, width - 1))

    def recipe(self, three: bool) -> Recipe:
        """What is chosen, for two directions or three."""
        kind = str(self.kind.currentData())
        low = 1 if kind == "pca" else 0
        spins = self._spins.get(kind, [])
        return Recipe(
            kind=kind,
            words=self.which.currentData() is True,
            axes=tuple(spin.value() - low for spin in spins[: 3 if three else 2]) or (0, 1),
            first=self.first.text(),
            second=self.second.text(),
            count=self.count.value(),
            perplexity=float(self.perplexity.value()),
            exaggeration=float(self.exaggeration.value()),
            text=self.source.text if self.in_text else "",
            layer=self.source.layer if self.in_text else 0,
        )

    def show_recipe(self, recipe: Recipe) -> None:
        """Put a recipe into the controls."""
        self.kind.setCurrentIndex(max(0, self.kind.findData(recipe.kind)))
        self.which.setCurrentIndex(2 if recipe.text else 1 if recipe.words else 0)
        if recipe.text:
            self.source.show_text(recipe.text, recipe.layer)
        low = 1 if recipe.kind == "pca" else 0
        for spin, axis in zip(self._spins.get(recipe.kind, []), recipe.axes, strict=False):
            spin.setValue(axis + low)
        self.first.setText(recipe.first)
        self.second.setText(recipe.second)
        for spin, value in (
            (self.count, recipe.count),
            (self.perplexity, recipe.perplexity),
            (self.exaggeration, recipe.exaggeration),
        ):
            spin.setValue(round(value))
        self._show_kind()
