"""The numbers behind every picture of the Attention lab can be shown as a table and saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from labapp.labs.attention import AttentionLab
from labapp.pages import PicturePage
from labapp.widgets.numbers import as_csv
from labapp.window import Window
from tests.labapp.opened import opened_on_smollm2, wait


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "attention") as made:
        yield made


@pytest.mark.parametrize(
    ("page", "first", "rows"),
    [
        ("heads", ("0 The", "1.000"), 11),
        ("compare", ("The", "The", "1.000"), 20),
        ("formula", ("The", "31.9"), 11),
        ("play", ("Q", "The", "0"), 24),
    ],
)
def test_every_picture_has_its_numbers(
    qtbot: QtBot, window: Window, page: str, first: tuple[str, ...], rows: int
) -> None:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    lab.heads.prediction.close_question()
    lab.frame.show_page(page)
    current = lab.current
    assert isinstance(current, PicturePage)
    wait(qtbot, window, lambda: current.numbers()[1])
    columns, found = current.numbers()
    assert all(len(row) == len(columns) for row in found)
    assert len(found) >= rows
    for expected, cell in zip(first, found[0], strict=False):
        assert cell.startswith(expected)
    assert as_csv(columns, found).count("\n") == len(found) + 1
    menu = lab.picture_menu()
    texts = [action.text() for action in menu.actions()]
    assert "Show as table" in texts
    assert "Save numbers as CSV…" in texts
    menu.deleteLater()


def test_what_a_question_hides_is_in_no_table(qtbot: QtBot, window: Window) -> None:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    wait(qtbot, window, lambda: len(lab.heads.pattern.weights))
    assert lab.heads.prediction.asking
    assert lab.heads.numbers() == ((), ())
    menu = lab.picture_menu()
    assert "Show as table" not in [action.text() for action in menu.actions()]
    menu.deleteLater()
