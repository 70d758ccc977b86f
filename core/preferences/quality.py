"""Whether the answers can be trusted: gold, self-consistency, position, length, time, drift, disagreement.

Nothing here names one person where the group has fewer than five people: a figure about one of four is a
mark.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from core.preferences.agreement import SMALLEST_GROUP
from core.preferences.measures import NAN, tau_b
from core.preferences.results import Ranking, Results
from core.preferences.task import GOLD, Tiers
from core.preferences.texts import prompt_text

READABLE = 1_000  # words a minute: nobody reads faster
WINDOW = 50  # rankings of one person over which drift is averaged
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Share:
    """Part of a whole: `part` of `whole`; undefined where the whole is nothing."""

    part: float
    whole: int

    @property
    def value(self) -> float | None:
        """The share, or None."""
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True)
class Position:
    """Where the winner stood when it was shown.

    Attributes:
        wins: How often the single best output stood in each place.
        expected: How often it would by chance.
        p: Probability of such a difference by chance (χ²), or None where there are too few.
        mean_rank: Mean rank of what stood in each place, from 1.
    """

    wins: tuple[int, ...]
    expected: tuple[float, ...]
    p: float | None
    mean_rank: tuple[float, ...]


@dataclass(frozen=True)
class Length:
    """Whether longer outputs win.

    Attributes:
        longer_wins: Of two outputs of different length, how often the longer one won; chance is a half.
        tau: Mean τ-b between length and rank, 1 where longer is always better; None where undefined.
    """

    longer_wins: Share
    tau: float | None


@dataclass(frozen=True)
class Time:
    """How long an item took.

    Attributes:
        median_s: Median active time, in seconds; None without answers.
        total_h: All active time, in hours.
        hasty: Rankings in less time than anyone can read the outputs in.
    """

    median_s: float | None
    total_h: float
    hasty: Share


@dataclass(frozen=True)
class PersonQuality:
    """The figures of one person; made only in groups of five and more."""

    annotator: str
    answers: int
    gold: Share
    consistency: float | None
    with_others: Share
    median_s: float | None
    hasty: Share
    longer_wins: Share


@dataclass(frozen=True)
class Quality:
    """What `measure_quality` gives.

    Attributes:
        gold: Gold pairs that came out as they should.
        consistency: Mean τ-b between two answers of the same person to the same item; None where undefined.
        repeats: How many items were ranked twice by the same person.
        position: Of the winner.
        length: Of the outputs.
        time: Of the answers.
        drift: Agreement with the majority of the others, averaged over 50 rankings at a time, by place in the
            order in which people worked.
        disagreement: Item ids, the widest disagreement first, with the share of equal relations.
        people: By person, where the group is large enough.
        no_people: Why `people` is empty, or "".
    """

    gold: Share
    consistency: float | None
    repeats: int
    position: Position
    length: Length
    time: Time
    drift: tuple[float, ...]
    disagreement: tuple[tuple[str, float], ...]
    people: tuple[PersonQuality, ...]
    no_people: str


def measure_quality(results: Results) -> Quality:
    """All figures on the quality of the answers; call it on a worker."""
    work = results.work()
    names = sorted({one.annotator for one in results.rankings})
    votes = _votes(work)
    people: tuple[PersonQuality, ...] = ()
    why = f"{len(names)} people ranked; figures on one of them are shown from {SMALLEST_GROUP} people on."
    if len(names) >= SMALLEST_GROUP:
        why = ""
        people = tuple(_person(results, name, work, votes) for name in names)
    consistency = _consistency(results, results.repeats)
    return Quality(
        gold_share(results, results.rankings), consistency, len(results.repeats), position_of(work),
        _length(results, work), _time(results, work), _drift(work, votes), _disagreement(results), people,
        why,
    )  # fmt: skip


def gold_share(results: Results, rankings: Iterable[Ranking]) -> Share:
    """Of the gold pairs with a known winner, how many came out as they should."""
    right = pairs = 0
    for one in rankings:
        if results.items[one.item_id].kind == GOLD:
            hit, among = key_share(one, results.items[one.item_id].key)
            right, pairs = right + hit, pairs + among
    return Share(right, pairs)


def key_share(ranking: Ranking, key: Tiers) -> tuple[int, int]:
    """How many pairs with a known winner are right, and how many there are.

    >>> key_share(Ranking("ada", "i", (("a",), ("b", "c"))), (("a",), ("b",), ("c",)))
    (2, 3)
    """
    known = {pair: said for pair, said in Ranking("", "", key).relations().items() if said}
    said = ranking.relations()
    return sum(said.get(pair) == winner for pair, winner in known.items()), len(known)


def _consistency(results: Results, repeats: Sequence[Ranking]) -> float | None:
    first = {(one.annotator, one.item_id): one for one in results.rankings}
    taus = []
    for again in repeats:
        before = first.get((again.annotator, again.item_id))
        if before is not None:
            a, b = before.ranks(), again.ranks()
            common = sorted(set(a) & set(b))
            taus.append(tau_b([a[id] for id in common], [b[id] for id in common]))
    defined = [tau for tau in taus if not math.isnan(tau)]
    return fmean(defined) if defined else None


def position_of(rankings: Sequence[Ranking]) -> Position:
    """Where winners stood; with no bias every place wins equally often.

    >>> position_of([Ranking("ada", "i", (("b",), ("a",)), shown_order=("a", "b"))]).wins
    (0, 1)
    """
    places = max((len(one.shown_order) for one in rankings), default=0)
    wins, expected = [0] * places, [0.0] * places
    ranks: list[list[float]] = [[] for _ in range(places)]
    for one in rankings:
        shown = one.shown_order
        place = {id: at for at, id in enumerate(shown)}
        if one.tiers and len(one.tiers[0]) == 1 and one.tiers[0][0] in place:
            wins[place[one.tiers[0][0]]] += 1
            for at in range(len(shown)):
                expected[at] += 1 / len(shown)
        for id, rank in one.ranks().items():
            if id in place:
                ranks[place[id]].append(rank + 1)
    p = None
    if places > 1 and min(expected) >= 5:  # below it χ² is no longer a good approximation
        from scipy.stats import chisquare

        p = float(chisquare(wins, expected).pvalue)
    return Position(tuple(wins), tuple(expected), p, tuple(fmean(one) if one else NAN for one in ranks))


def _length(results: Results, rankings: Iterable[Ranking]) -> Length:
    won = among = 0
    taus = []
    for one in rankings:
        lengths = {output.id: len(output.text) for output in results.items[one.item_id].outputs}
        for (a, b), said in one.relations().items():
            if said and lengths[a] != lengths[b]:
                among += 1
                won += (lengths[a] > lengths[b]) == (said > 0)
        ranks = one.ranks()
        taus.append(tau_b([lengths[id] for id in ranks], [-rank for rank in ranks.values()]))
    defined = [tau for tau in taus if not math.isnan(tau)]
    return Length(Share(won, among), fmean(defined) if defined else None)


def _time(results: Results, rankings: Sequence[Ranking]) -> Time:
    seconds = [one.active_ms / 1000 for one in rankings]
    hasty = sum(_is_hasty(results, one) for one in rankings)
    return Time(median(seconds) if seconds else None, sum(seconds) / 3600, Share(hasty, len(rankings)))


def _is_hasty(results: Results, ranking: Ranking) -> bool:
    item = results.items[ranking.item_id]
    texts = [prompt_text(item.prompt), *(output.text for output in item.outputs)]
    words = sum(len(_WORD.findall(text)) for text in texts)
    return ranking.active_ms < words / READABLE * 60_000


Votes = Mapping[tuple[str, tuple[str, str]], Mapping[str, int]]
"""Item and two outputs to what each person said."""


def _votes(rankings: Iterable[Ranking]) -> Votes:
    votes: dict[tuple[str, tuple[str, str]], dict[str, int]] = defaultdict(dict)
    for one in rankings:
        for pair, said in one.relations().items():
            votes[one.item_id, pair][one.annotator] = said
    return votes


def _with_others(ranking: Ranking, votes: Votes) -> Share:
    """Pairs in which the person says what the majority of the others says."""
    same = among = 0
    for pair, said in ranking.relations().items():
        others = sum(v for name, v in votes[ranking.item_id, pair].items() if name != ranking.annotator)
        if others:
            among += 1
            same += said == (1 if others > 0 else -1)
    return Share(same, among)


def _drift(rankings: Sequence[Ranking], votes: Votes) -> tuple[float, ...]:
    by_person: dict[str, list[Ranking]] = defaultdict(list)
    for one in rankings:
        by_person[one.annotator].append(one)
    places: list[list[float]] = []
    for given in by_person.values():
        for at, one in enumerate(sorted(given, key=lambda ranking: ranking.time)):
            share = _with_others(one, votes).value
            if at >= len(places):
                places.append([])
            if share is not None:
                places[at].append(share)
    means = [fmean(one) if one else NAN for one in places]
    rolling = []
    for end in range(1, len(means) + 1):
        window = [mean for mean in means[max(0, end - WINDOW) : end] if not math.isnan(mean)]
        rolling.append(fmean(window) if window else NAN)
    return tuple(rolling)


def _disagreement(results: Results) -> tuple[tuple[str, float], ...]:
    by_item: dict[str, list[Ranking]] = defaultdict(list)
    for one in results.work():
        by_item[one.item_id].append(one)
    found = []
    for id, given in by_item.items():
        if len(given) > 1:
            said = [one.relations() for one in given]
            shares = [_equal(a, b) for at, a in enumerate(said) for b in said[at + 1 :]]
            defined = [share for share in shares if share is not None]
            if defined:
                found.append((id, fmean(defined)))
    return tuple(sorted(found, key=lambda one: (one[1], one[0])))


def _equal(a: Mapping[tuple[str, str], int], b: Mapping[tuple[str, str], int]) -> float | None:
    common = set(a) & set(b)
    return sum(a[pair] == b[pair] for pair in common) / len(common) if common else None


def _person(results: Results, name: str, work: Sequence[Ranking], votes: Votes) -> PersonQuality:
    own = [one for one in work if one.annotator == name]
    shares = [_with_others(one, votes) for one in own]
    time = _time(results, own)
    return PersonQuality(
        name, len(own), gold_share(results, [one for one in results.rankings if one.annotator == name]),
        _consistency(results, [one for one in results.repeats if one.annotator == name]),
        Share(sum(one.part for one in shares), sum(one.whole for one in shares)), time.median_s, time.hasty,
        _length(results, own).longer_wins,
    )  # fmt: skip
