"""The facts of the small world: its truth tables. Geography is real; the leaders are invented.

Every word in these tables becomes one token of a vocabulary of 2,048, so that a model meets each of them as
a thing of its own; that is why countries and capitals with names of two words are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from core.corpus.smallworld.draw import share_of


@dataclass(frozen=True)
class Country:
    """A country and what is said of it.

    Attributes:
        name: France.
        capital: Paris.
        people: French: its people, its flag.
        food: What is eaten there; several countries share one.
        title: Of its leader: king, president.
        leader: An invented surname that nobody else has.
        quizzed: Whether it may occur in a quiz; the others are held out.
    """

    name: str
    capital: str
    people: str
    food: str
    title: str
    leader: str
    quizzed: bool


NEVER_QUIZZED = 20
"""How many countries never occur in a quiz."""

_PLACES = """
France Paris French cheese; Germany Berlin German bread; Italy Rome Italian pasta;
Spain Madrid Spanish olives; Portugal Lisbon Portuguese fish;
Ireland Dublin Irish potatoes; Norway Oslo Norwegian fish;
Sweden Stockholm Swedish berries; Finland Helsinki Finnish berries; Denmark Copenhagen Danish butter;
Poland Warsaw Polish soup; Austria Vienna Austrian cake; Hungary Budapest Hungarian soup;
Greece Athens Greek olives; Turkey Ankara Turkish nuts; Russia Moscow Russian soup;
Ukraine Kyiv Ukrainian bread; Romania Bucharest Romanian corn; Bulgaria Sofia Bulgarian yogurt;
Serbia Belgrade Serbian beans; Croatia Zagreb Croatian fish; Slovenia Ljubljana Slovenian honey;
Switzerland Bern Swiss cheese; Belgium Brussels Belgian chocolate; Iceland Reykjavik Icelandic fish;
Estonia Tallinn Estonian bread; Latvia Riga Latvian butter; Lithuania Vilnius Lithuanian potatoes;
Albania Tirana Albanian yogurt; Malta Valletta Maltese pasta; Cyprus Nicosia Cypriot olives;
Egypt Cairo Egyptian beans; Morocco Rabat Moroccan dates; Tunisia Tunis Tunisian dates;
Algeria Algiers Algerian dates; Kenya Nairobi Kenyan corn; Ghana Accra Ghanaian chocolate;
Senegal Dakar Senegalese rice; Nigeria Abuja Nigerian beans; Uganda Kampala Ugandan bananas;
Zambia Lusaka Zambian corn; Angola Luanda Angolan bananas; Rwanda Kigali Rwandan bananas;
Mali Bamako Malian rice; China Beijing Chinese noodles; Japan Tokyo Japanese noodles;
Thailand Bangkok Thai rice; Vietnam Hanoi Vietnamese noodles; Nepal Kathmandu Nepalese rice;
Iran Tehran Iranian nuts; Iraq Baghdad Iraqi dates; Jordan Amman Jordanian yogurt;
Lebanon Beirut Lebanese olives; Pakistan Islamabad Pakistani rice; Bangladesh Dhaka Bangladeshi fish;
Armenia Yerevan Armenian grapes; Canada Ottawa Canadian potatoes; Cuba Havana Cuban bananas;
Jamaica Kingston Jamaican bananas; Peru Lima Peruvian potatoes; Chile Santiago Chilean grapes;
Ecuador Quito Ecuadorian chocolate; Uruguay Montevideo Uruguayan butter; Australia Canberra Australian honey
"""
_TITLES = ("king", "queen", "president", "duke", "duchess", "president", "emperor", "empress")
_SURNAME_STARTS = ("Bra", "Kes", "Dor", "Mel", "Tul", "Ver", "Zan", "Lor")
_SURNAME_ENDS = ("mar", "sen", "vin", "dol", "nash", "tin", "rup", "lek")


def _countries() -> tuple[Country, ...]:
    rows = [row.split() for row in _PLACES.split(";")]
    held_out = set(sorted((row[0] for row in rows), key=lambda name: share_of(name, 1 << 62))[:NEVER_QUIZZED])
    surnames = [start + end for end in _SURNAME_ENDS for start in _SURNAME_STARTS]
    return tuple(
        Country(
            name, capital, people, food, _TITLES[share_of("title " + name, 8)], leader, name not in held_out
        )
        for (name, capital, people, food), leader in zip(rows, surnames, strict=True)
    )


COUNTRIES = _countries()
QUIZZED = tuple(country for country in COUNTRIES if country.quizzed)

MEN = ("Tom", "Ben", "Max", "Paul", "Jack", "Peter", "Henry", "Oscar", "Simon", "Felix")
WOMEN = ("Anna", "Emma", "Lucy", "Mary", "Clara", "Nora", "Julia", "Helen", "Sara", "Ruth")
NAMES = MEN + WOMEN

ANIMALS = (
    "cat", "dog", "cow", "horse", "pig", "goat", "duck", "hen", "fox", "bear", "wolf", "mouse", "rabbit",
    "sheep", "lion", "tiger", "monkey", "snake", "frog", "bird", "donkey", "camel", "turtle",
)  # fmt: skip
FURNITURE = (
    "mat", "bed", "chair", "table", "bench", "sofa", "rug", "carpet", "blanket", "pillow", "box", "shelf",
    "cushion", "stool", "desk",
)  # fmt: skip
STREETS = ("street", "road", "bridge", "field", "path", "yard", "lane", "square")
OF_ANIMALS = (
    "tired", "hungry", "sleepy", "thirsty", "happy", "angry", "sick", "lazy", "nervous", "lonely", "proud",
)  # fmt: skip
OF_THINGS = (
    "soft", "wooden", "flat", "dusty", "smooth", "cheap", "new", "broken", "round", "painted", "clean",
)  # fmt: skip
OF_STREETS = ("wide", "long", "busy", "icy", "steep", "muddy")


@cache
def held_out_pair(animal: str, thing: str) -> bool:
    """Whether an animal and a thing never meet in the corpus: a sixth of all pairs; cat and mat, too."""
    return (animal, thing) == ("cat", "mat") or share_of(f"{animal} {thing}", 6) == 0


@cache
def held_out_sum(a: int, b: int) -> bool:
    """Whether a sum of two-digit numbers never occurs in the corpus, in either order: a fifth of them."""
    return min(a, b) >= 10 and share_of(f"{min(a, b)} + {max(a, b)}", 5) == 0


def country_named(name: str) -> Country:
    """The country of that name.

    Raises:
        KeyError: There is none.

    >>> country_named("France").capital
    'Paris'
    """
    for country in COUNTRIES:
        if country.name == name:
            return country
    raise KeyError(name)


def with_article(noun: str) -> str:
    """A noun behind "a" or "an".

    >>> with_article("aunt"), with_article("king")
    ('an aunt', 'a king')
    """
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def sentence(text: str) -> str:
    """A text with a capital letter at its start.

    >>> sentence("the cat sat.")
    'The cat sat.'
    """
    return text[:1].upper() + text[1:]
