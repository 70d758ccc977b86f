"""A run's curves as an event file that TensorBoard opens.

The records are written by tensorboardX's own writer of records: its `SummaryWriter` would start a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from core.artifacts import durable
from core.problems import LabError
from core.training.history import History

NAME = "events.out.tfevents.{second:010d}.llmlab"


def write_event_file(history: History, folder: Path, begun: float) -> Path:
    """Write `train/loss`, `validation/loss` and the other curves of a run against its steps.

    Args:
        history: What the run told.
        folder: Where to; it is made where it is missing.
        begun: When the run began, seconds since 1970: TensorBoard shows times.

    Raises:
        LabError: There is such a file already, or the disk refused.
    """
    path = folder / NAME.format(second=int(begun))
    durable.ensure_folder(folder)
    if path.exists():
        raise LabError(f"{durable.shown(path)} is there already.", "Choose another folder.")
    staging = path.with_name(path.name + durable.PART)
    try:
        writer = RecordWriter(str(staging))
        writer.write(Event(wall_time=begun, file_version="brain.Event:2").SerializeToString())
        for event in _events(history, begun):
            writer.write(event.SerializeToString())
        writer.close()
        staging.replace(path)
    except OSError as error:
        raise durable.explain(error, path) from error
    finally:
        staging.unlink(missing_ok=True)
    return path


def _events(history: History, begun: float) -> Iterator[Event]:
    """The values of each step together, in the order of the steps."""
    values: dict[int, dict[str, float]] = {}
    seconds: dict[int, float] = {}
    for one in history.steps:
        seconds[one.step] = one.seconds
        values[one.step] = {
            "train/loss": one.loss, "train/learning_rate": one.rate, "train/gradient_norm": one.gradient,
            "train/tokens_per_second": one.tokens_per_second,
        }  # fmt: skip
    for look in history.validated:
        values.setdefault(look.step, {}).update(
            {"validation/loss": look.loss, "validation/bits_per_byte": look.bits_per_byte}
        )
    trained = 0.0
    for step in sorted(values):
        trained = seconds.get(step, trained)
        rows = [Summary.Value(tag=tag, simple_value=value) for tag, value in values[step].items()]
        yield Event(wall_time=begun + trained, step=step, summary=Summary(value=rows))
