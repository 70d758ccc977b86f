"""Tokenizers out of every format, against `tokenizers`, against each other, and against plain BPE."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.problems import LabError
from core.tokenizer.gguf_vocabulary import read_gguf_tokenizer
from core.tokenizer.patterns import BYTE_TO_CHAR, PATTERNS
from core.tokenizer.ranks import parse_ranks, rebuild_merges
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_gpt2_files, write_ranks, write_tokenizer
from tests.faults.small_files import (
    IDS,
    PAIRS,
    SPECIAL,
    SPELLED,
    gguf,
    gz,
    ranks,
    tokenizer_json,
    tokenizer_value,
)

BYTES = tuple(bytes([byte]) for byte in range(256))


def save(folder: Path, **files: Any) -> Path:
    """Write files; `_` in a name stands for its point."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def spelled(token: bytes) -> str:
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


# The formats hold the same


def test_every_format_gives_the_same_tokens_and_merges(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    (tmp_path / "m.gguf").write_bytes(gguf())
    (tmp_path / "r.tiktoken").write_bytes(ranks())
    (tmp_path / "r.tiktoken.gz").write_bytes(gz(ranks()))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in PAIRS), "utf-8")
    (tmp_path / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(SPELLED)}), "utf-8")
    found = [
        read_tokenizer(tmp_path / name, pattern="gpt2")
        for name in ("tokenizer.json", "m.gguf", "r.tiktoken", "r.tiktoken.gz", "vocab.json", "merges.txt")
    ]
    for tokenizer in found:
        assert tokenizer.tokens == found[0].tokens
        assert tokenizer.merges == found[0].merges
        assert tokenizer.pattern == PATTERNS["gpt2"]
        assert tokenizer.encode("then the oolé") == found[0].encode("then the oolé")
    assert found[0].special_tokens == found[1].special_tokens == {name: IDS[name] for name in SPECIAL}
    assert (found[1].bos, found[1].eos, found[1].chat_template) == ("<|start|>", "<|end|>", "{{ messages }}")


def test_a_folder_is_opened_by_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="holds no tokenizer"):
        read_tokenizer(tmp_path)
    (tmp_path / "m.gguf").write_bytes(gguf())
    assert read_tokenizer(tmp_path).chat_template == "{{ messages }}"
    (tmp_path / "n.gguf").write_bytes(gguf())
    with pytest.raises(LabError, match="more than one tokenizer"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    assert read_tokenizer(tmp_path).chat_template is None


def test_a_file_from_windows_reads_alike(tmp_path: Path) -> None:
    (tmp_path / "r.tiktoken").write_bytes(ranks().replace(b"\n", b"\r\n"))
    (tmp_path / "plain.tiktoken").write_bytes(ranks())
    one, other = (
        read_tokenizer(tmp_path / name, pattern="gpt2") for name in ("r.tiktoken", "plain.tiktoken")
    )
    assert one == other


# tokenizer.json and its neighbors


def test_settings_of_a_tokenizer_json_arrive(tmp_path: Path) -> None:
    value = tokenizer_value()
    value["model"] |= {"ignore_merges": True, "unk_token": "<|end|>"}
    value["pre_tokenizer"]["add_prefix_space"] = True
    tokenizer = read_tokenizer(save(tmp_path, tokenizer__json=value))
    assert tokenizer.ignore_merges
    assert tokenizer.add_prefix_space
    assert tokenizer.unk == "<|end|>"


@pytest.mark.parametrize("name", list(PATTERNS))
def test_each_known_pattern_is_found(name: str, tmp_path: Path) -> None:
    value = tokenizer_value() | {"pre_tokenizer": PATTERNS[name].pre_tokenizer}
    assert read_tokenizer(save(tmp_path, tokenizer__json=value)).pattern.name == name


def test_what_surrounds_a_text_is_passed_over(tmp_path: Path) -> None:
    value = tokenizer_value()
    value["truncation"] = {"max_length": 5}
    value["padding"] = {"strategy": "BatchLongest"}
    value["post_processor"] = {
        "type": "Sequence",
        "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing"}],
    }
    assert read_tokenizer(save(tmp_path, tokenizer__json=value)).encode("oo") == [IDS["oo"]]


def test_the_config_beside_it_names_parts_and_template(tmp_path: Path) -> None:
    config = {
        "bos_token": "<|start|>", "eos_token": {"content": "<|end|>", "lstrip": False}, "pad_token": None,
        "chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}],
        "added_tokens_decoder": {str(IDS["<|end|>"]): {"content": "<|end|>"}, "900": {"content": "<|late|>"}},
    }  # fmt: skip
    save(tmp_path, tokenizer__json=tokenizer_value(), tokenizer_config__json=config)
    tokenizer = read_tokenizer(tmp_path / "tokenizer.json")
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == ("<|start|>", "<|end|>", None)
    assert tokenizer.chat_template == "yes"
    assert tokenizer.special_tokens["<|late|>"] == 900
    assert tokenizer.vocab_size == 901


def test_a_chat_template_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    save(tmp_path, tokenizer__json=tokenizer_value(), chat_template__jinja=b"{{ ''.__class__ }}")
    assert read_tokenizer(tmp_path).chat_template == "{{ ''.__class__ }}"


def test_a_special_token_that_merges_spell_stays_an_ordinary_one_too(tmp_path: Path) -> None:
    """`tokenizers` gives "th" its id as a special token and as what the letters t and h become."""
    value = tokenizer_value()
    value["added_tokens"].append({"id": IDS["th"], "content": "th"})
    tokenizer = read_tokenizer(save(tmp_path, tokenizer__json=value))
    assert tokenizer.special_tokens["th"] == IDS["th"]
    assert tokenizer.tokens[IDS["th"]] == b"th"
    assert tokenizer.encode("oth") == [IDS["o"], IDS["th"]]
    write_tokenizer(tokenizer, tmp_path / "out")
    assert read_tokenizer(tmp_path / "out") == tokenizer


def test_a_vocabulary_without_all_bytes_is_read_and_says_so_when_it_encodes(tmp_path: Path) -> None:
    value = tokenizer_value()
    value["model"] |= {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    value["added_tokens"] = []
    tokenizer = read_tokenizer(save(tmp_path, tokenizer__json=value))
    assert tokenizer.encode("abba") == [2, 1, 0]
    with pytest.raises(LabError, match="no token for the byte 63"):
        tokenizer.encode("abc")
    value["model"]["unk_token"] = "a"
    with pytest.raises(LabError, match=r"tokenizer\.json, model\.unk_token"):
        read_tokenizer(save(tmp_path, tokenizer__json=value))


# Rank files


def plain_merges(tokens: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """The definition: BPE on each token's bytes, with lower ranks only; two parts left are its merge.

    A token that BPE does not arrive at so is no part of another's merge: in acb, cb, aacb, acb stands before
    the cb that it is made of, no merge gives it, and a merge of a and acb would wait for it forever.
    """
    rank_of = {token: rank for rank, token in enumerate(tokens) if len(token) == 1}
    merges = []
    for rank, token in enumerate(tokens):
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 1:
            best, at = min((rank_of.get(a + b, len(tokens)), i) for i, (a, b) in enumerate(pairwise(parts)))
            if best >= rank:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            merges.append((parts[0], parts[1]))
            rank_of[token] = rank
    return merges


@given(st.lists(st.text("abc", min_size=2, max_size=7), unique=True, max_size=40))
@example(["acb", "cb", "aacb"])
def test_rebuilt_merges_are_those_of_plain_bpe(words: list[str]) -> None:
    """Any list of tokens, of which BPE arrives at some only."""
    tokens = (*BYTES, *(word.encode() for word in words))
    reached = plain_merges(tokens)
    assert rebuild_merges(tokens, "x") == reached


@given(st.integers(0, 10**9))
@example(209)
def test_rebuilt_merges_are_the_merges_that_made_the_ranks(seed: int) -> None:
    rng = random.Random(seed)
    tokens = [*BYTES]
    rng.shuffle(tokens)
    merges: list[tuple[bytes, bytes]] = []
    for _ in range(60):  # joining two tokens that BPE arrives at does not always give a third
        pair = (rng.choice(tokens[-30:]), rng.choice(tokens[-30:]))
        if pair[0] + pair[1] not in tokens:
            tokens.append(pair[0] + pair[1])
            merges.append(pair)
    assert rebuild_merges(tuple(tokens), "x") == plain_merges(tuple(tokens))


def test_ranks_in_any_order_of_lines_read_alike() -> None:
    lines = ranks().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    assert parse_ranks(b"".join(lines), "x") == parse_ranks(ranks(), "x")


def test_a_token_that_no_merge_makes_is_found_as_a_whole_word_only(tmp_path: Path) -> None:
    """tiktoken looks a whole word up before it merges; a token out of reach is found no other way."""
    import tiktoken

    tokens = [*BYTES, b"xyz"]
    (tmp_path / "r.tiktoken").write_bytes(ranks(tokens))
    ours = read_tokenizer(tmp_path / "r.tiktoken", pattern="gpt2")
    assert ours.ignore_merges
    theirs = tiktoken.Encoding(
        "x",
        pat_str=PATTERNS["gpt2"].expression,
        mergeable_ranks={t: i for i, t in enumerate(tokens)},
        special_tokens={},
    )
    for text in ("xyz", "xyzx", " xyz", "a xyz", "xyz xyz"):
        assert ours.encode(text) == theirs.encode(text)


def test_a_rank_file_that_is_none_of_tiktokens_needs_its_pattern(tmp_path: Path) -> None:
    path = tmp_path / "mine.tiktoken"
    path.write_bytes(ranks())
    with pytest.raises(LabError, match="no rank file says how text is split") as caught:
        read_tokenizer(path)
    assert "gpt2" in caught.value.remedy
    with pytest.raises(LabError, match="There is no split pattern 'gpt9'"):
        read_tokenizer(path, pattern="gpt9")


# Against `tokenizers`


def trained(folder: Path, text: str) -> Path:
    from tokenizers import Tokenizer as Theirs
    from tokenizers import models, pre_tokenizers, trainers

    theirs = Theirs(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    theirs.train_from_iterator([text], trainer)
    theirs.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_against_tokenizers_vocabulary_and_merges_are_equal(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Theirs

    text = "The cat sat on the mat. Çà et là, naïve Straße, 的一是不 🙂🙂 don't 1234 \n\n" * 20
    path = trained(tmp_path, text)
    ours, theirs = read_tokenizer(path), Theirs.from_file(str(path))
    state = json.loads(theirs.to_str())["model"]
    assert {spelled(t): i for i, t in enumerate(ours.tokens) if t is not None} | ours.special_tokens == state[
        "vocab"
    ]
    assert ours.special_tokens == {"<s>": 0, "</s>": 1}
    by_id = [spelled(t) if t is not None else "" for t in ours.tokens]
    assert [[by_id[left], by_id[right]] for left, right, _ in ours.merges] == state["merges"]
    assert [by_id[new] for _, _, new in ours.merges] == [left + right for left, right in state["merges"]]
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    assert ours.encode("<s>The cat</s>", special="all") == theirs.encode("<s>The cat</s>").ids


def test_older_forms_that_we_write_are_read_as_equal(tmp_path: Path) -> None:
    trained(tmp_path, "the cat sat on the mat " * 30)
    value = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    vocab = {name: id_ - 2 for name, id_ in value["model"]["vocab"].items() if id_ > 1}
    value["model"]["vocab"], value["added_tokens"] = vocab, []
    plain = read_tokenizer(save(tmp_path, tokenizer__json=value))
    write_ranks(plain, tmp_path / "r.tiktoken")
    assert read_tokenizer(tmp_path / "r.tiktoken", pattern="gpt2") == plain
    write_gpt2_files(plain, tmp_path / "pair")
    assert read_tokenizer(tmp_path / "pair") == plain


def test_a_gguf_vocabulary_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf())
    assert read_gguf_tokenizer(tmp_path / "m.gguf").name == "m"
    assert read_gguf_tokenizer(tmp_path / "m.gguf", "mine").name == "mine"
    assert isinstance(read_tokenizer(tmp_path / "m.gguf"), Tokenizer)
