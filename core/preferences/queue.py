"""What a person is given next: practice first, then the work in order, and repeats at the end or a day later.

Where only some people rank each item (`overlap`), an item is claimed: a slot is leased for half an hour, in
one statement that no second person can win too. A lease that ran out goes to someone else; an answer that
comes late all the same is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from core.preferences import schema
from core.preferences.events import Folded, Key
from core.preferences.facts import Entry
from core.preferences.task import WORK
from core.preferences.texts import digest

LEASE = 30 * 60.0  # s
REPEAT_AFTER = timedelta(hours=20)  # a day, for people who come a little earlier the next morning


def first_open(
    entries: Sequence[Entry], state: Folded, out: Collection[str], wanted: Callable[[Entry], bool]
) -> Entry | None:
    """The first item that the person has neither answered nor skipped nor opted out of."""
    answers = state.answers
    for entry in entries:
        if (entry.id, 0) not in answers and wanted(entry) and entry.category not in out:
            return entry
    return None


def due_repeat(
    entries: Mapping[str, Entry], state: Folded, annotator: str, percent: int, now: float, *, all_done: bool
) -> Key | None:
    """An item that the person is to rank a second time: chosen by a hash, the longest answered first."""
    if not percent:
        return None
    latest = datetime.fromtimestamp(now, UTC) - REPEAT_AFTER
    for event in state.deeds:
        entry = entries.get(event.item)
        if entry is None or entry.kind != WORK or event.attempt or event.type == "skip":
            continue
        if (event.item, 1) in state.answers or not is_repeated(event.item, annotator, percent):
            continue
        if all_done or datetime.fromisoformat(event.time) <= latest:
            return event.item, 1
    return None


def is_repeated(item: str, annotator: str, percent: int) -> bool:
    """Whether a person gets an item twice.

    >>> 150 < sum(is_repeated(str(n), "ada", 20) for n in range(1000)) < 250
    True
    """
    return int(digest("repeat", item, annotator)[:8], 16) % 10_000 < 100 * percent


def claim(connection: Connection, annotator: str, out: Collection[str], now: float) -> str | None:
    """Lease a slot of the next item that this person has not touched; its id, or None where none is free.

    Raises:
        IntegrityError: A second window of the same person was faster: the transaction must begin anew.
    """
    slot, item, event = schema.slot.c, schema.item.c, schema.event.c
    own = select(slot.item).where(slot.annotator == annotator, slot.done.is_(False)).order_by(slot.number)
    held = schema.slot.alias("held")
    free = (
        select(slot.number, slot.slot)
        .where(slot.done.is_(False), or_(slot.annotator.is_(None), slot.until < now))
        .where(~select(held.c.item).where(held.c.item == slot.item, held.c.annotator == annotator).exists())
        .where(
            ~select(event.seq)
            .where(event.item == slot.item, event.annotator == annotator, event.type.in_(("submit", "skip")))
            .exists()
        )
        .order_by(slot.number, slot.slot)
        .limit(1)
    )
    if out:
        refused = select(item.id).where(item.category.in_(list(out)))
        own, free = own.where(slot.item.not_in(refused)), free.where(slot.item.not_in(refused))
    mine = connection.execute(own.limit(1)).scalar()
    if mine is not None:
        _extend(connection, annotator, mine, now)
        return str(mine)
    if connection.dialect.name != "sqlite":
        free = free.with_for_update(skip_locked=True)
    found = free.cte("found")
    taken = (
        update(schema.slot)
        .where(slot.number == found.c.number, slot.slot == found.c.slot)
        .values(annotator=annotator, until=now + LEASE)
        .returning(slot.item)
    )
    chosen = connection.execute(taken).scalar_one_or_none()
    return None if chosen is None else str(chosen)


def _extend(connection: Connection, annotator: str, item: str, now: float) -> None:
    slot = schema.slot.c
    connection.execute(
        update(schema.slot).where(slot.item == item, slot.annotator == annotator).values(until=now + LEASE)
    )


def next_lease_ends(connection: Connection, annotator: str, now: float) -> float | None:
    """When the first item that others hold may be free again, in seconds since 1970, or None."""
    slot = schema.slot.c
    held = select(func.min(slot.until)).where(
        slot.done.is_(False), slot.annotator.is_not(None), slot.annotator != annotator, slot.until >= now
    )
    until = connection.execute(held).scalar()
    return None if until is None else float(until)


def settle(connection: Connection, annotator: str, item: str, *, done: bool, now: float) -> None:
    """Mark the person's slot of an item as answered, or not any more; where there is none, one is made."""
    slot = schema.slot.c
    mine = and_(slot.item == item, slot.annotator == annotator)
    if connection.execute(
        update(schema.slot).where(mine).values(done=done, until=now + LEASE)
    ).rowcount or not done:  # fmt: skip
        return
    row = connection.execute(
        select(slot.number, func.max(slot.slot)).where(slot.item == item).group_by(slot.number)
    ).one_or_none()
    if row is not None:  # the lease ran out and someone else has it: kept as one more answer
        connection.execute(
            insert(schema.slot).values(
                number=row[0], slot=row[1] + 1, item=item, annotator=annotator, until=now, done=True
            )
        )


def let_go(connection: Connection, annotator: str, item: str) -> None:
    """Give a slot back: the person skipped the item."""
    slot = schema.slot.c
    connection.execute(
        update(schema.slot)
        .where(slot.item == item, slot.annotator == annotator)
        .values(annotator=None, until=0.0, done=False)
    )
