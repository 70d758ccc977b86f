"""Is there an Italian-ness? Directions made of example words, and how many coordinates carry them.

A meaning is hardly ever one coordinate: what a coordinate is depends on how the space happens to be turned.
`rotate_space` turns it, which changes every coordinate and no similarity; a direction survives that, a "best
coordinate" does not. How well either separates words is measured on words that were left out.

N vectors, W width, P words for, M words against.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.embeddings.neighbors import Neighbor, Space, best_rows
from core.embeddings.projection import difference_direction
from core.embeddings.vectors import Numbers, Rows, Vectors
from core.problems import LabError
from core.stages import Finished, Progress

_FEWEST = 3  # words at each end, where some are left out


@dataclass(frozen=True, eq=False)
class Along:
    """The vocabulary along a direction.

    Attributes:
        top: The words farthest along, with their coordinate.
        bottom: The words farthest the other way.
        coordinates: Of all N, shape (N,).
        by: "length along", or "cosine".
    """

    top: tuple[Neighbor, ...]
    bottom: tuple[Neighbor, ...]
    coordinates: Numbers
    by: str


@dataclass(frozen=True, eq=False)
class Carried:
    """How the squared length of a direction is spread over the coordinates.

    Attributes:
        order: Coordinates, the largest in size first, shape (W,).
        shares: Share of the squared length that the first 1, 2, … W of them carry, shape (W,).
        half: How many carry half of it.
        most: How many carry 90 % of it.
        effective: 1 / Σ p², where p is each one's share: as many equal ones would be as spread.
        of_random: The same for a direction drawn at random, on average about W / 3.
    """

    order: Rows
    shares: Numbers
    half: int
    most: int
    effective: float
    of_random: float


@dataclass(frozen=True)
class Separation:
    """Best coordinate against best direction, on words left out.

    Attributes:
        direction: Share of the pairs (a word for, a word against) that the direction orders rightly, both
            words left out when it was made: 0.5 is chance, 1 is perfect (the area under the ROC curve).
        coordinate: The same for the coordinate that is best on the words kept.
        seen_coordinate: The share of the best coordinate on all words, none left out: what a search among W
            coordinates finds in any words.
        best: That coordinate.
        chosen: How often each coordinate was the best one, the most frequent first.
        pairs: P × M.
        positive: P.
        negative: M.
    """

    direction: float
    coordinate: float
    seen_coordinate: float
    best: int
    chosen: tuple[tuple[int, int], ...]
    pairs: int
    positive: int
    negative: int


def direction(space: Space, plus: Sequence[int], minus: Sequence[int]) -> Numbers:
    """From the mean of the words against to that of the words for, with length 1; shape (W,).

    Without words against, from the center of the space.

    Raises:
        LabError: There is no word for, or both means are the same.
    """
    if minus:
        return difference_direction(space.vectors.values, plus, minus)
    return difference_direction(space.vectors.values - space.center, plus, ()) if plus else _none()


def _none() -> Numbers:
    raise LabError("The axis has no word at its positive end.", "Add one or more.")


def rank_along(
    space: Space,
    along: Numbers,
    k: int = 20,
    among: Rows | None = None,
    exclude: Sequence[int] = (),
    by_cosine: bool = True,
) -> Along:
    """Rank the vocabulary along a direction.

    Args:
        space: Centered or raw.
        along: Shape (W,).
        k: How many at each end.
        among: Rows that are ranked; None: the words.
        exclude: Rows that are left out: the examples themselves.
        by_cosine: By the angle rather than by how far along, where long vectors have an advantage.
    """
    rows = space.vectors.words if among is None else among
    length = float(np.linalg.norm(along))
    unit = np.asarray(along, np.float32) / np.float32(length if length > 0 else 1)
    values = space.measure(unit, "cosine" if by_cosine else "dot")
    names = space.vectors.names

    def ends(signed: Numbers) -> tuple[Neighbor, ...]:
        return tuple(
            Neighbor(int(row), names[row], float(values[row])) for row in best_rows(signed, k, exclude, rows)
        )

    return Along(ends(values), ends(-values), values, "cosine" if by_cosine else "length along")


def share_carried(along: Numbers, seed: int = 0) -> Carried:
    """How few or many coordinates carry a direction.

    >>> made = share_carried(np.array([0.6, 0.0, 0.8], np.float32))
    >>> made.order.tolist(), [round(float(share), 2) for share in made.shares], made.half, made.most
    ([2, 0, 1], [0.64, 1.0, 1.0], 1, 2)
    """
    squares = np.asarray(along, np.float64) ** 2
    shares = squares / squares.sum() if squares.sum() > 0 else squares
    order = np.argsort(-shares, kind="stable")
    carried = np.cumsum(shares[order])
    drawn = np.random.default_rng(seed).standard_normal((64, len(shares))) ** 2
    drawn /= drawn.sum(axis=1, keepdims=True)
    return Carried(
        order, carried.astype(np.float32),
        int(np.searchsorted(carried, 0.5 - 1e-9)) + 1, int(np.searchsorted(carried, 0.9 - 1e-9)) + 1,
        float(1 / np.square(shares).sum()) if shares.sum() > 0 else 0.0,
        float((1 / np.square(drawn).sum(axis=1)).mean()),
    )  # fmt: skip


def separate(
    space: Space, plus: Sequence[int], minus: Sequence[int]
) -> Iterator[Progress | Finished[Separation]]:
    """Leave out each pair of a word for and a word against, and see who orders it: direction or coordinate.

    Args:
        space: Its center does not matter here.
        plus: Rows of the words for, at least three.
        minus: Rows of the words against, at least three.

    Raises:
        LabError: There are too few words, or one is on both sides.
    """
    if min(len(plus), len(minus)) < _FEWEST:
        raise LabError(
            f"{len(plus):,} words for and {len(minus):,} against are too few to leave some out.",
            f"Give at least {_FEWEST} of each.",
        )
    if common := set(plus) & set(minus):
        raise LabError(
            f"{space.vectors.names[min(common)]!r} stands on both sides.", "Take it away on one of them."
        )
    return _separate(space, np.asarray(plus, np.intp), np.asarray(minus, np.intp))


Wide = npt.NDArray[np.float64]


def _separate(space: Space, plus: Rows, minus: Rows) -> Iterator[Progress | Finished[Separation]]:
    p, m = space.vectors.values[plus].astype(np.float64), space.vectors.values[minus].astype(np.float64)
    above = _above(p, m)  # (P, M, W): how each coordinate orders each pair
    all_right = above.sum(axis=(0, 1))  # (W,)
    pairs = len(p) * len(m)
    by_direction = by_coordinate = 0.0
    chosen: dict[int, int] = {}
    for i in range(len(p)):
        for j in range(len(m)):
            along = (p.sum(axis=0) - p[i]) / (len(p) - 1) - (m.sum(axis=0) - m[j]) / (len(m) - 1)
            gap = float((p[i] - m[j]) @ along)
            by_direction += 1.0 if gap > 0 else 0.5 if gap == 0 else 0.0
            kept = all_right - above[i].sum(axis=0) - above[:, j].sum(axis=0) + above[i, j]
            shares = kept / ((len(p) - 1) * (len(m) - 1))
            best = int(np.abs(shares - 0.5).argmax())  # either sign will do
            chosen[best] = chosen.get(best, 0) + 1
            right = float(above[i, j, best])
            by_coordinate += right if shares[best] >= 0.5 else 1 - right
        yield Progress("Leaving words out", (i + 1) * len(m), pairs, "pairs")
    seen = all_right / pairs
    best = int(np.abs(seen - 0.5).argmax())
    ranked = tuple(sorted(chosen.items(), key=lambda item: (-item[1], item[0])))
    made = Separation(
        by_direction / pairs, by_coordinate / pairs, float(max(seen[best], 1 - seen[best])), best, ranked,
        pairs, len(p), len(m),
    )  # fmt: skip
    yield Finished(
        f"On words left out, the direction orders {made.direction:.0%} of {pairs:,} pairs rightly, the best "
        f"single coordinate {made.coordinate:.0%}.",
        made,
    )


def _above(p: Wide, m: Wide) -> Wide:
    """1 where a word for lies above a word against, ½ where they are level; shape (P, M, W)."""
    gap = p[:, None] - m[None]
    made: Wide = (gap > 0) + 0.5 * (gap == 0)
    return made


# Turning the space


@dataclass(frozen=True, eq=False)
class Rotated:
    """Turned vectors.

    Attributes:
        vectors: The same vectors in other coordinates.
        rotation: Orthogonal, shape (W, W): new = old @ rotation.
        changed: Mean size of the change of a coordinate, against the mean size of a coordinate.
        similarity: Largest change of a cosine among so many random pairs: rounding only.
        pairs: How many.
    """

    vectors: Vectors
    rotation: Numbers
    changed: float
    similarity: float
    pairs: int


def rotate_space(vectors: Vectors, seed: int = 0) -> Iterator[Progress | Finished[Rotated]]:
    """Turn all vectors by a random rotation around the origin: every coordinate changes, no similarity does.

    The rotation is drawn evenly among all (QR of a Gaussian matrix with the signs of R's diagonal: Mezzadri,
    How to generate random matrices from the classical compact groups, Notices of the AMS 54, 2007).
    """
    draw = np.random.default_rng(seed)
    q, r = np.linalg.qr(draw.standard_normal((vectors.width, vectors.width)))
    rotation = (q * np.sign(np.diag(r))).astype(np.float32)  # (W, W)
    turned = np.empty_like(vectors.values)
    for begin in range(0, len(turned), 4096):
        turned[begin : begin + 4096] = vectors.values[begin : begin + 4096] @ rotation
        yield Progress("Turning the space", min(begin + 4096, len(turned)), len(turned), "vectors")
    a, b = draw.integers(0, len(turned), (2, 1000))
    gap = np.abs(_cosines(vectors.values, a, b) - _cosines(turned, a, b))
    few = slice(0, 4096)
    size = float(np.abs(vectors.values[few]).mean())
    changed = float(np.abs(turned[few] - vectors.values[few]).mean()) / (size if size > 0 else 1.0)
    title = f"{vectors.title}, turned"
    made = replace(vectors, title=title, values=turned)
    yield Finished("The space is turned.", Rotated(made, rotation, changed, float(gap.max()), 1000))


def _cosines(values: Numbers, a: Rows, b: Rows) -> Wide:
    x, y = values[a].astype(np.float64), values[b].astype(np.float64)
    scale = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    made: Wide = np.einsum("ij,ij->i", x, y) / np.where(scale > 0, scale, 1)
    return made
