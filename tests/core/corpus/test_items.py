"""The items that score a model: enough of each, well formed, both ways."""

from __future__ import annotations

from collections import Counter

from core.corpus.smallworld.items import (
    analogy_items,
    capital_items,
    next_question_items,
    prompts,
    pronoun_items,
    sense_items,
    sum_items,
)
from core.corpus.smallworld.places import HELD_OUT_FRAMES
from core.corpus.smallworld.world import ANIMALS, COUNTRIES, FURNITURE, held_out_pair, held_out_sum


def test_next_questions_are_asked_of_countries_in_and_out_of_quizzes():
    items = next_question_items()
    groups = Counter(item.group for item in items)
    assert groups["never in a quiz"] == 20
    assert groups["in quizzes"] >= 20
    assert len(items) >= 40
    assert "What is the capital of France?\n" in {item.prompt for item in items}


def test_capitals_are_asked_in_every_held_out_frame():
    items = capital_items()
    assert len(items) == len(HELD_OUT_FRAMES) * len(COUNTRIES)
    assert all(not item.prompt.endswith(" ") and item.right.startswith(" ") for item in items)
    assert all(len(item.wrong) == len(COUNTRIES) - 1 and item.right not in item.wrong for item in items)


def test_pronouns_are_asked_both_ways_of_every_held_out_pair():
    items = pronoun_items()
    pairs = sum(held_out_pair(animal, thing) for animal in ANIMALS for thing in FURNITURE)
    assert len(items) == pairs * 2 * 4
    for animal, thing in zip(items[::2], items[1::2], strict=True):
        assert animal.group == thing.group
        assert animal.right == thing.wrong[0]
        assert thing.right == animal.wrong[0]
    cat = "The cat sat on the mat because it was tired. What was tired? The"
    assert next(item for item in items if item.prompt == cat).right == " cat"
    soft = "The cat sat on the mat because it was soft. What was soft? The"
    assert next(item for item in items if item.prompt == soft).right == " mat"


def test_analogies_are_all_pairs_of_pairs():
    items = analogy_items()
    groups = Counter(item.group for item in items)
    assert groups == {
        "king": 1,
        "gender pairs": 17 * 16 * 2,
        "capitals": len(COUNTRIES) * (len(COUNTRIES) - 1),
    }
    assert (items[0].a, items[0].b, items[0].c, items[0].right) == (" king", " man", " woman", " queen")
    assert all(len({item.a, item.b, item.c, item.right}) == 4 for item in items)


def test_sums_are_held_out_and_different():
    items = sum_items(200, 1)
    assert len({(item.a, item.b) for item in items}) == 200
    assert all(held_out_sum(item.a, item.b) and int(item.answer) == item.a + item.b for item in items)
    assert items == sum_items(200, 1) != sum_items(200, 2)
    assert len(sum_items(1_000_000, 1)) > 1000


def test_senses_end_with_their_word_and_are_balanced():
    items = sense_items()
    assert all(item.text.endswith(f" {item.word}") for item in items)
    assert len({item.text for item in items}) == len(items)
    per_sense = Counter((item.word, item.sense) for item in items)
    assert set(per_sense) == {("bank", "money"), ("bank", "river"), ("mole", "animal"), ("mole", "skin")}
    assert min(per_sense.values()) >= 10


def test_prompts_are_few_and_different():
    assert 4 <= len(set(prompts())) == len(prompts()) <= 10
