"""Models held against each other tensor by tensor, and side by side on one prompt."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.formats.weights import WeightReader
from core.model.loading import load_model
from core.model.source import ModelSource, open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.quantization.quantize import Quantized, quantize_model
from core.quantization.recipes import Wish
from core.quantization.side_by_side import SideToken, Writer, first_difference, write_side_by_side
from core.quantization.tensors import compare_tensors, read_parameter, spread_of
from core.stages import run_to_end
from core.tokenizer.reading import read_tokenizer

BASE = Path(__file__).resolve().parents[3] / "resources" / "lineage" / "base"


def load(source: ModelSource) -> Transformer:
    model: Transformer = run_to_end(load_model(source)).result
    return model


def returned(stage: Generator[Any, None, Tensor]) -> Tensor:
    """What a generator returns."""
    made: list[Tensor] = []

    def inner() -> Iterator[Any]:
        made.append((yield from stage))

    list(inner())
    return made[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    path = tmp_path_factory.mktemp("made") / "q2.gguf"
    quantized: Quantized = run_to_end(
        quantize_model(open_model(BASE), path, Wish("Q2_K"), read_tokenizer(BASE))
    ).result
    return quantized


def test_a_parameter_is_read_as_the_loaded_model_has_it(made: Quantized) -> None:
    for source in (open_model(BASE), open_model(made.path)):
        model = load(source)
        with WeightReader() as reader:
            for name, value in model.named_parameters():
                assert torch.equal(returned(read_parameter(reader, source, name)), value), name


def test_errors_are_those_that_quantizing_told_worst_first(made: Quantized) -> None:
    found = run_to_end(compare_tensors(open_model(BASE), open_model(made.path))).result
    assert [one.error for one in found] == sorted((one.error for one in found), reverse=True)
    told = {done.choice.tensor.name: done for done in made.tensors}
    down = next(one for one in found if one.name == "blocks.2.mlp.down.weight")
    assert down.error == pytest.approx(told["blk.2.ffn_down.weight"].error, rel=1e-4)
    assert down.kind == "Q3_K"
    assert down.reference_kind == "F32"
    assert {one.error for one in found if one.kind == "F32"} == {0.0}


def test_histograms_count_every_weight_but_those_outside(made: Quantized) -> None:
    source, model = open_model(BASE), open_model(made.path)
    spread = run_to_end(spread_of(source, model, "blocks.0.mlp.down.weight")).result
    numbers = 256 * 1024
    assert float(spread.reference.sum()) + spread.outside == numbers
    assert (spread.model > 0).sum() <= (spread.reference > 0).sum()
    assert float(spread.errors.sum()) >= 0.998 * numbers
    with pytest.raises(LabError, match="has no tensor nothing"):
        spread_of(source, model, "nothing")


def test_the_reference_agrees_with_itself_and_two_bits_say_less_surely(made: Quantized) -> None:
    tokenizer = read_tokenizer(BASE)
    reference, model = load(open_model(BASE)), load(open_model(made.path))
    ids = tuple(tokenizer.encode("The capital of"))
    writers = [Writer("as it was", reference, ids), Writer("Q2_K", model, ids)]
    events = list(write_side_by_side(reference, writers, 12))
    tokens = [event for event in events if isinstance(event, SideToken)]
    own = [token for token in tokens if token.writer == 0]
    assert all(token.probability == token.reference for token in own)
    texts = events[-1].result
    assert texts[0].differs_at is None
    assert len(texts[1].tokens) == 12
    assert any(token.probability != token.reference for token in texts[1].tokens)
    first = [token.id for token in texts[0].tokens]
    assert texts[1].differs_at == first_difference(first, [token.id for token in texts[1].tokens])


def test_what_cannot_be_compared_is_refused(made: Quantized) -> None:
    reference = load(open_model(BASE))
    with pytest.raises(LabError, match="no token to go on from"):
        write_side_by_side(reference, [Writer("a", reference, ())], 3)
    with pytest.raises(LabError, match="256"):
        write_side_by_side(reference, [Writer("a", reference, (1,))], 300)
