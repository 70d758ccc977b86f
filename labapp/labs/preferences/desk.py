"""One person at work: the task that is open, who ranks, the item in view, and the way back. No Qt.

Every change becomes a draft, and every method returns after what it wrote has reached the disk. The way back
goes through the keys pressed at this item first, and then through what was saved, also on other days.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.preferences.active import ActiveTime
from core.preferences.answers import Draft, answer_of
from core.preferences.task import PRACTICE, WORK
from labapp.labs.preferences.standing import Standing, begin, standing_after, standing_of
from labapp.labs.preferences.tasks import Opened

if TYPE_CHECKING:
    from core.preferences.pace import PracticeResult
    from core.preferences.session import AllDone, Session, Shown, Waiting
    from core.preferences.store import Annotator


@dataclass(frozen=True)
class NotPassed:
    """Practice is done, and too little of it came out as known for the work to begin.

    Attributes:
        mark: Percent that is asked for.
        item_id: A practice item that is to be looked at again.
    """

    mark: int
    item_id: str


KEPT = 500  # steps back at one item


class Desk:
    """Where one person ranks.

    Args:
        now: Monotonic seconds.

    Attributes:
        opened: The task, or None.
        session: Of the person who ranks, or None while nobody has entered.
        shown: The item in view, or None.
        standing: How it stands.
        end: Why no item is in view, or None.
        saved: When what is in view was saved last, in seconds since 1970, or None where it was not.
        by_pairs: Whether two are shown at a time.
        practice: How the practice item that was just answered came out.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.opened: Opened | None = None
        self.session: Session | None = None
        self.shown: Shown | None = None
        self.standing: Standing | None = None
        self.end: AllDone | Waiting | NotPassed | None = None
        self.saved: float | None = None
        self.by_pairs = False
        self.practice: PracticeResult | None = None
        self.active = ActiveTime(now)
        self._past: list[Standing] = []
        self._future: list[Standing] = []
        self._click = ""
        self.in_outbox = False  # whether the last answer is kept here until the server answers
        self._passed = False  # whether practice is known to be passed
        self._typing = False
        self._before_ms = 0  # active time at this item before it was opened again

    # The task and the person

    def open(self, opened: Opened) -> None:
        """Work at another task; the one before is closed."""
        self.close()
        self.opened = opened
        self.by_pairs = opened.store.task.settings.by_pairs

    def close(self) -> None:
        """Let go of the database."""
        if self.opened is not None:
            self.opened.close()
        self.opened = self.session = None
        self._leave()

    def people(self) -> tuple[Annotator, ...]:
        """Who has entered, without those who were joined to others."""
        found = self.opened.store.annotators() if self.opened else ()
        return tuple(person for person in found if not person.joined_to)

    def sit(self, annotator: str) -> None:
        """Go on as somebody who has entered."""
        if self.opened is not None:
            self._leave()
            self._passed = False
            self.session = self.opened.store.session(annotator, self.opened.outbox)

    def enter(self, name: str) -> None:
        """Begin as somebody new."""
        if self.opened is not None:
            self.sit(self.opened.store.enter(name).id)

    def agree(self, text: str) -> None:
        """The person has read what is recorded, in these words."""
        if self.session is not None and not self.session.agreed:
            self.session.agree(text)

    # The item in view

    def next(self) -> None:
        """Show what is to be ranked now: where the person was, or the next item."""
        if self.session is None:
            return
        from core.preferences.session import Shown

        found: Shown | AllDone | Waiting | NotPassed = self.session.next_item()
        if isinstance(found, Shown) and found.kind == WORK:
            found = self._held_back() or found
        if isinstance(found, Shown):
            self._show(found)
        else:
            practice = self.practice
            self._leave()
            self.end, self.practice = found, practice

    def _held_back(self) -> NotPassed | None:
        """Why work cannot begin although practice is done, or None."""
        from core.preferences.pace import practice_passed, practice_result

        session = self.session
        if session is None or self._passed:
            return None
        mark = session.store.task.settings.practice_mark
        self._passed = not mark or practice_passed(session)
        if self._passed:
            return None
        for entry in session.store.entries():
            result = practice_result(session, entry.id) if entry.kind == PRACTICE else None
            if result is not None and result.right < result.pairs:
                return NotPassed(mark, entry.id)
        return None

    def look_at(self, item_id: str, attempt: int = 0) -> None:
        """Show an item again, to look at it or to revise it."""
        if self.session is not None:
            self._show(self.session.open_item(item_id, attempt))

    def _show(self, shown: Shown) -> None:
        ids = [output.id for output in shown.outputs]
        self.shown, self.end = shown, None
        self.saved = None
        self._before_ms = 0
        if shown.draft is not None:
            self.standing = standing_of(ids, shown.draft.values)
            before = shown.draft.values.get("active_ms")
            self._before_ms = before if type(before) is int and before >= 0 else 0
        elif shown.answer is not None:
            self.standing = standing_after(ids, shown.answer)
        else:
            self.standing = begin(ids)
        self._past, self._future, self._typing = [], [], False
        self._click = secrets.token_hex(16)
        self.active.start()

    def _leave(self) -> None:
        self.shown = self.standing = self.end = self.practice = None
        self._past, self._future = [], []
        self.saved = None

    def change(self, standing: Standing) -> bool:
        """Take a change of the item in view, and save it as a draft; False where nothing changed."""
        if self.standing is None or standing == self.standing:
            return False
        typing = replace(self.standing, comment=standing.comment) == standing
        if not (typing and self._typing):  # a comment is one step, not one for each letter
            self._past = [*self._past[-KEPT:], self.standing]
        self._future = []
        self._typing = typing
        self.standing = standing
        self._keep()
        return True

    def choose(self, standing: Standing) -> None:
        """Take a change that says nothing about the answer: which card is chosen."""
        self.standing = standing

    def _keep(self) -> None:
        if self.session is None or self.shown is None or self.standing is None:
            return
        self.saved = None
        values = self.standing.values() | {"active_ms": self.active_ms}
        self.session.save_draft(self.shown.item_id, Draft(values), self.shown.attempt)
        self.saved = time.time()

    @property
    def active_ms(self) -> int:
        """Time at the item in view with a hand on the keys, also before a restart."""
        return self._before_ms + self.active.active_ms

    def submit(self) -> Standing:
        """Save the answer and show the next item; what was saved comes back, to be said.

        Raises:
            LabError: It is no answer yet, or it could not be saved: nothing was written.
        """
        if self.session is None or self.shown is None or self.standing is None:
            raise RuntimeError("no item is in view")
        settings = self.session.store.task.settings
        answer = self.standing.answer(
            by_pairs=self.by_pairs, best_only=settings.ranking == "best",
            active_ms=self.active_ms, wall_ms=self.active.wall_ms,
        )  # fmt: skip
        said, shown = self.standing, self.shown
        saved = self.session.submit(shown.item_id, answer, self._click, shown.attempt)
        self.in_outbox = saved.where == "outbox"
        self._went_on(shown)
        return said

    def _went_on(self, shown: Shown) -> None:
        from core.preferences.pace import practice_result

        when = time.time()
        self.practice = None
        if shown.kind == "practice" and self.session is not None:
            self.practice = practice_result(self.session, shown.item_id)
        self.next()
        self.saved = when

    def skip(self, reason: str, comment: str = "") -> None:
        """Pass the item over, and show the next one."""
        if self.session is not None and self.shown is not None:
            shown = self.shown
            self.session.skip(shown.item_id, reason, comment, self.active_ms, shown.attempt, self._click)
            self._went_on(shown)

    def flag_prompt(self, flag: str) -> None:
        """Say that something is wrong with the prompt; the item stays in view."""
        if self.session is not None and self.shown is not None:
            self.session.flag(self.shown.item_id, (flag,))
            self.saved = time.time()

    def leave_out(self, category: str) -> None:
        """Be given no more items of a category, and show the next item."""
        if self.session is not None:
            self.session.opt_out(category)
            self.next()

    @property
    def unsaved(self) -> bool:
        """Whether something in view is on no disk: the last write was refused."""
        return self.saved is None and bool(self._past or self._future)

    # The way back

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._past) or (self.session is not None and self.session.can_undo)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back and nothing was done since."""
        return bool(self._future) or (self.session is not None and self.session.can_redo)

    def undo(self) -> str:
        """Take back the last step at this item, or the last thing saved; which: "step", "submit", …"""
        self._typing = False
        if self._past and self.standing is not None:
            self._future.append(self.standing)
            self.standing = self._past.pop()
            self._keep()
            return "step"
        undone = self.session.undo() if self.session is not None else None
        if undone is None:
            return ""
        self.look_at(undone.item_id, undone.attempt)
        if undone.what in ("submit", "revise") and self.standing is not None:
            self.standing = standing_after(self.standing.shown, answer_of(undone.values))
            before = undone.values.get("active_ms")
            self._before_ms = before if type(before) is int else 0
            self._keep()
        return undone.what

    def redo(self) -> str:
        """Do again what was taken back last; what that was, or ""."""
        if self._future and self.standing is not None:
            self._past.append(self.standing)
            self.standing = self._future.pop()
            self._keep()
            return "step"
        redone = self.session.redo() if self.session is not None else None
        if redone is None:
            return ""
        self.next()
        self.saved = time.time()
        return redone.what
