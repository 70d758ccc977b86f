"""How fast a job goes, how long it will take, and both in words: computed here and nowhere else.

No Qt and no threads: the clock comes in, so that every figure a person reads can be tested. A pause does not
count as time. A new phase (another `doing`, unit or total) starts afresh.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from core.stages import Progress
from labapp.words import tr

WINDOW = 10.0  # seconds of the past that a rate looks at
FIRST = 0.5  # seconds before a rate is told: earlier ones are noise
SILENCE = 10.0  # seconds without news after which the last rate says nothing any more

Clock = Callable[[], float]


class RateMeter:
    """Amount per second and seconds left, read off a job's `Progress` events.

    Args:
        clock: Gives seconds that never go backwards, such as `time.monotonic`.

    >>> now = [0.0]
    >>> meter = RateMeter(lambda: now[0])
    >>> for second in range(5):
    ...     now[0] = float(second)
    ...     meter.add(Progress("Reading", 100 * second, 1000, "bytes"))
    >>> meter.rate(), meter.seconds_left()
    (100.0, 6.0)
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()  # (active seconds, done), oldest first
        self._latest: Progress | None = None
        self._held_since: float | None = None
        self._held = 0.0  # seconds spent paused

    def hold(self) -> None:
        """Stop counting time: the job is paused or waits."""
        if self._held_since is None:
            self._held_since = self._clock()

    def go(self) -> None:
        """Count time again."""
        if self._held_since is not None:
            self._held += self._clock() - self._held_since
            self._held_since = None

    def add(self, progress: Progress) -> None:
        """Take note of one `Progress` event, now."""
        before = self._latest
        phase = (progress.doing, progress.unit, progress.total)
        if before is not None and (
            phase != (before.doing, before.unit, before.total) or progress.done < before.done
        ):
            self._samples.clear()
        self._latest = progress
        now = self._now()
        self._samples.append((now, progress.done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW:
            self._samples.popleft()

    def rate(self) -> float | None:
        """Units per second over the last ten seconds at work; None while that cannot be told."""
        if len(self._samples) < 2:
            return None
        (start, first), (end, last) = self._samples[0], self._samples[-1]
        if end - start < FIRST or self._now() - end > SILENCE:
            return None
        return (last - first) / (end - start)

    def seconds_left(self) -> float | None:
        """Seconds of work left at the present rate; None without a total or a rate."""
        rate = self.rate()
        if self._latest is None or self._latest.total is None or not rate:
            return None
        return max(0, self._latest.total - self._latest.done) / rate

    def _now(self) -> float:
        """Seconds at work: the clock without the pauses."""
        return (self._clock() if self._held_since is None else self._held_since) - self._held


class Pacer:
    """At most so many events per second: says how long the gate has to wait before the next one.

    Time that was not used is not saved up: after a slow event the next ones do not come in a burst.

    >>> now = [0.0]
    >>> pacer = Pacer(lambda: now[0])
    >>> pacer.per_second = 4.0
    >>> pacer.delay()
    0.0
    >>> pacer.passed(); pacer.delay()
    0.25
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: float | None = None
        self.per_second: float | None = None

    def delay(self) -> float:
        """Seconds until the next event may pass; 0.0 for now."""
        if not self.per_second or self._last is None:
            return 0.0
        return max(0.0, self._last + 1.0 / self.per_second - self._clock())

    def passed(self) -> None:
        """An event has passed, now."""
        self._last = self._clock()


def time_left_in_words(seconds: float | None) -> str:
    """How long it will still take, as a person says it; "" where that is not known.

    >>> [time_left_in_words(s) for s in (None, 0.4, 7.2, 44, 540, 7800)]
    ['', '1 s left', '7 s left', '45 s left', '9 min left', '2 h 10 min left']
    """
    if seconds is None:
        return ""
    if seconds < 10:
        return tr("{n} s left", n=max(1, round(seconds)))
    if seconds < 88:
        return tr("{n} s left", n=5 * round(seconds / 5))
    minutes = round(seconds / 60)
    if minutes < 90:
        return tr("{n} min left", n=minutes)
    if minutes < 48 * 60:
        return tr("{h} h {n} min left", h=minutes // 60, n=minutes % 60)
    return tr("{n} days left", n=round(minutes / 1440))


def amount_in_words(amount: float, unit: str) -> str:
    """An amount with its unit; bytes in powers of ten, as file managers show them.

    >>> amount_in_words(1_115_394, "bytes"), amount_in_words(4744, "merges"), amount_in_words(0.25, "steps")
    ('1.12 MB', '4,744 merges', '0.25 steps')
    """
    if unit == "bytes":
        for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if amount >= size:
                return f"{_digits(amount / size)} {name}"
        return tr("{n} bytes", n=_digits(amount))
    return f"{_digits(amount)} {unit}"


def rate_in_words(rate: float | None, unit: str) -> str:
    """A rate with its unit per second; "" where it is not known.

    >>> rate_in_words(3_200_000, "bytes"), rate_in_words(12_345.6, "merges"), rate_in_words(None, "merges")
    ('3.2 MB/s', '12,346 merges/s', '')
    """
    return "" if rate is None else amount_in_words(rate, unit) + "/s"


def _digits(value: float) -> str:
    """Three digits that count, whole numbers whole.

    >>> _digits(4744), _digits(3.14159), _digits(31.4159), _digits(0.05), _digits(2.0)
    ('4,744', '3.14', '31.4', '0.05', '2')
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
