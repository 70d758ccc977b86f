"""llama.cpp in a process of its own, driven by a list of jobs: a failed check of ggml's ends its process.

`python llama_cpp_child.py JOBS.json` writes JOBS.json.done with what came out, and arrays beside it. Only
llama-cpp-python's low-level module is loaded; its package imports more than is needed here.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np


def low_level() -> Any:
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise SystemExit("llama-cpp-python is not here")
    package = types.ModuleType("llama_cpp")
    package.__path__ = [str(Path(spec.origin).parent)]
    sys.modules["llama_cpp"] = package
    return importlib.import_module("llama_cpp.llama_cpp")


C = low_level()


@C.llama_log_callback
def silent(level: int, text: bytes, data: Any) -> None:
    if level >= 4:
        sys.stderr.write(text.decode(errors="replace"))


def quantize(job: dict[str, Any]) -> None:
    params = C.llama_model_quantize_default_params()
    params.ftype, params.nthread = job["ftype"], job.get("threads", 2)
    params.allow_requantize = job.get("requantize", False)
    keep = []
    if job.get("importances"):
        matrix = np.load(job["importances"])
        entries = (C.llama_model_imatrix_data * (len(matrix.files) + 1))()
        for entry, name in zip(entries, matrix.files, strict=False):
            values = np.ascontiguousarray(matrix[name], np.float32)
            keep.append(values)
            entry.name, entry.size = name.encode(), values.size
            entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        params.imatrix = entries
        keep.append(entries)
    if C.llama_model_quantize(job["from"].encode(), job["to"].encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama_model_quantize failed for {job['to']}")


def load(path: str, vocab_only: bool = False) -> Any:
    params = C.llama_model_default_params()
    params.vocab_only = vocab_only
    model = C.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise SystemExit(f"{path} cannot be loaded")
    return model


def tokenize(job: dict[str, Any]) -> list[list[int]]:
    model = load(job["model"], vocab_only=True)
    vocab = C.llama_model_get_vocab(model)
    made = []
    for text in job["texts"]:
        raw = text.encode()
        room = (C.llama_token * (len(raw) + 8))()
        count = C.llama_tokenize(vocab, raw, len(raw), room, len(room), job.get("special", False), True)
        made.append(list(room[:count]))
    C.llama_model_free(model)
    return made


class Context:
    """A model with a cache in float32."""

    def __init__(self, path: str, tokens: int) -> None:
        self.model = load(path)
        self.words = C.llama_vocab_n_tokens(C.llama_model_get_vocab(self.model))
        params = C.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = tokens
        params.type_k = params.type_v = 0
        params.n_threads = params.n_threads_batch = 2
        self.context = C.llama_init_from_model(self.model, params)

    def decode(self, ids: list[int], at: int) -> np.ndarray:
        batch = C.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for n, id_ in enumerate(ids):
            batch.token[n], batch.pos[n], batch.n_seq_id[n], batch.logits[n] = id_, at + n, 1, 1
            batch.seq_id[n][0] = 0
        if C.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")
        rows = [
            np.ctypeslib.as_array(C.llama_get_logits_ith(self.context, n), (self.words,)).copy()
            for n in range(len(ids))
        ]
        C.llama_batch_free(batch)
        return np.stack(rows)

    def clear(self) -> None:
        C.llama_memory_clear(C.llama_get_memory(self.context), True)

    def free(self) -> None:
        C.llama_free(self.context)
        C.llama_model_free(self.model)


def read(job: dict[str, Any]) -> list[int]:
    """Logits of windows into `out`; the greedy continuation of `prompt` is given back."""
    longest = max(len(window) for window in job["windows"]) if job["windows"] else 0
    context = Context(job["model"], max(longest, len(job["prompt"]) + job["greedy"] + 1))
    logits = []
    for window in job["windows"]:
        context.clear()
        logits.append(context.decode(window, 0))
    if logits:
        np.save(job["out"], np.stack(logits))
    context.clear()
    ids, at, made = job["prompt"], 0, []
    for _ in range(job["greedy"]):
        row = context.decode(ids, at)[-1]
        at += len(ids)
        ids = [int(row.argmax())]
        made += ids
    context.free()
    return made


def main(path: Path) -> None:
    C.llama_log_set(silent, ctypes.c_void_p(0))
    C.llama_backend_init()
    answers = [
        {"quantize": quantize, "tokenize": tokenize, "read": read}[job["do"]](job)
        for job in json.loads(path.read_text())
    ]
    path.with_name(path.name + ".done").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
