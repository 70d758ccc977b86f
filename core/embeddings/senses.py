"""How the vector of a word drifts apart, sense by sense, as it passes through the layers.

At layer 0 every "bank" is the same row of the table (plus its position, in some models). Each block adds what
the words before have to say. Cosines of raw residual streams are all near 1, since the streams share a large
common part; they are therefore also given less the mean of a fixed set of other sentences, and whether the
senses can be told apart is not read off a cosine at all but tried: each sentence is left out and given to the
sense whose other sentences it resembles most, with labels shuffled for comparison.

S sentences, L blocks (so L + 1 places: before the first and after each), W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.embeddings.occurrences import (
    Occurrence,
    Occurrences,
    Sample,
    as_vectors,
    clue_follows,
    load_samples,
    load_too_late,
    occurrences,
    own_center,
    same_so_far,
    word_in,
)
from core.embeddings.projection import pca
from core.embeddings.streams import Reference, load_reference, reference
from core.embeddings.vectors import Numbers
from core.evals.intervals import wilson
from core.problems import LabError
from core.stages import Finished, Progress

__all__ = [  # with what `occurrences.py` and `streams.py` have: whoever measures senses reads sentences first
    "LeaveOneOut", "Occurrence", "Occurrences", "Paths", "Reference", "Sample", "Similarity", "as_vectors",
    "clue_follows", "layer_paths", "leave_one_out", "load_reference", "load_samples", "load_too_late",
    "occurrences", "own_center", "reference", "same_so_far", "similarity_by_layer", "word_in",
]  # fmt: skip

SHUFFLES = 500

Wide = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """Mean cosine of pairs of occurrences, by layer.

    Attributes:
        within: Of pairs of one sense, shape (L + 1,).
        across: Of pairs of different senses, shape (L + 1,).
        within_pairs: How many pairs.
        across_pairs: How many pairs.
        said: Raw, or what was taken away.
    """

    within: Numbers
    across: Numbers
    within_pairs: int
    across_pairs: int
    said: str


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """How many sentences are given to their own sense when left out, by layer.

    Attributes:
        right: Shape (L + 1,).
        n: Sentences.
        low: Lower limits of the share, with 95 % confidence (Wilson), shape (L + 1,).
        high: Upper limits.
        shuffled: Mean share with shuffled labels, shape (L + 1,).
        shuffled_high: The share that 95 % of the shuffles stay below or at, shape (L + 1,).
        best_layer: Where most were right; the first of equals.
        best_shuffled: What 95 % of the shuffles stay below or at in their own best layer: the best of many
            layers is to be compared with this.
        shuffles: How many.
        p: Share of shuffles (and the real labels) whose best layer is at least as good as the real one.
        said: Raw, or what was taken away.
    """

    right: npt.NDArray[np.intp]
    n: int
    low: Numbers
    high: Numbers
    shuffled: Numbers
    shuffled_high: Numbers
    best_layer: int
    best_shuffled: float
    shuffles: int
    p: float
    said: str

    @property
    def accuracy(self) -> Numbers:
        """Share of sentences that are right, by layer."""
        return (self.right / self.n).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Paths:
    """Where each occurrence lies in one plane, layer by layer.

    Attributes:
        points: Shape (L + 1, S, 2), float32.
        explained: Share of the variance along both axes of the plane.
        said: How the plane was made.
    """

    points: Numbers
    explained: tuple[float, float]
    said: str


# Measuring


def similarity_by_layer(
    found: Occurrences, labels: Sequence[int], center: Reference | None = None
) -> Similarity:
    """Mean cosine within a sense and across senses, at each layer.

    Args:
        found: From `occurrences`.
        labels: The sense of each sentence.
        center: What is taken away before; None: nothing, raw.

    Raises:
        LabError: There are not as many labels, or only one sense.
    """
    given = _checked(found, labels)
    x = _unit(found, center)
    cosines = np.einsum("slw,tlw->lst", x, x)  # (L + 1, S, S)
    same = given[:, None] == given[None]
    upper = np.triu(np.ones_like(same), 1)
    within, across = same & upper, ~same & upper
    nothing = np.full(cosines.shape[0], np.nan)
    return Similarity(
        (cosines[:, within].mean(axis=1) if within.any() else nothing).astype(np.float32),
        cosines[:, across].mean(axis=1).astype(np.float32),
        int(within.sum()), int(across.sum()), _said(center),
    )  # fmt: skip


def leave_one_out(
    found: Occurrences,
    labels: Sequence[int],
    center: Reference | None = None,
    shuffles: int = SHUFFLES,
    seed: int = 0,
) -> Iterator[Progress | Finished[LeaveOneOut]]:
    """Leave out each sentence and give it to the sense whose mean of the others has the larger cosine.

    Args:
        found: From `occurrences`.
        labels: The sense of each sentence; at least two of each.
        center: What is taken away before; None: nothing, raw.
        shuffles: How often the labels are shuffled for comparison.
        seed: Of the shuffles.

    Raises:
        LabError: There are not as many labels, only one sense, or a sense has one sentence only.
    """
    given = _checked(found, labels)
    few = [sense for sense in set(given.tolist()) if (given == sense).sum() < 2]
    if few:
        raise LabError(
            "A sense has one sentence only.", "Give at least two of each, so that one can be left out."
        )
    return _leave_one_out(found, given, center, shuffles, seed)


def _leave_one_out(
    found: Occurrences, labels: npt.NDArray[np.intp], center: Reference | None, shuffles: int, seed: int
) -> Iterator[Progress | Finished[LeaveOneOut]]:
    x = _unit(found, center)
    gram = np.einsum("slw,tlw->lst", x, x)  # (L + 1, S, S)
    right = _right(gram, labels)
    draw = np.random.default_rng(seed)
    shuffled = np.empty((shuffles, len(gram)), np.intp)
    for n in range(shuffles):
        shuffled[n] = _right(gram, draw.permutation(labels))
        if n % 20 == 19:
            yield Progress("Shuffling labels", n + 1, shuffles, "shuffles")
    size = len(labels)
    limits = np.array([wilson(int(count), size) for count in right])
    best = int(right.argmax())
    bests = shuffled.max(axis=1)
    made = LeaveOneOut(
        right, size, limits[:, 0].astype(np.float32), limits[:, 1].astype(np.float32),
        (shuffled.mean(axis=0) / size).astype(np.float32),
        (np.quantile(shuffled, 0.95, axis=0, method="higher") / size).astype(np.float32),
        best, float(np.quantile(bests, 0.95, method="higher")) / size, shuffles,
        (1 + int((bests >= right[best]).sum())) / (shuffles + 1), _said(center),
    )  # fmt: skip
    yield Finished(
        f"{right[best]:,} of {size:,} sentences are given to their own sense at layer {best:,}; with "
        f"shuffled labels the best layer reaches {made.best_shuffled:.0%} in 95 of 100 trials.",
        made,
    )


def _right(gram: Wide, labels: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """How many are given to their own sense, by layer, from the inner products (L + 1, S, S) alone."""
    senses = np.unique(labels)
    member = (labels[:, None] == senses[None]).astype(np.float64)  # (S, C)
    sums = gram @ member  # (L + 1, S, C): with each sense's sum
    lengths = np.einsum("lsc,sc->lc", sums, member)  # (L + 1, C): squared length of each sense's sum
    own = np.diagonal(gram, axis1=1, axis2=2)[..., None] * member  # (L + 1, S, C): its own part, left out
    without = sums - own
    squares = lengths[:, None] - 2 * sums * member + own  # |Σ − x|² = |Σ|² − 2 x·Σ + |x|²
    cosines = without / np.sqrt(np.maximum(squares, 1e-12))
    given = senses[cosines.argmax(axis=2)]  # (L + 1, S)
    made: npt.NDArray[np.intp] = (given == labels).sum(axis=1)
    return made


def layer_paths(found: Occurrences, center: Reference | None = None) -> Paths:
    """The way of each occurrence through the layers, in the one plane in which all of them differ most.

    Every vector has length 1 there: streams grow from layer to layer, and a picture of that growth would show
    nothing else.
    """
    x = _unit(found, center).astype(np.float32)  # (S, L + 1, W)
    flat = x.reshape(-1, x.shape[2])
    made = pca(flat, 2)
    points = made.points.reshape(len(x), x.shape[1], -1).transpose(1, 0, 2)
    shares = [0.0, 0.0] if made.explained is None else [*map(float, made.explained), 0.0][:2]
    said = f"PCA of all layers together, length 1, {_said(center)}"
    return Paths(np.ascontiguousarray(points), (shares[0], shares[1]), said)


def _unit(found: Occurrences, center: Reference | None) -> Wide:
    """The streams with length 1, shape (S, L + 1, W), less the center."""
    x = found.stream.astype(np.float64)
    if center is not None:
        x = x - center.mean
    made: Wide = x / np.maximum(np.linalg.norm(x, axis=2, keepdims=True), 1e-12)
    return made


def _said(center: Reference | None) -> str:
    return "raw" if center is None else f"less {center.said}"


def _checked(found: Occurrences, labels: Sequence[int]) -> npt.NDArray[np.intp]:
    given = np.asarray(labels, np.intp)
    if len(given) != len(found.sentences):
        raise LabError(
            f"{len(given):,} senses were given for {len(found.sentences):,} sentences.", "Give one for each."
        )
    if len(np.unique(given)) < 2:
        raise LabError("All sentences have the same sense.", "Mark at least two senses.")
    return given
