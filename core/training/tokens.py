"""The tokens of a run: a training part and a part that is never trained on, each one file of plain numbers.

Documents are encoded one by one, each behind `<|endoftext|>`. Every 50th goes to validation; of a text in
fewer documents, its last tenth does. The files are our own and lie in the run's folder: they are mapped, so
that a corpus may be larger than memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.artifacts import plain_json
from core.artifacts.durable import write_file
from core.corpus.documents import Document
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer

SEPARATOR = "<|endoftext|>"
_EVERY = 50  # one document in so many is for validation
_FEW = 100  # documents; of fewer, the last tenth of all tokens is for validation
_AT_ONCE = 500  # documents between two events
_CUT = 100_000  # characters of a text that are encoded together

Ids = npt.NDArray[np.integer]


@dataclass(frozen=True)
class TokenFacts:
    """What is known of the tokens of a run.

    Attributes:
        dtype: "uint16" or "uint32", little-endian.
        vocab_size: Tokens of the vocabulary.
        train: Training tokens.
        validation: Tokens never trained on.
        validation_bytes: Bytes of text that those stand for.
        unigram: Cross-entropy of one who knows only the frequencies of tokens, nats a token.
        floor: What the generator drew, nats a token of the training part; None where nobody drew.
        sha256: Of both files, one after the other.
    """

    dtype: str
    vocab_size: int
    train: int
    validation: int
    validation_bytes: int
    unigram: float
    floor: float | None
    sha256: str


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a run, mapped.

    Attributes:
        facts: What is known of them.
        train: Ids of the training part.
        validation: Ids never trained on.
    """

    facts: TokenFacts
    train: Ids
    validation: Ids


def encode_documents(
    documents: Iterable[Document], tokenizer: Tokenizer, folder: Path, expected: int | None = None
) -> Iterator[Progress | Finished[Tokens]]:
    """Encode documents into `train.bin`, `validation.bin` and `tokens.json`.

    Args:
        documents: In the order in which they are to be met.
        tokenizer: Has `<|endoftext|>`, or documents follow one another without a mark.
        folder: An existing folder.
        expected: About how many documents come, for the progress.

    Raises:
        LabError: The text is too short to train on, or the disk refused.
    """
    dtype = "uint16" if tokenizer.vocab_size <= 1 << 16 else "uint32"
    mark = tokenizer.encode(SEPARATOR, special="all")
    mark = mark if len(mark) == 1 else []
    parts: list[Ids] = []
    nats, drawn = 0.0, True
    n = 0
    for n, document in enumerate(documents, 1):
        ids = list(mark)
        for begin in range(0, len(document.text), _CUT):
            ids += tokenizer.encode(document.text[begin : begin + _CUT])
            if begin:
                yield Progress("Encoding the text", n, expected, "documents")
        parts.append(np.array(ids, dtype))
        nats += document.nats
        drawn = drawn and document.nats > 0
        if n % _AT_ONCE == 0:
            yield Progress("Encoding the text", n, expected, "documents")
    train, validation = _split(parts, dtype)
    if len(train) < 64 or len(validation) < 16:
        raise LabError(
            f"The text has {len(train) + len(validation):,} tokens, too few to train on.",
            "Choose a text of some thousand words at least.",
        )
    sizes = np.array([len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)])
    sizes[mark] = 0  # the mark stands for no text
    whole = len(train) + len(validation)
    hashed = hashlib.sha256(train.tobytes())
    hashed.update(validation.tobytes())
    facts = TokenFacts(
        dtype, tokenizer.vocab_size, len(train), len(validation), int(sizes[validation].sum()),
        _unigram(train, tokenizer.vocab_size), nats / whole if drawn and n else None, hashed.hexdigest(),
    )  # fmt: skip
    for name, ids_ in (("train", train), ("validation", validation)):
        write_file(folder / f"{name}.bin", ids_.astype(np.dtype(dtype).newbyteorder("<")).tobytes())
    plain_json.write_json(folder / "tokens.json", asdict(facts))
    yield Finished(f"{whole:,} tokens are encoded.", open_tokens(folder))


def open_tokens(folder: Path) -> Tokens:
    """Open what `encode_documents` wrote.

    Raises:
        LabError: A file is missing or of another size than was written.
    """
    value = plain_json.read_json(folder / "tokens.json")
    try:
        facts = TokenFacts(**value)
        dtype: np.dtype[Any] = np.dtype({"uint16": "<u2", "uint32": "<u4"}[facts.dtype])
    except (TypeError, KeyError) as error:
        raise LabError(f"{folder / 'tokens.json'} does not describe tokens.", _AGAIN) from error
    return Tokens(
        facts, _mapped(folder / "train.bin", dtype, facts.train),
        _mapped(folder / "validation.bin", dtype, facts.validation),
    )  # fmt: skip


def check_unchanged(tokens: Tokens) -> None:
    """Check that the tokens are those that were written.

    Raises:
        LabError: They are not.
    """
    hashed = hashlib.sha256(tokens.train.tobytes())
    hashed.update(tokens.validation.tobytes())
    if hashed.hexdigest() != tokens.facts.sha256:
        raise LabError("The tokens of this run are no longer those that it was begun with.", _AGAIN)


_AGAIN = "Start a new run; the checkpoints of this one can still be opened."


def _mapped(path: Path, dtype: np.dtype[np.integer], count: int) -> Ids:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise LabError(f"{path} is missing.", _AGAIN) from error
    if size != count * dtype.itemsize:
        raise LabError(f"{path} has {size:,} bytes; {count * dtype.itemsize:,} were written.", _AGAIN)
    return np.memmap(path, dtype, "r", shape=(count,))


def _split(parts: list[Ids], dtype: str) -> tuple[Ids, Ids]:
    if len(parts) >= _FEW:
        held = [p for n, p in enumerate(parts) if n % _EVERY == _EVERY - 1]
        kept = [p for n, p in enumerate(parts) if n % _EVERY != _EVERY - 1]
        return np.concatenate(kept), np.concatenate(held)
    whole = np.concatenate(parts) if parts else np.zeros(0, dtype)
    cut = len(whole) - len(whole) // 10
    return whole[:cut], whole[cut:]


def _unigram(ids: Ids, vocab_size: int) -> float:
    """Entropy of the frequencies of tokens, in nats.

    >>> round(_unigram(np.array([0, 1, 2, 3]), 5), 4)  # ln 4
    1.3863
    """
    counts = np.bincount(ids, minlength=vocab_size)
    shares = counts[counts > 0] / len(ids)
    return float(-(shares * np.log(shares)).sum())
