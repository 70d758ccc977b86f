"""What a model is made of: every number and choice that the transformer needs, and nothing else.

Three families are described with these fields (`families.py`); behavior comes from the fields alone, never
from a family's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.problems import LabError

LAYERS_AT_MOST = 1_000
SIZE_AT_MOST = 1 << 24  # of a vocabulary, a width, a context

NORMS = ("layer", "rms")
POSITIONS = ("learned", "rope")
MLPS = ("gelu", "gelu_tanh", "swiglu")


@dataclass(frozen=True)
class RopeScaling:
    """How the frequencies of RoPE are slowed down for a context longer than the one first trained on.

    Attributes:
        kind: "linear" (all frequencies, by `factor`), "llama3" (Llama 3.1: low frequencies by `factor`, high
            ones not, those between by less), or "factors" (each by its own, as a GGUF file lists them).
        factor: How much longer the context became.
        low: Turns in the original context below which a frequency counts as low; "llama3" only.
        high: Turns above which it counts as high; "llama3" only.
        original_context: The context first trained on, in tokens; "llama3" only.
        factors: One divisor for each frequency; "factors" only.
    """

    kind: str
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original_context: int = 8192
    factors: tuple[float, ...] = ()


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a decoder.

    Attributes:
        family: Whose files it comes from: "gpt2", "llama", "qwen3"; says how to write it, not how it works.
        vocab_size: Tokens.
        context: Tokens that it was trained to look back on.
        width: Numbers in the residual stream of one token.
        layers: Blocks.
        heads: Attention heads in a block, each with its own queries.
        kv_heads: Heads with keys and values of their own; each serves heads / kv_heads queries.
        head_width: Numbers in a query.
        hidden: Numbers inside an MLP.
        norm: "layer" (mean removed, with bias) or "rms".
        norm_eps: Added under the root of a norm.
        positions: "learned" (a vector for each place) or "rope" (queries and keys are turned).
        mlp: "gelu", "gelu_tanh" (GPT-2's approximation) or "swiglu" (with a gate).
        attention_bias: Whether the four projections of attention have biases.
        mlp_bias: Whether the MLP's have.
        qk_norm: Whether queries and keys are normed (rms, per head) before they are turned.
        tied: Whether the token embedding is also the head.
        rope_base: Base of RoPE's frequencies.
        rope_scaling: How they are slowed down, or None.
    """

    family: str
    vocab_size: int
    context: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    norm: str
    norm_eps: float
    positions: str
    mlp: str
    attention_bias: bool
    mlp_bias: bool
    qk_norm: bool
    tied: bool
    rope_base: float = 10_000.0
    rope_scaling: RopeScaling | None = None

    @property
    def gated(self) -> bool:
        """Whether the MLP has a gate."""
        return self.mlp == "swiglu"

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """Rows of the fused projection that make queries, keys and values."""
        return (
            self.heads * self.head_width,
            self.kv_heads * self.head_width,
            self.kv_heads * self.head_width,
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter by name, with its shape, in the order in which a token meets them."""
        made: dict[str, tuple[int, ...]] = {"embed.weight": (self.vocab_size, self.width)}
        if self.positions == "learned":
            made["positions.weight"] = (self.context, self.width)
        for n in range(self.layers):
            block = f"blocks.{n}"
            made |= self._norm(f"{block}.norm_1")
            made |= self._linear(f"{block}.attn.qkv", sum(self.qkv_rows), self.width, self.attention_bias)
            if self.qk_norm:
                made[f"{block}.attn.q_norm.weight"] = (self.head_width,)
                made[f"{block}.attn.k_norm.weight"] = (self.head_width,)
            made |= self._linear(f"{block}.attn.out", self.width, self.qkv_rows[0], self.attention_bias)
            made |= self._norm(f"{block}.norm_2")
            inner = self.hidden * (2 if self.gated else 1)
            made |= self._linear(f"{block}.mlp.inner", inner, self.width, self.mlp_bias)
            made |= self._linear(f"{block}.mlp.down", self.width, self.hidden, self.mlp_bias)
        made |= self._norm("norm")
        if not self.tied:
            made["unembed.weight"] = (self.vocab_size, self.width)
        return made

    def _norm(self, name: str) -> dict[str, tuple[int, ...]]:
        made: dict[str, tuple[int, ...]] = {f"{name}.weight": (self.width,)}
        return made | ({f"{name}.bias": (self.width,)} if self.norm == "layer" else {})

    @staticmethod
    def _linear(name: str, rows: int, columns: int, bias: bool) -> dict[str, tuple[int, ...]]:
        made: dict[str, tuple[int, ...]] = {f"{name}.weight": (rows, columns)}
        return made | ({f"{name}.bias": (rows,)} if bias else {})


def check_config(config: ModelConfig, where: str) -> ModelConfig:
    """Return the config if a model can be made of it.

    Args:
        config: What a file says.
        where: The file, for the message.

    Raises:
        LabError: A number is out of bounds or contradicts another; all that do are named.
    """
    c = config
    faults = []
    for name in ("vocab_size", "context", "width", "layers", "heads", "kv_heads", "head_width", "hidden"):
        value = getattr(c, name)
        most = LAYERS_AT_MOST if name == "layers" else SIZE_AT_MOST
        if not 1 <= value <= most:
            faults.append(f"{_WORDS[name]} is {value:,}, not 1 to {most:,}")
    if not faults and c.heads % c.kv_heads:
        faults.append(f"{c.heads:,} heads cannot share {c.kv_heads:,} key/value heads evenly")
    if not faults and c.positions == "rope" and c.head_width % 2:
        faults.append(f"RoPE turns pairs of numbers, and a head has {c.head_width:,}")
    if not 0 <= c.norm_eps < 1:
        faults.append(f"the norms' epsilon is {c.norm_eps:g}, not 0 to 1")
    if not 1 <= c.rope_base <= 1e12:
        faults.append(f"the base of RoPE is {c.rope_base:g}, not 1 to 1e12")
    faults += _scaling_faults(c)
    if faults:
        raise LabError(
            f"{where} describes no model that could work: {'; '.join(faults)}.",
            "The file is damaged or made to harm: get it again.",
        )
    return config


def check_fits(config: ModelConfig, tokens: int) -> None:
    """Check that a text is not longer than what a model looks back on.

    Raises:
        LabError: It is.
    """
    if tokens > config.context:
        raise LabError(
            f"The text has {tokens:,} tokens; the model looks back on {config.context:,}.",
            f"Shorten it to {config.context:,} tokens.",
        )


def _scaling_faults(c: ModelConfig) -> list[str]:
    scaling = c.rope_scaling
    if scaling is None:
        return []
    if scaling.kind == "factors":
        if len(scaling.factors) != c.head_width // 2 or not all(0 < f < 1e6 for f in scaling.factors):
            return [f"RoPE has {len(scaling.factors):,} factors for {c.head_width // 2:,} frequencies"]
        return []
    faults = []
    if not 1e-3 <= scaling.factor <= 1e6:
        faults.append(f"the factor of RoPE is {scaling.factor:g}")
    if scaling.kind == "llama3" and not 0 < scaling.low < scaling.high <= 1e6:
        faults.append(f"RoPE's low {scaling.low:g} must lie below its high {scaling.high:g}")
    if scaling.kind == "llama3" and not 1 <= scaling.original_context <= SIZE_AT_MOST:
        faults.append(f"RoPE's original context is {scaling.original_context:,}")
    return faults


_WORDS = {
    "vocab_size": "the vocabulary",
    "context": "the context",
    "width": "the width",
    "layers": "the number of layers",
    "heads": "the number of heads",
    "kv_heads": "the number of key/value heads",
    "head_width": "the width of a head",
    "hidden": "the width inside the MLP",
}
