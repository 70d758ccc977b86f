"""The rail: the labs by stage of the pipeline, each with icon, name and shortcut."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from labapp.icons import icon
from labapp.labs import Entry
from labapp.theme import RAIL_NARROW, RAIL_WIDTH
from labapp.widgets.parts import label
from labapp.words import tr


class Rail(QWidget):
    """Vertical tabs; narrow it shows icons only."""

    chosen = Signal(str)  # name of a lab

    def __init__(self, catalogue: Sequence[Entry], shortcuts: dict[str, str]) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(tr("Labs"))
        self._buttons: dict[str, QToolButton] = {}
        self._titles: dict[str, str] = {}
        self._sections: list[QWidget] = []
        group = QButtonGroup(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 0, 8)
        column.setSpacing(2)
        section = ""
        for entry in catalogue:
            if entry.section != section:
                section = entry.section
                head = label(tr(section), "section")
                head.setContentsMargins(14, 8, 0, 4)
                column.addWidget(head)
                self._sections.append(head)
            made = QToolButton()
            made.setObjectName("lab")
            made.setCheckable(True)
            made.setIcon(icon(entry.icon))
            made.setIconSize(QSize(17, 17))
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            key = shortcuts.get(entry.name, "")
            made.setToolTip(tr("{title} ({key})", title=tr(entry.title), key=key) if key else tr(entry.title))
            made.setAccessibleName(tr(entry.title))
            made.clicked.connect(lambda _=False, name=entry.name: self.chosen.emit(name))
            group.addButton(made)
            column.addWidget(made)
            self._buttons[entry.name] = made
            self._titles[entry.name] = tr(entry.title)
        column.addStretch(1)
        self.set_narrow(False)

    def set_narrow(self, narrow: bool) -> None:
        """Show icons only, or icons and names."""
        self.setFixedWidth(RAIL_NARROW if narrow else RAIL_WIDTH)
        style = (
            Qt.ToolButtonStyle.ToolButtonIconOnly if narrow else Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        )
        for name, made in self._buttons.items():
            made.setToolButtonStyle(style)
            made.setText("" if narrow else f"  {self._titles[name]}")
        for head in self._sections:
            head.setVisible(not narrow)

    def show_chosen(self, name: str) -> None:
        """Mark the lab in view."""
        if name in self._buttons:
            self._buttons[name].setChecked(True)
