"""The token files of a run: how a text is split, encoded and checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.corpus.documents import Document
from core.problems import LabError
from core.stages import run_to_end
from core.training.tokens import Tokens, check_unchanged, encode_documents, open_tokens
from tests.core.training.small_runs import tokenizer


def encoded(folder: Path, texts: Sequence[str], nats: float = 0.0) -> Tokens:
    folder.mkdir(exist_ok=True)
    documents = [Document(text, "test", nats=nats) for text in texts]
    made = run_to_end(encode_documents(documents, tokenizer(), folder)).result
    assert isinstance(made, Tokens)
    return made


def test_every_50th_document_is_never_trained_on(tmp_path: Path) -> None:
    texts = [f"document {n:03}" for n in range(150)]
    tokens = encoded(tmp_path, texts)
    held = tokenizer().decode_text([int(i) for i in tokens.validation]).split("<|endoftext|>")
    assert [text for text in held if text] == ["document 049", "document 099", "document 149"]
    assert len(tokens.train) == 147 * 13


def test_of_few_documents_the_last_tenth_is_never_trained_on(tmp_path: Path) -> None:
    tokens = encoded(tmp_path, ["abcdefghi" * 100])
    assert len(tokens.train) == 811
    assert len(tokens.validation) == 90


def test_each_document_begins_with_the_mark(tmp_path: Path) -> None:
    tokens = encoded(tmp_path, ["a" * 99] * 10)
    mark = tokenizer().special_tokens["<|endoftext|>"]
    assert np.flatnonzero(tokens.train == mark).tolist() == list(range(0, 900, 100))


def test_what_was_written_is_opened_again_and_a_change_is_noticed(tmp_path: Path) -> None:
    tokens = encoded(tmp_path, ["some text " * 50] * 3)
    again = open_tokens(tmp_path)
    assert again.facts == tokens.facts
    check_unchanged(again)
    data = bytearray((tmp_path / "train.bin").read_bytes())
    data[6] ^= 1
    (tmp_path / "train.bin").write_bytes(data)
    with pytest.raises(LabError, match="no longer those"):
        check_unchanged(open_tokens(tmp_path))


def test_a_file_of_another_size_and_a_missing_one_are_said(tmp_path: Path) -> None:
    encoded(tmp_path, ["some text " * 50] * 3)
    data = (tmp_path / "train.bin").read_bytes()
    (tmp_path / "train.bin").write_bytes(data[:-2])
    with pytest.raises(LabError, match=f"has {len(data) - 2:,} bytes; {len(data):,} were written"):
        open_tokens(tmp_path)
    (tmp_path / "train.bin").unlink()
    with pytest.raises(LabError, match="is missing"):
        open_tokens(tmp_path)


def test_a_text_that_is_too_short_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="too few to train on"):
        encoded(tmp_path, ["short"])


def test_the_floor_is_what_was_drawn_over_all_tokens_and_unknown_of_a_text_that_nobody_drew(
    tmp_path: Path,
) -> None:
    """110 documents of 1 + 9 tokens, each drawn with 5 nats: 0.5 nats a token."""
    assert encoded(tmp_path / "drawn", ["123456789"] * 110, nats=5.0).facts.floor == pytest.approx(0.5)
    assert encoded(tmp_path / "plain", ["123456789"] * 110).facts.floor is None


def test_the_unigram_loss_of_two_equally_frequent_tokens_is_ln_2(tmp_path: Path) -> None:
    tokens = encoded(tmp_path, ["ab" * 20_000])
    assert tokens.facts.unigram == pytest.approx(math.log(2), abs=0.002)
    assert tokens.facts.validation_bytes == len(tokens.validation)
    assert dataclasses.asdict(tokens.facts)["dtype"] == "uint16"
