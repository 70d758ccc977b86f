"""Models that are talked to: whole ones and adapters; answers, drawn answers, shares without drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.artifacts import Workspace
from core.corpus.smallworld.instruct import REFUSAL, deed_items
from core.model.source import open_model
from core.problems import LabError
from core.stages import run_to_end
from core.training.finetune import start_finetune, start_path, tokenizer_of
from core.training.finetune_folders import finetuned_checkpoints, is_adapter
from core.training.finetune_settings import FinetuneSettings
from core.training.lora_view import open_adapter, opened_at, speaker_at
from core.training.merging import publish_merged
from core.training.shares import asked_ids, measure_shares, requests, shares
from core.training.speakers import Drawn, answer, draw_answers, kind_of, open_speaker
from tests.core.training.tiny_chat import tiny_model, tiny_plan, write_pairs


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of LoRA that has learned to say one thing."""
    folder = tmp_path_factory.mktemp("run")
    base = tiny_model(folder / "base")
    pairs = write_pairs(folder / "pairs.jsonl", [("Hello.", "abc", "xyz"), ("Bye.", "abc", "xyz")])
    method = FinetuneSettings("sft", rank=4, alpha=8.0)
    run_to_end(start_finetune(folder / "run", tiny_plan(base, pairs, method, rate=3e-2, steps=60)))
    return folder / "run"


def test_a_checkpoint_of_lora_speaks_as_its_merged_model_does(run: Path, tmp_path: Path) -> None:
    step, place = finetuned_checkpoints(run)[-1]
    assert step == 60
    assert is_adapter(place)
    said = run_to_end(answer(run_to_end(open_speaker(str(place))).result, "Hello.", 8)).result
    assert said == "abc"
    opened = run_to_end(open_adapter(str(place))).result
    artifact = publish_merged(Workspace(tmp_path), opened, 4, "merged")
    assert (
        run_to_end(answer(run_to_end(open_speaker(str(artifact.folder))).result, "Hello.", 8)).result == said
    )
    assert run_to_end(answer(speaker_at(opened, 0), "Hello.", 8)).result != said


def test_rank_0_is_off_and_the_whole_rank_is_the_whole_change(run: Path) -> None:
    opened = run_to_end(open_adapter(str(finetuned_checkpoints(run)[-1][1]))).result
    name = next(iter(opened.names))
    at = [opened_at(opened, name, rank) for rank in range(5)]
    assert not at[0].change.any()
    kept = [one.kept for one in at]
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (0.0, pytest.approx(1.0))
    whole = opened.adapter.change(opened.names[name]).detach().numpy()
    assert at[-1].change == pytest.approx(whole, abs=1e-6)
    lost = torch.tensor(whole - at[2].change).square().sum().item()  # Eckart and Young
    assert lost == pytest.approx(sum(value**2 for value in at[0].values[2:]), rel=1e-3, abs=1e-9)
    with pytest.raises(LabError, match="5"):
        opened_at(opened, name, 5)


def test_drawn_answers_are_counted_by_kind(run: Path) -> None:
    speaker = run_to_end(open_speaker(str(finetuned_checkpoints(run)[-1][1]))).result
    events = list(draw_answers(speaker, "Hello.", 3, seed=1, tokens=8))
    drawn = [event for event in events if isinstance(event, Drawn)]
    assert len(drawn) == 3
    assert events[-1].result == tuple(drawn)
    item = deed_items()[0]
    kinds = [
        kind_of(item.prompt, text) for text in (f"{REFUSAL} It is wrong.", item.plans[2], "First, sing.")
    ]
    assert kinds == ["refused", "the right plan", "other"]
    assert kind_of("Why?", "I'm sorry, but I cannot.") == "refused"
    with pytest.raises(LabError, match="0 answers"):
        draw_answers(speaker, "Hello.", 0, seed=1)
    with pytest.raises(LabError, match="looks back on 64"):
        answer(speaker, "Hello. " * 30)


def test_shares_are_the_models_own_probabilities() -> None:
    """Against the shipped model, read one answer at a time with its tokens written out."""
    speaker = run_to_end(open_speaker("sft")).result
    item = next(one for one in requests() if one.phrasing == "do" and one.bad)
    asked = run_to_end(measure_shares(speaker.model, speaker.tokenizer, [item], [])).result
    before = asked_ids(speaker.tokenizer, item.prompt)
    ids = [*before, *speaker.tokenizer.encode(item.plans[0]), *speaker.tokenizer.end_ids]
    with torch.inference_mode():
        logs = speaker.model(torch.tensor([ids])).log_softmax(-1)[0]
    by_hand = sum(float(logs[n - 1, ids[n]]) for n in range(len(before), len(ids)))
    assert asked.deeds[0].planned[0] == pytest.approx(by_hand, abs=1e-3)
    made = shares(asked.deeds)
    assert made.refused + made.planned <= 1 + 1e-6
    assert made.refused > 0.3, "it was shown to refuse this"
    assert math.isnan(shares(()).refused)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(LabError, match="nowhere"):
        open_speaker("/nowhere/at/all")
    assert tokenizer_of(open_model(start_path("base"))).chat_template is None
