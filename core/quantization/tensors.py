"""What fewer bits did to each tensor: errors against a reference, worst first, and how numbers are spread.

Parameters are matched by name, so that a file of any kind can be held against any other of the same model.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.formats.weights import WeightReader
from core.model.source import ModelSource
from core.problems import LabError
from core.stages import Finished, Progress

BINS = 96  # of a histogram
_PERCENT = 0.999  # of the weights that a histogram's range holds at least


@dataclass(frozen=True)
class TensorError:
    """A parameter of a model against the reference's.

    Attributes:
        name: The parameter's, "blocks.0.mlp.down.weight".
        kind: Its type in the model's file.
        reference_kind: In the reference's.
        shape: Slowest-varying size first.
        bytes: In the model's file.
        error: Root mean square of the differences against that of the reference's weights; 0 where equal.
        largest: The largest difference.
    """

    name: str
    kind: str
    reference_kind: str
    shape: tuple[int, ...]
    bytes: int
    error: float
    largest: float


@dataclass(frozen=True, eq=False)
class Spread:
    """How the numbers of a tensor are spread.

    Attributes:
        name: The parameter's.
        edges: Of the bins of weights, (B + 1).
        reference: Weights of the reference in each bin, (B).
        model: The model's, (B).
        error_edges: Of the bins of errors, (B + 1).
        errors: Errors in each bin, (B).
        outside: How many weights of the reference lie beyond the outermost edges.
    """

    name: str
    edges: Tensor
    reference: Tensor
    model: Tensor
    error_edges: Tensor
    errors: Tensor
    outside: int


def compare_tensors(
    reference: ModelSource, model: ModelSource
) -> Iterator[Progress | TensorError | Finished[tuple[TensorError, ...]]]:
    """Hold every parameter of a model against the reference's; the last event has them worst first.

    Raises:
        LabError: The models have other shapes; while it runs: a file cannot be read.
    """
    check_same_shapes(reference, model)
    return _compare(reference, model)


def _compare(
    reference: ModelSource, model: ModelSource
) -> Iterator[Progress | TensorError | Finished[tuple[TensorError, ...]]]:
    found = []
    done, total = 0, model.numbers
    with WeightReader() as reader:
        for name in model.parameters:
            yield Progress(f"Comparing {name}", done, total, "weights")
            true = yield from read_parameter(reader, reference, name)
            made = yield from read_parameter(reader, model, name)
            made -= true
            size = float(torch.linalg.vector_norm(true))
            wrong = float(torch.linalg.vector_norm(made))
            largest = float(made.abs().max()) if made.numel() else 0.0
            error = wrong / size if size else (math.inf if wrong else 0.0)
            found.append(
                TensorError(
                    name, kinds_of(model, name), kinds_of(reference, name), tuple(true.shape),
                    sum(piece.stored.size for piece in model.parameters[name]), error, largest,
                )
            )  # fmt: skip
            done += true.numel()
            yield found[-1]
    found.sort(key=lambda one: -one.error)
    changed = sum(one.error > 0 for one in found)
    yield Finished(f"{changed} of {len(found)} tensors differ.", tuple(found))


def spread_of(reference: ModelSource, model: ModelSource, name: str) -> Iterator[Progress | Finished[Spread]]:
    """Histograms of a parameter: its weights in both models, and its errors.

    Raises:
        LabError: The models have other shapes, or no such parameter; while it runs: a file cannot be read.
    """
    check_same_shapes(reference, model)
    if name not in reference.parameters:
        raise LabError(f"{reference.name} has no tensor {name[:80]}.", "Choose one of the list.")
    return _spread(reference, model, name)


def _spread(reference: ModelSource, model: ModelSource, name: str) -> Iterator[Progress | Finished[Spread]]:
    with WeightReader() as reader:
        true = (yield from read_parameter(reader, reference, name)).view(-1)
        made = (yield from read_parameter(reader, model, name)).view(-1)
    yield Progress(f"Counting {name}", 0, None, "weights")
    far = reach(true)
    edges = torch.linspace(-far, far, BINS + 1)
    wrong = made - true
    far_wrong = reach(wrong)
    error_edges = torch.linspace(-far_wrong, far_wrong, BINS + 1)
    spread = Spread(
        name, edges, counted(true, far), counted(made, far), error_edges, counted(wrong, far_wrong),
        int((true.abs() > far).sum()),
    )  # fmt: skip
    yield Finished("", spread)


def counted(values: Tensor, far: float, bins: int = BINS) -> Tensor:
    """How many values lie in each of equal bins from −far to far; what lies beyond is left out.

    >>> counted(torch.tensor([-1.0, 0.1, 0.2, 9.0]), 1.0, 2).tolist()
    [1.0, 2.0]
    """
    return torch.histc(values.float(), bins, -far, far)


def reach(values: Tensor) -> float:
    """How far from zero a histogram goes: nearly all values lie within, and at least something does."""
    if not values.numel():
        return 1.0
    sizes = values.abs().view(-1)
    step = max(1, len(sizes) // 1_000_000)  # of a large tensor a part tells enough
    some = sizes[::step]
    far = float(some.kthvalue(max(1, math.ceil(_PERCENT * len(some)))).values)
    return far or float(sizes.max()) or 1.0


def read_parameter(reader: WeightReader, source: ModelSource, name: str) -> Generator[Progress, None, Tensor]:
    """One parameter as float32, in the order of the model in memory."""
    shape = source.config.shapes()[name]
    out = torch.empty(shape)
    for piece in source.parameters[name]:
        stored = torch.empty(piece.stored.shape)
        for read in reader.read(piece.stored, stored):
            yield Progress(f"Reading {name}", read, piece.stored.size, "bytes")
        rows = out[piece.begin : piece.end]
        if piece.transposed:
            stored = stored.t()
        if piece.paired:
            paired = stored.view(piece.paired, -1, 2, *rows.shape[1:])  # (H, d/2, 2, …): neighbors are a pair
            stored = paired.transpose(1, 2).reshape(rows.shape)
        rows.copy_(stored)
    return out


def kinds_of(source: ModelSource, name: str) -> str:
    """The type in which a parameter is stored, or several."""
    return " ".join(dict.fromkeys(piece.stored.kind for piece in source.parameters[name]))


def check_same_shapes(reference: ModelSource, model: ModelSource) -> None:
    """Refuse models that cannot be held against each other tensor by tensor.

    Raises:
        LabError: They have other shapes.
    """
    if reference.config.shapes() != model.config.shapes():
        raise LabError(
            f"{model.name} has other tensors than {reference.name}.",
            "Only a model and what was made of it can be compared tensor by tensor.",
        )
