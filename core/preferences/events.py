"""What people did, and what that comes to: the state of a person is a fold of that person's events.

    submit, revise, skip   an answer to an item, a later one, or none with a reason
    flag                   something is wrong with a prompt
    undo, redo             take an event back (`supersedes` names it), or do it again
    enter, rename, join    a person begins, has another name, or is the same as another
    consent, opt_out, opt_in, withdraw   what a person agreed to
    guidelines             a new version; by nobody

Events are ordered by `turn`, a count of its own for each person, not by a clock: a clock can be set back.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field

ANSWERS = ("submit", "revise", "skip")
DEEDS = (*ANSWERS, "flag")
"""What can be undone."""
TYPES = (
    *DEEDS, "undo", "redo", "enter", "rename", "join", "consent", "opt_out", "opt_in", "withdraw",
    "guidelines",
)  # fmt: skip

Key = tuple[str, int]
"""Id of an item, and which of its showings to the same person: 0, or 1 for a repeat."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event without its payload, which stays in the database until it is asked for.

    Attributes:
        id: Made by who acts, so that sending it twice counts once.
        annotator: Whose it is.
        turn: Counts up for each person.
        type: One of `TYPES`.
        item: Id of the item, or "".
        attempt: 0, or 1 for a repeat.
        supersedes: The answer that this one replaces; or what is undone or redone; or "".
        time: By the clock of who acted, UTC.
    """

    id: str
    annotator: str
    turn: int
    type: str
    item: str = ""
    attempt: int = 0
    supersedes: str = ""
    time: str = ""

    @property
    def key(self) -> Key:
        """The item and which of its showings."""
        return self.item, self.attempt

    @property
    def place(self) -> tuple[int, str, str]:
        """Where it stands among the person's events."""
        return self.turn, self.time, self.id


@dataclass
class Folded:
    """The state that events come to; `apply` adds the next one, in the order of `place`.

    Attributes:
        answers: For each item, what was answered and not undone; the last one counts.
        flags: For each item, what was flagged and not undone.
        conflicts: Pairs of answers of which neither knew the other: made on two machines.
        last: `place` of the last event.
        others: Events that are no deeds: consent, names.

    >>> state = fold([Event("1", "ada", 1, "submit", "i"), Event("2", "ada", 2, "undo", "i", supersedes="1")])
    >>> state.active(("i", 0)), state.can_redo.id
    (None, '1')
    """

    answers: dict[Key, list[Event]] = field(default_factory=dict)
    flags: dict[Key, list[Event]] = field(default_factory=dict)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    others: list[Event] = field(default_factory=list)
    last: tuple[int, str, str] = (0, "", "")
    _done: list[Event] = field(default_factory=list)
    _undone: list[Event] = field(default_factory=list)

    def active(self, key: Key) -> Event | None:
        """The answer that counts, or None."""
        answers = self.answers.get(key)
        return answers[-1] if answers else None

    @property
    def can_undo(self) -> Event | None:
        """What the next undo takes back."""
        return self._done[-1] if self._done else None

    @property
    def can_redo(self) -> Event | None:
        """What the next redo does again."""
        return self._undone[-1] if self._undone else None

    @property
    def deeds(self) -> tuple[Event, ...]:
        """What was done and not undone, oldest first."""
        return tuple(self._done)

    def apply(self, event: Event) -> None:
        """Add an event that comes after all others."""
        self.last = event.place
        if event.type in DEEDS:
            self._do(event)
            self._done.append(event)
            self._undone.clear()
        elif event.type == "undo":
            self._move(event.supersedes, self._done, self._undone, undo=True)
        elif event.type == "redo":
            self._move(event.supersedes, self._undone, self._done, undo=False)
        else:
            self.others.append(event)

    def _do(self, event: Event) -> None:
        if event.type == "flag":
            self.flags.setdefault(event.key, []).append(event)
            return
        chain = self.answers.setdefault(event.key, [])
        if chain and event.supersedes != chain[-1].id:
            self.conflicts.append((chain[-1].id, event.id))
        chain.append(event)

    def _move(self, id: str, source: list[Event], target: list[Event], *, undo: bool) -> None:
        found = next((event for event in reversed(source) if event.id == id), None)
        if found is None:  # undone twice, on two machines: once is enough
            return
        source.remove(found)
        target.append(found)
        chains = self.flags if found.type == "flag" else self.answers
        chain = chains.setdefault(found.key, [])
        if undo:
            chain.remove(found)
        else:
            bisect.insort(chain, found, key=lambda event: event.place)
        if not chain:
            del chains[found.key]


def fold(events: Iterable[Event]) -> Folded:
    """The state that a person's events come to, whatever order they are given in."""
    state = Folded()
    for event in sorted(events, key=lambda event: event.place):
        state.apply(event)
    return state
