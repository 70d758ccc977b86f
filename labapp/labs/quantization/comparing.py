"""The stages behind the page Compare, and its rows: measured here, or recorded with the app."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.stages import Finished, Progress, pass_on
from labapp.labs.quantization.choosing import Subject
from labapp.models import Models
from labapp.scenes import read_json

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel
    from core.quantization.comparison import WindowCompared
    from core.tokenizer.tokenizer import Tokenizer

TEXT_AT_MOST = 1 << 22  # bytes of a file
WORLD, STORY, OWN = "world", "story", "file"
WORDS, SEED = 15_000, 99  # of the small world's text; its models have read seed 1


@dataclass(frozen=True)
class Row:
    """What the table says of a model.

    Attributes:
        key: Of the model; of a recorded row, its recipe.
        name: As a person reads it.
        bits: A weight.
        bytes: Of the weights in the file.
        figures: Name and value of what was measured; a mean has its error in "NAME ±".
        recorded: Whether it came with the app.
        memory: Bytes here; 0 for a recorded row.
        phenomena: Right answers and questions.
    """

    key: str
    name: str
    bits: float
    bytes: int
    figures: Mapping[str, float]
    recorded: bool = False
    memory: int = 0
    phenomena: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sized:
    """All models are loaded: bits a weight, bytes in the file and in memory of each."""

    sizes: tuple[tuple[float, int, int], ...]


@dataclass(frozen=True)
class TextChoice:
    """A text to be measured on: "world", "story", or "file" with its path."""

    kind: str
    path: str = ""


MEANS = ("perplexity", "divergence", "rms", "same_top")
PLAIN = ("median", "most_999", "largest", "tokens")


def recorded_rows() -> list[Row]:
    """Every recipe on the small world, as measured when the app was made."""
    rows = []
    for one in read_json("quantization", "smallworld.json")["recipes"]:
        figures = {name: float(one[name]) for name in PLAIN}
        for name in MEANS:
            figures |= {name: one[name]["value"], f"{name} ±": one[name]["error"]}
        figures["reference"] = one["reference"]["value"]
        asked = {name: (told["right"], told["n"]) for name, told in one["phenomena"].items()}
        rows.append(
            Row(one["recipe"], one["recipe"], one["bits_per_weight"], one["bytes"], figures, True, 0, asked)
        )
    return rows


def short_name(reference: str, name: str) -> str:
    """A model's name without that of the reference, which it begins with.

    >>> short_name("Small world", "Small world, Q2_K"), short_name("Small world", "Other")
    ('Q2_K', 'Other')
    """
    return name.removeprefix(f"{reference}, ")


def label_of(name: str) -> str:
    """A name that is short enough for a point of a plot; a star where another mix came out.

    >>> label_of("180 Q4_0, 31 Q6_K (Q2_K asked, 180 of 211 tensors fell back)"), label_of("Q8_0")
    ('Q2_K*', 'Q8_0')
    """
    asked = re.search(r"\((\w+) asked", name)
    return f"{asked[1]}*" if asked else name[-12:]


def rows_of(reference: str, subjects: Sequence[Subject], sized: Sized, event: WindowCompared) -> list[Row]:
    """The rows of models after some windows."""
    rows = []
    for subject, (bits, size, memory), totals in zip(subjects, sized.sizes, event.totals, strict=True):
        told = totals.figures()
        figures = {name: float(getattr(told, name)) for name in PLAIN}
        for name in MEANS:
            mean = getattr(told, name)
            figures |= {name: mean.value, f"{name} ±": mean.error}
        figures |= {"reference": told.reference.value, "speed": told.tokens_per_second}
        name = short_name(reference, subject.title)
        rows.append(Row(subject.key, name, bits, size, figures, False, memory))
    return rows


def text_of(choice: TextChoice) -> str:
    """The text that is measured on.

    Raises:
        LabError: The file cannot be read.
    """
    from core.formats.files import read_text

    if choice.kind == WORLD:
        from core.corpus.smallworld.generate import documents
        from core.corpus.smallworld.settings import SmallWorldSettings

        settings = SmallWorldSettings(WORDS, SEED, 0.07, False)
        return "\n\n".join(document.text for document in documents(settings))
    if choice.kind == STORY:
        story = Path(str(importlib.resources.files("resources"))) / "tokenizer" / "story.txt"
        return read_text(story, TEXT_AT_MOST)
    return read_text(Path(choice.path), TEXT_AT_MOST)


def take_all(
    models: Models, subjects: Sequence[Subject], taken: list[LoadedModel]
) -> Generator[Any, None, None]:
    """Load models one after the other into `taken`; whoever calls gives all of them back."""
    for subject in subjects:
        taken.append((yield from pass_on(models.take(subject.there, subject.title))))


def compare_models(
    models: Models,
    reference: Subject,
    others: Sequence[Subject],
    text: TextChoice,
    windows: int,
    so_far: WindowCompared | None = None,
) -> Iterator[Any]:
    """The stage: load models, then compare them with the reference window by window.

    Args:
        models: Where they are taken from.
        reference: In full precision.
        others: What is compared.
        text: To be read.
        windows: So many at most.
        so_far: Where the same comparison was stopped.

    Raises:
        LabError: While it runs: as `compare`, or a model or text cannot be read.
    """
    from core.quantization.comparison import CompareSettings, compare
    from core.quantization.quantize import first_token

    taken: list[LoadedModel] = []
    try:
        yield Progress("Reading the text", 0, None, "bytes")
        words = text_of(text)
        yield from take_all(models, (reference, *others), taken)
        first, rest = taken[0], taken[1:]
        yield Sized(tuple(size_of(one) for one in rest))
        tokenizer = first.needed_tokenizer()
        window = min(512, *(one.source.config.context for one in taken))
        ids = tokenizer.encode(words)
        named = [(subject.key, one.model) for subject, one in zip(others, rest, strict=True)]
        settings = CompareSettings(window, windows)
        begin = first_token(first.source, tokenizer)
        figures = yield from pass_on(compare(first.model, named, ids, settings, begin, so_far))
        yield Finished("", figures)
    finally:
        for one in taken:
            models.give_back(one)


def size_of(loaded: LoadedModel) -> tuple[float, int, int]:
    """Bits a weight, bytes in the file, bytes in memory."""
    stored = loaded.source.stored_bytes
    return 8 * stored / loaded.source.numbers, stored, loaded.bytes


@dataclass(frozen=True)
class Piece:
    """A token of a text that a model wrote.

    Attributes:
        writer: The model's place.
        data: The token's bytes.
        probability: The model's.
        reference: The reference's for the same token.
        instead: Bytes of the reference's own choice.
        ends: Whether it is a token that ends a text.
    """

    writer: int
    data: bytes
    probability: float
    reference: float
    instead: bytes
    ends: bool = False


def write_prompt(
    models: Models, reference: Subject, others: Sequence[Subject], prompt: str, tokens: int
) -> Iterator[Any]:
    """The stage: the reference and the others go on from a prompt; yields a `Piece` for each token."""
    return _write(models, reference, (reference, *others), [[("text", prompt)]] * (1 + len(others)), tokens)


Said = list[tuple[str, str]]
"""Turns of a conversation: "user" or "assistant", and the text; or ("text", prompt) alone."""


def chat_side_by_side(
    models: Models, reference: Subject, talking: Sequence[Subject], said: Sequence[Said], tokens: int
) -> Iterator[Any]:
    """The stage: models answer, each in its own conversation; yields a `Piece` for each token."""
    return _write(models, reference, tuple(talking), said, tokens)


def _write(
    models: Models, reference: Subject, writing: tuple[Subject, ...], said: Sequence[Said], tokens: int
) -> Iterator[Any]:
    from core.model.chat import chat_ids
    from core.quantization.side_by_side import SideToken, Writer, write_side_by_side

    taken: list[LoadedModel] = []
    try:
        yield from take_all(models, (reference, *writing), taken)
        first = taken[0]
        tokenizer = first.needed_tokenizer()
        writers = []
        for subject, loaded, turns in zip(writing, taken[1:], said, strict=True):
            if turns[0][0] == "text":
                ids = tokenizer.encode(turns[0][1])
            else:
                messages = [{"role": role, "content": text} for role, text in turns]
                ids = chat_ids(loaded.needed_tokenizer(), messages)
            writers.append(Writer(subject.title, loaded.model, tuple(ids)))
        room = first.source.config.context - max(len(writer.ids) for writer in writers)
        stage = write_side_by_side(first.model, writers, max(1, min(tokens, room)), tokenizer.end_ids)
        for event in stage:
            if isinstance(event, SideToken):
                yield Piece(
                    event.writer, spelled(tokenizer, event.id), event.probability, event.reference,
                    spelled(tokenizer, event.instead), event.id in tokenizer.end_ids,
                )  # fmt: skip
            else:
                yield event
    finally:
        for one in taken:
            models.give_back(one)


def spelled(tokenizer: Tokenizer, id_: int) -> bytes:
    """The bytes of a token; none of a row that the model has beyond its vocabulary."""
    return tokenizer.token_bytes(id_) if id_ < tokenizer.vocab_size else b""


def tensor_errors(reference: Subject, other: Subject) -> Iterator[Any]:
    """The stage: hold a model's tensors against the reference's."""
    from core.model.source import open_model
    from core.quantization.tensors import compare_tensors

    return compare_tensors(open_model(reference.there, reference.title), open_model(other.there, other.title))


def tensor_spread(reference: Subject, other: Subject, name: str) -> Iterator[Any]:
    """The stage: histograms of one tensor."""
    from core.model.source import open_model
    from core.quantization.tensors import spread_of

    return spread_of(open_model(reference.there, reference.title), open_model(other.there, other.title), name)
