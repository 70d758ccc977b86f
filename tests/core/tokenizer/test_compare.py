"""Counts, differing words, units, prices, languages and chunks."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.tokenizer.compare import (
    chunks,
    language_costs,
    text_counts,
    why_tokens,
    words_of,
    words_that_differ,
)
from core.tokenizer.patterns import ALPHABET, PATTERNS
from core.tokenizer.prices import load_prices, price, read_prices
from core.tokenizer.tokenizer import Tokenizer

BYTES = tuple(bytes([byte]) for byte in ALPHABET)


def make(name: str, pattern: str, *merges: tuple[str | bytes, str | bytes]) -> Tokenizer:
    tokens, ids, made = list(BYTES), {token: id_ for id_, token in enumerate(BYTES)}, []
    for pair in merges:
        left, right = (part.encode() if isinstance(part, str) else part for part in pair)
        ids[left + right] = len(tokens)
        tokens.append(left + right)
        made.append((ids[left], ids[right], ids[left + right]))
    return Tokenizer(name, PATTERNS[pattern], tuple(tokens), tuple(made))


PLAIN = make("plain", "gpt2")
PAIRS = make("pairs", "gpt2", ("t", "h"), ("th", "e"), (" ", "the"), ("c", "a"))
WHOLE = make("whole", "none", ("t", "h"), ("e", " "))


# Counts


def test_a_text_is_counted_for_each_tokenizer() -> None:
    """ "the thé" is 7 characters, 8 bytes, 2 words; pairs: the| |th|é as two bytes."""
    plain, pairs = text_counts("the thé", [PLAIN, PAIRS])
    assert (plain.tokens, pairs.tokens) == (8, 5)
    assert (pairs.characters, pairs.bytes, pairs.words) == (7, 8, 2)
    assert (pairs.characters_per_token, pairs.bytes_per_token, pairs.words_per_token) == (1.4, 1.6, 0.4)
    (empty,) = text_counts("", [PLAIN])
    assert (empty.tokens, empty.characters_per_token, empty.words_per_token) == (0, 0.0, 0.0)


# Words that differ


def test_only_words_that_are_cut_differently_are_listed_each_once() -> None:
    found = words_that_differ("my the the ox cat", [PLAIN, PAIRS])
    assert [(word.text, word.start, word.count) for word in found.words] == [(" the", 2, 2), (" cat", 13, 1)]
    assert found.words[1].pieces == ((b" ", b"c", b"a", b"t"), (b" ", b"ca", b"t"))
    assert (found.distinct, found.places, found.total) == (2, 3, 5)
    assert words_that_differ("my the the ox cat", [PLAIN, PAIRS], at_most=1).distinct == 2


def test_a_tokenizer_that_does_not_split_keeps_its_tokens_whole_in_the_comparison() -> None:
    """WHOLE has the token "e ", so no word may end between "the" and the space behind it."""
    found = words_that_differ("the the", [PLAIN, WHOLE])
    assert [word.text for word in found.words] == ["the the"]
    assert found.words[0].pieces[1] == (b"th", b"e ", b"th", b"e")


@given(st.text(alphabet=st.sampled_from("the ca é€😀\n的0"), max_size=60))
def test_the_pieces_of_all_words_are_all_tokens(text: str) -> None:
    """Against a tokenizer whose tokens all differ, the words listed cover what the others cut."""
    accents = make("accents", "cl100k", (b"\xc3", b"\xa9"), (b"\x98", b"\x80"), ("t", "h"))
    for group in ([PAIRS, accents], [PAIRS, WHOLE], [WHOLE], [PLAIN, accents, WHOLE]):
        found = words_that_differ(text, group, at_most=10**6)
        assert found.places == sum(word.count for word in found.words)
        assert found.places <= found.total <= max(1, len(text))
        for word in found.words:
            assert text[word.start :].startswith(word.text)
            assert all(b"".join(pieces) == word.text.encode() for pieces in word.pieces)
            assert len(set(word.pieces)) > 1


def test_the_same_tokenizer_twice_never_differs() -> None:
    assert words_that_differ("the cat sat on 123 mats. €é", [PAIRS, PAIRS]).words == ()
    assert words_that_differ("", [PLAIN, PAIRS]).total == 0


# Why not words


def test_the_same_text_as_words_tokens_characters_and_bytes() -> None:
    """First half "the cat", second " the dog": unseen word dog; unseen characters d, o, g."""
    words, tokens, characters, size = why_tokens("the cat the dog", PAIRS)
    assert (words.name, words.length, words.vocabulary) == ("words", 4, 3)
    assert (words.unseen, words.held_out, words.examples, words.unseen_share) == (1, 2, ("dog",), 0.5)
    assert (characters.length, characters.vocabulary, characters.unseen) == (15, 9, 3)
    assert (tokens.length, tokens.vocabulary, tokens.unseen) == (len(PAIRS.encode("the cat the dog")), 260, 0)
    assert (size.length, size.vocabulary, size.unseen) == (15, 256, 0)


def test_unseen_words_can_be_counted_on_another_text() -> None:
    words, *_ = why_tokens("a b a", PLAIN, unseen_text="a c c d")
    assert (words.unseen, words.unseen_distinct, words.held_out) == (3, 2, 4)
    assert all(unit.length == 0 and unit.unseen_share == 0.0 for unit in why_tokens("", PLAIN))


def test_words_are_runs_of_letters_and_marks_in_any_script() -> None:
    assert words_of("हिन्दी, l’été 3.5") == ["हिन्दी", ",", "l’été", "3", ".", "5"]


# Prices


TABLE = """date = 2026-01-31
currency = "USD"
[[price]]
name = "Model A"
tokenizer = "o200k"
input_per_million = 2.5
output_per_million = 10
source = "its maker"
"""


def test_a_price_table_is_read() -> None:
    table = read_prices(TABLE, "prices.toml")
    (entry,) = table.prices
    assert table.date == entry.as_of == datetime.date(2026, 1, 31)
    assert (entry.name, entry.input_per_million, entry.output_per_million, entry.currency) == (
        "Model A",
        2.5,
        10.0,
        "USD",
    )
    assert price(2_000_000, entry.input_per_million) == 5.0


def test_the_shipped_price_table_is_right() -> None:
    table = load_prices()
    assert table.prices
    assert len({entry.name for entry in table.prices}) == len(table.prices)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("date = 2026-01-31", "date = ", "line 1"),
        ("date = 2026-01-31", 'date = "soon"', "date = 'soon'"),
        ("[[price]]", "[[prices]]", "holds no price"),
        ('"o200k"', '"o300k"', r"Entry 1 of prices.toml \(Model A\) has tokenizer = 'o300k'"),
        ('name = "Model A"', "", "Entry 1 of prices.toml has name = None"),
        ("2.5", "-1", "input_per_million = -1"),
        ("2.5", "nan", "input_per_million = nan"),
        ("2.5", '"2"', "input_per_million = '2'"),
        ("2.5", "true", "input_per_million = True"),
        ('source = "its maker"', 'source = "x"\nas_of = "later"', "date = 'later'"),
        ("[[price]]", "price = 3\n#", "holds no price"),
        ("[[price]]", "price = [3]\n[x]", "Entry 1 of prices.toml has name = None"),
        (TABLE, "[" * 100_000, "no|not a TOML"),
    ],
)
def test_a_fault_in_a_price_table_is_named(old: str, new: str, fault: str) -> None:
    assert old in TABLE
    with pytest.raises(LabError, match=fault):
        read_prices(TABLE.replace(old, new), "prices.toml")


# Languages


def test_languages_are_set_beside_the_base() -> None:
    english, french = language_costs({"English": "the the", "French": "été"}, PAIRS)
    assert (english.tokens, english.ratio, english.sentence) == (2, 1.0, "1.0 times English")
    assert (french.tokens, french.ratio, french.bytes_per_token) == (5, 2.5, 1.0)
    assert french.sentence == "2.5 times English"
    for texts in ({}, {"French": "été"}, {"English": ""}):
        with pytest.raises(LabError, match="no text in English"):
            language_costs(texts, PAIRS)


# Chunks


@given(
    st.text(alphabet=st.sampled_from("the ca é€😀\n  的0'"), max_size=200),
    st.integers(4, 12),
    st.sampled_from([PLAIN, PAIRS, WHOLE]),
)
def test_chunks_join_to_the_text_and_none_is_too_long(text: str, n: int, tokenizer: Tokenizer) -> None:
    found = list(chunks(text, tokenizer, n))
    assert "".join(found) == text
    assert all(found)
    assert all(len(tokenizer.encode(chunk)) <= n for chunk in found)


def test_chunks_end_between_words_where_they_can_and_are_filled() -> None:
    assert list(chunks("the the the cat", PAIRS, 2)) == ["the the", " the", " ca", "t"]
    assert list(chunks("the the the the", PAIRS, 3)) == ["the the the", " the"]


def test_a_character_of_more_tokens_than_a_chunk_is_named() -> None:
    with pytest.raises(LabError, match="takes 4 tokens, and chunks of 3"):
        list(chunks("ab😀", PLAIN, 3))
    with pytest.raises(LabError, match="Chunks of 0 tokens"):
        chunks("a", PLAIN, 0)
    assert list(chunks("", PLAIN, 1)) == []


def test_a_single_long_word_is_cut_in_linear_time(count: Callable[[int, int], int]) -> None:
    rng = random.Random(3)
    text = "".join(rng.choices("thecab", k=count(10_000, 300_000)))
    found = list(chunks(text, WHOLE, 50))
    assert "".join(found) == text
    assert len(found) < len(text) / 40
