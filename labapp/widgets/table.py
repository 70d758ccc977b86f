"""Tables of plain values: numbers right-aligned, rows made when they are shown, copied as TSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont, QGuiApplication, QKeySequence, QMouseEvent, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Column:
    """A column: its header, whether it holds numbers, and whether it is set in bold or fixed width."""

    title: str
    number: bool = False
    bold: bool = False
    mono: bool = False
    stretch: bool = False


class Rows(QAbstractTableModel):
    """A table's rows, made one at a time by `row_at(i)`; a million rows cost nothing until they are seen."""

    def __init__(self, columns: Sequence[Column], parent: QWidget) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._count = 0
        self._row_at: Callable[[int], Sequence[str]] = lambda _: ()
        self.mono = QFont()

    def set_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these rows."""
        self.set_source(len(rows), rows.__getitem__)

    def set_source(self, count: int, row_at: Callable[[int], Sequence[str]]) -> None:
        """Show `count` rows, each asked for when it is drawn."""
        self.beginResetModel()
        self._count, self._row_at = count, row_at
        self.endResetModel()

    def row(self, i: int) -> Sequence[str]:
        """The texts of one row."""
        return self._row_at(i)

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else self._count

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        column = self.columns[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._row_at(index.row())[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.FontRole and (column.bold or column.mono):
            font = QFont(self.mono if column.mono else QGuiApplication.font())
            font.setBold(column.bold)
            return font
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section].title
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if self.columns[section].number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None


class Table(QTableView):
    """A quiet table: whole rows are selected, Ctrl+C copies them as tab-separated text."""

    row_chosen = Signal(int)
    row_hovered = Signal(int)  # -1 when the mouse leaves

    def __init__(self, name: str, columns: Sequence[Column], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = self._make_rows(columns)
        self.setModel(self.rows)
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(24)
        for i, column in enumerate(columns):
            fits = QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(i, QHeaderView.ResizeMode.Stretch if column.stretch else fits)
        header.setResizeContentsPrecision(40)  # rows looked at for the width: a million rows stay cheap
        self.selectionModel().currentRowChanged.connect(self._chosen)
        QShortcut(QKeySequence.StandardKey.Copy, self, self.copy, context=Qt.ShortcutContext.WidgetShortcut)
        self._set_heights()

    def _make_rows(self, columns: Sequence[Column]) -> Rows:
        return Rows(columns, self)

    def _set_heights(self) -> None:
        from labapp.theme import mono_font

        self.rows.mono = mono_font(self, 1 / 1.15)
        height = round(self.font().pixelSize() * 2.0)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(height)

    def set_rows(self, rows: Sequence[Sequence[str]], choose: int | None = None) -> None:
        """Show rows; `choose` selects one without telling anybody."""
        self.selectionModel().blockSignals(True)
        self.rows.set_rows(rows)
        if choose is not None and 0 <= choose < len(rows):
            self.selectRow(choose)
        self.selectionModel().blockSignals(False)

    def fit_height(self) -> None:
        """Make a short table exactly as high as its rows, so that what stands below follows it."""
        header = self.horizontalHeader().sizeHint().height()
        rows = self.rows.rowCount() * self.verticalHeader().defaultSectionSize()
        self.setFixedHeight(header + rows + 4)

    def copy(self) -> None:
        """Copy the selected rows, or all where none is selected, with their header."""
        chosen = sorted({index.row() for index in self.selectionModel().selectedRows()})
        lines = ["\t".join(c.title for c in self.rows.columns)]
        lines += ["\t".join(self.rows.row(i)) for i in chosen or range(self.rows.rowCount())]
        QGuiApplication.clipboard().setText("\n".join(lines))

    def _chosen(self, current: QModelIndex, before: QModelIndex) -> None:
        if current.isValid():
            self.row_chosen.emit(current.row())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self.row_hovered.emit(self.rowAt(int(event.position().y())))

    def leaveEvent(self, event: Any) -> None:
        super().leaveEvent(event)
        self.row_hovered.emit(-1)

    def changeEvent(self, event: Any) -> None:
        super().changeEvent(event)
        if event.type() == event.Type.FontChange:
            self._set_heights()
