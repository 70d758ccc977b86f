"""Merges are what a naive learner finds, event by event, and learning always ends with a reason."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.settings import describe
from core.stages import Finished, Progress, run_to_end
from core.tokenizer import learn
from core.tokenizer.learn import LearnSettings, Merged, learn_merges
from core.tokenizer.patterns import ALPHABET

ID = {byte: number for number, byte in enumerate(ALPHABET)}
WORDS = st.dictionaries(
    st.binary(min_size=1, max_size=12)
    | st.text("ab", min_size=1, max_size=30).map(str.encode)
    | st.integers(1, 40).map(lambda n: b"a" * n),
    st.integers(1, 5),
    max_size=8,
)


def naive(words, merges, min_frequency):
    """The rules of reference/tokenizer.md, word for word: count all pairs, merge the best, again.

    Yields (left, right, new, count, places, tokens, table of all pairs) per merge.
    """
    split = {word: [ID[byte] for byte in word] for word in words}
    for step in range(merges):
        pairs = Counter()
        for word, ids in split.items():
            for pair in pairwise(ids):
                pairs[pair] += words[word]
        table = sorted(((left, right, count) for (left, right), count in pairs.items()), key=_best_first)
        if not table or table[0][2] < min_frequency:
            return
        left, right, count = table[0]
        new, places = 256 + step, 0
        for word, ids in split.items():
            at = 0
            while at < len(ids) - 1:
                if ids[at] == left and ids[at + 1] == right:
                    ids[at : at + 2] = [new]
                    places += words[word]
                at += 1
        yield left, right, new, count, places, sum(len(ids) * words[w] for w, ids in split.items()), table


def _best_first(row):
    return -row[2], row[0], row[1]


def merges_of(stage):
    return [event for event in stage if isinstance(event, Merged)]


def spelled(learned):
    return [(learned.tokens[left].decode(), learned.tokens[right].decode()) for left, right in learned.merges]


def test_the_worked_example():
    """ "aaabdaaabac" is the example of the article on byte pair encoding. The whole text is one word.

    a=64, b=65, c=66, d=67 (the alphabet begins at "!", code 33). Pairs at the start, overlaps included:
    aa 4 (twice in each "aaa"), ab 2, and bd, da, ba, ac once each.
    1. aa, 4 times, changes 2 places: left to right, so each "aaa" is aa·a. Now  aa a b d aa a b a c  (9 tokens).
       Pairs: (aa, a) 2, (a, b) 2, and (b, d), (d, aa), (b, a), (a, c) once.
    2. (a, b) and (aa, a) both occur twice: the tie goes to the smaller left id, a=64 before aa=256.
       aa ab d aa ab a c  (7 tokens).
    3. (aa, ab) 2: aaab d aaab a c  (5 tokens). Now no pair occurs twice.
    """
    events = list(learn_merges({b"aaabdaaabac": 1}, 300))
    assert [(e.left, e.right, e.id, e.count, e.places, e.corpus_tokens) for e in merges_of(events)] == [
        (64, 64, 256, 4, 2, 9),
        (64, 65, 257, 2, 2, 7),
        (256, 257, 258, 2, 2, 5),
    ]
    assert [event.step for event in merges_of(events)] == [1, 2, 3]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "No pair occurs twice."
    assert spelled(finished.result) == [("a", "a"), ("a", "b"), ("aa", "ab")]
    assert finished.result.tokens[258] == b"aaab"
    assert finished.result.merged_ids == (256, 257, 258)
    assert finished.result.corpus_tokens == 5


@given(WORDS, st.integers(0, 30), st.integers(1, 4))
def test_every_event_is_what_a_naive_learner_finds(words, merges, min_frequency):
    ours = merges_of(learn_merges(words, 256 + merges, min_frequency))
    expected = list(naive(words, merges, min_frequency))
    assert [(e.left, e.right, e.id, e.count, e.places, e.corpus_tokens) for e in ours] == [
        row[:6] for row in expected
    ]
    assert [e.vocab_size for e in ours] == list(range(257, 257 + len(ours)))


@given(WORDS, st.integers(0, 20), st.integers(1, 12))
def test_the_leading_pairs_are_exactly_the_top_ones_ties_included(words, merges, leading):
    ours = merges_of(learn_merges(words, 256 + merges, leading=leading))
    expected = list(naive(words, merges, 2))
    assert [e.leading.tolist() for e in ours] == [list(map(list, row[6][:leading])) for row in expected]
    assert all(tuple(e.leading[0]) == (e.left, e.right, e.count) for e in ours)


def test_the_last_event_holds_the_leading_pairs_at_the_end():
    result = run_to_end(learn_merges({b"abcd": 1}, 300, leading=2)).result
    assert result.leading.tolist() == [[64, 65, 1], [65, 66, 1]]


def test_asking_for_leading_pairs_changes_no_merge():
    words = {b"the cat": 3, b"that hat": 2, b"aaaa": 5}
    plain, shown = learn_merges(words, 280), learn_merges(words, 280, leading=7)
    assert run_to_end(plain).result.merges == run_to_end(shown).result.merges
    assert all(event.leading.shape == (0, 3) for event in merges_of(learn_merges(words, 280)))


@given(WORDS, st.integers(0, 20))
def test_large_texts_are_learned_as_small_ones(words, merges):
    """Compact arrays and steps of a few places give the same events as lists in one step."""
    expected = merges_of(learn_merges(words, 256 + merges))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn, "_LARGE", 0)
        patch.setattr(learn, "_CHUNK", 2)
        ours = merges_of(learn_merges(words, 256 + merges))
    assert list(map(_values, ours)) == list(map(_values, expected))


def _values(event):
    return event.left, event.right, event.id, event.count, event.places, event.corpus_tokens


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        (b"", {}, "There is no text to learn from."),
        (b"a", {}, "No pair is left: every word is one token."),
        (b"ab", {}, "No pair occurs twice."),
        (b"aaa", {}, "No pair occurs twice."),
        (b"aa", {"min_frequency": 1}, "No pair is left: every word is one token."),
        (b"ababab", {"min_frequency": 9}, "No pair occurs 9 times."),
        (b"ababab", {"vocab_size": 257}, "The vocabulary has its 257 tokens."),
        (b"ababab", {"vocab_size": 256}, "The vocabulary has its 256 tokens."),
    ],
)
def test_learning_ends_calmly_with_a_reason(text, settings, reason):
    words = {text: 1} if text else {}
    assert run_to_end(learn_merges(words, **{"vocab_size": 300, **settings})).reason == reason


def test_three_of_one_letter_are_merged_from_the_left():
    """(a, a) occurs twice in "aaa" and changes one place."""
    (merge,) = merges_of(learn_merges({b"aaa": 1}, 300))
    assert (merge.count, merge.places, merge.corpus_tokens) == (2, 1, 2)


def test_among_equals_the_smallest_left_id_wins_then_the_smallest_right_id():
    words = {b"ca": 2, b"bd": 2, b"ba": 2, b"\x00\x01": 2}
    merged = [(e.left, e.right) for e in merges_of(learn_merges(words, 300))]
    assert merged == [
        (ID[ord("b")], ID[ord("a")]),
        (ID[ord("b")], ID[ord("d")]),
        (ID[ord("c")], ID[ord("a")]),
        (ID[0], ID[1]),  # control bytes come last in the alphabet: their characters are U+0100 and on
    ]


def test_special_tokens_take_the_first_ids_and_are_never_merged():
    result = run_to_end(learn_merges({b"<s>": 9}, 400, special_tokens=["<|end|>", "<pad>"])).result
    assert result.special_tokens == {"<|end|>": 0, "<pad>": 1}
    assert result.tokens[:3] == (b"<|end|>", b"<pad>", b"!")
    assert len(result.tokens) == 2 + 256 + 2
    assert all(left > 1 and right > 1 for left, right in result.merges)


def test_a_merge_that_spells_a_special_token_takes_its_id():
    events = list(learn_merges({b"<s>": 9}, 400, special_tokens=["<s>"]))
    last = merges_of(events)[-1]
    assert (last.id, last.vocab_size) == (0, 258)
    assert events[-1].result.tokens[0] == b"<s>"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"vocab_size": 255}, "255"),
        ({"vocab_size": 257, "special_tokens": ["<s>", "<t>"]}, "258"),
        ({"vocab_size": 1_000_001}, "1,000,001"),
        ({"vocab_size": 300, "min_frequency": 0}, "0"),
        ({"vocab_size": 300, "leading": -1}, "-1"),
        ({"vocab_size": 300, "special_tokens": [""]}, "''"),
        ({"vocab_size": 300, "special_tokens": ["<s>", "<s>"]}, "'<s>'"),
    ],
)
def test_what_cannot_be_learned_is_refused_at_the_call(arguments, named):
    with pytest.raises(LabError, match=named):
        learn_merges({b"ab": 2}, **arguments)


def test_the_settings_describe_themselves():
    assert [info.name for info in describe(LearnSettings)] == ["vocab_size", "min_frequency", "pattern"]
    assert all(info.help.endswith(".") for info in describe(LearnSettings))


def test_two_interleaved_learners_do_not_disturb_each_other():
    words, others = {b"abcabc": 2, b"bca": 1}, {b"aaaa": 3, b"cab": 2}
    first, second = learn_merges(words, 270), learn_merges(others, 270)
    events = {0: [], 1: []}
    running = {0: first, 1: second}
    while running:
        for number, stage in list(running.items()):
            event = next(stage, None)
            if event is None:
                del running[number]
            elif isinstance(event, Merged):
                events[number].append(_values(event))
    assert events[0] == [_values(e) for e in merges_of(learn_merges(words, 270))]
    assert events[1] == [_values(e) for e in merges_of(learn_merges(others, 270))]


def test_a_closed_learner_yields_nothing_more():
    stage = learn_merges({b"abab": 2}, 300)
    next(stage)
    stage.close()
    assert list(stage) == []


def test_a_long_word_is_merged_in_bounded_steps_and_only_where_the_pair_stands(count):
    """One word of 200,000 bytes (10 MB when long): its merges take steps, and rare pairs do not walk it."""
    length = count(200_000, 10_000_000)
    word = (
        np.random.default_rng(3).choice(list(b"aaaaaabbbcd e"), length).astype(np.uint8).tobytes() + b"qxqx"
    )
    events = list(learn_merges({word: 1}, 256 + 3))
    assert len(merges_of(events)) == 3
    assert sum(isinstance(event, Progress) and event.doing == "Merging" for event in events) >= 2
    expected = [] if length > 200_000 else [row[:6] for row in naive({word: 1}, 3, 2)]
    if expected:
        assert list(map(_values, merges_of(events))) == expected
