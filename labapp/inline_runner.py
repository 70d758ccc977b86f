"""A runner without threads, for tests and scripts: the same interface, and the test decides when.

`InlineRunner()` pulls every stage to its end inside `start`, except one that is started paused.
`InlineRunner(at_once=False)` pulls only on `pull` and `run`. Either way the rules are those of `runner.py`: a
new job in a slot ends the old one first, one heavy job runs at a time, a pause pulls nothing, every job has
one end. What runs on threads there (waiting, pace, back-pressure) does not exist here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from PySide6.QtCore import QObject, Signal

from core.problems import LabError
from core.stages import Finished, Progress
from labapp.jobs import Done, Failed, Floor, Job, Outcome, Slot, Stopped
from labapp.rates import Clock

BATCH = 64  # events in one batch


class InlineJob(Job):
    """A job that is pulled by hand; `resume` and `step` pull at once if the runner does."""

    def bind(self, runner: InlineRunner, stage: Iterator[Any]) -> None:
        """Note who pulls what."""
        self._runner, self._stage = runner, stage

    def stop(self) -> None:
        """End now."""
        super().stop()
        self._runner.end(self, Stopped())

    def resume(self) -> None:
        """Go on; to the end if the runner pulls at once."""
        super().resume()
        if self._runner.at_once:
            self._runner.run()

    def step(self, n: int = 1) -> None:
        """While paused, pull until `n` events that are no `Progress` have come."""
        if self.paused:
            self._runner.pull(self, n)

    def next_event(self) -> Any:
        """Pull one event and take note of it.

        Raises:
            StopIteration: The stage ended without Finished.
        """
        event = next(self._stage)
        progress = event if isinstance(event, Progress) else None
        if progress is None and self._progress_of is not None and not isinstance(event, Finished):
            progress = self._progress_of(event)
        if progress is not None:
            self.progress = progress
            self._meter.add(progress)
        return event

    def close_stage(self) -> None:
        """Run the stage's own finally."""
        if hasattr(self._stage, "close"):
            self._stage.close()

    @property
    def may_run(self) -> bool:
        """Whether neither a pause nor another heavy job holds it back."""
        return not self.paused and not self.ended and not self._must_wait_its_turn()

    def release(self, outcome: Outcome) -> None:
        """Note the end and free the heavy place."""
        with self._floor.turn:
            self._outcome = outcome
            self._floor.leave(self)


class InlineRunner(QObject):
    """Runs stages on the thread that asks.

    Args:
        at_once: Whether `start` pulls to the end; else `pull` and `run` do.
        clock: Seconds that never go backwards.
        on_fault: Told every failure that is not a LabError; without it such a failure is raised where it
            happened, after the job has ended.
    """

    jobs_changed = Signal()

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        at_once: bool = True,
        clock: Clock = time.monotonic,
        on_fault: Callable[[BaseException, str], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self.at_once = at_once
        self._clock = clock
        self._on_fault = on_fault
        self._floor = Floor()
        self._jobs: dict[Slot, InlineJob] = {}

    @property
    def jobs(self) -> list[Job]:
        """The jobs in view, oldest first."""
        return list(self._jobs.values())

    def job(self, slot: Slot) -> Job | None:
        """The job that runs in `slot`, or None."""
        return self._jobs.get(slot)

    def start(
        self,
        slot: Slot,
        make_stage: Callable[[], Iterator[Any]],
        *,
        title: str,
        heavy: bool = False,
        paused: bool = False,
        on_events: Callable[[list[Any]], None],
        on_end: Callable[[Outcome], None],
        batch_ms: int = 50,
        pace: float | None = None,
        progress_of: Callable[[Any], Progress | None] | None = None,
    ) -> Job:
        """Start a stage; see `labapp.runner.Runner.start`."""
        stage = make_stage()
        while (old := self._jobs.get(slot)) is not None:
            self.end(old, Stopped())
        job = InlineJob(
            slot,
            self._floor,
            title=title,
            heavy=heavy,
            paused=paused,
            pace=pace,
            batch_ms=batch_ms,
            clock=self._clock,
            on_events=on_events,
            on_end=on_end,
            on_change=self.jobs_changed.emit,
            progress_of=progress_of,
        )
        job.bind(self, stage)
        self._jobs[slot] = job
        self.jobs_changed.emit()
        if self.at_once:
            self.run()
        return job

    def run(self) -> None:
        """Pull every job that may run to its end, oldest first; then those that waited for it."""
        while ready := [job for job in self._jobs.values() if job.may_run]:
            self.pull(ready[0], BATCH)

    def pull(self, job: Job, n: int = 1) -> None:
        """Pull `job` until `n` events that are no `Progress` have come, and show them as one batch."""
        if not isinstance(job, InlineJob):
            raise TypeError(f"{job!r} is not a job of this runner.")
        if job.heavy and not job.paused:
            self._floor.take(job)
        events: list[Any] = []
        ends: Outcome | None = None
        while n > 0 and ends is None and not job.ended:
            try:
                event = job.next_event()
            except StopIteration:
                ends = Failed(RuntimeError(f"The stage of {job.title!r} ended without Finished."))
            except BaseException as error:
                ends = Failed(error)
            else:
                if isinstance(event, Finished):
                    ends = Done(event)
                else:
                    events.append(event)
                    n -= not isinstance(event, Progress)
        if events:
            job.on_events(events)
        if ends is not None:
            self.end(job, ends)
        self.jobs_changed.emit()

    def end(self, job: InlineJob, outcome: Outcome) -> None:
        """Close the stage and tell the end, once."""
        if job.ended:
            return
        try:
            job.close_stage()
        except BaseException as error:
            outcome = outcome if isinstance(outcome, Failed) else Failed(error)
        job.release(outcome)
        if not job.tell_end(outcome):
            return
        if self._jobs.get(job.slot) is job:
            del self._jobs[job.slot]
        job.on_end(outcome)
        self.jobs_changed.emit()
        if isinstance(outcome, Failed) and not isinstance(outcome.error, LabError):
            if self._on_fault is None:
                raise outcome.error
            self._on_fault(outcome.error, job.title)

    def stop_lab(self, lab: str) -> None:
        """Stop every job of one lab."""
        for job in self.jobs:
            if job.slot.lab == lab:
                job.stop()

    def close(self, timeout: float = 3.0) -> bool:
        """Stop all jobs."""
        for job in self.jobs:
            job.stop()
        return True
