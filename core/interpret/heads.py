"""What heads look at: every head is measured on a text and named after the measure in which it is strongest.

A name says where the weights lie, not what the head is for; that is asked by switching it off
(`ablation.py`). Measures on the present text come from its patterns; those that need to know the words
(subject, pronoun) come from a fixed set of sentences in which every noun is subject as often as not and every
adjective fits one noun.

T tokens, H heads; a pattern is (H, T, T), row by row what a token looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.interpret.inside import Inside, Pooled
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.stages import Finished, Progress

LOCAL = 4  # tokens back that count as near
STRONG = 0.4
"""A measure from which on a head is named after it."""
_AT_ONCE = 8  # sentences of the probe in one pass


@dataclass(frozen=True)
class Measure:
    """One way to look.

    Attributes:
        name: In code and files.
        title: As a person reads it.
        meaning: What the score is, in a sentence.
    """

    name: str
    title: str
    meaning: str


MEASURES = (
    Measure("previous", "previous token", "Mean weight on the token just before."),
    Measure("first", "first token", "Mean weight on the first token of the text, from all later ones."),
    Measure("same", "same token", "Mean weight on earlier places of the same token, where there are any."),
    Measure("induction", "what came after", "Mean weight on the tokens that followed earlier places of the "
            "same token, where there are any."),
    Measure("local", "near tokens", f"Mean weight on the {LOCAL} tokens before, the nearest one left out."),
    Measure("itself", "itself", "Mean weight of a token on itself, the first token left out."),
    Measure("subject", "subject", "Mean weight on the sentence's subject, from all later words."),
    Measure("pronoun", "pronoun", "Weight of “it” on the noun that it means, less the mean weight of all "
            "other words on that noun."),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class LayerMeasured:
    """One layer of a text.

    Attributes:
        layer: Which.
        thumbnails: The patterns made small: the largest weight in each cell, shape (H, n, n).
        scores: By name of the measure, shape (H,); not a number where the text has no place for it.
        n: By name, how many rows a score is the mean of.
    """

    layer: int
    thumbnails: Tensor
    scores: dict[str, Tensor]
    n: dict[str, int]


def measure_heads(inside: Inside, size: int = 48) -> Iterator[LayerMeasured | Progress | Finished[None]]:
    """Measure every head on the text; one event for each layer.

    Args:
        inside: The text.
        size: Cells of a thumbnail, at most.
    """
    ids = torch.tensor(inside.ids)
    layers = len(inside.model.blocks)
    for layer in range(layers):
        sums: dict[str, Tensor] = {}
        n: dict[str, int] = {}
        pooled: Pooled | None = None
        for begin, tile in inside.tiles(layer):  # (H, rows, S)
            pooled = pooled or Pooled(len(tile), len(ids), size)
            pooled.add(begin, tile)
            with torch.inference_mode():
                for name, (weights, count) in weigh_rows(tile, ids, begin).items():
                    sums[name] = sums.get(name, 0) + weights
                    n[name] = n.get(name, 0) + count
            yield Progress("Measuring the heads", layer, layers, "layers")
        scores = {name: total / n[name] for name, total in sums.items()}  # 0 / 0 is not a number
        thumbnails = pooled.cells if pooled is not None else torch.empty(0)
        yield LayerMeasured(layer, thumbnails, scores, n)
    yield Finished(f"{layers:,} layers are measured.", None)


def weigh_rows(tile: Tensor, ids: Tensor, begin: int) -> dict[str, tuple[Tensor, int]]:
    """For each measure on a text: the weight of some rows where it counts, (H,), and how many rows have one.

    Args:
        tile: Rows of patterns, (H, rows, S), S up to and with the last of the rows.
        ids: The text, (T,).
        begin: First of the rows.
    """
    heads, _, end = tile.shape
    row = torch.arange(begin, end)
    before = torch.arange(end) < row[:, None]  # (rows, S)
    same = (ids[begin:end, None] == ids[:end]) & before
    after = torch.zeros_like(same)
    after[:, 1:] = same[:, :-1]  # what came next there
    after &= before

    def back(steps: int) -> Tensor:
        """The weights on the token so many steps back, (H, rows that have one)."""
        first = max(0, steps - begin)  # row that has one
        return tile[:, first:].diagonal(begin + first - steps, 1, 2)

    def inside(mask: Tensor) -> tuple[Tensor, int]:
        return tile.view(heads, -1) @ mask.flatten().float(), int(mask.any(1).sum())

    later = row > 0
    near = sum((back(steps).sum(1) for steps in range(2, LOCAL + 1)), torch.zeros(heads))
    return {
        "previous": (back(1).sum(1), int(later.sum())),
        "first": (tile[:, later, 0].sum(1), int(later.sum())),
        "same": inside(same),
        "induction": inside(after),
        "local": (near, int((row >= 2).sum())),
        "itself": (back(0)[:, later].sum(1), int(later.sum())),
    }


# The sentences with known words


@dataclass(frozen=True)
class ProbeSentence:
    """A sentence of two nouns, of which the adjective at its end fits one.

    Attributes:
        words: The sentence, word by word, without spaces.
        subject: Place of the subject.
        antecedent: Place of the noun that "it" means.
        pronoun: Place of "it".
    """

    words: tuple[str, ...]
    subject: int
    antecedent: int
    pronoun: int

    @property
    def text(self) -> str:
        """As it is written."""
        return " ".join(self.words[:-1]) + " " + self.words[-1] + "."


_PAIRS = (
    # noun, adjective that fits it, noun, adjective that fits that
    ("cat", "tired", "mat", "soft"),
    ("dog", "hungry", "rug", "dirty"),
    ("bird", "young", "roof", "flat"),
    ("horse", "thirsty", "road", "wet"),
    ("mouse", "scared", "box", "empty"),
    ("girl", "sleepy", "bed", "wide"),
    ("fox", "clever", "wall", "old"),
    ("child", "cold", "chair", "broken"),
)
_VERBS = ("sat on", "stood near", "came to", "stayed at")


def probe_sentences() -> list[ProbeSentence]:
    """Each pair of nouns both ways round, each adjective once: 8 × 2 × 2 sentences.

    >>> probe_sentences()[0].text
    'The cat sat on the mat because it was tired.'
    """
    made = []
    for number, (a, fits_a, b, fits_b) in enumerate(_PAIRS):
        verb, preposition = _VERBS[number % len(_VERBS)].split()
        for first, second in ((a, b), (b, a)):
            for adjective in (fits_a, fits_b):
                words = ("The", first, verb, preposition, "the", second, "because", "it", "was", adjective)
                means_first = (adjective == fits_a) == (first == a)
                made.append(ProbeSentence(words, 1, 1 if means_first else 5, 7))
    return made


@dataclass(frozen=True, eq=False)
class ProbeScores:
    """The measures that need sentences with known words.

    Attributes:
        subject: Shape (layers, H).
        pronoun: Shape (layers, H).
        n: Sentences.
    """

    subject: Tensor
    pronoun: Tensor
    n: int


def probe_heads(
    model: Transformer, encode: Callable[[str], list[int]]
) -> Iterator[Progress | Finished[ProbeScores]]:
    """Measure every head on the fixed sentences.

    A sentence counts where each of its words is one token.

    Args:
        model: The model.
        encode: Its tokenizer.
    """
    sentences = [(sentence, encode(sentence.text)) for sentence in probe_sentences()]
    usable = [(s, ids) for s, ids in sentences if len(ids) == len(s.words) + 1]  # and the full stop
    return _probe_heads(model, usable)


def _probe_heads(
    model: Transformer, sentences: Sequence[tuple[ProbeSentence, list[int]]]
) -> Iterator[Progress | Finished[ProbeScores]]:
    subject = torch.zeros(model.config.layers, model.config.heads)
    pronoun = torch.zeros_like(subject)
    for begin in range(0, len(sentences), _AT_ONCE):
        some = sentences[begin : begin + _AT_ONCE]
        trace = Trace(["blocks.*.attn.pattern"])
        with torch.inference_mode():
            model.read(torch.tensor([ids for _, ids in some]), explicit=True, trace=trace)
        for layer in range(model.config.layers):
            patterns = trace[f"blocks.{layer}.attn.pattern"]  # (B, H, T, T)
            for (sentence, _), pattern in zip(some, patterns, strict=True):
                on_subject, of_pronoun = _score(pattern, sentence)
                subject[layer] += on_subject
                pronoun[layer] += of_pronoun
        yield Progress("Probing the heads", begin + len(some), len(sentences), "sentences")
    n = len(sentences)
    yield Finished(f"{n:,} sentences.", ProbeScores(subject / max(1, n), pronoun / max(1, n), n))


def _score(pattern: Tensor, sentence: ProbeSentence) -> tuple[Tensor, Tensor]:
    """Subject and pronoun score of one sentence in one layer, each (H,), from its patterns, (H, T, T)."""
    column = pattern[:, sentence.antecedent + 1 :, sentence.antecedent]
    at = sentence.pronoun - sentence.antecedent - 1
    others = torch.cat((column[:, :at], column[:, at + 1 :]), dim=1)
    on_subject = pattern[:, sentence.subject + 1 :, sentence.subject].mean(-1)
    return on_subject, column[:, at] - others.mean(-1)


def label_of(scores: dict[str, float]) -> tuple[str, float] | None:
    """The measure in which a head is strongest, and its score; None where none is strong.

    A head that looks at the first token from everywhere does nothing there most of the time (Xiao et al.,
    https://arxiv.org/abs/2309.17453: an attention sink): another strong measure goes before it.

    >>> label_of({"first": 0.9, "subject": 0.5}), label_of({"previous": 0.2})
    (('subject', 0.5), None)
    """
    strong = {name: score for name, score in scores.items() if score >= STRONG}
    best = max((name for name in strong if name != "first"), key=strong.__getitem__, default=None)
    if best is None and "first" in strong:
        best = "first"
    return None if best is None else (best, strong[best])
