"""The small world as it would come from the web: with noise, copies, boilerplate, personal data and junk.

Every fault is labeled, so that a cleaning can be scored. Persons, addresses and numbers are made up: mail
addresses end in the domains, telephone numbers lie in the range (555-0100 to 555-0199), that are reserved
for examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.corpus.smallworld.draw import Draw, Weights
from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.settings import SmallWorldSettings
from core.corpus.smallworld.world import COUNTRIES, NAMES
from core.settings import check

CLEAN = ""
EXACT = "exact duplicate"
NEAR = "near duplicate"
NOISE = "noise"
BOILERPLATE = "boilerplate"
PERSONAL = "personal data"
JUNK = "junk"
LABELS = (EXACT, NEAR, NOISE, BOILERPLATE, PERSONAL, JUNK)

_MIXTURE = Weights(
    [
        (CLEAN, 0.62),
        (EXACT, 0.06),
        (NEAR, 0.06),
        (NOISE, 0.08),
        (BOILERPLATE, 0.09),
        (PERSONAL, 0.05),
        (JUNK, 0.04),
    ]
)
_KEPT = 400  # documents among which a copy finds its original


@dataclass(frozen=True)
class RawDocument:
    """A document as it was found.

    Attributes:
        text: The text with its faults.
        source: The template family, or "junk".
        labels: What is wrong with it, of `LABELS`; empty where it is clean.
    """

    text: str
    source: str
    labels: tuple[str, ...]


def raw_documents(settings: SmallWorldSettings) -> Iterator[RawDocument]:
    """Raw documents until their words are enough, the same from the same seed.

    Raises:
        LabError: A setting is outside its limits.
    """
    check(settings)
    return _raw_documents(settings)


def _raw_documents(settings: SmallWorldSettings) -> Iterator[RawDocument]:
    draw = Draw(settings.seed + 1)
    kept: list[RawDocument] = []
    words = 0
    for number, document in enumerate(documents(settings)):
        one = RawDocument(document.text, document.source, ())
        if kept or number:
            one = _spoiled(draw, one, kept)
        if len(kept) < _KEPT:
            kept.append(one)
        else:
            kept[number % _KEPT] = one
        words += len(one.text.split())
        yield one
        if words >= settings.words:
            return


def _spoiled(draw: Draw, one: RawDocument, kept: list[RawDocument]) -> RawDocument:
    """A document with one fault, seldom with two, or as it was."""
    label = draw.weighted(_MIXTURE)
    if label == CLEAN:
        return one
    if label == JUNK:
        return RawDocument(draw.one(_JUNK)(draw), JUNK, (JUNK,))
    if label in (EXACT, NEAR):
        original = draw.one(kept)
        text = original.text if label == EXACT else _nearly(draw, original.text)
        rest = tuple(other for other in original.labels if other not in (EXACT, NEAR))
        return RawDocument(text, original.source, (label, *rest))
    text, labels = _CHANGES[label](draw, one.text), [label]
    if draw.chance(0.1):
        second = draw.one([other for other in _CHANGES if other != label])
        text = _CHANGES[second](draw, text)
        labels.append(second)
    return RawDocument(text, one.source, tuple(labels))


def _nearly(draw: Draw, text: str) -> str:
    """A copy with a sentence less, or a word more, or other spaces."""
    sentences = text.split(". ")
    if len(sentences) > 2 and draw.chance(0.5):
        sentences.pop(draw.number(0, len(sentences) - 2))
        return ". ".join(sentences)
    return draw.one(
        (f"{text} This was copied.", f"Note: {text}", f"{text}\n\n", text.replace(". ", ".  "), text.upper())
    )


def _typos(draw: Draw, text: str) -> str:
    """Letters swapped, lost, doubled or misread, in about a word in five."""
    words = text.split(" ")
    for at, word in enumerate(words):
        if len(word) > 3 and word.isalpha() and draw.chance(0.25):
            cut = draw.number(1, len(word) - 2)
            words[at] = draw.one(
                (
                    word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :],
                    word[:cut] + word[cut + 1 :],
                    word[:cut] + word[cut] * 3 + word[cut + 1 :],
                    word.replace("l", "1").replace("o", "0").replace("e", "c"),
                    word.swapcase(),
                )
            )
    return " ".join(words)


def _marked_up(_draw: Draw, text: str) -> str:
    return f'<div class="text"><p>{text.replace(". ", ".</p><p>")}</p></div>&nbsp;'


def _wrongly_decoded(_draw: Draw, text: str) -> str:
    """Quotation marks and spaces as they look after two wrong conversions."""
    return text.replace('"', "â€œ").replace("'", "â€™").replace(". ", ".Â ")


def _noise(draw: Draw, text: str) -> str:
    spoiled = draw.one((_typos, _typos, _marked_up, _wrongly_decoded))(draw, text)
    return spoiled if spoiled != text else _marked_up(draw, text)


_ABOVE = (
    "Home | News | Sports | Weather | Contact", "You are here: Home > Articles > Page 3",
    "We use cookies. By reading on you accept our cookies.", "Share this page with your friends!",
    "Menu\nSearch\nLog in", "Advertisement",
)  # fmt: skip
_BELOW = (
    "All rights reserved.", "Click here to read more.", "Subscribe to our newsletter today!",
    "Terms of use | Privacy | Imprint", "Posted in General. Leave a comment.", "Page 1 of 12. Next page >>",
    "Buy now and save 20 %!",
)  # fmt: skip


def _boilerplate(draw: Draw, text: str) -> str:
    above = draw.one(_ABOVE) + "\n" if draw.chance(0.6) else ""
    below = "\n" + "\n".join(draw.some(_BELOW, draw.number(1, 3)))
    return above + text + below


_FAMILY_NAMES = (
    "Appleby",
    "Birdwell",
    "Crowhurst",
    "Dunmore",
    "Eastlake",
    "Fairweather",
    "Goodacre",
    "Hartnoll",
)
_STREETS = ("Mill Lane", "Station Road", "Rose Street", "Castle Hill", "Garden Path")


def _personal(draw: Draw, text: str) -> str:
    """Somebody's address, telephone number or birthday among the sentences."""
    first, last = draw.one(NAMES), draw.one(_FAMILY_NAMES)
    number = f"555-01{draw.number(0, 99):02}"
    mail = f"{first.lower()}.{last.lower()}@example.{draw.one(('com', 'org', 'net'))}"
    fact = draw.one(
        (
            f"Contact {first} {last} at {mail}.",
            f"Call {first} {last}: {number}.",
            f"{first} {last}, {draw.number(1, 99)} {draw.one(_STREETS)}, {draw.one(COUNTRIES).capital}.",
            f"{first} {last} was born on {draw.number(1, 28)}.{draw.number(1, 12)}."
            f"{draw.number(1950, 2010)}, telephone {number}.",
            f"Customer {draw.number(100000, 104000)}: {first} {last}, {mail}, {number}.",
        )
    )
    sentences = text.split(". ")
    sentences.insert(draw.number(0, len(sentences) - 1), fact[:-1])
    return ". ".join(sentences)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _random_letters(draw: Draw) -> str:
    return " ".join(
        "".join(draw.one(_LETTERS) for _ in range(draw.number(2, 11))) for _ in range(draw.number(8, 30))
    )


def _one_word(draw: Draw) -> str:
    return " ".join([draw.one(("buy", "click", "free", "win", "aaa", "lol"))] * draw.number(15, 60))


def _key_smash(draw: Draw) -> str:
    return "".join(draw.one("asdfjkl;!?#%&*()[]{}<>0123456789") for _ in range(draw.number(40, 160)))


def _numbers(draw: Draw) -> str:
    return "\n".join("\t".join(str(draw.number(0, 999)) for _ in range(5)) for _ in range(draw.number(4, 12)))


def _program(draw: Draw) -> str:
    name = draw.one(_LETTERS)
    return f"for (var {name} = 0; {name} < {draw.number(2, 99)}; {name}++) {{ document.write({name}); }}"


_JUNK: tuple[Callable[[Draw], str], ...] = (_random_letters, _one_word, _key_smash, _numbers, _program)
_CHANGES: dict[str, Callable[[Draw, str], str]] = {
    NOISE: _noise,
    BOILERPLATE: _boilerplate,
    PERSONAL: _personal,
}
