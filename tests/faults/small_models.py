"""Small valid models of each format, and the pieces to build damaged ones of."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = {
    "wte.weight": (5, 4), "wpe.weight": (8, 4), "ln_f.weight": (4,), "ln_f.bias": (4,), "h.0.ln_1.weight": (4,),
    "h.0.ln_1.bias": (4,), "h.0.ln_2.weight": (4,), "h.0.ln_2.bias": (4,), "h.0.attn.c_attn.weight": (4, 12),
    "h.0.attn.c_attn.bias": (12,), "h.0.attn.c_proj.weight": (4, 4), "h.0.attn.c_proj.bias": (4,),
    "h.0.mlp.c_fc.weight": (4, 16), "h.0.mlp.c_fc.bias": (16,), "h.0.mlp.c_proj.weight": (16, 4),
    "h.0.mlp.c_proj.bias": (4,),
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "model_type": "gpt2", "vocab_size": 5, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 2, "n_inner": None,
    "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "tie_word_embeddings": True,
}  # fmt: skip

Change = Callable[[Any], Any]


def header_value(shapes: dict[str, tuple[int, ...]] | None = None) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file of these float32 tensors, and the bytes of their data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in (shapes or SHAPES).items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return header, at


def safetensors(
    change: Change | None = None, raw: bytes | None = None, tail: bytes = b"", cut: int = 0
) -> bytes:
    """A safetensors file, after `change` did something to its header, or with the header `raw`."""
    header, size = header_value()
    if change is not None:
        header = change(header) or header
    text = json.dumps(header).encode() if raw is None else raw
    data = np.arange(size // 4, dtype="<f4").tobytes()
    return struct.pack("<Q", len(text)) + text + data[: size - cut] + tail


def gpt2(folder: Path, config: Change | None = None, weights: bytes | None = None) -> Path:
    """A folder as Hugging Face saves it."""
    folder.mkdir(exist_ok=True)
    value = dict(CONFIG)
    if config is not None:
        value = config(value) or value
    (folder / "config.json").write_text(json.dumps(value))
    (folder / "model.safetensors").write_bytes(safetensors() if weights is None else weights)
    return folder


LLAMA = {
    "general.architecture": "llama", "llama.context_length": 16, "llama.embedding_length": 32, "llama.block_count": 1,
    "llama.feed_forward_length": 32, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.dimension_count": 8, "llama.rope.freq_base": 10000.0,
}  # fmt: skip
LLAMA_SHAPES = {
    "token_embd.weight": (6, 32), "output_norm.weight": (32,), "blk.0.attn_norm.weight": (32,),
    "blk.0.attn_q.weight": (32, 32), "blk.0.attn_k.weight": (16, 32), "blk.0.attn_v.weight": (16, 32),
    "blk.0.attn_output.weight": (32, 32), "blk.0.ffn_norm.weight": (32,), "blk.0.ffn_gate.weight": (32, 32),
    "blk.0.ffn_up.weight": (32, 32), "blk.0.ffn_down.weight": (32, 32),
}  # fmt: skip


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf(change: Change | None = None, tensors: Change | None = None, cut: int = 0) -> bytes:
    """A GGUF file of a Llama, after `change` did something to its keys and `tensors` to its shapes."""
    keys, shapes = dict(LLAMA), dict(LLAMA_SHAPES)
    for value, do in ((keys, change), (shapes, tensors)):
        if do is not None:
            do(value)
    out = b"GGUF" + struct.pack("<Iqq", 3, len(shapes), len(keys))
    for key, value in keys.items():
        kind = {str: 8, int: 4, float: 6, bool: 7}[type(value)]
        packed = _text(value) if kind == 8 else struct.pack({4: "<I", 6: "<f", 7: "<?"}[kind], value)
        out += _text(key) + struct.pack("<I", kind) + packed
    data = b""
    for name, shape in shapes.items():
        out += _text(name) + struct.pack("<I", len(shape))
        out += b"".join(struct.pack("<q", size) for size in shape[::-1])
        out += struct.pack("<IQ", 0, len(data))
        numbers = np.linspace(-1, 1, math.prod(shape), dtype="<f4").tobytes()
        data += numbers + bytes(-len(numbers) % 32)
    whole = out + bytes(-len(out) % 32) + data
    return whole[: len(whole) - cut]
