"""A GGUF file with damaged bytes is refused with a LabError, or it is a model that comes back the same.

The second kind: what we write of it, read and written again, has the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from core.model.config import ModelConfig
from core.model.export import write_model
from core.model.initial import new_model
from core.model.source import open_model
from core.problems import LabError
from core.quantization.quantize import quantize_model
from core.quantization.recipes import Wish
from core.stages import run_to_end

SMALL = ModelConfig(
    family="llama", vocab_size=12, context=16, width=32, layers=1, heads=2, kv_heads=1, head_width=16, hidden=32,
    norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False, qk_norm=False,
    tied=True,
)  # fmt: skip


def small_file(folder: Path) -> bytes:
    model = new_model(SMALL, torch.Generator().manual_seed(1))
    (folder / "model").mkdir()
    write_model(SMALL, dict(model.named_parameters()), folder / "model")
    run_to_end(quantize_model(open_model(folder / "model"), folder / "whole.gguf", Wish("Q4_0")))
    return (folder / "whole.gguf").read_bytes()


def written(path: Path, out: Path) -> bytes:
    run_to_end(quantize_model(open_model(path), out, Wish("F32")))
    data = out.read_bytes()
    out.unlink()
    return data


def test_damaged_files_are_refused_or_come_back_the_same(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, Any], None]
) -> None:
    whole, rng = small_file(tmp_path), random.Random(11)
    header = whole.index(b"output_norm.weight") + 60  # where the table of tensors ends
    refused = same = 0
    for _ in range(count(120, 2000)):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(header if rng.random() < 0.7 else len(data))
            data[place] = rng.choice((0, 1, 255, data[place] ^ (1 << rng.randrange(8))))
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        file = tmp_path / "damaged.gguf"
        file.write_bytes(data)
        try:
            first = written(file, tmp_path / "first.gguf")
        except LabError:
            refused += 1
            continue
        (tmp_path / "again.gguf").write_bytes(first)
        assert written(tmp_path / "again.gguf", tmp_path / "second.gguf") == first
        same += 1
    report("damaged GGUF files refused, come back the same", f"{refused}, {same}")
    assert refused
    assert same
