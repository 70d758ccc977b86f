"""The leak gate: after every test of the window nothing may be left running, open or said.

Counted by the test that left it, not by the innocent one that crashes later: threads of Qt and Python, jobs of
the thread pool, timers, animations, top-level widgets, child processes, open files, temporary files; Qt's
warnings and records logged as errors. (Unraisable exceptions and those of threads are errors by pytest's own
warnings, exceptions in slots by pytest-qt.)
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import shiboken6
from PySide6.QtCore import (
    QAbstractAnimation,
    QCoreApplication,
    QEvent,
    QObject,
    QThread,
    QThreadPool,
    QTimer,
    QtMsgType,
)
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QWidget

FAILED: pytest.StashKey[bool] = pytest.StashKey()
MANY_OBJECTS = 50_000  # a test's own objects are far fewer
HARMLESS = ("This plugin does not support propagateSizeHints()",)  # the screen that only pretends to be one
GRAVE = (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


class Leftovers:
    """What is running and open now, to be compared with what is afterwards."""

    def __init__(self) -> None:
        self.widgets = {id(widget) for widget in _top_level()}
        self.busy = {id(found) for found in _busy_objects()}
        self.threads = set(threading.enumerate())
        self.children = {child.pid for child in psutil.Process().children()}
        self.files = _open_files()

    def since(self) -> list[str]:
        """A sentence for each thing that was not there before."""
        _settle()
        found = [f"widget: {_name(widget)}" for widget in _top_level() if id(widget) not in self.widgets]
        found += [f"running: {_name(thing)}" for thing in _busy_objects() if id(thing) not in self.busy]
        if not QThreadPool.globalInstance().waitForDone(200):
            found.append("a job in the thread pool")
        found += [f"thread: {thread.name}" for thread in threading.enumerate() if thread not in self.threads]
        found += [
            f"child process: {child.pid} {child.name()}"
            for child in psutil.Process().children()
            if child.pid not in self.children
        ]
        files = _open_files()
        found += [
            f"open file: {files[fd]}" for fd in files if fd not in self.files or files[fd] != self.files[fd]
        ]
        return found


@pytest.fixture(scope="session", autouse=True)
def _what_is_opened_once(qapp: QApplication) -> None:
    """Let Qt open what it opens once and keeps: fonts, input method, a signal across threads."""
    widget = QWidget()
    text = QPlainTextEdit("abc", widget)
    widget.show()
    text.setFocus()
    QApplication.processEvents()
    widget.grab()
    thread = threading.Thread(target=lambda: QCoreApplication.postEvent(qapp, QEvent(QEvent.Type.None_)))
    thread.start()
    thread.join()
    widget.close()
    del text, widget
    _settle()
    gc.freeze()  # what is there for good need not be looked through after every test


@pytest.fixture
def logged_errors() -> Iterator[list[logging.LogRecord]]:
    """Records at ERROR and above; the gate wants it empty, a test that expects one takes it out."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keep(logging.ERROR)
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def leak_gate(
    request: pytest.FixtureRequest,
    qapp: QApplication,
    qtlog: Any,
    logged_errors: list[logging.LogRecord],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Fail the test that leaves something behind (reliability.md, test 16)."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    _settle()
    if len(gc.get_objects()) > MANY_OBJECTS:  # a large library was imported meanwhile
        gc.unfreeze()  # what has died since the last time goes now, or would stay for good
        gc.collect()
        gc.freeze()
    before = Leftovers()
    yield
    if request.node.stash.get(FAILED, False):
        return  # what a failed test leaves is no news
    left = before.since()
    left += [f"temporary file: {path.name}" for path in folder.iterdir()]
    left += [
        f"Qt said: {record.message}"
        for record in qtlog.records
        if record.type in GRAVE and record.message not in HARMLESS
    ]
    left += [f"logged: {record.getMessage()}" for record in logged_errors]
    if left:
        pytest.fail("This test left behind:\n  " + "\n  ".join(left), pytrace=False)


def _settle() -> None:
    """Let what is about to go, go."""
    for _ in range(2):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        gc.collect()


def _top_level() -> list[QWidget]:
    return [widget for widget in QApplication.topLevelWidgets() if shiboken6.isValid(widget)]


def _busy_objects() -> list[QObject]:
    """Threads, timers and animations that run, as far as Python knows of them or an owner has them."""
    kinds = (QThread, QTimer, QAbstractAnimation)
    known: dict[int, QObject] = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), kinds) and shiboken6.isValid(thing):
            known[id(thing)] = thing
    for root in (QCoreApplication.instance(), *_top_level()):
        for thing in root.findChildren(QObject):
            if isinstance(thing, kinds):
                known[id(thing)] = thing
    window = QThread.currentThread()
    return [thing for thing in known.values() if _is_busy(thing) and thing != window]


def _is_busy(thing: QObject) -> bool:
    if isinstance(thing, QThread):
        return thing.isRunning() and thing.loopLevel() >= 0
    if isinstance(thing, QTimer):
        return thing.isActive()
    return isinstance(thing, QAbstractAnimation) and thing.state() == QAbstractAnimation.State.Running


def _open_files() -> dict[int, str]:
    """Open file descriptors and what they are; on Windows the files by number.

    Without eventfds: Qt's pool of painting threads makes and drops its own as it likes; threads are counted.
    """
    if sys.platform == "linux":
        found = {}
        for fd in os.listdir("/proc/self/fd"):
            try:
                found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:  # the one that listed the folder
                continue
        ignored = ("anon_inode:[eventfd]", "/usr/share/icons/")  # Qt keeps the desktop's icon index open
        return {fd: what for fd, what in found.items() if not what.startswith(ignored)}
    return {number: file.path for number, file in enumerate(psutil.Process().open_files())}


def _name(thing: QObject) -> str:
    parent = thing.parent()
    owner = f" of {type(parent).__name__}" if parent is not None else ""
    return f"{type(thing).__name__} {thing.objectName()!r}{owner}"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A picture that must never be read."""
    from PySide6.QtGui import QImage

    path = tmp_path / "canary.png"
    image = QImage(2, 2, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF)
    assert image.save(str(path))
    return path
