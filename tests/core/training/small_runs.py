"""Runs so small that a step takes a millisecond, and what is compared of two of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.corpus.documents import Document
from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import pattern
from core.tokenizer.tokenizer import Tokenizer
from core.training.events import Controls
from core.training.lessons import Pretraining
from core.training.loop import Told, Work, train
from core.training.settings import ShapeSettings, TrainingSettings
from core.training.tokens import SEPARATOR, encode_documents, open_tokens

SHAPE = ShapeSettings(layers=1, width=16, heads=2, context=16)
TIMED = ("seconds", "tokens_per_second", "utilization", "seconds_left")  # differ from one run to the next


def tokenizer() -> Tokenizer:
    learned = run_to_end(learn_merges({}, 257, special_tokens=(SEPARATOR,))).result
    return Tokenizer.from_learned(learned, pattern("gpt2"), "bytes", bos=SEPARATOR, eos=SEPARATOR)


def settings(**changes: Any) -> TrainingSettings:
    values = {
        "steps": 12, "batch": 2, "warmup": 2, "evaluate_every": 4, "evaluate_tokens": 64, "save_every": 3,
        "precision": "f32",
    }  # fmt: skip
    return TrainingSettings(**(values | changes))


def work(folder: Path, **changes: Any) -> Work:
    """A run in a folder; the second call finds the tokens that the first one wrote."""
    tokens, words = folder / "tokens", tokenizer()
    if not tokens.is_dir():
        tokens.mkdir(parents=True)
        texts = [Document(f"{n} and {n} is {2 * n}.", "sums") for n in range(110)]
        run_to_end(encode_documents(texts, words, tokens))
    config = SHAPE.config(words.vocab_size)
    wanted = settings(**changes)
    return Work(folder, Pretraining(config, open_tokens(tokens), words, wanted), wanted, ("7 and",))


def begin(folder: Path, controls: Controls | None = None, **changes: Any) -> Told:
    return train(work(folder, **changes), controls)


def told(folder: Path) -> list[dict[str, Any]]:
    """The history, without what measures time and without the sittings' own lines."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    events = [one for one in lines if one["event"] not in ("Began", "Saved")]
    return [{key: value for key, value in one.items() if key not in TIMED} for one in events]


def written(folder: Path) -> dict[str, bytes]:
    """Every byte of the last save's tensors and of all checkpoints, by path."""
    files: Iterable[Path] = (*folder.glob("resume/*/*"), *folder.glob("checkpoints/*/*"))
    kept = (path for path in files if path.name != "save.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}
