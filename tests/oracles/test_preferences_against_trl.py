"""Exported rankings are opened by datasets and trained on by trl's DPOTrainer, one step, with a tiny
model."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.model.export import write_model
from core.model.initial import new_model
from core.preferences.export_settings import ExportSettings
from core.preferences.exporting import export_dataset
from core.preferences.results import read_results
from core.stages import run_to_end
from tests.core.evals.test_smallworld import SHIPPED, tiny
from tests.core.preferences.small_tasks import a_store, a_task, answer_all


@pytest.fixture(autouse=True)
def _their_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    with a_store(folder, a_task(12)) as store:
        for number in range(2):
            answer_all(store.session(store.enter(f"P{number}").id), random.Random(number), 1.5)
        results = read_results(store)
    run_to_end(export_dataset(results, folder / "out", ExportSettings(validation=30)))
    return folder / "out"


def loaded(exported: Path, name: str, cache: Path) -> Any:
    from datasets import load_dataset

    files = {
        "train": str(exported / f"{name}.jsonl"),
        "validation": str(exported / f"{name}.validation.jsonl"),
    }
    return load_dataset("json", data_files=files, cache_dir=str(cache))


def test_every_file_opens_in_datasets_with_its_rows(exported: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    for name, columns in (
        ("trl", {"prompt", "chosen", "rejected"}), ("trl_chat", {"prompt", "chosen", "rejected"}),
        ("kto", {"prompt", "completion", "label"}), ("hh", {"chosen", "rejected"}), ("rankings", {"annotations"}),
    ):  # fmt: skip
        both = loaded(exported, name, tmp_path)
        assert columns <= set(both["train"].column_names)
        for split, ending in (("train", ""), ("validation", ".validation")):
            lines = (exported / f"{name}{ending}.jsonl").read_text(encoding="utf-8").splitlines()
            assert len(both[split]) == len(lines)
    whole = load_dataset(str(exported), "trl", cache_dir=str(tmp_path))  # by the card alone
    assert sum(len(part) for part in whole.values()) == 2 * 12 * 6  # C(4, 2) pairs of each ranking


@pytest.mark.parametrize("name", ["trl", "trl_chat"])
def test_the_dpo_trainer_takes_a_step_on_what_was_exported(exported: Path, tmp_path: Path, name: str) -> None:
    import transformers
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    folder = tmp_path / "model"
    folder.mkdir()
    model = new_model(tiny(), torch.Generator().manual_seed(5))
    write_model(model.config, dict(model.named_parameters()), folder, end=0)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SHIPPED.parent / "sft" / file, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    theirs, reference = (transformers.AutoModelForCausalLM.from_pretrained(folder) for _ in range(2))
    before = {key: value.clone() for key, value in theirs.state_dict().items()}
    rows = loaded(exported, name, tmp_path / "cache")["train"]
    arguments = DPOConfig(
        output_dir=str(tmp_path / "run"), max_steps=1, per_device_train_batch_size=4, learning_rate=0.1,
        report_to=[], use_cpu=True, save_strategy="no", gradient_checkpointing=False, bf16=False,
    )  # fmt: skip
    trainer = DPOTrainer(theirs, reference, arguments, train_dataset=rows, processing_class=tokenizer)
    done = trainer.train()
    assert done.global_step == 1
    assert done.training_loss == pytest.approx(0.6931, abs=1e-3)  # the model is its own reference
    assert any(not torch.equal(before[key], value) for key, value in trainer.model.state_dict().items())


def test_an_hh_transcript_is_cut_by_trl_where_it_was_joined(exported: Path, tmp_path: Path) -> None:
    from trl.data_utils import extract_prompt

    rows = loaded(exported, "hh", tmp_path)["train"]
    for row in rows:
        cut = extract_prompt({"chosen": row["chosen"], "rejected": row["rejected"]})
        assert cut["prompt"].startswith("\n\nHuman: Question")
        assert cut["prompt"] + cut["chosen"] == row["chosen"]
