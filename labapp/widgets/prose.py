"""The only widget that shows formatted text: Markdown of our own, or of strangers.

markdown-it reads the text into tokens, and a QTextCursor places them: headings, paragraphs, emphasis, code,
lists and quotes. Nothing else can come out. An image is its alternative text, a link is its words and its
address as plain text that nothing opens, HTML is shown as it was typed. Qt's own readers of HTML and Markdown
are never used: they open files that an `<img>` names.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import (
    QFont,
    QFontDatabase,
    QImage,
    QPalette,
    Qt,  # of QtGui, which adds mightBeRichText to it
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QTextEdit, QWidget

if TYPE_CHECKING:
    from markdown_it.token import Token

from labapp.words import tr

MOST_CHARACTERS = 1 << 17  # characters that are shown (laid out in 0.3 s); what is left out is said
MOST_FORMATTED = 1 << 14  # characters up to which Markdown is read, about 0.1 s; longer texts stay plain
MOST_BRACKETS = 1_000  # "[" up to which Markdown is read: the reader's time grows with their square
MOST_DEPTH = 100  # lists and quotes inside each other; deeper texts stay plain
INDENT = 24  # pixels of a quote or a list level
HEADING_SIZES = {"h1": 1.5, "h2": 1.25, "h3": 1.1}  # times the text's size

# Characters by which Qt marks structure inside a document: in a text they would end blocks or open frames.
_QT_MARKS = {ord(char): "\ufffd" for char in "\ufdd0\ufdd1\ufffc\x00"} | {0x2028: "\n", 0x2029: "\n"}


def plain_tooltip(text: str) -> str:
    """A tooltip that shows `text` as it is: Qt would take what looks like HTML for HTML.

    >>> plain_tooltip("count < 3"), plain_tooltip("<img src=a>")
    ('count < 3', '<qt>&lt;img src=a&gt;</qt>')
    """
    if not Qt.mightBeRichText(text):
        return text
    return "<qt>" + html.escape(text).replace("\n", "<br>") + "</qt>"


class Prose(QTextEdit):
    """Read-only formatted text that opens nothing and loads nothing.

    Args:
        markdown: What to show.
        name: Accessible name, what the text is about.
    """

    def __init__(self, markdown: str = "", name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName(name or tr("Explanation"))
        self._source = ""
        if markdown:
            self.show_markdown(markdown)

    @property
    def source(self) -> str:
        """The Markdown that was given."""
        return self._source

    def show_markdown(self, markdown: str) -> None:
        """Replace what is shown; what is too long or too deep to format is shown plain, and that is said."""
        self._source = markdown
        self.clear()
        text, note = markdown.translate(_QT_MARKS), ""
        tokens: Sequence[Token] = ()
        if len(text) > MOST_CHARACTERS:
            note = tr(
                "Only the first {n:,} of {all:,} characters are shown.", n=MOST_CHARACTERS, all=len(text)
            )
            text = text[:MOST_CHARACTERS]
        if len(text) > MOST_FORMATTED:
            note = note or tr("Shown without formatting: it has {n:,} characters.", n=len(text))
        elif text.count("[") > MOST_BRACKETS:
            note = tr("Shown without formatting: it has {n:,} opening brackets.", n=text.count("["))
        else:
            found = _tokens(text)
            tokens = found or ()
            if found is None:
                note = tr("Shown without formatting: it is nested more than {n} deep.", n=MOST_DEPTH)
        self._place(tokens, text, note)
        self.moveCursor(QTextCursor.MoveOperation.Start)

    def show_plain(self, text: str) -> None:
        """Replace what is shown by `text` as it is."""
        self._source = text
        self.setPlainText(text.translate(_QT_MARKS)[:MOST_CHARACTERS])

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        """Nothing comes in from the clipboard or a drop."""
        return False

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Nothing comes in from the clipboard or a drop."""

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Give every request an empty picture: nothing is ever read from a disk or a network."""
        return QImage(1, 1, QImage.Format.Format_ARGB32)

    def _place(self, tokens: Sequence[Token], text: str, note: str) -> None:
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        writer = _Writer(cursor, self.font(), self.palette())
        if note:
            writer.paragraph(note, italic=True)
        if tokens:
            writer.blocks(tokens)
        elif note:
            cursor.insertText("\n" + text, QTextCharFormat())
        cursor.endEditBlock()


def _tokens(text: str) -> list[Token] | None:
    """The tokens of CommonMark text without HTML; None where it is nested too deep."""
    from markdown_it import MarkdownIt  # 70 ms that the start of the window does not need

    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": MOST_DEPTH + 1})
    try:
        tokens = reader.parse(text)
    except RecursionError:
        return None
    deepest = max((t.level for token in tokens for t in (token, *(token.children or ()))), default=0)
    return tokens if deepest < MOST_DEPTH else None


@dataclass(frozen=True)
class _Style:
    """How inline text looks."""

    bold: bool = False
    italic: bool = False
    code: bool = False
    size: float = 1.0


class _Writer:
    """Places tokens with a cursor; holds what is open: quotes, lists, the style of words."""

    def __init__(self, cursor: QTextCursor, font: QFont, palette: QPalette) -> None:
        self._cursor = cursor
        self._font = font
        self._palette = palette
        self._depth = 0  # quotes and lists around the next block
        self._lists: list[tuple[str, int]] = []  # kind of list token, number of the next item
        self._item: str = ""  # sign of an item whose first block is still to come
        self._empty = True  # the document's first block is there already and must be used up

    def blocks(self, tokens: Sequence[Token]) -> None:
        """Place block tokens in order; what is not known is shown as its text."""
        size, bold = 1.0, False
        for token in tokens:
            match token.type:
                case "heading_open":
                    size, bold = HEADING_SIZES.get(token.tag, 1.0), True
                case "heading_close":
                    size, bold = 1.0, False
                case "bullet_list_open" | "ordered_list_open":
                    self._lists.append((token.type, int(token.attrGet("start") or 1)))
                    self._depth += 1
                case "blockquote_open":
                    self._depth += 1
                case "bullet_list_close" | "ordered_list_close":
                    self._lists.pop()
                    self._depth -= 1
                case "blockquote_close":
                    self._depth -= 1
                case "list_item_open":
                    self._item = self._next_sign()
                case "list_item_close" if self._item:
                    self.paragraph("")  # an item without words still has its sign
                case "inline":
                    self._block()
                    self._inline(token.children or [], _Style(bold=bold, size=size))
                case "fence" | "code_block":
                    self._block(code=True)
                    self._words(token.content.rstrip("\n").replace("\n", "\u2028"), _Style(code=True))
                case "hr":
                    self.paragraph("⁂")
                case _ if token.content:
                    self.paragraph(token.content)

    def paragraph(self, text: str, italic: bool = False) -> None:
        """Place one paragraph of plain words; its line ends stay."""
        self._block()
        self._words(text.rstrip("\n").replace("\n", "\u2028"), _Style(italic=italic))

    def _next_sign(self) -> str:
        kind, number = self._lists[-1]
        self._lists[-1] = (kind, number + 1)
        return f"{number}." if kind == "ordered_list_open" else "•"

    def _block(self, code: bool = False) -> None:
        """Begin a block; the first of a list item carries the item's sign."""
        form = QTextBlockFormat()
        form.setLeftMargin(INDENT * self._depth)
        form.setBottomMargin(6)
        if code:
            form.setBackground(self._palette.alternateBase())
        if self._item:
            form.setTextIndent(-0.75 * INDENT)
        if not self._empty:
            self._cursor.insertBlock(form)
        else:
            self._cursor.setBlockFormat(form)
        self._empty = False
        if self._item:
            self._words(self._item + "\u00a0", _Style())
            self._item = ""

    def _inline(self, tokens: Sequence[Token], style: _Style) -> None:
        """Place words; links and images become words, too."""
        outer: list[_Style] = []
        address = ""
        said = ""  # the words of the open link
        for token in tokens:
            match token.type:
                case "strong_open" | "em_open":
                    outer.append(style)
                    strong = token.type == "strong_open"
                    style = replace(style, bold=style.bold or strong, italic=style.italic or not strong)
                case "strong_close" | "em_close":
                    style = outer.pop()
                case "code_inline":
                    said += token.content
                    self._words(token.content, replace(style, code=True))
                case "link_open":
                    address, said = str(token.attrGet("href") or ""), ""
                case "link_close":
                    if address and address != said:
                        self._words(f" ({address})", style)
                    address = ""
                case "image":
                    self._words(tr("[picture: {text}]", text=token.content or tr("no description")), style)
                case "softbreak":
                    self._words(" ", style)
                case "hardbreak":
                    self._words("\u2028", style)
                case _:
                    said += token.content
                    self._words(token.content, style)

    def _words(self, text: str, style: _Style) -> None:
        form = QTextCharFormat()
        font = QFont(self._font)
        if style.code:
            font.setFamilies(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).families())
            font.setFixedPitch(True)
        font.setBold(style.bold)
        font.setItalic(style.italic)
        if style.size != 1.0 and font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * style.size)
        elif style.size != 1.0:
            font.setPixelSize(round(font.pixelSize() * style.size))
        form.setFont(font)
        self._cursor.insertText(text, form)
