"""Every hostile file of the catalog that concerns a vocabulary: refused with its place, or loaded as what it is."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import regex

from core.formats import files
from core.problems import LabError
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from tests.faults.bounds import attempt, check_cost, check_message, needs, nothing_left_behind
from tests.faults.hostile_vocabularies import CASES, Case
from tests.faults.small_files import DATA, IDS, PAIRS, SPELLED, gguf, gz, ranks, tokenizer_json

FILES = {
    "tokenizer.json": tokenizer_json(),
    "ranks.tiktoken": ranks(),
    "ranks.tiktoken.gz": gz(ranks()),
    "model.gguf": gguf(),
}
PLACE = re.compile(
    r"\b(byte|line) [\d,]+|\bmerge [\d,]+|, (model|added_tokens|added_tokens_decoder|normalizer|decoder|post_processor"
    r"|pre_tokenizer|tokenizer_class|chat_template|[a-z]+_token)\b|, key |, token "
)


def read(path: Path) -> Tokenizer:
    return read_tokenizer(path, pattern="gpt2")


@pytest.mark.parametrize("case", CASES, ids=[case.name.encode("unicode_escape").decode() for case in CASES])
def test_a_hostile_file_is_refused_with_its_place_or_loads_as_what_it_is(case: Case, tmp_path: Path) -> None:
    for name, content in case.beside.items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / case.file
    path.write_bytes(case.content())
    with nothing_left_behind(tmp_path):
        outcome, cost = attempt(lambda: read(path))
    check_cost(cost)
    if case.legal:
        assert isinstance(outcome, Tokenizer), outcome
        assert outcome.tokens[:256] == read_small().tokens[:256]
        assert b"".join(map(outcome.token_bytes, outcome.encode("then oo é"))) == "then oo é".encode()
        return
    assert isinstance(outcome, LabError), f"it loaded: {outcome}"
    check_message(outcome, case.says)
    beside = [name for name in case.beside if name in outcome.problem]
    assert case.file in outcome.problem or beside
    assert PLACE.search(outcome.problem) or "needs" in outcome.problem, outcome.problem


def read_small() -> Tokenizer:
    from core.tokenizer.ranks import tokenizer_of_ranks

    return tokenizer_of_ranks(ranks(), "small.tiktoken", "gpt2")


def test_the_catalog_is_as_large_as_it_says_and_names_no_case_twice(report: Any) -> None:
    names = Counter(case.name for case in CASES)
    assert not [name for name, times in names.items() if times > 1]
    refused = sum(not case.legal for case in CASES)
    report("hostile vocabularies: named files, of which refused", [len(CASES), refused])
    assert refused >= 250
    for letter in (
        "H1",
        "H2",
        "H4",
        "H5",
        "H6",
        "H7",
        "H13",
        "H14",
        "V1",
        "V2",
        "V3",
        "V4",
        "V5",
        "V6",
        "V7",
    ):
        assert any(name.startswith(letter) for name in names), letter
    for number in (*range(1, 23), 24, 25, 26, 27):
        assert any(name.startswith(f"G{number} ") for name in names), number


@pytest.mark.parametrize("file", FILES)
def test_a_valid_file_loads_right(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(FILES[file])
    tokenizer = read(tmp_path / file)
    assert [tokenizer.tokens[IDS[name]] for name in SPELLED[-5:]] == [
        b"th",
        b"the",
        b" the",
        "é".encode(),
        b"oo",
    ]
    assert [(IDS[a], IDS[b], IDS[a + b]) for a, b in PAIRS] == list(tokenizer.merges)
    if "ranks" not in file:
        assert tokenizer.special_tokens == {"<|end|>": 261, "<|start|>": 262}


@pytest.mark.parametrize("file", FILES)
def test_h3_a_file_cut_at_any_byte_is_refused_or_is_still_whole(
    file: str, tmp_path: Path, count: Any, report: Any
) -> None:
    whole = FILES[file]
    expected, path = read_small(), tmp_path / file
    places = (
        range(len(whole)) if len(whole) < count(1_500, 10**9) else sorted(_some(len(whole), count(1_500, 0)))
    )
    refused = loaded = 0
    for size in places:
        path.write_bytes(whole[:size])
        try:
            tokenizer = read(path)
        except LabError as error:
            check_message(error, file)
            refused += 1
        else:  # a rank file cut behind a line is a shorter rank file; the padding of a GGUF may be missing
            padding = 16 if file == "model.gguf" else 1
            assert file == "ranks.tiktoken" or size >= len(whole) - padding
            assert tokenizer.tokens == expected.tokens[: len(tokenizer.tokens)] or file == "tokenizer.json"
            loaded += 1
    report(f"cut at every byte: {file} (refused, still legal)", [refused, loaded])
    assert refused > 0.9 * (refused + loaded)
    assert refused + loaded == len(places)


def _some(size: int, how_many: int) -> set[int]:
    """Places all over a file: its beginning and its end byte by byte, the rest in steps."""
    return {*range(min(500, size)), *range(size - 500, size), *range(0, size, max(1, size // how_many))}


@pytest.mark.parametrize("file", FILES)
def test_h8_a_file_that_shrinks_while_it_is_read_is_refused(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / file
    really = os.fstat
    for keep in (0, 1, 100, len(FILES[file]) - 1):
        path.write_bytes(FILES[file])
        opened = 0

        def shrink(handle: int, keep: int = keep) -> os.stat_result:
            nonlocal opened
            found = really(handle)
            opened += 1
            if opened == 2:  # the first opening looks at the magic only
                os.truncate(path, keep)
            return found

        monkeypatch.setattr(files.os, "fstat", shrink)
        with pytest.raises(LabError) as caught:
            read(path)
        monkeypatch.undo()
        check_message(caught.value, file, "ends at byte" if "tensor" not in caught.value.problem else "")


def test_h9_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    needs("mkfifo")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    os.symlink(tmp_path / "loop.json", tmp_path / "loop.json")
    os.symlink("/dev/zero", tmp_path / "zero.json")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling.json")
    place = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(tmp_path)  # the address of a socket is at most 107 bytes long
        listening.bind("socket.json")
        os.chdir(place)
        for name, says in (
            ("folder.json", "folder.json"),
            ("pipe.json", "is a pipe"),
            ("loop.json", "leads back to itself"),
            ("zero.json", "is a device"),
            ("dangling.json", "does not exist"),
            ("socket.json", "is a socket"),
            ("missing.json", "does not exist"),
            ("missing.json/deeper", "deeper"),
        ):
            outcome, cost = attempt(lambda name=name: read(tmp_path / name))
            assert isinstance(outcome, LabError)
            check_message(outcome, says)
            check_cost(cost)


def test_h9_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("mkfifo")
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"{}")
    regular = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(files.os, "stat", lambda _path: regular)  # as if it had been swapped after the look
    with pytest.raises(LabError, match="is a pipe"):
        files.read_bytes(path, 100)


@pytest.mark.parametrize("name", ["a" * 100, "שלום‮json", "👩‍👩‍👧 CON", "new\nline\x1b[2J", "quote\"'"])
def test_h10_a_strange_path_is_legal_and_shown_escaped(name: str, tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(3):
        folder = folder / name
    folder.mkdir(parents=True)
    path = folder / f"{name}.json"
    path.write_bytes(tokenizer_json())
    assert read(path).merges == read_small().merges
    path.write_bytes(b"")
    with pytest.raises(LabError) as caught:
        read(path)
    check_message(caught.value, "the file is empty")


@pytest.mark.parametrize("name", ["x" * 300 + ".json", "nul\0.json"])
def test_h10_a_path_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        read(tmp_path / name)
    check_message(caught.value, name[:3])


@pytest.mark.parametrize("file", [*FILES, "vocab.json", "merges.txt"])
def test_h11_a_sparse_file_of_a_terabyte_is_refused_at_once(file: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_bytes(b"{}")
    (tmp_path / "merges.txt").write_bytes(b"")
    path = tmp_path / file
    start = FILES.get(file, b"")
    path.write_bytes(start)
    try:
        os.truncate(path, 1 << 40)
    except OSError:
        pytest.skip("this file system has no room for a sparse file of a terabyte")
    outcome, cost = attempt(lambda: read(path))
    assert isinstance(outcome, LabError)
    check_message(outcome, file)
    check_cost(cost)


def test_h11_a_sparse_gguf_whose_counts_fit_a_terabyte_is_refused(tmp_path: Path) -> None:
    """Every number here is smaller than the file; the llama.cpp tests had to drop this case."""
    from tests.faults.small_files import STRING, U8, array

    for name, parts in {
        "keys": {"n_kv": 1 << 30},
        "tensors": {"n_tensors": 1 << 30},
        "bytes": {"changes": {"x": array("x", U8, [], 1 << 36)}},
        "strings": {"changes": {"x": array("x", STRING, [], 1 << 30)}},
        "empty strings": {"changes": {"x": array("x", STRING, [], 1 << 20)}},
    }.items():
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(gguf(**parts)[: -len(DATA)])  # type: ignore[arg-type]
        os.truncate(path, 1 << 40)
        outcome, cost = attempt(lambda path=path: read(path))
        assert isinstance(outcome, LabError)
        check_message(outcome, path.name, "byte")
        check_cost(cost)


def test_h12_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer_json())

    def deny(*_args: Any) -> int:  # root may read everything, so the answer of the system is played
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", deny)
    with pytest.raises(LabError, match="permission is missing"):
        read(path)


def test_v1_no_pattern_of_a_file_is_ever_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for module in (re, regex):
        real = module.compile
        monkeypatch.setattr(
            module, "compile", lambda p, *a, real=real, **k: (seen.append(str(p)), real(p, *a, **k))[1]
        )
    for case in CASES:
        if case.name.startswith("V1 own pattern"):
            (tmp_path / case.file).write_bytes(case.content())
            with pytest.raises(LabError):
                read(tmp_path / case.file)
    assert not [p for p in seen if p in ("(a+)+$", "(x*)*y", "(?:a|a)*b", "(?R)", "\\p{L}+")]
