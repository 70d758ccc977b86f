"""A job: one stage, its gate, and its one end. No Qt: `runner.py` brings what happens here to the window.

A worker thread pulls the stage's generator and closes it; the window's thread controls (`pause`, `step`,
`stop`) and takes events away in batches. Both meet in one lock that all jobs of a runner share, and wait for
each other only on the worker's side: the window's thread never waits for a worker.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.stages import Finished, Progress
from labapp.rates import Clock, Pacer, RateMeter

FIRST_BATCH = 64  # events in the first batch; later ones grow or shrink with the time that they take to show
MOST = 4096  # events in a batch, and so in memory, at most
BUDGET = 0.012  # seconds that the window should spend on one batch
TURN = 0.01  # seconds that a worker computes before the window has a turn
COURTESY = 0.1  # seconds that a worker waits for the window to take its turn at most


@dataclass(frozen=True)
class Slot:
    """Where a job runs: a new job takes the place of the one in the same slot, and of no other.

    Attributes:
        lab: Name of the lab, "tokenizer".
        purpose: What the job is for, "learn".
    """

    lab: str
    purpose: str


@dataclass(frozen=True)
class Done:
    """The stage came to its own end."""

    finished: Finished[Any]


@dataclass(frozen=True)
class Stopped:
    """The person, a newer job in the slot, or the closing window ended it. Not an error."""


@dataclass(frozen=True)
class Failed:
    """The stage raised: a LabError is the person's to mend, anything else is our bug."""

    error: BaseException


Outcome = Done | Stopped | Failed


class State(StrEnum):
    """What a job does now."""

    WAITING = "waiting"  # for the heavy place, or for its predecessor in the slot to close
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Floor:
    """What the jobs of one runner share: the lock, the place for one heavy job, and the line before it."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self._holder: Job | None = None
        self._line: list[Job] = []

    def line_up(self, job: Job) -> None:
        """Put a heavy job at the end of the line. The lock is held."""
        if job is not self._holder and job not in self._line:
            self._line.append(job)

    def is_turn_of(self, job: Job) -> bool:
        """Whether `job` has the place, or may take it now. The lock is held."""
        return self._holder is job or (self._holder is None and self._line[:1] == [job])

    def take(self, job: Job) -> None:
        """Give the place to `job`, whose turn it is. The lock is held."""
        if self._holder is not job:
            self._holder = self._line.pop(0)

    def leave(self, job: Job) -> None:
        """Free the place, or leave the line. The lock is held."""
        if job is self._holder:
            self._holder = None
            self.turn.notify_all()
        elif job in self._line:
            self._line.remove(job)
            self.turn.notify_all()


class Job:
    """One running stage, as the window sees and controls it. Made by `Runner.start`.

    `Progress` events are no steps: a single step, and the pace, let them through and count what else comes.

    Attributes:
        slot: Where it runs.
        title: What it does, as a person reads it.
        heavy: Whether it needs the place that only one job has at a time.
        batch_ms: Events are shown at most this many milliseconds after each other, in batches.
        progress: The latest `Progress`, or None.
    """

    def __init__(
        self,
        slot: Slot,
        floor: Floor,
        *,
        title: str,
        heavy: bool,
        paused: bool,
        pace: float | None,
        batch_ms: int,
        clock: Clock,
        on_events: Callable[[list[Any]], None],
        on_end: Callable[[Outcome], None],
        on_change: Callable[[], None],
        progress_of: Callable[[Any], Progress | None] | None = None,
        predecessors: tuple[Job, ...] = (),
        ask_turn: Callable[[threading.Event], None] | None = None,
    ) -> None:
        self.slot = slot
        self.title = title
        self.heavy = heavy
        self.batch_ms = batch_ms
        self.progress: Progress | None = None
        self.on_events = on_events
        self.on_end = on_end
        self._floor = floor
        self._on_change = on_change
        self._progress_of = progress_of
        self._predecessors = predecessors
        self._meter = RateMeter(clock)
        self._pacer = Pacer(clock)
        self._pacer.per_second = pace
        self._paused = paused
        self._by_hand = paused
        self._steps = 0
        self._stop_wanted = False
        self._ask_turn = ask_turn  # has the window set the event when it is through with what it has waiting
        self._window_done = threading.Event()
        self._turned = 0.0  # when the window had its last turn
        self._at_work = False  # a worker has passed the gate and pulls, or may pull at once
        self._events: deque[Any] = deque()
        self._limit = FIRST_BATCH
        self._outcome: Outcome | None = None
        self._shown: Outcome | None = None  # the end that was told to the window
        if heavy and not paused:
            with floor.turn:
                floor.line_up(self)

    # What the window reads

    @property
    def paused(self) -> bool:
        """Whether it waits for `resume` or `step`."""
        return self._paused

    @property
    def waiting(self) -> bool:
        """Whether it waits for the heavy place or for its predecessor in the slot."""
        return self.state is State.WAITING

    @property
    def ended(self) -> bool:
        """Whether its end was told; nothing comes after it."""
        return self._shown is not None

    @property
    def state(self) -> State:
        """What it does now, as far as the window was told."""
        match self._shown:
            case Done():
                return State.DONE
            case Stopped():
                return State.STOPPED
            case Failed():
                return State.FAILED
        if self._stop_wanted:
            return State.STOPPING
        if self._paused and not self._steps:
            return State.PAUSED
        with self._floor.turn:
            return State.WAITING if self._must_wait_its_turn() else State.RUNNING

    @property
    def resting(self) -> bool:
        """Whether a person steps it by hand and has not asked for a step: nothing for a job strip to tell."""
        return self._by_hand and not self._steps and self._outcome is None

    @property
    def pace(self) -> float | None:
        """Events per second at most, or None for as many as come."""
        return self._pacer.per_second

    @property
    def rate(self) -> float | None:
        """Units of `progress` per second, or None where it cannot be told."""
        return self._meter.rate()

    @property
    def seconds_left(self) -> float | None:
        """Seconds of work left, or None where they cannot be told."""
        return self._meter.seconds_left()

    # What the window does

    def stop(self) -> None:
        """Close the stage as soon as its current pull returns; `on_end` then gets Stopped."""
        with self._floor.turn:
            self._stop_wanted = True
            self._window_done.set()
            self._floor.turn.notify_all()
        self._on_change()

    def pause(self) -> None:
        """Pull no more after the current event; a paused heavy job gives up its place, steps are dropped."""
        with self._floor.turn:
            self._paused = True
            self._steps = 0
            self._floor.turn.notify_all()
        self._on_change()

    def resume(self) -> None:
        """Go on; a heavy job goes to the end of the line if another has the place."""
        with self._floor.turn:
            self._paused = self._by_hand = False
            self._steps = 0
            if self.heavy and self._outcome is None:
                self._floor.line_up(self)
            self._floor.turn.notify_all()
        self._on_change()

    def step(self, n: int = 1) -> None:
        """While paused, let `n` events through, `Progress` not counted. Needs no heavy place."""
        with self._floor.turn:
            if self._paused:
                self._steps += n
                self._floor.turn.notify_all()

    def set_pace(self, events_per_second: float | None) -> None:
        """Let at most so many events per second through; None for as many as come."""
        with self._floor.turn:
            self._pacer.per_second = events_per_second
            self._floor.turn.notify_all()

    # What the worker does

    def run(self, stage: Iterator[Any]) -> None:
        """Pull `stage` to its one end and close it, on the worker's thread.

        Raises:
            KeyboardInterrupt: The stage raised it; the job ended as Failed.
            SystemExit: The stage raised it; the job ended as Failed.
        """
        outcome = self._pull(stage)
        try:
            if hasattr(stage, "close"):
                stage.close()  # the stage's own finally runs now, on this thread
        except BaseException as error:
            if not isinstance(outcome, Failed):
                outcome = Failed(error)
        del stage
        with self._floor.turn:
            self._outcome = outcome
            self._floor.leave(self)
            self._floor.turn.notify_all()
        self._on_change()
        if isinstance(outcome, Failed) and isinstance(outcome.error, KeyboardInterrupt | SystemExit):
            raise outcome.error

    def _pull(self, stage: Iterator[Any]) -> Outcome:
        """The runner's heart (STYLE.md)."""
        try:
            while self._gate():
                try:
                    event = next(stage)
                except StopIteration:
                    raise RuntimeError(f"The stage of {self.title!r} ended without Finished.") from None
                if isinstance(event, Finished):
                    return Done(event)
                self._emit(event)
                self._give_way()
        except BaseException as error:  # torch's RuntimeErrors, tiktoken's panics: none may vanish
            return Failed(error)
        return Stopped()

    def _give_way(self) -> None:
        """Let the window do all that it has waiting, alone.

        Each of its calls into Qt may lose the interpreter to a computing worker for a while, and painting is
        hundreds of calls: beside two workers it took 0.8 s. So a worker asks for the window's turn and waits.
        """
        if self._ask_turn is not None and time.monotonic() - self._turned >= TURN:
            self._window_done.clear()
            self._ask_turn(self._window_done)
            self._window_done.wait(COURTESY)
            self._turned = time.monotonic()

    def _gate(self) -> bool:
        """Wait until the next pull is allowed; False for stop."""
        floor = self._floor
        with floor.turn:
            while not self._stop_wanted:
                delay = self._delay()
                if delay == 0.0:
                    if not self._at_work:
                        self._at_work = True
                        self._meter.go()
                        self._on_change()
                    return True
                if delay is None and self._at_work and (self._paused or self._must_wait_its_turn()):
                    self._at_work = False
                    self._meter.hold()
                    self._on_change()
                floor.turn.wait(delay)
        return False

    def _delay(self) -> float | None:
        """Seconds until the next pull; None until someone gives notice. The lock is held."""
        if len(self._events) >= self._limit:  # back-pressure: the window is not done with the last ones
            return None
        if self._paused and not self._steps:
            if self.heavy:
                self._floor.leave(self)
            return None
        if self._must_wait_its_turn():
            return None
        if self.heavy and not self._paused:
            self._floor.take(self)
        return 0.0 if self._paused else self._pacer.delay()

    def _must_wait_its_turn(self) -> bool:
        """Whether a predecessor or another heavy job is before this one. The lock is held."""
        if any(job._outcome is None for job in self._predecessors):
            return True
        return self.heavy and not self._paused and self._outcome is None and not self._floor.is_turn_of(self)

    def _emit(self, event: Any) -> None:
        """Put one event where the window finds it."""
        progress = event if isinstance(event, Progress) else None
        if self._progress_of is not None and progress is None:
            progress = self._progress_of(event)
        with self._floor.turn:
            if progress is not None:
                self.progress = progress
                self._meter.add(progress)
            if not isinstance(event, Progress):
                self._pacer.passed()
                self._steps = max(0, self._steps - 1)
            elif self._events and isinstance(self._events[-1], Progress):
                self._events[-1] = event  # of several in a row only the latest is news
                return
            self._events.append(event)
        self._on_change()

    # What the runner does, on the window's thread

    @property
    def outcome(self) -> Outcome | None:
        """How the worker ended; None while it works. The window may not have been told yet."""
        return self._outcome

    @property
    def pressing(self) -> bool:
        """Whether the worker waits for the window to take events, or has ended."""
        return len(self._events) >= self._limit or self._outcome is not None

    @property
    def has_events(self) -> bool:
        """Whether there are events that the window was not told."""
        return bool(self._events)

    @property
    def untold_error(self) -> BaseException | None:
        """What the stage raised after another end was told, such as while it closed; None for nothing."""
        told = self._shown.error if isinstance(self._shown, Failed) else None
        error = self._outcome.error if isinstance(self._outcome, Failed) else None
        return error if error is not told else None

    @property
    def has_news(self) -> bool:
        """Whether there are events or an end that the window was not told."""
        return self._shown is None and (bool(self._events) or self._outcome is not None)

    def take(self) -> list[Any]:
        """The next batch of events, oldest first."""
        with self._floor.turn:
            was_full = len(self._events) >= self._limit
            batch = [self._events.popleft() for _ in range(min(len(self._events), self._limit))]
            if was_full:
                self._floor.turn.notify_all()
        return batch

    def took(self, seconds: float, events: int) -> None:
        """Fit the size of the next batch to the `seconds` that showing `events` took."""
        with self._floor.turn:
            if seconds > BUDGET:
                self._limit = max(1, int(events * BUDGET / seconds))
            elif seconds < BUDGET / 3 and events >= self._limit:
                self._limit = min(MOST, self._limit * 2)
            self._floor.turn.notify_all()

    def tell_end(self, outcome: Outcome) -> bool:
        """Note that the window is being told the end; False if it was told one before."""
        if self._shown is not None:
            return False
        self._shown = outcome
        with self._floor.turn:
            self._stop_wanted = True
            self._events.clear()
            self._floor.turn.notify_all()
        return True
