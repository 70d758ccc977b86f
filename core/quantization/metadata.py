"""What stands in a GGUF file beside its tensors: the model's shape, its tokenizer, its chat template.

llama.cpp takes a key only in exactly the type that it asks for, so every value carries its type in the words
of `GgufHeader.types`. Keys: docs/gguf.md of ggml and llama.cpp's llama-arch.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.formats.files import StringArray, quoted
from core.formats.gguf import GgufHeader
from core.model.config import ModelConfig
from core.model.families import FAMILIES
from core.model.rope import frequencies
from core.problems import LabError
from core.quantization.recipes import Recipe
from core.tokenizer.patterns import BYTE_TO_CHAR
from core.tokenizer.tokenizer import Tokenizer

QUANTIZATION_VERSION = 2
_NORMAL, _CONTROL, _UNUSED = 1, 3, 5  # types of tokens
_SAME_WORDS = {"llama-bpe": "dbrx"}  # the same pattern, without llama-bpe's "whole words first" and its bos


@dataclass(frozen=True)
class Entry:
    """A key, the type of its value ("u32", "array of string") and the value."""

    key: str
    type: str
    value: Any


def copied(header: GgufHeader) -> list[Entry]:
    """The metadata of a file, but for what says how it was split, aligned and quantized."""
    left = ("general.alignment", "general.file_type", "general.quantization_version")
    return [
        Entry(key, header.types[key], value)
        for key, value in header.metadata.items()
        if key not in left and not key.startswith("split.")
    ]


def of_recipe(recipe: Recipe) -> list[Entry]:
    """How a file was quantized."""
    entries = [Entry("general.file_type", "u32", recipe.number)]
    if recipe.base not in ("F32", "F16", "BF16"):
        entries.append(Entry("general.quantization_version", "u32", QUANTIZATION_VERSION))
    return entries


def of_model(config: ModelConfig, name: str) -> list[Entry]:
    """Shape and name of a model.

    Raises:
        LabError: llama.cpp has no such model.
    """
    _refuse_what_llama_cpp_has_not(config)
    a = config.family
    entries = [
        Entry("general.architecture", "string", a),
        Entry("general.type", "string", "model"),
        Entry("general.name", "string", name),
        Entry(f"{a}.context_length", "u32", config.context),
        Entry(f"{a}.embedding_length", "u32", config.width),
        Entry(f"{a}.block_count", "u32", config.layers),
        Entry(f"{a}.feed_forward_length", "u32", config.hidden),
        Entry(f"{a}.attention.head_count", "u32", config.heads),
        Entry(f"{a}.attention.head_count_kv", "u32", config.kv_heads),
        Entry(f"{a}.attention.{FAMILIES[a].gguf_eps}", "f32", config.norm_eps),
        Entry(f"{a}.vocab_size", "u32", config.vocab_size),
    ]
    if config.positions == "rope":
        entries += [
            Entry(f"{a}.attention.key_length", "u32", config.head_width),
            Entry(f"{a}.attention.value_length", "u32", config.head_width),
            Entry(f"{a}.rope.dimension_count", "u32", config.head_width),
            Entry(f"{a}.rope.freq_base", "f32", config.rope_base),
        ]
        if config.rope_scaling is not None and config.rope_scaling.kind == "linear":
            entries.append(Entry(f"{a}.rope.scaling.type", "string", "linear"))
            entries.append(Entry(f"{a}.rope.scaling.factor", "f32", config.rope_scaling.factor))
    return entries


def rope_factors(config: ModelConfig) -> Tensor | None:
    """What `rope_freqs.weight` holds: by how much each frequency is slowed down; None for no such tensor."""
    scaling = config.rope_scaling
    if scaling is None or scaling.kind == "linear":
        return None
    if scaling.kind == "factors":
        return torch.tensor(scaling.factors)
    d = config.head_width
    plain = config.rope_base ** -(torch.arange(0, d, 2, dtype=torch.float32) / d)  # (d/2,)
    return plain / frequencies(config)


def of_tokenizer(tokenizer: Tokenizer | None, rows: int, adds_bos: bool = False) -> list[Entry]:
    """The vocabulary, as long as the embedding has rows; rows without a token get names of their own.

    Args:
        tokenizer: None for a model without; llama.cpp opens that, too, and takes ids.
        rows: Of the embedding.
        adds_bos: Whether a text is to begin with the token for that.

    Raises:
        LabError: llama.cpp does not know its pattern, it has more tokens than the model, or two are spelled
            alike.
    """
    if tokenizer is None:
        return [Entry("tokenizer.ggml.model", "string", "none")]
    if tokenizer.vocab_size > rows:
        raise LabError(
            f"{tokenizer.name} has {tokenizer.vocab_size:,} tokens, the model's embedding {rows:,} rows.",
            "Choose the tokenizer that the model was trained with.",
        )
    texts, types = _spelled(tokenizer, rows)
    spell = _speller(tokenizer)
    merges = [spell(left) + " " + spell(right) for left, right, _ in tokenizer.merges]
    entries = [
        Entry("tokenizer.ggml.model", "string", "gpt2"),
        Entry("tokenizer.ggml.pre", "string", _pre(tokenizer)),
        Entry("tokenizer.ggml.tokens", "array of string", texts),
        Entry("tokenizer.ggml.token_type", "array of i32", types),
        Entry("tokenizer.ggml.merges", "array of string", merges),
    ]
    for part in ("bos", "eos", "unk", "pad"):
        text = getattr(tokenizer, part)
        if text is not None and text in tokenizer.special_tokens:
            key = {"unk": "unknown", "pad": "padding"}.get(part, part)
            entries.append(Entry(f"tokenizer.ggml.{key}_token_id", "u32", tokenizer.special_tokens[text]))
    entries += [
        Entry("tokenizer.ggml.add_bos_token", "bool", adds_bos and tokenizer.bos is not None),
        Entry("tokenizer.ggml.add_eos_token", "bool", False),
        Entry("tokenizer.ggml.add_space_prefix", "bool", tokenizer.add_prefix_space),
    ]
    if tokenizer.chat_template:
        entries.append(Entry("tokenizer.chat_template", "string", tokenizer.chat_template))
    return entries


def _speller(tokenizer: Tokenizer) -> Callable[[int], str]:
    def spell(id_: int) -> str:
        return "".join(BYTE_TO_CHAR[byte] for byte in tokenizer.token_bytes(id_))

    return spell


def _spelled(tokenizer: Tokenizer, rows: int) -> tuple[list[str], list[int]]:
    """The text and the type of every id."""
    special = {id_: text for text, id_ in tokenizer.special_tokens.items()}
    spell = _speller(tokenizer)
    texts, types, seen = [], [], dict[str, int]()
    for id_ in range(rows):
        if id_ in special:
            text, kind = special[id_], _CONTROL
        elif id_ < len(tokenizer.tokens) and tokenizer.tokens[id_] is not None:
            text, kind = spell(id_), _NORMAL
        else:
            text, kind = f"[PAD{id_}]", _UNUSED
        if text in seen:  # llama.cpp ends its process over this
            raise LabError(
                f"The tokens {seen[text]:,} and {id_:,} of {tokenizer.name} are both spelled {quoted(text)}.",
                "A GGUF file names each token once: rename the special one.",
            )
        seen[text] = id_
        texts.append(text)
        types.append(kind)
    return texts, types


def _pre(tokenizer: Tokenizer) -> str:
    """The name under which llama.cpp knows the pattern.

    Raises:
        LabError: It knows none that splits alike.
    """
    name = tokenizer.pattern.gguf_pre
    if not name:
        raise LabError(
            f"llama.cpp has no name for the pattern {tokenizer.pattern.title}.",
            "It would split texts otherwise: train with the pattern of GPT-2, SmolLM, Qwen2 or Llama 3.",
        )
    return name if tokenizer.ignore_merges else _SAME_WORDS.get(name, name)


def _refuse_what_llama_cpp_has_not(config: ModelConfig) -> None:
    missing = ""
    if config.mlp == "gelu":
        missing = "the exact GELU; its GPT-2 has the tanh approximation"
    elif config.family == "qwen3" and config.attention_bias:
        missing = "biases in the attention of Qwen3"
    if missing:
        raise LabError(f"llama.cpp has no model with {missing}.", "Choose another model.")


def plain(value: Any) -> Any:
    """A value as the gguf package takes it: lists for arrays of any kind.

    >>> plain("text"), plain([1])
    ('text', [1])
    """
    if isinstance(value, StringArray):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else value
