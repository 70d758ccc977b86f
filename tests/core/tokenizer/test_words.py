"""Words are counted the same however the text comes in, and what is no text is named by its byte."""

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.problems import LabError
from core.stages import Finished, Progress, run_to_end
from core.tokenizer import patterns, words
from core.tokenizer.patterns import PATTERNS
from core.tokenizer.words import Text, count_words

GPT2 = PATTERNS["gpt2"]


def counted(text, pattern=GPT2):
    return run_to_end(count_words([Text("typed", text=text)], pattern)).result


def as_file(tmp_path, data, name="corpus.txt"):
    path = tmp_path / name
    path.write_bytes(data)
    return Text(path.name, path=path)


def test_words_are_counted_in_the_order_of_their_first_appearance():
    result = counted("to be or not to be")
    assert list(result.words.items()) == [(b"to", 1), (b" be", 2), (b" or", 1), (b" not", 1), (b" to", 1)]
    assert (result.bytes, result.characters, result.pre_tokens) == (18, 18, 6)


def test_bytes_and_characters_are_told_apart():
    result = counted("été 東京 😀")
    assert (result.bytes, result.characters) == (17, 8)
    assert list(result.words) == ["été".encode(), " 東京".encode(), " 😀".encode()]


def test_an_empty_text_has_no_words():
    result = counted("")
    assert (result.words, result.bytes, result.pre_tokens) == ({}, 0, 0)
    assert run_to_end(count_words([], GPT2)).result.words == {}


@pytest.mark.parametrize("name", PATTERNS)
@given(
    text=st.text(st.sampled_from("ab1 \n.,'é東😀\u0301\u00a0/") | st.characters(codec="utf-8"), max_size=60)
)
def test_blocks_cut_anywhere_count_as_the_whole_text(name, tmp_path_factory, text):
    chosen = PATTERNS[name]
    expected = Counter(word.encode() for word in chosen.find(text))
    path = tmp_path_factory.getbasetemp() / f"blocks-{name}.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_BLOCK", 5)
        patch.setattr(patterns, "PIECE", 3)
        for source in (Text("typed", text=text), Text("file", path=path)):
            result = run_to_end(count_words([source], chosen)).result
            assert result.words == dict(expected)
            assert (result.bytes, result.characters) == (len(text.encode()), len(text))
            assert result.pre_tokens == sum(expected.values())


def test_each_text_is_split_on_its_own():
    pair = [Text("one", text="some"), Text("two", text="thing")]
    assert run_to_end(count_words(pair, GPT2)).result.words == {b"some": 1, b"thing": 1}
    assert run_to_end(count_words(pair, PATTERNS["none"])).result.words == {b"some": 1, b"thing": 1}


def test_line_breaks_and_a_byte_order_mark_are_kept(tmp_path):
    """As `tokenizers` sees a file: nothing is translated, and the mark is a character."""
    source = as_file(tmp_path, b"\xef\xbb\xbfa\r\nb\rc")
    assert (
        b"".join(run_to_end(count_words([source], PATTERNS["none"])).result.words) == b"\xef\xbb\xbfa\r\nb\rc"
    )


@pytest.mark.parametrize(
    ("data", "byte", "value"),
    [
        (b"abc\xffdef", "3", "ff"),
        (b"\xc3\x28", "0", "c3"),
        (b"ab\xe6\x9d", "2", "e6"),  # a character cut off by the end
        (b"a" * 32_767 + b"\xe6\x9d", "32,767", "e6"),
        (b"a" * 32_767 + b"\xe6\x9d\x28", "32,767", "e6"),  # over the border of two blocks
        (b"a" * 32_766 + b"\xe6\x9d\xb1\xed\xa0\x80", "32,769", "ed"),  # half of a surrogate pair
        (b"\xff\xfea\x00", "0", "ff"),  # UTF-16
    ],
)
def test_the_first_byte_that_is_not_utf8_is_named(tmp_path, data, byte, value):
    with pytest.raises(LabError, match=rf"corpus\.txt is not UTF-8: byte {byte} \(0x{value}\)"):
        run_to_end(count_words([as_file(tmp_path, data)], GPT2))


def test_a_character_on_the_border_of_two_blocks_is_read(tmp_path):
    data = b"a" * 32_767 + "東 京".encode()
    result = run_to_end(count_words([as_file(tmp_path, data)], GPT2)).result
    assert result.words == {data[:-4]: 1, " 京".encode(): 1}


def test_half_of_a_surrogate_pair_in_a_text_is_named():
    with pytest.raises(LabError, match=r"typed: character 2 .*U\+D800"):
        counted("ab\ud800")


@pytest.mark.parametrize("path", ["missing.txt", "."])
def test_a_file_that_cannot_be_read_is_refused_at_the_call(tmp_path, path):
    with pytest.raises(LabError):
        count_words([Text("x", path=tmp_path / path)], GPT2)


def test_without_a_pattern_more_than_ten_megabytes_are_refused_at_the_call_with_the_reason(tmp_path):
    source = as_file(tmp_path, b"")
    os.truncate(source.path, words.LONGEST + 1)
    for text in (source, Text("typed", text="x" * (words.LONGEST + 1)), Text("typed", text="é" * 6_000_000)):
        with pytest.raises(LabError, match="whole text is one word"):
            count_words([text], PATTERNS["none"])


def test_a_text_with_no_place_to_split_is_refused_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(words, "LONGEST", 200_000)
    with pytest.raises(LabError, match="no place to split it after character 5"):
        counted("start " + "a" * 300_000)
    assert counted("start " + "a" * 150_000).pre_tokens == 2


@pytest.mark.parametrize("name", PATTERNS)
def test_progress_comes_with_every_block_and_ends_at_the_total(name, tmp_path):
    text = "words and more words, é and so on. " * 10_000
    stage = list(count_words([as_file(tmp_path, text.encode()), Text("typed", text="more")], PATTERNS[name]))
    progress = [event for event in stage if isinstance(event, Progress)]
    steps = [0, *(event.done for event in progress)]
    assert all(0 <= after - before <= 32_768 for before, after in pairwise(steps))
    assert progress[-1].done == progress[-1].total == len(text.encode()) + 4
    assert progress[0].doing == "Reading corpus.txt"
    assert isinstance(stage[-1], Finished)


def test_a_stopped_count_closes_its_file(tmp_path):
    stage = count_words([as_file(tmp_path, b"some words " * 20_000)], GPT2)
    next(stage)
    stage.close()  # an open file would be a ResourceWarning, which fails the test
    assert list(stage) == []


_LEARN_BIG = """
import sys, time
from pathlib import Path
from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import PATTERNS
from core.tokenizer.words import Text, count_words
def peak():  # kilobytes; ru_maxrss would begin with the size of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
base, start = peak(), time.perf_counter()
counts = run_to_end(count_words([Text("big", path=Path(sys.argv[1]))], PATTERNS["gpt2"])).result
learned = run_to_end(learn_merges(counts.words, 256 + int(sys.argv[2]))).result
print(len(learned.merges), len(counts.words), peak() - base, round(time.perf_counter() - start, 1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_a_large_file_is_learned_in_bounded_memory(tmp_path, count, report):
    """200 MB and 1,000 merges when long; 4 MB and 100 otherwise. some 34,000 different words of made-up syllables."""
    import random

    size, merges = count(4_000_000, 200_000_000), count(100, 1_000)
    chance = random.Random(5)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er")]
    vocabulary = ["".join(chance.choices(syllables, k=chance.randrange(1, 5))) for _ in range(50_000)]
    weights = [1 / (rank + 10) for rank in range(len(vocabulary))]
    path = tmp_path / "big.txt"
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            file.write(" ".join(chance.choices(vocabulary, weights, k=100_000)) + "\n")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _LEARN_BIG, str(path), str(merges)],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    learned, different, kilobytes, seconds = done.stdout.split()
    report(
        f"learn {merges:,} merges of {size // 1_000_000} MB: peak memory above the start",
        f"{int(kilobytes) // 1024} MB, {seconds} s, {different} words",
    )
    assert int(learned) == merges
    assert int(kilobytes) < 200 * 1024
