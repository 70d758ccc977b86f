"""Embeddings of SmolLM2: PCA of 49,152 × 576, neighbors over the vocabulary, reading of vectors; then the lab.

`python run.py bench embeddings [--case NAME] [--json]`. PCA and neighbors against scikit-learn, files against
NumPy, on all cores. The same answers must come out: places to 1e-3, the same rows, the same bits. Without
`--case` the lab under a hand follows (`embeddings_lab.py`), in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core.embeddings.files import read_vectors, write_projector
from core.embeddings.neighbors import Space
from core.embeddings.projection import pca
from core.embeddings.vectors import Vectors, read_token_vectors
from core.stages import run_to_end
from core.tokenizer.known import known_path
from tests.bench.harness import Case, main

LARGE = (200_000, 300)  # vectors of the large .npy file, 240 MB
ROWS = 20_000  # vectors of the TSV, some 60 MB
FOLDER = Path(tempfile.gettempdir()) / "llmlab-bench-embeddings"


@cache
def table() -> Vectors:
    return run_to_end(read_token_vectors(known_path("smollm2"))).result  # type: ignore[no-any-return]


@cache
def space() -> Space:
    return Space(table())


@cache
def theirs_of_neighbors() -> Any:
    from sklearn.neighbors import NearestNeighbors

    centered = table().values - space().center
    return NearestNeighbors(n_neighbors=11, metric="cosine", algorithm="brute").fit(centered)


def places(points: Any) -> list[list[float]]:
    """A few points as they are compared: up to sign, to 1e-3."""
    return np.abs(np.asarray(points)[::5000, :3]).round(3).tolist()  # type: ignore[no-any-return]


def pca_ours() -> Any:
    return places(pca(table().values, 10).points)


def pca_theirs() -> Any:
    from sklearn.decomposition import PCA

    return places(PCA(10, svd_solver="covariance_eigh").fit_transform(table().values))


def neighbors_ours() -> list[int]:
    return [one.row for one in space().neighbors(table().row("king"))]


def neighbors_theirs() -> list[int]:
    row = table().row("king")
    _, rows = theirs_of_neighbors().kneighbors((table().values[row] - space().center)[None])
    return [int(one) for one in rows[0] if one != row]


def digest(values: Any) -> tuple[Any, ...]:
    return values.shape, float(values[::1000].sum(dtype=np.float64)), values[-1, :3].tolist()


def large() -> Path:
    file = FOLDER / "large.npy"
    if not file.exists():
        FOLDER.mkdir(exist_ok=True)
        np.save(file, np.random.default_rng(0).standard_normal(LARGE, np.float32))
    return file


def small() -> Path:
    folder = FOLDER / "tsv"
    if not folder.exists():
        folder.mkdir(parents=True)
        values = np.random.default_rng(0).standard_normal((ROWS, 300), np.float32)
        run_to_end(write_projector(Vectors("", tuple(map(str, range(ROWS))), values), folder))
    return folder / "vectors.tsv"


def npy_ours() -> Any:
    return digest(run_to_end(read_vectors(large())).result.values)


def npy_theirs() -> Any:
    values = np.load(large(), allow_pickle=False)
    return digest(values) if np.isfinite(values).all() else None


def tsv_ours() -> Any:
    return digest(run_to_end(read_vectors(small())).result.values)


def tsv_theirs() -> Any:
    return digest(np.loadtxt(small(), np.float32, delimiter="\t"))


def make() -> list[Case]:
    table(), large(), small()
    pca_ours(), pca_theirs(), neighbors_ours(), neighbors_theirs()  # scikit-learn is imported once
    return [
        Case("pca", "PCA of 49,152 × 576 to 10 components (the picture: 0.6 s)", pca_ours, pca_theirs, 1.3),
        Case("neighbors", "10 neighbors among 49,152 by cosine (bar: 50 ms)", neighbors_ours,
             neighbors_theirs, 1.0),
        Case("npy", f"read {LARGE[0]:,} × {LARGE[1]} from .npy, checked", npy_ours, npy_theirs, 3.0),
        Case("tsv", f"read {ROWS:,} × 300 from TSV, each line checked", tsv_ours, tsv_theirs, 4.0),
    ]  # fmt: skip


def both() -> int:
    """The cases, and the lab after them where all cases are wanted."""
    status = main(
        "Embeddings", "scikit-learn and NumPy", ["numpy", "scikit-learn"], os.cpu_count() or 1, make
    )
    if {"--case", "--memory"} & set(sys.argv):
        return status
    shown = ["--json"] if "--json" in sys.argv else []
    return status or subprocess.call([sys.executable, "-m", "tests.bench.embeddings_lab", *shown])


if __name__ == "__main__":
    sys.exit(both())
