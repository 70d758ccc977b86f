"""Where words begin, in bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import PATTERNS
from core.tokenizer.starts import encode_text, word_starts
from core.tokenizer.tokenizer import Tokenizer


@pytest.mark.parametrize("name", sorted(PATTERNS))
@given(text=st.text(max_size=80))
def test_the_starts_cut_the_bytes_where_the_pattern_cuts_the_text(name: str, text: str) -> None:
    data = text.encode()
    starts = run_to_end(word_starts(text, PATTERNS[name])).result
    ends = np.append(starts[1:], len(data))
    words = [data[a:b].decode() for a, b in zip(starts, ends, strict=True)] if len(starts) else []
    assert words == list(PATTERNS[name].split(text))


def test_a_special_token_is_a_word_of_its_own_and_the_longest_wins() -> None:
    names = ("<|a|>", "<|a", "<|ab|>")
    learned = run_to_end(learn_merges({}, 256 + len(names), special_tokens=names)).result
    tokenizer = Tokenizer.from_learned(learned, PATTERNS["gpt2"], "three")
    encoded = run_to_end(encode_text("x<|a|><|ab|>y<|a|>", tokenizer, with_special=True)).result
    ends = [*encoded.words[1:], len(encoded.data)]
    parts = [encoded.data[a:b].decode() for a, b in zip(encoded.words, ends, strict=True)]
    assert parts == ["x", "<|a|>", "<|ab|>", "y", "<|a|>"]
    assert encoded.ids.tolist() == tokenizer.encode("x<|a|><|ab|>y<|a|>", special="all")


def test_an_empty_text_has_no_words() -> None:
    assert len(run_to_end(word_starts("", PATTERNS["gpt2"])).result) == 0
