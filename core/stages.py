"""What every stage has in common: how it reports progress and how it ends.

A stage is a function that checks its arguments at the call and returns a generator of frozen events, of
which the last is one `Finished`. Stopping a stage is `close()`, pausing it is not pulling, a single step is
pulling one event. Threads, slots and priorities are the window's business (`labapp/runner.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """How far a stage has come.

    Attributes:
        doing: What is being done, as a person reads it: "Reading corpus.txt".
        done: Amount done so far, in `unit`.
        total: Amount in all, or None where it is not known beforehand.
        unit: What is counted: "bytes", "merges".
    """

    doing: str
    done: int
    total: int | None
    unit: str


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """The last event of a stage.

    Attributes:
        reason: Why the stage ended, as a person reads it: "No pair occurs twice."
        result: What the stage made.
    """

    reason: str
    result: Result


def run_to_end(stage: Iterator[Any]) -> Finished[Any]:
    """Pull a stage to its end and return its `Finished`; for scripts, tests and the command line.

    Raises:
        TypeError: The stage ended without a `Finished`: a bug in the stage.

    >>> run_to_end(iter([Progress("Counting", 1, 2, "words"), Finished("All counted.", 2)])).result
    2
    """
    last: Any = None
    for event in stage:
        last = event
    if not isinstance(last, Finished):
        raise TypeError(f"The stage ended with {last!r}, not with Finished.")
    return last


def pass_on(stage: Iterator[Any]) -> Generator[Any, None, Any]:
    """Inside a stage: yield another one's events but the last, and return what it made.

    Raises:
        TypeError: The other stage ended without a `Finished`: a bug in it.

    >>> def twice(stage):
    ...     made = yield from pass_on(stage)
    ...     yield Finished("Twice.", 2 * made)
    >>> run_to_end(twice(iter([Finished("All counted.", 2)]))).result
    4
    """
    for event in stage:
        if isinstance(event, Finished):
            return event.result
        yield event
    raise TypeError("The stage ended without a Finished.")


def once(function: Callable[[], Result]) -> Iterator[Finished[Result]]:
    """A stage of a single step, for a function that is too slow for the window but has nothing to report.

    >>> run_to_end(once(lambda: 6 * 7)).result
    42
    """
    yield Finished("", function())
