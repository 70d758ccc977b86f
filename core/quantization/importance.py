"""Which columns of a table matter: the mean square of what a model multiplies them with on a text.

An error in a weight does harm in proportion to the numbers that it is multiplied with. So a text is read, and
for every table the squares of its inputs are summed, column by column. `quantize` then weighs errors with
the means. The files are those of llama.cpp's llama-imatrix: GGUF with `NAME.in_sum2` and `NAME.counts`, or
the older .dat. As there, the output is not collected, and the embedding is looked up, not multiplied.

Letters: T tokens of a window; C columns of a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.formats.files import open_bounded, quoted
from core.formats.gguf import read_gguf_header
from core.formats.weights import read_whole, stored_in_gguf
from core.model.config import ModelConfig, check_fits
from core.model.families import FAMILIES, gguf_sources
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.problems import LabError
from core.quantization.metadata import Entry
from core.quantization.writing import GgufFile
from core.stages import Finished, Progress

WINDOW = 512  # tokens that are read together, as llama-imatrix does
_NAME_AT_MOST = 256  # bytes
_ENTRIES_AT_MOST = 1 << 16
_COLUMNS_AT_MOST = 1 << 24
_NO_MATRIX = "Choose a file that llama-imatrix or this program has written."
_INPUTS = {
    "attn.qkv.weight": "ln1.normalized",
    "attn.out.weight": "attn.z",
    "mlp.inner.weight": "ln2.normalized",
    "mlp.down.weight": "mlp.post",
}
"""What each table of a block is multiplied with, by the names of the trace."""


@dataclass(frozen=True, eq=False)
class Importance:
    """An importance matrix.

    Attributes:
        sums: For each table, by its name in GGUF files: the sums of the squares of its inputs, float32, (C).
        counts: How many tokens were summed for it.
        windows: Pieces of text that were read.
        window: Tokens of a piece.
        texts: Names of the texts.
    """

    sums: Mapping[str, Tensor]
    counts: Mapping[str, float]
    windows: int
    window: int
    texts: tuple[str, ...]

    def weights(self) -> dict[str, Tensor]:
        """How much each column counts: the mean of the squares; 1 where nothing was summed."""
        return {
            name: sums / self.counts[name] if self.counts[name] > 0 else torch.ones_like(sums)
            for name, sums in self.sums.items()
        }


def collect_importance(
    model: Transformer, ids: Sequence[int], text: str, window: int = WINDOW, begin: int | None = None
) -> Iterator[Progress | Finished[Importance]]:
    """Read a text and sum.

    Args:
        model: In full precision.
        ids: The text; a rest that fills no window is left out, as llama-imatrix does.
        text: Its name.
        window: Tokens that are read together.
        begin: Id of the token that each window begins with in place of its first; None for none.

    Raises:
        LabError: The text does not fill a window, or a window is longer than the model looks back.
    """
    check_fits(model.config, window)
    if len(ids) < window or window < 2:
        raise LabError(
            f"The text has {len(ids):,} tokens and fills no window of {window:,}.",
            "Choose a longer text, a few thousand tokens at least.",
        )
    return _collect(model, tuple(ids), text, window, begin)


def _collect(
    model: Transformer, ids: tuple[int, ...], text: str, window: int, first: int | None
) -> Iterator[Progress | Finished[Importance]]:
    sums = _Sums(model.config)
    windows = len(ids) // window
    for number in range(windows):
        yield Progress("Reading the text", number * window, windows * window, "tokens")
        read = torch.tensor([ids[number * window : (number + 1) * window]])  # (1, T)
        if first is not None:
            read[0, 0] = first
        with torch.inference_mode():
            model.read(read, trace=sums)
    tokens = float(windows * window)
    named = {}
    for inner, at in _INPUTS.items():
        for n in range(model.config.layers):
            for name in gguf_sources(FAMILIES[model.config.family], f"blocks.{n}.{inner}"):
                named[name] = sums.sums[f"blocks.{n}.{at}"]
    named = dict(sorted(named.items()))
    made = Importance(named, dict.fromkeys(named, tokens), windows, window, (text,))
    yield Finished(f"{windows * window:,} tokens are read.", made)


class _Sums(Trace):
    """Sums squares in place of keeping what it is shown."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._names = {f"blocks.{n}.{at}" for n in range(config.layers) for at in _INPUTS.values()}
        self.sums: dict[str, Tensor] = {}

    def wants(self, name: str) -> bool:
        return name in self._names

    def record(self, name: str, tensor: Tensor) -> None:
        if name not in self._names:
            return
        squares = tensor.flatten(2).square().sum(dim=(0, 1))  # (C)
        if not bool(squares.isfinite().all()):
            raise LabError(
                f"A number in {name} is not finite.", "The model is damaged: choose another checkpoint."
            )
        self.sums[name] = self.sums[name] + squares if name in self.sums else squares.clone()


def write_importance(importance: Importance, path: Path) -> None:
    """Write a matrix as llama-imatrix does, as GGUF.

    Raises:
        LabError: The file exists, or the disk refused.
    """
    entries = [
        Entry("general.type", "string", "imatrix"),
        Entry("imatrix.datasets", "array of string", list(importance.texts)),
        Entry("imatrix.chunk_count", "u32", importance.windows),
        Entry("imatrix.chunk_size", "u32", importance.window),
    ]
    with GgufFile(path) as file:
        tensors = []
        for name, sums in importance.sums.items():
            tensors += [(f"{name}.in_sum2", (1, len(sums)), "F32"), (f"{name}.counts", (1, 1), "F32")]
        file.begin(entries, tensors)
        for name, sums in importance.sums.items():
            file.add(sums.contiguous().view(torch.uint8))
            file.add(torch.tensor([importance.counts[name]], dtype=torch.float32).view(torch.uint8))
        file.finish()


def read_importance(path: Path) -> Importance:
    """Read a matrix, GGUF or the older .dat.

    Raises:
        LabError: It is neither, is cut short, or holds a number that no sum of squares can be.
    """
    with open_bounded(path) as file:
        is_gguf = file.size >= 4 and file.read(4) == b"GGUF"
    made = _read_gguf(path) if is_gguf else _read_dat(path)
    for name, sums in made.sums.items():
        if not bool((sums.isfinite() & (sums >= 0)).all()):
            raise LabError(
                f"{path.name}: {quoted(name)} holds a number that is no sum of squares.", _NO_MATRIX
            )
    return made


def _read_gguf(path: Path) -> Importance:
    header = read_gguf_header(path)
    if header.value("general.type", "string") != "imatrix":
        raise LabError(f"{header.name} is no importance matrix.", _NO_MATRIX)
    stored = stored_in_gguf(header)
    sums, counts = {}, {}
    for name, tensor in stored.items():
        table, dot, part = name.rpartition(".")
        if not dot or part not in ("in_sum2", "counts") or tensor.kind != "F32":
            raise LabError(f"{header.name} has the tensor {quoted(name)}, which no matrix has.", _NO_MATRIX)
        if part == "counts":
            continue
        of = stored.get(f"{table}.counts")
        if of is None or of.numbers != 1 or tensor.numbers > _COLUMNS_AT_MOST:
            raise LabError(
                f"{header.name} does not say how often {quoted(table)} was counted, or has it for several "
                "experts.",
                _NO_MATRIX,
            )
        sums[table] = read_whole(tensor).view(-1)
        counts[table] = float(read_whole(of))
        if not 0 <= counts[table] < 1e15:
            raise LabError(f"{header.name}: {quoted(table)} was counted {counts[table]} times.", _NO_MATRIX)
    texts = header.value("imatrix.datasets", "array of string") or ()
    return Importance(
        sums,
        counts,
        header.value("imatrix.chunk_count", "u32") or 0,
        header.value("imatrix.chunk_size", "u32") or 0,
        tuple(text.decode("utf-8", "replace") for text in texts),
    )


def _read_dat(path: Path) -> Importance:
    """The older form: means times the number of windows."""
    sums, counts = {}, {}
    with open_bounded(path) as file:
        entries = file.i32()
        if not 0 < entries <= _ENTRIES_AT_MOST:
            raise LabError(f"{file.name}, byte 0: {entries:,} tables are announced.", _NO_MATRIX)
        for _ in range(entries):
            place = file.position
            length = file.i32()
            if not 0 < length <= _NAME_AT_MOST:
                raise LabError(f"{file.name}, byte {place:,}: a name has {length:,} bytes.", _NO_MATRIX)
            name = file.read(length).decode("utf-8", "replace")
            calls, columns = file.i32(), file.i32()
            if calls < 0 or not 0 < columns <= min(_COLUMNS_AT_MOST, file.remaining // 4) or name in sums:
                raise LabError(
                    f"{file.name}, byte {place:,}: {quoted(name)} has {columns:,} columns, counted "
                    f"{calls:,} times.",
                    _NO_MATRIX,
                )
            numbers = torch.empty(columns)
            file.read_into(memoryview(numbers.numpy().view("uint8").data))
            sums[name], counts[name] = numbers, float(calls or 1)
        windows, text = 0, tuple[str, ...]()
        if file.remaining >= 8:
            windows, length = file.i32(), file.i32()
            if 0 < length <= min(file.remaining, 4096):
                text = (file.read(length).decode("utf-8", "replace"),)
    return Importance(sums, counts, max(0, windows), 0, text)


def check_matches(importance: Importance, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that a matrix is one of this very kind of model.

    Args:
        importance: The matrix.
        shapes: Of the model's tables, by their names in GGUF files.

    Raises:
        LabError: It has no table of this model, or one with another number of columns.
    """
    common = [name for name in importance.sums if name in shapes]
    if not common:
        raise LabError(
            "The importance matrix names no table of this model.", "Choose one that was computed for it."
        )
    for name in common:
        if len(importance.sums[name]) != shapes[name][-1]:
            raise LabError(
                f"The importance matrix has {len(importance.sums[name]):,} columns for {name}, the model "
                f"{shapes[name][-1]:,}.",
                "Choose one that was computed for this model.",
            )
