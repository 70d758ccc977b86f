"""What is left of a quantized file when the work on it is stopped, so that the next time goes on from there.

A folder holds the file in the making and a log with a line for each tensor in it. They count only for the
same model, recipe and importances; else the work begins anew. What was done is copied, not computed again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.formats.bounded_json import parse_json
from core.formats.files import open_bounded, read_bytes
from core.model.source import ModelSource
from core.problems import LabError
from core.quantization.recipes import Plan

PART, LOG, OLD = "tensors.part", "tensors.jsonl", "tensors.old"
_LOG_AT_MOST = 64 << 20  # bytes
_FACTS = ("start", "bytes", "crc", "error", "largest", "copied")


@dataclasses.dataclass(frozen=True)
class Before:
    """A tensor that an earlier run has written.

    Attributes:
        start: Byte of the old file where its data begin.
        bytes: Of its data.
        crc: Their checksum: a power cut can leave zeros where data should be.
        error, largest, copied: As in `quantize.TensorDone`.
    """

    start: int
    bytes: int
    crc: int
    error: float
    largest: float
    copied: bool


def identity_of(source: ModelSource, plan: Plan, importances: Mapping[str, Tensor]) -> str:
    """A digest of all that decides the bytes of a file: the model's files as they are now, types, weights."""
    digest = hashlib.sha256()
    files = [source.path] if source.path.is_file() else sorted(source.path.iterdir())
    for file in files:
        facts = file.stat()
        digest.update(f"{file.resolve()} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    for choice in plan.choices:
        digest.update(f"{choice.tensor.name} {choice.tensor.shape} {choice.kind}\n".encode())
    digest.update(plan.recipe.name.encode())
    for name in sorted(importances):
        digest.update(name.encode() + importances[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


class Kept:
    """Used in a `with` while a file is written: what there was, and a log of what comes.

    Args:
        folder: Where both lie; None keeps nothing and has nothing.
        identity: From `identity_of`; a log of another one is put away.

    Attributes:
        before: What an earlier run has written, in order.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self._folder, self._identity = folder, identity
        self._log: Any = None
        self.before: tuple[Before, ...] = ()

    def __enter__(self) -> Kept:
        if self._folder is None:
            return self
        old, part = self._folder / OLD, self._folder / PART
        self.before = self._read()
        with contextlib.suppress(FileNotFoundError):
            os.replace(part, old)
        self._log = (self._folder / LOG).open("wb", buffering=0)
        self._log.write(json.dumps({"identity": self._identity}).encode() + b"\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None and self._folder is not None:
            self._log.close()
            with contextlib.suppress(OSError):
                os.unlink(self._folder / OLD)

    @property
    def part(self) -> Path | None:
        """Where the file in the making lies; None where nothing is kept."""
        return None if self._folder is None else self._folder / PART

    def raw(self, index: int) -> Tensor | None:
        """The bytes of a tensor that an earlier run has written; None where there are none, or not those."""
        if self._folder is None or index >= len(self.before):
            return None
        was = self.before[index]
        raw = torch.empty(was.bytes, dtype=torch.uint8)
        with open_bounded(self._folder / OLD) as file:
            file.move_to(was.start)
            file.read_into(memoryview(raw.numpy().data))
        return raw if checksum(raw) == was.crc else None

    def note(self, start: int, raw: Tensor, error: float, largest: float, copied: bool) -> None:
        """A tensor is on its way to the disk; `start` is its first byte there."""
        if self._log is not None:
            was = Before(start, len(raw), checksum(raw), error, largest, copied)
            self._log.write(json.dumps(dataclasses.asdict(was)).encode() + b"\n")

    def forget(self) -> None:
        """The file is whole: the log is not needed any more."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._folder / LOG)

    def _read(self) -> tuple[Before, ...]:
        if self._folder is None or not (self._folder / LOG).is_file() or not self._part_size():
            return ()
        lines = read_bytes(self._folder / LOG, _LOG_AT_MOST).splitlines()
        found: list[Before] = []
        with contextlib.suppress(LabError):  # a line that a crash has cut in two ends the list
            head = parse_json(lines[0], LOG) if lines else None
            if not isinstance(head, dict) or head.get("identity") != self._identity:
                return ()
            for line in lines[1:]:
                facts = parse_json(line, LOG)
                if not isinstance(facts, dict) or set(facts) != set(_FACTS):
                    break
                found.append(Before(**facts))
        size = self._part_size()
        return tuple(was for was in found if was.start + was.bytes <= size)

    def _part_size(self) -> int:
        try:
            return (self._folder / PART).stat().st_size if self._folder is not None else 0
        except OSError:
            return 0


def checksum(raw: Tensor) -> int:
    """Of the bytes of a tensor.

    >>> checksum(torch.tensor([1, 2, 3], dtype=torch.uint8))
    1438416925
    """
    return zlib.crc32(memoryview(raw.contiguous().view(-1).numpy().data))
