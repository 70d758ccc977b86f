"""The report of a run and its event file."""

from __future__ import annotations

import math
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from core.problems import LabError
from core.training.events import Began, RateChanged, Sampled, Stepped, Validated
from core.training.history import History
from core.training.presets import preset
from core.training.report import Line, curves_svg, run_report, thinned
from core.training.tensorboard import write_event_file

BEGAN = Began(0, 3, 1000, 5000, 500, 64, 2048, math.log(2048), 5.3, 0.7, "f32", 1e9)
HISTORY = History(
    preset("taste").plan,
    BEGAN,
    tuple(Stepped(n, 7.0 - n, 0.003 * n, 1.5, 64 * n, 0.5 * n, 128.0, 0.25, 0.0) for n in (1, 2, 3)),
    (Validated(0, 7.6, 3.5, 64), Validated(3, 4.25, 2.0, 64)),
    (Sampled(0, "The king", "<script>alert(1)</script>"), Sampled(3, "The king", " is & was")),
    (),
    (RateChanged(2, 0.5),),
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value or "" for _, value in attributes]


def test_the_report_has_settings_figures_curves_and_samples() -> None:
    page = run_report("My run", HISTORY)
    for words in (
        "My run",
        "4.250 nats a token, at step 3",
        "learning rate times 0.5",
        "quiz_share",
        "is &amp; was",
    ):
        assert words in page
    assert page.count("<svg") == 3


def test_the_report_runs_nothing_and_needs_no_other_file() -> None:
    page = Tags()
    page.feed(run_report("<img src=x onerror=alert(1)>", HISTORY))
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert not [value for value in page.values if "://" in value and "www.w3.org/2000/svg" not in value]


def test_a_run_that_told_nothing_has_a_report_too() -> None:
    assert "There is nothing to draw yet" in run_report("Empty", History())


def test_curves_are_sound_svg_and_have_gaps_where_there_are_no_numbers() -> None:
    y = [4.0, 3.0, math.nan, 2.0, math.inf, 1.0, 0.5]
    picture = ET.fromstring(curves_svg("loss", [Line("a <b>", range(7), y)]))
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 1, 2]


def test_a_thinned_curve_keeps_its_peaks() -> None:
    points = [(float(n), 9.0 if n == 777 else -9.0 if n == 778 else 0.0) for n in range(10_000)]
    kept = thinned(points, 100)
    assert len(kept) <= 100
    assert {(777.0, 9.0), (778.0, -9.0)} <= set(kept)


def records(data: bytes) -> Iterator[bytes]:
    """The records of an event file: length, masked CRC of it, data, masked CRC (TensorFlow, record_writer.h)."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        for place, size in ((at, 8), (at + 12, length)):
            (check,) = struct.unpack_from("<I", data, place + size)
            crc = crc32c(data[place : place + size])
            assert check == ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
        yield data[at + 12 : at + 12 + length]
        at += 16 + length


def test_against_tensorboardx_the_event_file_gives_back_every_curve(tmp_path: Path) -> None:
    path = write_event_file(HISTORY, tmp_path / "logs", 1000.0)
    first, *events = [Event.FromString(record) for record in records(path.read_bytes())]
    assert first.file_version == "brain.Event:2"
    told = {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}
    assert [told["train/loss", step] for step in (1, 2, 3)] == [6.0, 5.0, 4.0]
    assert [told["validation/loss", step] for step in (0, 3)] == pytest.approx([7.6, 4.25])
    assert told["train/learning_rate", 2] == pytest.approx(0.006)
    assert told["train/gradient_norm", 3] == 1.5
    assert told["train/tokens_per_second", 1] == 128.0
    assert [event.step for event in events] == [0, 1, 2, 3]
    assert events[-1].wall_time == 1001.5


def test_an_event_file_is_never_overwritten(tmp_path: Path) -> None:
    write_event_file(HISTORY, tmp_path, 1000.0)
    with pytest.raises(LabError, match="is there already"):
        write_event_file(HISTORY, tmp_path, 1000.0)
    assert len(list(tmp_path.iterdir())) == 1
