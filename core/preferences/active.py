"""How long a person really worked: the clock stops when the window loses focus or nobody moves for a
minute."""

from __future__ import annotations

from collections.abc import Callable

IDLE_AFTER = 60.0  # s without input
PAUSE_AFTER = 25 * 60.0  # s of work after which a pause is suggested
BREAK = 5 * 60.0  # s without work that count as a pause


class ActiveTime:
    """Times one item after the other.

    Args:
        now: Monotonic seconds.
        idle_after: Seconds without input after which the time no longer counts.
    """

    def __init__(self, now: Callable[[], float], idle_after: float = IDLE_AFTER) -> None:
        self._now = now
        self._idle_after = idle_after
        self._focused = True
        self._last = self._begun = now()
        self._active = 0.0
        self._spell = 0.0  # s of work since the last pause

    def start(self) -> None:
        """A new item is shown."""
        self.touch()
        self._active = 0.0
        self._begun = self._now()

    def touch(self) -> None:
        """The person pressed or moved something."""
        self._count()

    def focus(self, has: bool) -> None:
        """The window came to the front, or left it."""
        self._count()
        self._focused = has

    @property
    def active_ms(self) -> int:
        """Time on this item that counts, in milliseconds."""
        return round(1000 * (self._active + self._running()))

    @property
    def wall_ms(self) -> int:
        """Time since this item was shown, in milliseconds."""
        return round(1000 * max(0.0, self._now() - self._begun))

    def pause_due(self, after: float = PAUSE_AFTER) -> bool:
        """Whether the person has worked so long without a pause that one is suggested."""
        return self._spell + self._running() >= after

    def paused(self) -> None:
        """The person took a pause, or said no to one: the count begins anew."""
        self._count()
        self._spell = 0.0

    def _running(self) -> float:
        if not self._focused:
            return 0.0
        return min(max(0.0, self._now() - self._last), self._idle_after)

    def _count(self) -> None:
        running = self._running()
        if self._now() - self._last >= BREAK:
            self._spell = 0.0
        self._active += running
        self._spell += running
        self._last = self._now()
