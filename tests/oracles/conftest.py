"""Random text that is hard on splitters: every kind of character, runs of white space, contractions, emoji."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

SPACES = " \t\n\r\u00a0\u2003\u3000\x0b\x85\u2028"
PIECES = (
    "the", " The", "'s", "'LL", "I'm", "don't", "2024", " 7", "3.14", "\r\n", "  ", "\n\n", "naïve", "Straße", "e\u0301",
    "的一是", "हिन्दी", "مرحبا", "ไทย", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "ǅ", "ʼn", "Ⅷ", "½", "__init__", "){", "/", "…", "\u0000", "\ufffd",
)  # fmt: skip


def random_text(rng: random.Random, longest: int = 40) -> str:
    """A text of up to `longest` pieces; any code point but surrogates may be in it, assigned or not."""
    return "".join(_piece(rng) for _ in range(rng.randint(0, longest)))


def _piece(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(PIECES)
    if kind < 0.5:
        return rng.choice(SPACES) * rng.choice((1, 1, 2, 5))
    if kind < 0.6:
        return chr(rng.randint(0x20, 0x7E))
    if kind < 0.75:
        return chr(rng.randint(0xA0, 0x2FFF))
    if kind < 0.9:
        return chr(rng.choice((rng.randint(0x3000, 0xD7FF), rng.randint(0xE000, 0x1FFFF))))
    return chr(rng.randint(0x20000, 0x10FFFF))


def white_space(rng: random.Random, length: int) -> str:
    """A run of mixed white space, or of one kind."""
    return "".join(rng.choices(rng.choice((" ", "\n", " \t", " \t\n\u00a0", SPACES)), k=length))


@dataclass(frozen=True)
class HardTexts:
    """What an oracle test makes its texts of."""

    text: Callable[..., str] = random_text
    white_space: Callable[[random.Random, int], str] = white_space
    pieces: tuple[str, ...] = PIECES


@pytest.fixture(scope="session")
def hard() -> HardTexts:
    return HardTexts()
