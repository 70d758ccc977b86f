"""One word in many sentences: read by a model, with the residual stream kept at the word's last token.

What the vectors then say of the word's senses is measured in `senses.py`. A causal model knows only what
stands before the word: `clue_follows` and `same_so_far` warn where that is nothing, or the same.

S sentences, L blocks (so L + 1 places: before the first and after each), W width, T tokens.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embeddings.streams import Reference, streams
from core.embeddings.vectors import Numbers, Vectors
from core.formats.files import quoted
from core.problems import LabError
from core.stages import Finished
from core.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from core.model.transformer import Transformer

LONGEST = 256  # tokens of a sentence
MOST = 400  # sentences
_COMMON = """
about after along also been before behind from have here into near over should than that their them then there
these they this under until very went were what when where which while will with would your
"""  # words of four letters and more that tell nothing
_SMALL_WORDS = frozenset(_COMMON.split())
_LONG_WORD = re.compile(r"[^\W\d_]{4,}")
_LETTER = re.compile(r"\w")


@dataclass(frozen=True)
class Sample:
    """Sentences with one word in several senses.

    Attributes:
        word: The word.
        senses: Names of its senses.
        sentences: The sentences.
        labels: The sense of each, as a place in `senses`.
    """

    word: str
    senses: tuple[str, ...]
    sentences: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Occurrence:
    """One sentence was read.

    Attributes:
        sentence: Its number.
        tokens: How many tokens it has.
        place: Which of them is the last one of the word.
        token: Its text.
    """

    sentence: int
    tokens: int
    place: int
    token: str


@dataclass(frozen=True, eq=False)
class Occurrences:
    """A word in many sentences.

    Attributes:
        word: The word.
        sentences: The sentences.
        found: Where the word is in each.
        stream: Residual stream at the word's last token, shape (S, L + 1, W), float32.
        warnings: What is to be said of some sentences: (number, sentence in words).
    """

    word: str
    sentences: tuple[str, ...]
    found: tuple[Occurrence, ...]
    stream: Numbers
    warnings: tuple[tuple[int, str], ...]

    @property
    def layers(self) -> int:
        """L: blocks passed at the last place."""
        return int(self.stream.shape[1]) - 1


# What ships


def load_samples() -> tuple[Sample, ...]:
    """The words that ship: 20 sentences each, with the clue before the word.

    >>> [(sample.word, len(sample.sentences)) for sample in load_samples()]
    [('bank', 20), ('mole', 20)]
    """
    return tuple(_sample(entry) for entry in _read()["words"])


def load_too_late() -> Sample:
    """Sentences whose clue follows the word, in pairs that are equal up to it.

    >>> load_too_late().sentences[0]
    'The bank was steep and covered with reeds'
    """
    return _sample(_read()["too_late"])


def _read() -> dict[str, Any]:
    text = files("resources").joinpath("embeddings", "senses.json").read_bytes().decode("utf-8")
    made: dict[str, Any] = json.loads(text)
    return made


def _sample(entry: dict[str, Any]) -> Sample:
    texts, labels = zip(*entry["sentences"], strict=True)
    return Sample(entry["word"], tuple(entry["senses"]), texts, labels)


# Reading


def occurrences(
    model: Transformer, tokenizer: Tokenizer, sentences: Sequence[str], word: str
) -> Iterator[Occurrence | Finished[Occurrences]]:
    """Read sentences and keep the residual stream at the word's last token; one event a sentence.

    Args:
        model: Any.
        tokenizer: Its own.
        sentences: Each holds the word; the first place counts.
        word: Case does not matter.

    Raises:
        LabError: There is no sentence, one does not hold the word, or one is too long.
    """
    if not word.strip():
        raise LabError("No word was given.", "Type the word that all sentences share.")
    if not 1 <= len(sentences) <= MOST:
        raise LabError(f"{len(sentences):,} sentences were given.", f"Give 1 to {MOST:,}.")
    word = word.strip()
    places = [_place(tokenizer, text, word, n) for n, text in enumerate(sentences, 1)]
    longest = min(LONGEST, model.config.context)
    for n, (ids, _) in enumerate(places, 1):
        if len(ids) > longest:
            raise LabError(f"Sentence {n} has {len(ids):,} tokens.", f"Give at most {longest:,}.")
    return _occurrences(model, tokenizer, tuple(sentences), word, places)


def _place(tokenizer: Tokenizer, text: str, word: str, number: int) -> tuple[list[int], int]:
    """The ids of a sentence and the place of the word's last token."""
    begin, end = word_in(text, word) or (0, 0)
    if end == 0:
        raise LabError(
            f"Sentence {number} does not hold the word {quoted(word, 30)}: {quoted(text, 50)}.",
            "Write it there, or leave the sentence out.",
        )
    spans = list(tokenizer.token_spans(text))
    at = max(at for at, span in enumerate(spans) if span.start < end and span.end > begin)
    return [span.id for span in spans], at


def word_in(text: str, word: str) -> tuple[int, int] | None:
    """Where a word stands in a text as a whole word, or None.

    >>> word_in("The banker left the Bank.", "bank")
    (20, 24)
    """
    low, wanted = text.lower(), word.lower()
    begin = low.find(wanted)
    while begin >= 0:
        end = begin + len(wanted)
        if not _LETTER.match(low[max(0, begin - 1) : begin]) and not _LETTER.match(low[end : end + 1]):
            return begin, end
        begin = low.find(wanted, end)
    return None


def _occurrences(
    model: Transformer,
    tokenizer: Tokenizer,
    sentences: tuple[str, ...],
    word: str,
    places: list[tuple[list[int], int]],
) -> Iterator[Occurrence | Finished[Occurrences]]:
    stream = np.empty((len(sentences), len(model.blocks) + 1, model.config.width), np.float32)
    found: list[Occurrence] = []
    for n, (ids, at) in enumerate(places):
        for layer, values in enumerate(streams(model, ids)):
            stream[n, layer] = values[at]
        text = tokenizer.decode_text([ids[at]])
        found.append(Occurrence(n, len(ids), at, text))
        yield found[-1]
    made = Occurrences(word, sentences, tuple(found), stream, _warnings(sentences, word, found))
    yield Finished(f"{len(sentences):,} sentences are read.", made)


def own_center(found: Occurrences) -> Reference:
    """The mean of these very occurrences, by layer: then signs depend on which sentences were given."""
    said = f"the mean of these {len(found.sentences):,} sentences themselves"
    return Reference(found.stream.mean(axis=0), len(found.sentences), said)


# Where the clue stands


def clue_follows(sentence: str, word: str) -> str:
    """A warning where hardly anything stands before the word and more behind it, else "".

    >>> clue_follows("The bank was steep and covered with reeds", "bank")
    'Nothing before "bank" says which it is: a causal model reads from left to right and cannot know yet.'
    >>> clue_follows("We pulled the canoe up the muddy bank", "bank")
    ''
    """
    found = word_in(sentence, word)
    if found is None:
        return ""
    before, behind = _telling(sentence[: found[0]]), _telling(sentence[found[1] :])
    if before or not behind:
        return ""
    return (
        f"Nothing before {quoted(word, 30)} says which it is: a causal model reads from left to right and "
        "cannot know yet."
    )


def _telling(text: str) -> list[str]:
    """Words that may be a clue: of four letters or more, and not among the commonest.

    >>> _telling("We went to the muddy old river")
    ['muddy', 'river']
    """
    return [w for w in _LONG_WORD.findall(text.casefold()) if w not in _SMALL_WORDS]


def same_so_far(sentences: Sequence[str], word: str) -> list[tuple[int, ...]]:
    """Groups of sentences that are equal up to and with the word: their vectors are the same in every layer.

    >>> same_so_far(["The bank was steep", "The bank was closed", "A bank"], "bank")
    [(0, 1)]
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for n, text in enumerate(sentences):
        if (found := word_in(text, word)) is not None:
            groups[text[: found[1]]].append(n)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _warnings(
    sentences: Sequence[str], word: str, found: Sequence[Occurrence]
) -> tuple[tuple[int, str], ...]:
    made = [(n, said) for n, text in enumerate(sentences) if (said := clue_follows(text, word))]
    for group in same_so_far(sentences, word):
        others = ", ".join(str(n + 1) for n in group)
        made += [(n, f"Sentences {others} are equal up to the word: cosine 1.0000.") for n in group]
    made += [
        (one.sentence, "The word is the first token, where models park what they do not need.")
        for one in found
        if one.place == 0
    ]
    return tuple(sorted(made))


def as_vectors(found: Occurrences, layer: int) -> Vectors:
    """The occurrences at one layer as named vectors, to be drawn and measured as any others.

    Raises:
        LabError: There is no such layer.
    """
    if not 0 <= layer <= found.layers:
        raise LabError(f"There is no layer {layer:,}.", f"Choose 0 to {found.layers:,}.")
    names = tuple(f"{found.word} {n}" for n in range(1, len(found.sentences) + 1))
    columns = {"sentence": found.sentences, "token": tuple(one.token for one in found.found)}
    title = f"{found.word}, residual stream after {layer:,} of {found.layers:,} blocks"
    values = np.ascontiguousarray(found.stream[:, layer])
    return Vectors(title, names, values, columns, None, f"{title}, in {len(names):,} sentences.")
