"""Files looked into: metadata, tensors by layer, and the numbers of one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.formats.weights import read_whole
from core.model.source import open_model
from core.problems import LabError
from core.quantization.inspect import Inspected, inspect_file, look_at
from core.quantization.quantize import quantize_model
from core.quantization.recipes import Wish
from core.stages import run_to_end
from core.tokenizer.reading import read_tokenizer

BASE = Path(__file__).resolve().parents[3] / "resources" / "lineage" / "base"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    path = tmp_path_factory.mktemp("made") / "q4.gguf"
    run_to_end(quantize_model(open_model(BASE), path, Wish("Q4_0"), read_tokenizer(BASE)))
    return inspect_file(path)


def test_a_file_says_what_is_in_it_layer_by_layer(made: Inspected) -> None:
    facts = {fact.key: fact for fact in made.facts}
    assert facts["general.architecture"].value == "gpt2"
    assert facts["tokenizer.ggml.tokens"].value.startswith("2,048 items: ")
    layers = dict(made.layers())
    assert list(layers) == ["", "0", "1", "2", "3"]
    assert {tensor.name for tensor in layers[""]} >= {"token_embd.weight", "position_embd.weight"}
    assert sum(size for _, _, _, size in made.types()) == made.bytes < made.file_bytes
    assert made.types()[0][0] == "Q4_0"


def test_a_folder_is_looked_into_as_well() -> None:
    folder = inspect_file(BASE)
    assert folder.version == "safetensors"
    assert folder.types()[0][0] == "F32"
    assert "layers" in {fact.key for fact in folder.facts}


def test_a_rounded_tensor_shows_few_different_numbers(made: Inspected) -> None:
    looked = run_to_end(look_at(made, "blk.0.ffn_up.weight")).result
    assert looked.matrix.shape == (1024, 256)
    assert looked.levels <= 8 * 16  # eight blocks of sixteen levels in a row
    assert torch.equal(looked.matrix, read_whole(looked.tensor))
    assert float(looked.counts.sum()) == pytest.approx(1024 * 256, rel=2e-3)
    bias = run_to_end(look_at(made, "blk.0.ffn_up.bias")).result
    assert bias.matrix.shape == (1, 1024)


def test_a_tensor_that_is_not_there_is_refused(made: Inspected) -> None:
    with pytest.raises(LabError, match="has no tensor"):
        look_at(made, "nothing")
