"""Models as GGUF files, written and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.formats.gguf import read_gguf_header
from core.model.config import ModelConfig, RopeScaling
from core.model.export import write_model
from core.model.initial import new_model
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.quantization import quantize
from core.quantization.blocks import Spread
from core.quantization.quantize import TensorDone, plan_for, quantize_model
from core.quantization.recipes import Wish
from core.stages import run_to_end
from core.tokenizer.gguf_vocabulary import read_gguf_tokenizer
from core.tokenizer.reading import read_tokenizer

BASE = Path(__file__).resolve().parents[3] / "resources" / "lineage" / "base"
LLAMA = ModelConfig(
    family="llama", vocab_size=64, context=64, width=64, layers=2, heads=4, kv_heads=2, head_width=16, hidden=256,
    norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu", attention_bias=True, mlp_bias=False, qk_norm=False,
    tied=False,
)  # fmt: skip
QWEN3 = replace(
    LLAMA, family="qwen3", head_width=32, qk_norm=True, tied=True, attention_bias=False, rope_base=1e6
)


def folder_of(config: ModelConfig, folder: Path) -> tuple[Path, Transformer]:
    generator = torch.Generator().manual_seed(1)
    model = new_model(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    folder.mkdir()
    write_model(config, dict(model.named_parameters()), folder)
    return folder, model.requires_grad_(False)


def loaded(path: Path) -> Transformer:
    model: Transformer = run_to_end(load_model(open_model(path))).result
    return model


@pytest.mark.parametrize("config", [LLAMA, QWEN3, replace(LLAMA, attention_bias=False)])
def test_a_file_in_float32_is_the_same_model(config: ModelConfig, tmp_path: Path) -> None:
    folder, model = folder_of(config, tmp_path / "model")
    run_to_end(quantize_model(open_model(folder), tmp_path / "m.gguf", Wish("F32")))
    again = loaded(tmp_path / "m.gguf")
    assert again.config == replace(config, norm_eps=again.config.norm_eps)
    assert again.config.norm_eps == pytest.approx(config.norm_eps)
    for (name, ours), (_, theirs) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_the_small_world_keeps_weights_tokenizer_and_template(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(BASE)
    run_to_end(quantize_model(open_model(BASE), tmp_path / "m.gguf", Wish("F32"), tokenizer))
    again = read_gguf_tokenizer(tmp_path / "m.gguf")
    assert again.encode("The king of Arlen, 12.") == tokenizer.encode("The king of Arlen, 12.")
    assert (again.eos, again.chat_template) == (tokenizer.eos, tokenizer.chat_template)
    for ours, theirs in zip(loaded(BASE).parameters(), loaded(tmp_path / "m.gguf").parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_every_tensor_is_an_event_with_its_error(tmp_path: Path) -> None:
    events = list(quantize_model(open_model(BASE), tmp_path / "m.gguf", Wish("Q4_K_M"), read_tokenizer(BASE)))
    done = [event for event in events if isinstance(event, TensorDone)]
    result = events[-1].result  # type: ignore[union-attr]
    assert [one.index for one in done] == list(range(done[0].count))
    assert result.tensors == tuple(done)
    assert result.plan == plan_for(open_model(BASE), Wish("Q4_K_M"))
    assert {one.choice.kind for one in done} == {"F32", "Q4_K", "Q6_K"}
    assert all(0.03 < one.error < 0.12 for one in done if one.choice.kind == "Q4_K")
    assert all(one.error < 0.025 for one in done if one.choice.kind == "Q6_K")
    assert result.file_bytes == (tmp_path / "m.gguf").stat().st_size


def test_a_quantized_file_is_copied_where_its_type_stays(tmp_path: Path) -> None:
    first = tmp_path / "first.gguf"
    run_to_end(quantize_model(open_model(BASE), first, Wish("Q8_0"), read_tokenizer(BASE)))
    made = run_to_end(quantize_model(open_model(first), tmp_path / "second.gguf", Wish("Q8_0"))).result
    assert made.round_trips == sum(made.plan.shares().values())
    assert first.read_bytes() == (tmp_path / "second.gguf").read_bytes()
    header = read_gguf_header(tmp_path / "second.gguf")
    assert header.metadata["general.file_type"] == 7


@pytest.mark.parametrize(
    "scaling", [RopeScaling("linear", factor=2.0), RopeScaling("factors", factors=tuple(range(1, 9)))]
)
def test_scaled_rope_goes_along(scaling: RopeScaling, tmp_path: Path) -> None:
    folder, _ = folder_of(LLAMA, tmp_path / "model")
    source = open_model(folder)
    source = replace(source, config=replace(source.config, rope_scaling=scaling))
    run_to_end(quantize_model(source, tmp_path / "m.gguf", Wish("F32")))
    again = open_model(tmp_path / "m.gguf").config.rope_scaling
    assert again is not None
    assert (again.kind, again.factor if scaling.kind == "linear" else again.factors) == (
        scaling.kind, scaling.factor if scaling.kind == "linear" else scaling.factors,
    )  # fmt: skip


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    stage = quantize_model(open_model(BASE), tmp_path / "m.gguf", Wish("Q4_0"), read_tokenizer(BASE))
    for event in stage:
        if isinstance(event, TensorDone) and event.index == 3:
            break
    stage.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_text("mine")
    with pytest.raises(LabError, match="exists already"):
        quantize_model(open_model(BASE), tmp_path / "m.gguf", Wish("Q4_0"))
    assert (tmp_path / "m.gguf").read_text() == "mine"


@pytest.mark.parametrize(
    ("value", "told"),
    [(float("nan"), r"blk\.1\.ffn_down\.weight holds nan at row 2, column 3"), (3e8, "too large for Q8_0")],
)
def test_a_weight_that_no_block_holds_ends_it_with_the_tensor_and_leaves_nothing(
    value: float, told: str, tmp_path: Path
) -> None:
    folder, model = folder_of(LLAMA, tmp_path / "model")
    weights = {name: parameter.clone() for name, parameter in model.named_parameters()}
    weights["blocks.1.mlp.down.weight"][2, 3] = value
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    write_model(LLAMA, weights, folder)
    with pytest.raises(LabError, match=told):
        run_to_end(quantize_model(open_model(folder), tmp_path / "m.gguf", Wish("Q8_0")))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_vocabulary_with_fewer_tokens_than_rows_is_filled_up(tmp_path: Path) -> None:
    folder, _ = folder_of(replace(LLAMA, vocab_size=2100), tmp_path / "model")
    run_to_end(quantize_model(open_model(folder), tmp_path / "m.gguf", Wish("F16"), read_tokenizer(BASE)))
    header = read_gguf_header(tmp_path / "m.gguf")
    assert header.metadata["tokenizer.ggml.tokens"][2099] == b"[PAD2099]"  # type: ignore[index]
    assert read_gguf_tokenizer(tmp_path / "m.gguf").vocab_size == 2048


def test_a_vocabulary_with_more_tokens_than_rows_is_refused(tmp_path: Path) -> None:
    folder, _ = folder_of(LLAMA, tmp_path / "model")
    with pytest.raises(LabError, match="has 2,048 tokens, the model's embedding 64 rows"):
        quantize_model(open_model(folder), tmp_path / "m.gguf", Wish("F16"), read_tokenizer(BASE))


def test_the_gguf_package_opens_it(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    gguf = pytest.importorskip("gguf")
    run_to_end(quantize_model(open_model(BASE), tmp_path / "m.gguf", Wish("Q4_K_M"), read_tokenizer(BASE)))
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    plan = plan_for(open_model(BASE), Wish("Q4_K_M"))
    assert kinds == {choice.tensor.name: choice.kind for choice in plan.choices}


def stopped_after(tensors: int, folder: Path, keep: Path) -> None:
    """Quantize the small world, and stop after so many tensors."""
    stage = quantize_model(
        open_model(BASE), folder / "a.gguf", Wish("Q4_K_M"), read_tokenizer(BASE), keep=keep
    )
    done = (event for event in stage if isinstance(event, TensorDone))
    for _ in range(tensors):
        next(done)
    stage.close()


def test_what_was_stopped_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    source, tokenizer = open_model(BASE), read_tokenizer(BASE)
    stopped_after(9, tmp_path, keep)
    assert not (tmp_path / "a.gguf").exists()
    rounded: list[str] = []
    true = quantize.quantize_rows

    def counted(rows: Tensor, kind: str, importance: Tensor | None, name: str, spread: Spread) -> Any:
        rounded.append(name)
        return true(rows, kind, importance, name, spread)

    with monkeypatch.context() as patch:
        patch.setattr(quantize, "quantize_rows", counted)
        made = run_to_end(
            quantize_model(source, tmp_path / "a.gguf", Wish("Q4_K_M"), tokenizer, keep=keep)
        ).result
    assert len(rounded) == len(made.tensors) - 9
    assert not list(keep.iterdir())
    whole = run_to_end(quantize_model(source, tmp_path / "b.gguf", Wish("Q4_K_M"), tokenizer)).result
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    assert [(t.error, t.largest) for t in made.tensors] == [(t.error, t.largest) for t in whole.tensors]


def test_what_was_kept_of_another_recipe_or_is_damaged_is_made_anew(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    source, tokenizer = open_model(BASE), read_tokenizer(BASE)
    stopped_after(9, tmp_path, keep)
    part = keep / "tensors.part"
    data = bytearray(part.read_bytes())
    data[-40:] = bytes(40)  # as after a power cut
    part.write_bytes(data)
    (keep / "tensors.jsonl").write_bytes((keep / "tensors.jsonl").read_bytes() + b'{"start": 1')
    run_to_end(quantize_model(source, tmp_path / "a.gguf", Wish("Q4_K_M"), tokenizer, keep=keep))
    run_to_end(quantize_model(source, tmp_path / "b.gguf", Wish("Q4_K_M"), tokenizer))
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    stopped_after(3, tmp_path / "keep", keep)
    run_to_end(quantize_model(source, tmp_path / "c.gguf", Wish("Q8_0"), tokenizer, keep=keep))
    run_to_end(quantize_model(source, tmp_path / "d.gguf", Wish("Q8_0"), tokenizer))
    assert (tmp_path / "c.gguf").read_bytes() == (tmp_path / "d.gguf").read_bytes()
