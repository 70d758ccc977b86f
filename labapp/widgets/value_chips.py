"""A text in tokens, each colored by a number of its own: how probable it was, how surprising."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QPainter, QPaintEvent

from labapp.theme import Theme, mix
from labapp.widgets.token_chips import TokenChips
from labapp.widgets.token_text import Part, Token, TokenText

STRONGEST = {"light": 0.75, "dark": 0.45}  # share of the ramp's color at most: text keeps its contrast


class ValueChips(TokenChips):
    """Chips without ids; the stronger the color, the larger the value from 0 to 1. No number: no color."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._values: npt.NDArray[np.float64] = np.zeros(0)
        self._says: Callable[[int], str] = lambda _: ""
        self.setAccessibleName(name)

    def set_values(
        self, tokens: list[bytes], values: npt.NDArray[np.float64], says: Callable[[int], str]
    ) -> None:
        """Show tokens.

        Args:
            tokens: Their bytes.
            values: One for each, from 0 to 1, or no number.
            says: What the tooltip tells of a token, by its place.
        """
        lengths = [max(1, len(token)) for token in tokens]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        data = b"".join(token or b"?" for token in tokens)
        self._values, self._says = values, says
        self.set_tokens(data, starts[:-1], np.arange(len(tokens)), starts)

    def describe(self, token: Token) -> str:
        return self._says(token.id)

    # What differs from chips with ids: a token's id is its place here, and is not written.

    def _cell(self) -> tuple[float, float]:
        return TokenText._cell(self)

    def _widths(self) -> npt.NDArray[np.float64]:
        cell, _ = self._cell()
        widths: npt.NDArray[np.float64] = np.diff(self._starts) * cell + 2
        return widths

    def _draw_chips(self, painter: QPainter, parts: list[Part], theme: Theme) -> None:
        weight, panel = QColor(theme.weight), QColor(theme.panel)
        for part in parts:
            value = self._values[part.token.id] if part.token.id < len(self._values) else np.nan
            if np.isfinite(value):
                share = STRONGEST[theme.name] * float(np.clip(value, 0.0, 1.0))
                painter.fillRect(part.rect.adjusted(0.5, 0, -0.5, 0), mix(weight, panel, share))

    def paintEvent(self, event: QPaintEvent) -> None:
        TokenText.paintEvent(self, event)
