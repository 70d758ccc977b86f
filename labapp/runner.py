"""The one runner: it drives stages on worker threads and ends every job exactly once.

`Runner.start` checks the stage's arguments at the click (it calls `make_stage` itself, and a LabError goes to
the caller), then a worker thread pulls the generator and closes it there. Events come to the window's thread
in batches; the end comes once, as Done, Stopped or Failed. What a job is and how its gate works: `jobs.py`.
For tests there is `inline_runner.py`, with the same interface and no threads.

Workers are Python threads and not QThreads: none can be "destroyed while running", Python's own tools see
them (names, stacks, hooks), and they have room for deep recursion on every system.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QThread, QTimer, Signal

from core.problems import LabError
from core.stages import Finished, Progress
from labapp.jobs import Done, Failed, Floor, Job, Outcome, Slot, State, Stopped
from labapp.memory import give_memory_back
from labapp.rates import Clock
from labapp.words import tr

__all__ = ["Done", "Failed", "Job", "Outcome", "Runner", "RunnerLike", "Slot", "State", "Stopped", "warm_up"]

BATCH_MS = 50  # milliseconds between two batches of one job at most
BREATH_MS = 4  # milliseconds that the window has for itself between two batches of a pressing job
# Seconds after which a computing worker lets the window's thread go on. Measured with a worker in pure Python
# and 100 widgets painted by Python: p99 of the gaps 45-88 ms at Python's own 0.005, 20-37 ms at 0.001.
SWITCH_INTERVAL = 0.001
NICENESS = 5  # added to a worker's niceness on Linux, where Qt's thread priorities do nothing
AFTER_PAINTING = Qt.EventPriority.LowEventPriority.value - 1  # Qt posts its painting with LowEventPriority
SWEEP_MS = 250  # milliseconds between two looks at the garbage while there are workers
LONG = 0.5  # seconds from which on a job may have left much memory free
JOIN = 0.5  # seconds given to a thread that has told its end, which takes microseconds

MakeStage = Callable[[], Iterator[Any]]
log = logging.getLogger(__name__)


class RunnerLike(Protocol):
    """What a lab may expect of the runner that is passed to it."""

    def start(
        self,
        slot: Slot,
        make_stage: MakeStage,
        *,
        title: str,
        heavy: bool = False,
        paused: bool = False,
        on_events: Callable[[list[Any]], None],
        on_end: Callable[[Outcome], None],
        batch_ms: int = BATCH_MS,
        pace: float | None = None,
        progress_of: Callable[[Any], Progress | None] | None = None,
    ) -> Job:
        """Start a stage; see `Runner.start`."""

    def job(self, slot: Slot) -> Job | None:
        """The job that runs in `slot`, or None."""


class Runner(QObject):
    """Owns every worker thread of a window. Lives on the window's thread, as all callbacks do.

    Args:
        parent: Qt parent; `close` must have been called before it goes.
        clock: Seconds that never go backwards; tests inject their own.
        on_fault: Told every failure that is not a LabError, with what was being done: `faults.report`.

    Signals:
        jobs_changed: A job came, went, or changed its state or progress; at most once per batch.
    """

    jobs_changed = Signal()
    _news = Signal()
    _turn = Signal()

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        clock: Clock = time.monotonic,
        on_fault: Callable[[BaseException, str], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._on_fault = on_fault or log_fault
        self._floor = Floor()
        self._jobs: dict[Slot, Job] = {}
        self._threads: dict[Job, threading.Thread] = {}  # of jobs in view, and of those that still close
        self._last: dict[Job, tuple[float, float]] = {}  # when a job's last batch was shown, seconds it took
        self._showing: set[Job] = (
            set()
        )  # jobs whose events are being shown: a dialog may run the loop meanwhile
        self._turns: deque[threading.Event] = deque()  # of workers that wait until the window is through
        self._turn_posted = False
        self._announced = False
        self._closed = False
        self._usual_interval = sys.getswitchinterval()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._deliver)
        self._news.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._turn.connect(self._take_turn, Qt.ConnectionType.QueuedConnection)
        self._sweeper = QTimer(self)
        self._sweeper.setInterval(SWEEP_MS)
        self._sweeper.timeout.connect(sweep)

    @property
    def jobs(self) -> list[Job]:
        """The jobs in view, oldest first; those that were superseded are not among them."""
        return list(self._jobs.values())

    def job(self, slot: Slot) -> Job | None:
        """The job that runs in `slot`, or None."""
        return self._jobs.get(slot)

    def start(
        self,
        slot: Slot,
        make_stage: MakeStage,
        *,
        title: str,
        heavy: bool = False,
        paused: bool = False,
        on_events: Callable[[list[Any]], None],
        on_end: Callable[[Outcome], None],
        batch_ms: int = BATCH_MS,
        pace: float | None = None,
        progress_of: Callable[[Any], Progress | None] | None = None,
    ) -> Job:
        """Start a stage in its slot; the job that was there is told Stopped first, and nothing more.

        Args:
            slot: Where it runs.
            make_stage: Checks the arguments and returns the generator; called here, once.
            title: What is being done, as a person reads it: "Learning merges".
            heavy: Whether it waits for the place that one job has at a time.
            paused: Whether it starts paused.
            on_events: Told each batch, oldest first, without the `Finished`; of several `Progress` in a row
                only the latest. Never called after `on_end`, never before `start` has returned.
            on_end: Told the end, exactly once.
            batch_ms: Milliseconds between two batches at most.
            pace: Events per second at most, `Progress` not counted; None for as many as come.
            progress_of: Reads the progress off an event that is no `Progress`, for the job strip.

        Raises:
            LabError: From `make_stage`; the job in the slot, if any, runs on.
        """
        stage = make_stage()
        before = self._supersede(slot)
        job = Job(
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
            on_change=self._announce,
            progress_of=progress_of,
            predecessors=before,
            ask_turn=self._ask_turn,
        )
        if self._closed:  # a late click while the window closes
            stage.close() if hasattr(stage, "close") else None
            self._tell_end(job, Stopped())
            return job
        self._jobs[slot] = job
        thread = threading.Thread(
            target=_work, args=(job, [stage]), name=f"{slot.lab}: {slot.purpose}", daemon=True
        )
        del stage  # the worker alone holds it
        self._threads[job] = thread
        sys.setswitchinterval(SWITCH_INTERVAL)
        gc.disable()  # a collection on a worker can destroy widgets there, and the app with them
        if not self._sweeper.isActive():
            gc.freeze()  # what was there before the workers need not be looked through while they work
        if not self._sweeper.isActive():
            self._sweeper.start()
        thread.start()
        self._announce()
        return job

    def stop_lab(self, lab: str) -> None:
        """Stop every job of one lab."""
        for job in self.jobs:
            if job.slot.lab == lab:
                job.stop()

    def close(self, timeout: float = 3.0) -> bool:
        """Stop all jobs, wait for their threads, and tell every end; events that were not shown are dropped.

        Args:
            timeout: Seconds to wait for all threads together.

        Returns:
            True if no thread is left; False if a stage has not come back from one pull in time (its thread
            is a daemon: it does not keep the process alive).
        """
        self._closed = True
        self._timer.stop()
        for job in list(self._threads):
            job.stop()
        deadline = time.monotonic() + timeout
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))
        for job in list(self._threads):
            self._tell_end(job, job.outcome or Stopped())
        late = [thread.name for thread in self._threads.values() if thread.is_alive()]
        if late:
            log.warning("Closed while these jobs had not come back: %s", ", ".join(late))
        self._threads = {job: thread for job, thread in self._threads.items() if thread.is_alive()}
        self._settle()
        return not late

    # Workers call this, from any thread

    def _announce(self) -> None:
        """Wake the window's thread, once until it has looked."""
        if not self._announced and not self._closed and shiboken6.isValid(self):
            self._announced = True
            self._news.emit()

    def _ask_turn(self, done: threading.Event) -> None:
        """Set `done` when the window's thread is through with what it has waiting."""
        if self._closed or not shiboken6.isValid(self):
            done.set()
        else:
            self._turns.append(done)
            self._turn.emit()

    # The window's thread

    def _take_turn(self) -> None:
        if self._turns and not self._turn_posted:
            self._turn_posted = True
            QCoreApplication.postEvent(self, QEvent(QEvent.Type.User), AFTER_PAINTING)

    def customEvent(self, event: QEvent) -> None:
        """All that was waiting is done, painting too: the workers go on."""
        self._turn_posted = False
        while self._turns:
            self._turns.popleft().set()

    def _deliver(self) -> None:
        """Show what is due, and set the timer for what is not."""
        self._announced = False  # first: news that comes from now on is announced anew
        if self._closed:
            return
        for job in list(self._threads):
            if job.ended:
                self._bury(job)
            elif self._wants_showing(job) and self._ms_until(job) <= 0:
                self._show(job)
        waits = [self._ms_until(job) for job in self._threads if self._wants_showing(job)]
        if waits:
            self._timer.start(max(0, round(min(waits))))
        self._settle()
        self.jobs_changed.emit()

    def _wants_showing(self, job: Job) -> bool:
        return job.has_news and job not in self._showing

    def _ms_until(self, job: Job) -> float:
        """Milliseconds until the next batch of `job` may be shown."""
        last_end, spent = self._last.get(job, (0.0, 0.0))
        gap = max(BREATH_MS / 1000, spent) if job.pressing else job.batch_ms / 1000
        return (last_end + gap - time.monotonic()) * 1000

    def _show(self, job: Job) -> None:
        """Show one batch, and the end when nothing is left before it."""
        events = job.take()
        if events:
            started = time.monotonic()
            self._showing.add(job)
            try:
                job.on_events(events)
            except BaseException as error:
                self._fail(job, error)
                return
            finally:
                self._showing.discard(job)
            now = time.monotonic()
            job.took(now - started, len(events))
            self._last[job] = (now, now - started)
        if job.outcome is not None and not job.has_events:
            self._tell_end(job, job.outcome)
            self._bury(job)

    def _fail(self, job: Job, error: BaseException) -> None:
        """End a job whose events could not be shown: the lab would be told the same fault again and again."""
        self._tell_end(job, Failed(error))
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    def _tell_end(self, job: Job, outcome: Outcome) -> None:
        """Tell the end unless it was told; a failure that is our bug also goes where faults are shown."""
        if not job.tell_end(outcome):
            return
        if self._jobs.get(job.slot) is job:
            del self._jobs[job.slot]
        if isinstance(outcome, Failed) and not isinstance(outcome.error, LabError):
            self._on_fault(outcome.error, job.title)
        try:
            job.on_end(outcome)
        except Exception as error:
            self._on_fault(error, job.title)

    def _supersede(self, slot: Slot) -> tuple[Job, ...]:
        """Take the job out of `slot`, and return those whose stages are not yet closed."""
        while (old := self._jobs.get(slot)) is not None:
            self._tell_end(old, Stopped())
        return tuple(job for job in self._threads if job.slot == slot and job.outcome is None)

    def _bury(self, job: Job) -> None:
        """Forget a job whose end was told, once its thread has ended."""
        if job.outcome is None:
            return
        thread = self._threads.pop(job, None)
        if thread is None:
            return
        thread.join(JOIN)
        if (error := job.untold_error) is not None and not isinstance(error, LabError):
            self._on_fault(error, job.title)
        self._last.pop(job, None)

    def _settle(self) -> None:
        """Without workers the interpreter switches threads as it always does."""
        if not self._threads:
            sys.setswitchinterval(self._usual_interval)
            self._sweeper.stop()
            gc.unfreeze()
            gc.enable()


def sweep() -> None:
    """Collect garbage on the window's thread, as Python would by itself where there are no workers."""
    for generation in (2, 1, 0):
        if gc.get_count()[generation] > gc.get_threshold()[generation]:
            gc.collect(generation)
            return


def warm_up(
    runner: RunnerLike, modules: Sequence[str], after: Callable[[Outcome], None] = lambda outcome: None
) -> Job:
    """Import `modules` on a worker, such as torch after the first paint, and tell `after` how it ended."""
    return runner.start(
        Slot("house", "warm-up"),
        lambda: _imports(tuple(modules)),
        title=tr("Getting ready"),
        on_events=lambda events: None,
        on_end=after,
    )


def _imports(modules: tuple[str, ...]) -> Iterator[Progress | Finished[None]]:
    for number, name in enumerate(modules):
        yield Progress(tr("Loading {name}", name=name), number, len(modules), tr("libraries"))
        if name == "torch":
            _load_torch_library()
        importlib.import_module(name)
    yield Finished(tr("All libraries are loaded."), None)


def _load_torch_library() -> None:
    """Load torch's largest library while the window runs on: 340 ms without an answer become 130.

    WORKAROUND: `import` holds the interpreter's lock while the system links 400 MB; a foreign call does not.
    Not needed on Windows, where torch itself loads it so, nor once the import system lets go of the lock.
    """
    spec = importlib.util.find_spec("torch")
    if sys.platform == "win32" or spec is None or not spec.submodule_search_locations:
        return
    suffix = "dylib" if sys.platform == "darwin" else "so"
    library = Path(spec.submodule_search_locations[0]) / "lib" / f"libtorch_cpu.{suffix}"
    if library.is_file():
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
        dlopen(os.fsencode(library), os.RTLD_NOW)  # where it fails, the import says why


def _work(job: Job, holder: list[Iterator[Any]]) -> None:
    """A worker thread: a low priority, then the stage."""
    _lower_priority()
    began = time.monotonic()
    job.run(holder.pop())
    if time.monotonic() - began > LONG:
        give_memory_back()


def _lower_priority() -> None:
    """Let the window go first where the system can; torch's own threads are left as they are."""
    if sys.platform == "linux":
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        except OSError:  # a sandbox may forbid it: then all threads are equal
            log.debug("This system does not let a thread lower its priority.")
    else:
        QThread.currentThread().setPriority(QThread.Priority.LowPriority)


def log_fault(error: BaseException, doing: str) -> None:
    """Write a fault to the log, where `faults.py` shows it."""
    log.error("%s failed: %s", doing, error, exc_info=error)
