"""Prose shows Markdown as formatted text, and everything else as it was typed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from PySide6.QtGui import QFontInfo, QTextCursor
from pytestqt.qtbot import QtBot

from labapp.widgets.prose import MOST_CHARACTERS, MOST_DEPTH, Prose, plain_tooltip


@pytest.fixture
def prose(qtbot: QtBot) -> Prose:
    made = Prose(name="What one sees")
    qtbot.addWidget(made)
    return made


def look_of(prose: Prose, words: str) -> Any:
    """The format of the first place where `words` stand."""
    cursor = prose.document().find(words)
    assert not cursor.isNull(), f"{words!r} is not in {prose.toPlainText()!r}"
    end = QTextCursor(cursor)
    end.setPosition(cursor.selectionEnd())
    return end.charFormat()


def test_headings_emphasis_and_code_have_their_looks(prose: Prose) -> None:
    prose.show_markdown("# Merges\n\nThe *most frequent* **pair** is `th`.\n\n```python\nx = 1\n```")
    assert prose.toPlainText() == "Merges\nThe most frequent pair is th.\nx = 1"
    heading, text = (QFontInfo(look_of(prose, word).font()).pixelSize() for word in ("Merges", "The"))
    assert heading > text
    assert look_of(prose, "most frequent").font().italic()
    assert look_of(prose, "pair").font().bold()
    assert look_of(prose, "th.").font().bold() is False
    assert look_of(prose, "x = 1").font().fixedPitch()


def test_lists_have_signs_and_numbers_and_are_indented(prose: Prose) -> None:
    prose.show_markdown("- one\n- two\n\n  3. three\n  4. four\n\n> quoted")
    assert prose.toPlainText().replace("\xa0", " ") == "• one\n• two\n3. three\n4. four\nquoted"
    blocks = [prose.document().findBlockByNumber(n).blockFormat().leftMargin() for n in range(5)]
    assert 0 < blocks[0] == blocks[1] < blocks[2] == blocks[3]
    assert blocks[4] == blocks[0]


def test_a_link_is_its_words_and_its_address_and_cannot_be_opened(prose: Prose) -> None:
    prose.show_markdown("See [the paper](https://arxiv.org/abs/1508.07909) and <https://a.b>.")
    assert prose.toPlainText() == "See the paper (https://arxiv.org/abs/1508.07909) and https://a.b."
    assert not look_of(prose, "the paper").isAnchor()


def test_an_image_is_its_alternative_text(prose: Prose) -> None:
    prose.show_markdown("![a tree of merges](tree.png) and ![](x.png)")
    assert prose.toPlainText() == "[picture: a tree of merges] and [picture: no description]"


@pytest.mark.parametrize(
    "text", ["<b>bold</b>", "<img src='file:///etc/passwd'>", "<script>x()</script>", "a &lt; b <br> c"]
)
def test_html_is_shown_as_it_was_typed(prose: Prose, text: str) -> None:
    prose.show_markdown(text)
    assert prose.toPlainText() == text.replace("&lt;", "<")


def test_a_new_text_replaces_the_old_one(prose: Prose) -> None:
    prose.show_markdown("# One")
    prose.show_markdown("two")
    assert prose.toPlainText() == "two"
    assert not look_of(prose, "two").font().bold()
    prose.show_markdown("")
    assert prose.toPlainText() == ""


def test_characters_that_qt_uses_for_itself_open_nothing(prose: Prose) -> None:
    prose.show_markdown("a\ufdd0b\ufdd1c\ufffcd\x00e")
    assert prose.toPlainText() == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert not prose.document().rootFrame().childFrames()


def test_too_long_a_text_is_cut_and_that_is_said(prose: Prose) -> None:
    prose.show_markdown("word *x* " * (MOST_CHARACTERS // 8))
    assert prose.toPlainText().startswith("Only the first 131,072 of 147,456 characters are shown.")
    assert len(prose.toPlainText()) < MOST_CHARACTERS + 100


@pytest.mark.parametrize("sign", ["> ", "- a\n" + "", "* "])
def test_too_deep_a_text_stays_plain_and_that_is_said(prose: Prose, sign: str) -> None:
    deep = "".join("  " * n + "- a\n" for n in range(MOST_DEPTH + 20))
    prose.show_markdown(deep if "\n" in sign else sign * (MOST_DEPTH + 20) + "x")
    assert "nested more than 100 deep" in prose.toPlainText()


BOMBS = {
    "brackets": "[" * 100_000,
    "images": "![" * 50_000,
    "few brackets": "[" * 900 + "a](b" * 900,
    "stars": "*a " * 5_000,
    "mixed stars": "*a_" * 5_000,
    "strong": "**a" * 5_000,
    "ticks": "`" * 16_000,
    "growing ticks": "".join("`" * n + "a" for n in range(170)),
    "quotes": ">" * 100_000,
    "list in list": "- " * 50_000,
    "numbers": "1. x\n" * 3_000,
    "entities": "&#" * 8_000,
    "tags": "<a " * 5_000,
    "escapes": "\\`" * 8_000,
    "lines": "a\n" * 8_000,
    "references": "[a]: b\n" * 900,
    "fences": "```\n" * 4_000,
    "headings": "# a\n" * 4_000,
    "a megabyte": "a b\n" * 262_144,
    "one long word": "a" * 1_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_text_that_is_made_to_be_slow_is_not(prose: Prose, name: str) -> None:
    began = time.process_time()
    prose.show_markdown(BOMBS[name])
    assert time.process_time() - began < 2.0


def test_it_reads_only_and_can_be_read_by_keyboard(prose: Prose) -> None:
    prose.show_markdown("words")
    assert prose.isReadOnly()
    assert not prose.acceptRichText()
    assert prose.accessibleName() == "What one sees"
    assert prose.textCursor().position() == 0


def test_a_tooltip_never_becomes_html() -> None:
    assert plain_tooltip("3 < 4 tokens") == "3 < 4 tokens"
    assert "<b>" not in plain_tooltip("<b>x</b>")
