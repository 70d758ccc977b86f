"""Files of vectors: `read_vectors` reads any that is known, `write_projector` and `write_npy` write.

Read: .npy with names beside it, the Embedding Projector's vectors.tsv with metadata.tsv, and text files of
word2vec and GloVe; whatever they hold is checked with its line. Written files are new or nothing: a stage
that is closed, or a crash, leaves no half.

Two things cannot be in a TSV: a tab or a line break inside a name becomes its sign (␉ ␊ ␍).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from core.artifacts.durable import explain, sync_folder
from core.embeddings.npy import MAGIC, read_npy
from core.embeddings.texts import Form, Metadata, Read, read_metadata, read_text_vectors, recognize
from core.embeddings.vectors import Numbers, Rows, Vectors
from core.formats.files import open_bounded, quoted, shown
from core.problems import LabError
from core.stages import Finished, Progress

VECTORS, METADATA = "vectors.tsv", "metadata.tsv"
TOKEN_ID = "token id"
"""Column of the token ids, by which a table of tokens is known again."""

_ROWS_AT_ONCE = 64  # that are written between two events
_SIGNS = str.maketrans({"\t": "␉", "\n": "␊", "\r": "␍"})


def read_vectors(
    path: str | os.PathLike[str], metadata: str | os.PathLike[str] | None = None
) -> Iterator[Progress | Finished[Vectors]]:
    """Read vectors with their names; Progress counts bytes.

    Args:
        path: A .npy file, a vectors.tsv, a text file of word2vec or GloVe, or a folder with one of the first
            two.
        metadata: A file of names, one a line or a table with a heading; None looks beside `path`.

    Raises:
        LabError: It is none of these, is ragged, empty, not numeric or not finite, does not fit into memory,
            or the names are not as many; what is wrong is named by its line.
    """
    chosen = _file_of(Path(path))
    with open_bounded(chosen) as file:
        is_npy = file.read(min(6, file.size)) == MAGIC
    if not is_npy and chosen.suffix.lower() in (".npz", ".pkl", ".pickle", ".pt", ".bin", ".gz", ".zip"):
        raise LabError(
            f"{shown(chosen)} is an archive or a program's own format, which is not opened.",
            "Choose a .npy file, a vectors.tsv, or a text file of word2vec or GloVe; unpack it first.",
        )
    form = None if is_npy else recognize(chosen)
    names = _Names(Path(metadata), True) if metadata is not None else None
    if names is None and (form is None or not form.named):
        names = _names_beside(chosen)
    return _read(chosen, names) if form is None else _read_texts(chosen, form, names)


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / VECTORS] if (path / VECTORS).is_file() else sorted(path.glob("*.npy"))[:1]
    if not found:
        raise LabError(f"{shown(path)} holds no {VECTORS} and no .npy file.", "Choose the file itself.")
    return found[0]


@dataclass(frozen=True)
class _Names:
    """A file of names, and whether it surely belongs to the vectors or only lies beside them."""

    path: Path
    surely: bool


def _names_beside(path: Path) -> _Names | None:
    stem = path.stem
    sure = [stem + ".metadata.tsv", stem + ".tsv", stem + ".txt"]
    sure += [stem.replace(part, "metadata") + ".tsv" for part in ("vectors", "tensors", "tensor")]
    found = next((n for n in sure if n != path.name and path.with_name(n).is_file()), None)
    if found is not None:
        return _Names(path.with_name(found), True)
    found = next((n for n in (METADATA, "labels.txt") if path.with_name(n).is_file()), None)
    return None if found is None else _Names(path.with_name(found), False)


def _read(path: Path, names: _Names | None) -> Iterator[Progress | Finished[Vectors]]:
    into: list[Numbers] = []
    yield from read_npy(path, into)
    yield _finished(path, "NumPy", Read(into[0], []), names)


def _read_texts(path: Path, form: Form, names: _Names | None) -> Iterator[Progress | Finished[Vectors]]:
    into: list[Read] = []
    yield from read_text_vectors(path, form, into)
    yield _finished(path, form.title, into[0], names)


def _finished(path: Path, form: str, read: Read, listed: _Names | None) -> Finished[Vectors]:
    count, width = read.values.shape
    notes: list[str] = []
    columns: dict[str, tuple[str, ...]] = {}
    names = tuple(read.names)
    known = _known(listed, count, notes)
    if known is not None:
        columns = dict(known.columns)
        if names:
            columns["name in the file of names"] = known.names
        names = names or known.names
    elif not names:
        names = tuple(str(at + 1) for at in range(count))
        notes.append("No names lie beside the file: the vectors are numbered from 1.")
    if read.repaired:
        notes.append(f"{read.repaired:,} names are no UTF-8: their odd bytes are shown as escapes.")
    notes += _about_repeated(names)
    ids = _ids(columns)
    source = (
        f"{shown(path)} ({form}): {count:,} vectors, {width:,} numbers each, "
        f"{read.values.nbytes / 1e6:,.0f} MB in memory"
    )
    source += f"; names from {shown(listed.path)}." if listed and known else "."
    made = Vectors(shown(path), names, read.values, columns, ids, source, tuple(notes))
    return Finished(" ".join([source, *notes]), made)


def _known(listed: _Names | None, count: int, notes: list[str]) -> Metadata | None:
    """What a file of names holds; what only lies beside is passed over where it does not fit."""
    if listed is None:
        return None
    try:
        known = read_metadata(listed.path, count)
    except LabError as error:
        if listed.surely:
            raise
        notes.append(f"{shown(listed.path)} lies beside it and was passed over: {error.problem}")
        return None
    notes += known.notes
    return known


def _about_repeated(names: Sequence[str]) -> list[str]:
    counted = Counter(names)
    repeated = [name for name, times in counted.items() if times > 1]
    if not repeated:
        return []
    most = max(repeated, key=lambda name: counted[name])
    return [
        f"{len(repeated):,} names occur more than once ({quoted(most, 24)} {counted[most]:,} times): all "
        "vectors are kept, and a name finds its first."
    ]


def _ids(columns: dict[str, tuple[str, ...]]) -> tuple[int, ...] | None:
    """Token ids, where a column of that name holds whole numbers that differ."""
    given = columns.get(TOKEN_ID, ())
    if not given or not all(text.isascii() and text.isdigit() and len(text) < 10 for text in given):
        return None
    ids = tuple(int(text) for text in given)
    if len(set(ids)) < len(ids):
        return None
    del columns[TOKEN_ID]
    return ids


# Writing


def write_projector(
    vectors: Vectors, folder: str | os.PathLike[str], rows: Sequence[int] | Rows | None = None
) -> Iterator[Progress | Finished[Path]]:
    """Write vectors.tsv and metadata.tsv as the Embedding Projector reads them; a stage.

    Each number has the nine digits that give the same float32 back.

    Args:
        vectors: What is written.
        folder: Exists; neither file may.
        rows: Which of them, in this order; None: all.

    Raises:
        LabError: A file exists already, or the disk refuses; nothing is left behind.
    """
    chosen = list(range(len(vectors))) if rows is None else [int(row) for row in rows]
    folder = Path(folder)
    _check_new(folder, VECTORS, METADATA)
    return _write_projector(vectors, folder, chosen)


def _write_projector(vectors: Vectors, folder: Path, rows: list[int]) -> Iterator[Progress | Finished[Path]]:
    with _New(folder / VECTORS) as numbers, _New(folder / METADATA) as names:
        names.write(metadata_text(vectors, rows).encode("utf-8", "replace"))
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            part = vectors.values[rows[begin : begin + _ROWS_AT_ONCE]].tolist()
            numbers.write("".join("\t".join(map("%.9g".__mod__, row)) + "\n" for row in part).encode("ascii"))
            yield Progress(f"Writing {VECTORS}", min(begin + _ROWS_AT_ONCE, len(rows)), len(rows), "vectors")
        numbers.keep()
        names.keep()
    yield Finished(f"{len(rows):,} vectors are written to {shown(folder)}.", folder)


def metadata_text(vectors: Vectors, rows: Sequence[int]) -> str:
    """The names (and what else is known) of some vectors as the Projector's metadata.tsv.

    A table has a heading, a list of names has none.

    >>> values = np.zeros((2, 1), np.float32)
    >>> metadata_text(Vectors("", ("a", "b\\n"), values), [0, 1])
    'a\\nb␊\\n'
    >>> metadata_text(Vectors("", ("a", "b"), values, {"kind": ("x", "y")}), [1])
    'name\\tkind\\nb\\ty\\n'
    """
    columns = [("name", vectors.names)]
    if vectors.ids is not None:
        columns.append((TOKEN_ID, tuple(map(str, vectors.ids))))
    columns += list(vectors.columns.items())
    lines = ["\t".join(title.translate(_SIGNS) for title, _ in columns)] if len(columns) > 1 else []
    lines += ["\t".join(column[row].translate(_SIGNS) for _, column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def write_npy(vectors: Vectors, path: str | os.PathLike[str]) -> Iterator[Progress | Finished[Path]]:
    """Write a .npy file with its names beside it, NAME.metadata.tsv; a stage.

    Raises:
        LabError: A file exists already, or the disk refuses; nothing is left behind.
    """
    path = Path(path)
    names = path.stem + ".metadata.tsv"
    _check_new(path.parent, path.name, names)
    return _write_npy(vectors, path, path.with_name(names))


def _write_npy(vectors: Vectors, path: Path, names: Path) -> Iterator[Progress | Finished[Path]]:
    header = BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": vectors.values.shape}
    )
    with _New(path) as numbers, _New(names) as listed:
        listed.write(metadata_text(vectors, range(len(vectors))).encode("utf-8", "replace"))
        numbers.write(header.getvalue())
        for begin in range(0, len(vectors), 1024):
            numbers.write(vectors.values[begin : begin + 1024].astype("<f4").tobytes())
            yield Progress(f"Writing {shown(path)}", min(begin + 1024, len(vectors)), len(vectors), "vectors")
        numbers.keep()
        listed.keep()
    yield Finished(f"{len(vectors):,} vectors are written to {shown(path)}.", path)


def _check_new(folder: Path, *names: str) -> None:
    if not folder.is_dir():
        raise LabError(f"There is no folder {shown(folder)}.", "Choose one that exists.")
    for name in names:
        if os.path.lexists(folder / name):
            raise LabError(
                f"{name} exists already in {shown(folder)}.", "Choose another folder or name: it stays."
            )


class _New:
    """A file that is written piece by piece under another name, and appears whole with `keep`, or never."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        self._file: BinaryIO | None = None

    def __enter__(self) -> _New:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._file = open(os.open(self._part, flags, 0o666), "wb")
        except OSError as error:
            raise explain(error, self._path) from error
        return self

    def write(self, data: bytes) -> None:
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                raise explain(error, self._path) from error

    def keep(self) -> None:
        if self._file is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.rename(self._part, self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise explain(error, self._path) from error

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._part)
