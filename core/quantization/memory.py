"""Does it fit? What a model takes in memory while llama.cpp runs it, as a sum that a person can follow.

weights + cache of keys and values + room for computing + what the driver takes. The first two follow from
shapes exactly; the third is what llama.cpp's largest buffer for a batch of 512 tokens takes; the last is
what CUDA's context and libraries were seen to take (0.3 to 0.6 GiB). llama.cpp leaves the table of token
embeddings in the computer's memory even when all layers are on the graphics card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from core.model.config import ModelConfig
from core.model.source import ModelSource
from core.problems import LabError
from core.quantization.recipes import Plan
from core.settings import check, setting

GIB = 1 << 30
BATCH = 512  # tokens that are computed at once (llama.cpp's n_ubatch)
DRIVER = GIB // 2  # bytes of the CUDA context and its libraries
CACHE_BYTES = {"F16": 2.0, "BF16": 2.0, "F32": 4.0, "Q8_0": 34 / 32, "Q4_0": 18 / 32}  # of one number
UNSURE = 0.08  # share by which the sum may be wrong: fragmentation, scratch, another version

CAPACITIES: dict[str, int] = {
    "4 GB laptop graphics": 4 * GIB,
    "6 GB laptop graphics": 6 * GIB,
    "8 GB laptop graphics": 8 * GIB,
    "12 GB graphics card": 12 * GIB,
    "16 GB graphics card": 16 * GIB,
    "24 GB graphics card": 24 * GIB,
    "80 GB data center card": 80 * GIB,
}
"""Memory of graphics cards by what people call them."""

_LAYER = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True)
class MemorySettings:
    """What decides how much memory a model takes."""

    context: int = setting(
        4096, title="Context", help="Tokens that the model looks back on: text and answer together.",
        unit="tokens", more_means="a longer text, a larger cache", low=1, high=10_000_000,
    )  # fmt: skip
    cache: str = setting(
        "F16", title="Cache", help="How keys and values are kept.",
        choices=("F16", "Q8_0", "Q4_0", "BF16", "F32"),
    )  # fmt: skip
    on_card: bool = setting(
        True, title="On a graphics card",
        help="Whether it runs on a graphics card, or in the computer's memory alone.",
    )  # fmt: skip
    layers_on_cpu: int = setting(
        0, title="Layers kept on the CPU", help="So many layers stay in the computer's memory.",
        unit="layers", more_means="less memory on the card, slower", low=0, high=10_000,
    )  # fmt: skip
    flash_attention: bool = setting(
        True, title="Flash attention", help="Whether scores of attention are never written out as a whole."
    )  # fmt: skip
    desktop_gib: float = setting(
        0.5, title="For the desktop", help="What the desktop and other programs keep for themselves.",
        unit="GiB", more_means="less for the model", low=0.0, high=1000.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Weighed:
    """The bytes of a model's weights, by where they are needed.

    Attributes:
        embedding: The table of token embeddings, where it is not the output as well.
        layers: Of each layer.
        rest: Output, last norm, positions; and the embedding where it is also the output.
    """

    embedding: int
    layers: tuple[int, ...]
    rest: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.embedding + sum(self.layers) + self.rest


@dataclass(frozen=True)
class MemoryNeed:
    """The sum, in bytes. On a card, what stays in the computer's memory stands apart.

    Attributes:
        weights: Weights where the model runs.
        cache: Keys and values.
        computing: The largest buffer for a batch.
        driver: CUDA's own; 0 without a card.
        beside: What lies in the computer's memory beside a card.
    """

    weights: int
    cache: int
    computing: int
    driver: int
    beside: int

    @property
    def total(self) -> int:
        """What has to fit."""
        return self.weights + self.cache + self.computing + self.driver

    def __str__(self) -> str:
        parts = (self.weights, self.cache, self.computing, self.driver)
        summed = " + ".join(f"{part / GIB:.2f}" for part in parts)
        return f"{summed} = {self.total / GIB:.2f} GiB"


@dataclass(frozen=True)
class Verdict:
    """Whether it fits.

    Attributes:
        word: "fits", "tight" or "no".
        need: The sum.
        capacity: Bytes that there are.
        left: Bytes that the desktop leaves.
    """

    word: str
    need: MemoryNeed
    capacity: int
    left: int


@dataclass(frozen=True)
class Machine:
    """This computer's memory, in bytes: all, and what is free now."""

    total: int
    free: int


def weigh_plan(plan: Plan) -> Weighed:
    """The bytes of a plan's tensors."""
    return _weighed((choice.tensor.name, choice.bytes) for choice in plan.choices)


def weigh_source(source: ModelSource) -> Weighed:
    """The bytes of a model's tensors as they are in its files."""
    names = {"embed.weight": "token_embd.weight", "unembed.weight": "output.weight"}
    return _weighed(
        (names.get(name, name.replace("blocks.", "blk.")), sum(piece.stored.size for piece in pieces))
        for name, pieces in source.parameters.items()
    )


def memory_needed(weighed: Weighed, config: ModelConfig, settings: MemorySettings) -> MemoryNeed:
    """What a model takes with a context.

    Raises:
        LabError: A setting is outside its limits, or the context beyond the model's.
    """
    check(settings)
    if settings.context > config.context:
        raise LabError(
            f"A context of {settings.context:,} tokens is beyond the model's {config.context:,}.",
            f"Choose at most {config.context:,}.",
        )
    on_cpu = min(settings.layers_on_cpu, config.layers) if settings.on_card else 0
    each = cache_bytes_per_token(config, settings.cache) / config.layers * settings.context
    cache = round(each * (config.layers - on_cpu))
    scores = 0 if settings.flash_attention else config.heads * settings.context * 4
    computing = BATCH * max(4 * config.vocab_size, 3 * 4 * config.hidden, scores)
    if not settings.on_card:
        return MemoryNeed(weighed.total, cache, computing, 0, 0)
    beside = weighed.embedding + sum(weighed.layers[:on_cpu]) + round(each * on_cpu)
    weights = sum(weighed.layers[on_cpu:]) + weighed.rest
    return MemoryNeed(weights, cache, computing, DRIVER, beside)


def cache_bytes_per_token(config: ModelConfig, kind: str = "F16") -> float:
    """Keys and values of one token in all layers.

    >>> from core.quantization.known import KNOWN_SHAPES
    >>> cache_bytes_per_token(KNOWN_SHAPES["Qwen3-8B"])
    147456.0
    """
    return 2 * config.layers * config.kv_heads * config.head_width * CACHE_BYTES[kind]


def judge(need: MemoryNeed, capacity: int, settings: MemorySettings) -> Verdict:
    """One of three verdicts.

    It fits if there is room even should the sum be 8 % too small; it is tight where it needs what the desktop
    has, or that margin; beyond the capacity it does not fit.
    """
    left = max(0, capacity - round(settings.desktop_gib * GIB))
    if need.total * (1 + UNSURE) <= left:
        word = "fits"
    elif need.total <= capacity:
        word = "tight"
    else:
        word = "no"
    return Verdict(word, need, capacity, left)


def this_machine() -> Machine:
    """Memory of the computer that this runs on; graphics cards are not asked."""
    memory = psutil.virtual_memory()
    return Machine(memory.total, memory.available)


def _weighed(sizes: Iterable[tuple[str, int]]) -> Weighed:
    embedding = output = rest = 0
    layers: dict[int, int] = {}
    for name, size in sizes:
        found = _LAYER.match(name)
        if found:
            layer = int(found[1])
            layers[layer] = layers.get(layer, 0) + size
        elif name == "token_embd.weight":
            embedding = size
        elif name == "output.weight":
            output = size
        else:
            rest += size
    if not output:
        return Weighed(0, tuple(layers[n] for n in sorted(layers)), rest + embedding)
    return Weighed(embedding, tuple(layers[n] for n in sorted(layers)), rest + output)
