"""The tokens of a text as vectors, read from the small world's model."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.in_text import LONGEST, TextStreams, at_layer, text_streams
from core.embeddings.neighbors import Space
from core.embeddings.streams import Reference
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from labapp.app import shipped_folder

TEXT = "The boat lay at the bank. The man got a loan at the bank."


@pytest.fixture(scope="module")
def small() -> tuple[Transformer, Tokenizer]:
    folder = shipped_folder() / "base"
    return run_to_end(load_model(open_model(folder))).result, read_tokenizer(folder)


@pytest.fixture(scope="module")
def read(small: tuple[Transformer, Tokenizer]) -> TextStreams:
    found: TextStreams = run_to_end(text_streams(*small, TEXT, "the small world")).result
    return found


def test_every_token_but_the_first_has_a_vector_at_every_layer(
    small: tuple[Transformer, Tokenizer], read: TextStreams
) -> None:
    model, tokenizer = small
    ids = tokenizer.encode(TEXT)
    assert list(read.ids) == ids[1:]
    assert "".join(read.names) == tokenizer.decode_text(ids[1:])
    assert read.stream.shape == (len(ids) - 1, len(model.blocks) + 1, model.config.width)
    vectors, _ = at_layer(read, 0)
    assert vectors.columns["place in the text"][0] == "2"
    assert [vectors.columns["in the text"][n] for n, name in enumerate(read.names) if name == " bank"] == [
        "at the bank", "at the bank",
    ]  # fmt: skip
    assert (
        vectors.source
        == f"{len(ids) - 1} tokens after 0 of {len(model.blocks)} blocks, without the first token"
    )


def test_against_the_trace_of_the_same_text(small: tuple[Transformer, Tokenizer], read: TextStreams) -> None:
    """Oracle: `core.model.trace` records the residual stream after each block."""
    import torch

    from core.model.trace import Trace

    model, tokenizer = small
    trace = Trace(["blocks.*.resid_post"])
    with torch.inference_mode():
        model(torch.tensor([tokenizer.encode(TEXT)]), trace=trace)
    for layer in range(1, read.layers + 1):
        recorded = trace.tensors[f"blocks.{layer - 1}.resid_post"][0, 1:].numpy()
        assert np.allclose(at_layer(read, layer)[0].values, recorded, atol=1e-4)


def test_a_token_knows_what_stands_before_it_and_nothing_behind(
    small: tuple[Transformer, Tokenizer], read: TextStreams
) -> None:
    half = TEXT.index(" The man")
    found = run_to_end(text_streams(*small, TEXT[:half], "", read.reference)).result
    n = len(found.ids)
    assert found.ids == read.ids[:n]
    assert np.allclose(found.stream, read.stream[:n], atol=1e-4)


def test_both_banks_are_measured_from_the_reference_and_it_says_so(read: TextStreams) -> None:
    first, second = (n for n, name in enumerate(read.names) if name == " bank")
    for layer in (0, read.layers):
        vectors, origin = at_layer(read, layer)
        space = Space(vectors, origin)
        a, b = (vectors.values[n].astype(np.float64) - read.reference.mean[layer] for n in (first, second))
        assert space.similarity(first, second) == pytest.approx(a @ b / np.sqrt(a @ a * (b @ b)), abs=1e-6)
        assert space.centered_on.startswith("centered on the mean of 20 other sentences that ship")
        assert space.centered_on.endswith(f"at layer {layer}")


def test_a_reference_that_is_known_is_not_read_again(
    small: tuple[Transformer, Tokenizer], read: TextStreams
) -> None:
    center = Reference(read.reference.mean + 1, 7, "the mean of others")
    events = list(text_streams(*small, TEXT, "", center))
    assert len(events) == read.layers + 2
    assert events[-1].result.reference is center  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "the king", "king " * 2 * LONGEST])
def test_too_few_tokens_and_too_many_are_told(small: tuple[Transformer, Tokenizer], text: str) -> None:
    with pytest.raises(LabError, match="The text is too"):
        text_streams(*small, text, "")


def test_a_layer_that_is_not_there_is_told(read: TextStreams) -> None:
    with pytest.raises(LabError, match="There is no layer 9"):
        at_layer(read, 9)
