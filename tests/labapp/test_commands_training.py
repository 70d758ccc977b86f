"""The command line around a model of one's own: a corpus is written, a model is scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from core.artifacts import Workspace, open_artifact
from core.corpus.sources import read_corpus
from core.model.export import write_model
from core.model.initial import new_model
from core.stages import run_to_end
from labapp.cli import main
from tests.core.evals.test_smallworld import SHIPPED, tiny


def test_a_small_world_is_written_as_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "world"
    assert main(["corpus", "smallworld", "--out", str(out), "--words", "500", "--seed", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["words"] >= 500
    artifact = open_artifact(out)
    artifact.verify()
    assert artifact.manifest.kind == "corpus"
    assert len(run_to_end(read_corpus(out)).result) == said["documents"]


def test_a_folder_that_is_taken_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["corpus", "smallworld", "--out", str(tmp_path), "--words", "500"]) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_model_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labapp.app.open_workspace", lambda root: Workspace(tmp_path / "workspace"))
    folder = tmp_path / "model"
    folder.mkdir()
    model = new_model(tiny(), torch.Generator().manual_seed(5))
    write_model(model.config, dict(model.named_parameters()), folder, end=0)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SHIPPED / file, folder)
    words = ["evals", "smallworld", "--model", str(folder), "--only", "P1", "--only", "P6", "--most", "6"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "P1", "P6 king", "P6 gender pairs", "P6 capitals", "0 of 4 bars are reached."
    ]  # fmt: skip
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["name"], one["bar"]) for one in said["scored"]][:2] == [("P1", 0.9), ("P6 king", 1.0)]
    assert len(said["scored"][0]["examples"]) == 3
