"""Text made to hurt: 1 MiB of each of 30 kinds is encoded in time that grows with its length, and comes back.

Bars (reliability.md, test 7): 2 s for 1 MiB of each kind, and twice the text takes at most 2.3 times as long.
The default run encodes 1/8 MiB with wider bars, because short times are noisy; --long holds the bars themselves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from core.tokenizer.known import load_known
from core.tokenizer.merging import PairMerger
from core.tokenizer.patterns import PATTERNS
from core.tokenizer.tokenizer import Tokenizer

MIB = 1 << 20
Text = TypeVar("Text", str, bytes)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def repeated(unit: str) -> Callable[[int], str]:
    """The unit again and again, up to n bytes."""
    size = len(unit.encode("utf-8"))
    return lambda n: unit * (n // size)


def mixed(alphabet: str) -> Callable[[int], str]:
    """Random characters of an alphabet, about n bytes."""
    size = sum(len(char.encode("utf-8")) for char in alphabet) / len(alphabet)
    return lambda n: "".join(random.Random(1).choices(alphabet, k=int(n / size)))


KINDS: dict[str, Callable[[int], str]] = {
    "one letter": repeated("a"),
    "one capital": repeated("A"),
    "capitals, then one small letter": lambda n: "A" * (n - 1) + "a",
    "two letters in turn": repeated("ab"),
    "random letters without a space": mixed(LETTERS),
    "random letters of both cases": mixed(LETTERS + LETTERS.upper()),
    "a long word that BPE knows well": repeated("the"),
    "one letter and a space": repeated("a "),
    "spaces": repeated(" "),
    "spaces before a letter": lambda n: " " * (n - 1) + "a",
    "spaces before a digit": lambda n: " " * (n - 1) + "1",
    "spaces before a point": lambda n: " " * (n - 1) + ".",
    "tabs": repeated("\t"),
    "line breaks": repeated("\n"),
    "line breaks of Windows": repeated("\r\n"),
    "line breaks and spaces in turn": repeated("\n "),
    "spaces with one line break at the end": lambda n: " " * (n - 1) + "\n",
    "no-break spaces": repeated("\u00a0"),
    "mixed white space": mixed(" \t\n\r\u00a0\u2003\u3000"),
    "digits": repeated("1"),
    "random digits": mixed("0123456789"),
    "apostrophes": repeated("'"),
    "contractions": repeated("'s"),
    "points": repeated("."),
    "random punctuation": mixed('!"#$%&()*+,-./:;<=>?@[]^_{|}~'),
    "zero bytes": repeated("\x00"),
    "combining marks": lambda n: "e" + "\u0301" * (n // 2),
    "emoji with joiners": repeated("👩\u200d"),
    "Chinese without a space": mixed("的一是不了人我在有他这中大来上"),
    "random Unicode": lambda n: "".join(map(chr, random.Random(2).choices(range(0x20, 0xD800), k=n // 3))),
}


def linear(work: Callable[[Text], object], half: Text, whole: Text, long: bool) -> tuple[float, float]:
    """The least processor time of each of two texts, taken in turns, which must not differ too much.

    The half is taken twice in a row, so that both are measured over equally long stretches: other work on the
    machine then disturbs both alike. It only adds time, so turns are taken until the bar is met, at most 12 of
    them; a quadratic path takes four times as long for twice the text in each of them.
    """
    ratio, slack = (2.3, 0.0) if long else (3.0, 0.02)
    short = full = float("inf")
    for _ in range(12):
        began = time.process_time()
        work(half)
        work(half)
        middle = time.process_time()
        work(whole)
        short, full = min(short, (middle - began) / 2), min(full, time.process_time() - middle)
        if full <= ratio * short + slack:
            break
    assert full <= ratio * short + slack
    return short, full


def cold(tokenizer: Tokenizer) -> Callable[[str], object]:
    """Encoding as it is the first time, when no word of the text has been seen."""

    def work(text: str) -> object:
        tokenizer._words.clear()
        return tokenizer.encode(text)

    return work


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One vocabulary is enough for the default run; --long takes all."""
    if "tokenizer" in metafunc.fixturenames:
        names = ["gpt2", "cl100k", "o200k"] if metafunc.config.getoption("--long") else ["cl100k"]
        metafunc.parametrize("tokenizer", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    found = load_known(request.param)
    found.encode("ready")  # what is worked out once is not part of the time
    return found


def test_thirty_kinds_are_thirty() -> None:
    assert len(KINDS) == 30


@pytest.mark.parametrize("kind", KINDS)
def test_pathological_text_takes_time_that_grows_with_its_length(
    kind: str, tokenizer: Tokenizer, long: bool, report: Callable[[str, object], None]
) -> None:
    size = MIB if long else MIB // 8
    whole, half = KINDS[kind](size), KINDS[kind](size // 2)
    assert tokenizer.decode(tokenizer.encode(whole)) == whole.encode("utf-8")
    short, full = linear(cold(tokenizer), half, whole, long)
    report(f"{tokenizer.name}, {size >> 10} KiB, {kind}", f"{full:.3f} s, x {full / max(short, 1e-9):.2f}")
    assert full <= (2.0 if long else 0.5)


@pytest.mark.parametrize(
    "kind", ["one letter", "random letters without a space", "spaces", "Chinese without a space"]
)
def test_a_text_that_is_one_word_stays_linear_too(kind: str, tokenizer: Tokenizer, long: bool) -> None:
    whole_text = Tokenizer("one word", PATTERNS["none"], tokenizer.tokens, tokenizer.merges)
    size = MIB if long else MIB // 8
    whole, half = KINDS[kind](size), KINDS[kind](size // 2)
    assert whole_text.decode(whole_text.encode(whole)) == whole.encode("utf-8")
    linear(cold(whole_text), half, whole, long)


@pytest.mark.parametrize("kind", ["one letter", "random letters without a space", "two letters in turn"])
def test_the_exact_encoder_has_no_quadratic_path(
    kind: str, tokenizer: Tokenizer, long: bool, report: Callable[[str, object], None]
) -> None:
    """The encoder for files where spelling is not enough is Python: slower, but n log n all the same."""
    merger = PairMerger(tokenizer.tokens, tokenizer.merges)
    size = MIB if long else MIB // 16
    whole, half = KINDS[kind](size).encode(), KINDS[kind](size // 2).encode()
    short, full = linear(merger.encode, half, whole, long)
    report(
        f"exact encoder, {tokenizer.name}, {size >> 10} KiB, {kind}", f"{full:.2f} s, x {full / short:.2f}"
    )
