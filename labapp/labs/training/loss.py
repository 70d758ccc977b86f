"""Loss: what cross-entropy says of each token, on a live batch of the run or on a text typed here.

Stages: `core.evals.scores.score_tokens` for a typed text; a live batch comes from the run itself, as a
`SeenBatch`. What to notice: the loss of a text is the mean of −ln p, and few tokens make most of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QStackedWidget, QVBoxLayout, QWidget

from core.stages import Finished, pass_on
from core.training.events import SeenBatch
from labapp.labs.training.guessing import GuessGame
from labapp.labs.training.loss_curve import LossCurve, chance
from labapp.labs.training.model_choice import CheckpointPicker
from labapp.pages import LabPage
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.parts import ViewButtons, WholeLabel, button, card, controls, label
from labapp.widgets.parts import field as labeled
from labapp.widgets.token_text import visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.model.shelf import LoadedModel
    from core.tokenizer.tokenizer import Tokenizer
    from labapp.labs.training import TrainingLab

FULL = 10.0  # nats at which the color is full: one chance in 22,000
TYPING = 400  # ms without a key after which the text is read
LONGEST = 20_000  # characters of a text that are read
LOWER = 340  # px of the distribution and the curve at most
VIEWS = (
    ("Token by token", "The text in the colors of its losses, and one token on the curve"),
    ("Predict it yourself", "Foresee the next token, and compare your perplexity with the model's"),
)
TEXT = (
    "The capital of France is Paris. The cat sat on the mat because it was tired. What was tired? The cat. "
    "The king and the queen live in a castle near the river, and the bank of the river is green."
)


@dataclass
class Judged:
    """A text and how a model foresaw its tokens.

    Attributes:
        title: Where it comes from.
        ids: Its tokens.
        nats: −ln p of each, not a number where it was not foreseen.
        best: By place: the most probable tokens there, (id, probability).
        token_bytes: The bytes of a token.
    """

    title: str
    ids: tuple[int, ...]
    token_bytes: Callable[[int], bytes]
    nats: np.ndarray = field(init=False)
    best: dict[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nats = np.full(len(self.ids), np.nan)

    @property
    def foreseen(self) -> int:
        """Tokens that have a loss."""
        return int(np.isfinite(self.nats).sum())


class LossPage(LabPage):
    """The text in colors over the chosen token's distribution and its point on the curve; or the game."""

    def __init__(self, lab: TrainingLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.judged: Judged | None = None
        self.token: int | None = None
        self._asked = False  # whether a batch is waited for
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self.read_text)
        self._build_controls()
        self._build_picture()
        self._build_details()
        lab.run.seen.connect(self._seen)
        lab.run.changed.connect(self._show_run)

    def _build_controls(self) -> None:
        self.picker = CheckpointPicker(tr("Model"), self.context, self.lab.name, self._run_folder)
        self.picker.chosen.connect(lambda _: self.read_text())
        self.editor = QPlainTextEdit(tr(TEXT))
        self.editor.setTabChangesFocus(True)
        self.editor.setMinimumHeight(60)
        self.editor.setMaximumHeight(150)
        self.editor.textChanged.connect(lambda: self._typing.start())
        self.batch = button(
            tr("Show the next batch"), self.ask_batch, tip=tr("One sequence of what the run learns from next")
        )
        self.batch_says = label("", "small", wrap=True)
        self.controls = controls(
            labeled(tr("Model"), self.picker, tr("Who foresees the text")),
            labeled(tr("Text"), self.editor, tr("Any text; it is read when you stop typing")),
            self.batch,
            self.batch_says,
            label(
                tr(
                    "Training lowers one number: the mean of −ln p of the tokens that come. p is what the "
                    "model gave them before it saw them."
                ),
                "small", wrap=True,
            ),
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.heading = label("", "heading")
        self.below = WholeLabel("", "small")
        self.view = ValueChips(tr("The text, each token colored by its loss"))
        self.view.setToolTip(tr("Click a token, or walk with the arrow keys"))
        self.view.clicked.connect(lambda token: self.show_token(token.id))
        self.expected = label("", "heading")
        self.bars = Bars(tr("What was expected in this place"))
        self.curve = LossCurve()
        lower = QWidget()
        lower.setMaximumHeight(LOWER)  # the text has what is left
        row = QHBoxLayout(lower)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(card(self.expected, self.bars, spacing=4, grows=self.bars), 2)
        row.addWidget(self.curve, 3)
        tokens = QWidget()
        column = QVBoxLayout(tokens)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(card(self.heading, self.below, self.view, spacing=4, grows=self.view), 4)
        column.addWidget(lower, 5)
        self.game = GuessGame()
        self.views = QStackedWidget()
        self.views.addWidget(tokens)
        self.views.addWidget(card(self.game, grows=self.game))
        self.head = ViewButtons(VIEWS, self.show_view)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.head)
        layout.addWidget(self.views, 1)

    def _build_details(self) -> None:
        self.title = label("", "heading", wrap=True)
        self.says = label("", "", wrap=True)
        self.part = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for widget in (self.title, self.says, self.part):
            column.addWidget(widget)
        column.addStretch(1)

    # The page.

    def shown(self) -> None:
        if self.picker.loaded is None:
            self.picker.pick(self.picker.key or self.picker.default_key())
        self._show_run()

    def plots_ready(self) -> None:
        self.curve.plots_ready()

    def show_view(self, n: int) -> None:
        """Show the text (0) or the game (1)."""
        self.views.setCurrentIndex(n)
        self.head.mark(n)
        if n == 1 and self.game.round is None and not self.game.outcome.text():
            self._play()

    # A text typed here.

    def show_text(self, text: str) -> None:
        """Take a text, as from another lab."""
        self.editor.setPlainText(text[:LONGEST])
        self.read_text()

    def read_text(self) -> None:
        """Have the chosen model foresee the text as it stands."""
        self._typing.stop()
        if self.picker.loaded is not None:
            self.lab.attempt(self._read, self.picker.loaded, self.editor.toPlainText()[:LONGEST])

    def _read(self, loaded: LoadedModel, text: str) -> None:
        from core.evals.scores import Surprises

        tokenizer = loaded.needed_tokenizer()
        judged: list[Judged] = []

        def stage() -> Iterator[Any]:
            from core.evals.scores import score_tokens

            ids = tuple(tokenizer.encode(text, special="all"))
            judged.append(Judged(loaded.source.name, ids, tokenizer.token_bytes))
            score = yield from pass_on(
                score_tokens(loaded.model, ids, [len(tokenizer.token_bytes(i)) for i in ids])
            )
            yield Finished("", score)

        def events(found: list[Any]) -> None:
            for event in found:
                if isinstance(event, Surprises):
                    _take(judged[0], event)

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                self._show(judged[0])
            self.lab.show_failure(outcome)

        self.context.runner.start(
            Slot(self.lab.name, "loss of a text"),
            stage,
            title=tr("Scoring the text"),
            on_events=events,
            on_end=end,
        )

    # A live batch.

    def _run_folder(self) -> Path | None:
        return self.lab.run.folder

    def _show_run(self) -> None:
        running = self.lab.run.heard is not None
        self.batch.setEnabled(running)
        if not running:
            self.batch_says.setText(tr("Start a run to see what it learns from."))
        elif not self._asked:
            self.batch_says.setText(tr("Shows what the run learns from, with the losses before that step."))

    def ask_batch(self) -> None:
        """Ask the run for one sequence of its next step."""
        heard = self.lab.run.heard
        if heard is not None:
            heard.show_batch = self._asked = True
            self.batch_says.setText(tr("Waiting for the next step…"))

    def _seen(self, seen: SeenBatch) -> None:
        """The run shows what it learned from; others may have asked."""
        folder = self.lab.run.folder
        if self._asked and folder is not None:
            self.lab.attempt(self._take_batch_of, folder, seen)

    def _take_batch_of(self, folder: Path, seen: SeenBatch) -> None:
        from core.tokenizer.reading import read_tokenizer

        self.take_batch(seen, read_tokenizer(folder / "tokenizer"))

    def take_batch(self, seen: SeenBatch, tokenizer: Tokenizer) -> None:
        """Show a sequence that the run has just learned from."""
        judged = Judged(tr("the run at step {n:,}", n=seen.step), seen.ids, tokenizer.token_bytes)
        judged.nats[1:] = seen.losses
        judged.best = dict(enumerate(seen.best, 1))
        self._asked = False
        self.batch_says.setText(tr("A sequence of step {n:,}, before it was learned from.", n=seen.step))
        self._show(judged)

    # What is shown.

    def _show(self, judged: Judged) -> None:
        self.judged = judged
        loss = float(np.nanmean(judged.nats))
        self.heading.setText(
            tr("Loss {loss:.2f} nats a token · perplexity {p:,.1f}", loss=loss, p=math.exp(min(loss, 700)))
        )
        self.below.setText(
            tr(
                "{n:,} tokens foreseen by {model}; stronger color: larger loss", n=judged.foreseen,
                model=judged.title,
            )
        )  # fmt: skip
        self.view.set_values([judged.token_bytes(i) for i in judged.ids], judged.nats / FULL, self._describe)
        self.show_token(int(np.nanargmax(judged.nats)))
        self._play()

    def _play(self) -> None:
        if self.judged is not None:
            self.game.take(
                self.judged.ids, self.judged.nats.tolist(), dict(self.judged.best), self.judged.token_bytes
            )

    def _describe(self, place: int) -> str:
        judged = self.judged
        if judged is None or not 0 <= place < len(judged.ids) or np.isnan(judged.nats[place]):
            return tr("not foreseen: nothing stands before it") if place == 0 else ""
        nats = float(judged.nats[place])
        return tr(
            "“{token}” came with p = {p}: loss −ln p = {nats:.2f} nats",
            token=visible(judged.token_bytes(judged.ids[place])), p=chance(math.exp(-nats)), nats=nats,
        )  # fmt: skip

    def show_token(self, place: int) -> None:
        """Show what was expected in a place of the text, and its loss on the curve."""
        judged = self.judged
        if judged is None or place not in judged.best:
            return
        self.token = place
        nats, truth = float(judged.nats[place]), judged.ids[place]
        whole = float(np.nansum(judged.nats))
        before = b"".join(judged.token_bytes(i) for i in judged.ids[max(0, place - 5) : place])
        text = visible(before).replace("␣", " ").lstrip()
        self.title.setText(tr("After “…{text}”", text=text))
        self.expected.setText(tr("Expected here; ✓ came"))
        self.says.setText(self._describe(place))
        self.part.setText(
            tr(
                "Of the text's whole loss of {all:,.1f} nats this token has {share:.1f} %. A step of "
                "training moves the weights so that p grows here; the other tokens' p in this place shrinks.",
                all=whole, share=100 * nats / max(whole, 1e-9),
            )
        )  # fmt: skip
        self.bars.set_bars(bars_of(judged, place, truth))
        self.curve.show_token(math.exp(-nats))
        self.view.mark_id(place)

    # State and the rest.

    def take_focus(self) -> None:
        self.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def pictures(self) -> dict[str, QWidget]:
        found: dict[str, QWidget] = {tr("Loss of each token"): self.view, tr("Expected tokens"): self.bars}
        return found | ({} if self.curve.plot is None else {tr("Loss of one token"): self.curve.plot})

    def save_state(self) -> dict[str, Any]:
        return {
            "text": self.editor.toPlainText()[:LONGEST],
            "model": self.picker.key,
            "view": self.views.currentIndex(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("text"), str):
            self.editor.setPlainText(state["text"])
        if isinstance(state.get("model"), str):
            self.picker.key = state["model"]  # loaded when the page is shown
        if state.get("view") == 1:
            self.show_view(1)


def _take(judged: Judged, event: Any) -> None:
    """Put a piece of scores where it belongs."""
    judged.nats[event.begin : event.begin + len(event.nats)] = event.nats.numpy()
    ids, shares = event.best.tolist(), event.best_probabilities.tolist()
    for n in range(len(ids)):
        judged.best[event.begin + n] = tuple(zip(ids[n], shares[n], strict=True))


def percent(share: float) -> str:
    """A share as it stands at a bar.

    >>> percent(0.256), percent(0.00000001)
    ('26 %', '< 0.01 %')
    """
    return f"{100 * share:.2g} %" if share >= 0.0001 else "< 0.01 %"


def bars_of(judged: Judged, place: int, truth: int) -> list[Bar]:
    """The distribution in one place: the most probable tokens, the one that came, and all others together."""
    found = list(judged.best[place])
    if truth not in [token for token, _ in found]:
        found.append((truth, math.exp(-float(judged.nats[place]))))
    bars = [
        Bar(
            ("✓ " if token == truth else "") + visible(judged.token_bytes(token)),
            share,
            percent(share),
            strong=token == truth,
        )
        for token, share in found
    ]
    rest = max(0.0, 1 - sum(share for _, share in found))
    return [*bars, Bar(tr("all others"), rest, percent(rest))]
