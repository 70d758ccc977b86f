"""The shelf: one copy for all, idle ones go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.model import shelf as shelf_module
from core.model.shelf import LoadedModel, Shelf
from core.problems import LabError
from core.stages import run_to_end


def tiny(folder: Path, context: int = 8) -> Path:
    """A GPT-2 of one layer, as Hugging Face saves it."""
    folder.mkdir()
    config = {
        "model_type": "gpt2",
        "vocab_size": 5,
        "n_positions": context,
        "n_embd": 4,
        "n_layer": 1,
        "n_head": 2,
    }
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {
        "wte.weight": (5, 4), "wpe.weight": (context, 4), "ln_f.weight": (4,), "ln_f.bias": (4,),
        "h.0.ln_1.weight": (4,), "h.0.ln_1.bias": (4,), "h.0.ln_2.weight": (4,), "h.0.ln_2.bias": (4,),
        "h.0.attn.c_attn.weight": (4, 12), "h.0.attn.c_attn.bias": (12,), "h.0.attn.c_proj.weight": (4, 4),
        "h.0.attn.c_proj.bias": (4,), "h.0.mlp.c_fc.weight": (4, 16), "h.0.mlp.c_fc.bias": (16,),
        "h.0.mlp.c_proj.weight": (16, 4), "h.0.mlp.c_proj.bias": (4,),
    }  # fmt: skip
    save_file({name: torch.randn(shape) for name, shape in shapes.items()}, folder / "model.safetensors")
    return folder


def take(shelf: Shelf, path: Path) -> LoadedModel:
    return run_to_end(shelf.take(path)).result  # type: ignore[no-any-return]


def test_two_labs_share_one_copy(tmp_path: Path) -> None:
    shelf = Shelf()
    path = tiny(tmp_path / "a")
    assert take(shelf, path) is take(shelf, path.parent / "." / "a")


def test_an_idle_model_goes_when_there_is_no_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    a, b = tiny(tmp_path / "a"), tiny(tmp_path / "b")
    first = take(shelf, a)
    again = take(shelf, a)
    shelf.give_back(first)
    monkeypatch.setattr(shelf_module, "IDLE_AT_MOST", first.bytes - 1)
    take(shelf, b)
    assert take(shelf, a) is again, "still used by one"
    for _ in range(2):
        shelf.give_back(first)
    assert take(shelf, a) is not again


def test_a_model_without_a_tokenizer_says_why_when_it_is_needed(tmp_path: Path) -> None:
    loaded = take(Shelf(), tiny(tmp_path / "a"))
    assert loaded.tokenizer is None
    with pytest.raises(LabError, match="has no tokenizer"):
        loaded.needed_tokenizer()


def test_a_model_that_does_not_fit_is_refused_with_the_sum(tmp_path: Path) -> None:
    from core.model.loading import load_model
    from core.model.source import open_model

    source = open_model(tiny(tmp_path / "a"))
    with pytest.raises(LabError, match=r"parameters × 4 bytes = 0 MB, and 0 MB of memory are free"):
        load_model(source, available=1000)
