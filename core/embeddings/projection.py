"""Pictures of vectors: W numbers become 2 or 3 by looking along directions, each of which is stated.

PCA looks along the directions in which the vectors differ most; an axis can also be made of words (the mean
of some less the mean of others), be one of the W coordinates, or span the plane through a few points. All of
these are linear: `Projection.place` puts any further vector into the same picture. t-SNE, which is not, has
a file of its own (`tsne.py`), and what a picture distorts is measured in `distortion.py`.

N vectors, W width, k directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.embeddings.vectors import Numbers, Rows
from core.problems import LabError

COMPONENTS = 10  # that PCA gives where nothing else is said
EXACT_UP_TO = 1500
"""Numbers in a vector (or vectors, if these are fewer) up to which PCA is exact; above, randomized."""

_AT_ONCE = 4096  # rows that are multiplied at once
_FAR = 0.9  # share of the mean in all squares from which on vectors are centered before they are multiplied

Wide = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projection:
    """A picture of N vectors.

    Attributes:
        points: Where each lies, shape (N, k), float32.
        axes: The directions, shape (k, W); their length is 1. Empty (0, W) where the picture has none.
        mean: What lies at 0, shape (W,).
        explained: Share of the variance along each axis, shape (k,); None where that means nothing.
        solver: How it was made, for a sentence on screen.
        title: "PCA", "t-SNE", …
        labels: Of each axis: "component 1", "she − he", "coordinate 17".
    """

    points: Numbers
    axes: Numbers
    mean: Numbers
    explained: Numbers | None
    solver: str
    title: str
    labels: tuple[str, ...]

    def place(self, vectors: Numbers) -> Numbers:
        """Where other vectors lie in this picture; (n, W) or (W,) becomes (n, k) or (k,).

        Raises:
            LabError: The picture has no axes, as t-SNE has none.
        """
        if len(self.axes) == 0:
            raise LabError(
                f"{self.title} has no axes: nothing can be placed into it afterwards.",
                "Choose PCA or an axis of words.",
            )
        moved = np.asarray(vectors, np.float32) - self.mean
        return np.asarray(moved @ self.axes.T, np.float32)

    def facing(self, points: Numbers) -> Projection:
        """The same picture, each direction turned as in another one of the same points, shape (N, k).

        The sign of a component is arbitrary, and need not change from one picture to the next.
        """
        products = (self.points * (points - points.mean(axis=0))).sum(axis=0)
        signs = np.where(products < 0, np.float32(-1), np.float32(1))
        return replace(self, points=self.points * signs, axes=self.axes * signs[:, None])

    def pick(self, components: Sequence[int]) -> Projection:
        """The same picture with some of its axes, in the order given.

        Raises:
            LabError: There is no such axis.
        """
        chosen = list(components)
        if any(not 0 <= at < self.points.shape[1] for at in chosen):
            raise LabError(
                f"The picture has {self.points.shape[1]:,} axes, and axis {max(chosen) + 1:,} was asked for.",
                "Choose among those it has.",
            )
        return Projection(
            np.ascontiguousarray(self.points[:, chosen]),
            self.axes[chosen] if len(self.axes) else self.axes,
            self.mean,
            None if self.explained is None else self.explained[chosen],
            self.solver,
            self.title,
            tuple(self.labels[at] for at in chosen),
        )


def pca(values: Numbers, components: int = COMPONENTS, seed: int = 0) -> Projection:
    """The directions in which vectors differ most.

    Exact up to `EXACT_UP_TO` numbers in a vector: the eigenvectors of the covariance, products in float32 and
    the rest in float64 (scikit-learn's `covariance_eigh`, with less rounding). Above, the randomized method
    of Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 53, 2011, as scikit-learn
    has it. An axis points to where its largest number is positive.

    Args:
        values: Shape (N, W), finite.
        components: How many directions; fewer where the vectors have fewer.
        seed: Of the randomized method; the exact one has no chance in it.

    Raises:
        LabError: There are fewer than two vectors.
    """
    n, width = values.shape
    if n < 2:
        raise LabError(f"PCA of {n:,} vectors shows nothing.", "Choose two or more.")
    k = min(components, n, width)
    mean = _mean(values)
    if min(n, width) > EXACT_UP_TO:
        axes, variances, total, solver = _randomized(values, mean, k, seed)
    elif n < width:
        axes, variances, total, solver = _by_singular_values(values, mean, k)
    else:
        axes, variances, total, solver = _by_covariance(values, mean, k)
    axes *= np.sign(axes[np.arange(k), np.abs(axes).argmax(axis=1)])[:, None]
    points = _along(values, mean, axes)
    shares = (variances / total if total > 0 else np.zeros(k)).astype(np.float32)
    labels = tuple(f"component {at + 1}" for at in range(k))
    return Projection(points, axes.astype(np.float32), mean.astype(np.float32), shares, solver, "PCA", labels)


Solved = tuple[Wide, Wide, float, str]
"""Axes (k, W), the variance along each (k,), all variance, and the solver's name."""


def _by_covariance(values: Numbers, mean: Wide, k: int) -> Solved:
    n = len(values)
    products = np.asarray(values.T @ values, np.float64)  # (W, W), in one piece: the fastest way
    if n * float(mean @ mean) > _FAR * float(np.trace(products)):
        covariance = _centered_products(values, mean)
    else:
        covariance = products - n * np.outer(mean, mean)
    variances, vectors = np.linalg.eigh(covariance / (n - 1))  # the smallest first
    variances, axes = np.maximum(variances[::-1], 0), vectors.T[::-1]
    return axes[:k].copy(), variances[:k], float(variances.sum()), "exact, from the covariance"


def _centered_products(values: Numbers, mean: Wide) -> Wide:
    """(W, W) of the vectors less their mean: far from the origin, a difference of sums would be rounding."""
    sums: Wide = np.zeros((len(mean), len(mean)))
    narrow = mean.astype(np.float32)
    for begin in range(0, len(values), _AT_ONCE):
        part = values[begin : begin + _AT_ONCE] - narrow
        sums += part.T @ part
    shift = mean - narrow  # what float32 could not hold of the mean
    made: Wide = sums - len(values) * np.outer(shift, shift)
    return made


def _by_singular_values(values: Numbers, mean: Wide, k: int) -> Solved:
    centered = values.astype(np.float64) - mean
    _, lengths, axes = np.linalg.svd(centered, full_matrices=False)
    variances = lengths**2 / max(1, len(values) - 1)
    return axes[:k].copy(), variances[:k], float(variances.sum()), "exact, by singular values in float64"


def _randomized(values: Numbers, mean: Wide, k: int, seed: int) -> Solved:
    from sklearn.decomposition import PCA

    fitted = PCA(k, svd_solver="randomized", random_state=seed).fit(values)
    variances = np.asarray(fitted.explained_variance_, np.float64)
    share = np.asarray(fitted.explained_variance_ratio_, np.float64)
    total = float(variances[0] / share[0]) if share[0] > 0 else 0.0
    axes = np.asarray(fitted.components_, np.float64)
    return axes.copy(), variances, total, f"randomized (scikit-learn), seed {seed}"


# Axes that a person chooses


def difference_direction(values: Numbers, plus: Sequence[int] | Rows, minus: Sequence[int] | Rows) -> Numbers:
    """The mean of some vectors less the mean of others, with length 1; shape (W,).

    Args:
        values: Shape (N, W).
        plus: Rows of one end of the axis: "she", "her", "woman".
        minus: Rows of the other end; none: the axis leads from the raw origin to the mean of `plus`.

    Raises:
        LabError: There is no row at the first end, or both ends have the same mean.
    """
    plus, minus = list(plus), list(minus)
    if not plus:
        raise LabError("The axis has no word at its positive end.", "Add one or more.")
    made = values[plus].mean(axis=0, dtype=np.float64)
    if minus:
        made = made - values[minus].mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(made))
    if length == 0:
        raise LabError("Both ends of the axis are the same point.", "Choose different words for its ends.")
    return np.asarray(made / length, np.float32)


def axis_projection(values: Numbers, directions: Sequence[Numbers], labels: Sequence[str] = ()) -> Projection:
    """Vectors along directions of one's own, which need not be at right angles; 0 is the mean of all.

    Raises:
        LabError: There is no direction, or one has no length.
    """
    if len(directions) == 0:
        raise LabError("No direction is chosen.", "Give one to three.")
    axes = np.array(directions, np.float64)
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if not bool((lengths > 0).all()):
        raise LabError("A direction has no length.", "Choose different words for its ends.")
    mean = _mean(values)
    axes /= lengths
    names = tuple(labels) or tuple(f"axis {at + 1}" for at in range(len(axes)))
    return Projection(
        _along(values, mean, axes), axes.astype(np.float32), mean.astype(np.float32),
        _explained(values, mean, axes), "directions of your own", "Axes of words", names,
    )  # fmt: skip


def raw_dimensions(values: Numbers, dimensions: Sequence[int]) -> Projection:
    """Some of the W coordinates, as they are.

    Raises:
        LabError: There is no such coordinate.
    """
    width = values.shape[1]
    for at in dimensions:
        if not 0 <= at < width:
            raise LabError(
                f"There is no coordinate {at:,}.", f"These vectors have the coordinates 0 to {width - 1:,}."
            )
    chosen = list(dimensions)
    axes = np.zeros((len(chosen), width), np.float32)
    axes[np.arange(len(chosen)), chosen] = 1
    return Projection(
        np.ascontiguousarray(values[:, chosen]), axes, np.zeros(width, np.float32),
        _explained(values, _mean(values), axes.astype(np.float64)),
        "coordinates as they are", "Raw dimensions", tuple(f"coordinate {at}" for at in chosen),
    )  # fmt: skip


def plane_through(points: Numbers) -> Projection:
    """The plane of a few points: through three of them exactly, else as near to all as a plane can be.

    a, b and c of an analogy span it, and a − b + c lies in it; the answer does not. `outside` says by how
    much. The first axis leads from the first point to the second, so that an arrow between them lies flat.

    Args:
        points: Shape (m, W), m ≥ 2.

    Raises:
        LabError: They all are one point.
    """
    wide = np.asarray(points, np.float64)
    mean = wide.mean(axis=0)
    _, lengths, axes = np.linalg.svd(wide - mean, full_matrices=False)
    if lengths[0] <= 1e-12:
        raise LabError("The points of the plane are all the same.", "Choose different words.")
    plane = axes[:2]
    if len(plane) < 2 or lengths[1] <= 1e-9 * lengths[0]:  # on a line: any second axis will do
        other = np.zeros_like(axes[0])
        other[np.abs(axes[0]).argmin()] = 1
        other -= (other @ axes[0]) * axes[0]
        plane = np.stack([axes[0], other / np.linalg.norm(other)])
    plane = _turned(plane, wide[1] - wide[0])
    made = ((wide - mean) @ plane.T).astype(np.float32)
    kind = "exact" if len(wide) <= 3 else "as near to all points as a plane can be"
    return Projection(
        made, plane.astype(np.float32), mean.astype(np.float32), None, kind,
        "The plane of these words", ("along the first arrow", "across it"),
    )  # fmt: skip


def _turned(plane: Wide, along: Wide) -> Wide:
    """The same plane with its first axis along a direction, as far as that lies in it."""
    x, y = plane @ along
    length = float(np.hypot(x, y))
    if length <= 1e-12:
        return plane
    turn = np.array([[x, y], [-y, x]]) / length
    made: Wide = turn @ plane
    return made


def outside(projection: Projection, vectors: Numbers) -> Numbers:
    """How far vectors lie outside of the plane or space of a picture; (n, W) becomes (n,).

    Only for axes at right angles, as those of PCA and of `plane_through`.
    """
    shift = np.asarray(vectors, np.float64) - projection.mean
    inside = shift @ projection.axes.T @ projection.axes
    return np.asarray(np.linalg.norm(shift - inside, axis=-1), np.float32)


def _mean(values: Numbers) -> Wide:
    made: Wide = np.zeros(values.shape[1])
    for begin in range(0, len(values), _AT_ONCE):
        made += values[begin : begin + _AT_ONCE].sum(axis=0, dtype=np.float64)
    return made / max(1, len(values))


def _along(values: Numbers, mean: Wide, axes: Wide) -> Numbers:
    """Coordinates (N, k) along axes (k, W)."""
    made = values @ axes.T.astype(np.float32)  # (N, k)
    made -= (axes @ mean).astype(np.float32)
    return np.ascontiguousarray(made)


def _explained(values: Numbers, mean: Wide, axes: Wide) -> Numbers:
    """Share of all variance along each of some directions, shape (k,)."""
    total = 0.0
    narrow = mean.astype(np.float32)
    for begin in range(0, len(values), _AT_ONCE):
        part = values[begin : begin + _AT_ONCE] - narrow
        total += float(np.einsum("ij,ij->", part, part))
    along = _along(values, mean, axes).var(axis=0, dtype=np.float64) * len(values)
    return (along / total if total > 0 else np.zeros(len(axes))).astype(np.float32)
