"""Doing something at the event loop's next turn."""

from __future__ import annotations

import gc
import weakref

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from labapp.idle import soon


class Page(QWidget):
    called = 0

    def fit(self) -> None:
        type(self).called += 1


def test_it_is_called_once_and_leaves_no_timer(qtbot: QtBot) -> None:
    page, before = Page(), Page.called
    qtbot.addWidget(page)
    soon(page, page.fit)
    assert Page.called == before
    qtbot.waitUntil(lambda: Page.called == before + 1 and not page.children())
    QApplication.processEvents()
    assert Page.called == before + 1


def test_an_owner_that_goes_first_is_neither_called_nor_kept(qapp: QApplication) -> None:
    page, before = Page(), Page.called
    watched = weakref.ref(page)
    soon(page, page.fit)
    soon(page, lambda page=page: page.fit())
    page.deleteLater()
    QCoreApplication.sendPostedEvents(page, QEvent.Type.DeferredDelete)
    soon(page, page.fit)
    del page
    gc.collect()
    QApplication.processEvents()
    assert Page.called == before
    assert watched() is None
