"""Which tokens are learned: the answer and its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.tokenizer import Tokenizer
from core.training.pieces import WORLD_TEMPLATE, Piece, chat_tokenizer, encode_row, encode_rows, padded
from core.training.rows import Comparison, Demonstration, Turn, answered, asked
from core.training.runs import world_tokenizer
from tests.core.training.small_runs import tokenizer as bytes_only


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return chat_tokenizer(world_tokenizer())


def test_the_answer_and_its_end_are_learned(words: Tokenizer) -> None:
    piece = encode_row(Demonstration(asked("Hello."), answered("Good morning!")), words)
    assert isinstance(piece, Piece)
    assert words.decode_text(piece.ids[: piece.begin]) == "<|endoftext|><|user|>Hello.<|end|><|assistant|>"
    assert words.decode_text(piece.ids[piece.begin :]) == "Good morning!<|end|>"
    assert piece.ids[-1] in words.end_ids


def test_text_as_it_stands_has_its_mark_and_its_end() -> None:
    words = world_tokenizer()
    piece = encode_row(Demonstration("The capital of France", " is Paris."), words)
    assert isinstance(piece, Piece)
    assert words.decode_text(piece.ids[: piece.begin]) == "<|endoftext|>The capital of France"
    assert words.decode_text(piece.ids[piece.begin :]) == " is Paris.<|endoftext|>"


def test_the_template_laid_out_by_hand_is_the_one_that_jinja_makes(words: Tokenizer) -> None:
    turns = (*asked("Is it so?"), *answered("It is."), *asked("Why <|end|>?"))
    by_jinja = replace(words, chat_template=WORLD_TEMPLATE + "{# another text #}")
    for row in (
        Demonstration(turns, answered("Because.")),
        Comparison(turns, answered("Because."), answered("No.")),
    ):
        assert encode_row(row, words) == encode_row(row, by_jinja)


def test_transformers_lays_out_the_same_chat(words: Tokenizer) -> None:
    transformers = pytest.importorskip("transformers")
    jinja = transformers.utils.chat_template_utils
    messages = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi!"}]
    text = jinja.render_jinja_template([messages], chat_template=WORLD_TEMPLATE, bos_token=words.bos)[0][0]
    piece = encode_row(Demonstration(asked("Hello."), answered("Hi!")), words)
    assert isinstance(piece, Piece)
    assert text == words.decode_text(piece.ids)


def test_only_the_two_roles_of_the_small_world_speak(words: Tokenizer) -> None:
    row = Demonstration((Turn("system", "Be good."), *asked("Hello.")), answered("Hi!"), 7)
    with pytest.raises(LabError, match=r"Row of line 7: .*only user and assistant"):
        run_to_end(encode_rows((row,), words, 256))


def test_what_does_not_fit_is_named(words: Tokenizer) -> None:
    rows = (Demonstration("a", " b", 1), Demonstration("a", " b" * 20, 9))
    with pytest.raises(LabError, match="Row of line 9: it has 23 tokens; the model looks back on 16"):
        run_to_end(encode_rows(rows, words, 16))
    with pytest.raises(LabError, match="has no chat template, nor the tokens"):
        chat_tokenizer(bytes_only())


def test_a_template_that_renders_the_prompt_otherwise_moves_the_beginning(words: Tokenizer) -> None:
    """The answer begins where the two renderings part, as in trl's `common_prefix_length`."""
    odd = replace(
        words,
        chat_template="{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><|assistant|>{% endif %}",
    )
    piece = encode_row(Demonstration(asked("Hello."), answered("Hi!")), odd)
    assert isinstance(piece, Piece)
    assert odd.decode_text(piece.ids[: piece.begin]) == "<|user|>Hello.<|end|><|assistant|>"


def test_padding_marks_the_place_before_each_learned_token() -> None:
    made = padded([Piece((1, 2, 3, 4), 2), Piece((1, 2), 1)], fill=9, length=6)
    assert made.ids.tolist() == [[1, 2, 3, 4, 9, 9], [1, 2, 9, 9, 9, 9]]
    assert made.learned.int().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0]]
    assert made.targets.tolist() == [3, 4, 2]
    assert made.owners.tolist() == [0, 0, 1]
