"""A model written as a Hugging Face folder is the model that is read again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from core.model.config import ModelConfig
from core.model.export import config_json, write_model
from core.model.initial import new_model
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from core.training.settings import ShapeSettings

GPT2 = ShapeSettings(layers=2, width=16, heads=2, context=12).config(50)
IDS = torch.tensor([[3, 1, 4, 1, 5, 9]])


def written(config: ModelConfig, folder: Path, half: bool = False) -> tuple[Transformer, Transformer]:
    """A new model, and what is read back of it."""
    model = new_model(config, torch.Generator().manual_seed(2))
    folder.mkdir()
    write_model(config, dict(model.named_parameters()), folder, half=half, end=0)
    return model, run_to_end(load_model(open_model(folder))).result


def test_weights_are_bit_equal_after_writing_and_reading_and_logits_agree(tmp_path: Path) -> None:
    model, again = written(GPT2, tmp_path / "model")
    assert again.config == model.config
    read = dict(again.named_parameters())
    assert all(torch.equal(read[name], weights) for name, weights in model.named_parameters())
    with torch.inference_mode():  # a read table lies column by column: sums may take another order
        torch.testing.assert_close(model(IDS), again(IDS), atol=1e-6, rtol=0)


def test_half_precision_takes_half_the_room_and_rounds(tmp_path: Path) -> None:
    model, again = written(GPT2, tmp_path / "half", half=True)
    written(GPT2, tmp_path / "whole")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.7 * sizes[1]
    weights, read = dict(model.named_parameters()), dict(again.named_parameters())
    assert all(torch.equal(read[name], weights[name].half().float()) for name in weights)


def test_what_cannot_be_written_is_said() -> None:
    with pytest.raises(LabError, match="scaled RoPE"):
        config_json(dataclasses.replace(GPT2, rope_scaling=object()))  # type: ignore[arg-type]
