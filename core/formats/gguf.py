"""The header of a GGUF file: metadata and the table of tensors, checked before they are believed.

Versions 2 and 3, little-endian. The checks are those of llama.cpp's gguf.cpp, of its loader, and a few more:
every number that the file declares is compared with what is left of the file before anything is made of it.
Tensor data are never read here; writing and dequantizing are elsewhere (`core/quantization`).

Sources: docs/gguf.md of ggml; `GGML_TYPES` from ggml.h.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from core.formats.files import BoundedReader, StringArray, open_bounded, quoted
from core.problems import LabError

HEADER_AT_MOST = 24 << 20  # bytes of metadata; the largest known (Gemma 3: 262,144 tokens) has about 18 MB
KEYS_AT_MOST = 1 << 16
TENSORS_AT_MOST = 1 << 16
STRINGS_AT_MOST = 1 << 20  # in one array: tokens or merges
TEXT_AT_MOST = 1 << 20  # bytes of one string; the longest known chat template has 30 KB
ALIGNMENT_AT_MOST = 1 << 20
DEFAULT_ALIGNMENT = 32

GgufValue = int | float | bool | str | StringArray | npt.NDArray[Any]

_MADE_TO_HARM = "No known model needs that: the file is damaged or made to harm."
_NOT_TO_SPEC = "The file does not follow the GGUF specification: get it again, or convert the model again."


@dataclass(frozen=True)
class BlockFormat:
    """How a tensor type stores numbers: `block` numbers in `size` bytes."""

    name: str
    block: int
    size: int


_TYPES = (
    "0 F32 1 4, 1 F16 1 2, 2 Q4_0 32 18, 3 Q4_1 32 20, 6 Q5_0 32 22, 7 Q5_1 32 24, 8 Q8_0 32 34, "
    "9 Q8_1 32 36, 10 Q2_K 256 84, 11 Q3_K 256 110, 12 Q4_K 256 144, 13 Q5_K 256 176, 14 Q6_K 256 210, "
    "15 Q8_K 256 292, 16 IQ2_XXS 256 66, 17 IQ2_XS 256 74, 18 IQ3_XXS 256 98, 19 IQ1_S 256 50, "
    "20 IQ4_NL 32 18, 21 IQ3_S 256 110, 22 IQ2_S 256 82, 23 IQ4_XS 256 136, 24 I8 1 1, 25 I16 1 2, "
    "26 I32 1 4, 27 I64 1 8, 28 F64 1 8, 29 IQ1_M 256 56, 30 BF16 1 2, 34 TQ1_0 256 54, 35 TQ2_0 256 66, "
    "39 MXFP4 32 17, 40 NVFP4 64 36, 41 Q1_0 128 18"
)
GGML_TYPES: dict[int, BlockFormat] = {
    int(number): BlockFormat(name, int(block), int(size))
    for number, name, block, size in (entry.split() for entry in _TYPES.split(", "))
}


@dataclass(frozen=True)
class TensorInfo:
    """One line of the table of tensors.

    Attributes:
        name: Its name, at most 63 bytes.
        shape: Sizes, the fastest-varying first, as ggml has them: a torch weight (out, in) is [in, out].
        type: Name of its block format: "F32", "Q4_1".
        offset: First byte of its data, counted from the beginning of the data section.
        start: The same, counted from the beginning of the file.
        size: Bytes of its data, without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    start: int
    size: int


@dataclass(frozen=True)
class GgufHeader:
    """What stands before the tensor data.

    Attributes:
        path: The file.
        name: Its last part, as messages show it.
        version: 2 or 3.
        metadata: Values in the order of the file; an array of strings is a `StringArray`, one of numbers a
            numpy array.
        types: The declared type of each value: "u32", "string", "array of i32".
        places: Byte offset in the file at which each key's entry begins.
        tensors: The table of tensors, in the order of the file.
        alignment: Bytes to which tensor data are padded.
        data_start: Byte at which the data section begins.
        file_size: Bytes of the file.
    """

    path: Path
    name: str
    version: int
    metadata: dict[str, GgufValue]
    types: dict[str, str]
    places: dict[str, int]
    tensors: list[TensorInfo]
    alignment: int
    data_start: int
    file_size: int

    def value(self, key: str, type: str) -> Any:
        """The value of `key`, which must have been declared as `type`; None where the key is missing.

        Raises:
            LabError: It has another type: reading it anyway would mistake its bytes.
        """
        if key not in self.metadata:
            return None
        if self.types[key] != type:
            raise LabError(
                f"{self.name}, byte {self.places[key]:,}: {key} is declared as {self.types[key]}, "
                f"not as {type}.",
                _NOT_TO_SPEC,
            )
        return self.metadata[key]

    def tensor(self, name: str) -> TensorInfo | None:
        """The tensor of that name, or None."""
        return next((tensor for tensor in self.tensors if tensor.name == name), None)


def read_gguf_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Read and check everything before the tensor data, and that those lie within the file.

    Raises:
        LabError: The file cannot be read, is not GGUF, or fails a check; file and byte are named.
    """
    with open_bounded(path) as file:
        version = _version(file)
        tensor_count = _count(file, "tensors", least=24, at_most=TENSORS_AT_MOST)
        key_count = _count(file, "metadata keys", least=13, at_most=KEYS_AT_MOST)
        metadata: dict[str, GgufValue] = {}
        types: dict[str, str] = {}
        places: dict[str, int] = {}
        for _ in range(key_count):
            place = file.position
            key = _key(file)
            if key in metadata:
                _refuse(file, place, f"the key {quoted(key)} stands here a second time")
            metadata[key], types[key] = _value(file, key)
            places[key] = place
        alignment = _alignment(file, metadata, types, places)
        drafts = _tensor_table(file, tensor_count, alignment)
        data_start = padded(file.position, alignment)
        tensors = [
            TensorInfo(name, shape, kind, offset, data_start + offset, size)
            for name, shape, kind, offset, size in drafts
        ]
        _check_end(file, tensors, data_start, alignment)
        return GgufHeader(
            file.path, file.name, version, metadata, types, places, tensors, alignment, data_start, file.size
        )


def padded(size: int, alignment: int) -> int:
    """The next multiple of `alignment`.

    >>> padded(33, 32), padded(32, 32)
    (64, 32)
    """
    return -(-size // alignment) * alignment


def _version(file: BoundedReader) -> int:
    magic = file.read(4)
    if magic != b"GGUF":
        raise LabError(
            f"{file.name}, byte 0: a GGUF file begins with GGUF, this one with {quoted(magic)}.",
            "Choose a .gguf file.",
        )
    version = file.u32()
    if version & 0xFFFF == 0 and version:
        raise LabError(
            f"{file.name}, byte 4: version 0x{version:08x}: the file is byte-swapped (big-endian).",
            "Convert the model for a little-endian machine.",
        )
    if version not in (2, 3):
        raise LabError(
            f"{file.name}, byte 4: GGUF version {version:,} is not known; 2 and 3 are.",
            "Convert the model with a current tool.",
        )
    return version


def _count(file: BoundedReader, what: str, least: int, at_most: int) -> int:
    """A count of entries of which each needs at least `least` bytes."""
    place = file.position
    count = file.i64()
    if count < 0 or count * least > file.remaining:
        _refuse(file, place, f"{count:,} {what} are announced where {file.remaining:,} bytes are left")
    if count > at_most:
        _refuse(file, place, f"{count:,} {what} are above the limit of {at_most:,}", _MADE_TO_HARM)
    return count


def _key(file: BoundedReader) -> str:
    place = file.position
    raw = file.string(at_most=65_535)
    if not raw:
        _refuse(file, place, "a metadata key is empty")
    if not all(32 < byte < 127 for byte in raw):
        _refuse(file, place, f"the metadata key {quoted(raw)} holds more than printable ASCII")
    return raw.decode("ascii")


_Read = Callable[[BoundedReader], Any]
_SCALARS: dict[int, tuple[str, str, _Read]] = {
    0: ("u8", "<u1", BoundedReader.u8),
    1: ("i8", "<i1", lambda file: (file.u8() ^ 0x80) - 0x80),
    2: ("u16", "<u2", BoundedReader.u16),
    3: ("i16", "<i2", lambda file: (file.u16() ^ 0x8000) - 0x8000),
    4: ("u32", "<u4", BoundedReader.u32),
    5: ("i32", "<i4", BoundedReader.i32),
    6: ("f32", "<f4", BoundedReader.f32),
    7: ("bool", "<u1", BoundedReader.u8),
    10: ("u64", "<u8", BoundedReader.u64),
    11: ("i64", "<i8", BoundedReader.i64),
    12: ("f64", "<f8", BoundedReader.f64),
}
_STRING, _ARRAY = 8, 9


def _value(file: BoundedReader, key: str) -> tuple[GgufValue, str]:
    place = file.position
    kind = file.u32()
    if kind in _SCALARS:
        name, _, read = _SCALARS[kind]
        value = read(file)
        if name == "bool":
            if value > 1:
                _refuse(file, place + 4, f"{key} is yes or no, and its byte is {value}, which is neither")
            value = bool(value)
        return value, name
    if kind == _STRING:
        at = file.position
        raw = file.string(TEXT_AT_MOST)
        _check_total(file)
        return decode_text_at(raw, file.name, at + 8), "string"
    if kind != _ARRAY:
        _refuse(file, place, f"{key} has the value type {kind:,}, which does not exist")
    return _array(file, key)


def decode_text_at(raw: bytes, name: str, start: int) -> str:
    """Strict UTF-8 of a piece that begins at byte `start` of the file `name`.

    Raises:
        LabError: A byte is no UTF-8; its offset in the file is named.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LabError(
            f"{name}, byte {start + error.start:,}: 0x{raw[error.start]:02x} is not valid UTF-8 here.",
            _NOT_TO_SPEC,
        ) from error


def _array(file: BoundedReader, key: str) -> tuple[GgufValue, str]:
    place = file.position
    kind, count = file.u32(), file.u64()
    if kind == _ARRAY:
        _refuse(file, place, f"{key} is a list of lists, which no reader of models takes")
    if kind != _STRING and kind not in _SCALARS:
        _refuse(file, place, f"{key} is a list of the value type {kind:,}, which does not exist")
    width = 8 if kind == _STRING else np.dtype(_SCALARS[kind][1]).itemsize
    if count * width > file.remaining:
        _refuse(
            file, place + 4, f"{key} announces {count:,} elements where {file.remaining:,} bytes are left"
        )
    if count > STRINGS_AT_MOST:
        _refuse(
            file,
            place + 4,
            f"{key} has {count:,} elements; at most {STRINGS_AT_MOST:,} are read",
            _MADE_TO_HARM,
        )
    if kind == _STRING:
        strings = file.strings(count, at_most=HEADER_AT_MOST - file.position, each_at_most=TEXT_AT_MOST)
        return strings, "array of string"
    name, dtype, _ = _SCALARS[kind]
    numbers = np.frombuffer(file.read(count * width), dtype=dtype)
    _check_total(file)
    if name == "bool":
        wrong = np.flatnonzero(numbers > 1)
        if wrong.size:
            first = int(wrong[0])
            _refuse(file, place + 12 + first, f"{key} is yes or no, and its byte is {int(numbers[first])}")
        return numbers.view(np.bool_), "array of bool"
    return numbers, f"array of {name}"


def _check_total(file: BoundedReader) -> None:
    if file.position > HEADER_AT_MOST:
        _refuse(
            file,
            file.position,
            f"the metadata are above the limit of {HEADER_AT_MOST:,} bytes",
            _MADE_TO_HARM,
        )


def _alignment(
    file: BoundedReader, metadata: dict[str, GgufValue], types: dict[str, str], places: dict[str, int]
) -> int:
    key = "general.alignment"
    if key not in metadata:
        return DEFAULT_ALIGNMENT
    value = metadata[key]
    if types[key] != "u32":
        _refuse(file, places[key], f"{key} is declared as {types[key]}, not as u32")
    if not isinstance(value, int) or value < 1 or value & (value - 1) or value > ALIGNMENT_AT_MOST:
        _refuse(file, places[key], f"{key} is {value:,}, not a power of two from 1 to {ALIGNMENT_AT_MOST:,}")
    return value


_Draft = tuple[str, tuple[int, ...], str, int, int]


def _tensor_table(file: BoundedReader, count: int, alignment: int) -> list[_Draft]:
    """Name, shape, type, offset and bytes of each tensor; offsets must follow each other without holes."""
    drafts: list[_Draft] = []
    names: set[str] = set()
    expected = 0
    for _ in range(count):
        place = file.position
        name = _tensor_name(file)
        if name in names:
            _refuse(file, place, f"the tensor {quoted(name)} stands here a second time")
        names.add(name)
        shape, kind, size = _tensor_extent(file, name)
        place = file.position
        offset = file.u64()
        if offset != expected:
            _refuse(
                file,
                place,
                f"tensor {name} begins at byte {offset:,} of the tensor data; {expected:,} was expected",
            )
        expected = padded(offset + size, alignment)
        drafts.append((name, shape, kind, offset, size))
    return drafts


def _tensor_name(file: BoundedReader) -> str:
    place = file.position
    raw = file.string(at_most=65_535)
    if not 0 < len(raw) < 64:
        _refuse(file, place, f"a tensor name has {len(raw):,} bytes; 1 to 63 are allowed")
    # Nothing here becomes a path; but what is exported later might name its files after tensors.
    if not all(32 < byte < 127 for byte in raw) or b".." in raw or b"\\" in raw or raw[:1] == b"/":
        _refuse(file, place, f"the tensor name {quoted(raw)} is not made of plain letters, digits and points")
    return raw.decode("ascii")


def _tensor_extent(file: BoundedReader, name: str) -> tuple[tuple[int, ...], str, int]:
    """Shape, type and bytes of a tensor, from the entry in the table."""
    place = file.position
    dimensions = file.u32()
    if not 1 <= dimensions <= 4:
        _refuse(file, place, f"tensor {name} has {dimensions:,} dimensions; 1 to 4 are allowed")
    shape = tuple(file.i64() for _ in range(dimensions))
    if min(shape) < 1:
        _refuse(file, place + 4, f"tensor {name} has the shape {list(shape)}; every size must be 1 or more")
    numbers = math.prod(shape)  # of Python's integers: this product does not wrap
    place = file.position
    kind = file.u32()
    form = GGML_TYPES.get(kind)
    if form is None:
        _refuse(file, place, f"tensor {name} has the type {kind:,}, which does not exist or was removed")
    if shape[0] % form.block:
        _refuse(
            file,
            place,
            f"tensor {name} has rows of {shape[0]:,} numbers, and {form.name} packs {form.block} each",
        )
    size = numbers // form.block * form.size
    if size > file.size:
        _refuse(file, place, f"tensor {name} of shape {list(shape)} needs {size:,} bytes of {file.size:,}")
    return shape, form.name, size


def _check_end(file: BoundedReader, tensors: list[TensorInfo], data_start: int, alignment: int) -> None:
    """The data must lie within the file, and nothing but padding may lie behind them."""
    end = tensors[-1].start + tensors[-1].size if tensors else file.position
    if end > file.size:
        cut = next(tensor for tensor in tensors if tensor.start + tensor.size > file.size)
        raise LabError(
            f"{file.name} ends at byte {file.size:,}, inside tensor {cut.name}, which goes to byte "
            f"{cut.start + cut.size:,}.",
            "The file is cut short: get it again.",
        )
    behind = file.size - padded(end, alignment)
    if behind > 0:
        _refuse(
            file, file.size - behind, f"{behind:,} bytes lie behind the last tensor, where the file must end"
        )


def _refuse(file: BoundedReader, place: int, what: str, remedy: str = _NOT_TO_SPEC) -> NoReturn:
    raise LabError(f"{file.name}, byte {place:,}: {what}.", remedy)
