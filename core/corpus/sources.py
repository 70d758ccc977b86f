"""Read a corpus: a text file, a folder of them, JSON Lines, or the folder of a corpus artifact.

Nothing is cleaned or cut here: a file of text is one document, a line of JSON is one. Files are UTF-8; line
breaks stay as they are. What is no text is refused with the place of the first byte or line that shows it.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from core.corpus.documents import Document
from core.formats.bounded_json import parse_json
from core.formats.files import open_bounded, quoted, shown
from core.problems import LabError
from core.stages import Finished, Progress

AT_MOST = 1 << 30  # bytes of a corpus: it is held in memory
LONGEST_LINE = 16 << 20  # bytes of a line of JSON
MOST_FILES = 20_000  # looked at in one folder
FILE = "documents.jsonl"
"""The file of a corpus artifact."""

_BLOCK = 128 << 10  # bytes between two events
_TEXTS = (".txt", ".md")
_UTF8 = "Open it in an editor and save it as UTF-8."


def read_corpus(path: str | os.PathLike[str]) -> Iterator[Progress | Finished[tuple[Document, ...]]]:
    """Read all documents of a file or folder; Progress comes with every 128 KB and counts bytes.

    Args:
        path: A text file of any name, a `.jsonl` file whose lines have a `text`, a folder with a
            `documents.jsonl`, or a folder with `.txt` and `.md` files at any depth.

    Raises:
        LabError: There is nothing to read, too much, or something that is no text or no JSON; what is wrong
            in a `.jsonl` file is named by its line.
    """
    chosen = Path(path)
    files = _files(chosen) if chosen.is_dir() else [chosen]
    sizes = [_size(file) for file in files]
    total = sum(sizes)
    if total > AT_MOST:
        raise LabError(
            f"{shown(chosen)} holds {total:,} bytes of text; at most {AT_MOST:,} are read.",
            "Choose a part of it: a small model needs a few million bytes.",
        )
    if total == 0:
        raise _nothing(chosen)
    return _read(chosen, files, total)


def _files(folder: Path) -> list[Path]:
    """What is read of a folder, in the order of names."""
    if (folder / FILE).is_file():
        return [folder / FILE]
    try:
        seen = list(
            islice((file for file in folder.rglob("*") if file.suffix.lower() in _TEXTS), MOST_FILES + 1)
        )
        files = sorted(file for file in seen if file.is_file() and not _hidden(file, folder))
    except OSError as error:
        raise LabError(
            f"{shown(folder)} could not be read: {error.strerror}.",
            "Check the folder and the disk it lies on.",
        ) from error
    if len(seen) > MOST_FILES:
        raise LabError(
            f"{shown(folder)} holds more than {MOST_FILES:,} text files.",
            "Choose a folder with fewer of them.",
        )
    if not files:
        raise LabError(
            f"{shown(folder)} holds no {FILE} and no file that ends in .txt or .md.",
            "Choose a folder with text files, or one file of text.",
        )
    return files


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _size(file: Path) -> int:
    with open_bounded(file) as opened:
        return opened.size


def _nothing(path: Path) -> LabError:
    return LabError(f"{shown(path)} holds no text: it has 0 characters.", "Choose a file with text in it.")


def _read(chosen: Path, files: list[Path], total: int) -> Iterator[Progress | Finished[tuple[Document, ...]]]:
    documents: list[Document] = []
    done = empty = 0
    for file in files:
        read = _json_lines(file) if file.suffix.lower() == ".jsonl" else _text(file)
        for size, found in read:
            empty += sum(not document.text.strip() for document in found)
            documents += (document for document in found if document.text.strip())
            done += size
            yield Progress(f"Reading {shown(file)}", min(done, total), total, "bytes")
    if not documents:
        raise _nothing(chosen)
    left_out = f" {empty:,} without text were left out." if empty else ""
    yield Finished(f"{len(documents):,} documents were read.{left_out}", tuple(documents))


Found = tuple[int, list[Document]]
"""Bytes read since the last time, and the documents that they completed."""


def _text(file: Path) -> Iterator[Found]:
    """A file of text as one document."""
    parts: list[str] = []
    for size, block in _blocks(file):
        parts.append(block)
        yield size, []
    yield 0, [Document("".join(parts), shown(file))]


def _json_lines(file: Path) -> Iterator[Found]:
    """A file of JSON Lines, a document each."""
    rest, number = "", 0
    for size, block in _blocks(file):
        *lines, rest = (rest + block).split("\n")
        if len(rest) > LONGEST_LINE:
            raise LabError(
                f"{shown(file)}, line {number + len(lines) + 1:,}: it has more than {LONGEST_LINE:,} "
                "characters.",
                "Write each document on a line of its own.",
            )
        yield size, [_document(file, number + at, line) for at, line in enumerate(lines, 1) if line.strip()]
        number += len(lines)
    if rest.strip():
        yield 0, [_document(file, number + 1, rest)]


def _document(file: Path, number: int, line: str) -> Document:
    value = _parsed(file, number, line)
    place = f"{shown(file)}, line {number:,}"
    remedy = 'Each line is an object such as {"text": "The cat sat on the mat."}.'
    if not isinstance(value, dict):
        raise LabError(f"{place}: {quoted(line.strip(), 40)} is no JSON object.", remedy)
    if "text" not in value:
        raise LabError(f'{place}: there is no "text" among {quoted(", ".join(value), 60)}.', remedy)
    text, source, nats = value["text"], value.get("source"), value.get("nats", 0.0)
    if not isinstance(text, str):
        raise LabError(f'{place}: its "text" is {quoted(repr(text), 40)}, which is no string.', remedy)
    bound = float(nats) if isinstance(nats, (int, float)) else 0.0
    return Document(text, source if isinstance(source, str) else shown(file), bound)


def _parsed(file: Path, number: int, line: str) -> Any:
    name = shown(file)
    try:
        return parse_json(line, name)
    except LabError:
        return parse_json("\n" * (number - 1) + line, name)  # again, so that the fault bears its own line


def _blocks(file: Path) -> Generator[tuple[int, str]]:
    """The text of a file in blocks, each with its bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bounded(file) as opened:
        while opened.remaining:
            begin = opened.position
            data = opened.read(min(_BLOCK, opened.remaining))
            if 0 in data:
                raise LabError(
                    f"{shown(file)}, byte {begin + data.index(0):,}: a zero byte, which no text holds.",
                    "Choose a text file: this is a picture, a program, an archive or the like, or UTF-16.",
                )
            try:
                yield len(data), decoder.decode(data, final=not opened.remaining)
            except UnicodeDecodeError as error:
                place = begin + len(data) - len(error.object) + error.start
                raise LabError(
                    f"{shown(file)}, byte {place:,}: 0x{error.object[error.start]:02x} is not valid UTF-8 "
                    "here.",
                    _UTF8,
                ) from None
