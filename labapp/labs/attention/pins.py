"""The pinned heads: kept beside each other whatever is in view, asked one by one whether they matter."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

Head = tuple[int, int]
AT_MOST = 12  # heads: each is asked with 20 random ones beside it


class Pins(QObject):
    """Heads in the order in which they were pinned."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.heads: tuple[Head, ...] = ()

    def set_heads(self, heads: tuple[Head, ...]) -> None:
        """Pin these and no others; each once, the last ones where there are too many."""
        heads = tuple(dict.fromkeys(heads))[-AT_MOST:]
        if heads != self.heads:
            self.heads = heads
            self.changed.emit()

    def pin(self, head: Head, pinned: bool = True) -> None:
        """Pin a head, or take its pin out."""
        rest = tuple(other for other in self.heads if other != head)
        if pinned != (head in self.heads):
            self.set_heads((*rest, head) if pinned else rest)

    def keep_within(self, layers: int, heads: int) -> None:
        """Another model is in view: pins that it does not have go."""
        self.set_heads(tuple(at for at in self.heads if at[0] < layers and at[1] < heads))

    def as_json(self) -> list[list[int]]:
        """For the lab's state."""
        return [list(head) for head in self.heads]

    def restore(self, state: Any) -> None:
        """Take back what `as_json` gave; what is no head is left out."""
        if isinstance(state, list):
            good = [
                (at[0], at[1])
                for at in state
                if isinstance(at, list) and len(at) == 2 and all(type(n) is int and n >= 0 for n in at)
            ]
            self.set_heads(tuple(good))
