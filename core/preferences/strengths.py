"""How strong the models behind the outputs are, whether a difference is real, and where preferences go round.

Bradley–Terry counts every two outputs of a ranking, a tie as half a win each; Plackett–Luce takes a ranking
as one. Prompts are drawn with replacement for the intervals, as rankings of one prompt hang together. No
Elo: it depends on the order of the answers.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.preferences.fitting import Pattern, bradley_terry, connected, plackett_luce
from core.preferences.measures import NAN, Numbers, interval, resampled
from core.preferences.results import Ranking, Results
from core.preferences.task import Item, Maker
from core.problems import LabError
from core.stages import Finished, Progress

SAMPLES = 1_000
MOST_MODELS = 200
_RIDGE = 0.01  # for drawn samples that are not connected
_AT_ONCE = 20  # samples between two events
_WORK = 4_000_000  # patterns × samples at most


@dataclass(frozen=True)
class Strength:
    """One model.

    Attributes:
        model: Its name, with the temperature where one model wrote everything.
        value: θ in nats, 0 on average: a difference of 1 is a win in 73 of a hundred; None where undefined.
        low: Lower end of the 95 % interval, or None.
        high: Upper end.
        rank_low: The best place that the intervals allow, from 1.
        rank_high: The worst one.
    """

    model: str
    value: float | None
    low: float | None
    high: float | None
    rank_low: int
    rank_high: int


@dataclass(frozen=True)
class Difference:
    """Two models: how often the first wins by the fit, and whether that is more than chance."""

    model: str
    other: str
    value: float
    low: float
    high: float
    wins: float
    real: bool


@dataclass(frozen=True)
class Strengths:
    """What `measure_strengths` gives.

    Attributes:
        models: Names, the strongest first.
        bradley_terry: In this order.
        plackett_luce: In this order.
        wins: How often the model of a row beat that of a column, ties as halves.
        games: How often the two met.
        differences: For each two, by Bradley–Terry.
        cycles: Three models of which each beats the next by majority.
        item_cycles: Items whose outputs go round by majority of the people.
        why: Why strengths are undefined, or "".
        samples: How many bootstrap samples Plackett–Luce's intervals rest on.
    """

    models: tuple[str, ...]
    bradley_terry: tuple[Strength, ...]
    plackett_luce: tuple[Strength, ...]
    wins: tuple[tuple[float, ...], ...]
    games: tuple[tuple[float, ...], ...]
    differences: tuple[Difference, ...]
    cycles: tuple[tuple[str, str, str], ...]
    item_cycles: tuple[str, ...]
    why: str
    samples: int


def measure_strengths(
    results: Results, *, samples: int = SAMPLES, seed: int = 0
) -> Iterator[Progress | Finished[Strengths]]:
    """Measure the strengths of the models behind the outputs of the work items.

    Raises:
        LabError: No output says who made it, or all were made by one with the same settings.
    """
    label = _labels(results)
    models = sorted({name for names in label.values() for name in names})
    if len(models) < 2:
        raise LabError(
            f"{len(models)} model is named by the outputs that were ranked.",
            "Two are needed. Files that were handed out leave the models out: read the results in the "
            "database that made the task.",
        )
    if len(models) > MOST_MODELS:
        raise LabError(f"{len(models):,} models are named.", f"At most {MOST_MODELS} are compared.")
    return _measure(results, label, models, samples, seed)


def _labels(results: Results) -> dict[tuple[str, str], tuple[str, ...]]:
    """Item and output to the names of who made it: models, or one model's temperatures."""
    ranked = {one.item_id for one in results.work()}
    made: dict[tuple[str, str], tuple[Maker, ...]] = {
        (item.id, output.id): output.makers
        for item in results.items.values()
        if item.id in ranked
        for output in item.outputs
    }
    single = len({maker.model for makers in made.values() for maker in makers if maker.model}) == 1
    return {key: tuple(_name(one, single) for one in makers if one.model) for key, makers in made.items()}


def _name(maker: Maker, single: bool) -> str:
    temperature = maker.settings.get("temperature")
    return (
        f"{maker.model}, temperature {temperature:g}" if single and temperature is not None else maker.model
    )


def _measure(
    results: Results,
    label: Mapping[tuple[str, str], tuple[str, ...]],
    models: list[str],
    samples: int,
    seed: int,
) -> Iterator[Progress | Finished[Strengths]]:
    number = {name: at for at, name in enumerate(models)}
    by_item: dict[str, list[Pattern]] = defaultdict(list)
    for ranking in results.work():
        by_item[ranking.item_id].append(_pattern(ranking, label, number))
    matrices = np.stack([_wins(given, len(models)) for given in by_item.values()])  # (items, M, M)
    total = matrices.sum(0)
    why = "" if connected(total) else (
        "Not every model has lost to every other one over a chain of comparisons, so no finite strengths "
        "fit: collect more rankings."
    )  # fmt: skip
    draws = resampled(len(matrices), samples, seed)
    drawn = []
    for start in range(0, samples, _AT_ONCE):
        drawn += [_fit(np.tensordot(row, matrices, 1)) for row in draws[start : start + _AT_ONCE]]
        yield Progress("Bradley–Terry", min(start + _AT_ONCE, samples), samples, "samples")
    theta = bradley_terry(total) if not why else np.full(len(models), NAN)
    fewer, luce, luce_drawn = yield from _luce(by_item, draws, len(models), why)
    bt = _strengths(models, theta, np.array(drawn), why)
    order = sorted(range(len(models)), key=lambda at: -(theta[at] if not why else _share(total, at)))
    games = total + total.T
    made = Strengths(
        tuple(models[at] for at in order),
        tuple(bt[at] for at in order),
        tuple(_strengths(models, luce, luce_drawn, why)[at] for at in order),
        tuple(tuple(float(total[a, b]) for b in order) for a in order),
        tuple(tuple(float(games[a, b]) for b in order) for a in order),
        () if why else tuple(_differences(models, theta, np.array(drawn), order)),
        _cycles(models, total), _item_cycles(results), why, fewer,
    )  # fmt: skip
    yield Finished(f"{len(models)} models over {len(matrices):,} prompts.", made)


def _pattern(
    ranking: Ranking, label: Mapping[tuple[str, str], tuple[str, ...]], number: Mapping[str, int]
) -> Pattern:
    tiers = (*ranking.tiers, ranking.unranked) if ranking.unranked else ranking.tiers
    named = (
        tuple(sorted(number[name] for id in tier for name in label.get((ranking.item_id, id), ())))
        for tier in tiers
    )
    return tuple(tier for tier in named if tier)


def _wins(given: Sequence[Pattern], count: int) -> Numbers:
    wins = np.zeros((count, count))
    for pattern in given:
        for at, tier in enumerate(pattern):
            for one, other in itertools.combinations(tier, 2):
                wins[one, other] += 0.5
                wins[other, one] += 0.5
            for below in pattern[at + 1 :]:
                for one, other in itertools.product(tier, below):
                    wins[one, other] += 1
    np.fill_diagonal(wins, 0)
    return wins


def _fit(wins: Numbers) -> Numbers:
    return bradley_terry(wins, 0.0 if connected(wins) else _RIDGE)


def _share(wins: Numbers, at: int) -> float:
    games = wins[at].sum() + wins[:, at].sum()
    return float(wins[at].sum() / games) if games else 0.0


def _luce(
    by_item: Mapping[str, list[Pattern]], draws: Numbers, count: int, why: str
) -> Generator[Progress, None, tuple[int, Numbers, Numbers]]:
    patterns = sorted({pattern for given in by_item.values() for pattern in given if len(pattern) > 1})
    place = {pattern: at for at, pattern in enumerate(patterns)}
    table = np.zeros((len(by_item), len(patterns)))
    for row, given in enumerate(by_item.values()):
        for pattern, times in Counter(one for one in given if len(one) > 1).items():
            table[row, place[pattern]] = times
    if why or not patterns:
        return 0, np.full(count, NAN), np.full((1, count), NAN)
    samples = max(100, min(len(draws), _WORK // len(patterns)))
    drawn = []
    for number, row in enumerate(draws[:samples], 1):
        drawn.append(plackett_luce(patterns, row @ table, count, _RIDGE))
        if number % _AT_ONCE == 0:
            yield Progress("Plackett–Luce", number, samples, "samples")
    return samples, plackett_luce(patterns, table.sum(0), count), np.array(drawn)


def _strengths(models: Sequence[str], values: Numbers, drawn: Numbers, why: str) -> list[Strength]:
    if why:
        return [Strength(name, None, None, None, 1, len(models)) for name in models]
    ends = [interval(drawn[:, at]) for at in range(len(models))]
    made = []
    for at, name in enumerate(models):
        low, high = ends[at]
        above = sum(other[0] > high for other in ends)
        below = sum(other[1] < low for other in ends)
        value = float(values[at])
        made.append(
            Strength(name, None if math.isnan(value) else value, low, high, 1 + above, len(models) - below)
        )
    return made


def _differences(
    models: Sequence[str], theta: Numbers, drawn: Numbers, order: Sequence[int]
) -> Iterator[Difference]:
    for one, other in itertools.combinations(order, 2):
        low, high = interval(drawn[:, one] - drawn[:, other])
        value = float(theta[one] - theta[other])
        yield Difference(
            models[one], models[other], value, low, high, 1 / (1 + math.exp(-value)), low > 0 or high < 0
        )


def _cycles(models: Sequence[str], wins: Numbers) -> tuple[tuple[str, str, str], ...]:
    beats = wins > wins.T
    return tuple(
        (models[a], models[b], models[c])
        for a, b, c in itertools.permutations(range(len(models)), 3)
        if a < b and a < c and beats[a, b] and beats[b, c] and beats[c, a]
    )


def _item_cycles(results: Results) -> tuple[str, ...]:
    found = []
    by_item: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in results.work():
        by_item[ranking.item_id].append(ranking)
    for id, given in by_item.items():
        if len(given) > 2 and _goes_round(results.items[id], given):
            found.append(id)
    return tuple(found)


def _goes_round(item: Item, given: Sequence[Ranking]) -> bool:
    ids = sorted(output.id for output in item.outputs)
    place = {id: at for at, id in enumerate(ids)}
    margin = np.zeros((len(ids), len(ids)))
    for ranking in given:
        for (a, b), said in ranking.relations().items():
            margin[place[a], place[b]] += said
    beats = (margin - margin.T) > 0
    return any(
        beats[a, b] and beats[b, c] and beats[c, a] for a, b, c in itertools.permutations(range(len(ids)), 3)
    )
