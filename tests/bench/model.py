"""SmolLM2: loading from its GGUF file, reading a prompt, writing greedily, against transformers in float32.

`python run.py bench model [--case NAME] [--json]`. Both sides use all cores; the same ids must come out, but on
the fast path, whose tokens may be others: what is compared there is how many were written, and its kernels
and their divergence stand in the case's title.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import torch

from core.model.fast import TEXT as MEASURED_ON
from core.model.fast import Measured, choose_way, measure_kernels, pack_model
from core.model.generation import Reader, generate
from core.model.loading import load_model
from core.model.settings import GenerationSettings
from core.model.source import open_model
from core.model.transformer import Transformer
from core.stages import run_to_end
from core.tokenizer.known import known_path, load_known
from tests.bench.harness import Case, main

NEW = 60  # tokens that are written
PROMPT = 512  # tokens that are read
TEXT = "Once upon a time there was a king who had three sons. "


def load_ours() -> Transformer:
    return run_to_end(load_model(open_model(known_path("smollm2")))).result  # type: ignore[no-any-return]


def load_theirs() -> Any:
    from transformers import AutoModelForCausalLM

    path = known_path("smollm2")
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model.eval()


ours, theirs = cache(load_ours), cache(load_theirs)


def prompt(length: int) -> list[int]:
    ids = load_known("smollm2").encode(TEXT * (length // 8))
    return list(ids[:length])


def parameters_of(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def read_ours() -> int:
    with torch.inference_mode():
        return int(ours()(torch.tensor([prompt(PROMPT)]), last=1)[0, -1].argmax())


def read_theirs() -> int:
    with torch.inference_mode():
        return int(theirs()(torch.tensor([prompt(PROMPT)]), logits_to_keep=1).logits[0, -1].argmax())


def write_ours() -> tuple[int, ...]:
    settings = GenerationSettings(temperature=0.0, max_tokens=NEW)
    return run_to_end(generate(Reader(ours()), prompt(16), settings)).result.ids  # type: ignore[no-any-return]


def write_theirs() -> tuple[int, ...]:
    ids = torch.tensor([prompt(16)])
    with torch.inference_mode():
        made = theirs().generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False
        )
    return tuple(made[0, 16:].tolist())


@cache
def way(setting: str) -> Measured:
    ids = load_known("smollm2").encode(MEASURED_ON)
    return choose_way(run_to_end(measure_kernels(ours(), ids)).result, setting)


@cache
def fast(setting: str) -> Transformer:
    chosen = way(setting)
    return run_to_end(pack_model(ours(), chosen.blocks, chosen.head)).result  # type: ignore[no-any-return]


def write_fast(setting: str) -> int:
    settings = GenerationSettings(temperature=0.0, max_tokens=NEW)
    return len(run_to_end(generate(Reader(fast(setting)), prompt(16), settings)).result.ids)


def fast_case(setting: str, bar: float) -> Case:
    title = f"write {NEW} tokens, fast path"
    if "--memory" not in sys.argv:
        chosen = way(setting)
        fast(setting)
        title += f": {chosen.title}, mean divergence {chosen.divergence:.4f} nats over {chosen.tokens} tokens"
    return Case(setting, title, lambda: write_fast(setting), lambda: len(write_theirs()), bar)


def make() -> list[Case]:
    torch.set_num_threads(os.cpu_count() or 1)
    if "--memory" not in sys.argv:
        ours(), theirs()
    return [
        Case("load", "load SmolLM2 from its GGUF file, 98 MB", lambda: parameters_of(load_ours()),
             lambda: parameters_of(load_theirs()), 0.1),
        Case("prompt", f"read {PROMPT} tokens", read_ours, read_theirs, 1.0),
        Case("write", f"read 16 tokens and write {NEW}", write_ours, write_theirs, 1 / 1.2),
        fast_case("fastest", 1 / 2.5),
        fast_case("close", 1.0),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main("SmolLM2", "transformers, float32", ["torch", "transformers"], os.cpu_count() or 1, make))
