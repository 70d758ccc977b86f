"""One word in many sentences: how its vector drifts apart, sense by sense, as it passes through the layers.

At layer 0 every "bank" is the same row of the table (plus its position, in some models). Each block adds what
the words before have to say. Cosines of raw residual streams are all near 1, since the streams share a large
common part; they are therefore also given less the mean of a fixed set of other sentences, and whether the
senses can be told apart is not read off a cosine at all but tried: each sentence is left out and given to the
sense whose other sentences it resembles most, with labels shuffled for comparison.

S sentences, L blocks (so L + 1 places: before the first and after each), W width.
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
import numpy.typing as npt

from core.embeddings.projection import pca
from core.embeddings.vectors import Numbers, Vectors
from core.evals.intervals import wilson
from core.formats.files import quoted
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from core.model.transformer import Transformer

SHUFFLES = 500
LONGEST = 256  # tokens of a sentence
MOST = 400  # sentences
_COMMON = """
about after along also been before behind from have here into near over should than that their them then there
these they this under until very went were what when where which while will with would your
"""  # words of four letters and more that tell nothing
_SMALL_WORDS = frozenset(_COMMON.split())

Wide = npt.NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class Reference:
    """The mean residual stream of other sentences, by layer.

    Attributes:
        mean: Shape (L + 1, W), float32.
        tokens: Over so many tokens; the first of each sentence is left out, since models park there.
        said: What it is, for a sentence on screen.
    """

    mean: Numbers
    tokens: int
    said: str


@dataclass(frozen=True, eq=False)
class Similarity:
    """Mean cosine of pairs of occurrences, by layer.

    Attributes:
        within: Of pairs of one sense, shape (L + 1,).
        across: Of pairs of different senses, shape (L + 1,).
        within_pairs: How many pairs.
        across_pairs: How many pairs.
        said: Raw, or what was taken away.
    """

    within: Numbers
    across: Numbers
    within_pairs: int
    across_pairs: int
    said: str


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """How many sentences are given to their own sense when left out, by layer.

    Attributes:
        right: Shape (L + 1,).
        n: Sentences.
        low: Lower limits of the share, with 95 % confidence (Wilson), shape (L + 1,).
        high: Upper limits.
        shuffled: Mean share with shuffled labels, shape (L + 1,).
        shuffled_high: The share that 95 % of the shuffles stay below or at, shape (L + 1,).
        best_layer: Where most were right; the first of equals.
        best_shuffled: What 95 % of the shuffles stay below or at in their own best layer: the best of many
            layers is to be compared with this.
        shuffles: How many.
        p: Share of shuffles (and the real labels) whose best layer is at least as good as the real one.
        said: Raw, or what was taken away.
    """

    right: npt.NDArray[np.intp]
    n: int
    low: Numbers
    high: Numbers
    shuffled: Numbers
    shuffled_high: Numbers
    best_layer: int
    best_shuffled: float
    shuffles: int
    p: float
    said: str

    @property
    def accuracy(self) -> Numbers:
        """Share of sentences that are right, by layer."""
        return (self.right / self.n).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Paths:
    """Where each occurrence lies in one plane, layer by layer.

    Attributes:
        points: Shape (L + 1, S, 2), float32.
        explained: Share of the variance along both axes of the plane.
        said: How the plane was made.
    """

    points: Numbers
    explained: tuple[float, float]
    said: str


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


def load_reference() -> tuple[str, ...]:
    """The fixed set of other sentences.

    >>> len(load_reference())
    20
    """
    return tuple(_read()["reference"])


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
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
    return found.span() if found else None


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
        for layer, values in enumerate(_streams(model, ids)):
            stream[n, layer] = values[at]
        text = tokenizer.decode_text([ids[at]])
        found.append(Occurrence(n, len(ids), at, text))
        yield found[-1]
    made = Occurrences(word, sentences, tuple(found), stream, _warnings(sentences, word, found))
    yield Finished(f"{len(sentences):,} sentences are read.", made)


def _streams(model: Transformer, ids: Sequence[int]) -> Iterator[Numbers]:
    """The residual stream of a text before the first block and after each, (T, W)."""
    import torch

    with torch.inference_mode():
        x = model.embed_at(torch.tensor([list(ids)]))  # (1, T, W)
        rope = model.rope(0, len(ids))
    for n in range(len(model.blocks) + 1):
        yield x[0].numpy()
        if n < len(model.blocks):
            with torch.inference_mode():
                x = model.block(n)(x, rope)


def reference(
    model: Transformer, tokenizer: Tokenizer, sentences: Sequence[str] | None = None
) -> Iterator[Progress | Finished[Reference]]:
    """The mean residual stream of other sentences at each layer.

    Args:
        model: Any.
        tokenizer: Its own.
        sentences: None: the fixed set that ships.

    Raises:
        LabError: They have no token but their first ones.
    """
    chosen = tuple(load_reference() if sentences is None else sentences)
    encoded = [tokenizer.encode(text)[: model.config.context] for text in chosen]
    if sum(max(0, len(ids) - 1) for ids in encoded) == 0:
        raise LabError("The reference holds no text.", "Give some sentences.")
    said = "that ship" if sentences is None else "of your own"
    return _reference(model, encoded, f"the mean of {len(chosen):,} other sentences {said}")


def _reference(
    model: Transformer, encoded: list[list[int]], said: str
) -> Iterator[Progress | Finished[Reference]]:
    sums = np.zeros((len(model.blocks) + 1, model.config.width))
    tokens = 0
    for n, ids in enumerate(encoded, 1):
        if len(ids) > 1:
            for layer, values in enumerate(_streams(model, ids)):
                sums[layer] += values[1:].sum(axis=0, dtype=np.float64)
            tokens += len(ids) - 1
        yield Progress("Reading the reference", n, len(encoded), "sentences")
    mean = (sums / tokens).astype(np.float32)
    yield Finished(f"{tokens:,} tokens are read.", Reference(mean, tokens, f"{said}, {tokens:,} tokens"))


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
    return [w for w in re.findall(r"[^\W\d_]{4,}", text.casefold()) if w not in _SMALL_WORDS]


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


# Measuring


def similarity_by_layer(
    found: Occurrences, labels: Sequence[int], center: Reference | None = None
) -> Similarity:
    """Mean cosine within a sense and across senses, at each layer.

    Args:
        found: From `occurrences`.
        labels: The sense of each sentence.
        center: What is taken away before; None: nothing, raw.

    Raises:
        LabError: There are not as many labels, or only one sense.
    """
    given = _checked(found, labels)
    x = _unit(found, center)
    cosines = np.einsum("slw,tlw->lst", x, x)  # (L + 1, S, S)
    same = given[:, None] == given[None]
    upper = np.triu(np.ones_like(same), 1)
    within, across = same & upper, ~same & upper
    nothing = np.full(cosines.shape[0], np.nan)
    return Similarity(
        (cosines[:, within].mean(axis=1) if within.any() else nothing).astype(np.float32),
        cosines[:, across].mean(axis=1).astype(np.float32),
        int(within.sum()), int(across.sum()), _said(center),
    )  # fmt: skip


def leave_one_out(
    found: Occurrences,
    labels: Sequence[int],
    center: Reference | None = None,
    shuffles: int = SHUFFLES,
    seed: int = 0,
) -> Iterator[Progress | Finished[LeaveOneOut]]:
    """Leave out each sentence and give it to the sense whose mean of the others has the larger cosine.

    Args:
        found: From `occurrences`.
        labels: The sense of each sentence; at least two of each.
        center: What is taken away before; None: nothing, raw.
        shuffles: How often the labels are shuffled for comparison.
        seed: Of the shuffles.

    Raises:
        LabError: There are not as many labels, only one sense, or a sense has one sentence only.
    """
    given = _checked(found, labels)
    few = [sense for sense in set(given.tolist()) if (given == sense).sum() < 2]
    if few:
        raise LabError(
            "A sense has one sentence only.", "Give at least two of each, so that one can be left out."
        )
    return _leave_one_out(found, given, center, shuffles, seed)


def _leave_one_out(
    found: Occurrences, labels: npt.NDArray[np.intp], center: Reference | None, shuffles: int, seed: int
) -> Iterator[Progress | Finished[LeaveOneOut]]:
    x = _unit(found, center)
    gram = np.einsum("slw,tlw->lst", x, x)  # (L + 1, S, S)
    right = _right(gram, labels)
    draw = np.random.default_rng(seed)
    shuffled = np.empty((shuffles, len(gram)), np.intp)
    for n in range(shuffles):
        shuffled[n] = _right(gram, draw.permutation(labels))
        if n % 20 == 19:
            yield Progress("Shuffling labels", n + 1, shuffles, "shuffles")
    size = len(labels)
    limits = np.array([wilson(int(count), size) for count in right])
    best = int(right.argmax())
    bests = shuffled.max(axis=1)
    made = LeaveOneOut(
        right, size, limits[:, 0].astype(np.float32), limits[:, 1].astype(np.float32),
        (shuffled.mean(axis=0) / size).astype(np.float32),
        (np.quantile(shuffled, 0.95, axis=0, method="higher") / size).astype(np.float32),
        best, float(np.quantile(bests, 0.95, method="higher")) / size, shuffles,
        (1 + int((bests >= right[best]).sum())) / (shuffles + 1), _said(center),
    )  # fmt: skip
    yield Finished(
        f"{right[best]:,} of {size:,} sentences are given to their own sense at layer {best:,}; with "
        f"shuffled labels the best layer reaches {made.best_shuffled:.0%} in 95 of 100 trials.",
        made,
    )


def _right(gram: Wide, labels: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """How many are given to their own sense, by layer, from the inner products (L + 1, S, S) alone."""
    senses = np.unique(labels)
    member = (labels[:, None] == senses[None]).astype(np.float64)  # (S, C)
    sums = gram @ member  # (L + 1, S, C): with each sense's sum
    lengths = np.einsum("lsc,sc->lc", sums, member)  # (L + 1, C): squared length of each sense's sum
    own = np.diagonal(gram, axis1=1, axis2=2)[..., None] * member  # (L + 1, S, C): its own part, left out
    without = sums - own
    squares = lengths[:, None] - 2 * sums * member + own  # |Σ − x|² = |Σ|² − 2 x·Σ + |x|²
    cosines = without / np.sqrt(np.maximum(squares, 1e-12))
    given = senses[cosines.argmax(axis=2)]  # (L + 1, S)
    made: npt.NDArray[np.intp] = (given == labels).sum(axis=1)
    return made


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


def layer_paths(found: Occurrences, center: Reference | None = None) -> Paths:
    """The way of each occurrence through the layers, in the one plane in which all of them differ most.

    Every vector has length 1 there: streams grow from layer to layer, and a picture of that growth would show
    nothing else.
    """
    x = _unit(found, center).astype(np.float32)  # (S, L + 1, W)
    flat = x.reshape(-1, x.shape[2])
    made = pca(flat, 2)
    points = made.points.reshape(len(x), x.shape[1], -1).transpose(1, 0, 2)
    shares = [0.0, 0.0] if made.explained is None else [*map(float, made.explained), 0.0][:2]
    said = f"PCA of all layers together, length 1, {_said(center)}"
    return Paths(np.ascontiguousarray(points), (shares[0], shares[1]), said)


def _unit(found: Occurrences, center: Reference | None) -> Wide:
    """The streams with length 1, shape (S, L + 1, W), less the center."""
    x = found.stream.astype(np.float64)
    if center is not None:
        x = x - center.mean
    made: Wide = x / np.maximum(np.linalg.norm(x, axis=2, keepdims=True), 1e-12)
    return made


def _said(center: Reference | None) -> str:
    return "raw" if center is None else f"less {center.said}"


def _checked(found: Occurrences, labels: Sequence[int]) -> npt.NDArray[np.intp]:
    given = np.asarray(labels, np.intp)
    if len(given) != len(found.sentences):
        raise LabError(
            f"{len(given):,} senses were given for {len(found.sentences):,} sentences.", "Give one for each."
        )
    if len(np.unique(given)) < 2:
        raise LabError("All sentences have the same sense.", "Mark at least two senses.")
    return given
