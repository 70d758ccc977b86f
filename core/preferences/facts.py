"""What a store says of itself: its task, its people, its items in a list; plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.preferences.task import Guidelines, TaskSettings, flags_of


@dataclass(frozen=True)
class TaskFacts:
    """A task without its items; the attributes are those of `Task`, and `sha256` is that of the items."""

    id: str
    name: str
    created: datetime
    guidelines: Guidelines
    settings: TaskSettings
    key_id: str
    sha256: str
    items: int

    @property
    def flags(self) -> tuple[str, ...]:
        """What an output can be flagged as."""
        return flags_of(self.settings)


@dataclass(frozen=True)
class Annotator:
    """A person: a random id with a name to show, which need not be the only one of its kind.

    Attributes:
        joined_to: Id of the person who this one is the same as, or "".
    """

    id: str
    name: str
    created: str
    joined_to: str = ""


@dataclass(frozen=True)
class ItemLine:
    """An item in a list."""

    number: int
    id: str
    kind: str
    category: str
    prompt_start: str
    outputs: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An item as the queue knows it."""

    number: int
    id: str
    kind: str
    category: str
