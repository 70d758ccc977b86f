"""What is written can be read again, is the same each time, and overwrites nothing."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.problems import LabError
from core.tokenizer.patterns import ALPHABET, PATTERNS
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import (
    tokenizer_config_json,
    tokenizer_json,
    why_no_gpt2_files,
    why_no_ranks,
    write_gpt2_files,
    write_ranks,
    write_tokenizer,
)

BYTES = tuple(bytes([byte]) for byte in ALPHABET)
NASTY = ["<s>", "</s>", "<|é 的|>", "a\nb", "<\\>", '<">', "\u2028", "<|im_start|>", "😀", "< >", "[PAD]"]


def make(*merges: tuple[bytes, bytes], first: int = 0, pattern: str = "gpt2") -> Tokenizer:
    """All bytes and these merges; the ids begin at `first`."""
    tokens: list[bytes | None] = [None] * first + list(BYTES)
    ids = {token: id_ for id_, token in enumerate(tokens) if token is not None}
    made = []
    for left, right in merges:
        if ids.setdefault(left + right, len(tokens)) == len(tokens):
            tokens.append(left + right)
        made.append((ids[left], ids[right], ids[left + right]))
    return Tokenizer("small", PATTERNS[pattern], tuple(tokens), tuple(made))


SMALL = make((b"t", b"h"), (b"th", b"e"), (b" ", b"the"), (b"\xc3", b"\xa9"))


def random_tokenizer(rng: random.Random) -> Tokenizer:
    tokens, merges = [b"a", b"b", b" ", b"\xc3", b"\xa9", b"\n"], {}
    for _ in range(rng.randint(0, 15)):
        pair = rng.choice(tokens), rng.choice(tokens)
        merges[pair] = None
        tokens.append(b"".join(pair))
    names = rng.sample(NASTY, rng.randint(0, 4))
    found = make(*merges, first=len(names), pattern=rng.choice(list(PATTERNS)))
    part = lambda: rng.choice([None, *names])  # noqa: E731 - four times the same choice
    return replace(
        found,
        special_tokens={name: id_ for id_, name in enumerate(names)},
        chat_template=rng.choice([None, "{{ messages[0]['content'] }}\n<|é|>", ""]),
        ignore_merges=rng.random() < 0.3,
        bos=part(),
        eos=part(),
        unk=part(),
        pad=part(),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9))
def test_what_is_written_reads_as_an_equal_tokenizer(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    tokenizer = random_tokenizer(random.Random(seed))
    folder = tmp_path_factory.mktemp("written")
    write_tokenizer(tokenizer, folder)
    again = read_tokenizer(folder)
    assert again == tokenizer
    assert tokenizer_json(again) == tokenizer_json(tokenizer)
    assert tokenizer_config_json(again) == tokenizer_config_json(tokenizer)


def test_a_prefix_space_and_a_late_special_token_are_kept(tmp_path: Path) -> None:
    tokenizer = replace(SMALL, add_prefix_space=True, special_tokens={"<late>": 1000})
    write_tokenizer(tokenizer, tmp_path)
    assert read_tokenizer(tmp_path) == tokenizer


def test_files_that_are_there_are_never_overwritten(tmp_path: Path) -> None:
    write_tokenizer(SMALL, tmp_path / "new" / "folder")
    before = {path: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()}
    assert sorted(path.name for path in before) == ["tokenizer.json", "tokenizer_config.json"]
    with pytest.raises(LabError, match=r"tokenizer\.json is already in"):
        write_tokenizer(replace(SMALL, merges=()), tmp_path / "new" / "folder")
    assert {path: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()} == before
    (tmp_path / "tokenizer_config.json").write_text("mine")
    with pytest.raises(LabError, match=r"tokenizer_config\.json is already in"):
        write_tokenizer(SMALL, tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be made"):
        write_tokenizer(SMALL, tmp_path / "file" / "folder")


def test_equal_tokenizers_are_written_alike_whatever_the_order_of_their_special_tokens() -> None:
    one = replace(SMALL, special_tokens={"<a>": 301, "<b>": 300})
    other = replace(SMALL, name="other", special_tokens={"<b>": 300, "<a>": 301})
    assert tokenizer_json(one) == tokenizer_json(other)
    assert tokenizer_config_json(one) == tokenizer_config_json(other)


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(LabError, match="'th' is spelled like an ordinary token"):
        tokenizer_json(replace(SMALL, special_tokens={"th": 300}))
    with pytest.raises(LabError, match="eos token '<e>' is none of the special tokens"):
        tokenizer_config_json(replace(SMALL, eos="<e>"))
    with pytest.raises(LabError, match="space before the text cannot be written"):
        tokenizer_json(replace(SMALL, add_prefix_space=True, pattern=PATTERNS["o200k"]))


# Older forms


def test_gpt2_files_read_as_an_equal_tokenizer(tmp_path: Path) -> None:
    paths = write_gpt2_files(SMALL, tmp_path)
    assert [path.name for path in paths] == ["vocab.json", "merges.txt"]
    assert (tmp_path / "merges.txt").read_text(encoding="utf-8") == "#version: 0.2\nt h\nth e\nĠ the\nÃ ©\n"
    assert json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))["Ġthe"] == 258
    assert read_tokenizer(tmp_path) == SMALL
    with pytest.raises(LabError, match="already"):
        write_gpt2_files(SMALL, tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pattern": PATTERNS["cl100k"]}, "imply GPT-2's pattern"),
        ({"ignore_merges": True}, "no place for its settings"),
        ({"add_prefix_space": True}, "no place for its settings"),
        ({"special_tokens": {"<s>": 300}}, "no special token but"),
        ({"chat_template": "x"}, "chat template"),
    ],
)
def test_gpt2_files_are_refused_where_they_would_lose_something(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    tokenizer = replace(SMALL, **change)  # type: ignore[arg-type]
    assert reason in why_no_gpt2_files(tokenizer)
    with pytest.raises(LabError, match=reason):
        write_gpt2_files(tokenizer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_rank_file_holds_each_token_and_its_id(tmp_path: Path) -> None:
    path = write_ranks(SMALL, tmp_path / "small.tiktoken")
    lines = [line.split(" ") for line in path.read_text(encoding="ascii").splitlines()]
    assert {base64.b64decode(token): int(rank) for token, rank in lines} == {
        token: id_ for id_, token in enumerate(SMALL.tokens)
    }
    again = read_tokenizer(path, pattern="gpt2")
    assert again == SMALL
    with pytest.raises(LabError, match=r"small\.tiktoken"):
        write_ranks(SMALL, path)


@pytest.mark.parametrize(
    ("tokenizer", "reason"),
    [
        (replace(SMALL, add_prefix_space=True), "puts before a text"),
        (replace(SMALL, tokens=(None, *SMALL.tokens[1:])), "each of the 256 bytes"),
        (replace(SMALL, merges=SMALL.merges[:1]), "no merge for"),
        (make((b"a", b"b"), (b"b", b"c"), (b"a", b"bc")), "merges by spelling"),
        (replace(SMALL, merges=(SMALL.merges[3], *SMALL.merges[:3])), "have another"),
    ],
)
def test_a_rank_file_is_refused_where_it_would_give_other_ids(
    tokenizer: Tokenizer, reason: str, tmp_path: Path
) -> None:
    assert reason in why_no_ranks(tokenizer)
    with pytest.raises(LabError, match=reason):
        write_ranks(tokenizer, tmp_path / "ranks")
    assert why_no_ranks(SMALL) == why_no_gpt2_files(SMALL) == ""
