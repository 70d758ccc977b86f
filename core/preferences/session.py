"""One person at one store: what is shown next, drafts, answers, undo and redo, all of them durable.

Every method that writes returns only after the commit has reached the disk. What is shown hides who made the
outputs, which items are gold, and what others said. The state is a fold of the person's events; events that
came from elsewhere (a second window, a merge) are taken in before anything is decided.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.artifacts.manifest import app_version
from core.preferences import queue, schema
from core.preferences.answers import Answer, Draft, answer_of, answer_values, check_answer, check_comment
from core.preferences.database import Collided, ServerLost, stored
from core.preferences.events import ANSWERS, Event, Key
from core.preferences.outbox import Outbox
from core.preferences.shown import AllDone, Counts, Done, Saved, Shown, ShownOutput, Undone, Waiting
from core.preferences.store import add_event, next_turn
from core.preferences.task import GOLD, MOST, PRACTICE, WORK, Item, Tiers, shown_order
from core.preferences.texts import as_json
from core.preferences.timeline import Timeline
from core.preferences.transfer import EventRow
from core.problems import LabError

REASON_AT_MOST = 500  # characters
_REMEMBERED = 8  # items
_TRIES = 3

__all__ = ["AllDone", "Counts", "Done", "Saved", "Session", "Shown", "ShownOutput", "Undone", "Waiting"]


class Session(Timeline):
    """What one person works through; made by `Store.session`."""

    # What is shown

    def resume(self) -> Shown | None:
        """Exactly where the person was: the item that was open last, unless it is done."""
        with self.store.reading() as connection:
            self._refresh(connection)
            key = self._place(connection)
            return self._show(connection, key) if key else None

    def next_item(self) -> Shown | Waiting | AllDone:
        """What to rank now: where the person was, or the next item, which is claimed where that is needed.

        Raises:
            ServerLost: The server does not answer: what was answered is kept, and nothing new can be given.
        """
        self.flush()
        for _ in range(_TRIES):
            try:
                return self._next()
            except Collided:  # a second window of the same person was faster
                continue
            except ServerLost:  # a connection from before the server's restart: the next one is new
                self._forget()
        return self._next()

    def _next(self) -> Shown | Waiting | AllDone:
        with self.store.writing() as connection:
            self._refresh(connection)
            here = self._place(connection)
            if here is not None and self._state.active(here) is None and self._still_held(connection, here):
                return self._show(connection, here)
            found = self._next_key(connection)
            if not isinstance(found, tuple):
                return found
            self._put_place(connection, found)
            return self._show(connection, found)

    def open_item(self, item_id: str, attempt: int = 0) -> Shown:
        """Show any item: to look at it again, to revise it. The place is kept for the next start.

        Raises:
            LabError: There is no such item.
        """
        self._check_item(item_id)
        if not self.store.read_only:
            with self.store.writing() as connection:
                self._put_place(connection, (item_id, attempt))
        return self.shown(item_id, attempt)

    def shown(self, item_id: str, attempt: int = 0) -> Shown:
        """An item as `open_item` shows it; the place stays where it is, and nothing is written."""
        self._check_item(item_id)
        with self.store.reading() as connection:
            self._refresh(connection)
            return self._show(connection, (item_id, attempt))

    def key_of(self, item_id: str) -> Tiers | None:
        """The known order of a practice item, once this person has answered it; else None."""
        if self._entries[item_id].kind != PRACTICE or self._state.active((item_id, 0)) is None:
            return None
        return self.store.item(item_id).key

    def _check_item(self, item_id: str) -> None:
        if item_id not in self._entries:
            raise LabError(f"There is no item {item_id[:40]!r} in this task.", "Look into the list of items.")

    def _place(self, connection: Connection) -> Key | None:
        """The item that was open last, unless it is done and nothing was begun."""
        place = schema.place.c
        row = connection.execute(
            select(place.item, place.attempt).where(place.annotator == self.annotator)
        ).one_or_none()
        if row is None or row[0] not in self._entries:
            return None
        key = (row[0], row[1])
        done = self._state.active(key) is not None and self._draft(connection, key) is None
        return None if done or self._entries[key[0]].category in self.opted_out() else key

    def _put_place(self, connection: Connection, key: Key) -> None:
        _put(connection, schema.place, ("annotator",), annotator=self.annotator, item=key[0], attempt=key[1])

    def _still_held(self, connection: Connection, key: Key) -> bool:
        """Hold on to the item where the person was; False where its lease ran out and others have it."""
        if not self._is_claimed(key):
            return True
        slot = schema.slot.c
        held = connection.execute(
            select(slot.number).where(slot.item == key[0], slot.annotator == self.annotator)
        ).one_or_none()
        if held is not None:
            queue.settle(connection, self.annotator, key[0], done=False, now=self.store.now())
        return held is not None or self._draft(connection, key) is not None  # what was begun may be finished

    def _next_key(self, connection: Connection) -> Key | Waiting | AllDone:
        settings, entries, out = self.store.task.settings, self.store.entries(), self.opted_out()
        practice = queue.first_open(entries, self._state, (), lambda entry: entry.kind == PRACTICE)
        if practice is not None:
            return practice.id, 0
        repeat = self._repeat(all_done=False)
        if repeat is not None:
            return repeat
        if not settings.overlap:
            entry = queue.first_open(entries, self._state, out, lambda entry: True)
            return (entry.id, 0) if entry else self._end()
        gold = queue.first_open(entries, self._state, out, lambda entry: entry.kind == GOLD)
        now = self.store.now()
        claimed = queue.claim(connection, self.annotator, out, now)
        work = self._entries[claimed] if claimed else None
        found = min((one for one in (gold, work) if one), key=lambda one: one.number, default=None)
        if found is not None:
            return found.id, 0
        until = queue.next_lease_ends(connection, self.annotator, now)
        return self._repeat(all_done=True) or (self._end() if until is None else Waiting(until))

    def _repeat(self, *, all_done: bool) -> Key | None:
        return queue.due_repeat(
            self._entries, self._state, self.annotator, self.store.task.settings.repeats, self.store.now(),
            all_done=all_done,
        )  # fmt: skip

    def _end(self) -> Key | AllDone:
        repeat = self._repeat(all_done=True)
        if repeat is not None:
            return repeat
        counts = self.progress()
        if counts.skipped:
            return AllDone(f"Every item was seen; {counts.skipped:,} were skipped.")
        if counts.left:
            return AllDone("Every item has as many answers as are wanted: others gave the rest.")
        return AllDone("Every item has an answer.")

    def _show(self, connection: Connection, key: Key) -> Shown:
        entry = self._entries[key[0]]
        item = self._item(key[0], connection)
        texts = {output.id: output.text for output in item.outputs}
        order = shown_order(item.id, list(texts), self.annotator, key[1])
        draft = self._draft(connection, key)
        active = self._state.active(key)
        values = self._payload(connection, active) if active else {}
        skipped = values.get("reason", "") if active and active.type == "skip" else ""
        return Shown(
            item.id, entry.number, item.prompt, tuple(ShownOutput(id, texts[id]) for id in order),
            PRACTICE if item.kind == PRACTICE else WORK, key[1], item.category, draft,
            answer_of(values) if active and active.type != "skip" else None, skipped,
            self.store.task.guidelines.version,
        )  # fmt: skip

    def _item(self, id: str, connection: Connection | None = None) -> Item:
        if id not in self._items:
            if len(self._items) >= _REMEMBERED:
                del self._items[next(iter(self._items))]
            self._items[id] = self.store.item(id, connection)
        return self._items[id]

    def _draft(self, connection: Connection, key: Key) -> Draft | None:
        draft = schema.draft.c
        row = connection.execute(
            select(draft.payload).where(
                draft.annotator == self.annotator, draft.item == key[0], draft.attempt == key[1]
            )
        ).one_or_none()
        return Draft(stored(row[0], self.store.name)) if row else None

    # What is written

    def save_draft(self, item_id: str, draft: Draft, attempt: int = 0) -> Saved:
        """Keep what was begun; a restart finds it."""
        event = self.store.event(self.annotator, 0, "draft")
        with self.store.writing() as connection:
            _put(
                connection, schema.draft, ("annotator", "item", "attempt"), annotator=self.annotator,
                item=item_id,
                attempt=attempt, payload=as_json(dict(draft.values)), saved=event.time,
            )  # fmt: skip
            _put(
                connection,
                schema.place,
                ("annotator",),
                annotator=self.annotator,
                item=item_id,
                attempt=attempt,
            )
        return Saved("", event.time)

    def submit(self, item_id: str, answer: Answer, client_id: str = "", attempt: int = 0) -> Saved:
        """Save an answer; where there is one already, this one revises it.

        Args:
            client_id: Made by the page for this one click: an id that was saved before counts once.

        Raises:
            LabError: It is no answer to this item, or it could not be saved: nothing was written.
        """
        item = self._item(item_id)
        settings = self.store.task.settings
        shown = shown_order(item_id, [output.id for output in item.outputs], self.annotator, attempt)
        best = len(item.outputs) if settings.ranking == "all" else settings.best
        check_answer(answer, shown, min(best, MOST), self.store.task.flags)
        values = answer_values(answer) | {"guidelines": self.store.task.guidelines.version}
        return self._answer("submit", (item_id, attempt), values, client_id, shown)

    def skip(
        self,
        item_id: str,
        reason: str,
        comment: str = "",
        active_ms: int = 0,
        attempt: int = 0,
        client_id: str = "",
    ) -> Saved:
        """Pass an item over, with a reason.

        Raises:
            LabError: No reason was given, or it could not be saved.
        """
        reason = reason.strip()
        if not reason or len(reason) > REASON_AT_MOST:
            raise LabError("An item is skipped with a reason.", "Choose one, or write a few words.")
        check_comment(comment)
        check_comment(reason)
        values: dict[str, Any] = {"reason": reason, "active_ms": active_ms}
        if comment:
            values["comment"] = comment
        return self._answer("skip", (item_id, attempt), values, client_id, ())

    def flag(self, item_id: str, flags: Sequence[str], comment: str = "", client_id: str = "") -> Saved:
        """Say that something is wrong with a prompt, without answering."""
        unknown = [flag for flag in flags if flag not in self.store.task.flags]
        if unknown or not flags:
            raise LabError(
                f"The flag {''.join(unknown[:1])!r} is unknown.",
                f"Flags are {', '.join(self.store.task.flags)}.",
            )
        check_comment(comment)
        return self._write("flag", item_id, {"flags": list(flags), "comment": comment}, client_id)

    def _answer(
        self, type: str, key: Key, values: dict[str, Any], client_id: str, shown: tuple[str, ...]
    ) -> Saved:
        if key[0] not in self._entries:
            raise LabError(f"There is no item {key[0][:40]!r} in this task.", "Look into the list of items.")
        id = client_id or secrets.token_hex(16)
        try:
            self.flush()
            saved = self._answer_now(type, key, values, id, shown)
        except ServerLost:
            if self._outbox is None:
                raise
            return self._answer_later(self._outbox, type, key, values, id, shown)
        return saved

    def _answer_now(
        self, type: str, key: Key, values: dict[str, Any], id: str, shown: tuple[str, ...]
    ) -> Saved:
        draft, place = schema.draft.c, schema.place.c
        now = self.store.now()
        with self.store.writing() as connection:
            known = self._known(connection, id)
            if known is not None:
                return known
            self._refresh(connection)
            event = self._answer_event(type, key, id, self._state.last[0] + 1)
            add_event(connection, event, values, shown)
            mine = draft.annotator == self.annotator
            connection.execute(
                delete(schema.draft).where(mine, draft.item == key[0], draft.attempt == key[1])
            )
            connection.execute(
                delete(schema.place).where(place.annotator == self.annotator, place.item == key[0])
            )
            self._settle(connection, event, now)
        self._accept(event)
        return Saved(event.id, event.time)

    def _answer_event(self, type: str, key: Key, id: str, turn: int) -> Event:
        before = self._state.active(key)
        if type == "submit" and before is not None:
            type = "revise"
        return self.store.event(
            self.annotator,
            turn,
            type,
            id=id,
            item=key[0],
            attempt=key[1],
            supersedes=before.id if before else "",
        )

    def _answer_later(
        self, outbox: Outbox, type: str, key: Key, values: dict[str, Any], id: str, shown: tuple[str, ...]
    ) -> Saved:
        event = self._answer_event(type, key, id, self._state.last[0] + 1)
        outbox.keep(self.store.name, EventRow(
            event.id, event.annotator, event.turn, event.type, event.item, event.attempt,
            event.supersedes or None,
            as_json(list(shown)), as_json(values), event.time, app_version(),
        ))  # fmt: skip
        self._accept(event)
        return Saved(event.id, event.time, "outbox")

    # Undo and redo

    def undo(self) -> Undone | None:
        """Take back the last thing that this person did; None where there is nothing. A new event says so."""
        return self._turn_back("undo")

    def redo(self) -> Undone | None:
        """Do again what was taken back last; None where there is nothing."""
        return self._turn_back("redo")

    def _turn_back(self, type: str) -> Undone | None:
        try:
            return self._turned_back(type)
        except BaseException:
            self._forget()  # what was read within the transaction may never have been committed
            raise

    def _turned_back(self, type: str) -> Undone | None:
        place, now = schema.place.c, self.store.now()
        with self.store.writing() as connection:
            self._refresh(connection)
            target = self._state.can_undo if type == "undo" else self._state.can_redo
            if target is None:
                return None
            values = self._payload(connection, target)
            event = self.store.event(
                self.annotator, next_turn(connection, self.annotator), type, item=target.item,
                attempt=target.attempt, supersedes=target.id,
            )  # fmt: skip
            add_event(connection, event, {})
            self._refresh(connection)
            if target.type in ANSWERS:
                active = self._state.active(target.key)
                self._resettle(connection, target, active, now)
            if type == "undo" and target.type in ANSWERS:
                self._put_place(connection, target.key)
            elif type == "redo":
                connection.execute(
                    delete(schema.place).where(place.annotator == self.annotator, place.item == target.item)
                )
        return Undone(target.item, target.attempt, target.type, values)

    def _resettle(self, connection: Connection, target: Event, active: Event | None, now: float) -> None:
        if not self._is_claimed(target.key):
            return
        if active is not None and active.type == "skip":
            queue.let_go(connection, self.annotator, target.item)
        else:
            queue.settle(connection, self.annotator, target.item, done=active is not None, now=now)


def _put(connection: Connection, table: Any, keys: Sequence[str], **values: Any) -> None:
    """Insert a row, or change the one that has the same keys."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    made = insert(table).values(**values)
    rest = {name: value for name, value in values.items() if name not in keys}
    connection.execute(made.on_conflict_do_update(index_elements=list(keys), set_=rest))
