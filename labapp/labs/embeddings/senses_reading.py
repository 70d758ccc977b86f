"""What the Senses page knows of a word in some sentences, and the stage that finds it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.stages import Finished, pass_on

if TYPE_CHECKING:
    from core.embeddings.senses import LeaveOneOut, Occurrences, Paths, Reference, Similarity
    from core.model.shelf import LoadedModel

SEED = 0


@dataclass(frozen=True, eq=False)
class Read:
    """What is known of a word in some sentences.

    Attributes:
        found: Its vectors.
        senses: Names of the senses.
        labels: The sense of each sentence.
        reference: What the centered figures are centered on.
        raw: Cosines as they are.
        centered: Cosines less the reference.
        told: Leave-one-out, less the reference.
        paths: Where each lies in one plane.
    """

    found: Occurrences
    senses: tuple[str, ...]
    labels: tuple[int, ...]
    reference: Reference
    raw: Similarity
    centered: Similarity
    told: LeaveOneOut
    paths: Paths


def read_senses(
    loaded: LoadedModel, sentences: Sequence[str], word: str, senses: tuple[str, ...], labels: tuple[int, ...]
) -> Iterator[Any]:
    """The stage: read the sentences and a fixed reference, then measure.

    Raises:
        LabError: A sentence does not hold the word, or is too long.
    """
    from core.embeddings.senses import occurrences

    reading = occurrences(loaded.model, loaded.needed_tokenizer(), sentences, word)
    return _read_senses(loaded, reading, senses, labels)


def _read_senses(
    loaded: LoadedModel, reading: Iterator[Any], senses: tuple[str, ...], labels: tuple[int, ...]
) -> Iterator[Any]:
    from core.embeddings.senses import layer_paths, leave_one_out, reference, similarity_by_layer

    found = yield from pass_on(reading)
    center = yield from pass_on(reference(loaded.model, loaded.needed_tokenizer()))
    told = yield from pass_on(leave_one_out(found, labels, center, seed=SEED))
    raw, centered = (similarity_by_layer(found, labels, one) for one in (None, center))
    yield Finished("", Read(found, senses, labels, center, raw, centered, told, layer_paths(found, center)))


def split_sentences(text: str) -> tuple[list[str], tuple[str, ...], tuple[int, ...]]:
    """Sentences, names of senses, and the sense of each, from lines such as "river: We sat on the bank".

    >>> split_sentences("river: by the bank\\nmoney: in the bank\\nriver: a bank")
    (['by the bank', 'in the bank', 'a bank'], ('river', 'money'), (0, 1, 0))
    """
    pairs = [line.partition(":")[::2] for line in text.splitlines() if line.strip()]
    senses = tuple(dict.fromkeys(sense.strip() for sense, _ in pairs))
    return [rest.strip() for _, rest in pairs], senses, tuple(senses.index(s.strip()) for s, _ in pairs)
