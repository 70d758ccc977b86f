"""The one frame of every lab: header, controls, picture, details, and the strip that says what one sees.

A lab has one or more pages; each brings its own controls, picture, details and strip. Details, then
controls, fold away by themselves in a narrow window and come back with the buttons in the header.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from labapp.icons import icon
from labapp.theme import CONTROLS_WIDTH, DETAILS_WIDTH, FOLD_CONTROLS_BELOW, FOLD_DETAILS_BELOW, RAIL_WIDTH
from labapp.widgets.messages import MessageBar
from labapp.widgets.parts import WholeLabel, flat_button, label
from labapp.words import tr

Columns = tuple[QWidget, QWidget, QWidget]
"""The controls, the picture and the details of a page."""


@dataclass(frozen=True)
class Page:
    """One page of a lab.

    Attributes:
        name: How the lab names it.
        title: Its tab's text.
        strip: What the strip says about it.
        make: Makes its columns, when it is first shown.
    """

    name: str
    title: str
    strip: str
    make: Callable[[], Columns]


class LabFrame(QWidget):
    """Header, body and strip around the pages of a lab."""

    page_changed = Signal(str)

    def __init__(self, title: str, promise: str) -> None:
        super().__init__()
        self.pages: list[Page] = []
        self._made: dict[str, Columns] = {}
        self.messages = MessageBar()
        self._wanted: dict[str, bool | None] = {"controls": None, "details": None}  # None: as the width says
        self._build_header(title, promise)
        self._build_body()
        self._build_strip()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._header)
        layout.addWidget(self._body, 1)
        layout.addWidget(self._strip)

    def _build_header(self, title: str, promise: str) -> None:
        self._header = QWidget()
        row = QHBoxLayout(self._header)
        row.setContentsMargins(18, 8, 18, 4)
        row.setSpacing(12)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(label(title, "title"))
        names.addWidget(WholeLabel(promise, "small"))
        row.addLayout(names, 1)
        self._tabs = QTabBar()
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        self._tabs.setUsesScrollButtons(False)
        self._tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self._tabs.setAccessibleName(tr("Pages of this lab"))
        self._tabs.setToolTip(tr("Pages of this lab (Ctrl+Page Up and Ctrl+Page Down)"))
        self._tabs.currentChanged.connect(self._show_page)
        self._tabs.hide()
        row.addWidget(self._tabs)
        self.action_row = QHBoxLayout()
        self.action_row.setSpacing(8)
        row.addLayout(self.action_row)
        self._fold_controls = flat_button("tune-variant", tr("Show or hide the controls"))
        self._fold_details = flat_button("dock-right", tr("Show or hide the details"))
        for name, button in (("controls", self._fold_controls), ("details", self._fold_details)):
            button.setCheckable(True)
            button.clicked.connect(lambda checked, part=name: self._want(part, checked))
            row.addWidget(button)

    def _build_body(self) -> None:
        self._body = QWidget()
        row = QHBoxLayout(self._body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._controls = QStackedWidget()
        self._controls.setObjectName("controls")
        self._controls.setFixedWidth(CONTROLS_WIDTH)
        self._pictures = QStackedWidget()
        self._details = QStackedWidget()
        self._details.setObjectName("details")
        self._details.setFixedWidth(DETAILS_WIDTH)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(16, 4, 16, 10)
        column.setSpacing(8)
        column.addWidget(self.messages)
        column.addWidget(self._pictures, 1)
        row.addWidget(self._controls)
        row.addWidget(middle, 1)
        row.addWidget(self._details)

    def _build_strip(self) -> None:
        self._strip = QWidget()
        self._strip.setObjectName("strip")
        row = QHBoxLayout(self._strip)
        row.setContentsMargins(18, 8, 12, 8)
        row.setSpacing(14)
        row.addWidget(label(tr("What you see"), "heading"), 0, Qt.AlignmentFlag.AlignTop)
        self._strip_text = QLabel()
        self._strip_text.setTextFormat(Qt.TextFormat.PlainText)
        self._strip_text.setWordWrap(True)
        self._strip_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(self._strip_text, 1)
        self._fold_strip = flat_button("chevron-down", tr("Fold or unfold the explanation"))
        self._fold_strip.clicked.connect(lambda: self.show_strip(self._strip_text.isHidden()))
        row.addWidget(self._fold_strip, 0, Qt.AlignmentFlag.AlignTop)

    def add_page(self, page: Page) -> None:
        """Add a page; the first is shown at once, and the tabs appear with the second one."""
        self.pages.append(page)
        self._tabs.addTab(page.title)
        self._tabs.setVisible(len(self.pages) > 1)
        if len(self.pages) == 1:
            self._show_page(0)

    @property
    def page(self) -> str:
        """The name of the page in view."""
        return self.pages[self._tabs.currentIndex()].name

    def show_page(self, name: str) -> None:
        """Bring a page to the front, by name; an unknown name changes nothing."""
        for i, page in enumerate(self.pages):
            if page.name == name:
                self._tabs.setCurrentIndex(i)

    def turn_page(self, by: int) -> None:
        """Go some pages on or back, round the end; not where one page stands alone."""
        if not self._tabs.isHidden():
            self._tabs.setCurrentIndex((self._tabs.currentIndex() + by) % len(self.pages))

    def show_only(self, name: str) -> None:
        """Show one page, and no way to the others."""
        self.show_page(name)
        self._tabs.hide()

    def set_strip(self, text: str) -> None:
        """Say something else about the page in view."""
        self._strip_text.setText(text)

    def show_strip(self, shown: bool) -> None:
        """Unfold or fold the explanation; folded it keeps its heading."""
        self._strip_text.setVisible(shown)
        self._fold_strip.setIcon(icon("chevron-down" if shown else "chevron-up"))

    def strip_shown(self) -> bool:
        """Whether the explanation is unfolded."""
        return not self._strip_text.isHidden()

    def _show_page(self, index: int) -> None:
        if not 0 <= index < len(self.pages):
            return
        page = self.pages[index]
        stacks = (self._controls, self._pictures, self._details)
        if page.name not in self._made:
            self._made[page.name] = page.make()
            for stack, column in zip(stacks, self._made[page.name], strict=True):
                stack.addWidget(column)
        for stack, column in zip(stacks, self._made[page.name], strict=True):
            stack.setCurrentWidget(column)
        self.set_strip(page.strip)
        self.page_changed.emit(page.name)

    def _want(self, part: str, shown: bool) -> None:
        self._wanted[part] = shown
        self._fold()

    def _fold(self) -> None:
        width = self.width() + RAIL_WIDTH
        shown = {
            "controls": self._choice("controls", width >= FOLD_CONTROLS_BELOW),
            "details": self._choice("details", width >= FOLD_DETAILS_BELOW),
        }
        self._controls.setVisible(shown["controls"])
        self._details.setVisible(shown["details"])
        self._fold_controls.setChecked(shown["controls"])
        self._fold_details.setChecked(shown["details"])

    def _choice(self, part: str, fits: bool) -> bool:
        wanted = self._wanted[part]
        return fits if wanted is None else wanted

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._wanted = {"controls": None, "details": None}
        self._fold()
