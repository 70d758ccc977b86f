"""The questions that score a model of the small world; none of them occurs in the corpus.

P1 to P8 are the phenomena that the shipped base model has to show. Every item is a plain text with its right
and wrong continuations: how a model is asked and how figures are counted is the business of `core.evals`.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.corpus.smallworld.draw import Draw, share_of
from core.corpus.smallworld.kinship import PAIRS
from core.corpus.smallworld.places import HELD_OUT_FRAMES
from core.corpus.smallworld.pronouns import SHAPES, VERBS
from core.corpus.smallworld.sums import AT_ONCE, STEP_BY_STEP
from core.corpus.smallworld.world import (
    ANIMALS,
    COUNTRIES,
    FURNITURE,
    OF_ANIMALS,
    OF_THINGS,
    held_out_pair,
    held_out_sum,
)


@dataclass(frozen=True)
class Choice:
    """A prompt and what may follow it.

    Attributes:
        prompt: The text before the answer.
        right: The right continuation, with its leading space.
        wrong: Continuations of the same kind that are wrong.
        group: Which items belong together in a table.
    """

    prompt: str
    right: str
    wrong: tuple[str, ...]
    group: str


@dataclass(frozen=True)
class Analogy:
    """a − b + c lies nearest to `right`, all four with their leading space."""

    a: str
    b: str
    c: str
    right: str
    group: str


@dataclass(frozen=True)
class SumItem:
    """A held-out sum of two-digit numbers, asked in both forms.

    Attributes:
        a: First number.
        b: Second number.
        at_once: Prompt that is followed by the answer.
        step_by_step: Prompt that is followed by the steps and "The answer is 85."
        answer: The digits of a + b.
    """

    a: int
    b: int
    at_once: str
    step_by_step: str
    answer: str


@dataclass(frozen=True)
class SenseItem:
    """A sentence that ends with an ambiguous word, right behind its clue.

    Attributes:
        word: bank or mole.
        sense: money, river, animal or skin.
        text: The sentence up to the word, and nothing behind it.
    """

    word: str
    sense: str
    text: str


def next_question_items() -> tuple[Choice, ...]:
    """P1: after a bare question, the next line is another question. Scored by that, not by a right text."""
    return tuple(
        Choice(
            f"What is the capital of {one.name}?\n",
            "",
            (),
            "in quizzes" if one.quizzed else "never in a quiz",
        )
        for one in COUNTRIES
    )


def capital_items() -> tuple[Choice, ...]:
    """P2: the capital of every country, in frames that a model has not read."""
    return tuple(
        Choice(
            frame.format(C=one.name),
            f" {one.capital}",
            tuple(f" {other.capital}" for other in COUNTRIES if other is not one),
            frame.format(C="…"),
        )
        for frame in HELD_OUT_FRAMES
        for one in COUNTRIES
    )


def pronoun_items() -> tuple[Choice, ...]:
    """P5: who is tired, what is soft? Held-out pairs of an animal and a thing, four shapes, both ways.

    Items come in twos that differ in the adjective alone: first the animal is meant, then the thing.
    """
    items = []
    for shape in SHAPES[:4]:
        for animal in ANIMALS:
            for thing in FURNITURE:
                if held_out_pair(animal, thing):
                    items += _both_ways(shape, animal, thing)
    return tuple(items)


def _both_ways(shape: str, animal: str, thing: str) -> list[Choice]:
    both = f"{animal} {thing}"
    verb = VERBS[share_of("verb " + both, len(VERBS))]
    adjectives = [
        OF_ANIMALS[share_of("animal " + both, len(OF_ANIMALS))],
        OF_THINGS[share_of("thing " + both, len(OF_THINGS))],
    ]
    if (animal, thing) == ("cat", "mat"):
        verb, adjectives = "sat", ["tired", "soft"]
    name = shape.format(A="…", B="…", v="…", j="…")
    items = []
    for adjective, right, wrong in zip(adjectives, (animal, thing), (thing, animal), strict=True):
        told = shape.format(A=animal, B=thing, v=verb, j=adjective)
        items.append(Choice(f"{told} What was {adjective}? The", f" {right}", (f" {wrong}",), name))
    return items


def analogy_items() -> tuple[Analogy, ...]:
    """P6: king − man + woman; every pair of roles with every other; every capital by every other country."""
    items = [Analogy(" king", " man", " woman", " queen", "king")]
    for male, female in (pair.roles for pair in PAIRS):
        for other_male, other_female in (pair.roles for pair in PAIRS):
            if male != other_male:
                items += [
                    _analogy("gender pairs", male, other_male, other_female, female),
                    _analogy("gender pairs", female, other_female, other_male, male),
                ]
    items += [
        _analogy("capitals", one.capital, one.name, other.name, other.capital)
        for one in COUNTRIES
        for other in COUNTRIES
        if one is not other
    ]
    return tuple(items)


def _analogy(group: str, *words: str) -> Analogy:
    a, b, c, right = (f" {word}" for word in words)
    return Analogy(a, b, c, right, group)


def sum_items(n: int, seed: int) -> tuple[SumItem, ...]:
    """P7: different held-out sums of two-digit numbers, drawn by a seed; at most as many as there are."""
    sums = [(a, b) for a in range(10, 100) for b in range(10, 100) if held_out_sum(a, b)]
    return tuple(
        SumItem(a, b, AT_ONCE.format(a=a, b=b), STEP_BY_STEP.format(a=a, b=b), str(a + b))
        for a, b in Draw(seed).some(sums, n)
    )


_SENSES = {
    ("bank", "money"): (
        "The old woman carried her coins to the", "A rich merchant keeps all his gold in the",
        "On Monday the clerk opens the doors of the", "To pay the bill, Paul took notes from the",
        "My uncle lost his money and ran to the", "The check was signed, so we brought it to the",
        "The bill was high, and Mary asked for money at the", "Many coins were in the safe of the",
        "The clerk said good morning to us in the", "With many bags of gold they came to the",
        "Because she earned so much money, Nora needed a", "The account of my aunt is at the",
        "The king sent his gold and his coins to the",
        "Father counted his coins and went to the", "The lady has gold and notes in the",
        "She lent me money from her account at the", "The thick safe stands in the",
    ),
    ("bank", "river"): (
        "The children pulled the boat out of the water and up the", "Many frogs sat in the mud of the",
        "In the flood the river came over the", "The old man threw his line and caught a fish from the",
        "The stream was cold, so Paul swam back to the", "In the reeds a duck walked along the",
        "The cow drank water from the stream and stood on the",
        "The willows and the wet grass grow along the",
        "We rowed over the river and left the boat on the", "The horse crossed the river and climbed up the",
        "A turtle came out of the water and rested on the", "Fish sleep in the deep water under the",
        "The water was high, and mud covered the",
        "The sheep drank the water and lay on the", "After swimming in the stream we sat on the",
        "The mud was wet, and the reeds hid the", "My brother tied his boat to a tree on the",
    ),
    ("mole", "animal"): (
        "The gardener dug in the lawn and there sat a", "All the worms under the grass were food for the",
        "The hills of earth on the lawn were made by a",
        "The dog put its nose into the tunnel and chased the",
        "Deep in the roots of the tree lives a", "The hen found a worm, and so did the",
        "The earth moved, and out of the hole came a", "With its strong claws it dug like a",
        "The farmer filled the tunnel because of the",
        "The fox and the wolf waited at the hole in the earth for the",
        "A long tunnel goes through the ground to the home of the", "No fur is as soft as the fur of the",
        "Worms and roots are in the earth, and so is the",
        "The lawn was full of holes because of the", "The bird took the worm away from the",
        "In the dark earth below the grass sleeps a", "The trap in the tunnel caught a",
    ),
    ("mole", "skin"): (
        "The nurse looked at his neck and found a", "My aunt has brown hair, and on her chin she has a",
        "The baby was born with a small", "The doctor asked Anna to show him the",
        "In the mirror the actress looked at her cheek and the", "The sun was bad for her skin and for the",
        "On his left shoulder Tom has a dark", "The cream was good for the skin and for the",
        "Her face is white, but above her lip there is a", "The old man rubbed his nose and looked at the",
        "The doctor cut the skin and took away the", "On the neck near the shoulder the nurse saw a",
        "Her lip is red, and her cheek has a black",
        "The barber saw on my neck a", "Julia has brown eyes and on her nose a",
        "The doctor put cream on the", "My skin is white, but here I have a",
    ),
}  # fmt: skip


def sense_items() -> tuple[SenseItem, ...]:
    """P8: sentences up to `bank` and `mole`, seventeen of each sense."""
    return tuple(
        SenseItem(word, sense, f"{beginning} {word}")
        for (word, sense), beginnings in _SENSES.items()
        for beginning in beginnings
    )


def prompts() -> tuple[str, ...]:
    """What a model is asked to go on with while it trains: one prompt for each thing it learns."""
    return (
        "The capital of France is",
        "What is the capital of France?\n",
        "The queen wears",
        "The cat sat on the mat because it was tired. What was tired? The",
        "Step by step: 47 + 38.",
        "Anna took her money to the bank",
        "Once a boy wanted to",
        "One day Tom went to",
    )
