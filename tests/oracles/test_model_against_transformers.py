"""The transformer, its loading and its greedy text against Hugging Face's, on real and on random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.stages import run_to_end
from core.tokenizer.known import known_path, load_known

transformers = pytest.importorskip("transformers")

SMALL = {
    "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 64,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}
GPT2 = {"vocab_size": 97, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2 tied": ("GPT2", GPT2),
    "gpt2 untied": ("GPT2", GPT2 | {"tie_word_embeddings": False}),
    "gpt2 exact gelu, inner width": ("GPT2", GPT2 | {"activation_function": "gelu", "n_inner": 40}),
    "llama untied": ("Llama", SMALL | {"num_key_value_heads": 4}),
    "llama tied": ("Llama", SMALL | {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "llama grouped": ("Llama", SMALL | {"num_key_value_heads": 2}),
    "llama one key head": ("Llama", SMALL | {"num_key_value_heads": 1}),
    "llama biases": ("Llama", SMALL | {"num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True}),
    "llama wide heads": ("Llama", SMALL | {"num_key_value_heads": 2, "head_dim": 24}),
    "llama 3 scaling": ("Llama", SMALL | {"num_key_value_heads": 2, "rope_parameters": LLAMA3}),
    "llama linear scaling": ("Llama", SMALL | {"num_key_value_heads": 2, "rope_parameters": LINEAR}),
    "qwen3 untied": ("Qwen3", SMALL | {"num_key_value_heads": 2, "head_dim": 16}),
    "qwen3 tied": ("Qwen3", SMALL | {"num_key_value_heads": 4, "head_dim": 8, "tie_word_embeddings": True}),
    "qwen3 biases": ("Qwen3", SMALL | {"num_key_value_heads": 1, "head_dim": 8, "attention_bias": True}),
}

TEXTS = [
    "The cat sat on the mat because it was tired.",
    "The capital of France is",
    "strawberry",
    "def f(x):\n    return x + 1\n",
    "1 + 1 = 2, 2 + 2 = 4, 17 + 25 =",
    "Es war einmal ein König, der hatte drei Söhne.",
    "日本の首都は",
    "🙂 👩‍👩‍👧",
    "    \n\n\t  x",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG",
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "To be, or not to be, that is the question:",
    "The king and the queen of a small country",
    "http://example.org/index.html?a=1&b=2",
    "Q: Who wrote Hamlet?\nA:",
    "Once upon a time there was a little girl who lived in a village near the forest.",
    "The bank of the river was muddy; the bank closed at five.",
    "0123456789 3.14159 2.71828 1,000,000",
    "She said: “I don’t know.” Then she left.",
]  # fmt: skip


def random_model(kind: str, settings: dict[str, Any], folder: Path, **how: Any) -> Any:
    """A model of transformers with random weights, biases and norms too, saved in `folder`."""
    torch.manual_seed(7)
    config = getattr(transformers, f"{kind}Config")(**settings, attn_implementation="eager")
    model = getattr(transformers, f"{kind}{'LMHeadModel' if kind == 'GPT2' else 'ForCausalLM'}")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.eval().save_pretrained(folder, **how)
    return model


def ours(path: Path) -> Transformer:
    return run_to_end(load_model(open_model(path))).result  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_of_random_models(name: str, tmp_path: Path) -> None:
    kind, settings = CONFIGS[name]
    theirs = random_model(kind, settings, tmp_path)
    model = ours(tmp_path)
    ids = torch.randint(0, 97, (2, 40))
    with torch.inference_mode():
        expected = theirs(ids).logits
        for explicit in (False, True):
            assert (model(ids, explicit=explicit) - expected).abs().max() < 1e-4


def test_a_model_in_several_files(tmp_path: Path) -> None:
    theirs = random_model(*CONFIGS["llama grouped"], tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    ids = torch.randint(0, 97, (1, 20))
    with torch.inference_mode():
        assert (ours(tmp_path)(ids) - theirs(ids).logits).abs().max() < 1e-4


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_weights_of_two_bytes(kind: torch.dtype, tmp_path: Path) -> None:
    theirs = random_model(*CONFIGS["qwen3 tied"], tmp_path / "whole").to(kind)
    theirs.save_pretrained(tmp_path / "half")
    theirs = transformers.Qwen3ForCausalLM.from_pretrained(tmp_path / "half", dtype=torch.float32)
    ids = torch.randint(0, 97, (1, 20))
    with torch.inference_mode():
        assert (ours(tmp_path / "half")(ids) - theirs(ids).logits).abs().max() < 1e-4


@pytest.fixture(scope="module")
def smollm2() -> Transformer:
    return ours(known_path("smollm2"))


@pytest.fixture(scope="module")
def their_smollm2() -> Any:
    path = known_path("smollm2")
    with torch.random.fork_rng():
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
        )
    return model.eval()


def test_smollm2(smollm2: Transformer, their_smollm2: Any, report: Callable[[str, object], None]) -> None:
    tokenizer = load_known("smollm2")
    worst = 0.0
    with torch.inference_mode():
        for text in TEXTS:
            ids = torch.tensor([tokenizer.encode(text)])
            worst = max(worst, float((smollm2(ids) - their_smollm2(ids).logits).abs().max()))
    report("SmolLM2: largest difference of a logit from transformers', 20 texts", f"{worst:.1e}")
    assert worst <= 1e-3


def test_patterns_of_smollm2(
    smollm2: Transformer, their_smollm2: Any, report: Callable[[str, object], None]
) -> None:
    from core.model.trace import Trace

    ids = torch.tensor([load_known("smollm2").encode(TEXTS[0])])
    trace = Trace(["blocks.*.attn.pattern", "blocks.*.resid_pre"])
    with torch.inference_mode():
        smollm2(ids, explicit=True, trace=trace)
        theirs = their_smollm2(ids, output_attentions=True, output_hidden_states=True)
    worst = max(
        float((trace[f"blocks.{n}.attn.pattern"] - theirs.attentions[n]).abs().max()) for n in range(30)
    )
    report("SmolLM2: largest difference of an attention weight from transformers'", f"{worst:.1e}")
    assert worst <= 1e-5
    for n in range(30):
        ours_, expected = trace[f"blocks.{n}.resid_pre"], theirs.hidden_states[n]
        assert torch.allclose(ours_, expected, rtol=1e-4, atol=1e-3)


def test_greedy_text_of_smollm2(smollm2: Transformer, their_smollm2: Any) -> None:
    from core.model.generation import Reader, generate
    from core.model.settings import GenerationSettings

    ids = list(load_known("smollm2").encode("Once upon a time there was a king who"))
    ours_ = run_to_end(
        generate(Reader(smollm2), ids, GenerationSettings(temperature=0.0, max_tokens=100))
    ).result.ids
    text = torch.tensor([ids])
    with torch.inference_mode():
        theirs = their_smollm2.generate(
            text,
            attention_mask=torch.ones_like(text),
            max_new_tokens=100,
            min_new_tokens=100,
            do_sample=False,
        )
    assert list(ours_) == theirs[0, len(ids) :].tolist()


def test_a_llama_in_gguf_whose_rows_are_paired_otherwise(tmp_path: Path) -> None:
    """transformers reads the same GGUF file and puts the rows of queries and keys back as well."""
    gguf = pytest.importorskip("gguf")
    theirs = random_model(*CONFIGS["llama grouped"], tmp_path / "hf")
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for key, value in (
        ("context_length", 64),
        ("embedding_length", 32),
        ("block_count", 3),
        ("feed_forward_length", 48),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", 8),
    ):
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-6)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    inner = {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    names |= {f"model.layers.{n}.{old}": f"blk.{n}.{new}" for n in range(3) for old, new in inner.items()}
    for name, tensor in theirs.state_dict().items():
        heads = {"q": 4, "k": 2}.get(name.split(".")[-2][0], 0) if "self_attn" in name else 0
        if heads:  # llama.cpp's converter: neighbors become pairs
            tensor = tensor.view(heads, 2, 4, 32).transpose(1, 2).reshape(tensor.shape)
        writer.add_tensor(names[name.removesuffix(".weight")] + ".weight", tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ids = torch.randint(0, 97, (1, 40))
    with torch.inference_mode():
        assert (ours(tmp_path / "m.gguf")(ids) - theirs(ids).logits).abs().max() < 1e-4
