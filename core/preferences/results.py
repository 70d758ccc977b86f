"""What people said, read out of a store: the rankings that count, by item and by person.

Rankings are those that were not undone and not revised since. People who withdrew are left out; those who
were joined count as one. Nothing is computed here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from core.preferences import schema
from core.preferences.answers import answer_of
from core.preferences.database import readable
from core.preferences.events import Event, Folded, fold
from core.preferences.facts import Annotator, TaskFacts
from core.preferences.pairwise import Judged
from core.preferences.store import Store
from core.preferences.task import GOLD, PRACTICE, WORK, Item, Tiers


@dataclass(frozen=True)
class Ranking:
    """One person's answer to one item; the attributes are those of `Answer`, and who, which and when.

    Attributes:
        annotator: Id of the person; of the one joined to, where two were joined.
        shown_order: Ids of the outputs as they were shown.
        attempt: 0, or 1 for a repeat.
        event_id: Which event it is.
        supersedes: The answer that it replaced, or "".
        app: Version of the program that saved it.
    """

    annotator: str
    item_id: str
    tiers: Tiers
    unranked: tuple[str, ...] = ()
    all_bad: bool = False
    mode: str = "rank"
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ratings: Mapping[str, int] = field(default_factory=dict)
    comment: str = ""
    pairs: tuple[Judged, ...] = ()
    active_ms: int = 0
    wall_ms: int = 0
    shown_order: tuple[str, ...] = ()
    time: str = ""
    attempt: int = 0
    guideline_version: int = 1
    event_id: str = ""
    supersedes: str = ""
    app: str = ""

    def ranks(self) -> dict[str, int]:
        """Each ranked output's tier, from 0; unranked ones share one below all, where there are some.

        >>> Ranking("ada", "i", (("b",), ("a", "c")), ("d",)).ranks()
        {'b': 0, 'a': 1, 'c': 1, 'd': 2}
        """
        ranks = {id: rank for rank, tier in enumerate(self.tiers) for id in tier}
        return ranks | dict.fromkeys(self.unranked, len(self.tiers))

    def relations(self) -> dict[tuple[str, str], int]:
        """For each two outputs by id order: 1 where the first is better, −1 the second, 0 a tie.

        Two that are both unranked are left out: nothing was said of them.

        >>> Ranking("ada", "i", (("b",), ("a", "c"))).relations()
        {('a', 'b'): -1, ('a', 'c'): 0, ('b', 'c'): 1}
        """
        ranks, unranked = self.ranks(), set(self.unranked)
        ids = sorted(ranks)
        return {
            (a, b): (ranks[b] > ranks[a]) - (ranks[b] < ranks[a])
            for at, a in enumerate(ids)
            for b in ids[at + 1 :]
            if not (a in unranked and b in unranked)
        }


@dataclass(frozen=True)
class Passed:
    """An item that somebody passed over, or a flag without an answer."""

    annotator: str
    item_id: str
    reason: str
    comment: str
    flags: tuple[str, ...]
    time: str


@dataclass(frozen=True)
class Results:
    """Everything that was said in a store.

    Attributes:
        task: Its header.
        items: By id; those that somebody answered, passed over or flagged.
        rankings: Those that count, in the order of people and time: work and gold, first attempts.
        repeats: Second attempts of the same person.
        practice: Rankings of practice items.
        skips: Items that were passed over.
        flagged: Flags on prompts.
        people: Everyone who entered and did not withdraw; joined ones once.
        withdrawn: How many withdrew: their answers are left out.
        conflicts: Pairs of events that answered the same item on two machines; the later one counts.
    """

    task: TaskFacts
    items: Mapping[str, Item]
    rankings: tuple[Ranking, ...]
    repeats: tuple[Ranking, ...]
    practice: tuple[Ranking, ...]
    skips: tuple[Passed, ...]
    flagged: tuple[Passed, ...]
    people: tuple[Annotator, ...]
    withdrawn: int
    conflicts: tuple[tuple[str, str], ...]

    def by_item(self) -> dict[str, list[Ranking]]:
        """The rankings of each item."""
        found: dict[str, list[Ranking]] = defaultdict(list)
        for ranking in self.rankings:
            found[ranking.item_id].append(ranking)
        return dict(found)

    def work(self) -> tuple[Ranking, ...]:
        """The rankings of items that are no gold: what is exported and measured."""
        return tuple(one for one in self.rankings if self.items[one.item_id].kind == WORK)


def read_results(store: Store) -> Results:
    """Read what counts; 100,000 answers take some seconds, so call it on a worker.

    Raises:
        LabError: The store cannot be read.
    """
    people = {person.id: person for person in store.annotators()}
    rankings: list[Ranking] = []
    skips: list[Passed] = []
    flagged: list[Passed] = []
    conflicts: list[tuple[str, str]] = []
    withdrawn: set[str] = set()
    taken: set[tuple[str, str, int]] = set()
    for annotator, events, rows in _people(store):
        state = fold(events)
        said = [event.type for event in state.others if event.type in ("consent", "withdraw")]
        if said and said[-1] == "withdraw":
            withdrawn.add(annotator)
            continue
        conflicts += state.conflicts
        known = people.get(annotator)
        who = (known.joined_to or annotator) if known else annotator
        for passed, types in ((skips, state.answers), (flagged, state.flags)):
            passed += [
                _passed(who, chain[-1], rows)
                for chain in types.values()
                if chain[-1].type in ("skip", "flag")
            ]
        for key, event in _counting(state):
            if (who, *key) in taken:
                conflicts.append((event.id, event.id))
                continue
            taken.add((who, *key))
            rankings.append(_ranking(who, event, rows[event.id]))
    wanted = {one.item_id for one in rankings} | {one.item_id for one in (*skips, *flagged)}
    items = {item.id: item for item in store.items() if item.id in wanted} if wanted else {}
    with readable(store.name):  # an answer to an item that is not there any more
        kinds = {id: items[id].kind for id in wanted}
    first = [one for one in rankings if kinds[one.item_id] in (WORK, GOLD) and not one.attempt]
    return Results(
        store.task, items, tuple(first), tuple(one for one in rankings if one.attempt),
        tuple(one for one in rankings if kinds[one.item_id] == PRACTICE and not one.attempt),
        tuple(skips), tuple(flagged),
        tuple(one for one in people.values() if not one.joined_to and one.id not in withdrawn),
        len(withdrawn), tuple(conflicts),
    )  # fmt: skip


def _counting(state: Folded) -> Iterator[tuple[tuple[str, int], Event]]:
    for key, chain in state.answers.items():
        if chain[-1].type != "skip":
            yield key, chain[-1]


def _people(store: Store) -> Iterator[tuple[str, list[Event], dict[str, Any]]]:
    """Each person's events, and the rows with what was said."""
    columns = schema.event.c
    with store.reading() as connection:
        rows = connection.execute(
            select(schema.event).where(columns.annotator != "").order_by(columns.annotator, columns.turn)
        ).yield_per(2_000)
        annotator = ""
        events: list[Event] = []
        said: dict[str, Any] = {}
        for row in rows:
            if row.annotator != annotator:
                if events:
                    yield annotator, events, said
                annotator, events, said = row.annotator, [], {}
            with readable(store.name):
                events.append(_event(row))
            said[row.id] = row
        if events:
            yield annotator, events, said


def _event(row: Any) -> Event:
    """An event from its row; a damaged one may hold anything."""
    event = Event(
        row.id, row.annotator, int(row.turn), row.type, row.item or "", row.attempt, row.supersedes or "",
        row.client_time,
    )  # fmt: skip
    if any(not isinstance(text, str) for text in (event.id, event.type, event.item, event.time)):
        raise TypeError("a text is none")
    return event


def _ranking(annotator: str, event: Event, row: Any) -> Ranking:
    with readable("The store"):
        values = json.loads(row.payload)
        answer = answer_of(values)
        return Ranking(
            annotator, event.item, answer.tiers, answer.unranked, answer.all_bad, answer.mode, answer.flags,
            answer.ratings, answer.comment, answer.pairs, answer.active_ms, answer.wall_ms,
            tuple(json.loads(row.shown)), event.time, event.attempt, values.get("guidelines", 1), event.id,
            event.supersedes, row.app,
        )  # fmt: skip


def _passed(annotator: str, event: Event, rows: Mapping[str, Any]) -> Passed:
    with readable("The store"):
        values = json.loads(rows[event.id].payload)
        return Passed(
            annotator, event.item, values.get("reason", ""), values.get("comment", ""),
            tuple(values.get("flags", ())), event.time,
        )  # fmt: skip
