"""Numbers to blocks: rows of float32 to the bytes of a GGUF tensor, equal to ggml's.

`ggml_quantize_chunk` without fused multiply-add is what it equals, with and without importances. Rows are
taken in slices, so that what is computed at once stays small. The slices are independent: a caller may hand
in a `spread` that works on several at a time, such as the `map` of a pool of threads (numpy lets go of the
interpreter while it computes). Reading blocks is `core/formats/blocks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.formats.blocks import PLAIN
from core.formats.gguf import GGML_TYPES, BlockFormat
from core.problems import LabError
from core.quantization import small_blocks, super_blocks
from core.quantization.exact import Bytes, F, Floats
from core.quantization.quick_blocks import QUICK, Room, make_quick

AT_ONCE = 1 << 18  # numbers of a slice: 1 MB, and some eight times that while they are worked on
AT_ONCE_QUICK = 1 << 19  # of types without a search
TOGETHER = 32  # slices that `spread` is given at a time

Spread = Callable[[Callable[[int], "Slice"], Iterable[int]], Iterable["Slice"]]
"""What `map` does: a function on each of some things, the answers in order."""

_BLOCKS = {form.name: form for form in GGML_TYPES.values()}
_SMALL: dict[str, Callable[[Floats, Any], Bytes]] = {
    "Q4_0": small_blocks.make_q4_0,
    "Q4_1": small_blocks.make_q4_1,
    "Q5_0": small_blocks.make_q5_0,
    "Q5_1": small_blocks.make_q5_1,
    "IQ4_NL": small_blocks.make_iq4_nl,
}
_SUPER: dict[str, tuple[int, Callable[[Floats, Floats | None], Bytes]]] = {
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
    return (*PLAIN, "Q8_0", *_SMALL, *_SUPER)


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
    rows: Tensor,
    kind: str,
    importance: Tensor | None = None,
    name: str = "the tensor",
    spread: Spread = map,
) -> Iterator[Slice]:
    """Quantize a table row by row, some rows at a time.

    Args:
        rows: float32, (R, C) or (C); C a multiple of the type's block.
        kind: One of `writable()`.
        importance: How much the error of each column counts, float32, (C); None for none. Plain types and
            Q8_0 do not look at it.
        name: What to call it in a message.
        spread: Works on several slices; `map` takes one after the other.

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
    return _slices(rows.float(), kind, importance, name, spread)


def quantize(
    rows: Tensor, kind: str, importance: Tensor | None = None, name: str = "the tensor", spread: Spread = map
) -> Tensor:
    """All rows at once, uint8, (R, bytes of a row); as `quantize_rows`.

    Raises:
        LabError: As there.
    """
    return torch.cat([piece.raw for piece in quantize_rows(rows, kind, importance, name, spread)])


def _slices(rows: Tensor, kind: str, importance: Tensor | None, name: str, spread: Spread) -> Iterator[Slice]:
    quick = kind in QUICK and (importance is None or kind not in _SMALL)
    step = max(1, (AT_ONCE_QUICK if quick else AT_ONCE) // max(1, rows.shape[1]))
    weights = None if importance is None else importance.float().contiguous().numpy()
    rooms: list[Room] = []  # those that no slice is computed in just now

    def work(begin: int) -> Slice:
        piece = rows[begin : begin + step].contiguous()
        with np.errstate(all="ignore"):  # what overflows or is divided by 0 is left aside, as in ggml
            _refuse_what_is_not_finite(piece, begin, name)
            if kind in PLAIN:
                return Slice(begin, piece.to(PLAIN[kind]).view(torch.uint8))
            if quick:
                room = rooms.pop() if rooms else Room()
                made = make_quick(piece.numpy().reshape(-1, 32), kind, room)
                rooms.append(room)
            else:
                made = _made(piece.numpy(), kind, weights)
        return Slice(begin, torch.from_numpy(made).view(len(piece), -1))

    begins = range(0, len(rows), step)
    for first in range(0, len(begins), TOGETHER):
        yield from spread(work, begins[first : first + TOGETHER])


def _made(rows: Floats, kind: str, importance: Floats | None) -> Bytes:
    if kind in _SMALL:
        x = np.ascontiguousarray(rows.reshape(-1, 32).T)  # (32, B)
        w = None if importance is None else _small_weights(rows, x, importance, kind)
        return _SMALL[kind](x, w)
    n, make = _SUPER[kind]
    q = None if importance is None else _super(np.broadcast_to(importance, rows.shape), n)
    return make(_super(rows, n), q)


def _super(rows: Floats, n: int) -> Floats:
    """Rows to (n, s · S): the same place of all small blocks in a row of memory."""
    return rows.reshape(-1, 256 // n, n).transpose(2, 1, 0).reshape(n, -1)


def _small_weights(rows: Floats, x: Floats, importance: Floats, kind: str) -> Floats:
    """q · sqrt(σ² + x²): σ² is the mean square of the row, in IQ4_NL twice that of the block; (32, B)."""
    blocks = rows.shape[1] // 32
    w = x * x
    if kind == "IQ4_NL":
        w += np.add.accumulate(w, axis=0)[-1] * (F(2) / F(32))
    else:
        sums = np.add.accumulate(rows * rows, axis=1)[:, -1]  # one number after the other
        w += np.repeat(sums / F(rows.shape[1]), blocks)
    np.sqrt(w, out=w)
    w *= np.tile(importance.reshape(blocks, 32).T, len(rows))
    return w


def _refuse_what_is_not_finite(piece: Tensor, begin: int, name: str) -> None:
    if np.isfinite(piece.numpy().sum()) or bool(piece.isfinite().all()):  # a sum is quick, but may overflow
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
