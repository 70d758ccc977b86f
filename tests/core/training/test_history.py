"""The history of a run: written line by line, read back whole, and cut where a run goes on."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.training.checkpoints import log_spaced
from core.training.events import Began, Kept, RateChanged, Sampled, Saved, SeenBatch, Stepped, Validated
from core.training.history import (
    FILE,
    Journal,
    played,
    read_events,
    read_history,
    replay,
    smoothed,
    steps_csv,
)

BEGAN = Began(0, 3, 1000, 5000, 500, 64, 2048, math.log(2048), 5.3, None, "f32", 1e9, ("4 threads now.",))


def step(n: int, loss: float = 2.0) -> Stepped:
    return Stepped(n, loss, 0.003, 1.5, 64 * n, 0.5 * n, 128.0, 0.25, 1.5)


def told(folder: Path, *events: object) -> None:
    journal = Journal(folder)
    for event in events:
        journal.keep(event)  # type: ignore[arg-type]
    journal.flush()


def test_every_event_comes_back_as_it_was_told(tmp_path: Path) -> None:
    events = [
        BEGAN, step(1), Validated(1, math.nan, math.inf, 64), Sampled(1, "nan", "inf\n“x” \u2028 é"),
        RateChanged(2, 0.5), step(2, -math.inf), Saved(2, tmp_path / "resume" / "step-000002"),
        Kept(2, tmp_path / "checkpoints" / "step-000002"),
    ]  # fmt: skip
    told(tmp_path, *events)
    assert list(map(repr, read_events(tmp_path))) == list(map(repr, events))


def test_what_is_only_shown_is_not_kept(tmp_path: Path) -> None:
    told(tmp_path, SeenBatch(1, (1, 2), (0.5,), (((2, 0.6),),)))
    assert list(read_events(tmp_path)) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, prompt: str, text: str) -> None:
    folder = tmp_path_factory.mktemp("run")
    told(folder, Sampled(1, prompt, text))
    (event,) = read_events(folder)
    assert event == Sampled(1, prompt, text)


def test_a_last_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    told(tmp_path, BEGAN, step(1), step(2))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert [one.step for one in read_history(tmp_path).steps] == [1]


def test_a_run_that_goes_on_drops_what_came_after_its_save(tmp_path: Path) -> None:
    told(tmp_path, BEGAN, step(1), step(2), step(3))
    Journal(tmp_path).cut_after(2)
    assert [one.step for one in read_history(tmp_path).steps] == [1, 2]


def test_a_history_knows_its_best_look_and_whether_it_is_finished(tmp_path: Path) -> None:
    told(tmp_path, BEGAN, step(1), Validated(1, 3.0, 1.0, 64), Validated(2, math.nan, 1.0, 64))
    history = read_history(tmp_path)
    assert history.best == Validated(1, 3.0, 1.0, 64)
    assert not history.finished
    told(tmp_path, step(2), step(3))
    assert read_history(tmp_path).finished


def test_an_empty_folder_has_an_empty_history(tmp_path: Path) -> None:
    history = read_history(tmp_path)
    assert (history.began, history.steps, history.best, history.finished) == (None, (), None, False)


def test_a_smoothed_curve_passes_over_what_is_no_number() -> None:
    """β = 0.5: 4 → 4; 2 → (0.25·4 + 0.5·2)/0.75 = 8/3; the gap changes nothing."""
    made = smoothed([math.nan, 4.0, math.inf, 2.0], beta=0.5)
    assert math.isnan(made[0])
    assert made[1:] == pytest.approx([4.0, 4.0, 8 / 3])


def test_a_recording_is_played_in_order_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    rows = [{"event": "Validated", "step": n, "loss": 1.0, "bits_per_byte": 0.5, "tokens": 9} for n in (0, 5)]
    events = replay({"events": [*rows, {"event": "Unknown"}, 7]}, tmp_path)
    assert [type(event).__name__ for event in played(events)] == ["Validated", "Validated", "Finished"]
    with pytest.raises(LabError, match="no events"):
        replay({"events": []}, tmp_path)


def test_steps_and_looks_become_one_table(tmp_path: Path) -> None:
    told(tmp_path, Validated(0, 7.5, 3.0, 64), step(1), step(2), Validated(2, 4.0, 2.0, 64))
    rows = list(csv.DictReader(steps_csv(read_history(tmp_path)).splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    assert [row["loss"] for row in rows] == ["", "2.0", "2.0"]
    assert [row["validation_loss"] for row in rows] == ["7.5", "", "4.0"]


@given(st.integers(1, 1_000_000))
def test_kept_steps_rise_from_the_first_to_the_last(steps: int) -> None:
    kept = log_spaced(steps)
    assert kept[0] == 0
    assert kept[-1] == steps
    assert list(kept) == sorted(set(kept))
    gaps = [b - a for a, b in itertools.pairwise(kept[1:-1])]
    assert gaps == sorted(gaps), "closer at the beginning"
