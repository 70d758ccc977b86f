"""Which names are written beside which points, so that none lies over another. numpy alone, no Qt.

The picture is divided into cells; a label takes the cells that it covers, and one that would need a taken
cell is left out. Who comes first gets the place: the order is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

CELL = 6  # px of a cell's side
GAP = 5  # px between a point and its name


@dataclass(frozen=True)
class Label:
    """A name at its place.

    Attributes:
        row: Whose name.
        left: Pixels from the left.
        top: Pixels from the top.
        width: In pixels.
    """

    row: int
    left: float
    top: float
    width: float


def place_labels(
    candidates: Iterable[tuple[int, float, float]], width_of: Callable[[int], float], height: float,
    size: tuple[int, int], most: int, must: int = 0,
) -> list[Label]:  # fmt: skip
    """Place labels right of their points, or left where there is no room.

    Args:
        candidates: (row, x, y) in pixels; the first ones get their place first.
        width_of: Width of a row's name, in pixels.
        height: Of a name.
        size: Width and height of the picture.
        most: So many labels at most.
        must: So many of the first candidates are written whatever they cover.

    >>> both = [(0, 10.0, 10.0), (1, 12.0, 11.0)]
    >>> [label.row for label in place_labels(both, lambda row: 30, 12, (200, 100), 9)]
    [0]
    >>> [label.row for label in place_labels(both, lambda row: 30, 12, (200, 100), 9, must=2)]
    [0, 1]
    """
    taken = np.zeros((size[1] // CELL + 2, size[0] // CELL + 2), dtype=bool)
    made: list[Label] = []
    for n, (row, x, y) in enumerate(candidates):
        if len(made) >= most:
            break
        width = width_of(row)
        for left in (x + GAP, x - GAP - width):
            top = y - height / 2
            if left < 0 or left + width > size[0] or top < 0 or top + height > size[1]:
                continue
            cells = taken[
                int(top) // CELL : int(top + height) // CELL + 1,
                int(left) // CELL : int(left + width) // CELL + 1,
            ]
            if n < must or not cells.any():
                cells[...] = True
                made.append(Label(row, left, top, width))
                break
    return made
