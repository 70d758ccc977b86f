"""A GGUF file in the making: header first, then tensor after tensor, and its name only when it is whole.

The bytes are laid out by the `gguf` package. The file grows under another name beside the one it will have;
closing it early takes that away, unless it is to be gone on with (see `kept.py`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from core.artifacts.durable import PART, explain, sync_file, sync_folder
from core.formats.gguf import GGML_TYPES, padded
from core.problems import LabError
from core.quantization.blocks import bytes_of
from core.quantization.metadata import Entry, plain

ALIGNMENT = 32  # bytes, to which data of tensors are padded
NAME_AT_MOST = 63  # bytes of a tensor's name
_NUMBERS = {form.name: number for number, form in GGML_TYPES.items()}


class GgufFile:
    """Used in a `with`: `begin`, then `add` once for each tensor in order, then `finish`.

    Args:
        path: Where the file will be; nothing may be there yet.
        part: Where it grows, and stays when it is closed early; None for a name beside `path` and for nothing
            to stay.

    Raises:
        LabError: Something is there.
    """

    def __init__(self, path: Path, part: Path | None = None) -> None:
        if path.exists():
            raise LabError(f"{path} exists already.", "Choose another name; no file is written over.")
        self._path = path
        self._stays = part is not None
        self._part = part or path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
        self._writer: Any = None

    def __enter__(self) -> GgufFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        if not self._stays:
            with contextlib.suppress(OSError):
                os.unlink(self._part)
        if isinstance(error, OSError):
            raise explain(error, self._path) from error

    def begin(self, entries: Sequence[Entry], tensors: Sequence[tuple[str, tuple[int, ...], str]]) -> None:
        """Write the header.

        Args:
            entries: All metadata, `general.architecture` among them.
            tensors: Name, shape with the slowest-varying size first, and type of each, in order.

        Raises:
            LabError: A name is too long.
        """
        import gguf

        writer = gguf.GGUFWriter(self._part, "", use_temp_file=False)
        writer.kv_data[0].clear()  # it begins with an architecture of its own
        for entry in entries:
            kind, _, inner = entry.type.partition(" of ")
            writer.add_key_value(
                entry.key, plain(entry.value), _value_type(kind), _value_type(inner) if inner else None
            )
        for name, shape, kind in tensors:
            if len(name.encode()) > NAME_AT_MOST:
                raise LabError(
                    f"The name {name} has more than {NAME_AT_MOST} bytes.", "GGUF has no room for it."
                )
            numbers = 1
            for size in shape:
                numbers *= size
            writer.tensors[0][name] = gguf.gguf_writer.TensorInfo(
                shape=shape, dtype=gguf.GGMLQuantizationType(_NUMBERS[kind]), nbytes=bytes_of(kind, numbers)
            )
        self._writer = writer
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()

    def add(self, raw: Tensor) -> int:
        """The bytes of the next tensor, uint8; tells at which byte of the file they begin."""
        start = padded(self._writer.fout[0].tell(), ALIGNMENT)
        self._writer.write_tensor_data(raw.contiguous().view(-1).numpy())
        return start

    def finish(self) -> None:
        """Give the file its name; it lies on the disk then.

        Raises:
            LabError: The disk refused.
        """
        self._writer.close()
        self._writer = None
        try:
            sync_file(self._part)
            os.replace(self._part, self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise explain(error, self._path) from error


def _value_type(name: str) -> Any:
    import gguf

    names = {
        "u8": "UINT8", "i8": "INT8", "u16": "UINT16", "i16": "INT16", "u32": "UINT32", "i32": "INT32",
        "f32": "FLOAT32", "bool": "BOOL", "string": "STRING", "array": "ARRAY", "u64": "UINT64",
        "i64": "INT64", "f64": "FLOAT64",
    }  # fmt: skip
    return gguf.GGUFValueType[names[name]]
