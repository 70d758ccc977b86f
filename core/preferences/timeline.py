"""What one person did at one store, folded, and how more is written: the side of a session that knows no
page.

Events that came from elsewhere (a second window, a merge) are taken in before anything is decided. While a
server is away, answers are kept in an outbox and count here as they will count there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.preferences import queue, schema
from core.preferences.database import stored
from core.preferences.events import DEEDS, Event, Folded, Key
from core.preferences.outbox import Outbox
from core.preferences.shown import Counts, Done, Saved
from core.preferences.store import Store, add_event, next_turn
from core.preferences.task import PRACTICE, WORK, Item
from core.problems import LabError

_LATE = 1_000  # events: a server's numbers become visible out of order, so the last ones are looked at again


class Timeline:
    """A person's events at a store; `Session` adds what is shown and answered.

    Raises:
        LabError: Nobody of this id has entered.
    """

    def __init__(self, store: Store, annotator: str, outbox: Outbox | None = None) -> None:
        self.store = store
        self.annotator = annotator
        self._outbox = outbox
        self._known_ids: set[str] = set()
        # Items shown last: an answer is checked also while a server is away.
        self._items: dict[str, Item] = {}
        self._entries = {entry.id: entry for entry in store.entries()}
        self._state = Folded()
        self._seq = 0
        self._all: list[Event] = []
        self._categories: dict[str, str] = {}
        with store.reading() as connection:
            self._refresh(connection)
        self._keep_waiting()
        if not any(event.type == "enter" for event in self._state.others):
            raise LabError(f"Nobody of the id {annotator[:40]!r} has entered.", "Choose a name first.")

    # What the events come to

    def progress(self) -> Counts:
        """How far this person has come."""
        out = self.opted_out()
        wanted = {
            id for id, entry in self._entries.items() if entry.category not in out or entry.kind == PRACTICE
        }
        done = skipped = practice = 0
        for (id, attempt), answers in self._state.answers.items():
            if attempt or id not in wanted:
                continue
            practice += self._entries[id].kind == PRACTICE
            skipped += answers[-1].type == "skip"
            done += answers[-1].type != "skip"
        all_practice = sum(entry.kind == PRACTICE for entry in self._entries.values())
        total = len(wanted)
        return Counts(done, skipped, total - done - skipped, total, all_practice - practice)

    def recent(self, count: int = 100) -> tuple[Done, ...]:
        """What this person did and did not take back, the newest first."""
        last = self._state.deeds[-count:][::-1] if count > 0 else ()
        return tuple(
            Done(event.item, event.attempt, self._entries[event.item].number, event.type, event.time)
            for event in last
            if event.item in self._entries
        )

    @property
    def undo_what(self) -> str:
        """What the next undo takes back: "submit", "revise", "skip", "flag", or ""."""
        event = self._state.can_undo
        return event.type if event else ""

    @property
    def redo_what(self) -> str:
        """What the next redo does again, or ""."""
        event = self._state.can_redo
        return event.type if event else ""

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back, of today or of any day."""
        return self._state.can_undo is not None

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back and nothing was done since."""
        return self._state.can_redo is not None

    @property
    def agreed(self) -> bool:
        """Whether the person has agreed, and not withdrawn since."""
        said = [event.type for event in self._state.others if event.type in ("consent", "withdraw")]
        return bool(said) and said[-1] == "consent"

    def opted_out(self) -> frozenset[str]:
        """Categories that this person is given no items of."""
        out: set[str] = set()
        for event in self._state.others:
            if event.type in ("opt_out", "opt_in"):
                category = self._categories.get(event.id, "")
                (out.add if event.type == "opt_out" else out.discard)(category)
        return frozenset(out)

    def payloads(self, types: Sequence[str] = DEEDS) -> list[tuple[Event, dict[str, Any]]]:
        """What was said in this person's deeds that were not taken back, oldest first."""
        wanted = [event for event in self._state.deeds if event.type in types]
        columns = schema.event.c
        with self.store.reading() as connection:
            rows = connection.execute(
                select(columns.id, columns.payload).where(columns.annotator == self.annotator)
            ).all()
        texts = {row[0]: row[1] for row in rows}
        return [(event, stored(texts[event.id], self.store.name)) for event in wanted]

    # What a person agrees to

    def agree(self, text: str) -> Saved:
        """The person has read what is recorded and who sees it, in these words, and goes on."""
        return self._write("consent", "", {"text": text})

    def withdraw(self) -> Saved:
        """The person wants to be left out: results pass over the answers until they are erased."""
        return self._write("withdraw", "", {})

    def opt_out(self, category: str) -> Saved:
        """Give this person no items of a category."""
        return self._write("opt_out", "", {"category": category})

    def opt_in(self, category: str) -> Saved:
        """Give this person items of a category again."""
        return self._write("opt_in", "", {"category": category})

    # Writing, also while a server is away

    def _write(self, type: str, item: str, values: dict[str, Any], client_id: str = "", **more: Any) -> Saved:
        with self.store.writing() as connection:
            known = self._known(connection, client_id)
            if known is not None:
                return known
            event = self.store.event(
                self.annotator, next_turn(connection, self.annotator), type, id=client_id, item=item, **more
            )
            add_event(connection, event, values)
        self._take_in()
        return Saved(event.id, event.time)

    def _known(self, connection: Connection, client_id: str) -> Saved | None:
        """What was saved under this id before, if anything."""
        if not client_id:
            return None
        columns = schema.event.c
        row = connection.execute(
            select(columns.annotator, columns.client_time).where(columns.id == client_id)
        ).one_or_none()
        if row is None:
            return None
        if row[0] != self.annotator:
            raise LabError("This id was used by somebody else.", "Submit again: a new id is made.")
        return Saved(client_id, row[1])

    def _is_claimed(self, key: Key) -> bool:
        """Whether an item is given to some people only."""
        return bool(self.store.task.settings.overlap) and self._entries[key[0]].kind == WORK and not key[1]

    def _settle(self, connection: Connection, event: Event, now: float) -> None:
        """Keep the slots of an item in step with what its person did."""
        if not event.item or not self._is_claimed(event.key):
            return
        if event.type == "skip":
            queue.let_go(connection, self.annotator, event.item)
        else:
            queue.settle(connection, self.annotator, event.item, done=True, now=now)

    @property
    def waiting(self) -> int:
        """How many answers are kept on this machine until the server is back."""
        return len(self._outbox.rows(self.store.name, self.annotator)) if self._outbox else 0

    def flush(self) -> int:
        """Send what was kept, in order; how many answers that were. Sending twice counts once.

        Raises:
            ServerLost: The server is still away; everything is kept.
        """
        rows = self._outbox.rows(self.store.name, self.annotator) if self._outbox else ()
        if not rows or self._outbox is None:
            return 0
        with self.store.writing() as connection:
            for row in rows:
                fresh = postgresql.insert if connection.dialect.name != "sqlite" else sqlite.insert
                connection.execute(
                    fresh(schema.event).values(row.columns()).on_conflict_do_nothing(index_elements=["id"])
                )
                self._settle(connection, row.event(), self.store.now())
        self._outbox.sent([row.id for row in rows])
        self._take_in()
        return len(rows)

    def _keep_waiting(self) -> None:
        """Take in what an earlier start kept and could not send."""
        for row in self._outbox.rows(self.store.name, self.annotator) if self._outbox else ():
            if row.id not in self._known_ids:
                self._accept(row.event())

    def _accept(self, event: Event) -> None:
        self._known_ids.add(event.id)
        self._all.append(event)
        self._state.apply(event)

    # Reading what is new

    def _forget(self) -> None:
        self._state, self._seq, self._all, self._known_ids = Folded(), 0, [], set()
        with contextlib.suppress(LabError):
            self._take_in()

    def _take_in(self) -> None:
        with self.store.reading() as connection:
            self._refresh(connection)

    def _refresh(self, connection: Connection) -> None:
        """Take in what came since: own events, and those of a second window or a merge."""
        columns = schema.event.c
        rows = connection.execute(
            select(
                columns.seq, columns.id, columns.turn, columns.type, columns.item, columns.attempt,
                columns.supersedes, columns.client_time,
            ).where(columns.annotator == self.annotator, columns.seq > self._seq - _LATE * self.store.server)
            .order_by(columns.seq)
        ).all()  # fmt: skip
        rows = [row for row in rows if row.id not in self._known_ids]
        if not rows:
            return
        fresh = [
            Event(
                row.id, self.annotator, row.turn, row.type, row.item or "", row.attempt, row.supersedes or "",
                row.client_time,
            )
            for row in rows
        ]  # fmt: skip
        for event in fresh:
            if event.type in ("opt_out", "opt_in"):
                self._categories[event.id] = self._payload(connection, event)["category"]
        self._seq = max(self._seq, rows[-1].seq)
        self._known_ids.update(event.id for event in fresh)
        self._all += fresh
        fresh.sort(key=lambda event: event.place)
        if fresh[0].place <= self._state.last:  # a merge brought something that belongs before what is known
            self._state = Folded()
            fresh = self._all = sorted(self._all, key=lambda event: event.place)
        for event in fresh:
            self._state.apply(event)

    def _payload(self, connection: Connection, event: Event) -> dict[str, Any]:
        row = connection.execute(select(schema.event.c.payload).where(schema.event.c.id == event.id)).one()
        values: dict[str, Any] = stored(row[0], self.store.name)
        return values
