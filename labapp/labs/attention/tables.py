"""What the pages of this lab share: a table that is as high as its rows."""

from __future__ import annotations

from labapp.widgets.table import Table


def fit_height(table: Table) -> None:
    """Make a short table exactly as high as its rows, so that what stands below follows it."""
    rows = table.rows.rowCount()
    header = table.horizontalHeader().sizeHint().height()
    table.setFixedHeight(header + rows * table.verticalHeader().defaultSectionSize() + 4)
