"""A text in tokens: every token a colored chip, drawn only where it is visible.

The text is laid out in bytes: every byte has one cell of a fixed-width grid, whatever token it belongs to.
So nothing moves while tokens grow, a character of three bytes has room for its three bytes, and 10 MB need no
layout but an index of lines. A byte that is no character of its own is shown as its two hex digits, one above
the other, never as a replacement mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QAbstractScrollArea, QSizePolicy, QToolTip, QWidget

from core.tokenizer.starts import line_starts
from core.tokenizer.tokenizer import Part as Piece
from core.tokenizer.tokenizer import readable
from labapp.idle import soon
from labapp.theme import Theme, mono_font, theme_of
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

Spans = Callable[[bytes], Sequence[tuple[int, int]]]
"""From the bytes of a word to its tokens: (id, length in bytes)."""

_SIGNS = {0x20: "␣", 0x0A: "⏎", 0x09: "⇥", 0x0D: "␍"}
_BLANKS = dict.fromkeys(_SIGNS, " ")
MARGIN = 10  # px around the text


def visible(data: bytes) -> str:
    """The bytes of a token as a person reads them: spaces as ␣, breaks as ⏎, what is no character as ⟨hex⟩.

    >>> visible(b" the\\n"), visible("é".encode()[:1])
    ('␣the⏎', '⟨C3⟩')
    """
    text = "".join(part.text or f"⟨{part.hex}⟩" for part in readable(data))
    return text.translate(_SIGNS)


@dataclass(frozen=True)
class Token:
    """A token at its place: bytes `start` to `end` of the text."""

    start: int
    end: int
    id: int


@dataclass(frozen=True)
class Part:
    """What one line shows of a token: bytes `start` to `end`, in `rect`."""

    token: Token
    start: int
    end: int
    rect: QRectF


class TokenText(QAbstractScrollArea):
    """Shows a text in tokens; a token can be hovered, clicked, and walked to with the arrow keys."""

    hovered = Signal(object)  # Token or None
    clicked = Signal(object)  # Token

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data = b""
        self._words = np.zeros(0, dtype=np.int64)
        self._spans: Spans = lambda word: [(byte, 1) for byte in word]
        self._pairs: list[tuple[int, int]] = []
        self._paragraphs = np.zeros(1, dtype=np.int64)
        self._first_lines = np.zeros(2, dtype=np.int64)
        self._columns = 1
        self._parts: list[Part] | None = None
        self._hover: Token | None = None
        self._current: Token | None = None
        self._same_id: int | None = None
        self.show_signs = False
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(60)
        self.viewport().setMouseTracking(True)
        self.setAccessibleName(tr("The text in tokens"))
        self.verticalScrollBar().valueChanged.connect(self._changed)

    def sizeHint(self) -> QSize:
        return QSize(500, 240)

    def set_text(self, data: bytes, words: np.ndarray, lines: np.ndarray | None = None) -> None:
        """Show another text.

        Args:
            data: The text in UTF-8.
            words: Where its words begin, as byte offsets in rising order, the first one 0.
            lines: Where its lines begin, as `line_starts` finds them; found here where they are not given.
        """
        self._data, self._words = data, words
        self._paragraphs = line_starts(data) if lines is None else lines
        self._hover = self._current = None
        self._lay_out()
        self.verticalScrollBar().setValue(0)

    def set_spans(self, spans: Spans) -> None:
        """Cut the words in another way: at another step, or with another tokenizer."""
        self._spans = spans
        self._changed()

    def mark_pairs(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Outline every place where the id `left` is followed by `right`."""
        self._pairs = list(pairs)
        self.viewport().update()

    def mark_id(self, token_id: int | None) -> None:
        """Outline every token of one id, as when it is hovered in another view."""
        if token_id != self._same_id:
            self._same_id = token_id
            self.viewport().update()

    def point_at(self, offset: int | None) -> None:
        """Outline the token at a byte, if it is in view, without telling anybody; None takes it away."""
        at = offset
        self._hover = next(
            (p.token for p in self._shown() if at is not None and p.token.start <= at < p.token.end), None
        )
        self.viewport().update()

    def show_byte(self, offset: int) -> None:
        """Scroll to a byte and make its token the current one."""
        line = self._line_of(offset)
        bar = self.verticalScrollBar()
        if not bar.value() <= line < bar.value() + self._visible_lines():
            bar.setValue(max(0, line - self._visible_lines() // 3))
        self._current = next((p.token for p in self._shown() if p.token.start <= offset < p.token.end), None)
        self.viewport().update()

    def visible_tokens(self) -> list[Token]:
        """The tokens in view, each once, in order."""
        tokens: list[Token] = []
        for part in self._shown():
            if not tokens or tokens[-1] != part.token:
                tokens.append(part.token)
        return tokens

    # Layout: lines of `_columns` bytes inside each paragraph.

    def _cell(self) -> tuple[float, float]:
        metrics = QFontMetricsF(mono_font(self))
        return metrics.horizontalAdvance("0") + 1.0, metrics.height() + 11.0

    def _lay_out(self) -> None:
        width, _ = self._cell()
        self._columns = max(8, int((self.viewport().width() - 2 * MARGIN) // width) - 3)
        ends = np.append(self._paragraphs[1:], max(len(self._data), 1))
        lines = (ends - self._paragraphs - 1) // self._columns + 1
        self._first_lines = np.concatenate([[0], np.cumsum(lines)])
        self._set_lines(int(self._first_lines[-1]))

    def _set_lines(self, lines: int) -> None:
        """Scroll over so many lines; the bar goes where there is nothing to scroll."""
        more = max(0, lines - self._visible_lines())
        bar = self.verticalScrollBar()
        bar.setRange(0, more)
        bar.setPageStep(self._visible_lines())
        policy = Qt.ScrollBarPolicy
        wanted = policy.ScrollBarAlwaysOn if more else policy.ScrollBarAlwaysOff
        if self.verticalScrollBarPolicy() != wanted:
            soon(self, lambda: self.setVerticalScrollBarPolicy(wanted))
        self._changed()

    def _visible_lines(self) -> int:
        return max(1, int((self.viewport().height() - MARGIN) // self._cell()[1]))

    def _line_of(self, offset: int) -> int:
        paragraph = int(np.searchsorted(self._paragraphs, offset, "right")) - 1
        return (
            int(self._first_lines[paragraph]) + (offset - int(self._paragraphs[paragraph])) // self._columns
        )

    def _line_range(self, line: int) -> tuple[int, int]:
        """The bytes of a line; a character belongs to the line in which it begins."""
        paragraph = int(np.searchsorted(self._first_lines, line, "right")) - 1
        end = len(self._data)
        if paragraph + 1 < len(self._paragraphs):
            end = int(self._paragraphs[paragraph + 1])
        start = int(self._paragraphs[paragraph]) + (line - int(self._first_lines[paragraph])) * self._columns
        stop = min(start + self._columns, end)
        return self._character_start(start), self._character_start(stop)

    def _character_start(self, offset: int) -> int:
        for _ in range(3):
            if offset < len(self._data) and self._data[offset] & 0xC0 == 0x80:
                offset += 1
        return offset

    def _changed(self) -> None:
        self._parts = None
        self.viewport().update()

    def _shown(self) -> list[Part]:
        """The parts of tokens in view, found when they are first asked for."""
        if self._parts is None:
            self._parts = self._find_parts() if self._data and len(self._words) else []
        return self._parts

    def _find_parts(self) -> list[Part]:
        width, height = self._cell()
        first = self.verticalScrollBar().value()
        last = min(first + self._visible_lines() + 1, int(self._first_lines[-1]))
        lines = [self._line_range(line) for line in range(first, last)]
        if not lines:
            return []
        parts: list[Part] = []
        row = 0
        for token in self._tokens(lines[0][0], lines[-1][1]):
            while row < len(lines) and token.start >= lines[row][1]:
                row += 1
            for i in range(row, len(lines)):
                start, end = lines[i]
                a, b = max(token.start, start), min(token.end, end)
                if a >= b:
                    break
                rect = QRectF(MARGIN + (a - start) * width, MARGIN + i * height, (b - a) * width, height - 3)
                parts.append(Part(token, a, b, rect))
        return parts

    def _tokens(self, start: int, stop: int) -> list[Token]:
        """The tokens of all words that touch a range of bytes."""
        word = max(0, int(np.searchsorted(self._words, start, "right")) - 1)
        tokens: list[Token] = []
        while word < len(self._words) and self._words[word] < stop:
            at = int(self._words[word])
            end = int(self._words[word + 1]) if word + 1 < len(self._words) else len(self._data)
            for token_id, length in self._spans(self._data[at:end]):
                if at + length > start and at < stop:
                    tokens.append(Token(at, at + length, token_id))
                at += length
            word += 1
        return tokens

    # Drawing.

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self.viewport()) as painter:  # ended even where something else holds this frame
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.fillRect(self.viewport().rect(), QColor(theme.panel))
            font = mono_font(self)
            small = self.small_font()
            parts = self._shown()
            self._draw_chips(painter, parts, theme)
            self._draw_bytes(painter, parts, theme, font, small)
            self._draw_outlines(painter, parts)

    def _draw_chips(self, painter: QPainter, parts: list[Part], theme: Theme) -> None:
        """Draw the back of every token, those of one color at once."""
        paths: dict[int, QPainterPath] = {}
        for part in parts:
            path = paths.setdefault(theme.chip(part.token.id * 5 + part.token.id // 8).rgba(), QPainterPath())
            path.addRoundedRect(part.rect.adjusted(0.5, 0, -0.5, 0), 3, 3)
        for color, path in paths.items():
            painter.fillPath(path, QColor.fromRgba(color))

    def _draw_bytes(
        self, painter: QPainter, parts: list[Part], theme: Theme, font: QFont, small: QFont
    ) -> None:
        """Draw the bytes of tokens; characters of ASCII that stand side by side are drawn at once."""
        run, run_box, run_width = "", QRectF(), 0.0
        for piece, n, box in self._pieces(parts):
            width = box.width() / n
            if self._is_plain(piece.text):
                follows = box.top() == run_box.top() and abs(box.left() - run_box.right()) < 0.01
                if run and follows and abs(width - run_width) < 0.01:
                    run += piece.text
                    run_box.setRight(box.right())
                    continue
                self._draw_run(painter, run, run_box, theme, font)
                run, run_box, run_width = piece.text, QRectF(box), width
            elif piece.text:
                self._draw_text(painter, piece.text, n, box, theme, font)
            else:
                self._draw_hex(painter, piece.hex.split(), box, theme, small)
        self._draw_run(painter, run, run_box, theme, font)

    def _pieces(self, parts: list[Part]) -> Iterator[tuple[Piece, int, QRectF]]:
        """What is drawn of each part: a text or bytes in hex, how many bytes, and where."""
        for part in parts:
            rect = self._bytes_rect(part)
            width = rect.width() / (part.end - part.start)
            x = rect.left()
            for piece in readable(self._data[part.start : part.end]):
                n = len(piece.text.encode()) if piece.text else len(piece.hex.split())
                yield piece, n, QRectF(x, rect.top(), n * width, rect.height())
                x += n * width

    def _is_plain(self, text: str) -> bool:
        """Whether every byte of it is one character, and none is drawn as a sign."""
        return bool(text) and text.isascii() and not (self.show_signs and _SIGNS.keys() & set(map(ord, text)))

    def _draw_hex(
        self, painter: QPainter, digits: Sequence[str], box: QRectF, theme: Theme, small: QFont
    ) -> None:
        painter.setFont(small)
        painter.setPen(QColor(theme.secondary))
        width, half = box.width() / len(digits), box.height() / 2
        for i, pair in enumerate(digits):
            cell = QRectF(box.left() + i * width, box.top(), width, half + 1)
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, pair[0])
            painter.drawText(cell.translated(0, half - 1), Qt.AlignmentFlag.AlignCenter, pair[1])

    def _bytes_rect(self, part: Part) -> QRectF:
        """Where the bytes of a part are drawn."""
        return part.rect

    def small_font(self) -> QFont:
        """The font of hex digits and ids: 11 px at the usual text size."""
        return mono_font(self, 11 / (13 * 1.15))

    def _draw_text(
        self, painter: QPainter, text: str, n: int, box: QRectF, theme: Theme, font: QFont
    ) -> None:
        painter.setFont(font)
        if not text.isascii():
            painter.setPen(QColor(theme.text))
            painter.drawText(box.adjusted(-4, 0, 4, 0), Qt.AlignmentFlag.AlignCenter, text)
            return
        width = box.width() / n
        for i, character in enumerate(text):
            sign = _SIGNS.get(ord(character))
            painter.setPen(QColor(theme.secondary if sign else theme.text))
            cell = QRectF(box.left() + i * width, box.top(), width, box.height())
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextDontClip, sign or character)

    def _draw_run(self, painter: QPainter, text: str, box: QRectF, theme: Theme, font: QFont) -> None:
        """Draw characters of ASCII at once, each in the middle of a cell: far faster than one by one."""
        text = text.translate(_BLANKS)
        if not text or text.isspace():
            return
        width = box.width() / len(text)
        more = width - QFontMetricsF(font).horizontalAdvance("0")
        spaced = QFont(font)
        spaced.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, more)
        painter.setFont(spaced)
        painter.setPen(QColor(theme.text))
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip
        painter.drawText(box.translated(more / 2, 0), flags, text)

    def _draw_outlines(self, painter: QPainter, parts: list[Part]) -> None:
        theme = theme_of(self)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.accent), 2))
        skip = -1
        for i, part in enumerate(parts):
            follower = next(
                (parts[j] for j in range(i + 1, len(parts)) if parts[j].token != part.token), None
            )
            if follower and part.token.start > skip and (part.token.id, follower.token.id) in self._pairs:
                painter.drawRoundedRect(part.rect.adjusted(0, -1, 0, 1), 4, 4)
                painter.drawRoundedRect(follower.rect.adjusted(0, -1, 0, 1), 4, 4)
                skip = follower.token.start  # the merge runs left to right without overlap
        chosen = self._current if self.hasFocus() else None
        for part in parts:
            if part.token in (self._hover, chosen):
                painter.setPen(QPen(QColor(theme.text), 2))
                painter.drawRoundedRect(part.rect.adjusted(0, -1, 0, 1), 4, 4)
            elif self._same_id is not None and part.token.id == self._same_id:
                painter.setPen(QPen(QColor(theme.secondary), 1.5))
                painter.drawRoundedRect(part.rect.adjusted(0, -1, 0, 1), 4, 4)

    # What the person does.

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._lay_out()
        elif event.type() == QEvent.Type.Leave:
            self._set_hover(None)
        elif event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._lay_out()
        return super().viewportEvent(event)

    def _at(self, event: QMouseEvent) -> Token | None:
        return next((p.token for p in self._shown() if p.rect.contains(event.position())), None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        token = self._at(event)
        if token != self._hover and token is not None:
            QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(self.describe(token)), self)
        self._set_hover(token)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        token = self._at(event)
        if token is not None:
            self._current = token
            self.clicked.emit(token)
            self.viewport().update()

    def _set_hover(self, token: Token | None) -> None:
        if token != self._hover:
            self._hover = token
            self.hovered.emit(token)
            self.viewport().update()

    def describe(self, token: Token) -> str:
        """A token in words, as plain text: its id and its bytes."""
        data = self._data[token.start : token.end]
        return tr("id {id:,} · “{text}” · {n} bytes", id=token.id, text=visible(data[:60]), n=len(data))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        tokens = self.visible_tokens()
        move = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(Qt.Key(event.key()))
        if move is not None and tokens:
            here = tokens.index(self._current) if self._current in tokens else -1 if move > 0 else len(tokens)
            if 0 <= here + move < len(tokens):
                self._current = tokens[here + move]
            else:
                self.verticalScrollBar().setValue(self.verticalScrollBar().value() + move)
                tokens = self.visible_tokens()
                self._current = tokens[-1 if move > 0 else 0] if tokens else None
            if self._current is not None:
                self.setAccessibleDescription(self.describe(self._current))
                self.hovered.emit(self._current)
            self.viewport().update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current is not None:
            self.clicked.emit(self._current)
        else:
            super().keyPressEvent(event)
