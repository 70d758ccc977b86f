"""How long the window cannot answer: the gaps of the event loop, and what the threads did in the longest.

A precise 5 ms timer on the window's thread notes when it fires; the time between two firings is a gap. A plain
Python thread watches that heartbeat and writes down every thread's stack when it stops. Used in tests and by
`run.py bench`:

    with LoopGaps() as gaps:
        qtbot.waitUntil(lambda: job.ended)
    gaps.hold(p99=50, longest=100)
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from dataclasses import dataclass
from types import TracebackType

from PySide6.QtCore import QObject, Qt, QTimer

BEAT_MS = 5  # milliseconds between two beats of an idle loop
HANG_S = 0.25  # seconds without a beat after which the stacks are written down


@dataclass(frozen=True)
class Gaps:
    """What was measured, in milliseconds; an idle loop has gaps of 5.

    Attributes:
        n: How many gaps were measured.
        p50: Half of the gaps are shorter.
        p99: 99 of 100 gaps are shorter.
        longest: The longest.
        culprit: The stacks of all threads in the longest gap above a quarter of a second, or "".
    """

    n: int
    p50: float
    p99: float
    longest: float
    culprit: str

    def __str__(self) -> str:
        return f"n={self.n} p50={self.p50:.1f} ms p99={self.p99:.1f} ms longest={self.longest:.1f} ms"


class LoopGaps(QObject):
    """Measures while it is entered; needs an event loop that turns on the thread that made it.

    Args:
        hang_s: Seconds without a beat after which the stacks are written down.
    """

    def __init__(self, hang_s: float = HANG_S) -> None:
        super().__init__()
        self._hang_s = hang_s
        self._beats: list[float] = []
        self._culprit = ""
        self._culprit_age = 0.0
        self._over = threading.Event()
        self._window = threading.get_ident()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._watcher = threading.Thread(target=self._watch, name="heartbeat watcher", daemon=True)

    def __enter__(self) -> LoopGaps:
        self._beats.append(time.perf_counter())
        self._timer.start()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beat()  # a loop that is stuck at the end has a gap, too
        self._timer.stop()
        self._over.set()
        self._watcher.join()

    @property
    def result(self) -> Gaps:
        """What was measured so far.

        Raises:
            RuntimeError: No loop has turned.
        """
        gaps = sorted(1000 * (b - a) for a, b in zip(self._beats, self._beats[1:], strict=False))
        if not gaps:
            raise RuntimeError("Nothing was measured: no event loop has turned.")
        return Gaps(
            n=len(gaps),
            p50=gaps[len(gaps) // 2],
            p99=gaps[min(len(gaps) - 1, int(0.99 * len(gaps)))],
            longest=gaps[-1],
            culprit=self._culprit,
        )

    def hold(self, p99: float, longest: float) -> None:
        """Fail, and name the culprit, if the gaps were longer than this.

        Args:
            p99: Milliseconds, for 99 of 100 gaps.
            longest: Milliseconds, for all.

        Raises:
            AssertionError: They were.
        """
        found = self.result
        if found.p99 > p99 or found.longest > longest:
            raise AssertionError(f"{found}; allowed are {p99} and {longest} ms.\n{found.culprit}")

    def _beat(self) -> None:
        self._beats.append(time.perf_counter())

    def _watch(self) -> None:
        while not self._over.wait(self._hang_s / 10):
            age = time.perf_counter() - self._beats[-1]
            if age > self._hang_s and age > self._culprit_age:
                self._culprit_age = age
                self._culprit = f"The window had not answered for {age:.2f} s.\n{self._stacks()}"

    def _stacks(self) -> str:
        """All threads' stacks, the window's first."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        frames = sys._current_frames()
        order = sorted(frames, key=lambda ident: ident != self._window)
        return "\n".join(
            f"--- {names.get(ident, ident)}\n" + "".join(traceback.format_stack(frames[ident]))
            for ident in order
            if ident != threading.get_ident()
        )
