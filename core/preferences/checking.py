"""Whether a store is sound: SQLite's own check, then what only this program knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from core.preferences import schema
from core.preferences.database import readable
from core.preferences.events import DEEDS, TYPES
from core.preferences.hand_in import event_rows
from core.preferences.task import content_of, same_id
from core.problems import LabError

if TYPE_CHECKING:
    from core.preferences.store import Store


def faults_of(store: Store) -> tuple[str, ...]:
    """What is wrong, a sentence each; nothing where the store is sound.

    Raises:
        LabError: The database cannot be read at all.
    """
    faults: list[str] = []
    event = schema.event.c
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            said = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(20)"))]
            faults += [f"SQLite says: {line}." for line in said if line != "ok"]
            faults += [
                f"A row of {row[0]} names something that is not there."
                for row in connection.execute(text("PRAGMA foreign_key_check")).all()[:20]
            ]
        count = connection.execute(select(func.count()).select_from(schema.item)).scalar_one()
        strange = connection.execute(
            select(func.count()).select_from(schema.event).where(event.type.not_in(TYPES))
        ).scalar_one()
        homeless = connection.execute(
            select(func.count()).select_from(schema.event).where(event.type.in_(DEEDS), event.item.is_(None))
        ).scalar_one()
        entered = select(event.annotator).where(event.type == "enter")
        unknown = connection.execute(
            select(func.count(event.annotator.distinct())).where(
                event.annotator != "", event.annotator.not_in(entered)
            )
        ).scalar_one()
    try:
        event_rows(store)
    except LabError as error:
        faults.append(error.problem)
    with readable(store.name):
        if count != store.task.items:
            faults.append(f"{count:,} items are there; the task has {store.task.items:,}.")
        elif content_of(entry.id for entry in store.entries()) != store.task.sha256:
            faults.append("The items are not those of the task.")
        else:
            changed = sum(not same_id(one) for one in store.items())
            faults += [f"{changed:,} items are not what was written."] if changed else []
    if strange:
        faults.append(f"{strange:,} events are of an unknown type.")
    if homeless:
        faults.append(f"{homeless:,} answers name no item.")
    if unknown:
        faults.append(f"{unknown:,} people answered without having entered.")
    return tuple(faults)
