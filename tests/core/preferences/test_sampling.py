"""Candidates sampled from models: all there, settings beside them, stopped and gone on with to the same
texts."""

from __future__ import annotations

import pytest
import torch

from core.model.initial import new_model
from core.model.shelf import LoadedModel
from core.model.source import open_model
from core.preferences.importing import DraftPrompt
from core.preferences.sampling import Sampled, Source, sample_outputs
from core.preferences.sampling_settings import SampleSettings, temperatures_of
from core.preferences.texts import Turn
from core.problems import LabError
from core.stages import Finished, run_to_end
from core.tokenizer.reading import read_tokenizer
from tests.core.evals.test_smallworld import SHIPPED, tiny

PROMPTS = [DraftPrompt("Who is the king?"), DraftPrompt((Turn("user", "Hello."),), "greetings")]
SETTINGS = SampleSettings(outputs=3, temperatures="0.5, 1.5", max_tokens=6, seed=3)


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    tokenizer = read_tokenizer(SHIPPED.parent / "sft")
    source = open_model(SHIPPED.parent / "base")
    made = []
    for seed in (1, 2):
        model = new_model(tiny(), torch.Generator().manual_seed(seed))
        made.append(Source(f"model {seed}", LoadedModel(source, model, tokenizer, "")))
    return made


def test_every_prompt_gets_its_outputs_with_their_settings(sources: list[Source]) -> None:
    items = run_to_end(sample_outputs(PROMPTS, sources, SETTINGS)).result
    assert [item.prompt for item in items] == [prompt.prompt for prompt in PROMPTS]
    assert items[1].category == "greetings"
    for item in items:
        makers = [output.makers[0] for output in item.outputs]
        assert [maker.model for maker in makers] == ["model 1", "model 2", "model 1"]
        assert [maker.settings["temperature"] for maker in makers] == [0.5, 0.5, 1.5]
        assert len({maker.settings["seed"] for maker in makers}) == 3


def test_a_stopped_sampling_goes_on_to_the_same_texts(sources: list[Source]) -> None:
    whole = run_to_end(sample_outputs(PROMPTS, sources, SETTINGS)).result
    have: list[Sampled] = []
    stage = sample_outputs(PROMPTS, sources, SETTINGS)
    for event in stage:
        if isinstance(event, Sampled):
            have.append(event)
        if len(have) == 4:
            break
    stage.close()  # type: ignore[attr-defined]
    later = []
    for event in sample_outputs(PROMPTS, sources, SETTINGS, have):
        if isinstance(event, Sampled):
            later.append((event.prompt_index, event.output_index))
        if isinstance(event, Finished):
            assert event.result == whole
    assert later == [(1, 1), (1, 2)]


def test_a_prompt_whose_outputs_are_all_equal_is_left_out_and_counted(sources: list[Source]) -> None:
    settings = SampleSettings(outputs=2, temperatures="0", max_tokens=4)
    done = run_to_end(sample_outputs(PROMPTS[:1], sources[:1], settings))
    assert done.result == ()
    assert "1 prompts were left out" in done.reason


@pytest.mark.parametrize("temperatures", ["", "warm", "0.5, 9", "-1", "nan"])
def test_temperatures_that_are_none_are_refused_with_what_was_written(temperatures: str) -> None:
    with pytest.raises(LabError) as refused:
        temperatures_of(SampleSettings(temperatures=temperatures))
    assert repr(temperatures) in refused.value.problem


def test_nothing_to_sample_from_is_said(sources: list[Source]) -> None:
    with pytest.raises(LabError, match="no prompt or no model"):
        sample_outputs([], sources, SETTINGS)
    bare = LoadedModel(sources[0].loaded.source, sources[0].loaded.model, None, "none was found.")
    with pytest.raises(LabError, match="no tokenizer"):
        sample_outputs(PROMPTS, [Source("bare", bare)], SETTINGS)
