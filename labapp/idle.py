"""Importing Qt code after the first paint, while the window goes on answering.

pyqtgraph takes 0.7 s and defines Qt classes, which belongs on the window's thread. So it is imported there,
and between the modules that it pulls in the event loop gets its turn. What holds no Qt
(torch) goes to a worker instead: `labapp.runner.warm_up`.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import shiboken6
from PySide6.QtCore import QCoreApplication, QEventLoop, QObject, QTimer

_WAITING: deque[tuple[QObject, Callable[[], object]]] = deque()  # in order, each with a timer of its own
BREATH = 0.012  # s of importing after which the event loop gets its turn


class _Breather(importlib.abc.MetaPathFinder):
    """Finds nothing; it is asked before every import, and lets the event loop run."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._inside = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not self._inside and time.monotonic() - self._since > BREATH:
            self._inside = True  # an import that an event makes is not interrupted again
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 8)
            self._inside = False
            self._since = time.monotonic()
        return None


def soon(owner: QObject, then: Callable[[], object]) -> None:
    """Call `then` at the event loop's next turn, unless `owner` is gone by then.

    `QTimer.singleShot(0, owner, then)` promises the same, but when the owner goes first it keeps `then`, and
    all that `then` reaches, for good (PySide 6.11). A timer that belongs to the owner lets go of `then` while
    the owner is being destroyed, which destroys it once more if nobody else holds it. So it is held here.
    """
    _WAITING.append((owner, then))
    QTimer.singleShot(0, _call_next)


def _call_next() -> None:
    owner, then = _WAITING.popleft()
    if shiboken6.isValid(owner):
        then()


def when_idle(module: str, owner: QObject, then: Callable[[], None]) -> None:
    """Import a module as soon as the event loop is idle, then call `then`, unless `owner` is gone."""
    if module in sys.modules:
        soon(owner, then)
        return
    soon(owner, lambda: _import(module, owner, then))


def _import(module: str, owner: QObject, then: Callable[[], None]) -> None:
    breather = _Breather()
    sys.meta_path.insert(0, breather)
    try:
        importlib.import_module(module)
    finally:
        sys.meta_path.remove(breather)
    soon(owner, then)
