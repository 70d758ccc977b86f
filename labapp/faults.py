"""The one place where our own bugs arrive: a log that rotates, and a plain-text pane. The app stays open.

`Faults.install` catches what nobody caught, in the window's thread, in others, in destructors and in Qt, and
every record of `logging` at ERROR or above. A LabError is the person's to mend and no fault: it is logged as
a note and handed to `mendable`, so that the window can say it.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QMessageLogContext, QObject, Qt, QtMsgType, Signal, qInstallMessageHandler
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from core.problems import LabError
from labapp.words import tr

LOG_BYTES = 2_000_000  # bytes of one log file
LOG_FILES = 4  # older log files that are kept: 10 MB in all
MOST_SHOWN = 100  # faults in the pane; the log has more
MOST_CHARACTERS = 20_000  # characters of one fault in the pane; the log has all

log = logging.getLogger("labapp.faults")

_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class Faults(QObject):
    """Catches, writes down and shows faults. Lives on the window's thread; `report` may come from any.

    Args:
        folder: Where `llmlab.log` is written; made if it is not there.

    Signals:
        added: One fault, as it is shown.
        mendable: A LabError that nobody caught.
    """

    added = Signal(str)
    mendable = Signal(object)
    _came = Signal(str)  # from any thread

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.path = folder / "llmlab.log"
        self._handlers: list[logging.Handler] = []
        self._before: tuple[Any, ...] | None = None
        self._qt_before: Any = None
        self._came.connect(self._show, Qt.ConnectionType.QueuedConnection)
        self.pane = FaultsPane(self.path)
        self.added.connect(self.pane.add)

    def install(self) -> None:
        """Take over Python's and Qt's hooks and listen to the root logger."""
        if self._before is not None:
            return
        root = logging.getLogger()
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook, root.level)
        self._handlers = [_Forward(self._came.emit)]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = logging.handlers.RotatingFileHandler(
                self.path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True,
                errors="backslashreplace",
            )  # fmt: skip
            file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            self._handlers.append(file)
        except OSError as error:  # a full disk or a read-only stick: faults are still shown
            self.pane.say_no_log(str(error))
        for handler in self._handlers:
            root.addHandler(handler)
        root.setLevel(min(root.level or logging.INFO, logging.INFO))
        sys.excepthook = self._uncaught
        threading.excepthook = self._uncaught_in_thread
        sys.unraisablehook = self._unraisable
        self._qt_before = qInstallMessageHandler(_from_qt)

    def uninstall(self) -> None:
        """Give the hooks back and close the log."""
        if self._before is None:
            return
        sys.excepthook, threading.excepthook, sys.unraisablehook, level = self._before
        self._before = None
        qInstallMessageHandler(self._qt_before)
        root = logging.getLogger()
        root.setLevel(level)
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        self._handlers = []

    def report(self, error: BaseException, doing: str) -> None:
        """Write down and show one fault; `doing` is the title of what was being done. From any thread."""
        log.error("%s failed.", doing, exc_info=error)

    def _show(self, text: str) -> None:
        self.added.emit(text)

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, LabError):
            log.info("%s", error)
            self.mendable.emit(error)
        elif isinstance(error, KeyboardInterrupt | SystemExit):
            if QGuiApplication.instance() is not None:
                QGuiApplication.quit()
        else:
            log.critical("Something went wrong.", exc_info=(kind, error, trace))

    def _uncaught_in_thread(self, found: Any) -> None:
        if found.exc_type is not SystemExit:
            name = found.thread.name if found.thread is not None else "?"
            facts = (found.exc_type, found.exc_value or found.exc_type(), found.exc_traceback)
            log.critical("The thread %r ended with an exception.", name, exc_info=facts)

    def _unraisable(self, found: Any) -> None:
        facts = (found.exc_type, found.exc_value or found.exc_type(), found.exc_traceback)
        log.critical("%s: %r", found.err_msg or "Ignored exception in", found.object, exc_info=facts)


class FaultsPane(QWidget):
    """Faults as plain text, with the log's path and a copy button; hidden until there is one.

    Args:
        path: The log's path, which is shown.
    """

    def __init__(self, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("faults")
        self.setAccessibleName(tr("Faults"))
        self._shown: list[str] = []
        self._again = 0  # how often the last fault came again
        self._left_out = 0
        self._title = _plain_label(tr("Something went wrong. The app stays open; your work is kept."))
        self._where = _plain_label(tr("Log: {path}", path=path))
        self._where.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._text = QPlainTextEdit()
        self._text.setReadOnly(True)
        self._text.setTabChangesFocus(True)
        self._text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._text.setAccessibleName(tr("What went wrong, in technical terms"))
        self._text.setMaximumHeight(180)
        self._copy = QPushButton(tr("Copy"))
        self._copy.setToolTip(tr("Copy all faults and the log's path, to send them to the makers."))
        self._copy.clicked.connect(self.copy)
        self._close = QPushButton(tr("Close"))
        self._close.setToolTip(tr("Hide these faults; the log keeps them."))
        self._close.clicked.connect(self.clear)
        row = QHBoxLayout()
        row.addWidget(self._title, 1)
        row.addWidget(self._copy)
        row.addWidget(self._close)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self._text)
        column.addWidget(self._where)
        self.hide()

    @property
    def text(self) -> str:
        """All faults that are shown, and the log's path."""
        return "\n\n".join([*self._lines(), self._where.text()])

    def add(self, text: str) -> None:
        """Show one fault; the same one again is counted, not repeated."""
        text = text[:MOST_CHARACTERS]
        if self._shown and self._shown[-1] == text:
            self._again += 1
        else:
            self._settle_repeats()
            self._shown.append(text)
        while len(self._shown) > MOST_SHOWN:
            self._shown.pop(0)
            self._left_out += 1
        self._text.setPlainText("\n\n".join(self._lines()))
        bar = self._text.verticalScrollBar()
        bar.setValue(bar.maximum())
        self.show()

    def clear(self) -> None:
        """Forget what is shown, and hide."""
        self._shown, self._again, self._left_out = [], 0, 0
        self._text.clear()
        self.hide()

    def copy(self) -> None:
        """Put everything on the clipboard."""
        QGuiApplication.clipboard().setText(self.text)

    def say_no_log(self, why: str) -> None:
        """Say that nothing is written to the disk."""
        self._where.setText(tr("No log is written: {why}", why=why))

    def _settle_repeats(self) -> None:
        if self._again:
            self._shown[-1] += "\n" + tr("(came {n} times)", n=self._again + 1)
            self._again = 0

    def _lines(self) -> list[str]:
        lines = list(self._shown)
        if self._again:
            lines[-1] += "\n" + tr("(came {n} times)", n=self._again + 1)
        if self._left_out:
            lines.insert(0, tr("{n} earlier faults are in the log only.", n=self._left_out))
        return lines


class _Forward(logging.Handler):
    """Hands every record at ERROR or above to the pane, as text."""

    def __init__(self, show: Callable[[str], object]) -> None:
        super().__init__(logging.ERROR)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
            self._show(text)
        except RuntimeError:  # the pane is gone: the app is closing, and the log has it
            pass


def _from_qt(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
    """Qt's own messages: its warnings go to the log, what it calls critical is a fault."""
    logging.getLogger("qt").log(_QT_LEVELS.get(kind, logging.WARNING), "%s", message)


def _plain_label(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
