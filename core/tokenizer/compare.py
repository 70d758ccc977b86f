"""Texts and tokenizers side by side: counts, differing words, why tokens, languages, chunks.

Pure functions on a text; a window calls them on a worker. What tokens cost is in `prices.py`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import regex

from core.problems import LabError
from core.tokenizer.tokenizer import Tokenizer, utf8

_WORD = regex.compile(r"\w+(?:['’]\w+)*+|[^\w\s]")  # a run of letters and digits, or one other sign
LONG_WORD = 24  # characters: a longer stretch without a cut is cut wherever all tokenizers do


# Counts


@dataclass(frozen=True, slots=True)
class TextCount:
    """One text through one tokenizer.

    Attributes:
        name: Of the tokenizer.
        tokens: How many.
        characters: Unicode code points of the text.
        bytes: Of the text in UTF-8.
        words: Stretches between white space.
    """

    name: str
    tokens: int
    characters: int
    bytes: int
    words: int

    @property
    def characters_per_token(self) -> float:
        """Characters a token stands for on average; 0 for an empty text."""
        return self.characters / self.tokens if self.tokens else 0.0

    @property
    def bytes_per_token(self) -> float:
        """Bytes a token stands for on average; 0 for an empty text."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def words_per_token(self) -> float:
        """Words a token stands for on average, commonly below 1; 0 for an empty text."""
        return self.words / self.tokens if self.tokens else 0.0


def text_counts(text: str, tokenizers: Sequence[Tokenizer]) -> list[TextCount]:
    """What each tokenizer makes of a text.

    Raises:
        LabError: As `Tokenizer.encode`.
    """
    size, words = len(utf8(text)), len(text.split())
    return [TextCount(t.name, len(t.encode(text)), len(text), size, words) for t in tokenizers]


@dataclass(frozen=True, slots=True)
class DifferingWord:
    """A stretch of text that tokenizers cut differently.

    Attributes:
        text: The stretch, with the space before it.
        start: Where it first stands, in characters.
        count: How often it stands in the text, cut in this way.
        pieces: For each tokenizer, the bytes of its tokens.
    """

    text: str
    start: int
    count: int
    pieces: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """Where tokenizers differ on a text.

    Attributes:
        words: The first that differ, each once.
        distinct: How many different ones differ in the whole text.
        places: In how many places.
        total: How many stretches the text has in all.
    """

    words: tuple[DifferingWord, ...]
    distinct: int
    places: int
    total: int


def words_that_differ(text: str, tokenizers: Sequence[Tokenizer], at_most: int = 100) -> Differences:
    """The words of a text that these tokenizers cut differently, in the order of the text.

    A text is cut into words where all tokenizers' patterns do; the pattern "none" has no say, but no word
    ends inside one of its tokens.

    Raises:
        LabError: As `Tokenizer.encode`.
    """
    tokens = [list(tokenizer.token_spans(text)) for tokenizer in tokenizers]
    starts = [_clean_starts([(span.start, span.partial) for span in spans]) for spans in tokens]
    cuts = _cuts(text, tokenizers, starts)
    at = [0] * len(tokenizers)
    found: dict[tuple[str, tuple[tuple[bytes, ...], ...]], list[int]] = {}
    places = 0
    for start, end in pairwise(cuts):
        pieces = []
        for which, spans in enumerate(tokens):
            first = at[which]
            while at[which] < len(spans) and spans[at[which]].start < end:
                at[which] += 1
            pieces.append(tuple(span.bytes for span in spans[first : at[which]]))
        if any(other != pieces[0] for other in pieces[1:]):
            places += 1
            found.setdefault((text[start:end], tuple(pieces)), [start, 0])[1] += 1
    words = [DifferingWord(word, start, n, cut) for (word, cut), (start, n) in found.items()]
    return Differences(tuple(words[:at_most]), len(words), places, max(0, len(cuts) - 1))


def _clean_starts(tokens: Sequence[tuple[int, bool]]) -> set[int]:
    """Where a token starts with a whole character: no token before it holds a part of that character.

    >>> sorted(_clean_starts([(0, False), (1, True), (1, True), (2, False)]))
    [0, 1, 2]
    """
    first: dict[int, bool] = {}
    reach = -1
    for start, partial in tokens:
        first.setdefault(start, start > reach)
        if partial:
            reach = max(reach, start)
    return {start for start, clean in first.items() if clean}


def _cuts(text: str, tokenizers: Sequence[Tokenizer], starts: Sequence[set[int]]) -> list[int]:
    """Where the text is cut into words, its start and end included."""
    if not text:
        return []
    token_cuts = reduce(set.__and__, starts) if starts else set()
    splitting = [tokenizer for tokenizer in tokenizers if tokenizer.pattern.name != "none"]
    if splitting:
        words = reduce(set.__and__, ({s for s, _, _ in t.encode_words(text)} for t in splitting))
    else:
        words = {i for i in range(1, len(text)) if text[i].isspace() and not text[i - 1].isspace()}
    coarse = sorted((words & token_cuts) | {0, len(text)})
    cuts = [0]
    for start, end in pairwise(coarse):
        if end - start > LONG_WORD:
            cuts += (i for i in range(start + 1, end) if i in token_cuts)
        cuts.append(end)
    return cuts


# Why not words, why not characters


@dataclass(frozen=True, slots=True)
class Unit:
    """A text in one kind of unit.

    Attributes:
        name: "words", "tokens", "characters" or "bytes".
        length: How many units the text is long.
        vocabulary: How many different units a model needs: those of the text; for tokens the tokenizer's
            vocabulary, for bytes 256.
        unseen: Places of the held-out text whose unit is not in the vocabulary of the seen text.
        unseen_distinct: How many different units that are.
        held_out: Units of the held-out text in all.
        examples: The first unseen units.
    """

    name: str
    length: int
    vocabulary: int
    unseen: int
    unseen_distinct: int
    held_out: int
    examples: tuple[str, ...]

    @property
    def unseen_share(self) -> float:
        """Unseen places among all held-out places, 0 to 1."""
        return self.unseen / self.held_out if self.held_out else 0.0


def why_tokens(text: str, tokenizer: Tokenizer, unseen_text: str | None = None) -> list[Unit]:
    """The same text as words, tokens, characters and bytes.

    What is unseen is counted on `unseen_text` with the vocabulary of `text`; without one, on the second half
    of `text` with the vocabulary of the first. Tokens and bytes have nothing unseen: any text can be spelled.

    Raises:
        LabError: As `Tokenizer.encode`.
    """
    if unseen_text is None:
        seen, held_out = _halves(text)
    else:
        seen, held_out = text, unseen_text
    by_word = _unit("words", words_of(text), words_of(seen), words_of(held_out))
    by_character = _unit("characters", list(text), list(seen), list(held_out))
    tokens, tokens_held_out = len(tokenizer.encode(text)), len(tokenizer.encode(held_out))
    by_token = Unit("tokens", tokens, tokenizer.vocab_size, 0, 0, tokens_held_out, ())
    by_byte = Unit("bytes", len(utf8(text)), 256, 0, 0, len(utf8(held_out)), ())
    return [by_word, by_token, by_character, by_byte]


def words_of(text: str) -> list[str]:
    """The words of a text as a vocabulary of words would have them; white space is dropped.

    >>> words_of("Don't panic, 42!")
    ["Don't", 'panic', ',', '42', '!']
    """
    found: list[str] = _WORD.findall(text)
    return found


def _halves(text: str) -> tuple[str, str]:
    """The text cut near its middle, at white space where there is some.

    >>> _halves("one two three")
    ('one two', ' three')
    """
    middle = len(text) // 2
    for i in range(middle, min(len(text), middle + 1000)):
        if text[i].isspace():
            return text[:i], text[i:]
    return text[:middle], text[middle:]


def _unit(name: str, units: list[str], seen: list[str], held_out: list[str]) -> Unit:
    known = set(seen)
    unseen = [unit for unit in held_out if unit not in known]
    distinct = list(dict.fromkeys(unseen))
    return Unit(
        name, len(units), len(set(units)), len(unseen), len(distinct), len(held_out), tuple(distinct[:12])
    )


# Languages


@dataclass(frozen=True, slots=True)
class LanguageCost:
    """What the same text costs in one language.

    Attributes:
        language: "German".
        tokens: How many.
        characters: How many.
        bytes: In UTF-8.
        ratio: Tokens by the tokens of the base language.
        base: The base language.
    """

    language: str
    tokens: int
    characters: int
    bytes: int
    ratio: float
    base: str

    @property
    def bytes_per_token(self) -> float:
        """Bytes a token stands for on average; 0 for an empty text."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def sentence(self) -> str:
        """The ratio as a person says it: "3.2 times English"."""
        return f"{self.ratio:.1f} times {self.base}"


def language_costs(
    texts: Mapping[str, str], tokenizer: Tokenizer, base: str = "English"
) -> list[LanguageCost]:
    """The tokens of one text in several languages, beside those of `base`.

    Raises:
        LabError: `base` is not among the texts or is empty; or as `Tokenizer.encode`.
    """
    counts = {language: len(tokenizer.encode(text)) for language, text in texts.items()}
    if not counts.get(base):
        raise LabError(
            f"There is no text in {base} to compare with.", f"Add one, or choose one of {', '.join(texts)}."
        )
    return [
        LanguageCost(
            language, counts[language], len(text), len(utf8(text)), counts[language] / counts[base], base
        )
        for language, text in texts.items()
    ]


# Chunks


def chunks(text: str, tokenizer: Tokenizer, n: int) -> Iterator[str]:
    """Cut a text into stretches of at most `n` tokens each, between words where that is possible.

    Each stretch is at most `n` tokens when it is encoded by itself. Joined they are the text; no character
    is split.

    Raises:
        LabError: At the call, where `n` is below 1; later, where one character alone takes more than `n`
            tokens, or as `Tokenizer.encode`.
    """
    if n < 1:
        raise LabError(f"Chunks of {n} tokens were asked for.", "Choose 1 token or more.")
    return _chunks(text, tokenizer, n)


def _chunks(text: str, tokenizer: Tokenizer, n: int) -> Iterator[str]:
    ends, before = array("q"), array("q", [0])  # where each word ends; tokens before each word
    for _, end, ids in tokenizer.encode_words(text):
        ends.append(end)
        before.append(before[-1] + len(ids))
    start = 0
    while start < len(text):
        word = bisect_right(ends, start)  # the word that `start` lies in
        fitting = bisect_right(before, before[word] + n) - 1
        # A stretch by itself may take a token more than in the text: words are left off until it fits.
        while fitting > word and len(tokenizer.encode(text[start : ends[fitting - 1]])) > n:
            fitting -= 1
        cut = ends[fitting - 1] if fitting > word else _inside(text, tokenizer, n, start, ends[word])
        yield text[start:cut]
        start = cut


def _inside(text: str, tokenizer: Tokenizer, n: int, start: int, end: int) -> int:
    """Where to cut a word of more than n tokens, between characters: as far as n tokens reach."""
    size = 16 * n + 64  # characters to look at; more where they turn out to be few tokens
    while True:
        stop = min(end, start + size)
        spans = list(tokenizer.token_spans(text[start:stop]))
        if len(spans) > n:
            break
        if stop == end:
            return end
        size *= 4
    clean = _clean_starts([(span.start, span.partial) for span in spans[: n + 1]])
    for place in sorted(clean | {1}, reverse=True):
        if place and len(tokenizer.encode(text[start : start + place])) <= n:
            return start + place
    raise LabError(
        f"The character {text[start]!r} alone takes {len(tokenizer.encode(text[start]))} tokens, "
        f"and chunks of {n} were asked for.",
        "Choose larger chunks.",
    )
