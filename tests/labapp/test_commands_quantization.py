"""The command line around fewer bits: a model is written, weighed and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.artifacts import Workspace
from core.formats.gguf import read_gguf_header
from labapp.cli import main

TEXT = " ".join(f"The {n}. man walked to the bank of the river and sat on the mat." for n in range(40))


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labapp.app.open_workspace", lambda root: Workspace(tmp_path / "workspace"))


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_model_is_weighed_quantized_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    text = ["--text", str(tmp_path / "text.txt"), "--window", "64"]
    matrix, out = tmp_path / "matrix.gguf", tmp_path / "small.gguf"
    assert main(["importance", "--model", "base", *text, "--out", str(matrix), "--json"]) == 0
    assert said(capsys)["tables"] == 16
    words = [
        "quantize",
        "--model",
        "base",
        "--type",
        "Q4_K_M",
        "--out",
        str(out),
        "--importance",
        str(matrix),
    ]
    assert main([*words, "--override", "token_embd.weight=Q8_0", "--json"]) == 0
    made = said(capsys)
    assert made["title"] == "Q4_K_M"
    assert made["bytes"] == out.stat().st_size
    header = read_gguf_header(out)
    assert {t.name: t.type for t in header.tensors}["token_embd.weight"] == "Q8_0"
    assert main(["compare", "--reference", "base", *text, "--most", "2", str(out), "--json"]) == 0
    (one,) = said(capsys)["compared"]
    assert one["tokens"] == 62
    assert 0 < one["divergence"]["value"] < 0.1


def test_what_goes_wrong_is_said_with_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.gguf"
    assert main(["quantize", "--model", "base", "--type", "Q4_K_L", "--out", str(out)]) == 1
    assert "llama.cpp has no Q4_K_L." in capsys.readouterr().err
    out.write_text("mine")
    assert main(["quantize", "--model", "base", "--type", "Q4_0", "--out", str(out)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"
