"""A file of weights looked into: its metadata, its tensors by layer with their share, one tensor's numbers.

Any GGUF file is read, of whatever architecture; a folder from Hugging Face too. Nothing is loaded as a model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.formats.blocks import readable
from core.formats.files import quoted
from core.formats.gguf import GgufHeader, read_gguf_header
from core.formats.weights import StoredTensor, WeightReader, stored_in_gguf
from core.model.source import open_model
from core.problems import LabError
from core.quantization.tensors import BINS, counted, reach
from core.stages import Finished, Progress

SHOWN = 200  # characters of a value
_ITEMS = 8  # of an array that are shown
_LARGEST = 1 << 28  # numbers of a tensor that is read as a whole
_LAYER = re.compile(r"(?:blk|h|layers|blocks)\.(\d+)\.")


@dataclass(frozen=True)
class Fact:
    """A line of metadata: key, declared type, and the value as a person reads it."""

    key: str
    type: str
    value: str


@dataclass(frozen=True, eq=False)
class Inspected:
    """What is known of a file before its numbers are read.

    Attributes:
        path: Of the file or folder.
        name: As a person reads it.
        version: "GGUF 3", or "safetensors".
        facts: The metadata, in the order of the file.
        tensors: In the order of the file.
        file_bytes: Of all files.
    """

    path: Path
    name: str
    version: str
    facts: tuple[Fact, ...]
    tensors: tuple[StoredTensor, ...]
    file_bytes: int

    @property
    def numbers(self) -> int:
        """How many weights there are."""
        return sum(tensor.numbers for tensor in self.tensors)

    @property
    def bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    def types(self) -> list[tuple[str, int, int, int]]:
        """Type, tensors, weights and bytes, the largest first."""
        found: dict[str, tuple[int, int, int]] = {}
        for tensor in self.tensors:
            n, numbers, size = found.get(tensor.kind, (0, 0, 0))
            found[tensor.kind] = (n + 1, numbers + tensor.numbers, size + tensor.size)
        return sorted(((kind, *sums) for kind, sums in found.items()), key=lambda row: -row[3])

    def layers(self) -> list[tuple[str, list[StoredTensor]]]:
        """Tensors by layer; those that belong to none stand first, under ""."""
        found: dict[str, list[StoredTensor]] = {"": []}
        for tensor in self.tensors:
            layer = _LAYER.search(tensor.name)
            found.setdefault(layer[1] if layer else "", []).append(tensor)
        return sorted(found.items(), key=lambda pair: int(pair[0] or -1))


@dataclass(frozen=True, eq=False)
class Looked:
    """The numbers of one tensor.

    Attributes:
        tensor: Which one.
        matrix: As rows and columns, float32, (R, C).
        edges: Of the histogram's bins, (B + 1).
        counts: Numbers in each, (B).
        mean, deviation, low, high: Of all numbers.
        zeros: How many are exactly 0.
        levels: How many different numbers there are in the first row; few of them tell of rounding.
    """

    tensor: StoredTensor
    matrix: Tensor
    edges: Tensor
    counts: Tensor
    mean: float
    deviation: float
    low: float
    high: float
    zeros: int
    levels: int


def inspect_file(path: str | os.PathLike[str]) -> Inspected:
    """Read what stands before the numbers.

    Args:
        path: A GGUF file, a folder with config.json and safetensors, or one of its files.

    Raises:
        LabError: It cannot be read; file and byte are named.
    """
    path = Path(path)
    if not path.is_dir() and path.suffix != ".safetensors" and path.name != "config.json":
        header = read_gguf_header(path)
        stored = tuple(stored_in_gguf(header).values())
        facts = tuple(Fact(key, header.types[key], shown(value)) for key, value in header.metadata.items())
        return Inspected(header.path, header.name, _version(header), facts, stored, header.file_size)
    source = open_model(path)
    stored = tuple({p.stored.name: p.stored for parts in source.parameters.values() for p in parts}.values())
    config = [Fact(name, type(value).__name__, shown(value)) for name, value in vars(source.config).items()]
    size = sum(file.stat().st_size for file in {tensor.path for tensor in stored})
    return Inspected(source.path, source.name, "safetensors", tuple(config), stored, size)


def _version(header: GgufHeader) -> str:
    return f"GGUF {header.version}, aligned to {header.alignment} bytes"


def look_at(inspected: Inspected, name: str) -> Iterator[Progress | Finished[Looked]]:
    """Read one tensor's numbers.

    Raises:
        LabError: There is no such tensor, it is too large or of a type that is not read.
    """
    tensor = next((one for one in inspected.tensors if one.name == name), None)
    if tensor is None:
        raise LabError(f"{inspected.name} has no tensor {quoted(name)}.", "Choose one of the list.")
    if tensor.numbers > _LARGEST:
        raise LabError(
            f"{quoted(name)} has {tensor.numbers:,} numbers; at most {_LARGEST:,} are drawn.",
            "Choose a smaller tensor.",
        )
    if tensor.kind not in readable():
        raise LabError(
            f"{quoted(name)} has the type {tensor.kind}, whose numbers are not read here.",
            f"These types are: {', '.join(readable())}.",
        )
    return _look(tensor)


def _look(tensor: StoredTensor) -> Iterator[Progress | Finished[Looked]]:
    values = torch.empty(tensor.shape)
    with WeightReader() as reader:
        for read in reader.read(tensor, values):
            yield Progress(f"Reading {tensor.name}", read, tensor.size, "bytes")
    flat = values.view(-1)
    far = reach(flat)
    matrix = values.view(-1, tensor.shape[-1]) if values.dim() > 1 else values.view(1, -1)
    looked = Looked(
        tensor, matrix, torch.linspace(-far, far, BINS + 1), counted(flat, far), float(flat.mean()),
        float(flat.std(correction=0)), float(flat.min()), float(flat.max()), int((flat == 0).sum()),
        len(set(matrix[0].tolist())),
    )  # fmt: skip
    yield Finished("", looked)


def shown(value: Any) -> str:
    """A value of metadata in a line.

    >>> shown([1, 2, 3]), shown("a\\nb"), shown(True)
    ('3 items: 1, 2, 3', 'a b', 'True')
    """
    if isinstance(value, str):
        text = " ".join(value.split())
    elif hasattr(value, "__len__"):
        items = [_item(value[n]) for n in range(min(_ITEMS, len(value)))]
        more = ", …" if len(value) > _ITEMS else ""
        text = f"{len(value):,} items: {', '.join(items)}{more}"
    else:
        text = str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _item(item: Any) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
