"""The controls that choose what a cloud shows."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from labapp.labs.embeddings.recipe import COMPONENTS, KINDS, USUAL, Recipe
from labapp.labs.embeddings.text_source import TextSource
from labapp.widgets.parts import field, inset, label
from labapp.words import tr

FEWEST, MOST = 100, 20_000  # points of t-SNE
FLAT = {  # why some pictures have two directions and no more
    "tsne": "openTSNE draws t-SNE in two dimensions and no more",
    "axes": "Two axes of words make a plane",
}


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
        for (spin, title, (low, high, usual), tip), room in zip(given, (9, 9, 11), strict=True):
            spin.setRange(low, high)
            spin.setValue(usual)
            spin.setGroupSeparatorShown(True)
            inset(spin)
            spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            row.addWidget(field(title, spin, tip), room)
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
