"""Faults: whatever nobody caught is written down and shown, and the app stays open."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import qDebug, qInstallMessageHandler, qWarning
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from core.problems import LabError
from labapp.faults import MOST_SHOWN, Faults


@pytest.fixture
def faults(qtbot: QtBot, tmp_path: Path, logged_errors: list[logging.LogRecord]) -> Iterator[Faults]:
    made = Faults(tmp_path / "logs")
    qtbot.addWidget(made.pane)
    made.install()
    yield made
    made.uninstall()
    logged_errors.clear()  # they were wanted


def raised(error: BaseException) -> tuple[Any, Any, Any]:
    """The error as `sys.exc_info` gives it."""

    def work() -> None:
        raise error

    try:
        work()
    except BaseException:
        return sys.exc_info()
    raise AssertionError


def said(faults: Faults) -> str:
    return faults.path.read_text(encoding="utf-8")


def test_an_uncaught_exception_is_logged_and_shown(qtbot: QtBot, faults: Faults) -> None:
    with qtbot.waitSignal(faults.added):
        sys.excepthook(*raised(ZeroDivisionError("in the picture")))
    assert "ZeroDivisionError: in the picture" in faults.pane.text
    assert "test_faults.py" in faults.pane.text, "with its traceback"
    assert "ZeroDivisionError: in the picture" in said(faults)
    assert not faults.pane.isHidden()
    assert str(faults.path) in faults.pane.text


def test_an_exception_of_a_thread_is_a_fault(qtbot: QtBot, faults: Faults) -> None:
    def work() -> None:
        raise OSError("no space left")

    thread = threading.Thread(target=work, name="saver")
    with qtbot.waitSignal(faults.added):
        thread.start()
        thread.join()
    assert "saver" in faults.pane.text
    assert "no space left" in said(faults)


def test_a_thread_that_exits_is_no_fault(qtbot: QtBot, faults: Faults) -> None:
    thread = threading.Thread(target=sys.exit)
    with qtbot.assertNotEmitted(faults.added, wait=20):
        thread.start()
        thread.join()


def test_an_exception_in_a_destructor_is_a_fault(qtbot: QtBot, faults: Faults) -> None:
    class Broken:
        def __del__(self) -> None:
            raise RuntimeError("while it went")

    with qtbot.waitSignal(faults.added):
        Broken()
    assert "while it went" in faults.pane.text


def test_an_error_that_is_logged_is_a_fault_and_a_warning_is_not(qtbot: QtBot, faults: Faults) -> None:
    with qtbot.assertNotEmitted(faults.added, wait=20):
        logging.getLogger("core.anything").warning("this is odd")
    assert "this is odd" in said(faults)
    with qtbot.waitSignal(faults.added):
        logging.getLogger("core.anything").error("this is wrong")
    assert faults.pane.text.startswith("this is wrong")


def test_what_qt_says_goes_to_the_log(qtbot: QtBot, faults: Faults) -> None:
    qWarning("QPainter::begin: not so")
    qDebug("nobody needs this")
    assert "WARNING qt: QPainter::begin: not so" in said(faults)
    assert "nobody needs this" not in said(faults)


def test_a_lab_error_is_for_the_person_and_no_fault(qtbot: QtBot, faults: Faults) -> None:
    error = LabError("Vocabulary size 12 is below 256.", "Choose 256 or more.")
    told: list[object] = []
    faults.mendable.connect(told.append)
    with qtbot.assertNotEmitted(faults.added, wait=20):
        sys.excepthook(*raised(error))
    assert told == [error]
    assert faults.pane.isHidden()


def test_a_report_from_a_worker_names_what_was_being_done(qtbot: QtBot, faults: Faults) -> None:
    thread = threading.Thread(target=faults.report, args=(RuntimeError("shape (3, 4)"), "Learning merges"))
    with qtbot.waitSignal(faults.added):
        thread.start()
        thread.join()
    assert "Learning merges failed." in faults.pane.text
    assert "shape (3, 4)" in faults.pane.text


def test_the_same_fault_again_is_counted(qtbot: QtBot, faults: Faults) -> None:
    for _ in range(37):
        faults.pane.add("the same")
    faults.pane.add("another")
    assert faults.pane.text.count("the same") == 1
    assert "(came 37 times)" in faults.pane.text


def test_the_pane_is_bounded_and_says_so(qtbot: QtBot, faults: Faults) -> None:
    for n in range(MOST_SHOWN + 5):
        faults.pane.add(f"fault {n}")
    assert "5 earlier faults are in the log only." in faults.pane.text
    assert f"fault {MOST_SHOWN + 4}" in faults.pane.text


def test_the_log_rotates(qtbot: QtBot, faults: Faults, count: Any) -> None:
    for _ in range(count(60, 400)):
        logging.getLogger("core").warning("x" * 100_000)
    sizes = [file.stat().st_size for file in faults.path.parent.iterdir()]
    assert len(sizes) > 1
    assert sum(sizes) <= 20_000_000


def test_everything_can_be_copied_by_keyboard_and_has_a_name(qtbot: QtBot, faults: Faults) -> None:
    faults.pane.add("<b>bold</b> " + "y" * 50)
    copy, close = faults.pane.findChildren(QPushButton)
    assert copy.text()
    assert copy.toolTip()
    copy.click()
    assert "<b>bold</b>" in QGuiApplication.clipboard().text()
    assert str(faults.path) in QGuiApplication.clipboard().text()
    (text,) = faults.pane.findChildren(QPlainTextEdit)
    assert text.accessibleName()
    assert "<b>bold</b>" in text.toPlainText()
    close.click()
    assert faults.pane.isHidden()
    QGuiApplication.clipboard().clear()


def test_a_folder_that_cannot_be_written_is_said_and_faults_are_still_shown(
    qtbot: QtBot, tmp_path: Path, logged_errors: list[logging.LogRecord]
) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    faults = Faults(tmp_path / "logs")
    qtbot.addWidget(faults.pane)
    faults.install()
    try:
        with qtbot.waitSignal(faults.added):
            sys.excepthook(*raised(ValueError("still shown")))
    finally:
        faults.uninstall()
    logged_errors.clear()
    assert "No log is written" in faults.pane.text
    assert "still shown" in faults.pane.text


def test_every_hook_is_given_back(qtbot: QtBot, tmp_path: Path) -> None:
    handler = qInstallMessageHandler(None)
    qInstallMessageHandler(handler)
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogger().handlers[:])
    faults = Faults(tmp_path)
    qtbot.addWidget(faults.pane)
    faults.install()
    faults.install()
    assert sys.excepthook != before[0]
    faults.uninstall()
    faults.uninstall()
    after = (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogger().handlers[:])
    assert after == before
    assert qInstallMessageHandler(handler) is handler


def test_labels_of_the_pane_are_plain(faults: Faults) -> None:
    from PySide6.QtCore import Qt

    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in faults.pane.findChildren(QLabel))
