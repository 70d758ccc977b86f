"""The Compare page as a person uses it, on SmolLM2."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from core.tokenizer.patterns import PATTERNS
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from labapp.labs.attention import AttentionLab
from labapp.labs.attention.compare import ComparePage
from labapp.window import Window
from tests.labapp.opened import opened, opened_on_smollm2, wait


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "attention") as made:
        yield made


@pytest.fixture
def page(qtbot: QtBot, window: Window) -> ComparePage:
    return compare_of(qtbot, window)


def compare_of(qtbot: QtBot, window: Window) -> ComparePage:
    lab = window.lab
    assert isinstance(lab, AttentionLab)
    lab.frame.show_page("compare")
    wait(qtbot, window, lambda: len(lab.compare.b.weights))
    return lab.compare


def test_two_heads_stand_side_by_side(qtbot: QtBot, window: Window, page: ComparePage) -> None:
    assert page.titles[0].text() == "A: layer 13, head 8"
    assert page.pair.rows.row(0)[1] == "0.804"
    page.layer.setValue(13)
    wait(qtbot, window, lambda: page.titles[1].text() == "B: layer 13, head 8")
    assert np.array_equal(page.a.weights, page.b.weights)
    assert page.says.text().startswith("0 % of all weight")
    page.lab.pins.set_parts(((9, 2), (16, 5)))
    assert page.list.rows.row(1)[0] == "16.5"
    page.list.row_chosen.emit(1)
    wait(qtbot, window, lambda: page.titles[1].text() == "B: layer 16, head 5")
    page.b.pair_chosen.emit(9, 5)
    wait(qtbot, window, lambda: page.pair_title.text() == "“tired” looks at “mat”")
    assert page.pair.rows.row(0)[2] == f"{page.b.weights[9, 5]:.3f}"


def test_one_word_is_replaced_and_the_weight_moves(qtbot: QtBot, window: Window, page: ComparePage) -> None:
    """Tired: 0.74 on the cat; soft: 0.75 on the mat. No other head of the model moves more."""
    page.choose("sentences")
    wait(qtbot, window, lambda: page.moved is not None and len(page.a.tokens) == len(page.b.tokens) == 11)
    assert page.list.rows.row(0)[0] == "13.8"
    assert page.rows.rows.row(0)[0] == "tired/soft"
    assert float(page.apart.weights[9, 1]) > 0.5
    assert float(page.apart.weights[9, 5]) < -0.6
    assert not page.apart.weights[:9].any(), "what stands before the word cannot know of it"
    assert page.cards[2].isHidden()
    page.difference.click()
    assert not page.cards[2].isHidden()
    assert page.cards[0].isHidden()
    page.rows.row_chosen.emit(0)
    wait(qtbot, window, lambda: page.pair_title.text() == "“tired” looks at “mat”")


def test_sentences_of_other_lengths_have_no_difference(
    qtbot: QtBot, window: Window, page: ComparePage
) -> None:
    page.choose("sentences")
    page.text.setPlainText("The dog slept.")
    wait(qtbot, window, lambda: len(page.b.tokens) == 4 and len(page.a.tokens) == 11)
    assert not page.difference.isEnabled()
    assert "11 and 4 tokens" in page.list_title.text()
    assert page.pair.rows.row(0)[2] == "–"
    page.text.setPlainText("")
    wait(qtbot, window, lambda: page.lab.frame.messages.text)


def test_a_second_model_reads_the_same_text(qtbot: QtBot, window: Window, page: ComparePage) -> None:
    page.choose("models")
    assert "second model" in page.says.text()
    page.picker.pick("known:smollm2")
    wait(qtbot, window, lambda: page.loaded is not None and page.moved is not None)
    assert page.tokens == page.lab.heads.tokens
    assert not page.moved.any(), "a model does not differ from itself"


def test_the_choice_comes_back(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path / "w", lab="attention") as window:
        page = compare_of(qtbot, window)
        page.choose("sentences")
        page.text.setPlainText("The cat sat on the mat because it was old.")
        page._set_head(5, 6)
        page.difference.click()
        wait(qtbot, window, lambda: "old" in page.b.tokens)
    with opened(qtbot, tmp_path / "w") as window:
        page = compare_of(qtbot, window)
        wait(qtbot, window, lambda: "old" in page.b.tokens)
        assert page.what.currentData() == "sentences"
        assert (page.layer.value(), page.head.value()) == (5, 6)
        assert page.difference.isChecked()


MAKE = """
import sys
from transformers import GPT2Config, GPT2LMHeadModel
for name, layers, heads, vocab in (("one", 3, 4, 256), ("two", 2, 2, 256), ("bare", 3, 4, 300)):
    config = GPT2Config(n_layer=layers, n_head=heads, n_embd=16, n_positions=64, vocab_size=vocab,
                        bos_token_id=None, eos_token_id=None)
    GPT2LMHeadModel(config).save_pretrained(f"{sys.argv[1]}/{name}")
"""


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small random models of transformers in folders: "one" and "two" read bytes, "bare" has no tokenizer.

    Made by another process: transformers leaves a thread behind.
    """
    folder = tmp_path_factory.mktemp("models")
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    for name in ("one", "two"):
        tokens = tuple(bytes([n]) for n in range(256))
        write_tokenizer(Tokenizer("bytes", PATTERNS["gpt2"], tokens, ()), folder / name)
    return folder


def test_a_model_of_another_shape_and_tokenizer_stands_beside(
    qtbot: QtBot, window: Window, page: ComparePage, others: Path
) -> None:
    lab = page.lab
    page.choose("models")
    page.picker.pick(f"file:{others / 'one'}")
    wait(qtbot, window, lambda: page.loaded is not None and len(page.b.tokens) == 44)  # bytes
    assert len(page.a.tokens) == 11
    assert page.titles[0].text() == "A: layer 13, head 8"
    assert page.titles[1].text() == "B: layer 2, head 3", "it has no layer 13: its last"
    assert not page.difference.isEnabled()
    assert "11 and 44 tokens" in page.list_title.text()
    assert page.pair.rows.row(0)[2] == "–", "token 7 is another one there"
    lab.heads.choose_head(1, 2)
    wait(qtbot, window, lambda: page.titles[1].text() == "B: layer 1, head 2")
    page.b.pair_chosen.emit(40, 30)
    wait(qtbot, window, lambda: True)
    lab.frame.show_page("heads")
    lab.heads.picker.pick(page.picker.key)  # the small one as A, too
    wait(qtbot, window, lambda: len(lab.heads.tokens) == 44)
    lab.frame.show_page("compare")
    wait(qtbot, window, lambda: page.moved is not None and page.moved.shape == (3, 4))
    assert page.difference.isEnabled()


def test_models_of_one_tokenizer_and_other_shapes_have_a_difference_of_one_head(
    qtbot: QtBot, window: Window, page: ComparePage, others: Path
) -> None:
    lab = page.lab
    lab.frame.show_page("heads")
    lab.heads.picker.pick(f"file:{others / 'one'}")
    wait(qtbot, window, lambda: len(lab.heads.tokens) == 44)
    lab.frame.show_page("compare")
    page.choose("models")
    page.picker.pick(f"file:{others / 'two'}")
    wait(qtbot, window, lambda: len(page.b.tokens) == 44)
    assert page.difference.isEnabled()
    assert "3 × 4 and 2 × 2 heads" in page.list_title.text()
    assert page.titles[1].text() == "B: layer 1, head 1"


def test_a_second_model_without_a_tokenizer_is_said(
    qtbot: QtBot, window: Window, page: ComparePage, others: Path
) -> None:
    page.choose("models")
    page.picker.pick(f"file:{others / 'bare'}")
    wait(qtbot, window, lambda: page.loaded is not None and page.lab.frame.messages.text)
    assert "no tokenizer" in page.lab.frame.messages.text
    assert not page.b.tokens, "what stood there before was another head's"
    page.choose("heads")
    wait(qtbot, window, lambda: len(page.b.tokens) == 11)


def test_a_second_model_that_the_text_does_not_fit_is_said(
    qtbot: QtBot, window: Window, page: ComparePage, others: Path
) -> None:
    page.lab.heads.show_text("The cat sat on the mat because it was tired. " * 2)
    page.choose("models")
    page.picker.pick(f"file:{others / 'one'}")
    wait(qtbot, window, lambda: page.loaded is not None and page.lab.frame.messages.text)
    assert "64" in page.lab.frame.messages.text
    assert not page.b.tokens
