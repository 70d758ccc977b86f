"""Files of vectors against NumPy: what np.savetxt and np.save write is read, what is written np.loadtxt reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.embeddings.files import VECTORS, read_vectors, write_npy, write_projector
from core.embeddings.vectors import Vectors
from core.stages import run_to_end


def numbers(n: int = 200, width: int = 9) -> np.ndarray:
    draw = np.random.default_rng(9)
    return (draw.standard_normal((n, width)) * 10.0 ** draw.integers(-20, 20, (n, width))).astype(np.float32)


def made(values: np.ndarray) -> Vectors:
    return Vectors("", tuple(f"w{n}" for n in range(len(values))), values)


def test_tsv_is_read_by_numpy_to_the_same_bits(tmp_path: Path) -> None:
    values = numbers()
    run_to_end(write_projector(made(values), tmp_path))
    assert np.loadtxt(tmp_path / VECTORS, np.float32, delimiter="\t").tobytes() == values.tobytes()


def test_npy_is_read_by_numpy_to_the_same_bits(tmp_path: Path) -> None:
    values = numbers()
    run_to_end(write_npy(made(values), tmp_path / "v.npy"))
    assert np.load(tmp_path / "v.npy", allow_pickle=False).tobytes() == values.tobytes()


def test_text_of_numpy_is_read_as_numpy_reads_it(tmp_path: Path) -> None:
    """Numbers of float64 in every digit, with tabs and with spaces; rounding to float32 is one rounding."""
    values = numbers().astype(np.float64) * 1.000000119
    np.savetxt(tmp_path / "t.tsv", values, delimiter="\t", fmt="%.17g")
    np.savetxt(tmp_path / "s.txt", values, delimiter=" ", fmt="%.17e")
    for file in ("t.tsv", "s.txt"):
        assert (
            run_to_end(read_vectors(tmp_path / file)).result.values.tobytes()
            == values.astype(np.float32).tobytes()
        )


def test_word2vec_text_as_gensim_writes_it(tmp_path: Path) -> None:
    """gensim's KeyedVectors.save_word2vec_format writes b"%d %d\\n", then word, space and repr of each number."""
    values = numbers(50, 7)
    lines = [f"w{n} " + " ".join(repr(float(v)) for v in row) for n, row in enumerate(values)]
    (tmp_path / "w.txt").write_text("50 7\n" + "\n".join(lines) + "\n")
    back = run_to_end(read_vectors(tmp_path / "w.txt")).result
    assert back.values.tobytes() == values.tobytes()
    assert back.names[49] == "w49"
