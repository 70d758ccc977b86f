"""A game: foresee the next token yourself, and see your perplexity beside the model's on the same ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from core.evals.guesses import ENOUGH, SURE, Guess, Round, make_round, standing
from labapp.widgets.parts import button, label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

SHOWN = 40  # tokens of the text before the hidden one
AFTER = 2  # tokens that are always given: nobody can foresee the first words of a text
CHOICES = 5


class GuessGame(QWidget):
    """Five tokens to choose from, how sure one is, what came, and the standing.

    Attributes:
        guesses: What was said so far; kept while texts change.
        round: The round that is open, or None.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.guesses: list[Guess] = []
        self.round: Round | None = None
        self._rng = random.Random(seed)
        self._ids: Sequence[int] = ()
        self._losses: Sequence[float] = ()
        self._best: dict[int, Sequence[tuple[int, float]]] = {}
        self._bytes: Callable[[int], bytes] = lambda _: b""
        self._places: list[int] = []
        self.before = label("", "", wrap=True)
        self.before.setMinimumHeight(50)
        self.before.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.outcome = label("", "heading", wrap=True)
        self.table = Table(
            tr("You and the model"),
            [Column(tr("Perplexity"), stretch=True), Column(tr("Value"), number=True)],
        )
        self.says = label("", "small", wrap=True)
        self._build()

    def _build(self) -> None:
        self.choices: list[QPushButton] = []
        row = QHBoxLayout()
        row.setSpacing(6)
        for n in range(CHOICES):
            made = button("", partial(self.guess, n), tip=tr("This token comes next"))
            self.choices.append(made)
            row.addWidget(made)
        row.addStretch(1)
        self._sure = QButtonGroup(self)
        sure = QHBoxLayout()
        sure.setSpacing(6)
        sure.addWidget(label(tr("How sure are you?"), "small"))
        for n, share in enumerate(SURE):
            made = button(
                tr("{n:.0f} %", n=100 * share),
                tip=tr("The probability that you give your choice; the other four share the rest"),
                role="sample",
            )
            made.setCheckable(True)
            made.setChecked(n == 1)
            self._sure.addButton(made, n)
            sure.addWidget(made)
        sure.addStretch(1)
        self.on = button(tr("Next token"), self.deal, tip=tr("Another place in the text"), role="primary")
        self.again = button(tr("Start over"), self.start_over, tip=tr("Forget all rounds"))
        sure.addWidget(self.again)
        row.addWidget(self.on)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.before)
        for line in (sure, row):
            column.addLayout(line)
        column.addWidget(self.outcome)
        column.addWidget(self.table)
        column.addWidget(self.says)
        column.addStretch(1)
        self._show_standing()

    @property
    def sure(self) -> float:
        """How sure the person says they are."""
        return SURE[self._sure.checkedId()]

    def set_sure(self, n: int) -> None:
        """Choose how sure one is, by its place in `SURE`."""
        self._sure.button(n).setChecked(True)

    def take(
        self, ids: Sequence[int], losses: Sequence[float], best: dict[int, Sequence[tuple[int, float]]],
        token_bytes: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        """Take a text whose tokens a model has foreseen; the rounds so far stay.

        Args:
            ids: The text.
            losses: −ln p of each.
            best: By place: the most probable tokens, (id, probability).
            token_bytes: The bytes of a token.
        """
        self._ids, self._losses, self._best, self._bytes = ids, losses, best, token_bytes
        self._places = [place for place in sorted(best) if place >= AFTER]
        self._rng.shuffle(self._places)
        self.deal()

    def deal(self) -> None:
        """Open a round at another place of the text."""
        self.round = None
        self.outcome.setText("")
        if not self._places:
            self.before.setText(tr("There is no more token to foresee here: show another text."))
            self._show_choices()
            return
        place = self._places.pop()
        self.round = make_round(self._best[place], self._ids[place], self._losses[place], self._rng)
        before = b"".join(self._bytes(i) for i in self._ids[max(0, place - SHOWN) : place])
        dots = "…" if place > SHOWN else ""
        self.before.setText(tr("{dots}{text} ▁▁▁", dots=dots, text=before.decode("utf-8", "replace")))
        self._show_choices()

    def guess(self, choice: int) -> None:
        """Say which token comes."""
        if self.round is None or choice >= len(self.round.candidates):
            return
        made = Guess(self.round, choice, self.sure)
        self.guesses.append(made)
        names = [visible(self._bytes(i)) for i in made.round.candidates]
        self.outcome.setText(
            tr(
                "{verdict} “{token}” came. You gave it {yours:.0f} %, the model {its:.0f} % of these five.",
                verdict=tr("Right:") if made.right else tr("No:"), token=names[made.round.truth],
                yours=100 * math.exp(-made.loss), its=100 * math.exp(-made.round.model_loss),
            )
        )  # fmt: skip
        self.round = None
        self._show_choices()
        self._show_standing()
        self.on.setFocus()

    def start_over(self) -> None:
        """Forget all rounds."""
        self.guesses = []
        self._show_standing()

    def _show_choices(self) -> None:
        tokens = self.round.candidates if self.round is not None else ()
        for n, made in enumerate(self.choices):
            made.setVisible(n < len(tokens) or self.round is None)
            made.setEnabled(n < len(tokens))
            if n < len(tokens):
                made.setText(visible(self._bytes(tokens[n])).replace("&", "&&"))
        self.on.setEnabled(self.round is None and bool(self._places))

    def _show_standing(self) -> None:
        n = len(self.guesses)
        self.again.setEnabled(n > 0)
        self.table.setVisible(n >= ENOUGH)
        if n < ENOUGH:
            self.says.setText(
                tr(
                    "{n} of {enough} rounds. Then your own perplexity is shown beside the model's on the "
                    "same tokens. Being sure and wrong costs most: that is what −ln p does.",
                    n=n, enough=ENOUGH,
                )
            )  # fmt: skip
            return
        now = standing(self.guesses)
        self.table.set_rows(
            [
                (tr("You, among five tokens"), f"{now.person:.2f}"),
                (tr("The model, among the same five"), f"{now.model:.2f}"),
                (tr("The model, among all tokens"), f"{now.model_full:.2f}"),
            ]
        )
        self.table.fit_height()
        self.says.setText(
            tr(
                "n = {n} tokens; you were right {right} times. That the right token is among the five is a "
                "great help; among all tokens people are far behind (Shlegeris et al., arXiv 2212.11281).",
                n=n, right=now.right,
            )
        )  # fmt: skip
