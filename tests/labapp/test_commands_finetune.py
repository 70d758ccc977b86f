"""The command line of fine-tuning: a run, its end, an adapter merged, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from core.artifacts import Workspace
from core.model.export import write_model
from core.model.initial import new_model
from core.training.rows import Comparison, answered, as_line, asked
from labapp.cli import main
from tests.core.evals.test_smallworld import SHIPPED, tiny

QUICK = [
    "--set", "steps=2", "--set", "batch=2", "--set", "evaluate_every=1", "--set", "precision=f32",
    "--set", "held_out=0.3",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _compiler_imported() -> None:
    """The first optimizer makes torch import its compiler, which makes a folder in the temporary directory."""
    torch.optim.SGD([torch.zeros(1)], lr=0.1)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("labapp.app.open_workspace", lambda root: Workspace(tmp_path / "workspace"))
    monkeypatch.setattr("core.training.loop.choose_precision", lambda *_: ("f32", 1e9))
    folder = tmp_path / "base"
    folder.mkdir()
    model = new_model(tiny(), torch.Generator().manual_seed(5))
    write_model(model.config, dict(model.named_parameters()), folder, end=0)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SHIPPED / file, folder)
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    made = [Comparison(asked(f"{n} + 1?"), answered(str(n + 1)), answered("No.")) for n in range(9)]
    (tmp_path / "rows.jsonl").write_text("".join(as_line(row) + "\n" for row in made))
    return tmp_path / "rows.jsonl"


@pytest.mark.parametrize("method", ["sft", "dpo", "ipo"])
def test_a_model_is_fine_tuned_and_goes_on(
    method: str, base: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["finetune", method, "--model", str(base), "--data", str(rows), "--out", str(out), *QUICK]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "numbers learn" in said
    assert "held-out loss" in said
    assert main(words) == 1
    assert "not an empty folder" in capsys.readouterr().err
    assert main(["finetune", method, "--out", str(out), "--resume", "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["steps"] == 2
    assert (Path(last["model"]) / "model.safetensors").is_file()


def test_an_adapter_is_merged(
    base: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["finetune", "dpo", "--model", str(base), "--data", str(rows), "--out", str(tmp_path / "run")]
    assert main([*words, "--lora", "2", *QUICK, "--json"]) == 0
    adapter = json.loads(capsys.readouterr().out.splitlines()[-1])["model"]
    assert (Path(adapter) / "adapter_config.json").is_file()
    merge = [
        "finetune",
        "merge",
        "--adapter",
        adapter,
        "--model",
        str(base),
        "--out",
        str(tmp_path / "merged"),
    ]
    assert main(merge) == 0
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert main(merge) == 1


def test_what_is_wrong_with_rows_is_said_with_its_line(
    base: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.write_text(rows.read_text() + '{"prompt": "a"}\n')
    words = ["finetune", "dpo", "--model", str(base), "--data", str(rows), "--out", str(tmp_path / "run")]
    assert main(words) == 1
    assert "line 10: neither" in capsys.readouterr().err
    assert main(["finetune", "sft", "--out", str(tmp_path / "new"), "--set", "steps"]) == 1
    assert "has no =" in capsys.readouterr().err


def test_harm_is_measured_and_compared(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evals", "harm", "--model", str(base), "--before", str(base), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["n"] == 210
    assert said["drop"]["mean"] == 0
