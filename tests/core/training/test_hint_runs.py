"""Each failure sign is seen in a run that shows it: a tiny model, trained the wrong way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from core.stages import run_to_end
from core.training.finetune import resume_finetune, start_finetune
from core.training.finetune_settings import FinetuneSettings
from core.training.hints import hints
from core.training.history import read_history
from tests.core.training.tiny_chat import tiny_model, tiny_plan, write_pairs

DPO = FinetuneSettings("dpo", beta=0.1)


@pytest.fixture(scope="module", autouse=True)
def _no_measuring() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


def names(folder: Path, steps: int) -> list[str]:
    return [one.name for one in hints(read_history(folder).measured, steps, DPO.beta)]


def trained(base: Path, folder: Path, pairs: list[tuple[str, str, str]], **changes: Any) -> list[str]:
    """The hints of a run on pairs."""
    plan = tiny_plan(base, write_pairs(folder.with_suffix(".jsonl"), pairs), DPO, **changes)
    run_to_end(start_finetune(folder, plan))
    return names(folder, plan.settings.steps)


def test_pairs_that_one_letter_gives_away_are_right_at_once(base: Path, tmp_path: Path) -> None:
    pairs = [(f"{n} + 1?", "aaaa", "zzzz") for n in range(12)]
    assert "right at once" in trained(base, tmp_path / "run", pairs, rate=3e-3)


def test_pairs_that_contradict_each_other_teach_nothing(base: Path, tmp_path: Path) -> None:
    pairs = [("Which?", "ab", "cd"), ("Which?", "cd", "ab")]
    assert trained(base, tmp_path / "run", pairs, steps=20) == ["nothing is learned"]


def test_answers_that_share_their_tokens_fall_together_and_the_text_collapses(
    base: Path, tmp_path: Path
) -> None:
    """Razin et al.: what two answers have in common is pushed down with the worse one."""
    pairs = [(f"{n}?", f"abcdefgh{n}", f"abcdefghij{n}") for n in range(8)]
    imitated = tmp_path / "imitated"
    file = write_pairs(tmp_path / "pairs.jsonl", pairs)
    sft = tiny_plan(base, file, FinetuneSettings("sft"), rate=2e-2, steps=60)
    taught = run_to_end(start_finetune(imitated, sft)).result.model
    found = trained(taught, tmp_path / "run", pairs, rate=2e-2, steps=60)
    assert {"both answers fall", "the text collapses"} <= set(found)


def test_a_reference_of_another_model_is_told_at_the_first_step(base: Path, tmp_path: Path) -> None:
    pairs = [(f"{n} + 1?", str(n + 1), "No.") for n in range(12)]
    sound, other = tmp_path / "sound", tmp_path / "other"
    assert "reference differs" not in trained(base, sound, pairs, steps=2)
    other.mkdir()
    for name in ("finetune.json", "rows", "tokenizer"):
        copy = shutil.copytree if (sound / name).is_dir() else shutil.copyfile
        copy(sound / name, other / name)
    kept = safetensors.torch.load((sound / "references.safetensors").read_bytes())
    kept["train"][:, 0] -= 5.0  # nats: as if another template had laid out the better answers
    (other / "references.safetensors").write_bytes(safetensors.torch.save(kept))
    run_to_end(resume_finetune(other))
    assert names(other, 2) == ["reference differs"]
