"""Importance matrices: computed, written, read, and what is no matrix."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.quantization.importance import (
    Importance,
    check_matches,
    collect_importance,
    read_importance,
    write_importance,
)
from core.stages import run_to_end

BASE = Path(__file__).resolve().parents[3] / "resources" / "lineage" / "base"


@pytest.fixture(scope="module")
def model() -> Transformer:
    loaded: Transformer = run_to_end(load_model(open_model(BASE))).result
    return loaded


def matrix() -> Importance:
    sums = {"blk.0.attn_qkv.weight": torch.rand(8), "blk.0.ffn_down.weight": torch.rand(16)}
    return Importance(sums, dict.fromkeys(sums, 64.0), 2, 32, ("text.txt",))


def test_sums_are_those_of_the_inputs_of_every_table(model: Transformer) -> None:
    """Against hooks on the very layers, window by window."""
    ids = list(range(100, 164))
    seen: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def sum_up(_: object, inputs: tuple[torch.Tensor, ...], __: object) -> None:
            seen[name] = seen.get(name, 0) + inputs[0].flatten(0, 1).square().sum(0)

        return sum_up

    block = model.block(2)
    handles = [
        layer.register_forward_hook(hook(name))
        for name, layer in (
            ("attn_qkv", block.attn.qkv), ("attn_output", block.attn.out), ("ffn_up", block.mlp.inner),
            ("ffn_down", block.mlp.down),
        )
    ]  # fmt: skip
    made = run_to_end(collect_importance(model, ids, "numbers", window=32)).result
    for handle in handles:
        handle.remove()
    assert len(made.sums) == 4 * model.config.layers
    assert (made.windows, made.counts["blk.2.ffn_up.weight"]) == (2, 64.0)
    for name, sums in seen.items():
        torch.testing.assert_close(made.sums[f"blk.2.{name}.weight"], sums)
        torch.testing.assert_close(made.weights()[f"blk.2.{name}.weight"], sums / 64)


def test_a_matrix_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_importance(matrix(), tmp_path / "m.gguf")
    again, first = read_importance(tmp_path / "m.gguf"), matrix_again(tmp_path)
    assert again.sums.keys() == first.sums.keys()
    assert (again.windows, again.window, again.texts, dict(again.counts)) == (
        2,
        32,
        ("text.txt",),
        dict(first.counts),
    )


def matrix_again(tmp_path: Path) -> Importance:
    return read_importance(tmp_path / "m.gguf")


def test_the_older_form_gives_the_same_weights(tmp_path: Path) -> None:
    """llama-imatrix's .dat: means times the number of windows."""
    means = torch.tensor([0.5, 2.0, 3.0])
    name = b"blk.0.ffn_down.weight"
    data = struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii", 7, 3) + (means * 7).numpy().tobytes()
    (tmp_path / "m.dat").write_bytes(data + struct.pack("<ii", 7, 4) + b"text")
    made = read_importance(tmp_path / "m.dat")
    assert torch.allclose(made.weights()[name.decode()], means)
    assert (made.windows, made.texts) == (7, ("text",))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GGUF", struct.pack("<i", -1), struct.pack("<i", 2**30), struct.pack("<ii", 1, -5),
        struct.pack("<ii", 1, 4) + b"name" + struct.pack("<ii", 1, 2**30),
        struct.pack("<ii", 1, 4) + b"name" + struct.pack("<iif", 1, 1, float("nan")),
        struct.pack("<ii", 1, 4) + b"name" + struct.pack("<iif", 1, 1, -1.0),
    ],
)  # fmt: skip
def test_what_is_no_matrix_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_bytes(data)
    with pytest.raises(LabError):
        read_importance(tmp_path / "m.dat")


def test_fuzzed_matrices_are_refused_or_read(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, object], None]
) -> None:
    write_importance(matrix(), tmp_path / "m.gguf")
    whole = (tmp_path / "m.gguf").read_bytes()
    rng, refused, read = random.Random(4), 0, 0
    target = tmp_path / "fuzzed.gguf"
    for _ in range(count(150, 2000)):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        target.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        try:
            made = read_importance(target)
        except LabError:
            refused += 1
        else:
            read += 1
            assert all((sums >= 0).all() for sums in made.sums.values())
    report("fuzzed importance matrices refused, read", f"{refused}, {read}")


def test_a_matrix_of_another_model_is_told() -> None:
    with pytest.raises(LabError, match="names no table of this model"):
        check_matches(matrix(), {"blk.0.attn_q.weight": (8, 8)})
    with pytest.raises(LabError, match=r"has 8 columns for blk\.0\.attn_qkv\.weight, the model 9"):
        check_matches(matrix(), {"blk.0.attn_qkv.weight": (8, 9)})


def test_a_text_that_fills_no_window_is_told(model: Transformer) -> None:
    with pytest.raises(LabError, match="has 10 tokens and fills no window of 32"):
        collect_importance(model, range(10), "short", window=32)
