"""Two processes that torchrun started learn as one does with twice the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.training.checkpoints import read_save
from core.training.history import History, read_history

SMALL = {
    "words": 1500, "layers": 1, "width": 32, "heads": 2, "context": 64, "steps": 8, "evaluate_every": 4,
    "evaluate_tokens": 256, "save_every": 4, "precision": "f32", "warmup": 2,
}  # fmt: skip
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def trained(folder: Path, *how: str, batch: int, resume: bool = False) -> History:
    """A run by the command line, in processes of its own."""
    values = [f"--set={key}={value}" for key, value in (SMALL | {"batch": batch}).items()]
    command = [sys.executable, *how, "-m", "labapp", "train", "--out", str(folder), *values]
    command += ["--resume"] if resume else []
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(f"validation {read_history(folder).validated[-1].loss:.3f}") == 1, "one tells"
    return read_history(folder)


def test_two_processes_give_the_losses_of_one_with_twice_the_batch(tmp_path: Path) -> None:
    one = trained(tmp_path / "one", batch=4)
    two = trained(tmp_path / "two", *TORCHRUN, batch=2)
    assert [step.step for step in two.steps] == list(range(1, 9))
    assert [step.tokens for step in two.steps] == [step.tokens for step in one.steps]
    assert [step.loss for step in two.steps] == pytest.approx([step.loss for step in one.steps], abs=1e-4)
    assert two.validated[-1].loss == pytest.approx(one.validated[-1].loss, abs=1e-4)
    assert two.finished
    assert read_save(tmp_path / "two" / "resume") is not None
