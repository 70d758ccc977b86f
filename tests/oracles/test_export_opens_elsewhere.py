"""What we write, opened by `tokenizers` and by transformers' AutoTokenizer: same ids, special tokens, template."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers
from tiktoken.load import load_tiktoken_bpe
from tokenizers.models import BPE

from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import PATTERNS
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_gpt2_files, write_ranks, write_tokenizer

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|im_end|>\n", "<ünï 的>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHAT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Où est le café ? 🙂  12345"}]
WRITTEN = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nOù est le café ? 🙂  12345<|im_end|>\n"


def learn(hard: Any, pattern: str, special: tuple[str, ...] = ()) -> Tokenizer:
    rng = random.Random(3)
    words: dict[bytes, int] = {}
    for text in ([WRITTEN] * 3, *([hard.text(rng)] for _ in range(120))):
        for word in PATTERNS[pattern].split("".join(text)):
            words[word.encode()] = words.get(word.encode(), 0) + 1
    learned = run_to_end(learn_merges(words, vocab_size=900, min_frequency=2, special_tokens=special)).result
    return Tokenizer.from_learned(learned, PATTERNS[pattern], "learned")


@pytest.fixture(scope="module", params=list(PATTERNS))
def exported(
    hard: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, Path]:
    ours = replace(
        learn(hard, request.param, SPECIAL),
        chat_template=TEMPLATE,
        bos="<|im_start|>",
        eos="<|im_end|>",
        pad="<|im_end|>",
    )
    folder = tmp_path_factory.mktemp(request.param)
    write_tokenizer(ours, folder)
    return ours, folder


def texts(hard: Any, many: int) -> list[str]:
    rng = random.Random(4)
    pieces = [hard.text(rng, 6) for _ in range(200)]
    return [
        WRITTEN,
        "",
        *("".join(rng.choices([*SPECIAL, *pieces], k=rng.randint(1, 6))) for _ in range(many)),
    ]


def test_tokenizers_opens_it_and_encodes_alike(
    hard: Any, exported: tuple[Tokenizer, Path], count: Callable[[int, int], int]
) -> None:
    ours, folder = exported
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in texts(hard, count(100, 5_000)):
        assert theirs.encode(text).ids == ours.encode(text, special="all")
    theirs.encode_special_tokens = True
    for text in texts(hard, count(100, 5_000)):
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ids
        assert theirs.decode(ids, skip_special_tokens=False) == text


def test_transformers_opens_it_and_encodes_alike(
    hard: Any, exported: tuple[Tokenizer, Path], count: Callable[[int, int], int]
) -> None:
    transformers = pytest.importorskip("transformers")
    ours, folder = exported
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    for text in texts(hard, count(50, 5_000)):
        assert theirs(text)["input_ids"] == ours.encode(text, special="all")
    assert (theirs.bos_token, theirs.eos_token, theirs.pad_token) == (ours.bos, ours.eos, ours.pad)
    assert len(theirs) == ours.vocab_size
    assert theirs.apply_chat_template(CHAT, tokenize=False) == WRITTEN
    prompt = theirs.apply_chat_template(CHAT, add_generation_prompt=True)["input_ids"]
    assert prompt == ours.encode(WRITTEN + "<|im_start|>assistant\n", special="all")


def test_special_tokens_beyond_a_gap_keep_their_ids(hard: Any, tmp_path: Path) -> None:
    ours = replace(learn(hard, "cl100k"), special_tokens={"<|endoftext|>": 1000, "<|endofprompt|>": 1234})
    write_tokenizer(ours, tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "a<|endofprompt|> b<|endoftext|>"
    assert theirs.encode(text).ids == ours.encode(text, special="all")
    assert 1234 in ours.encode(text, special="all")


def test_gpt2_files_open_in_tokenizers_and_rank_files_in_tiktoken(hard: Any, tmp_path: Path) -> None:
    ours = learn(hard, "gpt2")
    vocab, merges = write_gpt2_files(ours, tmp_path)
    theirs = tokenizers.Tokenizer(BPE.from_file(str(vocab), str(merges)))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")
        ranks = load_tiktoken_bpe(str(write_ranks(ours, tmp_path / "ranks.tiktoken")))
    encoding = tiktoken.Encoding(
        "ours", pat_str=ours.pattern.expression, mergeable_ranks=ranks, special_tokens={}
    )
    for text in texts(hard, 100):
        assert theirs.encode(text).ids == ours.encode(text) == encoding.encode_ordinary(text)
