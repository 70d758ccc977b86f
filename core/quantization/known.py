"""Shapes of well-known models, so that a plan and its memory can be computed without the model.

From their config.json: openai-community/gpt2, meta-llama/Llama-3.1-8B, Qwen/Qwen3-8B, Qwen/Qwen3-4B.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.model.config import ModelConfig, RopeScaling

_GPT2 = ModelConfig(
    family="gpt2", vocab_size=50_257, context=1024, width=768, layers=12, heads=12, kv_heads=12,
    head_width=64, hidden=3072, norm="layer", norm_eps=1e-5, positions="learned", mlp="gelu_tanh",
    attention_bias=True, mlp_bias=True, qk_norm=False, tied=True,
)  # fmt: skip

_LLAMA_31_8B = ModelConfig(
    family="llama", vocab_size=128_256, context=131_072, width=4096, layers=32, heads=32, kv_heads=8,
    head_width=128, hidden=14_336, norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu",
    attention_bias=False, mlp_bias=False, qk_norm=False, tied=False, rope_base=500_000.0,
    rope_scaling=RopeScaling("llama3", factor=8.0, low=1.0, high=4.0, original_context=8192),
)  # fmt: skip

_QWEN3_8B = ModelConfig(
    family="qwen3", vocab_size=151_936, context=40_960, width=4096, layers=36, heads=32, kv_heads=8,
    head_width=128, hidden=12_288, norm="rms", norm_eps=1e-6, positions="rope", mlp="swiglu",
    attention_bias=False, mlp_bias=False, qk_norm=True, tied=False, rope_base=1_000_000.0,
)  # fmt: skip

_QWEN3_4B = ModelConfig(
    family="qwen3", vocab_size=151_936, context=40_960, width=2560, layers=36, heads=32, kv_heads=8,
    head_width=128, hidden=9728, norm="rms", norm_eps=1e-6, positions="rope", mlp="swiglu",
    attention_bias=False, mlp_bias=False, qk_norm=True, tied=True, rope_base=1_000_000.0,
)  # fmt: skip

KNOWN_SHAPES: Mapping[str, ModelConfig] = {
    "GPT-2": _GPT2,
    "Qwen3-4B": _QWEN3_4B,
    "Qwen3-8B": _QWEN3_8B,
    "Llama-3.1-8B": _LLAMA_31_8B,
}
"""Shapes by the name that people call the model."""
