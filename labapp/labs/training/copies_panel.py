"""A text that a model wrote, each token colored by its longest match in the training text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.training.copies import COPIED, Match
from labapp.widgets.parts import WholeLabel, card, label
from labapp.widgets.token_text import visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from core.training.parrot import Compared

LONG = 128  # tokens of a match from which on the color is full
QUOTED = 160  # characters of a match that are repeated beside
AROUND = 10  # tokens of the training text before and after a match


def shade(length: int) -> float:
    """How strong the color of a token is whose match has this length: a step for each doubling.

    >>> [round(shade(n), 2) for n in (0, 4, 8, 32, 128, 500)]
    [0.0, 0.17, 0.33, 0.67, 1.0, 1.0]
    """
    return min(1.0, math.log2(length / 2) / math.log2(LONG / 2)) if length > 2 else 0.0


class CopiesPanel(QWidget):
    """A heading with the shares, over the text; `chosen` tells that a token was clicked.

    Attributes:
        compared: What is shown, or None.
    """

    chosen = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.compared: Compared | None = None
        self._bytes: Callable[[int], bytes] = lambda _: b""
        self._begin = 0
        self.heading = label("", "heading", wrap=True)
        self.below = WholeLabel("", "small")
        self.why = label("", "secondary", wrap=True)
        self.view = ValueChips(name)
        self.view.setToolTip(tr("Click a token to see where it stands in the training text"))
        self.view.clicked.connect(lambda token: self.chosen.emit(token.id))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(self.heading, self.below, self.why, self.view, spacing=4, grows=self.view))
        self.say("", "")

    def say(self, heading: str, why: str) -> None:
        """Show no text, and why."""
        self.compared = None
        self.heading.setText(heading)
        self.below.setVisible(False)
        self.why.setText(why)
        self.why.setVisible(bool(why))
        self.view.set_values([], np.zeros(0), lambda _: "")

    def show_text(self, title: str, compared: Compared, token_bytes: Callable[[int], bytes]) -> None:
        """Show a text with what was found."""
        self.compared, self._bytes = compared, token_bytes
        copies = compared.copies
        self.why.setVisible(copies is None)
        self.below.setVisible(copies is not None)
        if copies is None:
            self.heading.setText(title)
            self.why.setText(tr("Its training text is not here, so nothing can be compared: have it "
                                "written again, or choose a checkpoint of a run."))  # fmt: skip
        else:
            share = 100 * copies.share_copied()
            self.heading.setText(
                tr(
                    "{title}: {share:.0f} % copied, {new:.0f} % new",
                    title=title,
                    share=share,
                    new=100 - share,
                )
            )
            words = tr(
                "n = {n:,} · longest run {most:,} tokens",
                n=copies.counted, most=max(copies.lengths[copies.begin :], default=0),
            )  # fmt: skip
            self.below.setText(words)
            self.below.setToolTip(
                tr("Copied: in a run of {least} tokens or more. {words}", least=COPIED, words=words)
            )
        lengths = copies.lengths if copies is not None else (0,) * len(compared.ids)
        self.view.set_values(
            [token_bytes(i) for i in compared.ids],
            np.array([shade(length) for length in lengths]),
            self.describe,
        )

    def show_growing(self, title: str, tokens: list[bytes]) -> None:
        """Show a text while it is written."""
        self.heading.setText(tr("{title}: {n:,} tokens…", title=title, n=len(tokens)))
        self.view.set_values(tokens, np.full(len(tokens), np.nan), lambda _: "")
        self.view.show_end()

    def match(self, place: int) -> Match | None:
        """The match that covers a token of the text."""
        copies = self.compared.copies if self.compared is not None else None
        return copies.matches[place] if copies is not None and 0 <= place < len(copies.matches) else None

    def describe(self, place: int) -> str:
        """What is known of a token of the text."""
        copies = self.compared.copies if self.compared is not None else None
        if copies is None:
            return ""
        found = self.match(place)
        prompt = tr("the prompt: not counted; ") if place < copies.begin else ""
        if found is None:
            return prompt + tr("new: no run of 4 tokens around it stands in the training text")
        return prompt + tr(
            "in a run of {n:,} tokens that stands {times} in the training text", n=found.length,
            times=tr("once") if found.times == 1 else tr("{n:,} times", n=found.times),
        )  # fmt: skip

    def copied_text(self, found: Match) -> str:
        """The words of a match."""
        ids = self.compared.ids[found.begin : found.begin + found.length] if self.compared else ()
        text = visible(b"".join(self._bytes(i) for i in ids)).replace("␣", " ").strip()
        return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"

    def show_passage(self, found: Match, view: ValueChips) -> None:
        """Show in another view where a match stands in the training text, with what stands around it."""
        index = self.compared.index if self.compared is not None else None
        if index is None:
            return
        begin = max(0, found.place - AROUND)
        ids = index.ids[begin : found.place + found.length + AROUND].tolist()
        places = np.arange(begin, begin + len(ids))
        inside = (places >= found.place) & (places < found.place + found.length)
        view.set_values(
            [self._bytes(i) for i in ids],
            np.where(inside, shade(found.length), np.nan),
            lambda n: tr("token {n:,} of the training text", n=begin + n + 1),
        )
