"""A run that is killed, stopped or refused by the disk goes on in a new process, to the same bytes."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core.artifacts import durable
from core.problems import LabError
from core.stages import run_to_end
from core.training.checkpoints import read_save
from tests.core.training.small_runs import begin, told, work, written
from tests.faults.test_artifact_crash import FaultyOs

ROOT = Path(__file__).resolve().parents[2]
STEPS = 8

# Reads orders from its input, a line each; every order is done by a new process that has trained nothing yet:
# folder, optimizer, steps, the step after which it stops, the call that kills it, microseconds until it is killed.
SITTER = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
import core.training.loop
from core.artifacts import durable
from core.training.events import Stepped
from tests.core.training.small_runs import begin
from tests.faults.killing import KillingOs

core.training.loop.choose_precision = lambda *_: ("f32", 1e9)

def sit(folder, optimizer, steps, stop, kill):
    if kill:
        durable.os = KillingOs(kill)
    stage = begin(Path(folder), optimizer=optimizer, steps=steps)
    for event in stage:
        if isinstance(event, Stepped) and event.step == stop:
            break
    stage.close()

print("ready", flush=True)
for line in sys.stdin:
    folder, optimizer, *numbers = line.rstrip().split("|")
    steps, stop, kill, microseconds = map(int, numbers)
    child = os.fork()
    if not child:
        sit(folder, optimizer, steps, stop, kill)
        os._exit(0)
    if microseconds:
        time.sleep(microseconds / 1e6)
        os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork and no SIGKILL")
Order = Callable[..., int]


@pytest.fixture(scope="module")
def sitting() -> Iterator[Order]:
    """Gives an order to the sitter; the result is how its process ended."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", SITTER], stdin=pipe, stdout=pipe, text=True, env=environment
    ) as sitter:
        assert sitter.stdin is not None
        assert sitter.stdout is not None
        orders, answers = sitter.stdin, sitter.stdout
        assert answers.readline() == "ready\n"

        def order(
            folder: Path,
            optimizer: str,
            steps: int = STEPS,
            stop: int = 0,
            kill: int = 0,
            microseconds: int = 0,
        ) -> int:
            orders.write(f"{folder}|{optimizer}|{steps}|{stop}|{kill}|{microseconds}\n")
            orders.flush()
            return int(answers.readline())

        yield order
        with contextlib.suppress(OSError):
            orders.close()


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_step_can_be_the_last_of_a_process_and_a_new_one_goes_on(
    sitting: Order, tmp_path: Path, count: Callable[[int, int], int], optimizer: str
) -> None:
    steps = count(STEPS, 200)
    whole = tmp_path / "whole"
    assert sitting(whole, optimizer, steps) == 0
    for stop in range(1, steps):
        folder = tmp_path / str(stop)
        assert sitting(folder, optimizer, steps, stop=stop) == 0
        assert sitting(folder, optimizer, steps) == 0
        assert written(folder) == written(whole), stop
        assert told(folder) == told(whole), stop
        shutil.rmtree(folder)


def test_a_kill_before_every_call_that_changes_the_disk_loses_nothing_that_was_saved(
    sitting: Order, tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, object], None]
) -> None:
    whole = tmp_path / "whole"
    assert sitting(whole, "muon") == 0
    killed = 0
    for kill in range(1, 2000, count(9, 1)):
        folder = tmp_path / str(kill)
        work(folder)  # its text is there
        if sitting(folder, "muon", kill=kill) == 0:
            break
        killed += 1
        assert sitting(folder, "muon") == 0
        assert written(folder) == written(whole), kill
        assert told(folder) == told(whole), kill
        assert not list(folder.rglob("*.part")), kill
        shutil.rmtree(folder)
    assert killed > 10
    report("training: calls of one run before which a kill lost nothing", killed)


def test_a_kill_at_any_moment_loses_nothing_that_was_saved(
    sitting: Order, tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, object], None]
) -> None:
    whole = tmp_path / "whole"
    work(whole)
    began = time.perf_counter()
    assert sitting(whole, "muon") == 0
    longest = int(1.2e6 * (time.perf_counter() - began))
    chance, survived = random.Random(5), 0
    for n in range(count(6, 300)):
        folder = tmp_path / str(n)
        work(folder)
        for _ in range(3):
            if sitting(folder, "muon", microseconds=chance.randrange(longest)) == 0:
                break
            survived += 1
            kept = list(folder.glob("resume/step-*"))
            assert not kept or read_save(folder / "resume") is not None
        assert sitting(folder, "muon") == 0
        assert written(folder) == written(whole), n
        assert told(folder) == told(whole), n
        shutil.rmtree(folder)
    report("training: kills of a live run that lost nothing", survived)


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
def test_a_disk_that_refuses_any_write_of_a_run_is_told_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int], fault: str
) -> None:
    monkeypatch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = tmp_path / "whole"
    run_to_end(begin(whole, steps=STEPS))
    for at in range(1, 2000, count(23, 1)):
        folder = tmp_path / str(at)
        work(folder)
        stage = begin(folder, steps=STEPS)
        faulty = FaultyOs(at, getattr(errno, fault))
        with monkeypatch.context() as patch, contextlib.suppress(LabError):
            patch.setattr(durable, "os", faulty)
            run_to_end(stage)
        if len(faulty.calls) < at:
            break
        run_to_end(begin(folder, steps=STEPS))
        assert written(folder) == written(whole), at
        assert told(folder) == told(whole), at
        shutil.rmtree(folder)
    torch.set_num_threads(threads)
    assert at > 50
