"""Perplexity: a text colored by how surprised the model is by each token, and one number for all of it.

Stage: `core.evals.scores.score_tokens`. Texts that were scored stay in a list; perplexities are set side by
side only where the same tokenizer cut the texts, bits per byte always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from core.problems import LabError
from labapp.labs.forward.subject import SubjectPage
from labapp.runner import Done, Failed, Outcome, Slot
from labapp.scenes import read_json
from labapp.widgets.parts import WholeLabel, button, card, controls, field, label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import Token, visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from core.evals.scores import Score, Surprises
    from labapp.labs.forward import ForwardLab

FULL = 10.0  # nats at which the color is full: one chance in 22,000
LISTED = 20  # texts that stay in the list
REDRAWN = 2_000  # tokens up to which the colors are drawn while they come


@dataclass(frozen=True)
class Scored:
    """A text that was scored.

    Attributes:
        text: Its beginning.
        model: The model's name.
        tokenizer: Identifies its tokenizer.
        score: The numbers.
    """

    text: str
    model: str
    tokenizer: int
    score: Score


class PerplexityPage(SubjectPage):
    """The text in colors over the list of scores; the chosen token's alternatives on the right."""

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.nats = np.zeros(0)
        self.ranks = np.zeros(0, dtype=np.int64)
        self._best: dict[int, tuple[Any, Any]] = {}  # by position: ids and probabilities
        self.scored: list[Scored] = []
        self._token: int | None = None
        self._samples: list[dict[str, str]] = read_json("forward", "texts.json")["texts"]
        self._build_controls()
        self._build_picture()
        self._build_details()

    def _build_controls(self) -> None:
        self.samples = QComboBox()
        self.samples.addItem(tr("Choose a text…"))
        for each in self._samples:
            self.samples.addItem(tr(each["title"]))
        self.samples.activated.connect(self._sample_chosen)
        self.controls = controls(
            self.top,
            field(tr("Samples"), self.samples, tr("Short texts to begin with")),
            label(
                tr(
                    "Perplexity is exp of the mean surprise, −ln p. It says: as if the model chose among so "
                    "many tokens. The first token is not scored: nothing stands before it."
                ),
                "small", wrap=True,
            ),
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.heading = label("", "heading")
        self.below = WholeLabel("", "small")
        self.view = ValueChips(tr("The text, each token colored by how surprising it is"))
        self.view.clicked.connect(self._token_clicked)
        self.list = Table(
            tr("Texts that were scored"),
            [
                Column(tr("Text"), stretch=True),
                Column(tr("Model")),
                Column(tr("Tokens"), number=True),
                Column(tr("Perplexity"), number=True),
                Column(tr("Bits per byte"), number=True),
            ],
        )
        self.reason = label("", "small", wrap=True)
        clear = button(tr("Clear"), self.clear, tip=tr("Empty the list"))
        head = QHBoxLayout()
        head.addWidget(label(tr("Scored so far"), "heading"), 1)
        head.addWidget(clear)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(card(self.heading, self.below, self.view, spacing=4, grows=self.view), 3)
        layout.addWidget(card(head, self.list, self.reason, spacing=4, grows=self.list), 2)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.says = label("", "small", wrap=True)
        self.best = Table(
            tr("What was expected here"),
            [Column(tr("Expected"), mono=True, stretch=True), Column(tr("Probability"), number=True)],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for widget in (self.title, self.says):
            column.addWidget(widget)
        column.addWidget(self.best)
        column.addStretch(1)

    # Scoring.

    def _sample_chosen(self, index: int) -> None:
        if index > 0:
            self.subject.show_text(self._samples[index - 1]["text"])

    def take_subject(self) -> None:
        ids = self.subject.ids
        self.nats = np.full(len(ids), np.nan)
        self.ranks = np.zeros(len(ids), dtype=np.int64)
        self._best = {}
        self.heading.setText(tr("Type or choose a text"))
        self.below.setText("")
        self._show_view()
        self._show_token(None)
        if self.subject.loaded is not None and len(ids) > 1:
            self.lab.attempt(self._start)

    def _start(self) -> None:
        from core.evals.scores import score_tokens

        loaded, ids = self.subject.loaded, self.subject.ids
        if loaded is None:
            return
        sizes = [len(self.subject.token_bytes(i)) for i in ids]
        self.heading.setText(tr("Scoring {n:,} tokens…", n=len(ids)))
        self.context.runner.start(
            Slot(self.lab.name, "score"),
            lambda: score_tokens(loaded.model, ids, sizes),
            title=tr("Scoring the text"),
            on_events=self._on_events,
            on_end=self._on_end,
        )

    def _on_events(self, events: list[Any]) -> None:
        from core.evals.scores import Surprises

        for event in events:
            if isinstance(event, Surprises):
                self._take(event)
        if len(self.nats) <= REDRAWN:
            self._show_view()

    def _take(self, event: Surprises) -> None:
        place = slice(event.begin, event.begin + len(event.nats))
        self.nats[place] = event.nats.numpy()
        self.ranks[place] = event.ranks.numpy()
        for n in range(len(event.nats)):
            self._best[event.begin + n] = (event.best[n], event.best_probabilities[n])

    def _on_end(self, outcome: Outcome) -> None:
        match outcome:
            case Done(finished=finished):
                self._show_score(finished.result)
                self._show_token(int(np.nanargmax(self.nats)))
            case Failed(error=LabError() as error):
                self.lab.frame.messages.show_problem(error)
            case _:
                self.heading.setText(tr("Stopped: no number for a part of the text"))
        self._show_view()

    def _show_score(self, score: Score) -> None:
        loaded = self.subject.loaded
        if loaded is None:
            return
        self.heading.setText(
            tr(
                "Perplexity {p:,.1f} · {b:.2f} bits per byte", p=score.perplexity, b=score.bits_per_byte
            )
        )  # fmt: skip
        windows = tr("1 window") if score.windows == 1 else tr("{n:,} windows", n=score.windows)
        self.below.setText(
            tr(
                "{n:,} tokens scored in {windows} of up to {size:,}; stronger color: more surprising",
                n=score.tokens, windows=windows, size=score.window,
            )
        )  # fmt: skip
        text = " ".join(self.subject.text.split())
        made = Scored(text[:80], loaded.source.name, hash(loaded.tokenizer), score)
        if made not in self.scored:
            self.scored = [made, *self.scored][:LISTED]
        self._show_list()

    def _show_list(self) -> None:
        """Perplexities are left out of rows whose tokenizer is not that of the row on top."""
        same = {each.tokenizer for each in self.scored[:1]}
        rows = [
            (
                each.text, each.model, f"{each.score.tokens:,}",
                f"{each.score.perplexity:,.1f}" if each.tokenizer in same else "—",
                f"{each.score.bits_per_byte:.3f}",
            )
            for each in self.scored
        ]  # fmt: skip
        self.list.set_rows(rows)
        mixed = len({each.tokenizer for each in self.scored}) > 1
        self.reason.setText(
            tr(
                "“—”: another tokenizer cut that text into other tokens, so that a choice among them is "
                "another choice. Bits per byte can be compared: the bytes are the same."
            )
            if mixed
            else ""
        )
        self.reason.setVisible(mixed)

    def clear(self) -> None:
        """Empty the list."""
        self.scored = []
        self._show_list()

    # What is shown.

    def _show_view(self) -> None:
        tokens = [self.subject.token_bytes(i) for i in self.subject.ids]
        self.view.set_values(tokens, self.nats / FULL, self._describe)

    def _describe(self, place: int) -> str:
        if not 0 <= place < len(self.nats) or np.isnan(self.nats[place]):
            return tr("not scored: nothing stands before it") if place == 0 else ""
        nats = float(self.nats[place])
        return tr(
            "“{token}”: surprise {nats:.2f} nats, probability {share:.2g} %, place {rank:,} among all tokens",
            token=visible(self.subject.token_bytes(self.subject.ids[place])),
            nats=nats, share=100 * float(np.exp(-nats)), rank=int(self.ranks[place]) + 1,
        )  # fmt: skip

    def _token_clicked(self, token: Token) -> None:
        self._show_token(token.id)

    def _show_token(self, place: int | None) -> None:
        known = place is not None and place in self._best
        self._token = place if known else None
        self.best.setVisible(known)
        if place is None or not known:
            self.title.setText(tr("Click a token"))
            self.says.setText(tr("What the model expected in its place is shown here."))
            return
        before = b"".join(self.subject.token_bytes(i) for i in self.subject.ids[max(0, place - 5) : place])
        self.title.setText(tr("After “…{text}”", text=visible(before).replace("␣", " ").lstrip()))
        self.says.setText(self._describe(place))
        ids, shares = self._best[place]
        self.best.set_rows(
            [
                (visible(self.subject.token_bytes(i)), f"{100 * p:.1f} %")
                for i, p in zip(ids.tolist(), shares.tolist(), strict=True)
            ]
        )
        self.best.fit_height()

    def take_focus(self) -> None:
        self.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Surprise"): self.view}
