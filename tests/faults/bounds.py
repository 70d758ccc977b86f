"""What every hostile file must keep to: a second, 64 MB, no file left open, a message that is safe to show."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from core.problems import LabError

SECONDS = 1.0
MEGABYTES = 64
Result = TypeVar("Result")


@dataclass
class Cost:
    """Of one attempt: processor seconds of this thread, and megabytes at the peak over the baseline."""

    seconds: float
    megabytes: float


def attempt(read: Callable[[], Result]) -> tuple[Result | LabError, Cost]:
    """What reading gives or refuses, and its cost; anything but a LabError goes on as the bug it is.

    Time is that of the processor: a busy neighbor must not fail a test. Time and memory are measured in two
    runs, because watching memory takes time. What the tests before this one left in memory is set aside, as
    the runner does while a worker reads: after a thousand tests Python took 0.8 s to look it all through.
    """
    gc.freeze()
    try:
        began = time.thread_time()
        _outcome(read)
        seconds = time.thread_time() - began
    finally:
        gc.unfreeze()
    tracemalloc.start()
    try:
        outcome = _outcome(read)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return outcome, Cost(seconds, peak / 1e6)


def _outcome(read: Callable[[], Result]) -> Result | LabError:
    try:
        return read()
    except LabError as error:
        error.__traceback__ = None  # it would keep what was read alive
        return error


def check_cost(cost: Cost) -> None:
    """The bounds of every file."""
    assert cost.seconds <= SECONDS
    assert cost.megabytes <= MEGABYTES


def check_message(error: LabError, *says: str) -> None:
    """Both sentences are there, say what they must, and hold nothing that acts on a screen."""
    for text in says:
        assert text in error.problem
    for sentence in (error.problem, error.remedy):
        assert sentence.isprintable(), repr(sentence)
        assert sentence[-1:] in ".:)"
        assert len(sentence) <= 800


@contextmanager
def nothing_left_behind(folder: Path) -> Iterator[None]:
    """No file is left open, and nothing is written."""
    before, open_before = sorted(folder.iterdir()), _open_files()
    yield
    assert sorted(folder.iterdir()) == before
    assert _open_files() == open_before


def _open_files() -> int:
    listing = Path("/proc/self/fd")
    return len(os.listdir(listing)) if listing.exists() else 0


def needs(name: str) -> None:
    """Skip where this system lacks a function of `os`."""
    if not hasattr(os, name):
        pytest.skip(f"this system has no os.{name}")
