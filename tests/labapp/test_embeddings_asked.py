"""What the Embeddings lab does when it is asked and not before: t-SNE, clusters, distortion, a text, two spaces moved."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.embeddings.clusters import cluster
from core.stages import run_to_end
from labapp.app import shipped_folder
from labapp.labs.embeddings import EmbeddingsLab
from labapp.labs.embeddings.cloud_view import CloudView
from labapp.labs.embeddings.recipe import Recipe, recipe_from
from labapp.labs.embeddings.spaces import Pair
from labapp.labs.embeddings.subject import Opened
from labapp.runner import Slot
from tests.labapp.opened import opened
from tests.labapp.opened import wait as wait_until

GROUPS, EACH = 8, 50
TEXT = "The boat lay at the bank. The man got a loan at the bank."


def groups(path: Path) -> Path:
    """400 vectors in 8 groups far from each other, as word2vec writes them."""
    draw = np.random.default_rng(3)
    middles = 20 * np.eye(GROUPS, 12)
    lines = [f"{GROUPS * EACH} 12"]
    for n in range(GROUPS * EACH):
        numbers = " ".join(f"{x:.3f}" for x in middles[n % GROUPS] + draw.standard_normal(12))
        lines.append(f"{'abcdefgh'[n % GROUPS]}{n} {numbers}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def turn_wheel(view: CloudView, notches: int) -> None:
    place = QPointF(view.width() / 2, view.height() / 2)
    event = QWheelEvent(
        place, view.mapToGlobal(place), QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view, event)


def drag(qtbot: QtBot, view: CloudView, right: int, down: int) -> None:
    middle = QPoint(view.width() // 2, view.height() // 2)
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=middle)
    for share in (0.5, 1.0):
        qtbot.mouseMove(view, middle + QPoint(round(right * share), round(down * share)))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=middle + QPoint(right, down))


def choose_color(lab: EmbeddingsLab, key: str) -> None:
    box = lab.cloud.colors.box
    box.setCurrentIndex(box.findData(key))
    box.activated.emit(box.currentIndex())


def test_clusters_distortion_and_tsne_wait_until_somebody_asks(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "ws", lab="embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        page, wait = lab.cloud, partial(wait_until, qtbot, window)
        page.prediction.close_question()
        lab.open_files([groups(tmp_path / "groups.txt")])
        wait(lambda: len(page.rows) == GROUPS * EACH)

        # Nothing is computed by choosing in the controls; the n is stated.
        page.choice.show_recipe(Recipe(kind="tsne"))
        assert not lab.context.runner.jobs
        assert page.recipe.kind == "raw"
        assert "All 400 vectors" in page.summary()

        # Colors by cluster: those that core finds, largest first; points of one group share a color.
        choose_color(lab, "clusters")
        wait(lambda: "cluster 1" in page.colors.legend.accessibleName())
        assert page.opened is not None
        found = run_to_end(cluster(page.opened.vectors.values, 8, seed=0)).result
        assert len(set(zip(page.view._colors.tolist(), found.labels.tolist(), strict=True))) == 8
        for n, size in enumerate(found.sizes):
            assert f"cluster {n + 1} {size}" in page.colors.legend.accessibleName()
        by_group = [Counter(page.view._colors[n::GROUPS].tolist()) for n in range(GROUPS)]
        assert sum(one.most_common(1)[0][1] == EACH for one in by_group) >= GROUPS - 2

        # How true is it: two coordinates of twelve lose neighbors, and it says how many, point by point.
        page.choice.show_recipe(Recipe())
        page.tools.three.click()
        wait(lambda: page.view.camera.flat)
        page.true.click()
        wait(lambda: "true 10 nearest neighbors are kept, measured at 400 of 400 points" in page.summary())
        before = float(page.colors.said.split(" %")[0])
        choose_color(lab, "kept")
        assert page.colors.legend.accessibleName().startswith("Colors: Neighbors kept, where measured.")

        # t-SNE is 2-D only, and the control says so.
        page.choice.show_recipe(Recipe(kind="tsne"))
        assert (page.tools.three.text(), page.tools.three.isEnabled()) == ("2-D only", False)
        assert "two dimensions" in page.tools.three.toolTip()

        # t-SNE runs live, is held, and goes on; perplexity is what was set.
        page.choice.perplexity.setValue(20)
        page.go.click()
        qtbot.waitUntil(lambda: "t-SNE, step" in page.summary(), timeout=60_000)
        page.stop.click()
        job = lab.context.runner.job(Slot("embeddings", "picture"))
        assert job is not None
        assert job.paused
        assert page.stop.text() == "Go on"
        assert page.projection is None, "it is not done"
        page.stop.click()
        assert page.stop.text() == "Pause"
        wait(lambda: page.projection is not None)
        assert "perplexity 20, 750 iterations" in page.summary()
        assert not page.stop.isEnabled()
        page.true.click()
        wait(lambda: bool(page.colors.said))
        assert float(page.colors.said.split(" %")[0]) > before, (
            "t-SNE keeps more neighbors than two coordinates"
        )

        # PCA can have three directions again.
        page.choice.show_recipe(Recipe(kind="pca"))
        assert (page.tools.three.text(), page.tools.three.isEnabled()) == ("3-D", True)
        assert not page.tools.in_three, "two were chosen before"


def test_the_tokens_of_a_text_are_a_cloud_at_every_layer(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "ws", lab="embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        page, wait = lab.cloud, partial(wait_until, qtbot, window)
        page.prediction.close_question()
        lab.subject.picker.pick(f"file:{shipped_folder() / 'base'}")
        wait(lambda: len(page.rows) == 2_048)

        # Choosing it shows where to write, and reads nothing.
        page.choice.show_recipe(Recipe(kind="pca", text=TEXT, layer=4))
        assert page.source.isVisible()
        assert page.source.read is None
        assert not page.source.slider.isEnabled()
        qtbot.keyClick(page.source.line, Qt.Key.Key_Return)
        wait(lambda: page.recipe.text == TEXT)
        assert page.opened is not None
        n = len(page.rows)
        assert "".join(page.opened.vectors.names).endswith(" a loan at the bank.")
        assert page.summary().startswith(f"{n} tokens after 4 of 4 blocks, without the first token")
        assert "cosines centered on the mean of 20 other sentences that ship" in page.summary()
        assert page.summary().endswith("at layer 4")

        # A token is looked into, and stays in view while the layer changes.
        page.search.setText("bank")
        page.find()
        assert page.found.text() == "2 found, 2 of them in the picture"
        row = page.inspector.row
        assert "in the text: at the bank" in page.inspector.facts.text()
        assert "20 other sentences that ship" in page.inspector.says.text()
        page.view.stop_spinning()
        page.view.set_camera(page.view.camera.turned(0.4, 0.2))
        turn = page.view.camera.turn
        last = page.opened.vectors.values
        page.source.slider.setValue(0)
        wait(lambda: page.recipe.layer == 0)
        assert page.inspector.row == row
        assert page.source.name.text() == "layer 0"
        assert page.view.camera.turn is turn
        assert not np.allclose(page.opened.vectors.values, last)
        assert page.summary().endswith("at layer 0")
        assert recipe_from(page.save_state()["recipe"]) == page.recipe

        # A view of it is kept: back to it from elsewhere, without reading again.
        page.views.keep()
        assert page.views.names == ["1. PCA of a text, layer 0"]
        read = page.source.read
        page.source.slider.setValue(2)
        wait(lambda: page.recipe.layer == 2)
        page.views.show(0)
        wait(lambda: page.recipe.layer == 0)
        assert page.source.read is read

        # Another page still has the table, and so has this one when it is asked for.
        assert lab.subject.opened is not None
        assert len(lab.subject.opened.vectors) == 2_048
        page.choice.show_recipe(Recipe(kind="raw"))
        page.go.click()
        wait(lambda: len(page.rows) == 2_048)
        assert not page.source.isVisible()

        # What cannot be read is told.
        page.choice.show_recipe(Recipe(text="x"))
        page.source.line.setText("  ")
        page.compute()
        assert "There is no text." in lab.frame.messages.text
        page.source.line.setText("king")
        page.compute()
        wait(lambda: "The text is too short: " in lab.frame.messages.text)
        lab.open_files([groups(tmp_path / "groups.txt")])
        wait(lambda: len(page.rows) == GROUPS * EACH)
        page.choice.show_recipe(Recipe(text=TEXT))
        page.compute()
        assert "no model that reads a text" in lab.frame.messages.text


def kept_of_ten(pair: Pair, left: Opened, right: Opened) -> float:
    """How many of a word's 10 nearest in one space are so in the other one, over all words."""
    nearest = []
    for space, rows in ((left.centered, pair.rows[0]), (right.centered, pair.rows[1])):
        x = space.vectors.values[rows] - space.center
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        cosines = x @ x.T
        np.fill_diagonal(cosines, -2)
        nearest.append(np.argsort(-cosines, axis=1)[:, :10])
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(*nearest, strict=True)]))


def test_two_spaces_are_asked_about_first_and_move_together(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path, lab="embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        lab.frame.show_page("spaces")
        page = lab.spaces
        wait_until(qtbot, window, lambda: page.pair is not None)
        page.prediction.answer(0)
        assert page.pair is not None
        assert page.left is not None
        assert page.right is not None
        assert kept_of_ten(page.pair, page.left, page.right) == pytest.approx(0.163, abs=0.005)
        assert "0.16 of 10 stay" in page.prediction.text, "as it says"
        left, right = page.views
        turn_wheel(left, 3)
        assert left.camera.zoom == pytest.approx(1.2**3)
        assert right.camera is left.camera
        drag(qtbot, right, 40, -20)
        assert right.camera.shift[0] > 0
        assert right.camera.shift[1] > 0
        assert left.camera is right.camera
        assert left.tool is right.tool
        qtbot.keyClick(left, Qt.Key.Key_0)
        assert (right.camera.zoom, right.camera.shift) == (1.0, (0.0, 0.0))
        details = page.details.findChildren(type(page.says))
        sizes = next(part.text() for part in details if "GPT-3" in part.text())
        assert all(
            size in sizes for size in ("GPT-2 768", "GPT-3 12,288", "Qwen3-8B 4,096", "SmolLM2-135M 576")
        )
