"""The history of a run: every event on a line of `metrics.jsonl`, written as it happens and read again."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.artifacts.durable import explain, write_file
from core.formats.bounded_json import parse_json
from core.problems import LabError
from core.stages import Finished
from core.training.events import Began, Event, Kept, Measured, RateChanged, Sampled, Saved, Stepped, Validated
from core.training.presets import RunPlan, read_plan

FILE = "metrics.jsonl"
_ALL = (Began, Stepped, Validated, Measured, Sampled, Saved, Kept, RateChanged)
KINDS = {kind.__name__: kind for kind in _ALL}
_LINE_AT_MOST = 100_000  # characters
_OF_STEPS = ("step", "loss", "rate", "gradient", "tokens", "seconds", "tokens_per_second", "utilization")
_SPELLED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class History:
    """What a run has told so far.

    Attributes:
        plan: What was planned, or None where it cannot be read.
        began: The last beginning.
        steps, validated, sampled, kept, changes, measured: Events of each kind, in their order.
    """

    plan: RunPlan | None = None
    began: Began | None = None
    steps: tuple[Stepped, ...] = ()
    validated: tuple[Validated, ...] = ()
    sampled: tuple[Sampled, ...] = ()
    kept: tuple[Kept, ...] = ()
    changes: tuple[RateChanged, ...] = ()
    measured: tuple[Measured, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether all planned steps are done."""
        return bool(self.began and self.steps and self.steps[-1].step >= self.began.steps)

    @property
    def best(self) -> Validated | None:
        """The look at validation with the lowest loss."""
        finite = [one for one in self.validated if math.isfinite(one.loss)]
        return min(finite, key=lambda one: one.loss, default=None)


@dataclass
class Journal:
    """Writes events to a run's folder."""

    folder: Path
    _lines: list[str] = field(default_factory=list)

    def keep(self, event: Event) -> None:
        """Remember an event until the next `flush`."""
        if type(event).__name__ in KINDS:
            self._lines.append(json.dumps(as_values(event, self.folder), ensure_ascii=False))

    def flush(self, sync: bool = False) -> None:
        """Write what was remembered.

        Raises:
            LabError: The disk refused.
        """
        path = self.folder / FILE
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(line + "\n" for line in self._lines))
                file.flush()
                if sync:
                    os.fsync(file.fileno())
        except OSError as error:
            raise explain(error, path) from error
        self._lines.clear()

    def cut_after(self, step: int) -> None:
        """Drop what was told after a step: the run goes on from there and will tell it again.

        Raises:
            LabError: The disk refused.
        """
        kept = [event for event in read_events(self.folder) if getattr(event, "step", 0) <= step]
        lines = [json.dumps(as_values(event, self.folder), ensure_ascii=False) + "\n" for event in kept]
        write_file(self.folder / FILE, "".join(lines).encode())


def as_values(event: Event, folder: Path) -> dict[str, Any]:
    """An event as JSON values; folders are written below the run's, non-finite numbers as texts."""
    values: dict[str, Any] = {"event": type(event).__name__}
    for name, value in asdict(event).items():
        if isinstance(value, Path):
            value = value.relative_to(folder).as_posix() if value.is_relative_to(folder) else value.name
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)
        values[name] = value
    return values


def from_values(values: dict[str, Any], folder: Path) -> Event | None:
    """An event from JSON values; None where they are none of this version."""
    kind = KINDS.get(str(values.get("event")))
    if kind is None or {f.name for f in fields(kind)} - set(values):
        return None
    made = {f.name: values[f.name] for f in fields(kind)}
    for name, value in made.items():
        if name == "folder":
            made[name] = folder / str(value)
        elif isinstance(value, str) and value in _SPELLED and name not in ("prompt", "text"):
            made[name] = _SPELLED[value]
        elif isinstance(value, list):
            made[name] = tuple(value)
    event: Event = kind(**made)
    return event


def read_events(folder: Path) -> Iterator[Event]:
    """The events of a run; a last line that a crash cut off is left out.

    Raises:
        LabError: The file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(_LINE_AT_MOST):
            try:
                values = parse_json(line.encode(), path.name)
            except LabError:
                continue  # cut off by a crash
            if isinstance(values, dict) and (event := from_values(values, folder)) is not None:
                yield event


def read_history(folder: Path) -> History:
    """All that a run has told."""
    return history_of(read_events(folder), read_plan(folder))


def history_of(events: Iterable[Event], plan: RunPlan | None) -> History:
    """Events, sorted by kind."""
    by_kind: dict[type, list[Any]] = {}
    for event in events:
        by_kind.setdefault(type(event), []).append(event)
    began = by_kind.get(Began)
    return History(
        plan, began[-1] if began else None,
        tuple(by_kind.get(Stepped, ())), tuple(by_kind.get(Validated, ())),
        tuple(by_kind.get(Sampled, ())), tuple(by_kind.get(Kept, ())), tuple(by_kind.get(RateChanged, ())),
        tuple(by_kind.get(Measured, ())),
    )  # fmt: skip


def smoothed(values: list[float], beta: float = 0.9) -> list[float]:
    """Exponential moving average without the pull of its beginning (Kingma and Ba,
    https://arxiv.org/abs/1412.6980, section 3); a value that is not finite is passed over.

    >>> [round(x, 2) for x in smoothed([1.0, 1.0, 4.0], beta=0.5)]
    [1.0, 1.0, 2.71]
    """
    mean, weight, made = 0.0, 0.0, []
    for value in values:
        if math.isfinite(value):
            mean = beta * mean + (1 - beta) * value
            weight = beta * weight + (1 - beta)
        made.append(mean / weight if weight else math.nan)
    return made


def steps_csv(history: History) -> str:
    """Every step and every look at validation of a run, a line each."""
    looks = {one.step: one for one in history.validated}
    steps = {one.step: one for one in history.steps}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_OF_STEPS, "validation_loss", "bits_per_byte"])
    for number in sorted({*steps, *looks}):
        step, look = steps.get(number), looks.get(number)
        told = [getattr(step, name) for name in _OF_STEPS[1:]] if step else [""] * (len(_OF_STEPS) - 1)
        writer.writerow([number, *told, *([look.loss, look.bits_per_byte] if look else ["", ""])])
    return text.getvalue()


def replay(values: dict[str, Any], folder: Path) -> list[Event]:
    """The events of a recording: {"plan": …, "events": [as in metrics.jsonl, …]}.

    Raises:
        LabError: It has no events.
    """
    rows = values.get("events")
    found = (
        [from_values(row, folder) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    )
    events = [event for event in found if event is not None]
    if not events:
        raise LabError("The recording has no events.", "Make it again.")
    return events


def played(events: Sequence[Event]) -> Iterator[Event | Finished[int]]:
    """Events that were recorded, one after another, as a stage."""
    yield from events
    yield Finished("The recording is over.", len(events))
