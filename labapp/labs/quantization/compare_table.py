"""The table of the page Compare, and the figures of one of its rows."""

from __future__ import annotations

from collections.abc import Sequence

from labapp.labs.quantization.comparing import Row
from labapp.labs.quantization.page import figures
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import card
from labapp.widgets.table import Column, Table
from labapp.words import tr

PHENOMENA = (("P2", "Capitals"), ("P7 step by step", "Sums in steps"))


class CompareTable(Table):
    """A row for each model; what is recorded says so by a dot, what was measured here by a square."""

    def __init__(self) -> None:
        super().__init__(
            tr("Models against the reference"),
            [
                Column(tr("Model"), stretch=True), Column(tr("Bits"), number=True),
                Column(tr("Perplexity"), number=True), Column(tr("KL (nats)"), number=True),
                Column(tr("Same (%)"), number=True),
                Column(tr("P2 (%)"), number=True), Column(tr("P7 (%)"), number=True),
            ],
        )  # fmt: skip
        self.setToolTip(
            tr(
                "● recorded, ■ measured here; ± is the standard error; Same: first choices that agree; "
                "P2: capitals; P7: sums step by step"
            )
        )
        self.horizontalHeader().setMinimumSectionSize(44)
        self.card = card(self, margin=8, grows=self)

    def show_rows(self, rows: Sequence[Row], hidden: bool, chosen: int | None) -> None:
        """List models; `hidden` keeps back what was measured."""
        self.set_rows([_texts(row, hidden) for row in rows], chosen)

    def numbers(self) -> Numbers:
        """The rows as they stand."""
        rows = self.rows
        return [column.title for column in rows.columns], [rows.row(n) for n in range(rows.rowCount())]


def _texts(row: Row, hidden: bool) -> tuple[str, ...]:
    told = row.figures
    name = f"{'●' if row.recorded else '■'} {row.name}"
    size = (name, f"{row.bits:.2f}")
    if hidden:
        return (*size, "", "", "", "", "")
    return (
        *size,
        tr("{value:.3f} ± {error:.3f}", value=told["perplexity"], error=told["perplexity ±"]),
        figures(told["divergence"]) if told["divergence"] else "0",
        f"{100 * told['same_top']:.1f}",
        *(_share(row, name) for name, _ in PHENOMENA),
    )


def _share(row: Row, name: str) -> str:
    if name not in row.phenomena:
        return "–"
    right, n = row.phenomena[name]
    return f"{100 * right / n:.1f}"


def detail_rows(row: Row) -> list[tuple[str, str]]:
    """All figures of a model, in words."""
    told = row.figures
    rows = [
        (tr("Bits a weight"), f"{row.bits:.4f}"),
        (tr("Weights (MB)"), f"{row.bytes / 1e6:,.2f}"),
        (tr("Perplexity"), f"{told['perplexity']:.4f} ± {told['perplexity ±']:.4f}"),
        (tr("Reference's"), f"{told['reference']:.4f}"),
        (tr("Mean KL (nats)"), figures(told["divergence"])),
        (tr("± its error"), figures(told["divergence ±"])),
        (tr("Median KL"), figures(told["median"])),
        (tr("99.9 % below"), figures(told["most_999"])),
        (tr("Largest KL"), figures(told["largest"])),
        (tr("RMS Δp (%)"), f"{100 * told['rms']:.3f} ± {100 * told['rms ±']:.3f}"),
        (tr("Same top (%)"), f"{100 * told['same_top']:.2f} ± {100 * told['same_top ±']:.2f}"),
        (tr("Places scored"), f"{int(told['tokens']):,}"),
    ]
    for name, title in PHENOMENA:
        if name in row.phenomena:
            right, n = row.phenomena[name]
            rows.append((tr(title), tr("{right} of {n}", right=right, n=n)))
    if told.get("speed"):
        rows.append((tr("Tokens/s here"), f"{told['speed']:,.0f}"))
    if row.memory:
        rows.append((tr("In memory (MB)"), f"{row.memory / 1e6:,.1f}"))
    return rows
