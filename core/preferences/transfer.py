"""Events on their way from one store to another, checked before they are believed.

A row is what the table `event` holds, without its place in that one database. Everything foreign is looked
at: ids, types, the answer itself against the outputs of its item.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.formats.bounded_json import parse_json
from core.formats.files import quoted
from core.preferences.answers import answer_of
from core.preferences.events import ANSWERS, DEEDS, TYPES, Event
from core.preferences.texts import TEXT_AT_MOST, digest
from core.problems import LabError

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:\+00:00|Z)")
_TURNS = 1 << 30
_AGAIN = "Get the file again from the computer that it comes from."


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as it travels."""

    id: str
    annotator: str
    turn: int
    type: str
    item: str | None
    attempt: int
    supersedes: str | None
    shown: str
    payload: str
    client_time: str
    app: str

    def event(self) -> Event:
        """The event without what was said."""
        return Event(
            self.id, self.annotator, self.turn, self.type, self.item or "", self.attempt,
            self.supersedes or "",
            self.client_time,
        )  # fmt: skip

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in COLUMNS}

    def columns(self) -> dict[str, Any]:
        """As it is written into the table, with its sum."""
        return self.values() | {"sum": self.sum()}

    def sum(self) -> str:
        """By which a flipped bit is noticed: the beginning of the sha256 of all that is said."""
        return digest(*(getattr(self, name) for name in COLUMNS))[:16]


COLUMNS = tuple(field.name for field in fields(EventRow))


def row_of(
    values: Mapping[str, Any], name: str, outputs_of: Callable[[str], frozenset[str] | None]
) -> EventRow:
    """A row from foreign values, checked.

    Args:
        name: What messages call the place.
        outputs_of: Ids of the outputs of an item, or None where there is no such item.

    Raises:
        LabError: It is no event that this task can have.
    """
    try:
        row = EventRow(**{column: values[column] for column in COLUMNS})
    except (KeyError, TypeError) as error:
        raise LabError(f"{name}: this is no event.", _AGAIN) from error
    if fault := _fault(row, outputs_of):
        raise LabError(f"{name}: {fault}.", _AGAIN)
    return row


def _fault(row: EventRow, outputs_of: Callable[[str], frozenset[str] | None]) -> str:
    texts = (row.id, row.annotator, row.type, row.shown, row.payload, row.client_time, row.app)
    maybe = (row.item, row.supersedes)
    if any(type(text) is not str for text in texts) or any(
        not isinstance(text, str | None) for text in maybe
    ):
        return "a value is no text"
    if any("\0" in text or len(text) > TEXT_AT_MOST for text in (*texts, *(text or "" for text in maybe))):
        return "a text is too long, or holds a zero character"
    if not _ID.fullmatch(row.id) or (row.annotator and not _ID.fullmatch(row.annotator)):
        return f"the id {quoted(row.id, 30)} or its person's is none"
    if row.type not in TYPES or (not row.annotator) != (row.type == "guidelines"):
        return f"the type {quoted(row.type, 20)} is unknown, or its person is"
    if type(row.turn) is not int or not 0 < row.turn < _TURNS or row.attempt not in (0, 1):
        return f"the turn {row.turn!r} or attempt {row.attempt!r} is none"
    if not _TIME.fullmatch(row.client_time) or len(row.app) > 80:
        return f"the time {quoted(row.client_time, 30)} is none"
    try:
        said, shown = parse_json(row.payload, "the answer"), parse_json(row.shown, "the order")
    except LabError as error:
        return error.problem.rstrip(".")
    outputs = outputs_of(row.item) if row.item else frozenset()
    if not isinstance(said, dict) or not isinstance(shown, list) or outputs is None:
        return "it belongs to no item of this task, or says nothing"
    return _deed_fault(row, said, shown, outputs)


def _deed_fault(row: EventRow, said: dict[str, Any], shown: list[Any], outputs: frozenset[str]) -> str:
    if row.type in DEEDS and not row.item:
        return "an answer names no item"
    if row.type not in ANSWERS or row.type == "skip":
        wanted = {"enter": "name", "rename": "name", "join": "to", "skip": "reason", "opt_out": "category",
                  "opt_in": "category", "guidelines": "text"}.get(row.type)  # fmt: skip
        return "" if wanted is None or isinstance(said.get(wanted), str) else f"{row.type} without {wanted}"
    try:
        answer = answer_of(said)
        named = [id for tier in answer.tiers for id in tier] + list(answer.unranked)
        sound = (
            len(set(named)) == len(named)
            and outputs.issuperset(named)
            and (not shown or (len(shown) == len(outputs) and outputs == frozenset(shown)))
            and all(type(ms) is int and ms >= 0 for ms in (answer.active_ms, answer.wall_ms))
            and isinstance(answer.comment, str)
            and all(type(rating) is int for rating in answer.ratings.values())
            and all(isinstance(flag, str) for flags in answer.flags.values() for flag in flags)
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        sound = False
    return "" if sound else "the answer does not fit its item"
