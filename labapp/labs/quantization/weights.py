"""The weights that are rounded: the first rows of one tensor of a model, read without loading the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.problems import LabError
from core.stages import Finished, Progress
from labapp.labs.quantization.choosing import Subject
from labapp.words import tr

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 256  # of a tensor that are kept
LENGTH = 256  # weights of a row: one super-block


@dataclass(frozen=True, eq=False)
class WeightTable:
    """Rows of a tensor.

    Attributes:
        subject: The model.
        names: The tensors of that model that can be chosen.
        tensor: The one that was read.
        values: Its first rows, cut off after 256 weights, (R, 256).
        note: What a person should know of these weights; "" where they are as they were trained.
    """

    subject: Subject
    names: tuple[str, ...]
    tensor: str
    values: Tensor
    note: str


def read_rows(subject: Subject, tensor: str) -> Iterator[Any]:
    """The stage: read a tensor; one that the model does not have is replaced by a down projection.

    Args:
        subject: The model.
        tensor: Its parameter's name.

    Raises:
        LabError: While it runs: the model is not there, or cannot be read.
    """
    import torch

    from core.formats.weights import WeightReader
    from core.model.source import open_model

    source = open_model(subject.there, subject.title)
    pieces = {
        name: found[0]
        for name, found in source.parameters.items()
        if len(found[0].stored.shape) == 2 and not name.startswith("positions")
    }
    chosen = tensor if tensor in pieces else next((name for name in pieces if "down" in name), "")
    if not chosen:
        raise LabError(f"{source.name} has no table of weights.", "Choose another model.")
    stored = pieces[chosen].stored
    values = torch.empty(stored.shape)
    with WeightReader() as reader:
        for read in reader.read(stored, values):
            yield Progress(f"Reading {stored.name}", read, stored.size, "bytes")
    rows = (values.t() if pieces[chosen].transposed else values)[:ROWS, :LENGTH].clone()
    kind = "" if stored.kind in ("F32", "F16", "BF16") else stored.kind
    note = tr("These weights are already rounded once: the file holds {kind}.", kind=kind) if kind else ""
    yield Finished("", WeightTable(subject, tuple(pieces), chosen, rows, note))
