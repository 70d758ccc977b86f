"""Does it matter? Pinned heads and MLPs are switched off, and the next token compared, beside random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import Finished
from labapp.labs.attention.pins import MLP
from labapp.widgets.parts import button, label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.inside import Inside
    from core.model.shelf import LoadedModel

SHOWN = 3  # tokens in the table
Head = tuple[int, int]


@dataclass(frozen=True)
class Compared:
    """What the panel shows.

    Attributes:
        rows: Token, its probability before and after.
        change: Of the log-probability of the first, nats.
        band: The smallest and the largest change by random sets.
        sets: How many random sets there were.
        outside: Whether the change lies outside the band.
        heads: Which heads were switched off; `MLP` stands in the place of a head for an MLP.
        token: The bytes of the token concerned.
        randoms: The change by each random set, nats.
    """

    rows: tuple[tuple[str, float, float], ...]
    change: float
    band: tuple[float, float]
    sets: int
    outside: bool
    heads: tuple[Head, ...] = ()
    token: bytes = b""
    randoms: tuple[float, ...] = ()


def compare(
    loaded: LoadedModel,
    ids: tuple[int, ...],
    heads: tuple[Head, ...],
    kind: str,
    token: int | None = None,
    shown: int = SHOWN,
) -> Iterator[Any]:
    """The stage: `core.interpret.ablation.ablate`, made ready for the table.

    Args:
        loaded: The model.
        ids: The text.
        heads: Switched off together; heads, or MLPs.
        kind: "zero" or "mean".
        token: The token concerned; None takes the most probable one.
        shown: Tokens in the table, on either side.
    """
    from core.interpret.ablation import ablate

    mlps = [layer for layer, head in heads if head == MLP]
    stage = ablate(loaded.model, ids, token, [part for part in heads if part[1] != MLP], mlps, kind)
    return _compared(loaded, stage, heads, token, shown)


def _compared(
    loaded: LoadedModel, stage: Iterator[Any], heads: tuple[Head, ...], token: int | None, shown: int
) -> Iterator[Any]:
    for event in stage:
        if not isinstance(event, Finished):
            yield event
            continue
        effect, band = event.result.effect, event.result.band
        if band is None:
            raise LabError(
                tr("There are no others to compare these with."), tr("Switch fewer off together: unpin some.")
            )
        about = int(effect.before.argmax()) if token is None else token
        best = [about, *(i for i in effect.before.topk(shown).indices.tolist() if i != about)][:shown]
        if shown > SHOWN:  # there is room for what it says instead
            best += [i for i in effect.after.topk(SHOWN).indices.tolist() if i not in best]
        tokenizer = loaded.needed_tokenizer()
        rows = tuple(
            (visible(tokenizer.token_bytes(i)), float(effect.before[i].exp()), float(effect.after[i].exp()))
            for i in best
        )
        change = effect.change_of(about)
        compared = Compared(
            rows, change, band.span, len(band.changes), band.outside(change), heads,
            tokenizer.token_bytes(about), band.changes,
        )  # fmt: skip
        yield Finished(event.reason, compared)


def compare_each(
    loaded: LoadedModel, ids: tuple[int, ...], heads: tuple[Head, ...], kind: str, token: str
) -> Iterator[Any]:
    """Ask of every head or MLP alone whether it matters, then of all together; yields a `Compared` for each.

    Args:
        loaded: The model.
        ids: The text.
        heads: One after the other; heads, or MLPs.
        kind: "zero" or "mean".
        token: The token concerned, with its space; "" takes the most probable one.

    Raises:
        LabError: Nothing is pinned, there is no such head, or the text of the token is not one token.
    """
    if not heads:
        raise LabError(tr("Nothing is pinned."), tr("Pin the head in view or an MLP, or take an example."))
    about: int | None = None
    if token:
        found = loaded.needed_tokenizer().encode(token)
        if len(found) != 1:
            raise LabError(
                tr("“{text}” is {n} tokens.", text=token, n=len(found)),
                tr("Name one token; most words begin with a space."),
            )
        about = found[0]
    sets = [(head,) for head in heads] + ([heads] if len(heads) > 1 else [])
    stages = [compare(loaded, ids, chosen, kind, about, 5) for chosen in sets]
    return _each(stages)


def _each(stages: list[Iterator[Any]]) -> Iterator[Any]:
    for stage in stages:
        for event in stage:
            yield event.result if isinstance(event, Finished) else event
    yield Finished(tr("{n} questions were asked.", n=len(stages)), None)


def say_next(loaded: LoadedModel, inside: Inside, shown: int) -> tuple[tuple[str, float], ...]:
    """The most probable next tokens of a text that is read, each with its probability."""
    from core.model.sampling import most_probable

    tokenizer = loaded.needed_tokenizer()
    found = most_probable(inside.logits(slice(-1, None))[0], shown)
    return tuple((visible(tokenizer.token_bytes(i)), p) for i, p in found)


class CausePanel(QWidget):
    """A choice of what to switch off, a button, and what it does.

    Args:
        ask: Called with the way of switching off when the person wants to know.
    """

    def __init__(self, ask: Callable[[str], None]) -> None:
        super().__init__()
        self.result: Compared | None = None
        self._heading = label(tr("Does it matter?"), "heading")
        self.kind = QComboBox()
        self.kind.addItem(tr("set to zero"), "zero")
        self.kind.addItem(tr("set to its mean"), "mean")
        self.kind.setAccessibleName(tr("How a head is switched off"))
        self.kind.setToolTip(tr("Zero, or the mean over this text, stands for what the head says"))
        self.button = button(
            tr("Switch it off"),
            lambda: ask(self.kind.currentData()),
            tip=tr("Read the text again without this head, and without random heads of the same layer"),
        )
        self._table = Table(
            tr("The next token with and without the head"),
            [
                Column(tr("Next token"), mono=True, stretch=True),
                Column(tr("as it is"), number=True),
                Column(tr("without"), number=True),
            ],
        )
        self._says = label("", "small", wrap=True)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.kind, 1)
        row.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._heading)
        column.addLayout(row)
        column.addWidget(self._table)
        column.addWidget(self._says)
        self.show_result(None)

    def show_result(self, result: Compared | None) -> None:
        """Show a comparison, or what can be asked."""
        self.result = result
        self._table.setVisible(result is not None)
        if result is None:
            self._says.setText(tr("A pattern is not a cause: switch the head off and see what changes."))
            return
        self._table.set_rows([(name, f"{100 * a:.1f} %", f"{100 * b:.1f} %") for name, a, b in result.rows])
        self._table.fit_height()
        low, high = result.band
        verdict = (
            tr("More than any of the random heads: on this text it matters.")
            if result.outside
            else tr("As much as random heads: on this text it does not matter.")
        )
        self._says.setText(
            tr(
                "Log-probability of {token}: {change:+.2f} nats. {n} random heads of the layer: {low:+.2f} "
                "to {high:+.2f}. {verdict}",
                token=result.rows[0][0], change=result.change, n=result.sets, low=low, high=high,
                verdict=verdict,
            )
        )  # fmt: skip
