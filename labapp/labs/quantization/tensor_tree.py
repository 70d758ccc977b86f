"""The tensors of one or two files as a tree: a branch for each layer, with type, shape, bytes and share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from labapp.widgets.numbers import Numbers
from labapp.words import tr

if TYPE_CHECKING:
    from core.formats.weights import StoredTensor
    from core.quantization.inspect import Inspected

ALONE = ("Tensor", "Type", "Shape", "Bytes", "%")
BESIDE = ("Tensor", "Type", "Beside", "Bytes", "Beside", "%")
NAME = Qt.ItemDataRole.UserRole


class TensorTree(QTreeWidget):
    """`chosen` tells the name of the tensor that was clicked or walked to."""

    chosen = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tr("A click on a tensor shows its numbers"))
        self.setUniformRowHeights(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QTreeWidget.Shape.NoFrame)
        self._shown: tuple[object, ...] = ()
        self.currentItemChanged.connect(self._chosen)

    def show_files(self, first: Inspected, second: Inspected | None, hidden: bool, chosen: str) -> None:
        """Show files; `hidden` keeps back how large the tensors are."""
        shown = (id(first), id(second), hidden)
        if shown == self._shown:
            return
        self._shown = shown
        self.blockSignals(True)
        self.clear()
        heads = ALONE if second is None else BESIDE
        self.setColumnCount(len(heads))
        self.setHeaderLabels([tr(head) for head in heads])
        for place in range(len(heads)):
            stretch = (
                QHeaderView.ResizeMode.Stretch if place == 0 else QHeaderView.ResizeMode.ResizeToContents
            )
            self.header().setSectionResizeMode(place, stretch)
        self.header().setStretchLastSection(False)
        others = {tensor.name: tensor for tensor in second.tensors} if second is not None else None
        for layer, tensors in first.layers():
            self._add_layer(layer, tensors, others, first.bytes, hidden, chosen)
        self.blockSignals(False)

    def _add_layer(
        self, layer: str, tensors: Sequence[StoredTensor], others: dict[str, StoredTensor] | None,
        total: int, hidden: bool, chosen: str,
    ) -> None:  # fmt: skip
        size = sum(tensor.size for tensor in tensors)
        beside = sum(others[t.name].size for t in tensors if t.name in others) if others is not None else None
        title = tr("Layer {n}", n=layer) if layer else tr("Outside the layers")
        kinds = ", ".join(dict.fromkeys(tensor.kind for tensor in tensors))
        branch = self._item(self, title, kinds, "", size, total, hidden, "", beside, others is not None)
        branch.setExpanded(layer in ("", "0"))
        for tensor in tensors:
            other = others.get(tensor.name) if others is not None else None
            shape = " × ".join(f"{n:,}" for n in tensor.shape)
            leaf = self._item(
                branch, tensor.name, tensor.kind, shape, tensor.size, total, hidden,
                other.kind if other is not None else "–", other.size if other is not None else None,
                others is not None,
            )  # fmt: skip
            leaf.setData(0, NAME, tensor.name)
            if tensor.name == chosen:
                self.setCurrentItem(leaf)

    def _item(
        self, parent: QTreeWidget | QTreeWidgetItem, name: str, kind: str, shape: str, size: int,
        total: int, hidden: bool, other_kind: str, other_size: int | None, beside: bool,
    ) -> QTreeWidgetItem:  # fmt: skip
        bytes_, share = ("", "") if hidden else (f"{size:,}", f"{100 * size / max(1, total):.2f}")
        other = "" if hidden or other_size is None else f"{other_size:,}"
        cells = (
            [name, kind, other_kind, bytes_, other, share] if beside else [name, kind, shape, bytes_, share]
        )
        if hidden:
            cells[2] = ""
        made = QTreeWidgetItem(parent, cells)
        for place in range(2, len(cells)):
            made.setTextAlignment(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return made

    def _chosen(self, item: QTreeWidgetItem | None, before: QTreeWidgetItem | None) -> None:
        name = item.data(0, NAME) if item is not None else None
        if isinstance(name, str):
            self.chosen.emit(name)

    def numbers(self) -> Numbers:
        """Every tensor in a row."""
        rows = []
        for n in range(self.topLevelItemCount()):
            branch = self.topLevelItem(n)
            for i in range(branch.childCount() if branch is not None else 0):
                leaf = branch.child(i) if branch is not None else None
                if leaf is not None:
                    rows.append(tuple(leaf.text(place) for place in range(self.columnCount())))
        head = self.headerItem()
        return [head.text(place) for place in range(self.columnCount())], rows
