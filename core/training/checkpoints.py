"""Saves: what a run needs to go on bit for bit, and the checkpoints that stay.

A save is a folder `resume/step-N` that appears by one rename, with its hashes inside; the one before it is
removed only afterwards. A kill at any moment leaves the last one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from core.artifacts import durable, plain_json
from core.problems import LabError
from core.training.folders import step_folders, step_name

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Save:
    """A save, read and checked.

    Attributes:
        step: Steps done.
        weights: Parameters by name.
        optimizer: State of the optimizer by name.
        state: The rest, as JSON values.
    """

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


def write_save(
    folder: Path, step: int, weights: dict[str, Tensor], optimizer: dict[str, Tensor], state: dict[str, Any]
) -> Path:
    """Write a save below `folder`; older ones go when it is there.

    Raises:
        LabError: The disk refused; the older save is untouched.
    """
    durable.ensure_folder(folder)
    target, staging = folder / step_name(step), folder / f".{step_name(step)}{durable.PART}"
    durable.remove_folder(staging)
    try:
        staging.mkdir()
        hashes = {}
        for name, tensors in (("weights", weights), ("optimizer", optimizer)):
            data = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
            hashes[name] = hashlib.sha256(data).hexdigest()
            durable.write_file(staging / f"{name}.safetensors", data)
        facts = {"format": FORMAT, "step": step, "sha256": hashes, "state": plain_json.plain(state, "state")}
        plain_json.write_json(staging / "save.json", facts)
        durable.remove_folder(target)
        durable.move_folder(staging, target)
    except OSError as error:
        raise durable.explain(error, target) from error
    finally:
        durable.remove_folder(staging)
    for _, old in step_folders(folder):
        if old != target:
            durable.remove_folder(old)
    return target


def read_save(folder: Path) -> Save | None:
    """The newest save below `folder` that is whole; None where there is none.

    Raises:
        LabError: There are saves and none is whole.
    """
    faults: list[str] = []
    for step, path in reversed(step_folders(folder)):
        try:
            return _read(path, step)
        except (LabError, OSError, KeyError, TypeError, ValueError) as error:
            faults.append(str(error))
    if faults:
        raise LabError(
            f"No save of this run is whole: {faults[0]}",
            "Start a new run; the checkpoints of this one can still be opened.",
        )
    return None


def _read(path: Path, step: int) -> Save:
    facts = plain_json.read_json(path / "save.json")
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("step") != step:
        raise LabError(f"{path / 'save.json'} is not that of step {step:,}.", "It is damaged.")
    tensors = {}
    for name in ("weights", "optimizer"):
        file = path / f"{name}.safetensors"
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"][name]:
            raise LabError(f"{file} is not what was written.", "It is damaged.")
        tensors[name] = safetensors.torch.load(data)
    return Save(step, tensors["weights"], tensors["optimizer"], dict(facts["state"]))


def log_spaced(steps: int, first: int = 10, per_decade: int = 4) -> tuple[int, ...]:
    """Steps whose checkpoints stay: closer at the beginning, where most happens.

    >>> log_spaced(1000)
    (0, 10, 18, 32, 56, 100, 178, 316, 562, 1000)
    """
    wanted, n = {0, steps}, 0
    while (step := round(first * 10 ** (n / per_decade))) < steps:
        wanted.add(step)
        n += 1
    return tuple(sorted(wanted))
