"""The Loss page as a person uses it, on a model that was trained for four steps."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.training.events import Controls, SeenBatch
from labapp.labs.training.loss import LossPage
from tests.labapp.training_pages import Shown, opened_page, small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run."""
    root = tmp_path_factory.mktemp("workspace")
    small_run(root, "taste")
    return root


@pytest.fixture
def root(tmp_path: Path, trained: Path) -> Path:
    """That workspace, fresh for every test: a window that closes writes its state there."""
    return shutil.copytree(trained, tmp_path / "workspace")


@pytest.fixture
def shown(qtbot: QtBot, root: Path) -> Iterator[Shown[LossPage]]:
    with opened_page(qtbot, root, "loss", LossPage) as shown:
        shown.wait(lambda: shown.page.judged is not None and shown.page.curve.plot)
        yield shown


def test_every_token_but_the_first_has_the_loss_that_the_model_gives_it(
    shown: Shown[LossPage],
) -> None:
    page, wait = shown.page, shown.wait
    page.editor.setPlainText("The cat sat on the mat.")
    wait(lambda: page.judged is not None and len(page.judged.ids) < 12)
    judged, loaded = page.judged, page.picker.loaded
    assert judged is not None
    assert loaded is not None
    with torch.inference_mode():
        logs = loaded.model(torch.tensor([judged.ids]))[0].log_softmax(-1)
    expected = -logs[:-1].gather(1, torch.tensor(judged.ids[1:])[:, None])[:, 0]
    assert np.isnan(judged.nats[0])
    assert judged.nats[1:] == pytest.approx(expected.numpy(), abs=1e-4)
    loss = float(expected.mean())
    assert f"Loss {loss:.2f} nats" in page.heading.text()
    assert f"perplexity {math.exp(loss):,.1f}" in page.heading.text()
    assert f"{len(judged.ids) - 1} tokens foreseen by Step 4" in page.below.text()


def test_a_token_is_shown_with_what_was_expected_and_its_point_on_the_curve(
    shown: Shown[LossPage],
) -> None:
    page = shown.page
    judged = page.judged
    assert judged is not None
    page.show_token(5)
    (came,) = [bar for bar in page.bars.bars if bar.strong]
    assert came.name.startswith("✓ ")
    assert sum(bar.value for bar in page.bars.bars) == pytest.approx(1, abs=1e-4)
    assert page.curve.p == pytest.approx(math.exp(-judged.nats[5]))
    point = page.curve._point
    assert point is not None
    assert point.y[0] == pytest.approx(judged.nats[5], abs=1e-4)


def test_p_is_dragged_and_goes_back_to_the_token(qtbot: QtBot, shown: Shown[LossPage]) -> None:
    page = shown.page
    own = page.curve.p
    page.curve.slider.setValue(250)
    assert "the loss −ln p is 1.39 nats; e^loss = 4, " in page.curve.says.text()
    assert page.curve.back.isEnabled()
    page.curve._handle.sigDragged.emit(page.curve._handle)
    page.curve._choose(1.0)
    assert "−ln p is 0.00 nats; e^loss = 1, " in page.curve.says.text()
    qtbot.mouseClick(page.curve.back, Qt.MouseButton.LeftButton)
    assert page.curve.p == own


def test_a_live_batch_is_asked_for_and_shown(shown: Shown[LossPage]) -> None:
    page, lab = shown.page, shown.lab
    assert not page.batch.isEnabled()
    heard = lab.run.heard = Controls()
    lab.run.changed.emit()
    assert page.batch.isEnabled()
    best = tuple(((7, 0.5), (8, 0.25)) for _ in range(3))
    seen = SeenBatch(12, (5, 7, 8, 9), (math.log(2), math.log(4), 3.0), best)
    lab.run.seen.emit(seen)
    assert "Step 4" in page.below.text(), "nobody has asked here"
    page.ask_batch()
    assert heard.show_batch
    lab.run.seen.emit(seen)
    assert "the run at step 12" in page.below.text()
    page.show_token(1)
    assert page.curve.p == pytest.approx(0.5)
    assert [bar.strong for bar in page.bars.bars] == [True, False, False]


def test_after_eight_rounds_both_perplexities_are_shown_with_n(
    shown: Shown[LossPage],
) -> None:
    page, wait = shown.page, shown.wait
    page.editor.setPlainText(page.editor.toPlainText() * 2)
    wait(lambda: page.judged is not None and len(page.judged.ids) > 60)
    page.show_view(1)
    game = page.game
    for n in range(8):
        assert game.round is not None
        assert game.table.isHidden()
        game.set_sure(1)
        right = game.round.truth
        game.guess(right if n < 4 else (right + 1) % 5)
        assert ("Right" if n < 4 else "No") in game.outcome.text()
        game.deal()
    assert not game.table.isHidden()
    person = math.exp((4 * math.log(2) + 4 * math.log(8)) / 8)
    assert game.table.rows.row(0)[1] == f"{person:.2f}" == "4.00"
    assert "n = 8 tokens; you were right 4 times" in game.says.text()
    game.start_over()
    assert "0 of 8 rounds" in game.says.text()


def test_a_text_of_one_token_is_said_to_be_too_short(shown: Shown[LossPage]) -> None:
    page, lab, wait = shown.page, shown.lab, shown.wait
    page.editor.setPlainText("")
    wait(lambda: "0 tokens" in lab.frame.messages.text)


def test_the_state_comes_back(shown: Shown[LossPage]) -> None:
    page = shown.page
    state = page.save_state() | {"text": "Another text.", "view": 1}
    page.restore_state(state)
    assert page.editor.toPlainText() == "Another text."
    assert page.views.currentIndex() == 1
    page.restore_state({"text": 3, "view": "x", "model": None})
