"""The window's shelf of models. It needs torch, so a worker makes it when the first model is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.model.shelf import FastModel, LoadedModel, Shelf
    from core.stages import Finished, Progress


class Models:
    """What labs take models from; one for each window.

    Args:
        folder: Where it is remembered how fast each model is; None remembers nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._shelf: Shelf | None = None

    def take(self, path: Path, name: str = "") -> Iterator[Any]:
        """A stage that gives a `LoadedModel`; `give_back` answers it. See `core.model.shelf.Shelf.take`."""
        yield from self._opened().take(path, name)

    def take_fast(self, loaded: LoadedModel, setting: str) -> Iterator[Progress | Finished[FastModel]]:
        """A stage that gives a model that is in use on its fast path; see `core.model.shelf.Shelf`."""
        return self._opened().take_fast(loaded, setting)

    def give_back(self, loaded: LoadedModel) -> None:
        """Say that a model is not used any more."""
        if self._shelf is not None:
            self._shelf.give_back(loaded)

    def _opened(self) -> Shelf:
        from core.model.fast_memory import FastMemory
        from core.model.shelf import Shelf

        with self._lock:
            if self._shelf is None:
                self._shelf = Shelf(threading.Lock, FastMemory(self._folder))
            return self._shelf
