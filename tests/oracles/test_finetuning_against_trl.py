"""Losses and measures of fine-tuning against transformers and trl, adapters against peft, on the same batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from core.model.config import ModelConfig
from core.model.export import write_model
from core.model.initial import new_model
from core.model.transformer import Transformer
from core.training.adapters import read_adapter, write_adapter
from core.training.answers import Pairs, of_comparisons, of_demonstrations, read
from core.training.finetune_settings import FinetuneSettings
from core.training.lessons import added
from core.training.lora import Adapter, Thin, cut_to, merged, new_adapter, singular_values, with_adapter
from core.training.pieces import Piece, Two, padded
from core.training.settings import ShapeSettings

GPT2 = ShapeSettings(layers=2, width=16, heads=2, context=24).config(61)
LLAMA = replace(
    GPT2, family="llama", norm="rms", positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False,
    tied=False, kv_heads=1, hidden=24,
)  # fmt: skip
CONFIGS = {"gpt2": GPT2, "llama": LLAMA}
TWOS = tuple(
    Two(Piece((5, *prompt, *chosen), 1 + len(prompt)), Piece((5, *prompt, *rejected), 1 + len(prompt)))
    for prompt, chosen, rejected in (
        ((7, 8), (9, 10, 3), (11, 3)),
        ((12,), (13, 14, 15, 16, 3), (17, 18, 19, 3)),
        ((20, 21, 22, 23), (24, 3), (25, 26, 27, 28, 29, 30, 3)),
    )
)


@pytest.fixture(autouse=True)
def _their_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def random_model(config: ModelConfig, seed: int = 5, dtype: torch.dtype = torch.float32) -> Transformer:
    generator = torch.Generator().manual_seed(seed)
    model = new_model(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.to(dtype)


def theirs_of(model: Transformer, folder: Path) -> Any:
    write_model(model.config, dict(model.named_parameters()), folder, end=3)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")


def pairs(twos: tuple[Two, ...], reference: Transformer, length: int = 0) -> Pairs:
    part = padded([*(two.chosen for two in twos), *(two.rejected for two in twos)], length=length)
    with torch.no_grad():
        logs = read(reference, part, measured=False).logs
    made = torch.zeros(2 * len(twos), dtype=logs.dtype).index_add(0, part.owners, logs)
    return Pairs(part, made)


def loss_of(
    model: Transformer, reference: Transformer, settings: FinetuneSettings, twos: tuple[Two, ...] = TWOS,
    length: int = 0, of: tuple[Two, ...] = (),
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    part = pairs(twos, reference, length)
    whole = of or twos
    tokens = sum(two.chosen.learned for two in whole)
    loss, measures = of_comparisons(read(model, part.padded), part, settings, len(whole), tokens)
    return loss, added([measures])


def test_the_loss_of_demonstrations_is_that_of_transformers(tmp_path: Path) -> None:
    model = random_model(GPT2)
    theirs = theirs_of(model, tmp_path)
    part = padded([two.chosen for two in TWOS])
    labels = part.ids.clone()
    labels[:, 1:][~part.learned] = -100
    labels[:, 0] = -100
    expected = theirs(part.ids, labels=labels).loss
    expected.backward()
    loss, _ = of_demonstrations(read(model, part), len(part.targets))
    loss.backward()  # type: ignore[no-untyped-call]
    assert abs(float(loss.detach()) - float(expected.detach())) < 1e-5
    ours = model.embed.weight.grad
    assert ours is not None
    assert (ours - theirs.transformer.wte.weight.grad).abs().max() < 1e-5


def trl_says(
    theirs: Any, their_reference: Any, part: Pairs, **options: Any
) -> tuple[float, dict[str, float]]:
    """What trl's own trainer makes of the batch; only what surrounds its `_compute_loss` is put in its place."""
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

    trainer = _their_trainer(DPOTrainer, DPOConfig, theirs, their_reference, options)
    n = part.count
    rows = []
    for two in TWOS[:n]:
        begin = two.chosen.begin
        rows.append(
            {
                "prompt_ids": list(two.chosen.ids[:begin]),
                "chosen_ids": list(two.chosen.ids[begin:]),
                "rejected_ids": list(two.rejected.ids[begin:]),
            }
        )
    batch = DataCollatorForPreference(pad_token_id=0)(rows)
    trainer.model.train()
    loss = trainer._compute_loss(trainer.model, batch, return_outputs=False)
    return float(loss.detach()), {name: values[-1] for name, values in trainer._metrics["train"].items()}


def _their_trainer(kind: Any, config: Any, theirs: Any, reference: Any, options: dict[str, Any]) -> Any:
    import tempfile

    import datasets  # type: ignore[import-untyped]
    import tokenizers

    words = {f"w{n}": n for n in range(61)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="w0", eos_token="w3")  # type: ignore[no-untyped-call]
    rows = datasets.Dataset.from_list([{"prompt": "w5 w7", "chosen": " w9", "rejected": " w11"}])
    with tempfile.TemporaryDirectory() as folder:
        return kind(
            model=theirs, ref_model=reference, processing_class=tokenizer, train_dataset=rows,
            args=config(output_dir=folder, report_to="none", use_cpu=True, bf16=False, **options),
        )  # fmt: skip


OBJECTIVES: dict[str, tuple[FinetuneSettings, dict[str, Any]]] = {
    "dpo": (FinetuneSettings("dpo", beta=0.3), {"loss_type": ["sigmoid"], "beta": 0.3}),
    "dpo and chosen": (
        FinetuneSettings("dpo", beta=0.3, nll=0.7),
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7], "beta": 0.3},
    ),
    "robust": (
        FinetuneSettings("dpo", smoothing=0.1, robust=True),
        {"loss_type": ["robust"], "label_smoothing": 0.1},
    ),
    "ipo": (FinetuneSettings("ipo"), {"loss_type": ["ipo"]}),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_and_measures_of_comparisons_are_trls(
    name: str, tmp_path: Path, report: Callable[[str, object], None]
) -> None:
    settings, options = OBJECTIVES[name]
    model, reference = random_model(GPT2), random_model(GPT2, seed=6)
    (tmp_path / "model").mkdir()
    (tmp_path / "reference").mkdir()
    theirs, their_reference = (
        theirs_of(model, tmp_path / "model"),
        theirs_of(reference, tmp_path / "reference"),
    )
    expected, their_measures = trl_says(theirs, their_reference, pairs(TWOS, reference), **options)
    loss, measures = loss_of(model, reference, settings)
    worst = abs(float(loss.detach()) - expected)
    compared = set(measures) & set(their_measures)
    assert compared == set(measures)
    assert set(their_measures) - compared == {"num_tokens"}
    for each in compared:
        worst = max(worst, abs(measures[each] - their_measures[each]))
    report(f"{name}: largest difference from trl", f"{worst:.1e}")
    assert worst < 1e-5


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("targets", ["all", "attention", "mlp.down", "blocks.1.mlp.inner"])
def test_peft_opens_our_adapter_with_equal_logits(name: str, targets: str, tmp_path: Path) -> None:
    import peft

    model = random_model(CONFIGS[name])
    adapter = trained(new_adapter(model.config, 3, 6.0, targets, torch.Generator().manual_seed(1)))
    theirs = theirs_of(model, tmp_path).eval()
    write_adapter(adapter, model.config, tmp_path)
    opened = peft.PeftModel.from_pretrained(theirs, str(tmp_path)).eval()
    ids = torch.randint(0, 61, (2, 11))
    with torch.inference_mode():
        ours = with_adapter(model, adapter)(ids)
        assert (opened(ids).logits - ours).abs().max() < 1e-5
        assert (ours - model(ids)).abs().max() > 1e-3


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("rooted", [False, True])
def test_pefts_adapter_opens_here_with_equal_logits(name: str, rooted: bool, tmp_path: Path) -> None:
    import peft

    model = random_model(CONFIGS[name])
    some = {"gpt2": ["c_attn"], "llama": ["q_proj", "v_proj", "up_proj"]}[name]
    wanted = peft.LoraConfig(
        r=2,
        lora_alpha=5,
        target_modules=some,
        use_rslora=rooted,
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    theirs = peft.get_peft_model(theirs_of(model, tmp_path), wanted).eval()
    theirs.save_pretrained(str(tmp_path / "adapter"))
    adapter = read_adapter(tmp_path / "adapter", model.config).adapter
    ids = torch.randint(0, 61, (2, 11))
    with torch.inference_mode():
        expected = theirs(ids).logits
        assert (with_adapter(model, adapter)(ids) - expected).abs().max() < 1e-5
        whole = Transformer(model.config)
        whole.load_state_dict(merged(dict(model.named_parameters()), adapter), assign=True)
        assert (whole(ids) - expected).abs().max() < 1e-5


def trained(adapter: Adapter) -> Adapter:
    """An adapter as if it had learned something."""
    chance = torch.Generator().manual_seed(2)
    return replace(
        adapter,
        thin={
            place: Thin(one.a, torch.randn(one.b.shape, generator=chance) * 0.3)
            for place, one in adapter.thin.items()
        },
    )


def test_singular_values_are_those_of_the_whole_change_and_the_full_rank_cut_is_the_same() -> None:
    adapter = trained(new_adapter(LLAMA, 4, 6.0, "all", torch.Generator().manual_seed(1)))
    for place in adapter.thin:
        change = adapter.change(place)
        values = torch.linalg.svdvals(change)[:4]
        assert torch.allclose(singular_values(adapter, place), values, atol=1e-5)
        assert (cut_to(adapter, 4).change(place) - change).abs().max() < 1e-5
        lower = change - cut_to(adapter, 2).change(place)
        assert abs(float(lower.norm()) - float(values[2:].norm())) < 1e-5
