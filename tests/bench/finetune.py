"""A DPO step on the small world and a LoRA step on SmolLM2 against trl's, on the same batches.

Both sides know the reference's log-probabilities beforehand, measure what trl logs, and use AdamW with the
same numbers; neither recomputes activations, although trl does so unless it is told not to. The losses of all
steps must agree within 1e-3.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.corpus.smallworld.preferences import preference_pairs
from core.model.export import write_model
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.stages import run_to_end
from core.tokenizer.gguf_vocabulary import gguf_tokenizer
from core.tokenizer.known import known_path
from core.tokenizer.reading import read_tokenizer
from core.training.answer_lessons import Preferring, References, Start, read_references
from core.training.finetune import start_path
from core.training.finetune_settings import FinetuneSettings
from core.training.lora import Adapter, adapter_of
from core.training.pieces import Two, chat_tokenizer, encode_rows
from core.training.rows import Comparison, answered, asked
from core.training.settings import TrainingSettings
from core.training.trainer import Trainer
from tests.bench.harness import Case, main

RATE, BETA = 1e-4, 0.3


@dataclass(frozen=True)
class Work:
    """One comparison of the two sides.

    Attributes:
        model: "base" or "smollm2".
        batch: Comparisons of a step.
        steps: Steps in each of the timed calls.
        rank: Of LoRA; 0 for all weights.
    """

    model: str
    batch: int
    steps: int
    rank: int


class Losses(list[float]):
    """Losses that are equal where they differ by no more than 1e-3."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, list)
            and len(self) == len(other)
            and all(abs(a - b) < 1e-3 for a, b in zip(self, other, strict=True))
        )

    __hash__ = None


@functools.cache
def prepared(work: Work) -> tuple[Start, tuple[Two, ...], References]:
    """The model, its comparisons and what it thinks of them."""
    source = open_model(start_path(work.model))
    model: Transformer = run_to_end(load_model(source)).result
    words = gguf_tokenizer(source.header, source.name) if source.header else read_tokenizer(source.path)
    words = chat_tokenizer(words)
    rows = tuple(
        Comparison(asked(one.prompt), answered(one.chosen), answered(one.rejected))
        for one in preference_pairs(1, "train", work.batch * work.steps)
    )
    twos = run_to_end(encode_rows(rows, words, source.config.context)).result
    references = run_to_end(read_references(model, twos, ())).result
    return Start(model, words, "", "", chat=True), twos, references


def settings(work: Work) -> TrainingSettings:
    return TrainingSettings(
        steps=10_000, batch=work.batch, optimizer="adamw", rate=RATE, schedule="constant", warmup=0,
        weight_decay=0.0, precision="f32", seed=0,
    )  # fmt: skip


def method(work: Work) -> FinetuneSettings:
    return FinetuneSettings("dpo", beta=BETA, rank=work.rank, alpha=16.0)


class Ours:
    """The loop's own trainer."""

    def __init__(self, work: Work) -> None:
        start, twos, references = prepared(work)
        self.lesson = Preferring(start, twos, (), settings(work), method(work), references)
        self.trainer = Trainer(self.lesson, settings(work), "f32")
        self.steps = work.steps

    def __call__(self) -> Losses:
        losses = Losses()
        for _ in range(self.steps):
            for result in self.trainer.next_step():
                if result is not None:
                    losses.append(result[0])
        return losses


class Theirs:
    """trl's loss and measures with torch's AdamW, as its trainer puts them together."""

    def __init__(self, work: Work) -> None:
        from trl.trainer.dpo_trainer import DataCollatorForPreference

        start, twos, references = prepared(work)
        lesson = Preferring(start, twos, (), settings(work), method(work), references)
        self.trainer = _trainer(start, work, lesson.new_model(torch.Generator().manual_seed(0)))
        self.model = self.trainer.model.train()
        learns = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(learns, lr=RATE, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
        self.lesson, self.references = lesson, references
        self.collate = DataCollatorForPreference(pad_token_id=0)
        self.step, self.steps = 0, work.steps

    def __call__(self) -> Losses:
        losses = Losses()
        for _ in range(self.steps):
            numbers = self.lesson.rows_of(self.step)  # the order in which the rows come is ours
            rows = [_row(self.lesson.train[n], self.references.train[n]) for n in numbers]
            batch = self.collate(rows)
            loss = self.trainer.compute_loss(self.model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
            self.step += 1
        return losses


def _row(two: Two, reference: Any) -> dict[str, Any]:
    begin = two.chosen.begin
    return {
        "prompt_ids": list(two.chosen.ids[:begin]), "chosen_ids": list(two.chosen.ids[begin:]),
        "rejected_ids": list(two.rejected.ids[begin:]), "ref_chosen_logps": float(reference[0]),
        "ref_rejected_logps": float(reference[1]),
    }  # fmt: skip


def _trainer(start: Start, work: Work, model: Transformer) -> Any:
    import datasets  # type: ignore[import-untyped]
    import tokenizers
    import transformers
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    folder = Path(tempfile.mkdtemp())
    write_model(start.model.config, dict(start.model.named_parameters()), folder, end=0)
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if work.rank:
        theirs = _with_lora(theirs, work, model)
    words = {f"w{n}": n for n in range(start.model.config.vocab_size)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="w0", eos_token="w3")  # type: ignore[no-untyped-call]
    rows = datasets.Dataset.from_list([{"prompt": "w5 w7", "chosen": " w9", "rejected": " w11"}])
    arguments = DPOConfig(
        output_dir=str(folder / "out"), report_to="none", use_cpu=True, bf16=False, beta=BETA,
        gradient_checkpointing=False, precompute_ref_log_probs=False,
    )  # fmt: skip
    trainer = DPOTrainer(model=theirs, processing_class=tokenizer, train_dataset=rows, args=arguments)
    trainer.precompute_ref_logps = True  # they come with the batch
    trainer.ref_model = None
    return trainer


def _with_lora(theirs: Any, work: Work, model: Transformer) -> Any:
    """peft's adapter, with our first numbers in it."""
    import peft

    from core.training.adapters import write_adapter

    folder = Path(tempfile.mkdtemp())
    like = Adapter(work.rank, 16.0, _places(model))
    write_adapter(adapter_of(model, like), model.config, folder)
    return peft.PeftModel.from_pretrained(theirs, str(folder), is_trainable=True)


def _places(model: Transformer) -> Any:
    from core.training.lora import Adapted, Thin

    return {
        place: Thin(a, b)
        for layer in model.modules()
        if isinstance(layer, Adapted)
        for place, a, b in zip(layer.places, layer.a, layer.b, strict=True)
    }


def case(name: str, told: str, work: Work) -> Case:
    ours: Callable[[], Ours] = functools.cache(lambda: Ours(work))
    theirs: Callable[[], Theirs] = functools.cache(lambda: Theirs(work))
    return Case(name, told, lambda: ours()(), lambda: theirs()(), bar=1 / 1.2)


def make() -> list[Case]:
    warnings.simplefilter("ignore")
    cases = [case("dpo", "4 steps of DPO on the small world's base, 16 pairs each", Work("base", 16, 4, 0))]
    if known_path("smollm2").is_file():
        told = "1 step of DPO with LoRA of rank 8 on SmolLM2, 4 pairs"
        cases.append(case("lora", told, Work("smollm2", 4, 1, 8)))
    return cases


if __name__ == "__main__":
    torch.set_num_threads(2)
    packages = ("torch", "transformers", "trl", "peft")
    sys.exit(main("finetune", "trl", packages, torch.get_num_threads(), make))
