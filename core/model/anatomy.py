"""The parts of a pass and their sizes: what is computed, in which shape, with which parameters, at what cost.

Everything follows from the config; no weight is read. Names are those of `trace.py`. Costs count the matrix
products, two operations for a multiplication and its addition, with the whole T × T scores: what is masked
afterwards is computed, too.

T tokens, W width, H heads, K key/value heads, d head width, F numbers inside an MLP, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.model.config import ModelConfig

if TYPE_CHECKING:
    from core.formats.weights import StoredTensor
    from core.model.source import ModelSource

FLOAT32 = 4  # bytes of a number on the exact path
OUTSIDE = ("embed", "pos_embed", "ln_final.normalized", "logits", "probabilities")
"""Parts that belong to no block, in the order of the pass."""


@dataclass(frozen=True)
class Part:
    """A tensor of the pass.

    Attributes:
        name: As in a trace.
        title: In a word or two.
        axes: What its axes count.
        shape: Its sizes, for one text.
        parameters: Names of the parameters that make it, as in `ModelConfig.shapes`.
        flops: What the matrix products that make it cost.
        formula: How it is made, in LaTeX; "" where there is nothing to say.
        says: How it is made, in a sentence.
    """

    name: str
    title: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: tuple[str, ...]
    flops: int
    formula: str
    says: str

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What it takes as float32."""
        return self.numbers * FLOAT32


def pass_parts(config: ModelConfig, tokens: int) -> list[Part]:
    """All parts of the pass of a text, from the embedding to the probabilities of the next token."""
    c, T = config, tokens
    stream = ("tokens", "width")
    parts = [
        Part("embed", "token embedding", stream, (T, c.width), ("embed.weight",), 0,
             r"x = E[\mathrm{id}]", "The row of the table for each token's id.")
    ]  # fmt: skip
    if c.positions == "learned":
        parts.append(
            Part("pos_embed", "positions", stream, (T, c.width), ("positions.weight",), 0,
                 r"x \leftarrow x + P[\mathrm{place}]", "A learned row for each place is added.")
        )  # fmt: skip
    for n in range(c.layers):
        parts += block_parts(c, T, n)
    norm = ("norm.weight", "norm.bias") if c.norm == "layer" else ("norm.weight",)
    head = "embed.weight" if c.tied else "unembed.weight"
    parts += [
        Part("ln_final.normalized", "final norm", stream, (T, c.width), norm, 0, _norm_formula(c),
             "The last residual stream, brought to one scale."),
        Part("logits", "logits", ("tokens", "vocabulary"), (T, c.vocab_size), (head,),
             2 * T * c.width * c.vocab_size, r"\mathrm{logits} = x\, U^{\top}",
             "How well each token of the vocabulary fits"
             + (": the embedding table is used a second time." if c.tied else ": a table of its own.")),
        Part("probabilities", "probabilities", ("vocabulary",), (c.vocab_size,), (), 0,
             r"p = \mathrm{softmax}(\mathrm{logits})", "Of the next token, after the last one of the text."),
    ]  # fmt: skip
    return parts


def block_parts(config: ModelConfig, tokens: int, n: int) -> list[Part]:
    """The parts of one block, in their order."""
    c, T, at = config, tokens, f"blocks.{n}"
    W, H, K, d, F = c.width, c.heads, c.kv_heads, c.head_width, c.hidden
    stream, inner = ("tokens", "width"), ("tokens", "hidden")
    heads, pairs = ("heads", "tokens", "head width"), ("heads", "tokens", "looked at")

    def of(module: str, bias: bool) -> tuple[str, ...]:
        return (f"{at}.{module}.weight", f"{at}.{module}.bias") if bias else (f"{at}.{module}.weight",)

    qkv = of("attn.qkv", c.attention_bias)
    norm = c.norm == "layer"
    q_norm, k_norm = ((f"{at}.attn.{x}_norm.weight",) if c.qk_norm else () for x in "qk")
    normed = ", then normed" if c.qk_norm else ""
    parts = [
        Part("resid_pre", "residual stream", stream, (T, W), (), 0, "",
             "What all earlier parts have added up to."),
        Part("ln1.normalized", "norm", stream, (T, W), of("norm_1", norm), 0, _norm_formula(c),
             "Every token's numbers are brought to one scale."),
        Part("attn.q", "queries", heads, (H, T, d), qkv + q_norm, 2 * T * W * H * d, r"q = x\, W_Q",
             f"What each token looks for, in every head{normed}."),
        Part("attn.k", "keys", heads, (K, T, d), qkv + k_norm, 2 * T * W * K * d, r"k = x\, W_K",
             f"What each token can be found by{normed}." + _shared(c)),
        Part("attn.v", "values", heads, (K, T, d), qkv, 2 * T * W * K * d, r"v = x\, W_V",
             "What each token hands over where it is looked at." + _shared(c)),
    ]  # fmt: skip
    if c.positions == "rope":
        says = "Pairs of numbers are turned by an angle that grows with the token's place."
        parts += [
            Part("attn.rot_q", "queries, turned", heads, (H, T, d), (), 0, r"q \leftarrow R_t\, q", says),
            Part("attn.rot_k", "keys, turned", heads, (K, T, d), (), 0, r"k \leftarrow R_t\, k", says),
        ]
    parts += [
        Part("attn.scores", "scores", pairs, (H, T, T), (), 2 * H * T * T * d,
             r"s = \frac{q\, k^{\top}}{\sqrt{d}}", "Each query times each key, divided by the root of d."),
        Part("attn.attn_scores", "masked scores", pairs, (H, T, T), (), 0, r"s_{ij} = -\infty,\; j > i",
             "No token may look at what comes after it."),
        Part("attn.pattern", "pattern", pairs, (H, T, T), (), 0, r"a = \mathrm{softmax}(s)",
             "Weights that add up to 1 in each row: how much each token looks at each earlier one."),
        Part("attn.z", "mixed values", ("tokens", "heads", "head width"), (T, H, d), (),
             2 * H * T * T * d, r"z = a\, v", "The values, mixed by these weights."),
        Part("attn_out", "attention's output", stream, (T, W), of("attn.out", c.attention_bias),
             2 * T * H * d * W, r"\Delta x = z\, W_O", "All heads side by side, brought back to the width."),
        Part("resid_mid", "residual stream", stream, (T, W), (), 0, r"x \leftarrow x + \Delta x",
             "Attention's output is added."),
        Part("ln2.normalized", "norm", stream, (T, W), of("norm_2", norm), 0, _norm_formula(c),
             "Brought to one scale again."),
    ]  # fmt: skip
    widen = of("mlp.inner", c.mlp_bias)
    if c.gated:
        parts += [
            Part("mlp.pre", "gate", inner, (T, F), widen, 2 * T * W * F, r"g = x\, W_G",
                 "How far each hidden number is let through."),
            Part("mlp.pre_linear", "widened", inner, (T, F), widen, 2 * T * W * F, r"u = x\, W_U",
                 "What the gate multiplies."),
            Part("mlp.post", "gated", inner, (T, F), (), 0, r"h = \mathrm{silu}(g) \cdot u",
                 "The bend that makes more of it than one matrix."),
        ]  # fmt: skip
    else:
        parts += [
            Part("mlp.pre", "widened", inner, (T, F), widen, 2 * T * W * F, r"u = x\, W_1",
                 "Every token by itself is made wider."),
            Part("mlp.post", "bent", inner, (T, F), (), 0, r"h = \mathrm{gelu}(u)",
                 "The bend that makes more of it than one matrix."),
        ]  # fmt: skip
    parts += [
        Part("mlp_out", "MLP's output", stream, (T, W), of("mlp.down", c.mlp_bias), 2 * T * F * W,
             r"\Delta x = h\, W_2", "Brought back to the width."),
        Part("resid_post", "residual stream", stream, (T, W), (), 0, r"x \leftarrow x + \Delta x",
             "The MLP's output is added; the next block reads this."),
    ]  # fmt: skip
    return [
        Part(f"{at}.{p.name}", p.title, p.axes, p.shape, p.parameters, p.flops, p.formula, p.says)
        for p in parts
    ]


def _shared(c: ModelConfig) -> str:
    return f" Each serves {c.heads // c.kv_heads} heads." if c.kv_heads < c.heads else ""


def _norm_formula(c: ModelConfig) -> str:
    if c.norm == "layer":
        return r"\frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \varepsilon}}\, g + b"
    return r"\frac{x}{\sqrt{\mathrm{mean}(x^2) + \varepsilon}}\, g"


@dataclass(frozen=True)
class Group:
    """Parameters of one kind, of all blocks together.

    Attributes:
        title: "attention: queries, keys, values".
        name: Their name, with N for the block.
        shape: Of one of them.
        count: How many there are.
        kinds: How their numbers are stored in the file.
        stored: Bytes in the file.
    """

    title: str
    name: str
    shape: tuple[int, ...]
    count: int
    kinds: tuple[str, ...]
    stored: int

    @property
    def numbers(self) -> int:
        """How many parameters that are."""
        return self.count * math.prod(self.shape)


@dataclass(frozen=True)
class Sum:
    """All parameters, added up.

    Attributes:
        groups: By kind.
        numbers: Their sum.
        in_file: How many numbers the file's tensors hold that the model is made of.
        stored: Their bytes in the file.
        tied: Whether the head is the embedding table and counted once.
    """

    groups: tuple[Group, ...]
    numbers: int
    in_file: int
    stored: int
    tied: bool


_TITLES = {
    "embed.weight": "token embedding",
    "positions.weight": "positions",
    "blocks.N.norm_1": "norm before attention",
    "blocks.N.attn.qkv": "queries, keys, values",
    "blocks.N.attn.q_norm": "norm of queries",
    "blocks.N.attn.k_norm": "norm of keys",
    "blocks.N.attn.out": "attention's output",
    "blocks.N.norm_2": "norm before the MLP",
    "blocks.N.mlp.inner": "MLP, widening",
    "blocks.N.mlp.down": "MLP, narrowing",
    "norm": "final norm",
    "unembed.weight": "head",
}


def sum_parameters(source: ModelSource) -> Sum:
    """Add up a model's parameters by kind, beside what its file holds."""
    shapes = source.config.shapes()
    members: dict[str, list[str]] = {}
    for name in shapes:
        first, *rest = name.split(".")
        members.setdefault(".".join(["blocks.N", *rest[1:]]) if first == "blocks" else name, []).append(name)
    groups = []
    for kind, names in members.items():
        pieces = [piece.stored for name in names for piece in source.parameters[name]]
        title = next((text for known, text in _TITLES.items() if kind.startswith(known)), kind)
        title += " (bias)" if kind.endswith(".bias") else ""
        kinds = tuple(sorted({piece.kind for piece in pieces}))
        groups.append(Group(title, kind, shapes[names[0]], len(names), kinds, _bytes(pieces)))
    return Sum(
        tuple(groups), sum(group.numbers for group in groups), source.numbers, source.stored_bytes,
        source.config.tied,
    )  # fmt: skip


def _bytes(pieces: Sequence[StoredTensor]) -> int:
    return sum(piece.size for piece in pieces)
