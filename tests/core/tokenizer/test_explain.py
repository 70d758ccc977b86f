"""A word merged step by step, where a token comes from, and who uses it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.stages import Finished
from core.tokenizer.explain import LONGEST_WORD, explain_word, merge_tree, token_use
from core.tokenizer.patterns import ALPHABET, PATTERNS
from core.tokenizer.tokenizer import Tokenizer

BYTES = tuple(bytes([byte]) for byte in ALPHABET)
ID = {token: id_ for id_, token in enumerate(BYTES)}


def make(*merges: tuple[bytes, bytes]) -> Tokenizer:
    tokens, ids, made = list(BYTES), dict(ID), []
    for left, right in merges:
        if ids.setdefault(left + right, len(tokens)) == len(tokens):
            tokens.append(left + right)
        made.append((ids[left], ids[right], ids[left + right]))
    return Tokenizer("small", PATTERNS["gpt2"], tuple(tokens), tuple(made))


STRAWBERRY = make((b"r", b"r"), (b"s", b"t"), (b"b", b"e"), (b"r", b"a"), (b"be", b"rr"), (b"berr", b"y"))


def test_a_word_is_merged_lowest_rank_first() -> None:
    """Merges in order: rr, st, be, ra, berr, berry; each happens once in "strawberry", in that order."""
    *steps, end = explain_word(STRAWBERRY, "strawberry")
    assert [STRAWBERRY.token_bytes(step.id) for step in steps] == [
        b"rr",
        b"st",
        b"be",
        b"ra",
        b"berr",
        b"berry",
    ]
    assert [step.rank for step in steps] == [0, 1, 2, 3, 4, 5]
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert isinstance(end, Finished)
    assert STRAWBERRY.decode(end.result) == b"strawberry"
    assert [STRAWBERRY.token_bytes(id_) for id_ in end.result] == [b"st", b"ra", b"w", b"berry"]
    assert end.reason == "No two neighbors are in the list of merges."


def test_of_equal_pairs_the_leftmost_is_merged_first() -> None:
    *steps, end = explain_word(make((b"a", b"a")), "aaaaa")
    assert [step.position for step in steps] == [0, 1]
    assert len(end.result) == 3


@given(st.integers(0, 10**9))
def test_every_event_holds_what_going_back_needs_and_the_end_is_what_encode_gives(seed: int) -> None:
    rng = random.Random(seed)
    tokens, merges = [b"a", b"b", b"c"], {}
    for _ in range(rng.randint(0, 20)):
        pair = rng.choice(tokens), rng.choice(tokens)
        merges[pair] = None
        tokens.append(b"".join(pair))
    tokenizer = make(*merges)
    word = bytes(rng.choices(b"abcd", k=rng.randint(0, 30)))
    *steps, end = explain_word(tokenizer, word)
    pieces = tokenizer.start(word)
    for step in steps:
        assert step.pieces == pieces
        assert (step.left, step.right) == pieces[step.position : step.position + 2]
        pieces = step.after
        assert tokenizer.decode(pieces) == word
    assert end.result == pieces == tokenizer.encode_bytes(word)


def test_words_without_anything_to_merge_end_calmly() -> None:
    assert list(explain_word(STRAWBERRY, "")) == [Finished("There is nothing to merge.", ())]
    assert list(explain_word(STRAWBERRY, "q")) == [Finished("There is nothing to merge.", (ID[b"q"],))]
    assert list(explain_word(STRAWBERRY, "st"))[-1].reason == "The word has become one token."  # type: ignore[union-attr]


def test_a_whole_word_is_looked_up_where_merges_are_ignored() -> None:
    tokenizer = replace(STRAWBERRY, ignore_merges=True)
    (end,) = explain_word(tokenizer, "berry")
    assert isinstance(end, Finished)
    assert tuple(end.result) == tokenizer.encode_bytes(b"berry")
    assert "looks that up" in end.reason


def test_what_cannot_be_explained_is_refused_at_the_call() -> None:
    with pytest.raises(LabError, match=f"{LONGEST_WORD + 1:,} bytes"):
        explain_word(STRAWBERRY, "a" * (LONGEST_WORD + 1))
    with pytest.raises(LabError, match="lone surrogate"):
        explain_word(STRAWBERRY, "\ud800")
    partly = replace(STRAWBERRY, tokens=(None, *STRAWBERRY.tokens[1:]))
    with pytest.raises(LabError, match="no token for the byte 21"):
        explain_word(partly, "!")


def test_a_merge_tree_goes_down_to_bytes() -> None:
    root = merge_tree(STRAWBERRY, STRAWBERRY.id_of(b"berry") or 0)
    assert (root.bytes, root.rank) == (b"berry", 5)
    assert root.left is not None
    assert root.right is not None
    assert (root.left.bytes, root.right.bytes) == (b"berr", b"y")
    assert root.right.left is root.right.right is None
    leaves, waiting = b"", [root]
    while waiting:
        node = waiting.pop(0)
        if node.left is None or node.right is None:
            leaves += node.bytes
        else:
            waiting = [node.left, node.right, *waiting]
    assert leaves == b"berry"


def test_a_very_long_token_has_a_tree_and_a_special_one_is_a_leaf() -> None:
    chain = make(*((b"a" * n, b"a") for n in range(1, 3000)))
    node, depth = merge_tree(chain, chain.id_of(b"a" * 3000) or 0), 0
    while node.left is not None:
        node, depth = node.left, depth + 1
    assert depth == 2999
    special = replace(STRAWBERRY, special_tokens={"<s>": 1000})
    assert merge_tree(special, 1000).bytes == b"<s>"
    with pytest.raises(LabError, match="has the id 999"):
        merge_tree(special, 999)


def test_the_use_of_a_token_is_counted_in_the_words_that_hold_its_bytes() -> None:
    """Words: "berry" 3 times, "rr" twice, "rrrr" once. rr stands in rr (2), in rrrr twice (2), not in berry."""
    words = {b"berry": 3, b"rr": 2, b"xyz": 9, b"rrrr": 1}
    rr = STRAWBERRY.id_of(b"rr") or 0
    use = token_use(words, STRAWBERRY, rr)
    assert (use.count, use.distinct, use.words) == (4, 2, ((b"rr", 2), (b"rrrr", 1)))
    assert token_use(words, STRAWBERRY, rr, at_most=1).words == ((b"rr", 2),)
    assert token_use(words, STRAWBERRY, rr, at_most=1).count == 4
    early = token_use(words, STRAWBERRY, rr, step=1)  # only rr is merged by then: be|rr|y holds it
    assert (early.count, early.words[0]) == (7, (b"berry", 3))
    assert token_use(words, STRAWBERRY, rr, step=1, segmenter=STRAWBERRY.segmenter()) == early
    assert token_use({}, STRAWBERRY, rr).count == 0
