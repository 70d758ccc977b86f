"""Thousands of damaged vocabularies: each is refused with a LabError, or loads and is written out as an equal one."""

from __future__ import annotations

import random
import shutil
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.problems import LabError
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.writing import tokenizer_config_json, tokenizer_json, write_tokenizer
from tests.faults.bounds import MEGABYTES, SECONDS, check_message
from tests.faults.mutations import Mutation, mutate_gguf, mutate_json, mutate_ranks
from tests.faults.small_files import gguf, gz, ranks
from tests.faults.small_files import tokenizer_json as small_json

MUTATORS: dict[str, Callable[[random.Random], Mutation]] = {
    "tokenizer.json": mutate_json,
    "ranks.tiktoken": mutate_ranks,
    "model.gguf": mutate_gguf,
}


class Judge:
    """Reads files one after the other and counts what becomes of them."""

    def __init__(self, folder: Path, file: str) -> None:
        self.path = folder / file
        self.out = folder / "out"
        self.refused = self.loaded = 0
        self.seconds = self.megabytes = 0.0

    def judge(self, content: bytes) -> None:
        """Refused within the bounds, or loaded, written and read again as an equal tokenizer."""
        self.path.write_bytes(content)
        tracemalloc.reset_peak()
        baseline = tracemalloc.get_traced_memory()[0]
        began = time.thread_time()
        try:
            tokenizer = read_tokenizer(self.path, pattern="gpt2")
        except LabError as error:
            self._measure(began, baseline)
            check_message(error, self.path.name)
            self.refused += 1
            return
        self._measure(began, baseline)
        write_tokenizer(tokenizer, self.out)
        again = read_tokenizer(self.out)
        assert again == tokenizer
        assert tokenizer_json(again) == (self.out / "tokenizer.json").read_text(encoding="utf-8")
        assert tokenizer_config_json(again) == (self.out / "tokenizer_config.json").read_text(
            encoding="utf-8"
        )
        shutil.rmtree(self.out)
        self.loaded += 1

    def _measure(self, began: float, baseline: int) -> None:
        self.seconds = max(self.seconds, time.thread_time() - began)
        self.megabytes = max(self.megabytes, (tracemalloc.get_traced_memory()[1] - baseline) / 1e6)
        assert self.seconds <= SECONDS
        assert self.megabytes <= MEGABYTES


@dataclass
class Totals:
    """Counts over all parts of a file's run."""

    files: int = 0
    refused: int = 0
    loaded: int = 0
    structural: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0

    def add(self, files: int, judge: Judge, structural: int) -> None:
        self.files += files
        self.refused += judge.refused
        self.loaded += judge.loaded
        self.structural += structural
        self.seconds = max(self.seconds, judge.seconds)
        self.megabytes = max(self.megabytes, judge.megabytes)

    def __str__(self) -> str:
        return (
            f"{self.files} files: {self.refused} refused, {self.loaded} loaded and re-exported; "
            f"{self.structural} hit structural fields; slowest {self.seconds:.3f} s, "
            f"largest {self.megabytes:.1f} MB"
        )


TOTALS: dict[str, Totals] = {}


@pytest.fixture
def traced() -> Iterator[None]:
    """Memory is watched all the time; what that costs in time is counted against the reader."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("file", MUTATORS)
@pytest.mark.usefixtures("traced")
def test_a_fuzzed_vocabulary_is_refused_or_loads_and_is_written_as_an_equal_one(
    file: str, part: int, tmp_path: Path, count: Any, report: Any
) -> None:
    judge, structural, times = Judge(tmp_path, file), 0, count(40, 1_000)
    for number in range(part * times, (part + 1) * times):
        content, hit = MUTATORS[file](random.Random(f"{file} {number}"))
        structural += hit
        try:
            judge.judge(content)
        except (Exception, AssertionError) as error:
            error.add_note(f"mutation number {number} of {file}")
            raise
    totals = TOTALS.setdefault(file, Totals())
    totals.add(times, judge, structural)
    report(f"fuzzed {file}", str(totals))
    assert judge.refused + judge.loaded == times
    assert structural >= times / 2
    assert judge.loaded >= times / 50
    assert judge.refused >= times / 5


@pytest.mark.parametrize("file", ["tokenizer.json", "ranks.tiktoken", "ranks.tiktoken.gz", "model.gguf"])
@pytest.mark.usefixtures("traced")
def test_a_flipped_bit_is_refused_or_loads_and_is_written_as_an_equal_one(
    file: str, tmp_path: Path, count: Any, report: Any
) -> None:
    whole = {
        "tokenizer.json": small_json(),
        "ranks.tiktoken": ranks(),
        "ranks.tiktoken.gz": gz(ranks()),
        "model.gguf": gguf(),
    }[file]
    judge, rng = Judge(tmp_path, file), random.Random(3)
    places = range(min(len(whole), 4_300))  # the header of the GGUF; what follows is not read
    step = max(1, len(places) // count(60, 2_000))
    for at in places[::step]:
        changed = bytes([whole[at] ^ 1 << rng.randrange(8)])
        judge.judge(whole[:at] + changed + whole[at + 1 :])
    report(f"a bit flipped in {file}: refused, loaded and re-exported", [judge.refused, judge.loaded])
    assert judge.refused + judge.loaded == len(places[::step])
    assert judge.refused
