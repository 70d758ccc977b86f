"""Vectors with names: tables of tokens, names that are found, names that are near."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.vectors import read_token_vectors, select, token_vectors
from core.model.loading import load_model
from core.model.source import open_model
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.reading import read_tokenizer
from labapp.app import shipped_folder
from tests.core.embeddings.small_spaces import kingdom, named


def test_words_are_tokens_that_begin_a_word_and_hold_letters_only() -> None:
    made = named(np.zeros((5, 2)), " king", "king", " 7", " ", " café", tokens=True)
    assert [made.names[row] for row in made.words] == [" king", " café"]


def test_every_row_is_a_word_where_there_are_no_tokens() -> None:
    assert named(np.zeros((3, 2))).words.tolist() == [0, 1, 2]


def test_a_name_is_found_with_or_without_its_space_and_the_whole_word_comes_first() -> None:
    made = named(np.zeros((3, 2)), "king", " king", "ing", tokens=True)
    assert made.row("king") == 1
    assert made.row(" king") == 1
    assert made.row("ing") == 2


def test_a_name_that_is_not_there_is_answered_with_names_like_it() -> None:
    with pytest.raises(LabError) as caught:
        kingdom().row("King")
    assert caught.value.problem == '"King" is not there as one token.'
    assert caught.value.remedy == 'Names like it: "king".'
    with pytest.raises(LabError, match='"queen"'):
        kingdom().row("quene")


def test_a_name_that_occurs_twice_is_found_at_its_first_place() -> None:
    assert named(np.zeros((3, 2)), "a", "b", "b").row("b") == 1


def test_text_is_found_whatever_its_case_and_patterns_as_they_are_written() -> None:
    made = kingdom()
    assert [made.names[row] for row in made.find("KING")] == [" king"]
    assert [made.names[row] for row in made.find("^ .*man$", regex=True)] == [" man", " woman"]
    assert made.find("") == []


@pytest.mark.parametrize(
    ("pattern", "said"), [("(", "is no regular expression"), ("a" * 1001, "1,001 characters")]
)
def test_a_pattern_that_is_none_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(LabError, match=said):
        kingdom().find(pattern, regex=True)


def test_a_pattern_that_would_never_end_is_stopped() -> None:
    made = named(np.zeros((1, 2)), "a" * 200 + "!")
    with pytest.raises(LabError, match="takes longer than 2 s"):
        made.find("(a|aa)+$", regex=True)


def test_names_are_completed_in_the_order_of_the_table() -> None:
    made = named(np.zeros((4, 2)), " the", " then", " they", "th", tokens=True)
    assert made.complete("The", 2) == [" the", " then"]


def test_a_selection_keeps_names_columns_and_ids() -> None:
    chosen = select(kingdom(), [3, 0])
    assert chosen.names == (" woman", " king")
    assert chosen.ids == (3, 0)
    assert chosen.values.tolist() == [[0, 1.5], [1, 0]]
    assert "2 of 6" in chosen.source


def test_a_table_read_alone_is_the_table_of_the_loaded_model() -> None:
    """The base model of the small world, by both ways."""
    folder = shipped_folder() / "base"
    alone = run_to_end(read_token_vectors(folder, "base")).result
    model = run_to_end(load_model(open_model(folder))).result
    loaded = token_vectors(model, read_tokenizer(folder), "base")
    assert np.array_equal(alone.values, loaded.values)
    assert alone.names == loaded.names
    assert alone.ids == loaded.ids
    assert alone.values.flags.c_contiguous
    assert loaded.values.flags.c_contiguous
    assert " king" in alone.names
    kinds = dict(zip(alone.names, alone.columns["kind"], strict=True))
    assert kinds[" king"] == "word start"
    assert "special" in kinds.values()
