"""Write a small world to a folder, as the file of a corpus artifact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import durable
from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.raw import raw_documents
from core.corpus.smallworld.settings import SmallWorldSettings
from core.corpus.sources import FILE
from core.settings import check
from core.stages import Finished, Progress

_BLOCK = 128 << 10  # bytes written between two events


@dataclass(frozen=True)
class Written:
    """A corpus on disk.

    Attributes:
        path: Its `documents.jsonl`.
        documents: How many documents it holds.
        words: Words in all.
        characters: Characters in all.
        nats: Upper bound of its entropy, for all documents together; 0 for a raw corpus.
    """

    path: Path
    documents: int
    words: int
    characters: int
    nats: float


def write_smallworld(settings: SmallWorldSettings, folder: Path) -> Iterator[Progress | Finished[Written]]:
    """Generate a small world into `documents.jsonl` of a folder; Progress counts words.

    Args:
        settings: Size, seed and mixture; with `raw`, every line has its labels, too.
        folder: An empty folder: a draft's.

    Raises:
        LabError: A setting is outside its limits, or the disk refused.
    """
    check(settings)
    return _write(settings, folder / FILE)


def _write(settings: SmallWorldSettings, path: Path) -> Iterator[Progress | Finished[Written]]:
    count = words = characters = 0
    nats = 0.0
    waiting: list[str] = []
    size = 0
    try:
        with open(path, "xb") as file:
            for line, text, bound in _lines(settings):
                count, characters, nats = count + 1, characters + len(text), nats + bound
                words += text.count(" ") + text.count("\n") + 1
                waiting.append(line)
                size += len(line)
                if size >= _BLOCK:
                    file.write("".join(waiting).encode())
                    waiting, size = [], 0
                    yield Progress(
                        "Writing the small world", min(words, settings.words), settings.words, "words"
                    )
            file.write("".join(waiting).encode())
    except OSError as error:
        raise durable.explain(error, path) from error
    yield Finished(f"{count:,} documents were written.", Written(path, count, words, characters, nats))


def _lines(settings: SmallWorldSettings) -> Iterator[tuple[str, str, float]]:
    """Each document as a line of JSON, with its text and its nats."""
    if settings.raw:
        for dirty in raw_documents(settings):
            yield _line(text=dirty.text, source=dirty.source, labels=list(dirty.labels)), dirty.text, 0.0
    else:
        for one in documents(settings):
            yield _line(text=one.text, source=one.source, nats=round(one.nats, 4)), one.text, one.nats


def _line(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"
