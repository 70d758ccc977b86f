"""Text to ids and back, on vocabularies small enough to check by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.tokenizer import merging
from core.tokenizer.merging import (
    PairMerger,
    Segmenter,
    SpellingMerger,
    byte_ids,
    make_merger,
    spelling_decides,
)
from core.tokenizer.patterns import ALPHABET, PATTERNS
from core.tokenizer.tokenizer import Part, Tokenizer, readable

BYTES = tuple(bytes([byte]) for byte in ALPHABET)
ID = {token: id_ for id_, token in enumerate(BYTES)}


def make(merges: list[tuple[str | bytes, str | bytes]], pattern: str = "gpt2", **fields: object) -> Tokenizer:
    """A tokenizer of all bytes and these merges, ids in the order of the merges."""
    tokens, made = list(BYTES), []
    ids = dict(ID)
    for pair in merges:
        left, right = (part.encode() if isinstance(part, str) else part for part in pair)
        if left + right not in ids:
            ids[left + right] = len(tokens)
            tokens.append(left + right)
        made.append((ids[left], ids[right], ids[left + right]))
    return Tokenizer("small", PATTERNS[pattern], tuple(tokens), tuple(made), **fields)  # type: ignore[arg-type]


def pieces(tokenizer: Tokenizer, text: str) -> list[bytes]:
    return [tokenizer.token_bytes(id_) for id_ in tokenizer.encode(text)]


def random_merges(rng: random.Random, alphabet: bytes, many: int) -> list[tuple[bytes, bytes]]:
    """Merges of any two tokens made so far, whether or not BPE would ever learn them."""
    tokens = [bytes([byte]) for byte in alphabet]
    merges: dict[tuple[bytes, bytes], None] = {}
    for _ in range(many):
        left, right = rng.choice(tokens), rng.choice(tokens)
        merges[left, right] = None
        if left + right not in tokens:
            tokens.append(left + right)
    return list(merges)


def merged_by_hand(tokenizer: Tokenizer, word: bytes) -> list[int]:
    """The definition: while any two neighbors are in the list, merge the lowest, the leftmost of equals."""
    ranks = {(left, right): (rank, new) for rank, (left, right, new) in enumerate(tokenizer.merges)}
    ids = [ID[bytes([byte])] for byte in word]
    while True:
        options = [(ranks[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not options:
            return ids
        (_, new), i = min(options, key=lambda option: (option[0][0], option[1]))
        ids[i : i + 2] = [new]


# Encoding


def test_the_lowest_merge_goes_first_and_the_leftmost_of_equals() -> None:
    """Merges: aa, then aaa = aa + a, then ab. "aaab": aa first (leftmost), aa|a|b, then aaa|b; ab never comes."""
    tokenizer = make([("a", "a"), ("aa", "a"), ("a", "b")])
    assert pieces(tokenizer, "aaab") == [b"aaa", b"b"]
    assert pieces(tokenizer, "ab") == [b"ab"]
    assert tokenizer.encode("") == []


def test_ids_are_looked_up_where_they_are_not_in_the_order_of_the_merges() -> None:
    tokens = (b"ab", None, *BYTES, b"abc")
    ids = {token: id_ for id_, token in enumerate(tokens) if token is not None}
    merges = ((ids[b"a"], ids[b"b"], 0), (0, ids[b"c"], ids[b"abc"]))
    tokenizer = Tokenizer("shuffled", PATTERNS["gpt2"], tokens, merges, {"<s>": 1})
    assert tokenizer.encode("abcab") == [ids[b"abc"], 0]
    assert tokenizer.decode(tokenizer.encode("abc ab é")) == "abc ab é".encode()
    assert tokenizer.vocab_size == 259


@given(st.integers(0, 10**9))
def test_both_encoders_keep_the_rule_on_any_list_of_merges(seed: int) -> None:
    rng = random.Random(seed)
    tokenizer = make(random_merges(rng, b"abc", rng.randint(1, 25)))
    exact = PairMerger(tokenizer.tokens, tokenizer.merges)
    for _ in range(20):
        word = bytes(rng.choices(b"abcd", k=rng.randint(0, 40)))
        expected = merged_by_hand(tokenizer, word)
        assert exact.encode(word) == expected
        assert list(tokenizer.encode_bytes(word)) == expected


def test_random_lists_of_merges_meet_both_encoders(count: Callable[[int, int], int]) -> None:
    """The property above would prove little if one of the encoders were never chosen."""
    rng = random.Random(5)
    kinds = [
        type(make_merger(t.tokens, t.merges))
        for t in (make(random_merges(rng, b"abc", rng.randint(1, 25))) for _ in range(count(100, 1000)))
    ]
    assert kinds.count(SpellingMerger) > len(kinds) // 20
    assert kinds.count(PairMerger) > len(kinds) // 20


def test_a_token_that_two_pairs_spell_is_merged_by_its_pairs_only() -> None:
    """abc is listed as a + bc; ab comes first. By pairs "abc" stays ab|c, by spelling it would be abc."""
    tokenizer = make([("a", "b"), ("b", "c"), ("a", "bc")])
    assert not spelling_decides(tokenizer.tokens, tokenizer.merges)
    assert pieces(tokenizer, "abc") == [b"ab", b"c"]


def test_a_word_that_is_a_token_is_that_token_where_merges_are_ignored() -> None:
    merges: list[tuple[str | bytes, str | bytes]] = [("a", "b"), ("b", "c"), ("a", "bc")]
    assert pieces(make(merges, ignore_merges=True), "abc abc") == [b"abc", b" ", b"ab", b"c"]


@given(st.integers(0, 10**9))
def test_a_long_word_is_joined_from_windows_as_if_it_were_one(seed: int) -> None:
    rng = random.Random(seed)
    tokenizer = make(random_merges(rng, b"abc", rng.randint(1, 15)))
    if not spelling_decides(tokenizer.tokens, tokenizer.merges):
        return
    whole = SpellingMerger(tokenizer.tokens, tokenizer.merges)
    short = SpellingMerger(tokenizer.tokens, tokenizer.merges)
    short.window, short.seam = rng.choice([(64, 4), (100, 8), (40, 2)])
    word = bytes(rng.choices(rng.choice([b"a", b"ab", b"abc", b"abcd"]), k=rng.randint(0, 1500)))
    assert list(short.encode(word)) == list(whole.encode(word)) == merged_by_hand(tokenizer, word)


def test_a_space_is_put_before_a_text_where_the_tokenizer_says_so() -> None:
    tokenizer = make([(" ", "a")], add_prefix_space=True)
    assert pieces(tokenizer, "a a") == [b" a", b" a"]
    assert pieces(tokenizer, " a") == [b" a"]
    assert tokenizer.encode("") == []
    assert [(s, e) for s, e, _ in tokenizer.encode_words("a a")] == [(0, 1), (1, 3)]
    assert [(s.start, s.end) for s in tokenizer.token_spans("é")] == [(0, 0), (0, 1), (0, 1)]


def test_a_panic_of_the_encoder_becomes_a_lab_error() -> None:
    tokenizer = make([("a", "b")])
    merger = SpellingMerger(tokenizer.tokens, tokenizer.merges)
    merger._tiktoken = merging.tiktoken.Encoding(
        "broken", pat_str=".", mergeable_ranks={b"a": 0}, special_tokens={}
    )
    with pytest.raises(LabError, match="gave up on a word of 2 bytes"):
        merger.encode(b"zz")


def test_a_lone_surrogate_is_named() -> None:
    tokenizer = make([])
    for text in ("a\ud800b", "\udfff", "😀\ud83d"):
        with pytest.raises(LabError, match="lone surrogate U\\+D"):
            tokenizer.encode(text)
    assert tokenizer.encode("fine") == [ID[bytes([byte])] for byte in b"fine"]


@pytest.mark.parametrize("merges", [[], [("b", "c"), ("c", "d"), ("b", "cd")]])
def test_a_byte_without_a_token_is_named(merges: list[tuple[str | bytes, str | bytes]]) -> None:
    tokenizer = make(merges)
    tokens = tuple(None if token == b"a" else token for token in tokenizer.tokens)
    with pytest.raises(LabError, match="no token for the byte 61"):
        replace(tokenizer, tokens=tokens).encode("bad")
    assert replace(tokenizer, tokens=tokens).encode("b") == [ID[b"b"]]


# Special tokens


def test_special_tokens_are_text_unless_asked_for() -> None:
    tokenizer = make([], special_tokens={"<s>": 256, "<s>x": 257, "s>": 258, "</s>": 259})
    plain = [ID[bytes([byte])] for byte in b"<s>"]
    assert tokenizer.encode("<s>") == plain
    assert tokenizer.encode("<s><s>xs></s>a", special="all") == [256, 257, 258, 259, ID[b"a"]]
    assert tokenizer.encode("<s", special="all") == plain[:2]
    assert tokenizer.decode([256, ID[b"a"], 257]) == b"<s>a<s>x"
    assert tokenizer.encode("", special="all") == []


def test_of_special_tokens_the_leftmost_then_the_longest_is_found() -> None:
    tokenizer = make([], special_tokens={"aa": 256, "aaa": 257, "ba": 258})
    assert tokenizer.encode("aaaaaa", special="all") == [257, 257]
    assert tokenizer.encode("baaa", special="all") == [258, 256]


def test_merges_may_spell_a_special_token_and_then_give_its_id() -> None:
    """As in `tokenizers`, where both are one entry of the vocabulary."""
    tokenizer = make([("<", "s"), ("<s", ">")], pattern="none", special_tokens={"<s>": 257})
    assert tokenizer.encode("<s>a") == tokenizer.encode("<s>a", special="all") == [257, ID[b"a"]]


def test_many_special_tokens_in_a_long_text_take_linear_time() -> None:
    tokenizer = make([], special_tokens={f"<{i}>": 256 + i for i in range(200)})
    text = "".join(f"<{i % 200}>" for i in range(20_000))
    assert tokenizer.encode(text, special="all") == [256 + i % 200 for i in range(20_000)]


# Decoding and spans


def test_bytes_that_are_no_character_are_shown_as_hex() -> None:
    assert readable("a€".encode()[:-1] + b"!") == [Part("a", ""), Part("", "E2 82"), Part("!", "")]
    assert readable(b"\xff\xfe") == [Part("", "FF FE")]
    assert readable("\ufffd€\n".encode()) == [
        Part("\ufffd€\n", "")
    ]  # a mark that the text really holds stays
    assert readable(b"") == []
    tokenizer = make([])
    assert tokenizer.decode_text(tokenizer.encode("€")[:2]) == "⟨E2 82⟩"
    assert tokenizer.decode_text(tokenizer.encode("a€")) == "a€"


@given(st.binary(max_size=60))
def test_readable_parts_give_the_bytes_back(data: bytes) -> None:
    parts = readable(data)
    assert b"".join(bytes.fromhex(p.hex) if p.hex else p.text.encode() for p in parts) == data
    assert all(bool(p.text) != bool(p.hex) for p in parts)
    assert all(bool(a.hex) != bool(b.hex) for a, b in pairwise(parts))


def test_an_id_of_no_token_is_refused() -> None:
    tokenizer = make([])
    for id_ in (-1, 256, 2**31):
        with pytest.raises(LabError, match=f"has the id {id_}"):
            tokenizer.decode([id_])


def test_a_token_that_holds_part_of_a_character_says_so() -> None:
    """€ is E2 82 AC. Merges: E2+82, and AC+"!": "€!" is two tokens, and both touch the first character."""
    tokenizer = make([(b"\xe2", b"\x82"), (b"\xac", b"!")], pattern="none")
    spans = list(tokenizer.token_spans("€!"))
    assert [(s.start, s.end, s.bytes, s.partial) for s in spans] == [
        (0, 1, b"\xe2\x82", True),
        (0, 2, b"\xac!", True),
    ]


@given(st.text(alphabet=st.sampled_from("ab é€😀\u0301\n的"), max_size=40), st.booleans())
def test_spans_cover_the_text(text: str, prefix: bool) -> None:
    tokenizer = make(
        [(b"\xc3", b"\xa9"), (" ", "a"), (b"\xe2", b"\x82"), ("a", "b")], add_prefix_space=prefix
    )
    spans = list(tokenizer.token_spans(text))
    lead = b" " if prefix and text and not text.startswith(" ") else b""
    assert [span.id for span in spans] == tokenizer.encode(text)
    assert b"".join(span.bytes for span in spans) == lead + text.encode()
    for span in spans:
        if not span.partial:
            assert (lead + text[span.start : span.end].encode()).endswith(span.bytes)
    words = list(tokenizer.encode_words(text))
    assert "".join(text[start:end] for start, end, _ in words) == text
    assert [id_ for _, _, ids in words for id_ in ids] == tokenizer.encode(text)


# After some of the merges


@given(st.integers(0, 10**9))
def test_the_segmenter_shows_a_word_after_any_number_of_merges(seed: int) -> None:
    rng = random.Random(seed)
    tokenizer = make(random_merges(rng, b"abc", rng.randint(1, 20)))
    segmenter = Segmenter(tokenizer.tokens, budget=rng.choice([10, 10_000]))
    words = [bytes(rng.choices(b"abc", k=rng.choice([0, 3, 12, 20, 20, 520]))) for _ in range(3)]
    for number, merge in enumerate(tokenizer.merges, start=1):
        segmenter.append(merge)
        assert segmenter.merges == number
        step = rng.randint(0, number)
        cut = replace(tokenizer, merges=tokenizer.merges[:step])
        for word in words:
            assert list(segmenter.pieces(word, step)) == merged_by_hand(cut, word)


def test_the_segmenter_forgets_words_when_it_holds_too_many() -> None:
    tokenizer = make([("a", "b")])
    segmenter = Segmenter(tokenizer.tokens, tokenizer.merges, budget=1000)
    for i in range(5000):
        segmenter.pieces(f"ab{i}".encode(), 1)
    assert len(segmenter._words) < 200
    assert segmenter.pieces(b"ab", 1) == (256,)


def test_a_tokenizer_at_a_step_knows_only_the_first_merges() -> None:
    tokenizer = make([("a", "b"), ("ab", "c"), ("b", "c")], special_tokens={"<s>": 259})
    early = tokenizer.at(1)
    assert pieces(early, "abcbc") == [b"ab", b"c", b"b", b"c"]
    assert len(early.tokens) == 257
    assert early.encode("<s>", special="all") == [259]
    assert tokenizer.at(3) is tokenizer
    assert tokenizer.at(0).encode("ab") == [ID[b"a"], ID[b"b"]]
    with pytest.raises(LabError, match="it has 3"):
        tokenizer.at(4)


# What is refused


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"merges": ((0, 1, 999),)}, "outside 0 to 256"),
        ({"merges": ((-1, 1, 256),)}, "outside 0 to 256"),
        ({"merges": ((0, 0, 256),)}, "does not spell its two parts"),
        ({"merges": ((ID[b"a"], ID[b"b"], 256),) * 2}, "was there before"),
        ({"tokens": (*BYTES, b"a")}, "spell the same"),
        ({"tokens": (*BYTES, b"")}, "no bytes"),
        ({"special_tokens": {"<s>": 5}}, "cannot have the id 5"),
        ({"special_tokens": {"<s>": -1}}, "cannot have the id -1"),
        ({"special_tokens": {"<s>": 300, "<t>": 300}}, "cannot have the id 300"),
        ({"special_tokens": {"": 300}}, "cannot have the id 300"),
        ({"special_tokens": {"\ud800": 300}}, "lone surrogate"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, object], fault: str) -> None:
    fields: dict[str, object] = {"tokens": (*BYTES, b"ab"), "merges": ()}
    with pytest.raises(LabError, match=fault):
        Tokenizer("odd", PATTERNS["gpt2"], **(fields | change))  # type: ignore[arg-type]


def test_equal_tokenizers_are_equal_whatever_their_names_and_gaps_at_the_end() -> None:
    tokenizer = make([("a", "b")])
    other = replace(tokenizer, name="other", tokens=(*tokenizer.tokens, None, None))
    assert other == tokenizer
    assert hash(other) == hash(tokenizer)
    assert replace(tokenizer, bos="<s>") != tokenizer


def test_byte_ids_are_those_of_the_alphabet() -> None:
    assert byte_ids(BYTES) == [ID[bytes([byte])] for byte in range(256)]
