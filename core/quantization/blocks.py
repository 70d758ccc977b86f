"""Numbers to blocks: rows of float32 to the bytes of a GGUF tensor, equal to ggml's.

`quantize_chunk` of ggml without fused multiply-add is what it equals, with and without importances. Rows are
taken in slices, so that what is computed at once stays small. Reading blocks is `core/formats/blocks.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.formats.blocks import PLAIN
from core.formats.gguf import GGML_TYPES, BlockFormat
from core.problems import LabError
from core.quantization import small_blocks, super_blocks
from core.quantization.exact import root

AT_ONCE = 1 << 20  # numbers that all cores work on: 4 MB, and some ten times that while they are worked on
ALONE = 32_000  # numbers that torch leaves to one core (its grain is 32,768)
_TRY_AGAIN = 24  # slices after which the slower way is tried again

_BLOCKS = {form.name: form for form in GGML_TYPES.values()}
_SMALL: dict[str, Callable[[Tensor, Tensor | None, Tensor], None]] = {
    "Q8_0": small_blocks.make_q8_0,
    "Q4_0": small_blocks.make_q4_0,
    "Q4_1": small_blocks.make_q4_1,
    "Q5_0": small_blocks.make_q5_0,
    "Q5_1": small_blocks.make_q5_1,
    "IQ4_NL": small_blocks.make_iq4_nl,
}
_SUPER: dict[str, tuple[int, Callable[[Tensor, Tensor | None], Tensor]]] = {
    "Q2_K": (16, super_blocks.make_q2_k),
    "Q3_K": (16, super_blocks.make_q3_k),
    "Q4_K": (32, super_blocks.make_q4_k),
    "Q5_K": (32, super_blocks.make_q5_k),
    "Q6_K": (16, super_blocks.make_q6_k),
}
"""Numbers of a small block, and what makes the bytes."""


@dataclass(frozen=True, eq=False)
class Slice:
    """Some rows of a tensor, quantized.

    Attributes:
        begin: The first row.
        raw: Their bytes, uint8, shape (rows, bytes of a row).
    """

    begin: int
    raw: Tensor


def writable() -> tuple[str, ...]:
    """The types that are made here.

    >>> writable()[:3]
    ('F32', 'F16', 'BF16')
    """
    return (*PLAIN, *_SMALL, *_SUPER)


def block_format(kind: str) -> BlockFormat:
    """Numbers and bytes of a block.

    Raises:
        LabError: No such type is made here.

    >>> block_format("Q4_K")
    BlockFormat(name='Q4_K', block=256, size=144)
    """
    if kind not in writable():
        raise LabError(f"The type {kind} is not made here.", f"Choose one of {', '.join(writable())}.")
    return _BLOCKS[kind]


def bytes_of(kind: str, numbers: int) -> int:
    """Bytes of so many numbers, a multiple of the block.

    >>> bytes_of("Q8_0", 64)
    68
    """
    form = block_format(kind)
    return numbers // form.block * form.size


def quantize_rows(
    rows: Tensor, kind: str, importance: Tensor | None = None, name: str = "the tensor"
) -> Iterator[Slice]:
    """Quantize a table row by row, some rows at a time.

    Args:
        rows: float32, (R, C) or (C); C a multiple of the type's block.
        kind: One of `writable()`.
        importance: How much the error of each column counts, float32, (C); None for none. Plain types and Q8_0
            do not look at it.
        name: What to call it in a message.

    Raises:
        LabError: A number is not finite (its place is named), the rows do not fit the blocks, or the
            importances do not fit the rows or are negative.
    """
    form = block_format(kind)
    rows = rows.view(1, -1) if rows.dim() == 1 else rows.view(rows.shape[0], -1)
    columns = rows.shape[1]
    if columns % form.block:
        raise LabError(
            f"Rows of {columns:,} numbers cannot be cut into {kind}'s blocks of {form.block}.",
            "Choose a type with smaller blocks, or F16.",
        )
    if importance is not None:
        _check_importance(importance, columns, name)
    return _slices(rows.float(), kind, importance, name)


def quantize(rows: Tensor, kind: str, importance: Tensor | None = None, name: str = "the tensor") -> Tensor:
    """All rows at once, uint8, (R, bytes of a row); as `quantize_rows`.

    Raises:
        LabError: As there.
    """
    return torch.cat([piece.raw for piece in quantize_rows(rows, kind, importance, name)])


def _slices(rows: Tensor, kind: str, importance: Tensor | None, name: str) -> Iterator[Slice]:
    columns, begin, pace = rows.shape[1], 0, _Pace()
    while begin < len(rows):
        began = time.perf_counter()
        piece = rows[begin : begin + max(1, pace.numbers // max(1, columns))].contiguous()
        _refuse_what_is_not_finite(piece, begin, name)
        made = _made(piece, kind, importance).view(len(piece), -1)
        pace.took(piece.numel(), time.perf_counter() - began)
        yield Slice(begin, made)
        begin += len(piece)


class _Pace:
    """How many numbers are taken at once: many, which all cores share, or few, which one core works on.

    Sharing an operation is quicker on a machine with nothing else to do and many times slower where another
    program keeps a core busy, since each operation waits for the slowest. So the time decides.
    """

    def __init__(self) -> None:
        self.numbers = ALONE
        self._seconds: dict[int, float] = {}  # for a number, at each size
        self._since = 0

    def took(self, numbers: int, seconds: float) -> None:
        """Learn from a slice, and choose the size of the next one."""
        self._seconds[self.numbers] = seconds / numbers
        other = ALONE if self.numbers == AT_ONCE else AT_ONCE
        self._since += 1
        if self._since >= _TRY_AGAIN or (other not in self._seconds and self._since >= 2):
            self.numbers, self._since = other, 0
        elif self._seconds.get(other, math.inf) < self._seconds[self.numbers]:
            self.numbers = other


def _made(rows: Tensor, kind: str, importance: Tensor | None) -> Tensor:
    if kind in PLAIN:
        return rows.to(PLAIN[kind]).view(torch.uint8)
    if kind in _SMALL:
        w = None if importance is None or kind == "Q8_0" else _small_weights(rows, importance, kind)
        made = torch.empty(rows.numel() // 32, _BLOCKS[kind].size, dtype=torch.uint8)
        _SMALL[kind](rows.view(-1, 32), w, made)
        return made
    n, make = _SUPER[kind]
    x = _super(rows, n)
    q = None if importance is None else _super(importance.expand_as(rows).contiguous(), n)
    return make(x, q)


def _super(rows: Tensor, n: int) -> Tensor:
    """Rows to (n, s · S): the same place of all small blocks in a row of memory."""
    return rows.view(-1, 256 // n, n).permute(2, 1, 0).reshape(n, -1)


def _small_weights(rows: Tensor, importance: Tensor, kind: str) -> Tensor:
    """q · sqrt(σ² + x²): σ² is the mean square of the row, in IQ4_NL twice that of the block; (32, B)."""
    squares = rows * rows
    blocks = rows.shape[1] // 32
    if kind == "IQ4_NL":
        sigma2 = _running(squares.view(-1, 32)) * (2.0 / 32)
    else:
        sigma2 = (_running(squares) / rows.shape[1]).repeat_interleave(blocks)
    q = importance.view(blocks, 32).t().repeat(1, len(rows))  # (32, B)
    return root(squares.view(-1, 32).t().contiguous().add_(sigma2)).mul_(q)


def _running(squares: Tensor) -> Tensor:
    """Sums of rows, one number after the other, as numpy accumulates; (R)."""
    return torch.from_numpy(np.add.accumulate(squares.numpy(), axis=1)[:, -1].copy())


def _refuse_what_is_not_finite(piece: Tensor, begin: int, name: str) -> None:
    if bool(piece.sum().isfinite()) or bool(piece.isfinite().all()):  # a sum is quick, but may overflow
        return
    row, column = (~torch.isfinite(piece)).nonzero()[0].tolist()
    raise LabError(
        f"{name} holds {piece[row, column].item()} at row {begin + row:,}, column {column:,}: that cannot be "
        "quantized.",
        "The model is damaged or its training went wrong: choose an earlier checkpoint.",
    )


def _check_importance(importance: Tensor, columns: int, name: str) -> None:
    if importance.shape != (columns,):
        raise LabError(
            f"The importances of {name} are {importance.numel():,} numbers, its rows {columns:,}.",
            "Choose an importance matrix that was computed for this model.",
        )
    if not bool((torch.isfinite(importance) & (importance >= 0)).all()):
        raise LabError(
            f"The importances of {name} hold a number that is negative or not finite.",
            "Compute the importance matrix again.",
        )
