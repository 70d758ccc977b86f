"""A run of fine-tuning that is killed, or refused by a full disk, goes on to the bytes of one that was not."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core.artifacts import durable
from core.problems import LabError
from core.stages import run_to_end
from core.training.finetune import resume_finetune, start_finetune
from core.training.finetune_plans import PLAN
from core.training.finetune_settings import FinetuneSettings
from tests.core.training.small_runs import told, written
from tests.core.training.tiny_chat import tiny_model, tiny_plan, write_pairs
from tests.faults.test_artifact_crash import FaultyOs

ROOT = Path(__file__).resolve().parents[2]
CHANGES = {"steps": 6, "evaluate_every": 3, "save_every": 2}
METHOD = FinetuneSettings("dpo", beta=0.1, nll=1.0, rank=2)

# As in test_training_kills.py: an order a line, each done by a fork that has trained nothing yet.
SITTER = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import core.training.loop
from core.artifacts import durable
from core.stages import run_to_end
from tests.faults.killing import KillingOs
from tests.faults.test_finetuning_faults import sit

core.training.loop.choose_precision = lambda *_: ("f32", 1e9)

print("ready", flush=True)
for line in sys.stdin:
    root, folder, kill = line.rstrip().split("|")
    child = os.fork()
    if not child:
        if int(kill):
            durable.os = KillingOs(int(kill))
        sit(Path(root), Path(folder))
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def sit(root: Path, folder: Path) -> None:
    """Begin or go on with the run, to its end."""
    if (folder / PLAN).is_file():
        run_to_end(resume_finetune(folder))
    else:
        run_to_end(start_finetune(folder, tiny_plan(root / "base", root / "pairs.jsonl", METHOD, **CHANGES)))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, pairs, and a run that nothing interrupted."""
    root = tmp_path_factory.mktemp("root")
    tiny_model(root / "base")
    write_pairs(root / "pairs.jsonl", [(f"{n} + 1?", str(n + 1), "No.") for n in range(10)])
    sit(root, root / "whole")
    return root


def test_a_full_disk_at_any_call_is_told_and_the_run_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int]
) -> None:
    calls = FaultyOs(10**9, errno.ENOSPC)
    monkeypatch.setattr(durable, "os", calls)
    sit(root, tmp_path / "counted")
    total = len(calls.calls)
    for at in random.Random(7).sample(range(1, total), min(total - 1, count(8, 200))):
        folder = tmp_path / str(at)
        monkeypatch.setattr(durable, "os", FaultyOs(at, errno.ENOSPC))
        with contextlib.suppress(LabError):  # anything else would be our bug
            sit(root, folder)
        monkeypatch.setattr(durable, "os", os)
        sit(root, folder)
        assert told(folder) == told(root / "whole"), f"call {at} of {total}"
        assert written(folder) == written(root / "whole"), f"call {at} of {total}"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork and no SIGKILL")
def test_a_run_that_is_killed_at_any_call_goes_on_in_a_new_process(
    root: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", SITTER], stdin=pipe, stdout=pipe, text=True, env=environment
    ) as sitter:
        assert sitter.stdin is not None
        assert sitter.stdout is not None
        assert sitter.stdout.readline() == "ready\n"
        chance = random.Random(3)
        for number in range(count(3, 100)):
            folder = tmp_path / str(number)
            ended = -1
            for kill in (chance.randint(1, 60), chance.randint(1, 40), 0):
                sitter.stdin.write(f"{root}|{folder}|{kill}\n")
                sitter.stdin.flush()
                ended = int(sitter.stdout.readline())
            assert ended == 0
            assert told(folder) == told(root / "whole")
            assert written(folder) == written(root / "whole")
        sitter.stdin.close()
