"""The raw small world: every fault bears its label, and nothing in it is real."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.raw import LABELS, raw_documents
from core.corpus.smallworld.settings import SmallWorldSettings

SETTINGS = SmallWorldSettings(words=120_000, raw=True)


@pytest.fixture(scope="module")
def found():
    return list(raw_documents(SETTINGS))


def test_every_fault_occurs_and_most_documents_are_clean(found):
    counts = Counter(label for document in found for label in document.labels)
    assert set(counts) == set(LABELS)
    assert min(counts.values()) > 50
    assert 0.5 < sum(not document.labels for document in found) / len(found) < 0.75


def test_the_same_seed_gives_the_same_documents(found):
    again = list(raw_documents(SmallWorldSettings(words=4000, raw=True)))
    assert again == found[: len(again)]


def test_clean_documents_are_those_of_the_small_world(found):
    clean = {document.text for document in documents(SmallWorldSettings(words=200_000))}
    assert all(document.text in clean for document in found if not document.labels)


def test_exact_duplicates_stand_earlier_word_for_word(found):
    seen = set()
    for document in found:
        if "exact duplicate" in document.labels:
            assert document.text in seen
        seen.add(document.text)


def test_what_is_labeled_noise_or_near_duplicate_is_changed(found):
    clean = {document.text for document in documents(SmallWorldSettings(words=200_000))}
    for document in found:
        if "noise" in document.labels and "exact duplicate" not in document.labels:
            assert document.text not in clean


def test_personal_data_are_made_up(found):
    """Domains and telephone numbers are those reserved for examples."""
    whole = "\n".join(document.text.lower() for document in found)
    assert set(re.findall(r"@\w+\.(\w+)", whole)) <= {"com", "org", "net"}
    assert set(re.findall(r"@(\w+)\.", whole)) == {"example"}
    assert all(re.fullmatch(r"555-01\d\d", number) for number in re.findall(r"\b555-\d+", whole))
    for document in found:
        if document.labels == ("personal data",):
            assert re.search(r"@example|555-01|, \d+ \w+ \w+, \w+", document.text), document.text
