"""A save meets a full disk, a crash or damage; a loss that is no number; tokens that changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from core.artifacts import durable
from core.problems import LabError
from core.stages import run_to_end
from core.training.checkpoints import read_save, write_save
from core.training.history import read_history
from tests.core.training.small_runs import begin, work
from tests.faults.test_artifact_crash import FaultyOs

OLD, NEW = {"w": torch.zeros(4)}, {"w": torch.ones(4)}


def _refusal(folder: Path) -> str:
    """The remedy that a save names when it cannot be written; "" where it is written."""
    try:
        write_save(folder, 2, NEW, NEW, {})
    except LabError as error:
        return error.remedy
    return ""


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EROFS"])
def test_a_fault_at_every_call_of_a_save_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    for at in range(1, 200):
        folder = tmp_path / str(at)
        write_save(folder, 1, OLD, OLD, {})
        faulty = FaultyOs(at, getattr(errno, fault))
        monkeypatch.setattr(durable, "os", faulty)
        failed = _refusal(folder)
        monkeypatch.setattr(durable, "os", os)
        if len(faulty.calls) < at:
            break
        save = read_save(folder)
        assert save is not None
        assert save.step == (1 if failed else 2)
        assert torch.equal(save.weights["w"], (OLD if failed else NEW)["w"])
        assert [path.name for path in folder.iterdir()] == [f"step-{save.step:06}"]
    assert at > 10


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "save.json"])
def test_a_damaged_save_is_passed_over_for_an_older_one_or_told(tmp_path: Path, file: str) -> None:
    write_save(tmp_path / "other", 1, OLD, OLD, {})
    write_save(tmp_path / "saves", 2, NEW, NEW, {})
    path = tmp_path / "saves" / "step-000002" / file
    data = bytearray(path.read_bytes())
    data[-9 if file == "save.json" else -1] ^= 1
    path.write_bytes(data[:-12] if file == "save.json" else data)
    with pytest.raises(LabError, match="No save of this run is whole"):
        read_save(tmp_path / "saves")
    shutil.copytree(tmp_path / "other" / "step-000001", tmp_path / "saves" / "step-000001")
    save = read_save(tmp_path / "saves")
    assert save is not None
    assert save.step == 1


def test_a_loss_that_is_no_number_names_the_step_and_the_last_save(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"at step \d+; (the save of step \d+ is whole|nothing)") as caught:
        run_to_end(begin(tmp_path, optimizer="adamw", rate=100.0, clip=0.0, warmup=0, steps=400, save_every=1,
                         weight_decay=10.0, evaluate_every=1000))  # fmt: skip
    save, steps = read_save(tmp_path / "resume"), read_history(tmp_path).steps
    assert save is not None
    assert f"step {save.step}" in caught.value.problem
    assert steps[-1].step == save.step


def test_a_full_memory_names_the_step_and_more_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr("core.training.lessons.cross_entropy", refuse)
    with pytest.raises(LabError, match="The memory is full at step 1") as caught:
        run_to_end(begin(tmp_path))
    assert "2 parts" in caught.value.remedy


def test_changed_tokens_are_told(tmp_path: Path) -> None:
    run_to_end(begin(tmp_path, steps=2))
    path = tmp_path / "tokens" / "train.bin"
    data = bytearray(path.read_bytes())
    data[8] ^= 1
    path.write_bytes(data)
    with pytest.raises(LabError, match="no longer those"):
        begin(tmp_path)
    facts = json.loads((tmp_path / "tokens" / "tokens.json").read_text())
    (tmp_path / "tokens" / "tokens.json").write_text(json.dumps(facts | {"sha256": "0" * 64}))
    with pytest.raises(LabError, match="other tokens"):
        begin(tmp_path)


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    run_to_end(begin(tmp_path, steps=3))
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"event": "Stepped", "step": 4, "lo')
    assert len(read_history(tmp_path).steps) == 3
    run_to_end(begin(tmp_path, steps=5))
    assert [one.step for one in read_history(tmp_path).steps] == [1, 2, 3, 4, 5]
    assert work(tmp_path).folder == tmp_path
