"""The runner: every job has one end, slots and the heavy place hold, the window is never flooded."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import QObject, QTimer, Signal
from pytestqt.qtbot import QtBot

from core.problems import LabError
from core.stages import Finished, Progress
from labapp.inline_runner import InlineRunner
from labapp.jobs import Floor, Job
from labapp.runner import Done, Failed, Runner, Slot, State, Stopped, warm_up
from tests.labapp.responsiveness import LoopGaps

LEARN = Slot("tokenizer", "learn")
ENCODE = Slot("tokenizer", "encode")
OTHER = Slot("training", "train")


class PanicException(BaseException):
    """Stands in for tiktoken's panic, which is no Exception."""


class Told:
    """Records what a lab is told, in order, and on which thread."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.batches: list[int] = []
        self.ends: list[Any] = []
        self.order: list[str] = []
        self.threads: set[int] = set()

    def on_events(self, events: list[Any]) -> None:
        assert events
        assert not self.ends, "an event came after the end"
        self.events += events
        self.batches.append(len(events))
        self.threads.add(threading.get_ident())
        self.order.append("events")

    def on_end(self, outcome: Any) -> None:
        self.ends.append(outcome)
        self.threads.add(threading.get_ident())
        self.order.append(type(outcome).__name__)

    @property
    def ended(self) -> bool:
        return bool(self.ends)


class Stage:
    """A stage that counts, and notes on which threads it was pulled and closed."""

    def __init__(
        self, n: int | None, fails: BaseException | None = None, fails_in_close: bool = False
    ) -> None:
        self.n, self.fails, self.fails_in_close = n, fails, fails_in_close
        self.pulled: set[int] = set()
        self.closed: list[int] = []
        self.count = 0

    def __call__(self) -> Iterator[Any]:
        return self._run()

    def _run(self) -> Iterator[Any]:
        try:
            while self.n is None or self.count < self.n:
                self.pulled.add(threading.get_ident())
                self.count += 1
                yield self.count
            if self.fails is not None:
                raise self.fails
            yield Finished("counted", self.count)
        finally:
            self.closed.append(threading.get_ident())
            if self.fails_in_close:
                raise OSError("the stage could not clean up")


@pytest.fixture
def faults() -> list[BaseException]:
    return []


@pytest.fixture
def runner(qapp: Any, faults: list[BaseException]) -> Iterator[Runner]:
    made = Runner(on_fault=lambda error, doing: faults.append(error))
    usual = sys.getswitchinterval()
    yield made
    assert made.close(5.0)
    assert not made.jobs
    assert sys.getswitchinterval() == usual


def start(runner: Any, slot: Slot, stage: Any, told: Told | None = None, **more: Any) -> tuple[Job, Told]:
    told = told or Told()
    job = runner.start(slot, stage, title="Counting", on_events=told.on_events, on_end=told.on_end, **more)
    return job, told


def test_a_job_tells_all_events_in_order_then_its_end(qtbot: QtBot, runner: Runner) -> None:
    stage = Stage(500)
    job, told = start(runner, LEARN, stage)
    assert not told.events, "nothing is told before start has returned"
    qtbot.waitUntil(lambda: told.ended)
    assert told.events == list(range(1, 501))
    assert told.ends == [Done(Finished("counted", 500))]
    assert job.state is State.DONE
    assert told.threads == {threading.get_ident()}
    assert threading.get_ident() not in stage.pulled
    assert stage.closed == list(stage.pulled), "closed on the thread that pulled it"


def test_wrong_arguments_are_raised_at_the_click_and_the_old_job_runs_on(
    qtbot: QtBot, runner: Runner
) -> None:
    job, told = start(runner, LEARN, Stage(None))

    def refuse() -> Iterator[Any]:
        raise LabError("Vocabulary size 12 is below 256.", "Choose 256 or more.")

    with pytest.raises(LabError, match="12"):
        start(runner, LEARN, refuse)
    assert runner.job(LEARN) is job
    assert not told.ended


def test_a_new_job_ends_the_old_one_in_its_slot_before_its_first_event(qtbot: QtBot, runner: Runner) -> None:
    told = Told()
    _, other = start(runner, OTHER, Stage(None))
    start(runner, LEARN, Stage(None), told)
    qtbot.waitUntil(lambda: bool(told.events))
    seen = len(told.events)
    newer = Told()
    start(runner, LEARN, Stage(3), newer)
    assert told.ends == [Stopped()], "told at once, before anything of the new job"
    qtbot.waitUntil(lambda: newer.ended)
    assert newer.events == [1, 2, 3]
    assert told.ends == [Stopped()]
    assert len(told.events) == seen, "events of a superseded job are dropped"
    assert not other.ended, "other slots are left alone"


def test_a_new_job_begins_when_the_old_stage_is_closed(qtbot: QtBot, runner: Runner) -> None:
    inside = threading.Event()
    go_on = threading.Event()
    order: list[str] = []

    def slow_to_close() -> Iterator[Any]:
        try:
            inside.set()
            yield 1
            go_on.wait(10)
            yield 2
        finally:
            order.append("old closed")

    def next_one() -> Iterator[Any]:
        order.append("new begins")
        yield Finished("", None)

    start(runner, LEARN, slow_to_close)
    assert inside.wait(5)
    job, told = start(runner, LEARN, next_one)
    qtbot.waitUntil(lambda: job.waiting)
    go_on.set()
    qtbot.waitUntil(lambda: told.ended)
    assert order == ["old closed", "new begins"]


def test_one_heavy_job_runs_and_others_wait_in_order(qtbot: QtBot, runner: Runner) -> None:
    slots = [Slot("lab", str(n)) for n in range(4)]
    order: list[str] = []

    def stage(name: str) -> Callable[[], Iterator[Any]]:
        def run() -> Iterator[Any]:
            order.append(f"+{name}")
            yield from range(3)
            order.append(f"-{name}")
            yield Finished("", None)

        return run

    first, _ = start(runner, slots[0], stage("0"), heavy=True, paused=True)
    first.resume()
    blocker, blocked = start(runner, OTHER, Stage(None), heavy=True)
    rest = [start(runner, slot, stage(slot.purpose), heavy=True) for slot in slots[1:]]
    assert all(job.waiting for job, _ in rest)
    light, told_light = start(runner, ENCODE, stage("light"))
    qtbot.waitUntil(lambda: told_light.ended)
    assert light.state is State.DONE, "interactive jobs always run"
    qtbot.waitUntil(lambda: first.ended)
    blocker.stop()
    qtbot.waitUntil(lambda: all(told.ended for _, told in rest))
    assert blocked.ends == [Stopped()]
    order = [said for said in order if "light" not in said]
    assert order == ["+0", "-0", "+1", "-1", "+2", "-2", "+3", "-3"]


def test_a_paused_heavy_job_gives_up_its_place_and_can_still_be_stepped(qtbot: QtBot, runner: Runner) -> None:
    paused, told = start(runner, LEARN, Stage(None), heavy=True)
    second, told2 = start(runner, OTHER, Stage(None), heavy=True)
    qtbot.waitUntil(lambda: bool(told.events))
    assert second.waiting
    paused.pause()
    qtbot.waitUntil(lambda: bool(told2.events))
    paused.resume()
    assert paused.waiting, "at the end of the line"
    paused.pause()
    qtbot.wait(80)
    seen = len(told.events)
    paused.step()
    qtbot.waitUntil(lambda: len(told.events) == seen + 1)
    second.stop()
    paused.resume()
    qtbot.waitUntil(lambda: len(told.events) > seen + 1)


def test_a_paused_job_lets_exactly_the_steps_through(qtbot: QtBot, runner: Runner) -> None:
    stage = Stage(None)
    job, told = start(runner, LEARN, stage, paused=True)
    assert job.state is State.PAUSED
    job.step()
    qtbot.waitUntil(lambda: told.events == [1])
    job.step(3)
    qtbot.waitUntil(lambda: told.events == [1, 2, 3, 4])
    assert stage.count == 4, "not pulled beyond the steps"
    job.resume()
    qtbot.waitUntil(lambda: len(told.events) > 100)
    job.pause()
    qtbot.wait(120)
    seen = len(told.events)
    qtbot.wait(120)
    assert len(told.events) == seen


def test_a_pause_drops_the_steps_that_are_left(qtbot: QtBot, runner: Runner) -> None:
    job, told = start(runner, LEARN, Stage(None), paused=True)
    job.step(1_000_000_000)
    qtbot.waitUntil(lambda: len(told.events) > 10)
    assert job.state is State.RUNNING
    job.pause()
    assert job.state is State.PAUSED
    qtbot.wait(120)
    seen = len(told.events)
    qtbot.wait(120)
    assert len(told.events) == seen


def test_a_step_passes_progress_by(qtbot: QtBot, runner: Runner) -> None:
    def stage() -> Iterator[Any]:
        for n in range(3):
            yield Progress("Reading", n, 3, "blocks")
        yield "merged"
        yield Finished("", None)

    job, told = start(runner, LEARN, stage, paused=True)
    job.step()
    qtbot.waitUntil(lambda: "merged" in told.events)
    assert job.progress == Progress("Reading", 2, 3, "blocks")


@pytest.mark.parametrize(
    "error", [RuntimeError("torch says so"), PanicException("no boundary"), MemoryError(), StopIteration()]
)
def test_a_failed_stage_says_so_and_the_slot_can_be_started_again(
    qtbot: QtBot, runner: Runner, faults: list[BaseException], error: BaseException
) -> None:
    stage = Stage(2, fails=error)
    _, told = start(runner, LEARN, stage)
    qtbot.waitUntil(lambda: told.ended)
    (end,) = told.ends
    assert isinstance(end, Failed)
    assert isinstance(end.error, RuntimeError if isinstance(error, StopIteration) else type(error))
    assert told.events == [1, 2], "what came before is shown"
    assert faults == [end.error], "a bug of ours goes to the one place for faults"
    assert len(stage.closed) == 1
    _, again = start(runner, LEARN, Stage(1))
    qtbot.waitUntil(lambda: again.ended)
    assert again.ends == [Done(Finished("counted", 1))]


def test_a_lab_error_is_told_to_the_lab_and_is_no_fault(
    qtbot: QtBot, runner: Runner, faults: list[BaseException]
) -> None:
    error = LabError("corpus.txt is not UTF-8 at byte 17.", "Save it as UTF-8.")
    _, told = start(runner, LEARN, Stage(1, fails=error))
    qtbot.waitUntil(lambda: told.ended)
    assert told.ends == [Failed(error)]
    assert not faults


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_interrupt_is_delivered_and_then_goes_on(
    qtbot: QtBot, runner: Runner, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_on: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: gone_on.append(found.exc_type))
    _, told = start(runner, LEARN, Stage(1, fails=kind()))
    qtbot.waitUntil(lambda: told.ended)
    assert isinstance(told.ends[0].error, kind)
    if kind is KeyboardInterrupt:  # Python itself lets SystemExit end a thread without a word
        assert gone_on == [kind]


def test_an_interrupt_is_raised_again_by_the_job_itself() -> None:
    job = Job(
        LEARN, Floor(), title="", heavy=False, paused=False, pace=None, batch_ms=50, clock=time.monotonic,
        on_events=lambda events: None, on_end=lambda end: None, on_change=lambda: None,
    )  # fmt: skip
    with pytest.raises(SystemExit):
        job.run(Stage(0, fails=SystemExit(3))())
    assert isinstance(job.outcome, Failed)


def test_a_stage_that_fails_while_it_closes_is_not_silent(
    qtbot: QtBot, runner: Runner, faults: list[BaseException]
) -> None:
    job, told = start(runner, LEARN, Stage(None, fails_in_close=True))
    qtbot.waitUntil(lambda: bool(told.events))
    job.stop()
    qtbot.waitUntil(lambda: told.ended)
    assert isinstance(told.ends[0], Failed)
    assert isinstance(faults[0], OSError)
    _, old = start(runner, LEARN, Stage(None, fails_in_close=True))
    qtbot.waitUntil(lambda: bool(old.events))
    _, told = start(runner, LEARN, Stage(1))
    qtbot.waitUntil(lambda: told.ended and len(faults) == 2)
    assert old.ends == [Stopped()], "superseded: told once; its fault is reported all the same"


def test_a_stage_that_ends_without_finished_has_failed(
    qtbot: QtBot, runner: Runner, faults: list[BaseException]
) -> None:
    _, told = start(runner, LEARN, lambda: iter([1, 2]))
    qtbot.waitUntil(lambda: told.ended)
    assert told.events == [1, 2]
    assert "without Finished" in str(told.ends[0].error)
    assert len(faults) == 1


def test_a_lab_that_cannot_show_events_is_told_failed_once(
    qtbot: QtBot, runner: Runner, faults: list[BaseException]
) -> None:
    told = Told()

    def broken(events: list[Any]) -> None:
        raise ZeroDivisionError("in the picture")

    runner.start(LEARN, Stage(None), title="Counting", on_events=broken, on_end=told.on_end)
    qtbot.waitUntil(lambda: told.ended)
    assert isinstance(told.ends[0].error, ZeroDivisionError)
    assert faults == [told.ends[0].error]
    assert not runner.jobs


def test_stopping_is_acknowledged_within_a_second(qtbot: QtBot, runner: Runner, count: Any) -> None:
    for n in range(count(5, 50)):
        job, told = start(runner, LEARN, Stage(None), heavy=bool(n % 2))
        qtbot.waitUntil(lambda told=told: bool(told.events))
        asked = time.monotonic()
        job.stop()
        job.stop()
        qtbot.waitUntil(lambda told=told: told.ended, timeout=2000)
        assert time.monotonic() - asked < 1.0
        assert told.ends == [Stopped()]
        assert job.state is State.STOPPED


def test_a_paused_or_waiting_job_stops_at_once(qtbot: QtBot, runner: Runner) -> None:
    holder, _ = start(runner, OTHER, Stage(None), heavy=True)
    waiting, told = start(runner, LEARN, Stage(None), heavy=True)
    paused, told2 = start(runner, ENCODE, Stage(None), paused=True)
    assert waiting.waiting
    waiting.stop()
    paused.stop()
    qtbot.waitUntil(lambda: told.ended and told2.ended)
    assert told.order == told2.order == ["Stopped"]
    assert not holder.ended


def test_a_fast_stage_does_not_flood_the_window(
    qtbot: QtBot, runner: Runner, count: Any, report: Any
) -> None:
    n = count(20_000, 400_000)
    stage = Stage(n)
    with LoopGaps() as gaps:
        _, told = start(runner, LEARN, stage)
        ahead = 0
        while not told.ended:
            qtbot.wait(5)
            ahead = max(ahead, stage.count - len(told.events))
    assert told.events == list(range(1, n + 1))
    assert ahead <= 4096 + 1, "the worker waits at the gate while the window is behind"
    assert max(told.batches) <= 4096
    report("runner: loop gaps while a stage yields as fast as it can", str(gaps.result))
    gaps.hold(p99=50, longest=250)


def test_batches_shrink_when_the_window_is_slow(qtbot: QtBot, runner: Runner) -> None:
    told = Told()

    def slow(events: list[Any]) -> None:
        until = time.perf_counter() + 0.001 * len(events)  # a picture that takes 1 ms per event
        while time.perf_counter() < until:
            pass
        told.on_events(events)

    runner.start(LEARN, Stage(400), title="Counting", on_events=slow, on_end=told.on_end)
    qtbot.waitUntil(lambda: told.ended, timeout=10_000)
    assert told.events == list(range(1, 401))
    assert max(told.batches[3:]) <= 24, "about 12 ms of showing in one go"


def test_progress_in_a_row_is_told_once_per_batch_and_the_latest_is_kept(
    qtbot: QtBot, runner: Runner
) -> None:
    def stage() -> Iterator[Any]:
        for done in range(5001):
            yield Progress("Reading", done, 5000, "bytes")
        yield Finished("", None)

    job, told = start(runner, LEARN, stage)
    qtbot.waitUntil(lambda: told.ended)
    assert job.progress == Progress("Reading", 5000, 5000, "bytes")
    assert told.events[-1].done == 5000
    assert len(told.events) < 500
    assert [event.done for event in told.events] == sorted({event.done for event in told.events})


def test_progress_can_be_read_off_other_events(qtbot: QtBot, runner: Runner) -> None:
    job, told = start(
        runner, LEARN, Stage(10), progress_of=lambda event: Progress("Learning", event, 10, "merges")
    )
    qtbot.waitUntil(lambda: told.ended)
    assert job.progress == Progress("Learning", 10, 10, "merges")


def test_a_pace_is_held_at_the_gate_and_can_change_while_it_runs(qtbot: QtBot, runner: Runner) -> None:
    stage = Stage(None)
    began = time.monotonic()
    job, told = start(runner, LEARN, stage, pace=40)
    qtbot.waitUntil(lambda: len(told.events) >= 8)
    assert stage.count <= 40 * (time.monotonic() - began) + 2
    job.set_pace(0.001)  # the next event would come in a quarter of an hour
    qtbot.wait(60)
    seen = stage.count
    job.set_pace(None)
    qtbot.waitUntil(lambda: len(told.events) > seen + 100)


def test_two_stages_in_two_slots_run_side_by_side(qtbot: QtBot, runner: Runner) -> None:
    first, second = Stage(3000), Stage(3000)
    _, told1 = start(runner, LEARN, first)
    _, told2 = start(runner, ENCODE, second)
    qtbot.waitUntil(lambda: told1.ended and told2.ended)
    assert told1.events == told2.events == list(range(1, 3001))
    assert first.pulled.isdisjoint(second.pulled)


def test_jobs_can_start_others_when_they_end(qtbot: QtBot, runner: Runner) -> None:
    told = Told()

    def then(outcome: Any) -> None:
        start(runner, LEARN, Stage(2), told)

    runner.start(LEARN, Stage(1), title="First", on_events=lambda events: None, on_end=then)
    qtbot.waitUntil(lambda: told.ended)
    assert told.events == [1, 2]


def test_a_dialog_opened_by_an_event_does_not_mix_up_the_order(qtbot: QtBot, runner: Runner) -> None:
    from PySide6.QtCore import QEventLoop

    told = Told()

    def with_a_loop_of_its_own(events: list[Any]) -> None:
        loop = QEventLoop()
        QTimer.singleShot(10, loop.quit)
        loop.exec()
        told.on_events(events)

    runner.start(LEARN, Stage(100), title="x", on_events=with_a_loop_of_its_own, on_end=told.on_end)
    qtbot.waitUntil(lambda: told.ended, timeout=20_000)
    assert told.events == list(range(1, 101))


def test_closing_at_any_moment_leaves_no_thread_and_ends_every_job_once(
    qtbot: QtBot, count: Any, report: Any
) -> None:
    chance = random.Random(3)
    slowest = 0.0
    moments = count(15, 300)
    for _ in range(moments):
        runner = Runner()
        told = []
        for number in range(chance.randrange(1, 5)):
            slot = Slot("lab", str(chance.randrange(3)))
            _, one = start(
                runner, slot, Stage(chance.choice([None, None, 50])), heavy=chance.random() < 0.5,
                paused=chance.random() < 0.2, pace=chance.choice([None, 20.0]),
            )  # fmt: skip
            told.append(one)
            if number % 2:
                qtbot.wait(chance.randrange(15))
        qtbot.wait(chance.randrange(60))
        began = time.monotonic()
        assert runner.close()
        slowest = max(slowest, time.monotonic() - began)
        assert [len(one.ends) for one in told] == [1] * len(told)
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if name.startswith("lab:")]
    report(f"runner: slowest of {moments} closings while jobs ran", f"{1000 * slowest:.0f} ms")
    assert slowest < 1.0


def test_a_click_after_closing_is_told_stopped_and_runs_nothing(runner: Runner) -> None:
    assert runner.close()
    stage = Stage(3)
    job, told = start(runner, LEARN, stage)
    assert told.ends == [Stopped()]
    assert job.ended
    assert stage.count == 0


def test_closing_does_not_wait_forever_for_a_stage_that_does_not_come_back(caplog: Any) -> None:
    go_on = threading.Event()
    inside = threading.Event()

    def stuck() -> Iterator[Any]:
        inside.set()
        go_on.wait(20)
        yield Finished("", None)

    runner = Runner()
    _, told = start(runner, LEARN, stuck)
    assert inside.wait(5)
    assert not runner.close(timeout=0.05)
    assert told.ends == [Stopped()]
    assert "tokenizer: learn" in caplog.text
    go_on.set()
    assert runner.close(5.0)


def test_jobs_changed_tells_of_coming_going_and_states(qtbot: QtBot, runner: Runner) -> None:
    with qtbot.waitSignal(runner.jobs_changed):
        job, told = start(runner, LEARN, Stage(None), heavy=True)
    assert runner.jobs == [job]
    with qtbot.waitSignal(runner.jobs_changed):
        job.pause()
    assert job.state is State.PAUSED
    with qtbot.waitSignal(runner.jobs_changed, check_params_cb=None):
        job.stop()
    qtbot.waitUntil(lambda: told.ended)
    assert runner.jobs == []


def test_one_lab_can_be_stopped_alone(qtbot: QtBot, runner: Runner) -> None:
    _, one = start(runner, LEARN, Stage(None))
    _, two = start(runner, ENCODE, Stage(None))
    _, other = start(runner, OTHER, Stage(None))
    runner.stop_lab("tokenizer")
    qtbot.waitUntil(lambda: one.ended and two.ended)
    assert not other.ended


def test_warming_up_imports_on_a_worker_and_says_when_it_is_done(qtbot: QtBot, runner: Runner) -> None:
    ends: list[Any] = []
    warm_up(runner, ["json", "colorsys"], ends.append)
    qtbot.waitUntil(lambda: bool(ends))
    assert isinstance(ends[0], Done)
    assert "colorsys" in sys.modules


def test_warming_up_what_is_not_installed_fails_aloud(
    qtbot: QtBot, runner: Runner, faults: list[BaseException]
) -> None:
    ends: list[Any] = []
    warm_up(runner, ["there_is_no_such_module"], ends.append)
    qtbot.waitUntil(lambda: bool(ends))
    assert isinstance(faults[0], ModuleNotFoundError)


def test_qt_gives_back_what_it_borrows(qapp: Any) -> None:
    """PySide6 6.12.0 under Python 3.11 dropped a reference to None or True with every call: an abort, later."""

    class Caller(QObject):
        said = Signal()

    caller = Caller()
    timer = QTimer(caller)
    before = (sys.getrefcount(None), sys.getrefcount(True))
    for _ in range(200):
        caller.said.emit()
        timer.setInterval(5)
    after = (sys.getrefcount(None), sys.getrefcount(True))
    assert all(b - a > -100 for a, b in zip(before, after, strict=True)), f"{before} became {after}"


# The inline runner keeps the same promises without threads


def test_inline_everything_is_pulled_inside_start(qapp: Any) -> None:
    job, told = start(InlineRunner(), LEARN, Stage(200))
    assert told.events == list(range(1, 201))
    assert told.order[-1] == "Done"
    assert job.state is State.DONE


def test_inline_by_hand_a_test_decides_when(qapp: Any) -> None:
    runner = InlineRunner(at_once=False)
    job, told = start(runner, LEARN, Stage(5), paused=True)
    assert not told.events
    job.step(2)
    assert told.events == [1, 2]
    newer = Told()
    start(runner, LEARN, Stage(1), newer)
    assert told.ends == [Stopped()]
    runner.run()
    assert newer.ends == [Done(Finished("counted", 1))]


def test_inline_heavy_jobs_wait(qapp: Any) -> None:
    runner = InlineRunner(at_once=False)
    first, _ = start(runner, LEARN, Stage(None), heavy=True)
    runner.pull(first, 2)
    second, told = start(runner, OTHER, Stage(1), heavy=True)
    assert second.waiting
    first.stop()
    runner.run()
    assert told.ends == [Done(Finished("counted", 1))]


def test_inline_failures_are_told_once_and_raised_where_they_happen(qapp: Any) -> None:
    runner = InlineRunner()
    told = Told()
    with pytest.raises(PanicException):
        start(runner, LEARN, Stage(1, fails=PanicException()), told)
    assert len(told.ends) == 1
    _, mendable = start(runner, LEARN, Stage(1, fails=LabError("No.", "Yes.")))
    assert isinstance(mendable.ends[0], Failed)
