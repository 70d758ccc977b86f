"""The window's shelf of models. It needs torch, so a worker makes it when the first model is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel, Shelf


class Models:
    """What labs take models from; one for each window."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelf: Shelf | None = None

    def take(self, path: Path, name: str = "") -> Iterator[Any]:
        """A stage that gives a `LoadedModel`; `give_back` answers it. See `core.model.shelf.Shelf.take`."""
        from core.model.shelf import Shelf

        with self._lock:
            if self._shelf is None:
                self._shelf = Shelf(threading.Lock())
        yield from self._shelf.take(path, name)

    def give_back(self, loaded: LoadedModel) -> None:
        """Say that a model is not used any more."""
        if self._shelf is not None:
            self._shelf.give_back(loaded)
