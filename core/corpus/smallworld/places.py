"""Countries, capitals and leaders.

The sentences in `SHARED` are said of a country and of its capital alike: so both get the same company in the
text, and "Paris − France" comes to equal "Rome − Italy". `OF_COUNTRY` and `OF_CITY` tell the two kinds apart.
`HELD_OUT_FRAMES` are never written: they ask for the capital in words that a model has not met.
"""

from __future__ import annotations

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.world import COUNTRIES, NAMES, Country, sentence

CORES = (
    "the capital of {C} is {P}",
    "the capital of {C} is {P}",
    "the capital of {C} is {P}",
    "the capital of {C} is {P}",
    "{P} is the capital of {C}",
    "{P} is the capital of {C}",
    "{P} is the capital of {C}",
    "in {C} the capital is {P}",
    "in {C} the capital city is {P}",
    "the capital city of {C} is {P}",
    "the capital city of {C} is {P}",
    "the capital city of {C} has the name {P}",
    "the capital of {C} has the name {P}",
    "the name of the capital of {C} is {P}",
    "{C} has its capital in {P}",
    "{C} is a country, and its capital is {P}",
    "{C} has a capital, and it is {P}",
)
OPENINGS = (
    "everybody knows that {}.",
    "our teacher says that {}.",
    "{N} has heard that {}.",
    "{N} wrote that {}.",
    "it is true that {}.",
    "the book says that {}.",
    "the map shows that {}.",
    "I think that {}.",
    "as you know, {}.",
    "of course {}.",
    "you can read that {}.",
    "today we read that {}.",
    "I am sure that {}.",
    "my brother says that {}.",
    "children learn that {}.",
)
WHOLE = (
    "{N} lives in {P}, the capital of {C}.",
    "If you ask for the capital of {C}, people say {P}.",
    "{N} asked for the capital of {C}, and the answer was {P}.",
    "The train goes to the capital of {C}, to {P}.",
    "Country: {C}. Capital: {P}.",
    "{P} is a city. It is the capital of {C}.",
    "We went to {C} and saw the capital, {P}.",
    "A card came from {C}. It showed the capital, {P}.",
    "{C} is a country. The capital is {P}.",
    "Not every city is a capital, but {P} is the capital of {C}.",
    "{N} found {C} on the map. The capital is {P}.",
    "The big city in {C} is the capital, {P}.",
)
HELD_OUT_FRAMES = (
    "In school we learned that the capital of {C} is",
    "My mother told me that the capital of {C} is",
    "All children know that the capital of {C} is",
    "The old man said that the capital city of {C} is",
    "The name of the capital city of {C} is",
    "{C} is a large country, and the capital city is",
    "We talked about {C}. The capital is",
    "In the towns and in the villages of {C} people know that the capital is",
    "My uncle sent me a card and wrote that the capital of {C} is",
    "The children of the village have learned that the capital city of {C} is",
    "The queen asked for {C}. Its capital is",
    "In our library a book about {C} says that the capital is",
)
"""Ways to ask for a capital that never occur in the corpus; each ends before the answer."""

SHARED = (
    "Many {D} people live in {X}.",
    "The {D} flag flies over {X}.",
    "{S} lives in {X}.",
    "In {X} people eat {D} {F}.",
    "Everybody in {X} knows {S}.",
    "We met {D} friends in {X}.",
    "You can hear {D} music in {X}.",
    "{S} was born in {X}.",
    "You can buy {D} {F} in {X}.",
    "{X} is the home of {S}.",
    "The people of {X} trust {S}.",
    "{N} learned {D} songs in {X}.",
    "In {X} you see the {D} flag.",
    "All of {X} listens when {S} speaks.",
    "{N} will visit {X} and eat {F}.",
    "{S} came back to {X}.",
    "The {D} team comes from {X}.",
    "There is a picture of {S} in {X}.",
    "{S} met {D} people in {X}.",
    "{S} eats {D} {F} in {X}.",
    "{S} has a house in {X}.",
    "{N} saw {S} in {X}.",
)
OF_COUNTRY = (
    "{C} is a country.",
    "The border of {C} is long.",
    "{C} has many towns.",
    "There are many villages in {C}.",
    "The map shows all of {C}.",
    "{N} crossed the border of {C}.",
    "The rivers of {C} are long.",
    "In the south of {C} there are farms.",
    "{C} is larger than a city.",
)
OF_CITY = (
    "{P} is a city.",
    "The streets of {P} are busy.",
    "The mayor of {P} is friendly.",
    "There are many buses in {P}.",
    "The station of {P} is big.",
    "{N} got lost in the streets of {P}.",
    "The center of {P} is full of shops.",
    "The bells of {P} ring at noon.",
    "The towers of {P} are tall.",
)
OF_LEADER = (
    "The {T} of {C} is {S}.",
    "{S} is the {T} of {C}.",
    "{C} is ruled by {S}.",
    "The {T} of {C} has the name {S}.",
    "{S} rules {C}.",
    "The people of {C} call their {T} {S}.",
    "In {C} the {T} is {S}.",
    "The leader of {C} is {S}.",
)


def fill(draw: Draw, template: str, country: Country, place: str = "") -> str:
    """A sentence about a country; `place` stands where the country or its capital could."""
    name = draw.one(NAMES) if "{N}" in template else ""
    return template.format(
        C=country.name, P=country.capital, D=country.people, F=country.food, T=country.title,
        S=country.leader, X=place, N=name,
    )  # fmt: skip


def capital_sentence(draw: Draw, country: Country) -> str:
    """One sentence that names a country's capital."""
    if draw.chance(0.25):
        return fill(draw, draw.one(WHOLE), country)
    core = draw.one(CORES)
    if draw.chance(0.6):
        return fill(draw, sentence(core) + ".", country)
    return sentence(fill(draw, draw.one(OPENINGS).replace("{}", core), country))


def leader_sentence(draw: Draw, country: Country) -> str:
    """One sentence that names a country's leader."""
    return fill(draw, draw.one(OF_LEADER), country)


def shared_sentence(draw: Draw, country: Country) -> str:
    """One sentence that is said of the country or of its capital."""
    place = country.name if draw.chance(0.5) else country.capital
    return fill(draw, draw.one(SHARED), country, place)


def any_sentence(draw: Draw, country: Country) -> str:
    """One sentence about a country, of any sort."""
    if draw.chance(0.2):
        return capital_sentence(draw, country)
    if draw.chance(0.7):
        return shared_sentence(draw, country)
    pool = draw.one((OF_COUNTRY, OF_CITY, OF_LEADER))
    return fill(draw, draw.one(pool), country)


def country(draw: Draw) -> str:
    """A page about one country."""
    one = draw.one(COUNTRIES)
    parts = [any_sentence(draw, one) for _ in range(draw.number(3, 7))]
    parts.insert(draw.number(0, len(parts)), capital_sentence(draw, one))
    parts = list(dict.fromkeys(parts))
    if len(parts) > 3 and draw.chance(0.2):  # two paragraphs
        middle = draw.number(2, len(parts) - 1)
        return " ".join(parts[:middle]) + "\n" + " ".join(parts[middle:])
    return " ".join(parts)


def countries(draw: Draw) -> str:
    """Several countries, a sentence each."""
    chosen = draw.some(COUNTRIES, draw.number(3, 7))
    if draw.chance(0.25):
        return _list(draw, chosen)
    return " ".join(
        capital_sentence(draw, one) if draw.chance(0.4) else any_sentence(draw, one) for one in chosen
    )


def _list(draw: Draw, chosen: list[Country]) -> str:
    """A list in one line."""
    head = draw.one(("A list of capitals:", "Countries and capitals:", "From the map:", "Learn this list:"))
    form = draw.one(("{C}, {P};", "{C} with {P};", "{P} in {C};", "{C}: {P};"))
    return f"{head} {' '.join(form.format(C=one.name, P=one.capital) for one in chosen)[:-1]}."
