"""Tensors of GGUF and safetensors files, read once into the memory where they stay.

The headers say where the data lie (`gguf.py`, `safetensors.py`), the block formats what they mean
(`blocks.py`). What is read is float32, whatever the file holds; nothing is mapped, and no second copy of a
tensor is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.formats.blocks import dequantize, readable
from core.formats.files import BoundedReader, open_bounded, quoted
from core.formats.gguf import GGML_TYPES, GgufHeader
from core.formats.safetensors import SafetensorsHeader
from core.problems import LabError

_SLICE = 1 << 20  # numbers that are read at once: 4 MB stay in the processor's cache

_BLOCKS = {form.name: form for form in GGML_TYPES.values()}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies, in whichever format.

    Attributes:
        name: Its name in the file.
        shape: Sizes, the slowest-varying first, as torch has them.
        kind: How its numbers are stored: "F32", "BF16", "Q4_1".
        path: The file.
        start: First byte of its data in that file.
        size: Bytes of its data.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    path: Path
    start: int
    size: int

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def stored_in_gguf(header: GgufHeader) -> dict[str, StoredTensor]:
    """The tensors of a GGUF file by name; shapes are turned round, since ggml names the fastest first."""
    return {
        t.name: StoredTensor(t.name, t.shape[::-1], t.type, header.path, t.start, t.size)
        for t in header.tensors
    }


def stored_in_safetensors(header: SafetensorsHeader) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file by name."""
    return {
        t.name: StoredTensor(t.name, t.shape, t.type, header.path, t.start, t.size)
        for t in header.tensors.values()
    }


class WeightReader:
    """Reads tensors from any number of files, each opened once; close it, or use it in a `with`."""

    def __init__(self) -> None:
        self._files: dict[Path, BoundedReader] = {}
        self._raw = torch.empty(0, dtype=torch.uint8)

    def __enter__(self) -> WeightReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def read(self, stored: StoredTensor, out: Tensor) -> Iterator[int]:
        """Read a tensor into `out`, slice by slice; yields the bytes read so far.

        Args:
            stored: Where it lies.
            out: float32, contiguous, of as many numbers; its shape does not matter.

        Raises:
            LabError: Its type is not read, the file is shorter than before, or the disk failed.
        """
        if stored.kind not in readable():
            raise LabError(
                f"{stored.path.name}: tensor {quoted(stored.name)} has the type {stored.kind}, which is not "
                "read here.",
                f"Choose a file with weights of these types: {', '.join(readable())}.",
            )
        flat = out.view(-1)
        file = self._open(stored.path)
        file.move_to(stored.start)
        form = _BLOCKS[stored.kind]
        step = _SLICE // form.block * form.block
        for begin in range(0, stored.numbers, step):
            count = min(step, stored.numbers - begin)
            raw = self._buffer(count // form.block * form.size)
            file.read_into(memoryview(raw.numpy().data))
            dequantize(raw, stored.kind, flat[begin : begin + count])
            yield file.position - stored.start

    def _open(self, path: Path) -> BoundedReader:
        if path not in self._files:
            self._files[path] = open_bounded(path)
        return self._files[path]

    def _buffer(self, size: int) -> Tensor:
        if len(self._raw) < size:
            self._raw = torch.empty(size, dtype=torch.uint8)
        return self._raw[:size]


def read_whole(stored: StoredTensor) -> Tensor:
    """One tensor as float32, in its own shape; for small ones and for tests.

    Raises:
        LabError: As `WeightReader.read`.
    """
    out = torch.empty(stored.shape, dtype=torch.float32)
    with WeightReader() as reader:
        for _ in reader.read(stored, out):
            pass
    return out
