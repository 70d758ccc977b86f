"""The strip of jobs says what runs, how far, how fast and how long still, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QProgressBar
from pytestqt.qtbot import QtBot

from core.stages import Finished, Progress
from labapp.inline_runner import InlineRunner
from labapp.rates import RateMeter
from labapp.runner import Job, Runner, Slot
from labapp.widgets.job_strip import JobStrip


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runner(qapp: Any, clock: Clock) -> InlineRunner:
    return InlineRunner(at_once=False, clock=clock)


@pytest.fixture
def strip(qtbot: QtBot, runner: InlineRunner) -> Iterator[JobStrip]:
    made = JobStrip(runner)
    qtbot.addWidget(made)
    yield made
    runner.close()


def reading(total: int | None = 100, title: str = "Learning merges", unit: str = "merges") -> Any:
    def stage() -> Iterator[Any]:
        for done in range(0, 101, 10):
            yield Progress("Reading corpus.txt", done, total, unit)
            yield done
        yield Finished("", None)

    return stage


def start(runner: InlineRunner, name: str = "learn", stage: Any = None, **more: Any) -> Job:
    more = {"title": "Learning merges"} | more
    return runner.start(
        Slot("tokenizer", name), stage or reading(), on_events=lambda events: None,
        on_end=lambda end: None, **more,
    )  # fmt: skip


def pull(runner: InlineRunner, clock: Clock, job: Job, n: int, seconds: float) -> None:
    for _ in range(n):
        runner.pull(job, 1)
        clock.now += seconds


def test_a_job_says_title_amount_rate_and_time_left(
    runner: InlineRunner, strip: JobStrip, clock: Clock
) -> None:
    job = start(runner)
    pull(runner, clock, job, 5, 2.0)  # 40 merges in 8 s: 5 merges/s, 60 to go
    strip.refresh()
    (row,) = strip.rows
    assert row.text == "Learning merges: 40 of 100 merges, 5 merges/s, 10 s left"
    (bar,) = row.findChildren(QProgressBar)
    assert bar.value() / bar.maximum() == 0.4


def test_a_pause_is_said_and_is_not_counted_as_time(
    runner: InlineRunner, strip: JobStrip, clock: Clock
) -> None:
    job = start(runner)
    pull(runner, clock, job, 5, 2.0)
    strip.refresh()
    (row,) = strip.rows
    assert row.pause.accessibleName() == "Pause Learning merges"
    row.pause.click()
    assert job.paused
    assert row.text == "Learning merges: paused, 40 of 100 merges"
    assert row.pause.accessibleName() == "Go on with Learning merges"
    row.pause.click()
    assert not job.paused


def test_a_pause_of_an_hour_does_not_change_the_rate(clock: Clock) -> None:
    meter = RateMeter(clock)
    for second in range(4):
        clock.now = float(second)
        meter.add(Progress("", 10 * second, 100, "merges"))
    meter.hold()
    clock.now += 3600
    meter.go()
    assert meter.rate() == 10.0
    clock.now += 1
    meter.add(Progress("", 40, 100, "merges"))
    assert meter.rate() == 10.0
    assert meter.seconds_left() == 6.0


def test_the_rate_is_that_of_the_last_ten_seconds(clock: Clock) -> None:
    meter = RateMeter(clock)
    for second in range(60):
        clock.now = float(second)
        meter.add(Progress("", second if second < 40 else 40 + 100 * (second - 40), None, "steps"))
    assert meter.rate() == 100.0
    assert meter.seconds_left() is None, "no total, no time left"


def test_a_new_phase_starts_afresh_and_silence_ends_a_rate(clock: Clock) -> None:
    meter = RateMeter(clock)
    for second in range(3):
        clock.now = float(second)
        meter.add(Progress("Reading", 1000 * second, 9000, "bytes"))
    assert meter.rate() == 1000.0
    clock.now = 3.0
    meter.add(Progress("Learning", 0, 50, "merges"))
    assert meter.rate() is None
    clock.now = 5.0
    meter.add(Progress("Learning", 4, 50, "merges"))
    assert meter.rate() == 2.0
    clock.now = 60.0
    assert meter.rate() is None, "an old rate says nothing"


def test_a_job_without_a_total_shows_a_busy_bar(runner: InlineRunner, strip: JobStrip) -> None:
    job = start(runner, stage=reading(total=None))
    runner.pull(job, 2)
    strip.refresh()
    (bar,) = strip.rows[0].findChildren(QProgressBar)
    assert bar.maximum() == 0
    assert "10 merges" in strip.rows[0].text


def test_bytes_beyond_four_gigabytes_fit_the_bar(runner: InlineRunner, strip: JobStrip) -> None:
    def stage() -> Iterator[Any]:
        yield Progress("Reading", 6_000_000_000, 8_000_000_000, "bytes")
        yield 1
        yield Finished("", None)

    job = start(runner, stage=stage)
    runner.pull(job, 1)
    strip.refresh()
    assert "6 GB of 8 GB" in strip.rows[0].text
    (bar,) = strip.rows[0].findChildren(QProgressBar)
    assert bar.value() / bar.maximum() == 0.75


def test_a_waiting_job_says_so(runner: InlineRunner, strip: JobStrip) -> None:
    first = start(runner, "one", heavy=True)
    runner.pull(first, 1)
    start(runner, "two", heavy=True, title="Quantizing")
    strip.refresh()
    assert [row.text for row in strip.rows][1] == "Quantizing: waits for another job to end"


def test_stop_ends_the_job_and_its_row_goes(qtbot: QtBot, runner: InlineRunner, strip: JobStrip) -> None:
    job = start(runner)
    strip.refresh()
    (row,) = strip.rows
    assert row.stop.accessibleName() == "Stop Learning merges"
    row.stop.click()
    assert job.ended
    qtbot.waitUntil(lambda: not strip.rows)


def test_more_jobs_than_fit_are_said_as_a_number(runner: InlineRunner, strip: JobStrip) -> None:
    for n in range(5):
        start(runner, str(n), title=f"Job {n}")
    strip.refresh()
    assert [row.job.title for row in strip.rows] == ["Job 0", "Job 1", "Job 2"]
    assert "and 2 more" in [label.text() for label in strip.findChildren(QLabel)]


def test_names_that_look_like_html_stay_as_they_are(runner: InlineRunner, strip: JobStrip) -> None:
    job = start(runner, title="Learning <img src=a.png>")
    runner.pull(job, 1)
    strip.refresh()
    for label in strip.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText
    for row in strip.rows:
        for button in (row.pause, row.stop):
            assert "<img" not in button.toolTip()
            assert "<img" in button.accessibleName()


def test_a_short_job_never_flickers(qtbot: QtBot) -> None:
    runner = Runner()
    strip = JobStrip(runner)
    qtbot.addWidget(strip)
    ends: list[Any] = []
    runner.start(
        Slot("a", "b"), lambda: iter([Finished("", None)]), title="Short",
        on_events=lambda events: None, on_end=ends.append,
    )  # fmt: skip
    seen = []
    while not ends:
        seen += strip.rows
        qtbot.wait(5)
    assert seen == []
    assert runner.close()


def test_a_real_job_appears_and_goes(qtbot: QtBot) -> None:
    runner = Runner()
    strip = JobStrip(runner)
    qtbot.addWidget(strip)

    def endless() -> Iterator[Any]:
        n = 0
        while True:
            n += 1
            yield Progress("Counting", n, None, "numbers")

    job = runner.start(
        Slot("a", "b"), endless, title="Counting", on_events=lambda events: None, on_end=lambda end: None
    )
    qtbot.waitUntil(lambda: bool(strip.rows))
    assert "numbers" in strip.rows[0].text
    job.stop()
    qtbot.waitUntil(lambda: not strip.rows)
    assert runner.close()
