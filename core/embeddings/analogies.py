"""Analogies: a − b + c, and what lies nearest to it.

Mikolov, Yih and Zweig, Linguistic Regularities in Continuous Space Word Representations, NAACL 2013. The
usual answer leaves the three input words out, and that matters: a − b + c often lies nearest to a or c
itself (Linzen, Issues in evaluating semantic spaces using word analogies, RepEval 2016). Both ranks are
given, and a suite is scored both ways. As there, each word's vector has length 1 before it is added, which
can be left off: long vectors then weigh more.

N vectors, W width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from core.embeddings.neighbors import Neighbor, Space, best_rows
from core.embeddings.vectors import Numbers, Rows, Vectors
from core.evals.intervals import wilson
from core.stages import Finished, Progress

_QUESTIONS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Solved:
    """An analogy and its answers: a − b + c.

    Attributes:
        a: Row of the first word; b and c alike.
        b: What is taken away.
        c: What is added.
        point: a − b + c, from the origin of the space; shape (W,).
        unit: Whether each word's vector was given length 1 before.
        ranked: The nearest words but a, b and c, by cosine.
        rows: All candidates, a, b and c among them, the nearest first.
        values: Cosine of each of `rows`.
        among: How many candidates there are, in words.
    """

    a: int
    b: int
    c: int
    point: Numbers
    unit: bool
    ranked: tuple[Neighbor, ...]
    rows: Rows
    values: Numbers
    among: str

    @property
    def inputs(self) -> tuple[int, int, int]:
        """Rows of a, b and c."""
        return self.a, self.b, self.c

    def rank_with_inputs(self, target: int) -> int | None:
        """The place of a row among all candidates, from 1; None where it is no candidate."""
        found = np.flatnonzero(self.rows == target)
        return int(found[0]) + 1 if len(found) else None

    def rank_without(self, target: int) -> int | None:
        """The place of a row once a, b and c are left out; None for these and where it is no candidate."""
        if target in self.inputs:
            return None
        found = np.flatnonzero(self.rows[~np.isin(self.rows, self.inputs)] == target)
        return int(found[0]) + 1 if len(found) else None


@dataclass(frozen=True)
class Miss:
    """How far a point is from the word it should be: "why not exactly?".

    Attributes:
        cosine: Between the point and the word.
        distance: Between the point and the word.
        near: The word's own nearest neighbor, by cosine: what the distance compares with.
        usual: Distance of the word to that neighbor.
        arrows: The arrow that was needed (from c to the word) beside the one that was taken (from b to a).
    """

    cosine: float
    distance: float
    near: Neighbor
    usual: float
    arrows: Arrows


@dataclass(frozen=True)
class Arrows:
    """Two differences compared: a − b and c − d.

    Attributes:
        cosine: Between them; 1 where they are parallel.
        angle: In degrees.
        first: Length of a − b.
        second: Length of c − d.
        gap: Length of their difference.
    """

    cosine: float
    angle: float
    first: float
    second: float
    gap: float


def analogy(
    space: Space,
    a: int | str,
    b: int | str,
    c: int | str,
    k: int = 20,
    among: Rows | None = None,
    unit: bool = True,
) -> Solved:
    """a − b + c: king − man + woman.

    Args:
        space: Centered or raw.
        a: A row or a name; b and c alike.
        b: What is taken away.
        c: What is added.
        k: How many answers are ranked; the full list is in `rows` and `values`.
        among: Rows that may be an answer; None: the words of the vectors.
        unit: Give each word's vector length 1 before adding.

    Raises:
        LabError: A word is not there.
    """
    row_a, row_b, row_c = (_row(space.vectors, word) for word in (a, b, c))
    candidates, said = space.vectors.words, space.vectors.words_said
    if among is not None:
        candidates, said = among, f"{len(among):,} chosen vectors"
    candidates = np.union1d(candidates, [row_a, row_b, row_c])
    point = arrow(space, row_a, row_b, unit) + corner(space, row_c, unit)
    values = space.measure(point)[candidates]
    order = np.lexsort((candidates, -values))
    ranked = space.neighbors(point, "cosine", k, (row_a, row_b, row_c), candidates)
    return Solved(row_a, row_b, row_c, point, unit, tuple(ranked), candidates[order], values[order], said)


def corner(space: Space, row: int, unit: bool = True) -> Numbers:
    """Where a word lies in the sum of an analogy, shape (W,)."""
    return space.unit(row) if unit else space.vector(row)


def arrow(space: Space, to: int, start: int, unit: bool = True) -> Numbers:
    """The arrow from one word to another, shape (W,): `to` less `start`."""
    made: Numbers = corner(space, to, unit) - corner(space, start, unit)
    return made


def miss(space: Space, solved: Solved, target: int) -> Miss:
    """How far an analogy's point is from a word, and what that compares with."""
    wanted = corner(space, target, solved.unit)
    near = space.neighbors(target, "cosine", 1, among=space.vectors.words)[0]
    arrows = compare_arrows(space, target, solved.c, solved.a, solved.b, solved.unit)
    return Miss(
        cosine(solved.point, wanted),
        float(np.linalg.norm(solved.point - wanted)),
        near,
        float(np.linalg.norm(arrow(space, near.row, target, solved.unit))),
        arrows,
    )


def compare_arrows(space: Space, a: int, b: int, c: int, d: int, unit: bool = True) -> Arrows:
    """a − b beside c − d: father − mother and man − woman."""
    first, second = arrow(space, a, b, unit), arrow(space, c, d, unit)
    alike = cosine(first, second)
    return Arrows(
        alike, float(np.degrees(np.arccos(alike))), float(np.linalg.norm(first)),
        float(np.linalg.norm(second)), float(np.linalg.norm(first - second)),
    )  # fmt: skip


def cosine(a: Numbers, b: Numbers) -> float:
    """The cosine of two vectors in float64; 0 where one has no length.

    >>> round(cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])), 4)
    0.7071
    """
    wide_a, wide_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scale = float(np.linalg.norm(wide_a) * np.linalg.norm(wide_b))
    return min(1.0, max(-1.0, float(wide_a @ wide_b) / scale)) if scale > 0 else 0.0


# Suites


@dataclass(frozen=True)
class Suite:
    """Pairs of words in one relation; every two of them make questions.

    Attributes:
        name: "capitals".
        title: As a person reads it.
        pairs: Words in the relation, always in the same direction.
    """

    name: str
    title: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """One question of a suite: a is to b as c is to `expected`; b − a + c was looked for.

    Attributes:
        a: First word of one pair; b its second.
        b: See a.
        c: First word of the other pair.
        expected: Its second.
        got: The nearest word but a, b and c.
        rank: Place of the expected one without a, b and c.
        right: Whether it came first.
        right_with_inputs: Whether it came first with a, b and c allowed.
    """

    a: str
    b: str
    c: str
    expected: str
    got: str
    rank: int
    right: bool
    right_with_inputs: bool


@dataclass(frozen=True)
class Scored:
    """A suite's figure.

    Attributes:
        name: The suite's name.
        title: The suite's title.
        right: Questions whose expected word came first without the inputs.
        right_with_inputs: ... with the inputs allowed.
        in_five: ... among the first five without the inputs.
        n: Questions.
        pairs: Pairs they are made of: questions share pairs, so that they are fewer facts than n.
        low: Lower limit of the share, as if the questions were independent (Wilson).
        high: Upper limit.
        missing: Words that these vectors have not as one token; their pairs are left out.
        asked: Every question.
        said: The space: raw, or centered on what.
    """

    name: str
    title: str
    right: int
    right_with_inputs: int
    in_five: int
    n: int
    pairs: int
    low: float
    high: float
    missing: tuple[str, ...]
    asked: tuple[Asked, ...]
    said: str

    @property
    def share(self) -> float:
        """Right of all; 0 where nothing could be asked."""
        return self.right / self.n if self.n else 0.0


def load_suites() -> tuple[Suite, ...]:
    """The suites that ship.

    >>> [suite.name for suite in load_suites()]
    ['gender', 'capitals', 'leaders', 'comparatives', 'tenses', 'plurals']
    """
    read = json.loads(files("resources").joinpath("embeddings", "analogies.json").read_text("utf-8"))
    return tuple(Suite(s["name"], s["title"], tuple((a, b) for a, b in s["pairs"])) for s in read["suites"])


def score_suites(
    space: Space, suites: Sequence[Suite] | None = None
) -> Iterator[Progress | Scored | Finished[tuple[Scored, ...]]]:
    """Ask every question of some suites; a Scored for each suite.

    Args:
        space: Centered or raw: the figures say which.
        suites: None: those that ship.
    """
    return _score_suites(space, tuple(suites) if suites is not None else load_suites())


def score_suite(space: Space, suite: Suite) -> Iterator[Progress | Scored | Finished[tuple[Scored, ...]]]:
    """Ask every question of one suite."""
    return _score_suites(space, (suite,))


def _score_suites(
    space: Space, suites: tuple[Suite, ...]
) -> Iterator[Progress | Scored | Finished[tuple[Scored, ...]]]:
    words = space.vectors.words
    unit = space.vectors.values[words] - space.center
    unit /= np.maximum(space.norms[words], 1e-12)[:, None]  # (words, W)
    place = {int(row): at for at, row in enumerate(words)}
    scored: list[Scored] = []
    for suite in suites:
        pairs, missing = _known_pairs(space.vectors, suite, place)
        questions = [(p, q) for p in pairs for q in pairs if p != q]
        asked: list[Asked] = []
        for begin in range(0, len(questions), _QUESTIONS_AT_ONCE):
            asked += _ask(space, unit, words, place, questions[begin : begin + _QUESTIONS_AT_ONCE])
            yield Progress(f"Asking {suite.title}", len(asked), len(questions), "questions")
        scored.append(_scored(suite, asked, len(pairs), missing, space.centered_on))
        yield scored[-1]
    right, n = sum(s.right for s in scored), sum(s.n for s in scored)
    yield Finished(f"{right:,} of {n:,} questions were answered rightly.", tuple(scored))


Pair = tuple[int, int]


def _known_pairs(
    vectors: Vectors, suite: Suite, place: Mapping[int, int]
) -> tuple[list[Pair], tuple[str, ...]]:
    pairs, missing = [], []
    for words in suite.pairs:
        rows = []
        for word in words:
            row = vectors.at(" " + word if vectors.ids is not None else word)
            if row is None or row not in place:
                missing.append(word)
            else:
                rows.append(row)
        if len(rows) == 2:
            pairs.append((rows[0], rows[1]))
    return pairs, tuple(missing)


def _ask(
    space: Space, unit: Numbers, words: Rows, place: Mapping[int, int], questions: list[tuple[Pair, Pair]]
) -> list[Asked]:
    names = space.vectors.names

    def at_of(rows: Rows) -> Rows:
        return np.array([place[int(row)] for row in rows], np.intp)

    a, b = (np.array([p[end] for p, _ in questions]) for end in (0, 1))
    c, d = (np.array([q[end] for _, q in questions]) for end in (0, 1))
    points = unit[at_of(b)] - unit[at_of(a)] + unit[at_of(c)]  # (Q, W)
    cosines = points @ unit.T  # (Q, words), but for the length of the point, which changes no order
    asked = []
    for at, row in enumerate(cosines):
        inputs = [place[int(rows[at])] for rows in (a, b, c)]
        target = place[int(d[at])]
        with_inputs = bool(row.argmax() == target)
        kept = row.copy()
        kept[inputs] = -np.inf
        rank = 1 + int((kept > row[target]).sum())
        got = int(words[int(best_rows(kept, 1)[0])])
        said_a, said_b, said_c, said_d = (names[int(rows[at])].strip() for rows in (a, b, c, d))
        right = got == int(d[at])
        asked.append(Asked(said_a, said_b, said_c, said_d, names[got].strip(), rank, right, with_inputs))
    return asked


def _scored(suite: Suite, asked: list[Asked], pairs: int, missing: tuple[str, ...], said: str) -> Scored:
    right = sum(one.right for one in asked)
    low, high = wilson(right, len(asked))
    return Scored(
        suite.name, suite.title, right, sum(one.right_with_inputs for one in asked),
        sum(one.rank <= 5 for one in asked), len(asked), pairs, low, high, missing, tuple(asked), said,
    )  # fmt: skip


def _row(vectors: Vectors, word: int | str) -> int:
    return vectors.row(word) if isinstance(word, str) else int(word)
