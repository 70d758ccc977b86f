"""The three families as data: which key of which file is which field, and which tensor which parameter.

Keys of `config.json` are those of transformers' GPT2Config, LlamaConfig and Qwen3Config with their defaults;
keys and tensors of GGUF those of llama.cpp's llama-arch.cpp. A parameter of ours (`ModelConfig.shapes`) is
made of one tensor or of several, one below the other: queries, keys and values are three in most files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Sources = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Family:
    """How the files of one family are read.

    Attributes:
        name: `model_type` in config.json, `general.architecture` in GGUF.
        title: As a person writes it.
        norm: See `ModelConfig`; the next three are alike.
        positions: Learned or turned.
        qk_norm: Whether queries and keys are normed.
        tied: Whether the head is tied where config.json does not say so.
        keys: Key in config.json of each field that is a number, and its default, None for none.
        gguf_eps: Last part of the GGUF key of the norms' epsilon.
        prefix: What stands before the names of tensors in files of the whole model; a file of the model
            without its head leaves it out.
        head: Name of the head's tensor.
        tensors: Sources of parameters outside blocks, in Hugging Face's names.
        block: The same inside a block, behind `block_prefix`.
        block_prefix: With {n} for the layer.
        gguf_block: As `block`, in GGUF's names behind "blk.{n}.".
        transposed: Parameters that Hugging Face stores as (in, out).
        ignored: Ends of names of tensors that hold nothing learned.
        interleaved: Whether GGUF files pair neighbors in RoPE, so that rows of q and k have to be put back.
    """

    name: str
    title: str
    norm: str
    positions: str
    qk_norm: bool
    tied: bool
    keys: Mapping[str, tuple[str, int | float | None]]
    gguf_eps: str
    prefix: str
    head: str
    tensors: Sources
    block: Sources
    block_prefix: str
    gguf_block: Sources
    transposed: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    interleaved: bool = False


_GPT2 = Family(
    name="gpt2",
    title="GPT-2",
    norm="layer",
    positions="learned",
    qk_norm=False,
    tied=True,
    keys={
        "vocab_size": ("vocab_size", 50257), "context": ("n_positions", 1024), "width": ("n_embd", 768),
        "layers": ("n_layer", 12), "heads": ("n_head", 12), "hidden": ("n_inner", None),
        "norm_eps": ("layer_norm_epsilon", 1e-5),
    },
    gguf_eps="layer_norm_epsilon",
    prefix="transformer.",
    head="lm_head.weight",
    tensors={
        "embed.weight": ("wte.weight",), "positions.weight": ("wpe.weight",),
        "norm.weight": ("ln_f.weight",), "norm.bias": ("ln_f.bias",),
    },
    block={
        "norm_1.weight": ("ln_1.weight",), "norm_1.bias": ("ln_1.bias",),
        "attn.qkv.weight": ("attn.c_attn.weight",), "attn.qkv.bias": ("attn.c_attn.bias",),
        "attn.out.weight": ("attn.c_proj.weight",), "attn.out.bias": ("attn.c_proj.bias",),
        "norm_2.weight": ("ln_2.weight",), "norm_2.bias": ("ln_2.bias",),
        "mlp.inner.weight": ("mlp.c_fc.weight",), "mlp.inner.bias": ("mlp.c_fc.bias",),
        "mlp.down.weight": ("mlp.c_proj.weight",), "mlp.down.bias": ("mlp.c_proj.bias",),
    },
    block_prefix="h.{n}.",
    gguf_block={
        "norm_1.weight": ("attn_norm.weight",), "norm_1.bias": ("attn_norm.bias",),
        "attn.qkv.weight": ("attn_qkv.weight",), "attn.qkv.bias": ("attn_qkv.bias",),
        "attn.out.weight": ("attn_output.weight",), "attn.out.bias": ("attn_output.bias",),
        "norm_2.weight": ("ffn_norm.weight",), "norm_2.bias": ("ffn_norm.bias",),
        "mlp.inner.weight": ("ffn_up.weight",), "mlp.inner.bias": ("ffn_up.bias",),
        "mlp.down.weight": ("ffn_down.weight",), "mlp.down.bias": ("ffn_down.bias",),
    },
    transposed=frozenset({"attn.qkv.weight", "attn.out.weight", "mlp.inner.weight", "mlp.down.weight"}),
    ignored=(".attn.bias", ".attn.masked_bias"),
)  # fmt: skip

_LLAMA_KEYS: dict[str, tuple[str, int | float | None]] = {
    "vocab_size": ("vocab_size", 32000), "context": ("max_position_embeddings", 2048),
    "width": ("hidden_size", 4096), "layers": ("num_hidden_layers", 32),
    "heads": ("num_attention_heads", 32), "kv_heads": ("num_key_value_heads", None),
    "head_width": ("head_dim", None), "hidden": ("intermediate_size", 11008),
    "norm_eps": ("rms_norm_eps", 1e-6),
}  # fmt: skip

_LLAMA_BLOCK: Sources = {
    "norm_1.weight": ("input_layernorm.weight",),
    "attn.qkv.weight": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "attn.qkv.bias": ("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"),
    "attn.q_norm.weight": ("self_attn.q_norm.weight",),
    "attn.k_norm.weight": ("self_attn.k_norm.weight",),
    "attn.out.weight": ("self_attn.o_proj.weight",),
    "attn.out.bias": ("self_attn.o_proj.bias",),
    "norm_2.weight": ("post_attention_layernorm.weight",),
    "mlp.inner.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "mlp.inner.bias": ("mlp.gate_proj.bias", "mlp.up_proj.bias"),
    "mlp.down.weight": ("mlp.down_proj.weight",),
    "mlp.down.bias": ("mlp.down_proj.bias",),
}

_LLAMA_GGUF: Sources = {
    "norm_1.weight": ("attn_norm.weight",),
    "attn.qkv.weight": ("attn_q.weight", "attn_k.weight", "attn_v.weight"),
    "attn.qkv.bias": ("attn_q.bias", "attn_k.bias", "attn_v.bias"),
    "attn.q_norm.weight": ("attn_q_norm.weight",),
    "attn.k_norm.weight": ("attn_k_norm.weight",),
    "attn.out.weight": ("attn_output.weight",),
    "attn.out.bias": ("attn_output.bias",),
    "norm_2.weight": ("ffn_norm.weight",),
    "mlp.inner.weight": ("ffn_gate.weight", "ffn_up.weight"),
    "mlp.inner.bias": ("ffn_gate.bias", "ffn_up.bias"),
    "mlp.down.weight": ("ffn_down.weight",),
    "mlp.down.bias": ("ffn_down.bias",),
}

_LLAMA = Family(
    name="llama",
    title="Llama",
    norm="rms",
    positions="rope",
    qk_norm=False,
    tied=False,
    keys=_LLAMA_KEYS,
    gguf_eps="layer_norm_rms_epsilon",
    prefix="model.",
    head="lm_head.weight",
    tensors={"embed.weight": ("embed_tokens.weight",), "norm.weight": ("norm.weight",)},
    block=_LLAMA_BLOCK,
    block_prefix="layers.{n}.",
    gguf_block=_LLAMA_GGUF,
    ignored=(".rotary_emb.inv_freq",),
    interleaved=True,
)

_QWEN3 = Family(
    name="qwen3",
    title="Qwen3",
    norm="rms",
    positions="rope",
    qk_norm=True,
    tied=False,
    keys=_LLAMA_KEYS
    | {
        "vocab_size": ("vocab_size", 151936), "context": ("max_position_embeddings", 32768),
        "kv_heads": ("num_key_value_heads", 32), "head_width": ("head_dim", 128),
        "hidden": ("intermediate_size", 22016),
    },
    gguf_eps="layer_norm_rms_epsilon",
    prefix="model.",
    head="lm_head.weight",
    tensors={"embed.weight": ("embed_tokens.weight",), "norm.weight": ("norm.weight",)},
    block=_LLAMA_BLOCK,
    block_prefix="layers.{n}.",
    gguf_block=_LLAMA_GGUF,
    ignored=(".rotary_emb.inv_freq",),
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {family.name: family for family in (_GPT2, _LLAMA, _QWEN3)}

GGUF_TENSORS: Sources = {
    "embed.weight": ("token_embd.weight",),
    "positions.weight": ("position_embd.weight",),
    "norm.weight": ("output_norm.weight",),
    "norm.bias": ("output_norm.bias",),
    "unembed.weight": ("output.weight",),
}
"""Sources of parameters outside blocks in GGUF files, the same in all families."""


def huggingface_sources(family: Family, parameter: str) -> tuple[str, ...]:
    """The tensors that a parameter is made of, without the prefix of the whole model.

    >>> huggingface_sources(FAMILIES["llama"], "blocks.3.mlp.inner.weight")
    ('layers.3.mlp.gate_proj.weight', 'layers.3.mlp.up_proj.weight')
    """
    if parameter == "unembed.weight":
        return (family.head,)
    n, inner = _in_block(parameter)
    if n is None:
        return family.tensors[parameter]
    return tuple(family.block_prefix.format(n=n) + name for name in family.block[inner])


def gguf_sources(family: Family, parameter: str) -> tuple[str, ...]:
    """The tensors that a parameter is made of, in a GGUF file.

    >>> gguf_sources(FAMILIES["gpt2"], "blocks.3.attn.qkv.bias")
    ('blk.3.attn_qkv.bias',)
    """
    n, inner = _in_block(parameter)
    if n is None:
        return GGUF_TENSORS[parameter]
    return tuple(f"blk.{n}.{name}" for name in family.gguf_block[inner])


def inner_name(parameter: str) -> str:
    """The name of a parameter inside its block, or the whole name.

    >>> inner_name("blocks.12.attn.qkv.weight")
    'attn.qkv.weight'
    """
    return _in_block(parameter)[1]


def _in_block(parameter: str) -> tuple[int | None, str]:
    if not parameter.startswith("blocks."):
        return None, parameter
    _, n, inner = parameter.split(".", 2)
    return int(n), inner
