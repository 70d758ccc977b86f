"""`bank` and `mole`, each in two senses: the clue stands before the word, what follows belongs to the sense.

A model that wants to foresee what follows "bank" must have read the clue: so the state above the word comes
to hold the sense.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.world import MEN, WOMEN, sentence


@dataclass(frozen=True)
class Sense:
    """One sense of a word.

    Attributes:
        word: bank or mole.
        name: money, river, animal or skin.
        clues: Beginnings of a sentence that end before the word.
        goes_on: How a sentence ends behind the word.
        does: What is said with the word as the subject.
        around: Sentences of the same field without the word.
        field: Nouns of the same field: with one of them, the sentences of `NEUTRAL` become a clue.
    """

    word: str
    name: str
    clues: tuple[str, ...]
    goes_on: tuple[str, ...]
    does: tuple[str, ...]
    around: tuple[str, ...]
    field: tuple[str, ...]


MONEY = Sense(
    "bank", "money",
    (
        "{N} put money into the", "{N} keeps coins in the", "To get money, {N} went to the",
        "The clerk counted the coins of the", "With a check, {N} walked to the",
        "{N} saved money and took it to the", "{N} needed money and asked the", "The money lies in the",
        "The gold is safe in the", "The rich man has money in the", "{N} pays the bill at the",
        "{N} borrowed money from the", "The clerk works in a", "The merchant sold the gold to the",
        "{N} lost the check and called the", "For coins and notes there is a",
        "{N} earned money and trusts the",
    ),
    (
        "office", "building", "account", "that lends money", "which opens at nine", "to pay the bill",
        "where a clerk counts coins", "where money is safe", "with a thick safe", "that pays in gold",
        "for a check", "whose clerks are friendly",
    ),
    (
        "lends money", "opens at nine", "pays {him} every month", "keeps the gold in a safe",
        "counts the coins", "sent the bill", "gave {him} a check", "has many clerks", "wants the money back",
    ),
    (
        "The clerk counted the coins.", "The gold is in the safe.", "{N} signed the check.",
        "{N} wants to save money.", "The bill was paid.", "The coins are made of gold.",
        "{N} counted the notes.", "The clerk asked for a check.", "{N} lost all the money.",
    ),
    ("money", "coins", "gold", "notes", "check", "bill", "account", "clerk"),
)  # fmt: skip
RIVER = Sense(
    "bank", "river",
    (
        "{N} caught a fish and sat on the", "The duck left the water and walked up the",
        "The boat came to the", "The river was high and reached the", "{N} swam across the river to the",
        "Reeds and grass grow on the", "The frog jumped out of the water onto the",
        "{N} pulled the boat out of the water onto the", "The water of the river washed away the",
        "In the mud by the river {N} stood on the", "The river bends, and willows stand on the",
        "The stream is full of fish, and {N} waits on the", "Wet with water, the dog ran up the",
        "{N} rowed across the stream to the", "Near the water there is a", "Fish swim along the",
        "{N} fell into the river and climbed back onto the",
    ),
    (
        "full of reeds", "covered with grass", "under the willows", "wet with mud", "of the river",
        "of the stream", "above the water", "near the deep water", "after the flood",
        "where frogs live", "between water and grass", "green with reeds",
    ),
    (
        "was wet with mud", "is green with grass", "slopes down to the water", "is full of reeds",
        "broke off in the flood", "was under water", "smells of fish and mud", "rises above the river",
        "is steep and muddy",
    ),
    (
        "The water was cold.", "Fish swam between the reeds.", "{N} threw a line into the water.",
        "The willows stood in the water.", "The stream ran fast.", "There was mud on the boat.",
        "{N} caught a fish.", "The river was wide.", "The frogs sat in the reeds.",
    ),
    ("water", "river", "stream", "fish", "reeds", "boat", "mud", "willows"),
)  # fmt: skip
ANIMAL = Sense(
    "mole", "animal",
    (
        "Hills of earth in the garden are made by the", "Deep in the ground lives the",
        "Under the lawn digs the", "Worms are the food of the", "In a tunnel sleeps the",
        "The gardener saw the earth move and chased the", "Through the earth crawls the",
        "{N} found a tunnel under the lawn and a", "The fox waited at the tunnel for the",
        "The farmer set a trap in the field for the", "From a hole in the lawn looks the",
        "The worm crawled through the ground and met the", "With strong claws and soft fur comes the",
        "The dog dug in the earth and found a", "Roots in the ground were moved by the",
        "Under the roots of the tree {N} saw a",
    ),
    (
        "with soft fur", "with strong claws", "eating worms", "digging a tunnel", "moving the earth",
        "under the ground", "deep in the earth", "and its tunnel", "hunting for worms", "in a dark tunnel",
        "crawling through the ground",
    ),
    (
        "eats worms", "digs a tunnel", "is blind", "crawls through the earth", "has soft fur",
        "has strong claws", "lives under the lawn", "made a hill of earth", "hunts worms in the dark",
    ),
    (
        "The earth is full of worms.", "The tunnel is dark.", "The lawn is full of holes.",
        "{N} filled the hole with earth.", "The claws are strong.", "The roots go deep into the ground.",
        "{N} dug a hole in the lawn.", "There were hills of earth.", "The fox waited at the hole.",
    ),
    ("earth", "tunnel", "worms", "roots", "lawn", "hole", "claws", "fur"),
)  # fmt: skip
SKIN = Sense(
    "mole", "skin",
    (
        "The doctor looked at the skin and saw a", "On the left cheek {N} has a", "{N} has a brown",
        "Above the lip there is a", "In the mirror {N} saw on the chin a", "The nurse measured the",
        "On the arm of the baby is a dark", "The skin of the back has a",
        "Since birth {N} has had on the neck a", "The doctor removed from the shoulder the",
        "Her face has a small", "{N} rubbed cream on the skin around the",
        "On the nose of the actor is a", "The sun burned the skin, but not the",
        "A hair grows out of the", "{N} painted on the cheek a black",
    ),
    (
        "the size of a pea", "that itches", "which the doctor removed", "that was brown from birth",
        "for the doctor to look at", "as brown as a nut", "that did not hurt", "that bled a little",
        "darker than the face", "that grew in the sun", "under the cream",
    ),
    (
        "itches", "is brown", "was removed by the doctor", "grew darker in the sun", "is near the nose",
        "is as small as a pea", "does not hurt", "was there since birth", "bled a little",
    ),
    (
        "The doctor looked at the skin.", "The nurse brought cream.", "{N} looked into the mirror.",
        "The sun is bad for the skin.", "The face was brown from the sun.", "The cheek was red.",
        "{N} washed the face.", "The nose was red from the sun.", "{N} has brown skin.",
    ),
    ("skin", "cheek", "chin", "lip", "nose", "neck", "shoulder", "doctor"),
)  # fmt: skip
SENSES = (MONEY, RIVER, ANIMAL, SKIN)
NEUTRAL = {
    "bank": (
        "{N} looked at the {w} and went to the", "Because of the {w}, {N} came to the",
        "{N} talked about the {w} near the", "First {N} saw the {w} and then the",
        "{N} thought of the {w} and looked for the", "{N} had seen the {w} before the",
    ),
    "mole": (
        "{N} looked at the {w} and saw the", "Near the {w}, {N} found a",
        "{N} talked about the {w} and the", "First {N} saw the {w} and then the",
        "{N} thought of the {w} and looked for the", "{N} had seen the {w} before the",
    ),
}  # fmt: skip
"""Beginnings that fit both senses of a word: only the noun decides."""
_NO_CLUE = {
    "bank": ("{N} went to the", "{N} came back to the", "{N} saw the", "There was a"),
    "mole": ("{N} saw the", "{N} looked at the", "There was a", "{N} told us about the"),
}


def sense(draw: Draw) -> str:
    """A few sentences around one sense of `bank` or of `mole`."""
    which = draw.one(SENSES)
    sex = draw.number(0, 1)
    he = ({"he": "he", "his": "his", "him": "him"}, {"he": "she", "his": "her", "him": "her"})[sex]
    name = draw.one((MEN, WOMEN)[sex])
    parts = [_with_clue(draw, which)]
    for _ in range(draw.number(1, 3)):
        if draw.chance(0.5):
            parts.append(_with_clue(draw, which))
        elif draw.chance(0.3):
            parts.append(f"{draw.one(_NO_CLUE[which.word])} {which.word} {draw.one(which.goes_on)}.")
        elif draw.chance(0.6):
            parts.append(f"The {which.word} {draw.one(which.does)}.")
        else:
            parts.append(draw.one(which.around))
    if draw.chance(0.25):
        parts.insert(0, draw.one(which.around))
    return " ".join(sentence(part.format(N=name, **he)) for part in dict.fromkeys(parts))


def _with_clue(draw: Draw, which: Sense) -> str:
    clue = draw.one(which.clues)
    if draw.chance(0.4):
        clue = draw.one(NEUTRAL[which.word]).replace("{w}", draw.one(which.field))
    return f"{clue} {which.word} {draw.one(which.goes_on)}."
