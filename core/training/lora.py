"""LoRA: the matrices stay as they are, and beside each of them two thin ones learn.

y = W x + s · B A x, with A of shape (r, in), B of shape (out, r), s = alpha / r (Hu et al.,
https://arxiv.org/abs/2106.09685, section 4.1), or alpha / √r where the adapter is rank-stabilized
(https://arxiv.org/abs/2312.03732). A begins at random as in PEFT, B at 0: at the start nothing is changed.

One of our matrices may be several of a file's (queries, keys and values): each of those has an A and a B of
its own, as PEFT would give it. Here they are made, put beside a model, merged and taken apart; PEFT's files
are the business of `adapters.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.config import ModelConfig
from core.model.transformer import Linear, Transformer
from core.problems import LabError

ATTENTION, MLP = ("attn.qkv", "attn.out"), ("mlp.inner", "mlp.down")
NAMED = {"all": ATTENTION + MLP, "attention": ATTENTION, "mlp": MLP}


@dataclass(frozen=True)
class Place:
    """A matrix that may have thin ones beside it: some rows of one of ours.

    Attributes:
        layer: Our name of the layer: "blocks.3.attn.qkv".
        begin: First row.
        end: One past the last.
        columns: Numbers that go in.
    """

    layer: str
    begin: int
    end: int
    columns: int


@dataclass(frozen=True, eq=False)
class Thin:
    """The two thin matrices of a place: A, (r, in), and B, (rows, r)."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True, eq=False)
class Adapter:
    """All thin matrices of a model.

    Attributes:
        rank: r.
        alpha: What B A is multiplied by, times r.
        thin: By place.
        rooted: Whether it is alpha / √r instead of alpha / r.
    """

    rank: int
    alpha: float
    thin: Mapping[Place, Thin]
    rooted: bool = False

    @property
    def scale(self) -> float:
        """s."""
        return self.alpha / (math.sqrt(self.rank) if self.rooted else self.rank)

    @property
    def numbers(self) -> int:
        """How many numbers learn."""
        return sum(one.a.numel() + one.b.numel() for one in self.thin.values())

    def change(self, place: Place) -> Tensor:
        """s · B A of a place, (rows, in)."""
        one = self.thin[place]
        return self.scale * (one.b @ one.a)


def places(config: ModelConfig, targets: str) -> tuple[Place, ...]:
    """The places that words name: all, attention, mlp, attn.qkv, blocks.3.mlp.down, unembed, …

    Raises:
        LabError: A word names nothing.

    >>> from core.training.settings import ShapeSettings
    >>> config = ShapeSettings(layers=2, width=16, heads=2, context=16).config(61)
    >>> [place.layer for place in places(config, "attention")]
    ['blocks.0.attn.qkv', 'blocks.0.attn.out', 'blocks.1.attn.qkv', 'blocks.1.attn.out']
    """
    layers = {
        name.removesuffix(".weight"): shape
        for name, shape in config.shapes().items()
        if len(shape) == 2 and name.endswith(".weight") and not name.startswith(("embed", "positions"))
    }
    wanted: set[str] = set()
    for word in targets.split():
        inner = NAMED.get(word, (word,))
        found = {name for name in layers for end in inner if name == end or name.endswith(f".{end}")}
        if not found:
            raise LabError(
                f"LoRA has no matrix {word!r} to stand beside.",
                f"Choose all, attention, mlp, or among {', '.join(sorted({*NAMED['all'], 'unembed'}))}.",
            )
        wanted |= found
    if not wanted:
        raise LabError("No matrix is named that LoRA shall stand beside.", "Write all, attention or mlp.")
    return tuple(
        Place(name, begin, end, shape[1])
        for name, shape in layers.items()
        if name in wanted
        for begin, end in rows_of(config, name)
    )


def rows_of(config: ModelConfig, layer: str) -> list[tuple[int, int]]:
    """Which rows of one of our matrices are one of a file's, in the file's order."""
    sizes: Sequence[int] = (config.shapes()[f"{layer}.weight"][0],)
    if config.family != "gpt2" and layer.endswith("attn.qkv"):
        sizes = config.qkv_rows
    elif config.gated and layer.endswith("mlp.inner"):
        sizes = (config.hidden, config.hidden)
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def new_adapter(
    config: ModelConfig, rank: int, alpha: float, targets: str, generator: torch.Generator
) -> Adapter:
    """An adapter that changes nothing yet.

    A is uniform within ±1/√in, which is PEFT's Kaiming-uniform with a = √5.

    Args:
        config: Of the model.
        rank: r, 1 or more.
        alpha: See `Adapter`.
        targets: See `places`.
        generator: Of A.

    Raises:
        LabError: The rank is not below 1, a target names nothing.
    """
    if rank < 1:
        raise LabError(f"The rank of LoRA is {rank}.", "Choose 1 or more.")
    thin = {}
    for place in places(config, targets):
        bound = 1 / math.sqrt(place.columns)
        a = torch.empty(rank, place.columns).uniform_(-bound, bound, generator=generator)
        thin[place] = Thin(a, torch.zeros(place.end - place.begin, rank))
    return Adapter(rank, alpha, thin)


class Adapted(nn.Module):
    """A linear layer that stays, with thin matrices beside some or all of its rows."""

    def __init__(self, base: Linear, thin: Mapping[Place, Thin], scale: float) -> None:
        super().__init__()
        self.base, self.scale = base, scale
        self.places = tuple(thin)
        self.a = nn.ParameterList([one.a for one in thin.values()])
        self.b = nn.ParameterList([one.b for one in thin.values()])

    @property
    def weight(self) -> Tensor:
        """W + s · B A: what the whole layer multiplies by."""
        made = self.base.weight.clone()
        for place, a, b in zip(self.places, self.a, self.b, strict=True):
            made[place.begin : place.end] += self.scale * (b @ a)
        return made

    @property
    def bias(self) -> Tensor | None:
        """The layer's own."""
        return cast("Tensor | None", self.base.bias)

    def forward(self, x: Tensor) -> Tensor:
        """W x + s · B A x, (…, out), of (…, in)."""
        made: Tensor = self.base(x)
        thin = F.linear(x, torch.cat(list(self.a)))  # (…, places · r)
        parts, begin = [], 0
        for place, part, b in zip(self.places, thin.chunk(len(self.places), -1), self.b, strict=True):
            if place.begin > begin:
                parts.append(x.new_zeros(*x.shape[:-1], place.begin - begin))
            parts.append(F.linear(part, b))  # (…, rows)
            begin = place.end
        if begin < made.shape[-1]:
            parts.append(x.new_zeros(*x.shape[:-1], made.shape[-1] - begin))
        return made + self.scale * (parts[0] if len(parts) == 1 else torch.cat(parts, -1))


def with_adapter(model: Transformer, adapter: Adapter) -> Transformer:
    """A model that holds the very weights of another one, with an adapter beside them that learns.

    The other model is not touched: it is this one with the adapter off, and serves as reference.

    Raises:
        LabError: The adapter is not for a model of this shape.
    """
    with torch.device("meta"):
        made = Transformer(model.config)
    made.load_state_dict({name: p.detach() for name, p in model.named_parameters()}, assign=True)
    made.requires_grad_(False)
    by_layer: dict[str, dict[Place, Thin]] = {}
    for place, thin in adapter.thin.items():
        by_layer.setdefault(place.layer, {})[place] = thin
    for layer, its in by_layer.items():
        parent, _, name = layer.rpartition(".")
        owner = made.get_submodule(parent)
        setattr(owner, name, Adapted(_linear(owner, name, its), its, adapter.scale))
    return made.train(model.training)


def _linear(owner: nn.Module, name: str, thin: Mapping[Place, Thin]) -> Linear:
    base = getattr(owner, name, None)
    if isinstance(base, Linear):
        rows, columns = base.weight.shape
        if all(
            place.end <= rows
            and one.a.shape[1] == columns
            and one.b.shape == (place.end - place.begin, len(one.a))
            for place, one in thin.items()
        ):
            return base
    raise LabError(
        f"The adapter has matrices for {next(iter(thin)).layer} that do not fit this model.",
        "Choose the model that it was trained for.",
    )


def adapter_of(model: Transformer, like: Adapter) -> Adapter:
    """The adapter beside a model as it has learned; the tensors themselves, no copies."""
    thin = {
        place: Thin(a, b)
        for layer in model.modules()
        if isinstance(layer, Adapted)
        for place, a, b in zip(layer.places, layer.a, layer.b, strict=True)
    }
    return replace(like, thin={place: thin[place] for place in like.thin})


def merged(weights: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """The weights of a model with an adapter added into them; those given stay as they are.

    Args:
        weights: By our names, of the model without the adapter.
        adapter: For a model of this shape.
    """
    made = {name: weight.detach() for name, weight in weights.items()}
    with torch.no_grad():
        for place in adapter.thin:
            name = f"{place.layer}.weight"
            if made[name] is weights[name] or made[name].data_ptr() == weights[name].data_ptr():
                made[name] = made[name].clone()
            made[name][place.begin : place.end] += adapter.change(place)
    return made


def singular_values(adapter: Adapter, place: Place) -> Tensor:
    """Singular values of s · B A, largest first, (r,), without making the whole matrix."""
    _, values, _ = _taken_apart(adapter, place)
    return values


def cut_to(adapter: Adapter, rank: int) -> Adapter:
    """The adapter that is nearest to one and has a lower rank: the largest singular values are kept.

    Eckart and Young, The approximation of one matrix by another of lower rank, 1936. The scale stays, so that
    alpha goes along with the rank.

    Raises:
        LabError: The rank is not between 1 and the adapter's own.
    """
    if not 1 <= rank <= adapter.rank:
        raise LabError(f"The rank {rank} was asked for.", f"Choose 1 to {adapter.rank}, the adapter's own.")
    thin = {}
    for place in adapter.thin:
        left, values, right = _taken_apart(adapter, place)
        root = (values[:rank] / adapter.scale).sqrt()
        thin[place] = Thin(root[:, None] * right[:rank], left[:, :rank] * root)
    alpha = adapter.scale * (math.sqrt(rank) if adapter.rooted else rank)
    return replace(adapter, rank=rank, alpha=alpha, thin=thin)


def _taken_apart(adapter: Adapter, place: Place) -> tuple[Tensor, Tensor, Tensor]:
    """s · B A = U S Vᵀ: U, (rows, r), S, (r,), Vᵀ, (r, in)."""
    one = adapter.thin[place]
    with torch.no_grad():
        q_b, r_b = torch.linalg.qr(one.b)  # (rows, r), (r, r)
        q_a, r_a = torch.linalg.qr(one.a.T)  # (in, r), (r, r)
        u, s, v = torch.linalg.svd(adapter.scale * (r_b @ r_a.T))
        return q_b @ u, s, v @ q_a.T
