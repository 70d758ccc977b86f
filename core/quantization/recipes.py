"""Which tensor gets which type: the mixes of llama.cpp, from names and shapes alone.

Q4_K_M is a block format, Q4_K, and a mix, M: tensors in which errors do more harm get more bits than the
rest. The rules are those of `llama_tensor_get_type` in llama.cpp's src/llama-quant.cpp as of August 2026 (in
llama-cpp-python 0.3.36); versions of 2025 chose otherwise for GPT-2's joint attention tensor. Rows that do
not fit a type's blocks get a neighboring type with smaller blocks. llama.cpp has no Q4_K_L: files that others
name so have the token embedding and the output in Q8_0, which is an override here.

Letters: i how many tensors of the kind came before; n how many there are, or layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod

from core.model.config import ModelConfig
from core.model.families import FAMILIES, gguf_sources
from core.problems import LabError
from core.quantization.blocks import block_format, bytes_of, writable


@dataclass(frozen=True)
class Recipe:
    """A mix.

    Attributes:
        name: "Q4_K_M".
        number: Its id in files (`general.file_type`, llama.cpp's llama_ftype).
        base: The type of all tensors that no rule names.
        about: One sentence on what it is.
    """

    name: str
    number: int
    base: str
    about: str


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("F32", 0, "F32", "The weights as they are in 32 bits."),
        Recipe("F16", 1, "F16", "16 bits with a narrow range: 5 for the exponent."),
        Recipe("BF16", 32, "BF16", "16 bits with the range of 32: half of a float32 cut off."),
        Recipe("Q8_0", 7, "Q8_0", "8 bits, a scale for 32 weights: hardly to be told from the original."),
        Recipe("Q6_K", 18, "Q6_K", "6 bits in super-blocks, all tensors alike."),
        Recipe("Q5_K_M", 17, "Q5_K", "5 bits; half of the values and down projections have 6."),
        Recipe("Q5_K_S", 16, "Q5_K", "5 bits; only the output has 6."),
        Recipe("Q5_1", 9, "Q5_1", "5 bits with scale and minimum for 32 weights; older than the K types."),
        Recipe("Q5_0", 8, "Q5_0", "5 bits with a scale for 32 weights; older than the K types."),
        Recipe("Q4_K_M", 15, "Q4_K", "4 bits; half of the values and down projections 6: the usual choice."),
        Recipe("Q4_K_S", 14, "Q4_K", "4 bits; a few of the first layers have 5."),
        Recipe("IQ4_NL", 25, "IQ4_NL", "4 bits on 16 uneven levels, closer together near zero."),
        Recipe("Q4_1", 3, "Q4_1", "4 bits with scale and minimum for 32 weights; older than the K types."),
        Recipe("Q4_0", 2, "Q4_0", "4 bits with a scale for 32 weights: the simplest."),
        Recipe("Q3_K_L", 13, "Q3_K", "3 bits; values, outputs and down projections have 5."),
        Recipe("Q3_K_M", 12, "Q3_K", "3 bits; values, outputs and down projections 4, the first ones 5."),
        Recipe("Q3_K_S", 11, "Q3_K", "3 bits; only the output has 6."),
        Recipe("Q2_K", 10, "Q2_K", "2 bits; values, outputs and down projections have 3: clearly worse."),
    )
}  # fmt: skip
"""The mixes by name, from many bits to few."""

_PLAIN = ("F32", "F16", "BF16")
_FALLBACKS = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


@dataclass(frozen=True)
class Named:
    """A tensor as far as a recipe looks at it.

    Attributes:
        name: Its name in GGUF files.
        shape: Sizes, the slowest-varying first; the last one is the length of a row.
        kept: The type in which it is kept where it is not quantized.
    """

    name: str
    shape: tuple[int, ...]
    kept: str = "F32"

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class Choice:
    """What a recipe says of a tensor.

    Attributes:
        tensor: Name and shape.
        kind: The type that it gets.
        wanted: The type that the mix has for it; another one where its rows do not fit.
        why: "kept" (norms, biases and positions stay F32), "base", "mix" (another type than the base),
            "output", "fallback" or "override".
    """

    tensor: Named
    kind: str
    wanted: str
    why: str

    @property
    def bytes(self) -> int:
        """Bytes of its data, without padding."""
        return bytes_of(self.kind, self.tensor.numbers)


@dataclass(frozen=True)
class Plan:
    """A recipe carried out on the tensors of a model, on paper.

    Attributes:
        recipe: Which one.
        choices: One for each tensor, in the order given.
    """

    recipe: Recipe
    choices: tuple[Choice, ...]

    @property
    def numbers(self) -> int:
        """Weights."""
        return sum(choice.tensor.numbers for choice in self.choices)

    @property
    def bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(choice.bytes for choice in self.choices)

    @property
    def bits_per_weight(self) -> float:
        """Bits for each weight, norms and scales included."""
        return 8 * self.bytes / self.numbers

    @property
    def fallbacks(self) -> tuple[Choice, ...]:
        """The tensors whose rows did not fit the type of the mix."""
        return tuple(choice for choice in self.choices if choice.why == "fallback")

    def shares(self) -> dict[str, int]:
        """How many tensors each type got, the norms and biases that are kept left aside."""
        counted: dict[str, int] = {}
        for choice in self.choices:
            if choice.why != "kept":
                counted[choice.kind] = counted.get(choice.kind, 0) + 1
        return counted

    @property
    def title(self) -> str:
        """What came out, as a person reads it: a mix by name, unless more than a few tensors fell back."""
        fell, quantized = len(self.fallbacks), sum(self.shares().values())
        if not fell:
            return self.recipe.name
        mix = ", ".join(f"{n} {kind}" for kind, n in sorted(self.shares().items(), key=lambda item: -item[1]))
        return f"{mix} ({self.recipe.name} asked, {fell} of {quantized} tensors fell back)"


@dataclass(frozen=True)
class Wish:
    """What a person wants of a quantized file.

    Attributes:
        recipe: Name of the mix.
        overrides: Pairs of a pattern for names, with * and ?, and a type; the first that fits decides.
        importances: Whether there is an importance matrix; two of the older mixes look at that.
    """

    recipe: str
    overrides: tuple[tuple[str, str], ...] = ()
    importances: bool = False


@dataclass
class _Counters:
    """How many tensors of a kind the rules have met."""

    values: int = 0
    down: int = 0
    all_values: int = 0
    layers: int = 0
    sharing: int = 1
    tied: bool = True
    kinds: tuple[tuple[str, str], ...] = field(default=())


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, whatever its case.

    Raises:
        LabError: There is none.

    >>> find_recipe("q4_k_m").base
    'Q4_K'
    """
    recipe = RECIPES.get(name.upper())
    if recipe is None:
        if name.upper() == "Q4_K_L":
            raise LabError(
                "llama.cpp has no Q4_K_L.",
                "Files of that name are Q4_K_M with token embedding and output in Q8_0: choose Q4_K_M and "
                "override token_embd.weight=Q8_0 and output.weight=Q8_0.",
            )
        raise LabError(f"No recipe is called {name}.", f"Choose one of {', '.join(RECIPES)}.")
    return recipe


def make_plan(tensors: Sequence[Named], config: ModelConfig, wish: Wish) -> Plan:
    """Carry out a recipe on the tensors of a model.

    Args:
        tensors: All of them, under their names in GGUF files.
        config: Layers and heads.
        wish: What is wanted.

    Raises:
        LabError: No such recipe or type, or an override that fits no tensor.
    """
    recipe = find_recipe(wish.recipe)
    for pattern, kind in wish.overrides:
        block_format(kind)
        if not any(fnmatchcase(tensor.name, pattern) for tensor in tensors):
            raise LabError(f"No tensor is called {pattern}.", f"The first ones are {_some_names(tensors)}.")
    counters = _Counters(
        all_values=sum(_is_values(tensor.name) for tensor in tensors),
        layers=config.layers,
        sharing=config.heads // config.kv_heads,
        tied=not any(tensor.name == "output.weight" for tensor in tensors),
        kinds=wish.overrides,
    )
    return Plan(recipe, tuple(_choice(tensor, recipe, wish, counters) for tensor in tensors))


def tensors_of(config: ModelConfig) -> list[Named]:
    """The tensors that a GGUF file of such a model has, in the order in which a token meets them.

    RoPE's factors, where a model has them, are one more of half a head's width.
    """
    family = FAMILIES[config.family]
    made = []
    for parameter, shape in config.shapes().items():
        names = gguf_sources(family, parameter)
        rows = config.qkv_rows if len(names) == 3 else (shape[0] // len(names),) * len(names)
        made += [Named(name, (count, *shape[1:])) for name, count in zip(names, rows, strict=True)]
    if config.rope_scaling is not None and config.rope_scaling.kind in ("llama3", "factors"):
        made.append(Named("rope_freqs.weight", (config.head_width // 2,)))
    return made


def may_be_quantized(tensor: Named) -> bool:
    """Whether a tensor is one that is quantized: a table of weights, no norm, bias or positions.

    >>> may_be_quantized(Named("position_embd.weight", (1024, 768)))
    False
    """
    name = tensor.name
    kept = name.endswith("_norm.weight") or name in ("position_embd.weight", "token_types.weight")
    return len(tensor.shape) >= 2 and name.endswith("weight") and not kept


def more_bits(i: int, n: int) -> bool:
    """llama.cpp's `use_more_bits`: the first and last eighth of the layers, and every third between.

    >>> [i for i in range(12) if more_bits(i, 12)]
    [0, 3, 6, 9, 10, 11]
    """
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def _is_values(name: str) -> bool:
    """Whether llama.cpp counts a tensor among the values: alone, or joint with queries and keys."""
    return "attn_qkv.weight" in name or "attn_v.weight" in name


def _choice(tensor: Named, recipe: Recipe, wish: Wish, counters: _Counters) -> Choice:
    if not may_be_quantized(tensor):
        return Choice(tensor, tensor.kept, tensor.kept, "kept")
    if recipe.base in _PLAIN:
        return Choice(tensor, recipe.base, recipe.base, "base")
    named = next((kind for pattern, kind in wish.overrides if fnmatchcase(tensor.name, pattern)), None)
    if named is not None:
        wanted, why = named, "override"
    else:
        wanted = _of_mix(tensor, recipe, wish, counters)
        is_output = tensor.name == "output.weight" or (counters.tied and tensor.name == "token_embd.weight")
        why = "output" if is_output else "base" if wanted == recipe.base else "mix"
    kind = fitting(wanted, tensor.shape[-1])
    return Choice(tensor, kind, wanted, why if kind == wanted else "fallback")


def fitting(kind: str, columns: int) -> str:
    """The type that rows of this length get where the mix has `kind` for them.

    >>> fitting("Q4_K", 576), fitting("Q4_K", 768), fitting("Q6_K", 100)
    ('Q5_0', 'Q4_K', 'F16')
    """
    if columns % block_format(kind).block == 0:
        return kind
    smaller = _FALLBACKS.get(kind, kind)
    return smaller if columns % block_format(smaller).block == 0 else "F16"


def _of_mix(tensor: Named, recipe: Recipe, wish: Wish, counters: _Counters) -> str:
    """The type that the mix has for a tensor; counts it."""
    name, mix, base = tensor.name, recipe.name, recipe.base
    if name == "output.weight" or (name == "token_embd.weight" and counters.tied):
        if tensor.shape[-1] % block_format(base).block:
            return "Q8_0"
        return base if base == "Q8_0" else "Q6_K"
    if _is_values(name):
        kind = _of_values(mix, base, counters)
        counters.values += 1
        return kind
    if "ffn_down" in name:
        kind = _of_down(mix, base, counters, wish.importances)
        counters.down += 1
        return kind
    if "attn_output.weight" in name:
        return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(mix, base)
    return base


def _of_values(mix: str, base: str, counters: _Counters) -> str:
    i, kind = counters.values, base
    match mix:
        case "Q2_K":
            kind = "Q4_K" if counters.sharing >= 4 else "Q3_K"
        case "Q3_K_M":
            kind = "Q5_K" if i < 2 else "Q4_K"
        case "Q3_K_L":
            kind = "Q5_K"
        case "IQ4_NL" if counters.sharing >= 4:
            kind = "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if more_bits(i, counters.all_values):
            kind = "Q6_K"
        case "Q4_K_S" if i < 4:
            kind = "Q5_K"
    if counters.layers == 80 and counters.sharing > 1 and kind in ("Q3_K", "Q4_K"):
        return "Q5_K"  # models of 70 billion: the values are an eighth of the queries
    return kind


def _of_down(mix: str, base: str, counters: _Counters, importances: bool) -> str:
    i, n = counters.down, counters.layers
    match mix:
        case "Q2_K":
            return "Q3_K"
        case "Q3_K_M":
            return "Q5_K" if i < n // 16 else "Q4_K"
        case "Q3_K_L":
            return "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if more_bits(i, n):
            return "Q6_K"
        case "Q4_K_S" if i < n // 8:
            return "Q5_K"
        case "IQ4_NL" if i < n // 8 and not importances:
            return "Q5_K"
        case "Q4_0" | "Q5_0" if i < n // 8 and importances:
            return {"Q4_0": "Q4_1", "Q5_0": "Q5_1"}[mix]
    return base


def _some_names(tensors: Sequence[Named]) -> str:
    return ", ".join(tensor.name for tensor in tensors[:4])


def parse_override(text: str) -> tuple[str, str]:
    """A pattern and a type, from "pattern=TYPE".

    Raises:
        LabError: It is not of that form, or the type is not made here.

    >>> parse_override("output.weight=q8_0")
    ('output.weight', 'Q8_0')
    """
    pattern, sign, kind = text.rpartition("=")
    if not sign or not pattern or kind.upper() not in writable():
        raise LabError(
            f"{text} does not say which tensors get which type.",
            f"Write a pattern, = and a type, such as *.ffn_down.weight=Q6_K; of {', '.join(writable())}.",
        )
    return pattern, kind.upper()
