"""Quantized models as artifacts: title, files, metrics and what they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.artifacts import Workspace
from core.model.source import open_model
from core.problems import LabError
from core.quantization.importance import Importance, collect_importance
from core.quantization.publish import gguf_of, publish_importance, publish_quantized, refer_to, title_of
from core.quantization.quantize import plan_for
from core.quantization.recipes import Wish
from core.stages import run_to_end
from tests.core.quantization.test_tensors import load

BASE = Path(__file__).resolve().parents[3] / "resources" / "lineage" / "base"


def test_a_quantized_model_knows_its_parents_and_opens_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    source = open_model(BASE, "Small world")
    importance: Importance = run_to_end(
        collect_importance(load(source), [n % 500 for n in range(600)], "numbers", 128)
    ).result
    matrix = publish_importance(workspace, importance, "Importances")
    references = run_to_end(refer_to(source)).result
    stage = publish_quantized(workspace, source, Wish("Q2_K"), importance, [matrix.id], references)
    made = run_to_end(stage).result
    artifact = workspace.artifact(made.artifact.id)
    assert artifact.name == "Small world, Q2_K"
    assert artifact.parents == (matrix.id,)
    assert artifact.settings == {"recipe": "Q2_K", "importance": ["numbers"], "overrides": []}
    assert artifact.metrics["bytes"] == gguf_of(artifact).stat().st_size
    assert artifact.references[0].path == BASE / "model.safetensors"
    assert open_model(gguf_of(artifact)).config.shapes() == source.config.shapes()
    opened = open_model(artifact.folder, artifact.name)  # as every lab opens an artifact
    assert (opened.path, opened.name) == (gguf_of(artifact), artifact.name)
    with workspace.new_artifact("report", "Nothing", "test") as draft:
        draft.write("a.html", "nothing")
    with pytest.raises(LabError, match="holds no GGUF"):
        gguf_of(draft.artifact)


def test_importances_of_another_model_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    source = open_model(BASE, "Small world")
    wrong = Importance({"blk.0.ffn_up.weight": torch.ones(7)}, {"blk.0.ffn_up.weight": 1.0}, 1, 1, ("x",))
    with pytest.raises(LabError, match="7"):
        run_to_end(publish_quantized(workspace, source, Wish("Q4_0"), wrong))
    assert not workspace.artifacts("quantized")


def test_a_title_says_what_came_out() -> None:
    source = open_model(BASE, "Small world")
    assert title_of("Small world", plan_for(source, Wish("Q4_K_M"))) == "Small world, Q4_K_M"
