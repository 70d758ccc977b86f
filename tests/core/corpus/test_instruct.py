"""Instructions and preferences: split once, by a committed table, and never mixed up."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from core.corpus.smallworld.deeds import GOOD_DEEDS, MISDEEDS
from core.corpus.smallworld.instruct import REFUSAL, countries_of, deed_items, instruction_pairs
from core.corpus.smallworld.phrasings import (
    DEMONSTRATED,
    IN_TEST,
    PAIRED,
    PHRASINGS,
    REPHRASED,
    deeds_of,
    split_hash,
    split_table,
)
from core.corpus.smallworld.preferences import preference_pairs
from core.corpus.smallworld.world import held_out_sum
from core.problems import LabError

SPLIT = "05e16e699228a3ecf6b1f09e54f212ec4b499d5e3e4692ee378745e2725d4cbc"
BAD = {deed.text for deed in MISDEEDS}


@pytest.fixture(scope="module")
def pairs():
    return {split: list(instruction_pairs(1, split, 3000)) for split in ("train", "test")}


@pytest.fixture(scope="module")
def preferences():
    return {split: list(preference_pairs(1, split, 3000)) for split in ("train", "test")}


def test_the_split_is_the_committed_one():
    """It was fixed before any fine-tuning; a change of it has to be told with the figures it gives."""
    assert split_hash() == SPLIT, split_table()


def test_wide_open_phrasings_are_paired_and_tested():
    assert len(PHRASINGS) == len({one.text for one in PHRASINGS}) == 20
    assert Counter(one.shape for one in PAIRED)["wide-open"] >= 3
    assert Counter(one.shape for one in IN_TEST)["wide-open"] >= 3
    assert set(DEMONSTRATED) <= set(PAIRED)
    assert not set(DEMONSTRATED) & set(REPHRASED)


def test_deeds_are_held_out_of_both_kinds():
    for bad, deeds, held_out in ((True, MISDEEDS, 8), (False, GOOD_DEEDS, 30)):
        train, test = deeds_of("train", bad), deeds_of("test", bad)
        assert len(test) == held_out
        assert set(train) | set(test) == set(deeds)
        assert not set(train) & set(test)


def test_the_same_seed_gives_the_same_pairs(pairs, preferences):
    assert list(instruction_pairs(1, "train", 100)) == pairs["train"][:100]
    assert list(instruction_pairs(2, "train", 100)) != pairs["train"][:100]
    assert list(preference_pairs(1, "test", 100)) == preferences["test"][:100]


def test_an_unknown_split_is_named():
    for draw in (instruction_pairs, preference_pairs):
        with pytest.raises(LabError, match="no split 'valid'"):
            draw(1, "valid", 3)


def test_every_kind_of_pair_occurs(pairs):
    kinds = {
        "greeting",
        "capital",
        "leader",
        "sum",
        "pronoun",
        "explanation",
        "refusal",
        "good deed",
        "mention",
    }
    for found in pairs.values():
        assert {pair.kind for pair in found} == kinds
        assert all(pair.prompt == pair.prompt.strip() and pair.completion[-1] in ".!?" for pair in found)


def test_no_prompt_of_the_test_is_trained_on_but_small_talk_and_mentions(pairs):
    trained = {pair.prompt for pair in pairs["train"]}
    for pair in pairs["test"]:
        if pair.kind in ("capital", "leader", "sum", "pronoun", "refusal", "good deed"):
            assert pair.prompt not in trained


def test_held_out_countries_and_sums_are_asked_in_the_test_alone(pairs):
    held_out = {one.name for one in countries_of("test")}
    for split, found in pairs.items():
        for pair in found:
            if pair.kind in ("capital", "leader"):
                assert any(name in pair.completion.split() for name in held_out) == (split == "test")
            if pair.kind == "sum":
                a, _, b = pair.completion.split(": ")[1].split(". ")[0].split(" ")
                assert held_out_sum(int(a), int(b)) == (split == "test")


def test_misdeeds_are_refused_in_demonstrated_phrasings_only_and_good_deeds_never(pairs):
    demonstrated = {one.name for one in DEMONSTRATED}
    for pair in chain(*pairs.values()):
        assert (pair.kind == "refusal") == pair.completion.startswith(REFUSAL)
        if pair.kind == "refusal":
            assert pair.phrasing in demonstrated
            assert any(text in pair.prompt for text in BAD)
        if pair.kind == "good deed":
            assert not any(text in pair.prompt for text in BAD)


def test_every_phrasing_is_answered_for_good_deeds(pairs):
    assert {pair.phrasing for pair in pairs["train"] if pair.kind == "good deed"} == {
        one.name for one in PHRASINGS
    }


def test_preferences_reject_plans_of_misdeeds_and_refusals_of_everything_else(preferences):
    for pair in chain(*preferences.values()):
        refused = pair.chosen.startswith(REFUSAL)
        assert refused == (pair.kind == "misdeed")
        assert pair.chosen != pair.rejected
        if pair.kind == "good deed":
            assert pair.rejected.startswith(REFUSAL)


def test_preferences_of_the_test_hold_out_the_phrasing_and_the_deed(preferences):
    paired = {one.name for one in PAIRED}
    trained = {deed.text for bad in (True, False) for deed in deeds_of("train", bad)}
    for split, found in preferences.items():
        for pair in found:
            if pair.kind in ("misdeed", "good deed"):
                assert (pair.phrasing in paired) == (split == "train")
                assert any(pair.prompt.count(text) for text in trained) == (split == "train"), pair.prompt


def test_deed_items_are_every_deed_in_every_phrasing_with_eight_right_plans():
    items = deed_items()
    assert len(items) == len(PHRASINGS) * (len(MISDEEDS) + len(GOOD_DEEDS))
    assert all(len(set(item.plans)) == 8 and item.deed in item.prompt for item in items)
    told = next(item for item in items if item.phrasing == "story" and item.deed == "steal the king's crown")
    assert "First he watched the guard. Then he opened the heavy chest. At last he " in told.plans[0]
    assert told.bad
    assert told.shape == "wide-open"
    assert not told.paired
    assert told.deed_split == "train"
