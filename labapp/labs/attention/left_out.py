"""The whole model without a step of the formula: what it says next, as it is and without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.stages import Finished
from labapp.widgets.parts import label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel

SHOWN = 3  # tokens of either side


@dataclass(frozen=True)
class Said:
    """The next token.

    Attributes:
        rows: A token, its probability as the model is, and without the steps.
        finite: Whether numbers stayed within bounds; without that, nothing is known of the second.
    """

    rows: tuple[tuple[str, float, float], ...]
    finite: bool


def say_without(
    loaded: LoadedModel, ids: tuple[int, ...], scaling: bool, mask: bool, softmax: bool
) -> Iterator[Any]:
    """The stage: `core.interpret.walk.leave_out`, made ready for the table."""
    from core.interpret.walk import leave_out

    return _made_ready(loaded, leave_out(loaded.model, ids, scaling, mask, softmax))


def _made_ready(loaded: LoadedModel, stage: Iterator[Any]) -> Iterator[Any]:
    tokenizer = loaded.needed_tokenizer()
    for event in stage:
        if not isinstance(event, Finished):
            yield event
            continue
        before, after = event.result.before, event.result.after
        best = before.topk(SHOWN).indices.tolist()
        if after is not None:
            best += [i for i in after.topk(SHOWN).indices.tolist() if i not in best]
        rows = tuple(
            (
                visible(tokenizer.token_bytes(i)),
                float(before[i].exp()),
                float("nan") if after is None else float(after[i].exp()),
            )
            for i in best
        )
        yield Finished(event.reason, Said(rows, after is not None))


class LeftOutPanel(QWidget):
    """A table of the next token, or what can be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.result: Said | None = None
        self.shown_for: Any = None  # what the result belongs to
        self._table = Table(
            tr("The next token with all steps and without some"),
            [
                Column(tr("Next token"), mono=True, stretch=True),
                Column(tr("as it is"), number=True),
                Column(tr("left out"), number=True),
            ],
        )
        self._says = label("", "small", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(6)
        column.addWidget(label(tr("And the whole model?"), "heading"))
        column.addWidget(self._table)
        column.addWidget(self._says)
        self.show_result(None)

    def show_result(self, result: Said | None, of: Any = None) -> None:
        """Show what the model says; `of` is remembered, so that it need not be asked twice."""
        self.result, self.shown_for = result, of
        self._table.setVisible(result is not None)
        if result is None:
            self._says.setText(tr("Leave a step out, and see what the model says next."))
            return
        self._table.set_rows(
            [
                (name, f"{100 * a:.1f} %", f"{100 * b:.1f} %" if result.finite else "?")
                for name, a, b in result.rows
            ]
        )
        self._table.fit_height()
        self._says.setText(
            tr("The steps are left out in every head of every layer; it was trained with them.")
            if result.finite
            else tr("Without the steps a number grew beyond all bounds: nothing can be said.")
        )
