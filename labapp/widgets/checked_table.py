"""A table whose rows can be ticked in their first column; a click on the box or the space bar does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent

from labapp.widgets.table import Column, Index, Rows, Table


class CheckedRows(Rows):
    """Rows with a box each."""

    ticked = Signal(int, bool)
    checked: frozenset[int] = frozenset()

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == 0:
            return Qt.CheckState.Checked if index.row() in self.checked else Qt.CheckState.Unchecked
        return super().data(index, role)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole:
            return False
        self.ticked.emit(index.row(), Qt.CheckState(value) == Qt.CheckState.Checked)
        return True


class CheckedTable(Table):
    """`ticked` tells that a person asks for a row's tick to be set or taken; `set_checked` does it."""

    ticked = Signal(int, bool)

    def _make_rows(self, columns: Sequence[Column]) -> Rows:
        made = CheckedRows(columns, self)
        made.ticked.connect(self.ticked)
        return made

    @property
    def checked(self) -> frozenset[int]:
        """Which rows are ticked."""
        return self.rows.checked if isinstance(self.rows, CheckedRows) else frozenset()

    def set_checked(self, rows: frozenset[int]) -> None:
        """Tick these rows and no others; nobody is told."""
        if isinstance(self.rows, CheckedRows):
            self.rows.checked = rows
            if self.rows.rowCount():
                last = self.rows.index(self.rows.rowCount() - 1, 0)
                self.rows.dataChanged.emit(self.rows.index(0, 0), last, [Qt.ItemDataRole.CheckStateRole])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = QPersistentModelIndex(self.currentIndex())
        if event.key() == Qt.Key.Key_Space and index.isValid():
            self.ticked.emit(index.row(), index.row() not in self.checked)
            return
        super().keyPressEvent(event)
