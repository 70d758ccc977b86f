"""Cost: what a text costs at list prices, counted in each model's own tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import once
from core.tokenizer.compare import text_counts
from core.tokenizer.prices import Price, load_prices, price
from labapp.labs.tokenizer.choose import load_once
from labapp.pages import LabPage
from labapp.widgets.parts import button, card, controls, field, inset, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab

PRICES = "prices.toml"  # in the workspace: the user's own table, where there is one


class CostPage(LabPage):
    """The price of the Encode page's text as a prompt, one document and many."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self._prices: list[Price] = []
        self._tokens: dict[str, int] = {}
        self._own: dict[str, float] = {}
        self._build_controls()
        self._build_picture()
        self._build_details()

    def _build_controls(self) -> None:
        self.documents = QSpinBox()
        self.documents.setRange(1, 1_000_000_000)
        self.documents.setGroupSeparatorShown(True)
        self.documents.setValue(1_000_000)
        inset(self.documents)
        self.documents.valueChanged.connect(lambda _: self._show_prices())
        self.note = label("", "secondary", wrap=True)
        self.controls = controls(
            field(tr("Documents"), self.documents, tr("Texts like that of the Encode page")),
            self.note,
        )

    def _build_picture(self) -> None:
        self.table = Table(
            tr("Prices"),
            [
                Column(tr("Model"), stretch=True, bold=True),
                Column(tr("Tokens"), number=True),
                Column(tr("per million"), number=True),
                Column(tr("one document"), number=True),
                Column(tr("all documents"), number=True),
            ],
        )
        self.table.row_chosen.connect(self._row_chosen)
        self.price_title = label("", "heading", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(card(self.price_title, self.table, spacing=4), 1)

    def _build_details(self) -> None:
        self.price_name = label("", "heading", wrap=True)
        self.price_source = label("", "small", wrap=True)
        self.own_price = QDoubleSpinBox()
        self.own_price.setRange(0, 1_000_000)
        self.own_price.setDecimals(4)
        inset(self.own_price)
        self.own_price.valueChanged.connect(self._price_edited)
        self.reset_price = button(
            tr("Back to the list price"), self._price_reset, tip=tr("Forget your own price")
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        column.addWidget(self.price_name)
        column.addWidget(
            field(
                tr("Price per million tokens read"), self.own_price, tr("Edit it to count with another price")
            )
        )
        column.addWidget(self.reset_price)
        column.addWidget(self.price_source)
        column.addStretch(1)

    def shown(self) -> None:
        self.lab.attempt(self._load_prices)
        self.count_prices()

    # Prices.

    def _load_prices(self) -> None:
        own = self.context.workspace.root / PRICES
        table = load_prices(own if own.is_file() else None)
        self._prices = list(table.prices)
        self.note.setText(
            tr(
                "Prices of {date}. To change the table, put your own {file} into the workspace folder.",
                date=table.date,
                file=PRICES,
            )
        )

    def count_prices(self) -> None:
        """Count the tokens of the Encode page's text for every tokenizer in the price table."""
        names = sorted({entry.tokenizer for entry in self._prices})
        text = self.lab.encode.text()
        self.price_title.setText(
            tr("The text of the Encode page ({n:,} characters) as a prompt", n=len(text))
        )
        self.lab.ask(
            "prices",
            lambda: once(lambda: _count(text, names)),
            tr("Counting tokens"),
            self._counted,
        )

    def _counted(self, tokens: dict[str, int]) -> None:
        self._tokens = tokens
        self._show_prices()
        if self._prices and self.table.currentIndex().row() < 0:
            self._row_chosen(0)

    def _show_prices(self) -> None:
        rows = []
        for entry in self._prices:
            tokens = self._tokens.get(entry.tokenizer)
            per_million = self._own.get(entry.name, entry.input_per_million)
            if tokens is None:
                rows.append((entry.name, tr("not installed"), _money(per_million, entry.currency), "", ""))
                continue
            one = price(tokens, per_million)
            every = one * self.documents.value()
            rows.append(
                (
                    entry.name,
                    f"{tokens:,}",
                    _money(per_million, entry.currency),
                    _amount(one),
                    _amount(every),
                )
            )
        self.table.set_rows(rows, choose=self.table.currentIndex().row())

    def _row_chosen(self, row: int) -> None:
        if row >= len(self._prices):
            return
        entry = self._prices[row]
        self._chosen = entry
        self.price_name.setText(entry.name)
        self.price_source.setText(
            tr(
                "List price: {price} per million tokens read, {out} written. Found {date}: {source}",
                price=_money(entry.input_per_million, entry.currency),
                out=_money(entry.output_per_million, entry.currency),
                date=entry.as_of,
                source=entry.source,
            )
        )
        self.own_price.blockSignals(True)
        self.own_price.setValue(self._own.get(entry.name, entry.input_per_million))
        self.own_price.setSuffix(f" {entry.currency}")
        self.own_price.blockSignals(False)

    def _price_edited(self, value: float) -> None:
        self._own[self._chosen.name] = value
        self._show_prices()

    def _price_reset(self) -> None:
        if self._prices:
            self._own.pop(self._chosen.name, None)
            self._row_chosen(self._prices.index(self._chosen))
            self._show_prices()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Cost"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"documents": self.documents.value(), "own": self._own}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("documents"), int):
            self.documents.setValue(max(1, state["documents"]))
        own = state.get("own")
        if isinstance(own, dict):
            self._own = {
                k: float(v) for k, v in own.items() if isinstance(v, int | float) and 0 <= v <= 1_000_000
            }


def _count(text: str, names: list[str]) -> dict[str, int]:
    """Tokens of a text by each known tokenizer that is installed."""
    found: dict[str, int] = {}
    for name in names:
        try:
            tokenizer = load_once(name)
        except LabError:
            continue
        found[name] = text_counts(text, [tokenizer])[0].tokens
    return found


def _money(value: float, currency: str) -> str:
    return f"{_amount(value)} {currency}"


def _amount(value: float) -> str:
    """An amount of money with as many digits as it needs.

    >>> _amount(0.003), _amount(1234.5), _amount(0)
    ('0.003', '1,234.50', '0.00')
    >>> _amount(0.0000225), _amount(0.5)
    ('0.0000225', '0.50')
    """
    if value >= 1 or value == 0:
        return f"{value:,.2f}"
    places = max(2, 2 - math.floor(math.log10(value)))  # three digits that count
    digits = f"{value:.{places}f}".rstrip("0")
    return digits.ljust(len(digits.partition(".")[0]) + 3, "0")
