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


def test_each_is_called_once_and_in_order(qtbot: QtBot) -> None:
    page, before, called = Page(), Page.called, []
    qtbot.addWidget(page)
    soon(page, page.fit)
    soon(page, lambda: called.append(1))
    soon(page, lambda: called.append(2))
    assert Page.called == before
    qtbot.waitUntil(lambda: Page.called == before + 1 and called == [1, 2])
    QApplication.processEvents()
    assert Page.called == before + 1
    assert called == [1, 2]


def test_an_owner_that_goes_first_is_neither_called_nor_kept(qapp: QApplication) -> None:
    page, before = Page(), Page.called
    watched = weakref.ref(page)
    soon(page, page.fit)
    soon(page, lambda page=page: page.fit())
    page.deleteLater()
    QCoreApplication.sendPostedEvents(page, QEvent.Type.DeferredDelete)
    soon(page, page.fit)
    del page
    QApplication.processEvents()
    gc.collect()
    assert Page.called == before
    assert watched() is None


def test_what_waits_may_be_all_that_holds_its_owner(qapp: QApplication) -> None:
    page, before = Page(), Page.called
    soon(page, lambda page=page: page.fit())
    page.deleteLater()
    del page
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        gc.collect()
    assert Page.called == before
