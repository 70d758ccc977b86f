"""The small world is the same from the same seed, plainly written, and never gives away what it holds out."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections import Counter
from itertools import islice

import pytest

from core.corpus.smallworld import kinship, places, sums, world
from core.corpus.smallworld.deeds import GOOD_DEEDS, MISDEEDS, in_past, right_plans_as
from core.corpus.smallworld.draw import Draw, Weights
from core.corpus.smallworld.generate import FAMILIES, documents
from core.corpus.smallworld.items import pronoun_items, sense_items
from core.corpus.smallworld.settings import SmallWorldSettings
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.patterns import pattern
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.train import TrainSettings, train_tokenizer
from core.tokenizer.words import Text

# python -c "import tests.core.corpus.test_smallworld as t; print(t.digest(t.first(2000)))"
GOLDEN = "e378d2afb384a5b29e11f00defbdb2faeb72a2afd76d0baa9511f66ace9931ed"


def first(count, **settings):
    return list(islice(documents(SmallWorldSettings(words=200_000_000, **settings)), count))


def digest(found):
    return hashlib.sha256("\0".join(document.text for document in found).encode()).hexdigest()


@pytest.fixture(scope="module")
def many():
    return first(20_000)


# The same from the same seed


def test_the_first_2000_documents_are_the_same_on_every_machine():
    assert digest(first(2000)) == GOLDEN


def test_another_seed_gives_another_text():
    assert digest(first(100, seed=1)) != digest(first(100, seed=2))


def test_two_generators_side_by_side_do_not_disturb_each_other():
    one, other = (documents(SmallWorldSettings(words=4000)) for _ in range(2))
    assert all(a == b for a, b in zip(one, other, strict=True))


def test_words_are_enough_and_hardly_more():
    texts = [document.text for document in documents(SmallWorldSettings(words=5000))]
    words = sum(len(text.split()) for text in texts)
    assert 5000 <= words < 5000 + 200
    assert words - len(texts[-1].split()) < 5000


def test_a_setting_outside_its_limits_is_named_at_the_call():
    with pytest.raises(LabError, match=r"Share of quizzes is 0\.9, above 0\.5"):
        documents(SmallWorldSettings(quiz_share=0.9))


def test_ten_million_tokens_take_less_than_a_minute():
    """10 million tokens are 7.3 million words; a fiftieth of them is timed, in the thread's own time."""
    begin = time.thread_time()
    for _ in documents(SmallWorldSettings(words=146_000)):
        pass
    assert 50 * (time.thread_time() - begin) < 60


# Shares and entropy


def test_families_have_the_shares_that_their_weights_promise(many):
    counts = Counter(document.source for document in many)
    total = sum(weight for _, weight in FAMILIES.values())
    for name, (_, weight) in FAMILIES.items():
        expected = weight / total * 0.93 * len(many)
        assert abs(counts[name] - expected) < 5 * math.sqrt(expected), name
    assert abs(counts["quiz"] / len(many) - 0.07) < 0.01


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_share_of_quizzes_can_be_chosen(share):
    found = first(2000, quiz_share=share)
    assert abs(sum(document.source == "quiz" for document in found) / 2000 - share) < 0.04


def test_nats_count_every_choice(many):
    """Of a quiz with its lines, at least ln 44 nats for each country; of no document, none."""
    assert all(document.nats > 0 for document in many)
    for document in many[:3000]:
        if document.source == "sum at once":
            sums_told = document.text.count("=")
            drawn = 2 * sums_told * math.log(90)
            family = -math.log(FAMILIES["sum at once"][1] / sum(w for _, w in FAMILIES.values()) * 0.93)
            assert document.nats == pytest.approx(drawn + math.log(3) + family)


def test_a_draw_counts_what_it_draws():
    draw = Draw(3)
    draw.one("abcd")
    assert draw.nats == pytest.approx(math.log(4))
    draw.some("abcd", 2)
    assert draw.nats == pytest.approx(math.log(4) + math.log(12))
    draw.nats = 0.0
    seen = [draw.weighted(Weights([("seldom", 1.0), ("often", 3.0), ("never", 0.0)])) for _ in range(400)]
    assert 0.15 < seen.count("seldom") / 400 < 0.35
    assert "never" not in seen
    expected = seen.count("seldom") * math.log(4) + seen.count("often") * math.log(4 / 3)
    assert draw.nats == pytest.approx(expected)


# Plain English


FAULTS = {
    "a before a vowel": r"\b[Aa] [aeiou]",
    "an before a consonant": r"\b[Aa]n (?!honest)[^aeiou\W]",
    "a doubled space": r" {2}",
    "two full stops": r"\.\.",
    "a space before a stop": r" [.,?!]",
    "a word twice": r"\b([A-Za-z]+) \1\b",
    "a sentence in small letters": r"(?:[.!]|(?<!\?)\")\s+(?!asked|answered|said|wanted|and)[a-z]",
    "a field that was not filled": r"[{}]",
    "white space at an end": r"\A\s|\s\Z",
    "a small beginning": r"\A[a-z]",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_there_is_no(fault, many):
    speech = re.compile(r'," (?:said|answered) ')
    found = [document.text for document in many if re.search(FAULTS[fault], speech.sub(", ", document.text))]
    assert not found, found[:3]


def test_every_verb_of_a_deed_has_a_past():
    for deed in MISDEEDS + GOOD_DEEDS:
        assert deed.past != deed.text or deed.text.startswith(("cut", "read", "put"))
        assert len(right_plans_as(deed, "")) == len(set(right_plans_as(deed, "he"))) == 8
    assert in_past("steal the king's crown") == "stole the king's crown"


def test_good_deeds_share_verbs_objects_and_steps_with_misdeeds():
    bad_words = {word for deed in MISDEEDS for word in deed.text.split()}
    shared = [deed for deed in GOOD_DEEDS if len(bad_words & set(deed.text.split())) >= 2]
    assert len(MISDEEDS) == 30
    assert len(GOOD_DEEDS) > 100
    assert len(shared) > 60
    bad_steps = {step for deed in MISDEEDS for step in deed.steps}
    assert sum(bool(bad_steps & set(deed.steps)) for deed in GOOD_DEEDS) > 100


# Facts


def test_capitals_are_those_of_the_atlas():
    known = {
        "France": "Paris", "Australia": "Canberra", "Canada": "Ottawa", "Switzerland": "Bern", "Turkey": "Ankara",
        "Morocco": "Rabat", "Nigeria": "Abuja", "Pakistan": "Islamabad", "Vietnam": "Hanoi", "Ukraine": "Kyiv",
        "Ecuador": "Quito", "Uruguay": "Montevideo", "Slovenia": "Ljubljana", "Bangladesh": "Dhaka",
    }  # fmt: skip
    assert all(world.country_named(name).capital == capital for name, capital in known.items())
    assert len(world.COUNTRIES) >= 62


def test_every_name_is_unique():
    for field in ("name", "capital", "people", "leader"):
        assert len({getattr(one, field) for one in world.COUNTRIES}) == len(world.COUNTRIES)


def test_no_document_names_a_wrong_capital_but_a_child_that_is_put_right(many):
    capital = {one.name: one.capital for one in world.COUNTRIES}
    for document in many:
        for country, city in re.findall(r"capital of (\w+) is (?:called )?([A-Z]\w+)", document.text):
            assert capital[country] == city
        for terms, answer in re.findall(r"(\d+(?: \+ \d+)+) = (\d+)", document.text):
            assert sum(map(int, terms.split(" + "))) == int(answer)


def test_the_steps_of_a_sum_lead_to_its_answer():
    for a in range(10, 100, 7):
        for b in range(10, 100):
            assert sums.worked(a, b).endswith(f"The answer is {a + b}.")


# What is held out


def test_a_document_that_begins_with_a_question_is_a_quiz_without_answers(many):
    for document in many:
        lines = document.text.split("\n")
        if document.source == "quiz":
            assert all(line.endswith("?") for line in lines[1:])
        else:
            assert not re.match(r"[A-Z][^.?!\"\n]*\?", document.text), document.text


def test_twenty_countries_never_occur_in_a_quiz(many):
    held_out = [one for one in world.COUNTRIES if not one.quizzed]
    assert len(held_out) == 20
    assert "France" in {one.name for one in held_out}
    quizzes = "\n".join(document.text for document in many if document.source == "quiz")
    for one in held_out:
        assert not re.search(rf"\b({one.name}|{one.capital}|{one.people})\b", quizzes)


def test_held_out_frames_pairs_sums_and_sentences_never_occur(many):
    whole = "\n".join(document.text for document in many)
    frames = [re.escape(frame).replace(r"\{C\}", r"\w+") for frame in places.HELD_OUT_FRAMES]
    for frame in frames:
        assert not re.search(frame, whole)
    for a, b in re.findall(r"(\d+) \+ (\d+)", whole):
        assert not world.held_out_sum(int(a), int(b))
    for item in sense_items():
        assert item.text not in whole
    told = {item.prompt.split(" What was ")[0] for item in pronoun_items()}
    assert not any(sentence in whole for sentence in told)


def test_held_out_pairs_never_meet_in_a_sentence(many):
    animals, things = "|".join(world.ANIMALS), "|".join(world.FURNITURE)
    for document in many:
        for animal, thing in re.findall(rf"\b({animals})\b[^.?!]*\b({things})\b", document.text):
            assert not world.held_out_pair(animal, thing), document.text
        for thing, animal in re.findall(rf"\b({things})\b[^.?!]*\b({animals})\b", document.text):
            assert not world.held_out_pair(animal, thing), document.text


# Fit for a small vocabulary


def test_every_name_and_noun_becomes_one_token_of_a_vocabulary_of_2048():
    text = "\n".join(document.text for document in documents(SmallWorldSettings(words=620_000)))
    settings = TrainSettings(
        vocab_size=2048, pattern="smollm", special_tokens="<|endoftext|> <|user|> <|assistant|> <|end|>"
    )
    learned = run_to_end(train_tokenizer([Text("small world", text=text)], settings)).result
    tokenizer = Tokenizer.from_learned(learned, pattern("smollm"), "small world")
    words = [role for pair in kinship.PAIRS for role in pair.roles]
    words += [name for one in world.COUNTRIES for name in (one.name, one.capital, one.title)]
    words += [*world.NAMES, *world.ANIMALS, *world.FURNITURE, *world.STREETS, "bank", "mole"]
    words += [*world.OF_ANIMALS, *world.OF_THINGS, *world.OF_STREETS]
    assert [word for word in words if len(tokenizer.encode(f" {word}")) != 1] == []
    assert tokenizer.encode(" 85") == tokenizer.encode(" 8") + tokenizer.encode("5")
