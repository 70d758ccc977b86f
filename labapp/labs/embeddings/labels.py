"""Which names are written beside which points, so that none lies over another. numpy alone, no Qt.

The picture is divided into cells; a label takes the cells that it covers, and one that would need a taken
cell is left out. Who comes first gets the place: the order is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]
SLICE = 4096  # of an order that are looked at together
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


def candidates_of(
    rows: Rows, x: Floats, y: Floats, inside: Rows, chosen: int | None, orders: Sequence[Rows], most: int
) -> tuple[list[tuple[int, float, float]], int]:
    """Points that may have their name written, the first ones first, and how many of them must.

    Args:
        rows: The points in view, rising.
        x: Where each of these is, in pixels.
        y: Where each of these is, in pixels.
        inside: Places in `rows` of those that are inside the picture.
        chosen: The point whose name is written in any case.
        orders: Points whose names come first, then second, and so on.
        most: So many candidates at most, or a few more.

    >>> rows, at = np.array([4, 7, 9]), np.float32([1, 2, 3])
    >>> candidates_of(rows, at, at, np.array([0, 2]), 9, [np.array([7, 4, 9])], 5)
    ([(9, 3.0, 3.0), (4, 1.0, 1.0)], 1)
    """
    place = np.full(int(rows[-1]) + 1 if len(rows) else 0, -1, dtype=np.intp)  # of a row among the visible
    place[rows[inside]] = inside
    found: list[int] = [chosen] if chosen is not None and chosen < len(place) and place[chosen] >= 0 else []
    must = len(found)
    for order in orders:
        for n in range(0, len(order), SLICE):
            if len(found) >= most:
                break
            part = order[n : n + SLICE]
            part = part[part < len(place)]
            found += part[place[part] >= 0][: most - len(found)].tolist()
    made = np.array(list(dict.fromkeys(found)), dtype=np.intp)
    at = place[made]
    return list(zip(made.tolist(), x[at].tolist(), y[at].tolist(), strict=True)), must


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
