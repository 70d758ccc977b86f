"""What a cloud shows: which vectors, seen along which directions; and the stage that makes it. No Qt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.embeddings.vectors import Vectors
from core.problems import LabError
from core.stages import once
from labapp.words import tr

Rows = npt.NDArray[np.intp]
Points = npt.NDArray[np.float32]
KINDS = (
    ("raw", "Raw numbers"),
    ("pca", "PCA"),
    ("tsne", "t-SNE"),
    ("axes", "Word axes"),
)
COMPONENTS = 10  # that PCA offers
USUAL = 4_000
TEXT = 4_000  # characters of a text that is kept


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
