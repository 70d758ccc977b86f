"""A run that is stopped anywhere and goes on ends with the same bytes as one that was never stopped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core.stages import run_to_end
from core.training.checkpoints import read_save
from core.training.events import Controls, RateChanged, Stepped
from core.training.history import read_history
from tests.core.training.small_runs import begin, told, work, written


@pytest.fixture(scope="module", autouse=True)
def _no_measuring() -> Iterator[None]:
    """The machine's speed is not measured in every one of hundreds of sittings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many tiny products: threads would only wait for one another
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["muon", "adamw"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, count: Callable[[int, int], int]
) -> tuple[Path, str, int]:
    """A run that was never stopped."""
    folder, steps = tmp_path_factory.mktemp("whole"), count(12, 200)
    run_to_end(begin(folder, optimizer=request.param, steps=steps))
    return folder, request.param, steps


def test_closing_after_every_step_and_going_on_gives_the_same_bytes(
    whole: tuple[Path, str, int], tmp_path: Path
) -> None:
    expected, optimizer, steps = whole
    bytes_expected, told_expected = written(expected), told(expected)
    for stop in range(1, steps):
        folder = tmp_path / str(stop)
        stage = begin(folder, optimizer=optimizer, steps=steps)
        for event in stage:
            if isinstance(event, Stepped) and event.step == stop:
                break
        stage.close()  # type: ignore[attr-defined]
        run_to_end(begin(folder, optimizer=optimizer, steps=steps))
        assert written(folder) == bytes_expected, stop
        assert told(folder) == told_expected, stop
        shutil.rmtree(folder)


def test_closing_at_every_event_gives_the_same_bytes(whole: tuple[Path, str, int], tmp_path: Path) -> None:
    expected, optimizer, steps = whole
    if steps > 12:
        pytest.skip("the long run stops after every step")
    bytes_expected, told_expected = written(expected), told(expected)
    for stop in range(1, 1000):
        folder = tmp_path / str(stop)
        stage = begin(folder, optimizer=optimizer)
        if sum(1 for _ in zip(range(stop), stage, strict=False)) < stop:
            break
        stage.close()  # type: ignore[attr-defined]
        run_to_end(begin(folder, optimizer=optimizer))
        assert written(folder) == bytes_expected, stop
        assert told(folder) == told_expected, stop
        shutil.rmtree(folder)
    assert stop > 30


def test_a_process_that_is_gone_goes_on_from_its_last_save(
    whole: tuple[Path, str, int], tmp_path: Path
) -> None:
    expected, optimizer, steps = whole
    bytes_expected, told_expected = written(expected), told(expected)
    for stop in range(1, steps):
        gone, folder = tmp_path / f"gone {stop}", tmp_path / str(stop)
        stage = begin(gone, optimizer=optimizer, steps=steps)
        for event in stage:
            if isinstance(event, Stepped) and event.step == stop:
                break
        shutil.copytree(gone, folder)  # what a power cut leaves
        stage.close()  # type: ignore[attr-defined]
        run_to_end(begin(folder, optimizer=optimizer, steps=steps))
        assert written(folder) == bytes_expected, stop
        assert told(folder) == told_expected, stop
        shutil.rmtree(folder)
        shutil.rmtree(gone)


def test_another_process_goes_on_with_the_same_bytes(whole: tuple[Path, str, int], tmp_path: Path) -> None:
    expected, optimizer, steps = whole
    stage = begin(tmp_path, optimizer=optimizer, steps=steps)
    for event in stage:
        if isinstance(event, Stepped) and event.step == 5:
            break
    stage.close()  # type: ignore[attr-defined]
    code = (
        "import sys; from pathlib import Path; from core.stages import run_to_end\n"
        "import torch; torch.set_num_threads(int(sys.argv[4]))\n"
        "from tests.core.training.small_runs import begin\n"
        "run_to_end(begin(Path(sys.argv[1]), optimizer=sys.argv[2], steps=int(sys.argv[3])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), optimizer, str(steps), str(torch.get_num_threads())]
    subprocess.run(command, check=True, cwd=Path(__file__).resolve().parents[3])
    assert written(tmp_path) == written(expected)
    assert told(tmp_path) == told(expected)


def test_two_runs_that_take_turns_are_each_as_alone(whole: tuple[Path, str, int], tmp_path: Path) -> None:
    expected, optimizer, steps = whole
    folders = (tmp_path / "one", tmp_path / "two")
    stages = [begin(folder, optimizer=optimizer, steps=steps) for folder in folders]
    for _ in zip(*stages, strict=True):
        pass  # each is paused while the other one computes
    for folder in folders:
        assert written(folder) == written(expected)
        assert told(folder) == told(expected)


def test_a_changed_rate_is_told_kept_and_survives_a_stop(tmp_path: Path) -> None:
    for name, stops in (("alone", ()), ("at once", (RateChanged,)), ("later", (Stepped,))):
        controls, seen = Controls(), []
        stage = begin(tmp_path / name, controls)
        for event in stage:
            if isinstance(event, Stepped) and event.step == 4:
                controls.rate_factor = 0.5
            seen += [event] if isinstance(event, RateChanged) else []
            if stops and seen and isinstance(event, stops):
                break
        stage.close()  # type: ignore[attr-defined]
        if stops:
            run_to_end(begin(tmp_path / name))
        assert seen == [RateChanged(5, 0.5)]
        assert controls.changes == [(5, 0.5)]
        assert read_history(tmp_path / name).changes == (RateChanged(5, 0.5),), name
        assert written(tmp_path / name) == written(tmp_path / "alone"), name


def test_a_run_goes_further_than_planned(tmp_path: Path) -> None:
    run_to_end(begin(tmp_path))
    assert run_to_end(begin(tmp_path, steps=15)).result.step == 15
    assert [one.step for one in read_history(tmp_path).steps] == list(range(1, 16))


def test_a_run_that_was_gone_before_its_first_save_begins_again_once(tmp_path: Path) -> None:
    stage = begin(tmp_path / "gone")
    for event in stage:
        if isinstance(event, Stepped) and event.step == 2:
            break
    shutil.copytree(tmp_path / "gone", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "resume", ignore_errors=True)
    stage.close()  # type: ignore[attr-defined]
    run_to_end(begin(tmp_path / "again"))
    assert [one.step for one in read_history(tmp_path / "again").steps] == list(range(1, 13))


def test_other_threads_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_to_end(begin(tmp_path, steps=3))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    run_to_end(begin(tmp_path, steps=4))
    began = read_history(tmp_path).began
    assert began is not None
    assert "77 do now" in began.notes[0]


def test_the_last_save_is_of_the_last_step(tmp_path: Path) -> None:
    run_to_end(begin(tmp_path))
    saved = read_save(work(tmp_path).folder / "resume")
    assert saved is not None
    assert saved.step == 12
