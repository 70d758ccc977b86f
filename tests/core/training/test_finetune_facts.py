"""What a plan trains is counted as the run counts it; what it takes is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.model.source import open_model
from core.problems import LabError
from core.stages import run_to_end
from core.training.finetune_facts import (
    FinetunePace,
    finetune_facts,
    keep_finetune_pace,
    measure_finetune_pace,
    read_finetune_pace,
)
from core.training.finetune_plans import finetune_preset, of_smollm2, with_values
from core.training.finetune_settings import FinetuneSettings
from core.training.lora import new_adapter
from core.training.row_files import survey_rows, write_rows
from core.training.template_view import lay_out
from tests.core.training.tiny_chat import tiny_model, tiny_plan, write_pairs


def test_facts_are_those_of_the_adapter_that_the_run_makes(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    file = write_pairs(tmp_path / "rows.jsonl", [("a", "b", "c")])
    config = open_model(base).config
    for targets in ("all", "attention"):
        plan = tiny_plan(base, file, FinetuneSettings("dpo", rank=3, targets=targets))
        made = new_adapter(config, 3, 16.0, targets, torch.Generator().manual_seed(1))
        assert finetune_facts(plan).learned == made.numbers
    whole = finetune_facts(tiny_plan(base, file, FinetuneSettings("sft")))
    assert whole.share == 1.0


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_the_pace_of_a_plan_is_measured_and_remembered(tmp_path: Path, method: str) -> None:
    base = tiny_model(tmp_path / "base")
    file = write_pairs(tmp_path / "rows.jsonl", [(str(n), "b", "c") for n in range(6)])
    plan = tiny_plan(base, file, FinetuneSettings(method), batch=2)
    assert read_finetune_pace(tmp_path / "pace.json", plan) is None
    pace = run_to_end(measure_finetune_pace(plan)).result
    assert pace.step > 0
    keep_finetune_pace(tmp_path / "pace.json", plan, pace)
    assert read_finetune_pace(tmp_path / "pace.json", plan) == pace
    other = tiny_plan(base, file, FinetuneSettings(method), batch=4)
    assert read_finetune_pace(tmp_path / "pace.json", other) is None
    assert FinetunePace(2.0, 0.5).seconds(plan, 6) == 2.0 * plan.settings.steps + 3.0


def test_faults_are_told_by_line_beside_sound_rows(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "a"\n\n'
        '{"prompt": "a", "completion": "b"}\n{"prompt": "d", "chosen": "e", "rejected": "e"}\n'
    )
    made = run_to_end(survey_rows(file)).result
    assert len(made.rows) == 1
    assert [fault.split(":")[0] for fault in made.faults] == ["line 2", "line 4", "line 5"]
    assert "another kind" in made.faults[1]
    with pytest.raises(LabError, match="there already"):
        write_rows(file, made.rows)
    write_rows(tmp_path / "new.jsonl", made.rows)
    assert run_to_end(survey_rows(tmp_path / "new.jsonl")).result.rows[0].prompt == "a"


def test_only_the_answer_and_its_end_are_trained_on() -> None:
    plan = finetune_preset("sft").plan
    rows = run_to_end(survey_rows(Path(of_smollm2().plan.rows.path))).result.rows
    assert len(rows) == 52
    laid = lay_out(rows[0], plan.start)
    assert b"".join(laid.tokens[laid.begin :]).decode() == f"{rows[0].chosen[0].content}<|end|>"
    worse = lay_out(rows[0], plan.start, worse=True)
    assert worse.ids[: worse.begin] == laid.ids[: laid.begin]
    assert with_values(plan, {"rank": 4}).method.rank == 4
