"""What one person is shown, and what comes back: plain values between a session and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.preferences.answers import Answer, Draft
from core.preferences.texts import Said


@dataclass(frozen=True)
class ShownOutput:
    """An output without who made it."""

    id: str
    text: str


@dataclass(frozen=True)
class Shown:
    """An item as its person sees it.

    Attributes:
        item_id: Its id.
        number: Its place in the task, from 1.
        prompt: Text or turns.
        outputs: In the order in which they are shown to this person.
        kind: "practice", or "work": gold is not told apart.
        attempt: 0, or 1 where it is shown a second time.
        category: What one can opt out of, or "".
        draft: What was begun and not submitted, or None.
        answer: What counts so far, or None.
        skipped: The reason for which it was skipped, or "".
        guideline_version: Of the guidelines that count now.
    """

    item_id: str
    number: int
    prompt: Said
    outputs: tuple[ShownOutput, ...]
    kind: str
    attempt: int
    category: str
    draft: Draft | None
    answer: Answer | None
    skipped: str
    guideline_version: int


@dataclass(frozen=True)
class Waiting:
    """Nothing can be given now, but something may be later: others hold what is left.

    Attributes:
        until: When the first of it may be free again, in seconds since 1970.
    """

    until: float


@dataclass(frozen=True)
class AllDone:
    """Nothing is left for this person; `reason` says why."""

    reason: str


@dataclass(frozen=True)
class Saved:
    """What was written has reached the disk, or the outbox where the server is lost.

    Attributes:
        event_id: Id of the event, or "" for a draft.
        time: By this computer's clock, UTC.
        where: "database" or "outbox".
    """

    event_id: str
    time: str
    where: str = "database"


@dataclass(frozen=True)
class Undone:
    """What an undo took back or a redo did again.

    Attributes:
        item_id: Which item, to be opened again.
        attempt: Which of its showings.
        what: "submit", "revise", "skip" or "flag".
        values: What was said then, as JSON values: an undone ranking can be shown as it was.
    """

    item_id: str
    attempt: int
    what: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Counts:
    """How far a person has come; items of categories that the person opted out of are not counted."""

    done: int
    skipped: int
    left: int
    total: int
    practice_left: int


@dataclass(frozen=True)
class Done:
    """Something that a person did: for the list of what can be looked at again."""

    item_id: str
    attempt: int
    number: int
    what: str
    time: str
