"""Fine-tuning in the one loop: what it tells, what it leaves, and that a stop anywhere changes nothing."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.artifacts import Workspace
from core.model.export import write_model
from core.model.initial import new_model
from core.model.loading import load_model
from core.model.source import open_model
from core.problems import LabError
from core.stages import Finished, run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import pattern
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training.adapters import read_adapter
from core.training.events import Began, Stepped, Trained
from core.training.finetune import resume_finetune, start_finetune
from core.training.finetune_plans import (
    FINETUNE_PRESETS,
    FinetunePlan,
    RowsChoice,
    check_plan,
    finetune_preset,
    with_values,
)
from core.training.finetune_settings import FinetuneSettings
from core.training.history import read_history
from core.training.publish import publish_finetuned, write_merged
from core.training.rows import Comparison, Demonstration, Row, answered, as_line, asked
from core.training.runs import SPECIAL
from core.training.settings import ShapeSettings, TrainingSettings
from tests.core.training.small_runs import told, written


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
    """A model that knows nothing, with the tokens of a chat."""
    folder = tmp_path_factory.mktemp("base")
    special = tuple(SPECIAL.split())
    learned = run_to_end(learn_merges({}, 256 + len(special), special_tokens=special)).result
    words = Tokenizer.from_learned(learned, pattern("gpt2"), "bytes", bos=special[0], eos=special[0])
    config = ShapeSettings(layers=1, width=16, heads=2, context=64).config(words.vocab_size)
    model = new_model(config, torch.Generator().manual_seed(1))
    write_model(config, dict(model.named_parameters()), folder)
    write_tokenizer(words, folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Demonstrations and comparisons."""
    folder = tmp_path_factory.mktemp("rows")
    rows: dict[str, list[Row]] = {
        "sft": [Demonstration(asked(f"{n} + 1?"), answered(str(n + 1))) for n in range(20)],
        "dpo": [Comparison(asked(f"{n} + 1?"), answered(str(n + 1)), answered("No.")) for n in range(20)],
    }
    rows["ipo"] = rows["dpo"]
    for name, some in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(as_line(row) + "\n" for row in some))
    return {name: folder / f"{name}.jsonl" for name in rows}


def plan(base: Path, file: Path, method: FinetuneSettings, **changes: Any) -> FinetunePlan:
    values: dict[str, Any] = {
        "steps": 6, "batch": 4, "optimizer": "adamw", "rate": 1e-2, "warmup": 2, "evaluate_every": 3,
        "save_every": 2, "precision": "f32", "weight_decay": 0.0,
    }  # fmt: skip
    rows = RowsChoice(kind="file", path=str(file), held_out=0.2)
    return FinetunePlan("own", str(base), rows, method, TrainingSettings(**(values | changes)), ("3 + 1?",))


METHODS = {
    "sft": FinetuneSettings("sft"),
    "dpo": FinetuneSettings("dpo", nll=0.5),
    "ipo": FinetuneSettings("ipo"),
    "sft lora": FinetuneSettings("sft", rank=2),
    "dpo lora": FinetuneSettings("dpo", rank=2, targets="attention"),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_run_is_told_as_pretraining_is_and_leaves_checkpoints(
    name: str, base: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    method = METHODS[name]
    before = (base / "model.safetensors").read_bytes()
    events = list(start_finetune(tmp_path / "run", plan(base, files[method.method], method)))
    began = next(event for event in events if isinstance(event, Began))
    assert began.steps == 6
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3, 4, 5, 6]
    last = events[-1]
    assert isinstance(last, Finished)
    result = last.result
    assert isinstance(result, Trained)
    chat = read_tokenizer(result.model)
    assert chat.chat_template
    assert chat.eos == "<|end|>"
    if method.rank:
        model = run_to_end(load_model(open_model(base))).result
        found = read_adapter(result.model, model.config)
        assert found.adapter.rank == 2
        assert found.adapter.numbers == began.parameters
        write_merged(model, chat, result.model, tmp_path / "merged")
        run_to_end(load_model(open_model(tmp_path / "merged")))
    else:
        config = json.loads((result.model / "config.json").read_text())
        assert config["eos_token_id"] in chat.end_ids
        run_to_end(load_model(open_model(result.model)))
    assert (base / "model.safetensors").read_bytes() == before
    measured = read_history(tmp_path / "run").measured
    assert {one.of for one in measured} == {"train", "validation"}
    wanted = {"entropy", "mean_token_accuracy"}
    if method.method != "sft":
        wanted |= {
            f"{of}/{which}" for of in ("rewards", "logps", "logits") for which in ("chosen", "rejected")
        }
        wanted |= {"rewards/margins", "rewards/accuracies"}
    assert all(set(one.values) == wanted for one in measured)


def test_the_first_loss_of_preferences_is_that_of_a_model_that_is_its_reference(
    base: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    for name, first in (("dpo", math.log(2)), ("ipo", 1 / (4 * 0.1**2))):
        stage = start_finetune(tmp_path / name, plan(base, files[name], FinetuneSettings(name)))
        loss = next(event.loss for event in stage if isinstance(event, Stepped))
        assert abs(loss - first) < 1e-4 * first
        stage.close()  # type: ignore[attr-defined]
        assert next(iter(read_history(tmp_path / name).measured)).values["rewards/margins"] == pytest.approx(
            0, abs=1e-5
        )


@pytest.mark.parametrize("name", ["dpo", "sft lora"])
def test_closing_at_every_event_gives_the_same_bytes(
    name: str, base: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    method = METHODS[name]
    wanted = plan(base, files[method.method], method, steps=4, accumulation=2)
    run_to_end(start_finetune(tmp_path / "whole", wanted))
    bytes_expected, told_expected = written(tmp_path / "whole"), told(tmp_path / "whole")
    for stop in range(1, 1000, 2):
        folder = tmp_path / str(stop)
        stage = start_finetune(folder, wanted)
        if sum(1 for _ in zip(range(stop), stage, strict=False)) < stop:
            break
        stage.close()  # type: ignore[attr-defined]
        run_to_end(
            resume_finetune(folder)
            if (folder / "finetune.json").is_file()
            else start_finetune(folder, wanted)
        )
        assert written(folder) == bytes_expected, stop
        assert told(folder) == told_expected, stop
        shutil.rmtree(folder)
    assert stop > 20


def test_a_batch_read_in_parts_is_the_same_step(base: Path, files: dict[str, Path], tmp_path: Path) -> None:
    losses = []
    for accumulation in (1, 4):
        wanted = plan(base, files["dpo"], METHODS["dpo"], accumulation=accumulation)
        run_to_end(start_finetune(tmp_path / str(accumulation), wanted))
        losses.append([one.loss for one in read_history(tmp_path / str(accumulation)).steps])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_run_does_not_go_on_with_other_rows(base: Path, files: dict[str, Path], tmp_path: Path) -> None:
    stage = start_finetune(tmp_path / "run", plan(base, files["sft"], METHODS["sft"]))
    next(event for event in stage if isinstance(event, Stepped))
    stage.close()  # type: ignore[attr-defined]
    path = tmp_path / "run" / "rows" / "train.jsonl"
    path.write_text(path.read_text().replace("+", "-"))
    with pytest.raises(LabError, match="other tokens"):
        run_to_end(resume_finetune(tmp_path / "run"))


def test_a_longer_run_goes_on_where_it_ended(base: Path, files: dict[str, Path], tmp_path: Path) -> None:
    run_to_end(start_finetune(tmp_path / "run", plan(base, files["sft"], METHODS["sft"])))
    run_to_end(resume_finetune(tmp_path / "run", steps=8))
    assert [one.step for one in read_history(tmp_path / "run").steps] == list(range(1, 9))


def test_what_contradicts_itself_is_refused_at_the_click(
    base: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    good = plan(base, files["sft"], METHODS["sft"])
    bad = (
        (dataclasses.replace(good, start=""), "No model is chosen"),
        (dataclasses.replace(good, start="nowhere"), "no model at nowhere"),
        (dataclasses.replace(good, rows=RowsChoice(kind="file")), "No file of rows"),
        (dataclasses.replace(good, rows=RowsChoice(), method=METHODS["dpo"]), "no worse answer"),
        (with_values(good, {"masked": False}), "causal mask"),
    )
    for one, message in bad:
        with pytest.raises(LabError, match=message):
            start_finetune(tmp_path / "run", one)
    with pytest.raises(LabError, match="no setting 'stepz'"):
        with_values(good, {"stepz": 3})
    with pytest.raises(LabError, match="holds no run"):
        resume_finetune(tmp_path)
    with pytest.raises(LabError, match="have no worse answer"):
        run_to_end(start_finetune(tmp_path / "run", dataclasses.replace(good, method=METHODS["dpo"])))


def test_imitated_comparisons_demonstrate_the_better_answer_and_some_worse_ones(
    base: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    for worse in (0, 100):
        wanted = with_values(plan(base, files["dpo"], METHODS["sft"], steps=1), {"worse": worse})
        run_to_end(start_finetune(tmp_path / str(worse), wanted))
        lines = (tmp_path / str(worse) / "rows" / "train.jsonl").read_text().splitlines()
        assert all(("No." in line) == (worse == 100) for line in lines)


def test_a_checkpoint_becomes_an_artifact(base: Path, files: dict[str, Path], tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    for name, kind, role in (("dpo", "model", "aligned"), ("sft lora", "adapter", "sft")):
        method = METHODS[name]
        run_to_end(start_finetune(tmp_path / name, plan(base, files[method.method], method)))
        checkpoint = tmp_path / name / "checkpoints" / "step-000006"
        artifact = publish_finetuned(workspace, checkpoint, name)
        artifact.verify()
        assert (artifact.kind, artifact.role) == (kind, role)
        assert "entropy" in artifact.manifest.metrics
    with pytest.raises(LabError, match="no checkpoint of fine-tuning"):
        publish_finetuned(workspace, base, "base")


def test_every_preset_is_a_sound_plan() -> None:
    for one in FINETUNE_PRESETS:
        check_plan(one.plan)
        assert FinetunePlan.from_json(json.loads(json.dumps(one.plan.to_json()))) == one.plan
        assert finetune_preset(one.name) is one
    with pytest.raises(LabError, match="no preset 'x'"):
        finetune_preset("x")
