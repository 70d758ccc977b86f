"""Tokens as chips with their ids: each as wide as it needs, in lines, drawn only where they are visible.

`TokenText` lays a text out in bytes, which stays still while tokens change; here the tokens stand still and
each has room for its id. Both draw the bytes of a token alike.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent

from labapp.theme import theme_of
from labapp.widgets.token_text import MARGIN, Part, Token, TokenText

MOST = 60_000  # tokens; a longer text is shown as `TokenText` shows it


class TokenChips(TokenText):
    """A `TokenText` with ids, for texts of up to `MOST` tokens."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = np.zeros(0, dtype=np.int64)
        self._starts = np.zeros(1, dtype=np.int64)
        self._lines: list[int] = [0]  # the token that each line begins with

    def set_tokens(self, data: bytes, words: np.ndarray, ids: np.ndarray, starts: np.ndarray) -> None:
        """Show a text's tokens.

        Args:
            data: The text in UTF-8.
            words: Where its words begin, in bytes.
            ids: The tokens.
            starts: Where each token begins, in bytes, and where the last one ends.
        """
        self._ids, self._starts = ids, starts
        self.set_text(data, words)

    def show_end(self) -> None:
        """Scroll to the last line."""
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    @property
    def with_ids(self) -> bool:
        """Whether the ids are shown, which they are unless there are too many tokens."""
        return 0 < len(self._ids) <= MOST

    def _id_metrics(self) -> QFontMetricsF:
        return QFontMetricsF(self.small_font())

    def _cell(self) -> tuple[float, float]:
        width, height = super()._cell()
        return width, height + (self._id_metrics().height() + 2 if self.with_ids else 0)

    def _widths(self) -> np.ndarray:
        """The width of every token in px."""
        cell, _ = super()._cell()
        digit = self._id_metrics().horizontalAdvance("0")
        digits = np.floor(np.log10(np.maximum(self._ids, 1))) + 1
        return np.maximum(np.diff(self._starts) * cell, digits * digit + 4) + 2

    def _lay_out(self) -> None:
        if not self.with_ids:
            super()._lay_out()
            return
        ends = np.cumsum(self._widths())
        room = max(60.0, self.viewport().width() - 2 * MARGIN)
        data = self._data
        breaks = [i + 1 for i, end in enumerate(self._starts[1:].tolist()) if data[end - 1 : end] == b"\n"]
        lines, at, n = [0], 0, len(self._ids)
        while at < n:
            before = ends[at - 1] if at else 0.0
            following = max(at + 1, int(np.searchsorted(ends, before + room, "right")))
            newline = bisect_right(breaks, at)
            if newline < len(breaks):
                following = min(following, breaks[newline])
            if following < n:
                lines.append(following)
            at = following
        self._lines = lines
        self._set_lines(len(lines))

    def _line_of(self, offset: int) -> int:
        if not self.with_ids:
            return super()._line_of(offset)
        token = int(np.searchsorted(self._starts, offset, "right")) - 1
        return bisect_right(self._lines, token) - 1

    def _find_parts(self) -> list[Part]:
        if not self.with_ids:
            return super()._find_parts()
        _, height = super()._cell()
        _, pitch = self._cell()
        widths = self._widths()
        first = self.verticalScrollBar().value()
        parts = []
        for row, line in enumerate(range(first, min(first + self._visible_lines() + 1, len(self._lines)))):
            start = self._lines[line]
            end = self._lines[line + 1] if line + 1 < len(self._lines) else len(self._ids)
            x = float(MARGIN)
            for i in range(start, end):
                token = Token(int(self._starts[i]), int(self._starts[i + 1]), int(self._ids[i]))
                rect = QRectF(x, MARGIN + row * pitch, float(widths[i]), height - 3)
                parts.append(Part(token, token.start, token.end, rect))
                x += float(widths[i])
        return parts

    def _bytes_rect(self, part: Part) -> QRectF:
        """The bytes stand in the middle of a chip that its id made wider."""
        if not self.with_ids:
            return part.rect
        cell, _ = super()._cell()
        width = (part.end - part.start) * cell
        return QRectF(part.rect.center().x() - width / 2, part.rect.top(), width, part.rect.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.with_ids:
            return
        with QPainter(self.viewport()) as painter:
            painter.setFont(self.small_font())
            painter.setPen(QColor(theme_of(self).secondary))
            height = self._id_metrics().height()
            for part in self._shown():
                box = QRectF(part.rect.left(), part.rect.bottom() + 1, part.rect.width(), height)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(part.token.id))
