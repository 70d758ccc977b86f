"""Training against nanoGPT's model and step as they run on a processor: speed, loss curve, time to a known loss.

`python run.py bench train [--case speed|curve|time] [--json]`. The peer (`nanogpt.py`) computes in float32, as
nanoGPT does without a graphics card; ours is measured in float32 and in the precision that a run would choose
here. Both are the same model: 4 layers, 256 wide, 4 heads, no biases, vocabulary of the 65 characters of
Shakespeare. Where that text is absent, random tokens serve for the speed and the other cases are skipped.
Exit status 1 says that the loss curves differ.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.model.config import ModelConfig
from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import pattern
from core.tokenizer.tokenizer import Tokenizer
from core.training.batches import Batches, validation_batches
from core.training.lessons import Pretraining
from core.training.machine import choose_precision, matmul_peak, step_flops
from core.training.settings import ShapeSettings, TrainingSettings
from core.training.tokens import TokenFacts, Tokens
from core.training.trainer import Trainer
from tests.bench.harness import machine
from tests.bench.nanogpt import NanoGPT, Step, cosine_rate

TEXT = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "tinyshakespeare.txt"
BATCH, CONTEXT, REPEATS = 32, 128, 15
TOLERANCE = 0.02  # nats between the two curves, in means over 20 steps
TARGET = 1.88  # nats a character: what nanoGPT's README gives for its preset for processors
F32_BAR, CHOSEN_BAR, PEAK_BAR, TIME_BAR = 1.1, 1.4, 0.70, 0.5


def characters() -> tuple[np.ndarray, np.ndarray]:
    """Shakespeare as numbers of characters: nine tenths to learn from, one to be judged by."""
    if not TEXT.is_file():
        return np.random.default_rng(0).integers(0, 65, 400_000).astype(np.uint16), np.zeros(0, np.uint16)
    text = TEXT.read_text(encoding="utf-8")
    place = {character: n for n, character in enumerate(sorted(set(text)))}
    ids = np.array([place[character] for character in text], np.uint16)
    cut = int(0.9 * len(ids))
    return ids[:cut], ids[cut:]


def shape(layers: int, width: int, context: int) -> ModelConfig:
    """nanoGPT's model without biases, as ours."""
    made = ShapeSettings(layers=layers, width=width, heads=4, context=context).config(65)
    return dataclasses.replace(made, mlp="gelu", attention_bias=False, mlp_bias=False)


def trainer_of(config: ModelConfig, settings: TrainingSettings, precision: str) -> Trainer:
    """Our model on the same characters."""
    train, judged = characters()
    facts = TokenFacts("uint16", 65, len(train), len(judged), len(judged), 0.0, None, "")
    tokenizer = Tokenizer.from_learned(run_to_end(learn_merges({}, 256)).result, pattern("gpt2"), "bytes")
    return Trainer(
        Pretraining(config, Tokens(facts, train, judged), tokenizer, settings), settings, precision
    )


def learn(trainer: Trainer) -> float:
    """One step of ours; its loss."""
    loss = 0.0
    for result in trainer.next_step():
        if result is not None:
            loss = result[0]
    return loss


# Speed


def speed() -> dict[str, Any]:
    """Steps of all sides in turns; the ratio is that of the medians."""
    train, _ = characters()
    config = shape(4, 256, CONTEXT)
    settings = TrainingSettings(batch=BATCH, optimizer="adamw", rate=1e-3)
    chosen, _ = choose_precision("auto", "cpu")
    batches = Batches(train, CONTEXT, BATCH, 0)
    peer = Step(NanoGPT(config), beta2=0.95)
    sides: dict[str, Callable[[], object]] = {"nanoGPT": lambda: peer(batches.at(0), 1e-3)}
    for precision in dict.fromkeys(("f32", chosen)):
        trainer = trainer_of(config, settings, precision)
        sides[f"ours {precision}"] = lambda trainer=trainer: learn(trainer)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for n in range(REPEATS + 2):
        for name, step in sides.items():
            began = time.perf_counter()
            step()
            if n >= 2:  # the first two warm up
                times[name].append(time.perf_counter() - began)
    tokens = BATCH * CONTEXT
    medians = {name: statistics.median(values) for name, values in times.items()}
    peak = max(matmul_peak("f32") for _ in range(3))
    reached = step_flops(config, tokens) / medians["ours f32"] / peak
    return {
        "case": "speed",
        "tokens_per_second": {name: round(tokens / seconds) for name, seconds in medians.items()},
        "seconds": {
            name: [round(min(v), 4), round(medians[name], 4), round(max(v), 4)] for name, v in times.items()
        },
        "ratio_f32": round(medians["nanoGPT"] / medians["ours f32"], 3),
        "bar_f32": F32_BAR,
        "chosen": chosen,
        "ratio_chosen": round(medians["nanoGPT"] / medians[f"ours {chosen}"], 3),
        "bar_chosen": CHOSEN_BAR if chosen == "bf16" else F32_BAR,
        "peak_gflops": round(peak / 1e9, 1),
        "share_of_peak_f32": round(reached, 3),
        "bar_peak": PEAK_BAR,
    }


# The loss curve


def with_weights_of(trainer: Trainer, peer: NanoGPT) -> None:
    """Give our model the peer's first weights."""
    ours = dict(trainer.model.named_parameters())
    names = {"wte.weight": "embed.weight", "wpe.weight": "positions.weight", "ln_f.weight": "norm.weight"}
    parts = {
        "ln_1": "norm_1",
        "ln_2": "norm_2",
        "attn": "attn.qkv",
        "proj": "attn.out",
        "fc": "mlp.inner",
        "out": "mlp.down",
    }
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if name not in names:
                _, n, part, _ = name.split(".")
                names[name] = f"blocks.{n}.{parts[part]}.weight"
            ours.pop(names[name]).copy_(parameter)
        for rest in ours.values():  # biases of our norms
            rest.zero_()


def curve(steps: int = 200) -> dict[str, Any]:
    """The same first weights, batches and rates: how far the two losses lie apart."""
    train, judged = characters()
    if not len(judged):
        return {"case": "curve", "skipped": f"{TEXT.name} is absent"}
    config = shape(4, 128, 64)
    settings = TrainingSettings(
        steps=steps, batch=12, optimizer="adamw", rate=1e-3, schedule="constant", warmup=0, weight_decay=0.1
    )
    found: dict[str, Any] = {"case": "curve", "steps": steps, "tolerance": TOLERANCE}
    for precision in dict.fromkeys(("f32", choose_precision("auto", "cpu")[0])):
        peer = NanoGPT(config)
        trainer = trainer_of(config, settings, precision)
        with_weights_of(trainer, peer)
        step = Step(peer, beta2=0.95)
        batches = Batches(train, 64, settings.batch, settings.seed)
        pairs = [(learn(trainer), step(batches.at(n), 1e-3)) for n in range(steps)]
        apart = [abs(statistics.fmean(a - b for a, b in pairs[n : n + 20])) for n in range(0, steps, 20)]
        found[f"last_{precision}"] = [
            round(statistics.fmean(side), 4) for side in zip(*pairs[-20:], strict=True)
        ]
        found[f"apart_{precision}"] = round(max(apart), 4)
    return found


# Time to a loss


def until() -> dict[str, Any]:
    """Seconds to the target on the whole validation text, looks at it counted."""
    train, judged = characters()
    if not len(judged):
        return {"case": "time", "skipped": f"{TEXT.name} is absent"}
    theirs, their_loss = preset_of_nanogpt(train, judged)
    ours, our_loss, our_steps = ours_until(judged)
    return {
        "case": "time",
        "seconds": {"nanoGPT": round(theirs, 1), "ours": round(ours, 1)},
        "validation_loss": {"nanoGPT": round(their_loss, 4), "ours": round(our_loss, 4)},
        "steps": {"nanoGPT": 2000, "ours": our_steps},
        "target": TARGET,
        "ratio": round(ours / theirs, 3),
        "bar": TIME_BAR,
    }


def preset_of_nanogpt(train: np.ndarray, judged: np.ndarray) -> tuple[float, float]:
    """Its preset for processors: 2,000 steps, every 250 a look at 20 batches of both texts."""
    config = shape(4, 128, 64)
    batches, looks = Batches(train, 64, 12, 1), validation_batches(judged, 64, 12, 20 * 12 * 64)
    model = NanoGPT(config, seed=1)
    step = Step(model, beta2=0.99)
    began = time.perf_counter()
    for n in range(2000):
        if n % 250 == 0:
            mean_loss(model.loss, [*looks, *(batches.at(5000 + i) for i in range(20))])
        step(batches.at(n), cosine_rate(n, 2000))
    seconds = time.perf_counter() - began
    return seconds, mean_loss(model.loss, validation_batches(judged, 64, 64, len(judged)))


def ours_until(judged: np.ndarray) -> tuple[float, float, int]:
    """The same shape, trained as a run of the lab trains; it ends at the first look that reaches the target."""
    settings = TrainingSettings(
        steps=600, batch=12, rate=3e-3, matrix_rate=0.02, warmup=30, decay=0.5, weight_decay=0.1
    )
    whole = [(batch, float(batch.numel())) for batch in validation_batches(judged, 64, 64, len(judged))]
    began = time.perf_counter()
    trainer = trainer_of(shape(4, 128, 64), settings, choose_precision("auto", "cpu")[0])
    loss = 9.0
    while trainer.step < settings.steps and loss > TARGET:
        learn(trainer)
        if trainer.step % 100 == 0:
            loss = next(result for result in trainer.validate(whole) if result is not None)
    return time.perf_counter() - began, loss, trainer.step


def mean_loss(loss: Callable[[Tensor], Tensor], batches: list[Tensor]) -> float:
    """In nats a token, over batches of any size."""
    with torch.inference_mode():
        parts = [(float(loss(batch)), batch.shape[0]) for batch in batches]
    return sum(value * rows for value, rows in parts) / sum(rows for _, rows in parts)


CASES = {"speed": speed, "curve": curve, "time": until}


def main() -> int:
    """Run the cases that are asked for; the exit status says whether the curves agree."""
    parser = argparse.ArgumentParser(description="Training, against nanoGPT")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument(
        "--case", action="append", choices=sorted(CASES), help="only this case; may be repeated"
    )
    wanted = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    about = {"bench": "training", "peer": "nanoGPT's model and step, float32", **machine(["torch", "numpy"])}
    found = [about]
    for name in wanted.case or CASES:
        found.append(CASES[name]())
        if not wanted.json:
            print("\n".join(f"{key}: {value}" for key, value in found[-1].items()), flush=True)
    if wanted.json:
        print("\n".join(json.dumps(one) for one in found))
    apart = [value for one in found for key, value in one.items() if key.startswith("apart_")]
    return int(any(value > TOLERANCE for value in apart))


if __name__ == "__main__":
    sys.exit(main())
