"""The header of a safetensors file, checked before it is believed; and the index of a model in several files.

A length of 8 bytes, that many bytes of JSON, then the tensors one after another without holes. The checks are
those of the Rust library (`safetensors/src/tensor.rs`) and a few more: a name twice and an empty tensor are
refused, since two readers may understand them differently. Tensor data are read in `weights.py`.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from core.formats.bounded_json import parse_json, read_json
from core.formats.files import BoundedReader, open_bounded, quoted, shown
from core.problems import LabError

HEADER_AT_MOST = 8 << 20  # bytes of JSON; a model of 1,000 tensors has about 120 KB
TENSORS_AT_MOST = 1 << 16
DIMENSIONS_AT_MOST = 8
NAME_AT_MOST = 512  # characters

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16,
    "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Bits of a number of each type that has whole bytes."""

_MEND = "The file is damaged, cut short, or made to harm: get it again."


@dataclass(frozen=True)
class SafeTensor:
    """One entry of the header.

    Attributes:
        name: Its name.
        shape: Sizes, the slowest-varying first, as torch has them; () for a single number.
        type: "F32", "BF16", …
        start: First byte of its data, counted from the beginning of the file.
        size: Bytes of its data.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    start: int
    size: int


@dataclass(frozen=True)
class SafetensorsHeader:
    """What stands before the tensor data.

    Attributes:
        path: The file.
        name: Its last part, as messages show it.
        tensors: By name, in the order of their data.
        metadata: The texts under `__metadata__`.
    """

    path: Path
    name: str
    tensors: dict[str, SafeTensor]
    metadata: dict[str, str]


def read_safetensors_header(path: str | os.PathLike[str]) -> SafetensorsHeader:
    """Read and check everything before the tensor data, and that those fill the file to its end.

    Raises:
        LabError: The file cannot be read, is not safetensors, or fails a check; the place is named.
    """
    with open_bounded(path) as file:
        length = _header_length(file)
        raw = file.read(length)
        if raw[:1] != b"{":
            raise LabError(
                f"{file.name}, byte 8: the header begins with {quoted(raw[:8])}, not with {{.",
                "This is not a safetensors file. Only safetensors, JSON and GGUF are loaded.",
            )
        if raw.count(b"{") > TENSORS_AT_MOST + 2:
            _refuse(file, f"the header announces more than {TENSORS_AT_MOST:,} tensors")
        header = parse_json(raw, f"{file.name}, header")
        metadata = _metadata(file, header.pop("__metadata__", {}))
        begin = file.position
        tensors = sorted(
            (_entry(file, name, entry, begin) for name, entry in header.items()), key=lambda t: t.start
        )
        _check_order(file, tensors, begin)
        return SafetensorsHeader(file.path, file.name, {t.name: t for t in tensors}, metadata)


def read_safetensors_index(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Where each tensor of a model in several files lies.

    Args:
        path: `model.safetensors.index.json`; its files lie beside it.

    Raises:
        LabError: It is no index, or names a file outside its folder.
    """
    path, name = Path(path), shown(path)
    index = read_json(path, at_most=HEADER_AT_MOST)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places:
        raise LabError(f"{name} has no weight_map that says which file holds which tensor.", _MEND)
    files: dict[str, Path] = {}
    for tensor, file in places.items():
        if (
            not isinstance(file, str)
            or not file.endswith(".safetensors")
            or file.startswith(".")
            or not all(c.isascii() and (c.isalnum() or c in "._- ") for c in file)
        ):
            raise LabError(
                f"{name} says that {quoted(tensor)} lies in {quoted(str(file))}, which is no plain name of a "
                "safetensors file.",
                "Each part must lie beside the index. The file is damaged or made to harm.",
            )
        files[tensor] = path.parent / file
    return files


def _header_length(file: BoundedReader) -> int:
    length = file.u64()
    if not 2 <= length <= file.remaining:
        _refuse(file, f"a header of {length:,} bytes is announced where {file.remaining:,} are left", place=0)
    if length > HEADER_AT_MOST:
        _refuse(file, f"a header of {length:,} bytes is above the limit of {HEADER_AT_MOST:,}", place=0)
    return length


def _metadata(file: BoundedReader, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        _refuse(file, "__metadata__ must hold texts only")
    return value


def _entry(file: BoundedReader, name: str, entry: Any, begin: int) -> SafeTensor:
    what = f"tensor {quoted(name)}"
    if not 0 < len(name) <= NAME_AT_MOST or not name.isprintable():
        _refuse(file, f"{what}: a name has 1 to {NAME_AT_MOST} printable characters")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(file, f"{what} must have dtype, shape and data_offsets, and nothing else")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in BITS:
        _refuse(file, f"{what} has the type {quoted(str(kind))}, which is not known")
    if not _are_sizes(shape) or len(shape) > DIMENSIONS_AT_MOST or 0 in shape:
        _refuse(file, f"{what} has the shape {quoted(str(shape))}; up to 8 sizes of 1 or more are allowed")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(file, f"{what} has the data_offsets {quoted(str(offsets))}, which are no begin and end")
    size = math.prod(shape) * BITS[kind] // 8  # of Python's integers: this product does not wrap
    if size != offsets[1] - offsets[0]:
        _refuse(
            file,
            f"{what} of shape {shape} and type {kind} needs {size:,} bytes and has "
            f"{offsets[1] - offsets[0]:,}",
        )
    return SafeTensor(name, tuple(shape), kind, begin + offsets[0], size)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_order(file: BoundedReader, tensors: list[SafeTensor], begin: int) -> None:
    """Each tensor begins where the one before it ended, and the last one ends with the file."""
    expected = begin
    for tensor in tensors:
        if tensor.start != expected:
            _refuse(
                file,
                f"tensor {quoted(tensor.name)} begins at byte {tensor.start:,}; {expected:,} was expected",
            )
        expected = tensor.start + tensor.size
    if expected != file.size:
        cut = "is cut short" if expected > file.size else "goes on behind them"
        _refuse(file, f"the tensors end at byte {expected:,} and the file, of {file.size:,}, {cut}")


def _refuse(file: BoundedReader, what: str, place: int = 8) -> NoReturn:
    raise LabError(f"{file.name}, byte {place}: {what}.", _MEND)
