"""A lab of several pages: each has its own file, is made when it is first shown, and keeps its own state."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QMenu, QWidget

from labapp.lab import Lab, LabContext
from labapp.widgets.lab_frame import Columns, Page
from labapp.widgets.numbers import Numbers, as_csv
from labapp.widgets.parts import flat_button
from labapp.words import tr


class LabPage(QObject):
    """Base of the pages; a subclass fills `controls`, `picture` and `details` in its `__init__`."""

    def __init__(self, lab: PagedLab) -> None:
        super().__init__(lab)
        self.context: LabContext = lab.context
        self.controls: QWidget
        self.picture: QWidget
        self.details: QWidget

    def show_first(self) -> None:
        """What the page begins with when there is nothing to restore; the lab's scene is set up apart."""

    def shown(self) -> None:
        """The page has come to the front."""

    def take_focus(self) -> None:
        """Put the keyboard where a person would begin."""
        self.picture.setFocus()

    def plots_ready(self) -> None:
        """pyqtgraph is imported: plots can be made."""

    def artifact_changed(self) -> None:
        """The workspace's artifacts have changed."""

    def open_files(self, files: list[Path]) -> None:
        """Open files that were dropped on the page."""

    def pictures(self) -> dict[str, QWidget]:
        """Pictures to export, by title."""
        return {}

    def save_state(self) -> dict[str, Any]:
        """What is to be restored, as JSON values."""
        return {}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave; anything may be missing."""


class PicturePage(LabPage):
    """A page whose pictures are no plots: their numbers and a sentence go into the lab's menu."""

    def numbers(self) -> Numbers:
        """The numbers behind the last of the pictures; no rows where there are none."""
        return (), ()

    def summary(self) -> str:
        """The picture in a sentence; "" while there is nothing to say."""
        return ""


class PagedLab(Lab):
    """Base of labs with pages.

    Attributes:
        pages: Name (also of its module in the lab's folder), title and class of each page.
    """

    pages: ClassVar[tuple[tuple[str, str, str], ...]]

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._pages: dict[str, LabPage] = {}
        self._saved: dict[str, Any] = {}  # states of pages that were not shown yet
        self._plots_are_ready = False
        for name, title, _ in self.pages:
            self.frame.add_page(
                Page(name, tr(title), tr(self.strip_text(name)), partial(self._columns, name))
            )
        self.frame.page_changed.connect(lambda name: self.page(name).shown())

    def strip_text(self, page: str) -> str:
        """What the strip says about a page."""
        raise NotImplementedError

    def page(self, name: str) -> LabPage:
        """A page by its name; it is made when it is first asked for."""
        if name not in self._pages:
            cls = next(cls for known, _, cls in self.pages if known == name)
            made: LabPage = getattr(import_module(f"{type(self).__module__}.{name}"), cls)(self)
            self._pages[name] = made
            for column in (made.controls, made.picture, made.details):
                column.setParent(self)  # a page that another one asks for may never be shown
                column.hide()  # else it is shown along with a lab that was not visible yet
            if name in self._saved:
                self.attempt(made.restore_state, self._saved.pop(name))
            else:
                made.show_first()
            if self._plots_are_ready:
                made.plots_ready()
        return self._pages[name]

    def _columns(self, name: str) -> Columns:
        page = self.page(name)
        return page.controls, page.picture, page.details

    @property
    def current(self) -> LabPage:
        """The page in view."""
        return self.page(self.frame.page)

    def add_menu_button(self) -> None:
        """Offer the pictures of the page in view; for labs whose pictures have no menus of their own."""
        tip = tr("Copy or save this picture, or show its numbers as a table")
        self.menu_button = flat_button("dots-horizontal", tip, self._open_menu)
        self.frame.action_row.addWidget(self.menu_button)

    def picture_menu(self) -> QMenu:
        """What can be done with the pictures of the page in view."""
        from labapp.widgets.export import add_picture_actions, copy_text

        menu, page = QMenu(self), self.current
        columns, rows = page.numbers() if isinstance(page, PicturePage) else ((), ())
        pictures = page.pictures()
        for i, (title, picture) in enumerate(pictures.items()):
            if i:
                menu.addSeparator()
            last = i == len(pictures) - 1 and len(rows) > 0
            add_picture_actions(
                menu, picture, title,
                csv=partial(as_csv, columns, rows) if last else None,
                rows=(lambda: rows) if last else None,
                columns=columns,
            )  # fmt: skip
        summary = page.summary() if isinstance(page, PicturePage) else ""
        if summary:
            menu.addSeparator()
            menu.addAction(tr("Copy the summary")).triggered.connect(lambda _=False: copy_text(summary))
        return menu

    def _open_menu(self) -> None:
        menu = self.picture_menu()
        menu.exec(self.menu_button.mapToGlobal(QPoint(0, self.menu_button.height())))
        menu.deleteLater()

    def in_view(self, page: LabPage) -> bool:
        """Whether a page is the one in view."""
        return self._pages.get(self.frame.page) is page

    def plots_ready(self) -> None:
        """pyqtgraph is imported; to be called once."""
        self._plots_are_ready = True
        for page in self._pages.values():
            page.plots_ready()

    def take_focus(self) -> None:
        self.current.take_focus()

    def artifact_changed(self) -> None:
        for page in self._pages.values():
            page.artifact_changed()

    def pictures(self) -> dict[str, QWidget]:
        return self.current.pictures()

    def save_state(self) -> dict[str, Any]:
        pages = self._saved | {name: page.save_state() for name, page in self._pages.items()}
        return {"page": self.frame.page, "strip": self.frame.strip_shown(), "pages": pages}

    def restore_state(self, state: dict[str, Any]) -> None:
        pages = state.get("pages")
        self._saved = (
            {k: v for k, v in pages.items() if isinstance(v, dict)} if isinstance(pages, dict) else {}
        )
        for name in list(self._pages):
            self.attempt(self._pages[name].restore_state, self._saved.pop(name, {}))
        if isinstance(state.get("page"), str):
            self.frame.show_page(state["page"])
        if isinstance(state.get("strip"), bool):
            self.frame.show_strip(state["strip"])
