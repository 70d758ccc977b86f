"""`python run.py bench quant [--case NAME] [--json]`: blocks, and all of SmolLM2, against llama.cpp's own.

The peer is llama-cpp-python 0.3.36, built without fused multiply-add in ggml-base: `ggml_quantize_chunk` on 64
million weights in rows of 1,024, cut among all cores, and `llama_model_quantize` on SmolLM2 in float32. Both
sides must give the same bytes. Ours spreads slices over a pool of as many threads as there are cores.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import tempfile
import threading
import types
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.formats.gguf import GGML_TYPES, read_gguf_header
from core.formats.weights import stored_in_gguf
from core.model.source import open_model
from core.quantization.blocks import bytes_of, quantize_rows, writable
from core.quantization.quantize import quantize_model
from core.quantization.recipes import RECIPES, Wish
from core.stages import run_to_end
from core.tokenizer.known import known_path
from tests.bench.harness import Case, main

ROWS, COLUMNS = 64_000, 1024
THREADS = os.cpu_count() or 1
NUMBERS = {form.name: number for number, form in GGML_TYPES.items()}
KINDS = [kind for kind in writable() if kind not in ("F32", "F16", "BF16")]


@cache
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)


@cache
def rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(ROWS, COLUMNS, generator=generator) * 0.02


@cache
def llama_cpp() -> Any:
    """The low-level module alone; the package around it imports more."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise SystemExit("llama-cpp-python, which is the peer, is not here.")
    package = types.ModuleType("llama_cpp")
    package.__path__ = [str(Path(spec.origin).parent)]
    sys.modules["llama_cpp"] = package
    module = importlib.import_module("llama_cpp.llama_cpp")
    module.silent = module.llama_log_callback(lambda level, text, data: None)
    module.llama_log_set(module.silent, ctypes.c_void_p(0))
    module.llama_backend_init()
    return module


@cache
def ggml() -> Any:
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise SystemExit("llama-cpp-python, which is the peer, is not here.")
    library = ctypes.CDLL(str(next((Path(spec.origin).parent / "lib").glob("*ggml-base*"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p,
    ]  # fmt: skip
    return library


def ours(kind: str) -> int:
    answer = np.empty((ROWS, bytes_of(kind, COLUMNS)), np.uint8)
    for piece in quantize_rows(rows(), kind, spread=pool().map):
        answer[piece.begin : piece.begin + len(piece.raw)] = piece.raw.numpy()
    return zlib.adler32(answer)


def theirs(kind: str) -> int:
    source, answer = rows().numpy(), np.empty((ROWS, bytes_of(kind, COLUMNS)), np.uint8)

    def work(begin: int, end: int) -> None:
        ggml().ggml_quantize_chunk(
            NUMBERS[kind], source.ctypes.data, answer.ctypes.data, begin * COLUMNS, end - begin, COLUMNS, None
        )

    borders = np.linspace(0, ROWS, THREADS + 1).astype(int).tolist()
    workers = [threading.Thread(target=work, args=pair) for pair in pairwise(borders)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return zlib.adler32(answer)


@cache
def folder() -> Path:
    made = tempfile.TemporaryDirectory(prefix="llmlab-bench-")
    folder.kept = made  # type: ignore[attr-defined]  # taken away when the process ends
    return Path(made.name)


@cache
def float32() -> Path:
    path = folder() / "smollm2-F32.gguf"
    run_to_end(quantize_model(open_model(known_path("smollm2")), path, Wish("F32")))
    return path


def checksum(path: Path) -> int:
    """Of the tensors' bytes, by name: the two programs write them in another order."""
    data, total = path.read_bytes(), 0
    for name, tensor in sorted(stored_in_gguf(read_gguf_header(path)).items()):
        total = zlib.adler32(
            data[tensor.start : tensor.start + tensor.size], zlib.adler32(name.encode(), total)
        )
    path.unlink()
    return total


def model_ours(recipe: str) -> int:
    out = folder() / f"ours-{recipe}.gguf"
    run_to_end(quantize_model(open_model(float32()), out, Wish(recipe), spread=pool().map))
    return checksum(out)


def model_theirs(recipe: str) -> int:
    C, out = llama_cpp(), folder() / f"theirs-{recipe}.gguf"
    params = C.llama_model_quantize_default_params()
    params.ftype, params.nthread = RECIPES[recipe].number, THREADS
    if C.llama_model_quantize(str(float32()).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        raise SystemExit("llama_model_quantize failed.")
    return checksum(out)


def case(kind: str) -> Case:
    bar = 4.0 if kind.endswith("_K") else 2.0
    return Case(
        kind,
        f"{ROWS * COLUMNS / 1e6:.0f} million weights to {kind}",
        bound(ours, kind),
        bound(theirs, kind),
        bar,
    )


def bound(function: Callable[[str], int], name: str) -> Callable[[], int]:
    return lambda: function(name)


def make() -> list[Case]:
    rows()
    if "--memory" not in sys.argv:
        float32()
    return [case(kind) for kind in KINDS] + [
        Case(f"smollm2-{r}", f"SmolLM2, float32, to {r}", bound(model_ours, r), bound(model_theirs, r), 2.0)
        for r in ("Q4_K_M", "Q6_K", "Q8_0")
    ]


if __name__ == "__main__":
    sys.exit(main("quantize", "llama.cpp", ["numpy", "torch", "llama-cpp-python"], THREADS, make))
