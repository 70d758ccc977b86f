"""Guess the word."""

from __future__ import annotations

import datetime

import pytest

from core.embeddings.guess import Game, daily_word
from core.embeddings.neighbors import Space
from core.problems import LabError
from tests.core.embeddings.small_spaces import cloud, kingdom, named


def test_a_guess_has_the_rank_that_its_neighbors_list_says() -> None:
    space = Space(named(cloud()))
    game = Game(space, 4)
    listed = space.neighbors(4, k=299)
    assert [game.score(one.row).rank for one in listed[:20]] == list(range(1, 21))
    assert [one.row for one in game.nearest(20)] == [one.row for one in listed[:20]]
    assert game.best == pytest.approx(listed[0].value, abs=1e-6)
    assert game.score(listed[0].row).of == 299
    assert game.hint(5).row == listed[4].row
    assert game.hint(10_000).row == listed[-1].row


def test_the_secret_word_itself_is_right() -> None:
    vectors = kingdom()
    made = Game(Space(vectors), vectors.row("queen")).score("queen")
    assert (made.right, made.rank, made.similarity, made.name) == (True, 0, 1, "queen")


def test_parts_of_words_and_unknown_words_have_no_place() -> None:
    vectors = kingdom()
    game = Game(Space(vectors), vectors.row("queen"))
    with pytest.raises(LabError, match="'ing' has no place"):
        game.score("ing")
    with pytest.raises(LabError, match="is not there"):
        game.score("emperor")


def test_a_day_has_one_word_and_days_differ() -> None:
    words = [f"word {n}" for n in range(1000)]
    day = datetime.date(2026, 1, 1)
    chosen = [daily_word(day + datetime.timedelta(n), words) for n in range(100)]
    assert chosen[0] == daily_word(day, words)
    assert len(set(chosen)) > 80
    with pytest.raises(LabError, match="no word to choose from"):
        daily_word(day, [])
