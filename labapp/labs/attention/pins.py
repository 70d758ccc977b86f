"""The pinned heads and MLPs: kept whatever is in view, and asked one by one whether they matter."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

Head = tuple[int, int]
MLP = -1  # in the place of a head: the MLP of that layer
AT_MOST = 12  # pins: each is asked with 20 random ones beside it


class Pins(QObject):
    """Heads and MLPs in the order in which they were pinned.

    Attributes:
        parts: Layer and head of each, or layer and `MLP`.
    """

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.parts: tuple[Head, ...] = ()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads among them."""
        return tuple(part for part in self.parts if part[1] != MLP)

    def set_parts(self, parts: tuple[Head, ...]) -> None:
        """Pin these and no others; each once, the last ones where there are too many."""
        parts = tuple(dict.fromkeys(parts))[-AT_MOST:]
        if parts != self.parts:
            self.parts = parts
            self.changed.emit()

    def pin(self, part: Head, pinned: bool = True) -> None:
        """Pin a head or an MLP, or take its pin out."""
        rest = tuple(other for other in self.parts if other != part)
        if pinned != (part in self.parts):
            self.set_parts((*rest, part) if pinned else rest)

    def keep_within(self, layers: int, heads: int) -> None:
        """Another model is in view: pins that it does not have go."""
        self.set_parts(tuple(at for at in self.parts if at[0] < layers and at[1] < heads))

    def as_json(self) -> list[list[int]]:
        """For the lab's state."""
        return [list(part) for part in self.parts]

    def restore(self, state: Any) -> None:
        """Take back what `as_json` gave; what is neither head nor MLP is left out."""
        if isinstance(state, list):
            good = [
                (at[0], at[1])
                for at in state
                if isinstance(at, list) and len(at) == 2 and all(type(n) is int and n >= MLP for n in at)
            ]
            self.set_parts(tuple(at for at in good if at[0] >= 0))
