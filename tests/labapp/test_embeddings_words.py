"""The Embeddings lab's pages about words: directions, senses and the guessing game, on SmolLM2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.embeddings.guess import Game
from labapp.app import shipped_folder
from labapp.labs.embeddings import EmbeddingsLab
from labapp.labs.embeddings.senses_curves import CurveLegend
from labapp.labs.embeddings.senses_reading import split_sentences
from tests.labapp.embeddings_table import table_read_once  # noqa: F401  an autouse fixture
from tests.labapp.opened import activate, opened_on_smollm2
from tests.labapp.opened import wait as wait_until

Wait = Callable[..., None]
SHORT = "river: A boat lay at the river bank\nriver: Mud on the river bank\nmoney: The loan of the bank\nmoney: Cash from the bank"


@contextmanager
def shown(qtbot: QtBot, root: Path, page: str) -> Iterator[tuple[EmbeddingsLab, Wait]]:
    """The lab with one page and its plots; no fixture, since what a fixture gives outlives the window."""
    with opened_on_smollm2(qtbot, root, "embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        lab.cloud.prediction.close_question()
        wait = partial(wait_until, qtbot, window)
        wait(lambda: lab.cloud.projection is not None)
        lab.frame.show_page(page)
        wait(lambda: page == "guess" or getattr(lab, page).plots_there)
        yield lab, wait


# Directions.


def test_a_direction_is_found_and_turning_the_space_leaves_it(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "dimensions") as (lab, wait):
        page = lab.dimensions
        assert page.prediction.asking
        assert not page.view_card.isVisible()
        page.prediction.answer(1)
        wait(lambda: page.found is not None)
        assert page.found is not None
        assert "77 of 576 numbers carry half" in page.summary()
        before = [row for _, row, _ in page.numbers()[1]]
        words = [row[0] for row in page.numbers()[1]]
        assert page.found.separation is not None
        assert page.found.separation.direction == 1.0
        best = page.found.separation.best
        page.turn.setChecked(True)
        page.rotate()
        wait(lambda: page.found is not None and page.found.rotated is not None)
        assert "Rotated" in page.turned.text()
        assert page.found.separation is not None
        assert page.found.separation.best != best or page.found.separation.coordinate < 1
        assert [row[0] for row in page.numbers()[1]][:20] == words[:20]
        assert [row for _, row, _ in page.numbers()[1]] == before


def test_two_words_make_a_direction_without_a_measure_of_it(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "dimensions") as (lab, wait):
        page = lab.dimensions
        page.prediction.close_question()
        page.show_words("hot", "cold")
        wait(lambda: page.found is not None)
        assert page.versus.rows.rowCount() == 0
        assert "three words or more" in page.says.text()
        page.show_words("hotzq", "cold")
        assert "hotzq" in lab.frame.messages.text


# Senses.


def test_senses_of_own_sentences_part_with_the_layers(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "senses") as (lab, wait):
        page = lab.senses
        assert page.prediction.asking
        assert "river: " in page.editor.toPlainText()
        page.prediction.close_question()
        page.samples.setCurrentIndex(3)
        page.editor.setPlainText(SHORT)
        page.picker.pick(f"file:{shipped_folder() / 'base'}")
        wait(lambda: page.loaded is not None)
        page.go_read()
        wait(lambda: page.read is not None)
        assert page.read is not None
        assert page.read.found.layers == 4
        assert page.read.raw.across[0] > page.read.raw.across[4], "they part on the way"
        assert "of 4 sentences are told apart" in page.heading.text()
        assert len(page.numbers()[1]) == 5
        assert (
            "in 4 sentences, 4 layers; PCA of all layers together, length 1, less the mean of 20"
            in page.summary()
        )
        assert "with shuffled labels" in page.says.text()
        page.show_view(1)
        assert "less the mean of 20 other sentences that ship" in page.summary(), "the reference is stated"
        drawn = [series.y.tolist() for series in page.curves.plots[0].series]
        assert drawn[1] == pytest.approx(page.read.raw.across.tolist())
        assert drawn[3] == pytest.approx(page.read.centered.across.tolist())
        legends = page.curves.findChildren(CurveLegend)
        assert [one.accessibleName().partition(":")[0] for one in legends] == [
            one.title for one in page.curves.plots
        ]
        page.show_view(0)
        page.slider.setValue(0)
        assert page.layer.text() == "layer 0"
        page.view.setFocus()
        page.choose(2)
        assert page.sentence.text() == "The loan of the bank"


def test_a_clue_that_comes_too_late_is_warned_of(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "senses") as (lab, wait):
        page = lab.senses
        page.prediction.close_question()
        page.editor.setPlainText(
            SHORT + "\nriver: The bank was steep and covered with reeds\nmoney: The bank was closed"
        )
        page.picker.pick(f"file:{shipped_folder() / 'base'}")
        wait(lambda: page.loaded is not None)
        page.go_read()
        wait(lambda: page.read is not None)
        page.choose(4)
        assert "cannot know yet" in page.warning.text()
        assert "cosine 1.0000" in page.warning.text()
        assert "warning" in page.summary()


def test_samples_are_there_and_too_few_sentences_are_told(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "senses") as (lab, wait):
        page = lab.senses
        page.prediction.close_question()
        for at, (word, n) in enumerate((("bank", 20), ("mole", 20), ("bank", 4))):
            page.show_sample(at)
            assert page.word.text() == word
            assert len(split_sentences(page.editor.toPlainText())[0]) >= n
        page.picker.pick(f"file:{shipped_folder() / 'base'}")
        wait(lambda: page.loaded is not None)
        for text in ("", "a bank", "river: a bank\nriver: the bank", "x: a bank\ny: a bank"):
            lab.frame.messages.clear()
            page.editor.setPlainText(text)
            page.go_read()
            assert "Two senses with two sentences each" in lab.frame.messages.text


def test_a_line_without_a_sense_has_an_empty_sentence() -> None:
    assert split_sentences("just words") == ([""], ("just words",), (0,))


# The game.


def test_guesses_are_scored_by_keys_alone(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "guess") as (lab, _wait):
        page = lab.guess
        activate(qtbot, lab.window())
        assert page.prediction.asking
        assert not page.playing.isVisible()
        assert page.summary() == ""
        assert page.game is not None
        winter, summer = (page.game.space.vectors.row(word) for word in ("winter", "summer"))
        told = Game(page.game.space, summer, page.game.space.vectors.words).score(winter)
        qtbot.keyClick(lab.window(), Qt.Key.Key_3)
        assert page.prediction.text.startswith("Yes, “winter”: cosine +0.81, place 1 of 31,664.")
        assert (round(told.similarity, 2), told.rank) == (0.81, 1), "as it says"
        assert page.line.hasFocus(), "the game can begin"
        page.start(seed=4)
        assert page.line.hasFocus()
        for word in ("city", "water"):
            page.line.setText(word)
            qtbot.keyClick(page.line, Qt.Key.Key_Return)
        assert len(page.guesses) == 2
        assert page.table.rows.row(0)[1] == "city"
        assert "place" in page.summary()
        assert page.nearest.rows.rowCount() == 0, "not before it is over"
        page.line.setText("bicycle")
        qtbot.keyClick(page.line, Qt.Key.Key_Return)
        assert page.over
        assert page.summary() == "Found: “bicycle”, with 3 guesses."
        assert page.nearest.rows.rowCount() == 1000
        assert page.nearest.rows.row(0)[1] == "bike"


def test_hints_come_nearer_and_giving_up_shows_the_word(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "guess") as (lab, _wait):
        page = lab.guess
        page.start(seed=4)
        page.give_hint()
        page.give_hint()
        places = [place for _, _, place in page.guesses]
        assert places == [500, 250]
        page.give_up()
        assert "It was “bicycle”" in page.summary()
        assert not page.line.isEnabled()


def test_the_word_of_the_day_follows_from_the_date_alone(qtbot: QtBot, tmp_path: Path) -> None:
    with shown(qtbot, tmp_path, "guess") as (lab, _wait):
        page = lab.guess
        page.today = lambda: date(2026, 11, 25)  # type: ignore[method-assign,assignment]
        page.start_daily()
        assert page.game is not None
        first = page.game.secret
        page.start(seed=1)
        page.start_daily()
        assert page.game.secret == first
        assert "2026-11-25" in page.about.text()


def test_a_game_goes_on_after_a_restart(qtbot: QtBot, tmp_path: Path) -> None:
    with opened_on_smollm2(qtbot, tmp_path, "embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        lab.frame.show_page("guess")
        wait_until(qtbot, window, lambda: lab.guess.game is not None)
        lab.guess.start(seed=4)
        lab.guess.line.setText("city")
        lab.guess.line.take()
    with opened_on_smollm2(qtbot, tmp_path, "embeddings") as window:
        lab = window.lab
        assert isinstance(lab, EmbeddingsLab)
        wait_until(qtbot, window, lambda: lab.guess.game is not None)
        assert [place for _, _, place in lab.guess.guesses] == [238]
