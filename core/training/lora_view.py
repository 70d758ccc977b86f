"""An adapter opened up: one of its matrices with the thin ones beside it, at any lower rank.

The rank is lowered as `lora.cut_to` does it; rank 0 is the adapter taken off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from core.artifacts import plain_json
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.training.adapters import CONFIG, read_adapter, source_names
from core.training.finetune import start_path, tokenizer_of
from core.training.lora import Adapter, Place, cut_to, singular_values, with_adapter
from core.training.speakers import Speaker

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OpenedAdapter:
    """An adapter with the model that it stands beside.

    Attributes:
        adapter: The thin matrices.
        model: The model without it.
        tokenizer: Of both.
        names: Of each matrix that has thin ones, as Hugging Face's files name it.
    """

    adapter: Adapter
    model: Transformer
    tokenizer: Tokenizer
    names: dict[str, Place]


@dataclass(frozen=True, eq=False)
class Opened:
    """One matrix at one rank.

    Attributes:
        name: Of the matrix.
        rank: 0 where the adapter is off.
        weight: W, (out, in).
        change: s · B A at this rank, (out, in).
        values: Singular values of s · B A, largest first, all of them.
        kept: Share of the change's squared length that this rank keeps.
        ratio: Length of the change at this rank against that of W (Frobenius).
    """

    name: str
    rank: int
    weight: Matrix
    change: Matrix
    values: tuple[float, ...]
    kept: float
    ratio: float


def open_adapter(place: str) -> Iterator[Progress | Finished[OpenedAdapter]]:
    """Open an adapter's folder and the model that its config names.

    Raises:
        LabError: There is no adapter, or its model is gone.
    """
    path = start_path(place)
    said = plain_json.read_json(path / CONFIG)
    base = said.get("base_model_name_or_path") if isinstance(said, dict) else None
    if not isinstance(base, str) or not base:
        raise LabError(f"{path / CONFIG} does not say which model it is for.", "Choose another adapter.")
    source = open_model(start_path(base))

    def stage() -> Iterator[Progress | Finished[OpenedAdapter]]:
        model = yield from pass_on(load_model(source))
        adapter = read_adapter(path, model.config).adapter
        own = (path / "tokenizer.json").is_file()
        tokenizer = read_tokenizer(path) if own else tokenizer_of(source)
        names = {name: one for name, one in source_names(model.config).items() if one in adapter.thin}
        made = OpenedAdapter(adapter, model, tokenizer, names)
        yield Finished(f"{len(names):,} matrices have thin ones beside them.", made)

    return stage()


def opened_at(opened: OpenedAdapter, name: str, rank: int) -> Opened:
    """One matrix at one rank.

    Raises:
        LabError: There is no such matrix, or the rank is not between 0 and the adapter's own.
    """
    place, adapter = opened.names.get(name), opened.adapter
    if place is None:
        raise LabError(f"The adapter has nothing beside {name}.", "Choose another matrix.")
    if not 0 <= rank <= adapter.rank:
        raise LabError(f"The rank {rank} was asked for.", f"Choose 0 to {adapter.rank}, the adapter's own.")
    with torch.no_grad():
        rows = opened.model.get_parameter(f"{place.layer}.weight").detach()[place.begin : place.end]
        values = singular_values(adapter, place)
        change = torch.zeros_like(rows)
        if rank:
            change = (adapter if rank == adapter.rank else cut_to(adapter, rank)).change(place)
        total = float((values**2).sum())
        kept = float((values[:rank] ** 2).sum()) / total if total else 0.0
        ratio = float(change.norm() / rows.norm())
    return Opened(name, rank, rows.numpy(), change.numpy(), tuple(values.tolist()), kept, ratio)


def speaker_at(opened: OpenedAdapter, rank: int) -> Speaker:
    """The model with the adapter at a lower rank, or without it at 0; nothing of `opened` is changed."""
    if not rank:
        return Speaker(opened.model, opened.tokenizer)
    adapter = opened.adapter if rank == opened.adapter.rank else cut_to(opened.adapter, rank)
    return Speaker(with_adapter(opened.model, adapter).requires_grad_(False), opened.tokenizer)


def pooled(matrix: Matrix, most: int) -> Matrix:
    """A matrix of at most so many rows and columns: of each tile the number farthest from 0.

    >>> pooled(np.array([[1.0, -3.0, 0.5, 0.0], [2.0, 0.0, 0.0, 0.25]], dtype=np.float32), 2).tolist()
    [[-3.0, 0.5], [2.0, 0.25]]
    """
    for axis in (0, 1):
        size = matrix.shape[axis]
        if size > most:
            edges = np.linspace(0, size, most + 1).astype(int)[:-1]
            high = np.maximum.reduceat(matrix, edges, axis=axis)
            low = np.minimum.reduceat(matrix, edges, axis=axis)
            matrix = np.where(high >= -low, high, low)
    return matrix
