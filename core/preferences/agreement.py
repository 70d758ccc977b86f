"""How far people agree: overall, item by item, and between each two of them, with bootstrap intervals.

The unit is two outputs of an item, and what each person said of them: the first better, a tie, the second
better; so items with different numbers of outputs count together, and the shown order is undone by the
outputs' ids. Items are drawn with replacement for the intervals, because pairs of one item hang together.
Formulas are in `measures.py`. Everyone counts: nobody who disagrees is taken out first.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.preferences.measures import (
    NAN,
    Numbers,
    alpha_of,
    coincidences,
    interval,
    kappa_of,
    kendall_w,
    resampled,
)
from core.preferences.results import Ranking, Results
from core.problems import LabError
from core.stages import Finished, Progress

SAMPLES = 1_000
SMALLEST_GROUP = 5  # people; below it nothing is said about any two of them
VALUES = (-1.0, 0.0, 1.0)
_EVERY = 100  # items between two events

TITLES = {
    "percent": "Same relation",
    "strict": "Same winner, ties left out",
    "tau": "Kendall's τ-b",
    "w": "Kendall's W",
    "alpha": "Krippendorff's α",
    "kappa": "Fleiss' κ",
}


@dataclass(frozen=True)
class Measure:
    """One figure.

    Attributes:
        name: A key of `TITLES`.
        title: As people call it.
        value: The figure, or None where it is undefined.
        low: Lower end of the 95 % interval, or None.
        high: Upper end.
        n: Over how many items.
        means: What it means, in plain words.
        why: Why it is undefined, or "".
    """

    name: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    means: str
    why: str = ""


@dataclass(frozen=True)
class Agreement:
    """What `measure_agreement` gives.

    Attributes:
        overall: One measure of each kind.
        per_item: By item id; without intervals, as an item is one draw.
        per_pair: By ids of two people, where the group is large enough.
        no_pairs: Why `per_pair` is empty, or "".
        items: How many items have two rankings or more.
        people: How many people ranked one of them.
    """

    overall: tuple[Measure, ...]
    per_item: Mapping[str, tuple[Measure, ...]]
    per_pair: Mapping[tuple[str, str], tuple[Measure, ...]]
    no_pairs: str
    items: int
    people: int


@dataclass(frozen=True, eq=False)
class _Item:
    """An item as numbers: `relations` (m, P) of −1, 0, 1 or nan; `people` names the rows."""

    id: str
    people: tuple[str, ...]
    relations: Numbers
    ranks: Numbers | None  # (m, K), where all ranked all outputs


def measure_agreement(
    results: Results, *, samples: int = SAMPLES, seed: int = 0
) -> Iterator[Progress | Finished[Agreement]]:
    """Measure how far people agree on the work items.

    Args:
        samples: Bootstrap samples for the intervals.
        seed: Of the draws.

    Raises:
        LabError: Fewer than 100 samples, which give no interval.
    """
    if samples < 100:
        raise LabError(f"{samples} samples give no interval.", "Take 1,000.")
    return _measure(results, samples, seed)


def _measure(results: Results, samples: int, seed: int) -> Iterator[Progress | Finished[Agreement]]:
    by_item: dict[str, list[Ranking]] = {}
    for ranking in results.work():
        by_item.setdefault(ranking.item_id, []).append(ranking)
    shared = [(id, given) for id, given in by_item.items() if len(given) > 1]
    items: list[_Item] = []
    per_item = {}
    for number, (id, given) in enumerate(shared, 1):
        items.append(_numbers(id, given))
        per_item[id] = _measures(items[-1:], None)
        if number % _EVERY == 0:
            yield Progress("Comparing rankings", number, len(shared), "items")
    people = sorted({name for item in items for name in item.people})
    draws = resampled(len(items), samples, seed) if len(items) > 1 else None
    overall = _measures(items, draws)
    yield Progress("Comparing rankings", len(shared), len(shared), "items")
    per_pair, why = {}, ""
    if len(people) < SMALLEST_GROUP:
        why = (
            f"{len(people)} people ranked the same items; nothing is said about any two of them below "
            f"{SMALLEST_GROUP}."
        )
    else:
        pairs = list(itertools.combinations(people, 2))
        for number, (one, other) in enumerate(pairs, 1):
            common = [part for item in items if (part := _only(item, one, other)) is not None]
            if common:
                some = resampled(len(common), samples, seed) if len(common) > 1 else None
                per_pair[one, other] = tuple(
                    measure for measure in _measures(common, some) if measure.name not in ("w", "kappa")
                )
            yield Progress("Comparing people", number, len(pairs), "pairs of people")
    yield Finished(
        f"{len(items):,} items have two rankings or more.",
        Agreement(overall, per_item, per_pair, why, len(items), len(people)),
    )


def _numbers(id: str, given: Sequence[Ranking]) -> _Item:
    said = [ranking.relations() for ranking in given]
    pairs = sorted({pair for one in said for pair in one})
    relations = np.array([[one.get(pair, NAN) for pair in pairs] for one in said], float).reshape(
        len(said), -1
    )
    everything = [ranking.ranks() for ranking in given]
    ids = sorted(everything[0])
    whole = all(sorted(ranks) == ids for ranks in everything) and len(ids) > 1
    ranks = np.array([[ranks[id] for id in ids] for ranks in everything], float) if whole else None
    return _Item(id, tuple(ranking.annotator for ranking in given), relations, ranks)


def _only(item: _Item, one: str, other: str) -> _Item | None:
    if one not in item.people or other not in item.people:
        return None
    rows = [item.people.index(one), item.people.index(other)]
    return _Item(item.id, (one, other), item.relations[rows], None)


def _measures(items: Sequence[_Item], draws: Numbers | None) -> tuple[Measure, ...]:
    """All measures over some items; `draws` (samples, items) gives the intervals."""
    columns = np.array([_means_of(item) for item in items], float).reshape(-1, 4)  # (items, 4)
    made = [_mean(name, columns[:, at], draws) for at, name in enumerate(("percent", "strict", "tau"))]
    by_chance = np.array([1 / len(item.people) for item in items])
    made.append(_mean("w", columns[:, 3], draws, by_chance))
    made.append(_alpha(items, draws))
    made.append(_kappa(items, draws))
    return tuple(made)


def _means_of(item: _Item) -> tuple[float, float, float, float]:
    """Of one item: percent, strict percent, mean τ-b over two people at a time, W."""
    a = item.relations
    known = ~np.isnan(a)
    upper = np.triu_indices(len(a), 1)
    both = known[upper[0]] & known[upper[1]]  # (pairs of people, P)
    first, second = np.nan_to_num(a)[upper[0]], np.nan_to_num(a)[upper[1]]
    same = (first == second) & both
    strict = both & (first != 0) & (second != 0)
    percent = _mean_over_pairs(same, both)
    won = _mean_over_pairs(same & strict, strict)
    spread = ((first**2) * both).sum(1) * ((second**2) * both).sum(1)
    taus = (first * second * both).sum(1)[spread > 0] / np.sqrt(spread[spread > 0])
    tau = float(taus.mean()) if len(taus) else NAN
    return percent, won, tau, kendall_w(item.ranks.tolist()) if item.ranks is not None else NAN


def _mean_over_pairs(hits: NDArray[np.bool_], counted: NDArray[np.bool_]) -> float:
    """The share of people's pairs that agree, for each two outputs, averaged over those."""
    among = counted.sum(0)
    used = among > 0
    return float((hits.sum(0)[used] / among[used]).mean()) if used.any() else NAN


def _mean(name: str, values: Numbers, draws: Numbers | None, by_chance: Numbers | None = None) -> Measure:
    defined = ~np.isnan(values)
    count = int(defined.sum())
    if not count:
        return _undefined(name, _WHY[name])
    mean = float(values[defined].mean())
    low = high = None
    if draws is not None:
        weights = draws * defined
        sums = weights.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(sums > 0, (weights @ np.where(defined, values, 0)) / sums, NAN)
        low, high = _ends(means)
    chance = float(by_chance[defined].mean()) if by_chance is not None else 0.0
    return Measure(name, TITLES[name], mean, low, high, count, meaning(name, mean, chance))


def _alpha(items: Sequence[_Item], draws: Numbers | None) -> Measure:
    if not items:
        return _undefined("alpha", _WHY["percent"])
    matrices = np.stack([coincidences(item.relations, VALUES) for item in items])  # (items, 3, 3)
    value = alpha_of(matrices.sum(0), VALUES)
    if math.isnan(value):
        return _undefined("alpha", _WHY["alpha"])
    low = high = None
    if draws is not None:
        drawn = np.tensordot(draws, matrices, 1)  # (samples, 3, 3)
        low, high = _ends(np.array([alpha_of(one, VALUES) for one in drawn]))
    return Measure("alpha", TITLES["alpha"], value, low, high, len(items), meaning("alpha", value))


def _kappa(items: Sequence[_Item], draws: Numbers | None) -> Measure:
    """κ over the output pairs that the most common number of people judged: it needs one number."""
    tables = [np.stack([(item.relations == value).sum(0) for value in VALUES], 1) for item in items]
    sizes = Counter(int(n) for table in tables for n in table.sum(1) if n > 1)
    if not sizes:
        return _undefined("kappa", _WHY["percent"])
    raters = max(sizes, key=lambda n: (sizes[n], n))
    sums = np.zeros((len(items), 5))  # of each item: Σ P_i, the three categories, units
    for row, table in enumerate(tables):
        kept = table[table.sum(1) == raters].astype(float)
        same = ((kept**2).sum(1) - raters) / (raters * (raters - 1))
        sums[row] = [same.sum(), *kept.sum(0), len(kept)]
    total = sums.sum(0)
    value = float(kappa_of(total[0], total[1:4], total[4], raters))
    if math.isnan(value):
        return _undefined("kappa", _WHY["alpha"])
    low = high = None
    if draws is not None:
        low, high = _ends(np.array([kappa_of(s[0], s[1:4], s[4], raters) for s in draws @ sums]))
    used = int((sums[:, 4] > 0).sum())
    means = f"{meaning('kappa', value)} Over the pairs that {raters} people judged."
    return Measure("kappa", TITLES["kappa"], value, low, high, used, means)


def _ends(samples: Numbers) -> tuple[float | None, float | None]:
    low, high = interval(samples)
    return (None, None) if math.isnan(low) else (low, high)


def _undefined(name: str, why: str) -> Measure:
    return Measure(name, TITLES[name], None, None, None, 0, "Undefined.", why)


_WHY = {
    "percent": "No item was ranked by two people.",
    "strict": "No two people both preferred one of the same two outputs.",
    "tau": "No two people ranked the same item without tying everything.",
    "w": "No item was ranked whole by two people without tying everything.",
    "alpha": "Only one relation occurs: there is nothing by which chance could be told from agreement.",
}


def meaning(name: str, value: float, chance: float = 0.0) -> str:
    """What a figure means, in plain words; `chance` is what W comes to where people rank at random: 1/m.

    >>> meaning("percent", 0.726)
    'Of a hundred comparisons by two people, 73 come out the same, ties included.'
    """
    match name:
        case "percent":
            return (
                f"Of a hundred comparisons by two people, {100 * value:.0f} come out the same, ties included."
            )
        case "strict":
            return f"Where both name a winner, {100 * value:.0f} of a hundred are the same; chance gives 50."
        case "tau":
            degree = _degree(value, 0.6, 0.3)
            return f"{degree} between the rankings of two people; 1 is the same order, −1 the reverse."
        case "w":
            degree = _degree((value - chance) / (1 - chance), 0.7, 0.4)
            return f"{degree} among all who ranked an item; 1 is the same order, chance gives {chance:.2f}."
    degree = _degree(value, 0.8, 0.667)
    return f"{degree} beyond chance; 0 is chance. 0.8 is the usual bar, 0.667 for a first look."


def _degree(value: float, high: float, some: float) -> str:
    if value < 0.05:
        return "No agreement"
    return "High agreement" if value >= high else "Some agreement" if value >= some else "Little agreement"
