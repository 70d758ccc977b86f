"""The patterns split as `tokenizers` and tiktoken do, whole or in pieces."""

import dataclasses
import json
import random

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public
from tokenizers import pre_tokenizers

from core.problems import LabError
from core.tokenizer import patterns
from core.tokenizer.patterns import (
    ALPHABET,
    BYTE_TO_CHAR,
    CHAR_TO_BYTE,
    PATTERNS,
    match_gguf_pre,
    match_pre_tokenizer,
    pattern,
)

SPLITTING = [name for name in PATTERNS if name != "none"]
INTERESTING = [
    *"aZsStTrReEvVmMlLdD'\u2019\u017f\u212a019.,!?-_/\\#()\"",
    *" \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\u180e\ufeff",
    *"éßñÆœǅǈʰʔªº一ぁアｱ한ئעक९๓௧४Ⅷ½²①㊿𝟘𐄇",
    *"\u0301\u0308\u093e\u20dd\u0e31\u200d\u200c\ufe0f\u0652",
    *"😀👩🏽🇩🇪",
    *"\u0378\u0558\u088f\ufffe\uffff\ue000\U00011de0\U00016ff4\U0001246f\U000187f8\U0003d000\U0010ffff",
]
TEXTS = st.text(
    st.sampled_from(INTERESTING) | st.characters(codec="utf-8") | st.sampled_from(" \n'a1."), max_size=40
)


def theirs(name: str, text: str) -> list[str]:
    """The words that `tokenizers` finds with the pre_tokenizer object of our table."""
    holder = _pre_tokenizer(name)
    back = [bytes(CHAR_TO_BYTE[c] for c in word).decode() for word, _ in holder.pre_tokenize_str(text)]
    assert "".join(back) == text
    return back


def _pre_tokenizer(name: str):
    from tokenizers import Tokenizer

    if name not in _MADE:
        whole = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}
        whole["pre_tokenizer"] = PATTERNS[name].pre_tokenizer
        _MADE[name] = Tokenizer.from_str(json.dumps(whole)).pre_tokenizer
    return _MADE[name]


_MADE: dict = {}


@pytest.mark.parametrize("name", PATTERNS)
def test_random_unicode_splits_as_in_tokenizers(name, count):
    @settings(max_examples=count(100, 5_000), deadline=None)
    @given(TEXTS)
    def check(text):
        assert list(PATTERNS[name].split(text)) == theirs(name, text)

    check()


@pytest.mark.parametrize("name", SPLITTING)
def test_every_character_splits_as_in_tokenizers_between_letters_digits_marks_and_signs(name, count):
    """When long: all 1,112,064 for o200k, whose expression asks most, every eighth for the others. Else every
    97th, and always some of those that `regex` knows otherwise."""
    step = count(97, 1 if name == "o200k" else 8)
    characters = [chr(c) for c in range(0, 0x110000, step) if not 0xD800 <= c < 0xE000]
    characters += [*sorted(patterns._newer())[:: count(20, 1)], "\u0295"]
    for start in range(0, len(characters), 5_000):
        some = characters[start : start + 5_000]
        text = "".join(f"a{c}B{c}c 1{c}2'{c}  {c}s\n{c}!{c}\u0301" for c in some)
        assert list(PATTERNS[name].split(text)) == theirs(name, text), f"from {some[0]!r}"


@pytest.mark.parametrize("name", SPLITTING)
def test_ascii_text_splits_as_in_tokenizers(name, count):
    @settings(max_examples=count(100, 5_000), deadline=None)
    @given(
        st.text(
            st.sampled_from("aBsSdtTlLrReEvVmM'\" \n\r\t\x0b\x1c019/.,!_-") | st.characters(codec="ascii")
        )
    )
    def check(text):
        assert list(PATTERNS[name].split(text)) == theirs(name, text)

    check()


@pytest.mark.parametrize(
    ("name", "published"), [("gpt2", "gpt2"), ("cl100k", "cl100k_base"), ("o200k", "o200k_base")]
)
def test_our_expression_splits_as_the_published_one_in_tiktoken(name, published, monkeypatch, count):
    for loader in ("load_tiktoken_bpe", "data_gym_to_mergeable_bpe_ranks"):
        monkeypatch.setattr(openai_public, loader, lambda *_args, **_more: {})
    expression = getattr(openai_public, published)()["pat_str"]
    ranks = {bytes([byte]): byte for byte in range(256)}
    # Pairs of bytes as tokens make borders visible: a pair over a border stays two ids.
    text_rng = random.Random(3)
    pairs = {a + b for a in _BYTES for b in _BYTES}
    table = {**ranks, **{pair: 256 + n for n, pair in enumerate(sorted(pairs))}}
    both = [
        tiktoken.Encoding("x", pat_str=spelled, mergeable_ranks=table, special_tokens={})
        for spelled in (expression, PATTERNS[name].expression)
    ]
    for _ in range(count(1_000, 50_000)):
        text = "".join(text_rng.choices(INTERESTING, k=text_rng.randrange(1, 20)))
        assert both[0].encode_ordinary(text) == both[1].encode_ordinary(text), text
        words = list(PATTERNS[name].split(text))
        assert both[0].encode_ordinary(text) == [
            i for w in words for i in both[0]._encode_single_piece(w.encode())
        ], text


_BYTES = [bytes([byte]) for byte in range(256)]


def test_the_patterns_differ_where_their_description_says_so():
    ends = "a\n  "
    assert list(PATTERNS["cl100k"].split(ends)) == ["a", "\n  "]
    assert list(PATTERNS["llama3"].split(ends)) == ["a", "\n", "  "]
    assert list(PATTERNS["gpt2"].split(" 1234")) == [" 1234"]
    assert list(PATTERNS["smollm"].split("  1234")) == ["  ", "1", "2", "3", "4"]
    assert list(PATTERNS["qwen2"].split("1234")) == ["1", "2", "3", "4"]
    assert list(PATTERNS["cl100k"].split("1234")) == ["123", "4"]
    assert list(PATTERNS["o200k"].split("helloWorld's")) == ["hello", "World's"]
    assert list(PATTERNS["cl100k"].split("he\u017f it'\u017f")) == ["he\u017f", " it", "'\u017f"]
    assert list(PATTERNS["gpt2"].split("it'\u017f")) == ["it", "'", "\u017f"]
    assert list(PATTERNS["none"].split("two words\n")) == ["two words\n"]


@pytest.mark.parametrize("name", PATTERNS)
def test_an_empty_text_has_no_words(name):
    assert list(PATTERNS[name].split("")) == []


@pytest.mark.parametrize("name", PATTERNS)
def test_a_text_cut_at_any_place_it_may_be_cut_keeps_its_words(name, count):
    chosen = PATTERNS[name]

    @settings(max_examples=count(100, 5_000), deadline=None)
    @given(TEXTS)
    def check(text):
        whole = chosen.find(text)
        end = len(text)
        cuts = 0
        while (place := chosen.last_cut(text[:end])) != 0:
            assert chosen.find(text[:place]) + chosen.find(text[place:]) == whole
            end, cuts = place, cuts + 1
        found.append(cuts)

    found: list[int] = []
    check()
    assert (sum(found) > 30) == (name != "none"), "the test must have cut somewhere"


@pytest.mark.parametrize("name", SPLITTING)
def test_a_long_text_splits_in_pieces_as_it_does_whole(name, monkeypatch, count):
    monkeypatch.setattr(
        patterns, "PIECE", 7
    )  # so that pieces without a place to cut and long ones both occur
    chosen = PATTERNS[name]

    @settings(max_examples=count(100, 5_000), deadline=None)
    @given(st.lists(TEXTS, max_size=6).map("".join))
    def check(text):
        assert list(chosen.split(text)) == chosen.find(text)

    check()


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("filler", ["a", " ", "\n", "7", "一", "aB", "\u0301", "!/", "\u00a0", "A", "'"])
def test_a_text_of_one_kind_without_a_place_to_cut_splits_as_in_tokenizers(name, filler):
    text = "x" + filler * (270_000 // len(filler)) + "y"
    assert list(PATTERNS[name].split(text)) == theirs(name, text)


def test_the_alphabet_is_in_the_order_of_tokenizers():
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=256, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([], trainer)
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    assert [CHAR_TO_BYTE[character] for character, _ in by_id] == list(ALPHABET)
    assert sorted(BYTE_TO_CHAR) == sorted(pre_tokenizers.ByteLevel.alphabet())


@pytest.mark.parametrize("name", PATTERNS)
def test_what_a_pattern_writes_into_a_tokenizer_json_is_recognized(name):
    assert match_pre_tokenizer(json.loads(json.dumps(PATTERNS[name].pre_tokenizer))).name == name


@pytest.mark.parametrize("name", ["gpt2", "smollm", "qwen2", "llama3", "o200k"])
def test_the_gguf_name_of_a_pattern_is_recognized(name):
    assert match_gguf_pre(PATTERNS[name].gguf_pre).name == name


def test_cl100k_as_found_on_the_hub_is_recognized_as_what_it_splits_like():
    """The tokenizer.json files made from cl100k remove what the expression does not find, which is nothing."""
    value = json.loads(json.dumps(PATTERNS["llama3"].pre_tokenizer))
    value["pretokenizers"][0] |= {"behavior": "Removed", "invert": True}
    assert match_pre_tokenizer(value).name == "llama3"


def _changed(name, **changes):
    value = json.loads(json.dumps(PATTERNS[name].pre_tokenizer))
    value["pretokenizers"][0] |= changes
    return value


@pytest.mark.parametrize(
    "value",
    [
        None, 7, "gpt2", [], {}, {"type": "Sequence"}, {"type": "Sequence", "pretokenizers": 3},
        {"type": "Sequence", "pretokenizers": []}, {"type": "Sequence", "pretokenizers": [None]},
        {"type": "ByteLevel", "use_regex": "yes"}, {"type": "Whitespace"}, {"type": ["ByteLevel"]},
        {"type": "Sequence", "pretokenizers": [{"type": "Metaspace"}, {"type": "ByteLevel"}]},
        _changed("o200k", pattern={"Regex": "(a+)+$"}), _changed("o200k", pattern={"Regex": ["a"]}),
        _changed("o200k", pattern={"String": " "}), _changed("o200k", behavior="Removed"),
        _changed("o200k", invert=True), _changed("smollm", individual_digits=False),
        {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel"}]},
    ],
)  # fmt: skip
def test_an_unknown_pre_tokenizer_is_refused_and_named(value):
    with pytest.raises(LabError, match="none of the known ones"):
        match_pre_tokenizer(value)


def test_unknown_names_are_refused_with_the_names_there_are():
    with pytest.raises(LabError, match=r"'gpt5'.*gpt2"):
        pattern("gpt5")
    with pytest.raises(LabError, match=r"'viking'.*smollm"):
        match_gguf_pre("viking")


def test_a_pattern_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PATTERNS["gpt2"].name = "x"
