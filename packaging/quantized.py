"""Make resources/quantization/smallworld.json: every recipe on the shipped base model of the small world.

    .venv/bin/python packaging/quantized.py

For each recipe: bytes, bits per weight, and against the model in float32 on text that it has not read
(another seed of the world, windows of 256): perplexity, divergence, agreement; and phenomena, asked of the
weights read back. Takes some minutes; the same everywhere but for the last digits.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.artifacts import plain_json  # noqa: E402
from core.corpus.smallworld.generate import documents  # noqa: E402
from core.corpus.smallworld.settings import SmallWorldSettings  # noqa: E402
from core.evals.smallworld import evaluate_smallworld  # noqa: E402
from core.model.loading import load_model  # noqa: E402
from core.model.source import open_model  # noqa: E402
from core.model.transformer import Transformer  # noqa: E402
from core.quantization.comparison import CompareSettings, Figures, compare  # noqa: E402
from core.quantization.quantize import Quantized, quantize_model  # noqa: E402
from core.quantization.recipes import RECIPES, Wish  # noqa: E402
from core.stages import run_to_end  # noqa: E402
from core.tokenizer.reading import read_tokenizer  # noqa: E402
from core.tokenizer.tokenizer import Tokenizer  # noqa: E402

BASE = ROOT / "resources" / "lineage" / "base"
TARGET = ROOT / "resources" / "quantization" / "smallworld.json"
WORDS, SEED = 15_000, 99  # of the text; the model has read seed 1
WINDOW = 256
PHENOMENA = ("P1", "P2", "P5", "P7")  # all questions of each


def load(path: Path) -> Transformer:
    """A model."""
    loaded: Transformer = run_to_end(load_model(open_model(path))).result
    return loaded


def quantized(folder: Path, tokenizer: Tokenizer) -> dict[str, Quantized]:
    """The base model in every recipe."""
    source = open_model(BASE)
    return {
        recipe: run_to_end(quantize_model(source, folder / f"{recipe}.gguf", Wish(recipe), tokenizer)).result
        for recipe in RECIPES
    }


def phenomena(model: Transformer, tokenizer: Tokenizer) -> dict[str, Any]:
    """Right answers and questions of each phenomenon."""
    scored = run_to_end(evaluate_smallworld(model, tokenizer, PHENOMENA)).result
    return {one.name: {"right": one.right, "n": one.n} for one in scored}


def row(made: Quantized, figures: Figures, scored: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a recipe."""
    facts = dataclasses.asdict(figures)
    del facts["tokens_per_second"], facts["name"]
    return {
        "recipe": made.plan.recipe.name, "title": made.plan.title, "bytes": made.file_bytes,
        "bits_per_weight": made.plan.bits_per_weight, **facts, "phenomena": scored,
    }  # fmt: skip


def main() -> None:
    """Make the table."""
    tokenizer, reference = read_tokenizer(BASE), load(BASE)
    text = "\n\n".join(document.text for document in documents(SmallWorldSettings(WORDS, SEED, 0.07, False)))
    ids = tokenizer.encode(text)
    with tempfile.TemporaryDirectory() as folder:
        made = quantized(Path(folder), tokenizer)
        models = {recipe: load(one.path) for recipe, one in made.items()}
    figures = run_to_end(compare(reference, list(models.items()), ids, CompareSettings(WINDOW))).result
    rows = []
    for one in figures:
        rows.append(row(made[one.name], one, phenomena(models[one.name], tokenizer)))
        print(json.dumps(rows[-1]), flush=True)
    about = {"model": "resources/lineage/base", "words": WORDS, "seed": SEED, "window": WINDOW}
    TARGET.parent.mkdir(exist_ok=True)
    plain_json.write_json(TARGET, {"about": about, "recipes": rows})


if __name__ == "__main__":
    main()
