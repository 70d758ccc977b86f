"""How fast a person works: for that person alone, and off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from core.preferences.quality import key_share
from core.preferences.results import Ranking
from core.preferences.session import Session
from core.preferences.task import PRACTICE, Tiers

_LAST = 20  # answers


@dataclass(frozen=True)
class Pace:
    """The last answers: how many an hour of active time, and how long one took in the middle.

    Attributes:
        items_per_hour: None before the first answer.
        median_active_ms: None before the first answer.
        n: Over how many answers.
    """

    items_per_hour: float | None
    median_active_ms: float | None
    n: int


@dataclass(frozen=True)
class PracticeResult:
    """How a practice item came out: `right` of `pairs` with a known winner; `key` is the known order."""

    right: int
    pairs: int
    key: Tiers


def pace_of(session: Session) -> Pace:
    """The pace of a person over the last 20 answers."""
    times = [
        values["active_ms"]
        for _, values in session.payloads(("submit", "revise"))[-_LAST:]
        if values.get("active_ms", 0) > 0
    ]
    if not times:
        return Pace(None, None, 0)
    middle = median(times)
    return Pace(3_600_000 / (sum(times) / len(times)), middle, len(times))


def practice_result(session: Session, item_id: str) -> PracticeResult | None:
    """How a practice item came out, after the person's own answer; None before and for other items."""
    key = session.key_of(item_id)
    shown = session.shown(item_id) if key else None
    if key is None or shown is None or shown.answer is None:
        return None
    said = Ranking(session.annotator, item_id, shown.answer.tiers, shown.answer.unranked)
    right, pairs = key_share(said, key)
    return PracticeResult(right, pairs, key)


def practice_passed(session: Session) -> bool:
    """Whether all practice is done and enough of it is right for the work to begin."""
    mark = session.store.task.settings.practice_mark
    ids = [entry.id for entry in session.store.entries() if entry.kind == PRACTICE]
    results = [practice_result(session, id) for id in ids]
    done = [result for result in results if result is not None]
    if len(done) < len(ids):
        return False
    pairs = sum(result.pairs for result in done)
    return not pairs or 100 * sum(result.right for result in done) >= mark * pairs
