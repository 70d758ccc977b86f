"""Start-up, in order: application, fonts and theme, workspace, window, first lab; the rest after the paint.

What is slow is left out until the window stands: pyqtgraph comes on a worker (`labapp.runner.warm_up`), torch
when a lab needs it. Everything that goes wrong before the window stands is said on standard error.
"""

from __future__ import annotations

import importlib.resources
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSocketNotifier, Qt, QTimer
from PySide6.QtWidgets import QApplication

from core.artifacts import Workspace, default_root
from labapp.faults import Faults
from labapp.memory import share_memory
from labapp.runner import Runner
from labapp.theme import apply_theme, load_fonts, system_theme
from labapp.window import Window
from labapp.words import use_language

TASK = ".llmlab"  # ending of a task that people are given: it opens nothing else


def make_application(arguments: list[str] | None = None) -> QApplication:
    """The QApplication with the house's style, fonts and theme."""
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    share_memory()
    app = QApplication(arguments or ["llmlab"])
    app.setApplicationName("LLM Lab")
    app.setDesktopFileName("llmlab")
    app.setStyle("Fusion")
    load_fonts()
    apply_theme(app, system_theme())
    return app


def shipped_folder() -> Path:
    """Where the artifacts lie that come with the app."""
    return Path(str(importlib.resources.files("resources"))) / "lineage"


def open_workspace(root: Path | None) -> Workspace:
    """The workspace of `--workspace`, of a portable folder, or of the user."""
    shipped = shipped_folder()
    beside = Path(sys.executable) if getattr(sys, "frozen", False) else None
    return Workspace(root or default_root(beside), [shipped] if shipped.is_dir() else [])


def open_window(
    root: Path | None = None,
    lab: str | None = None,
    files: list[Path] | None = None,
    then: Callable[[Window], None] | None = None,
) -> int:
    """Open the window and run until it is closed.

    Args:
        root: Folder of the workspace; None for the usual one.
        lab: Lab to show; None for the last one.
        files: Files to open in it.
        then: Called when the event loop first runs (`bench start` types a character there).

    Returns:
        The exit status.

    Raises:
        LabError: The workspace cannot be used, or there is no such lab.
    """
    app = make_application()
    workspace = open_workspace(root)
    faults = Faults(workspace.root / "logs")
    faults.install()
    use_language("en")
    runner = Runner(on_fault=faults.report)
    window = Window(workspace, runner, faults_pane=faults.pane)
    window.show()
    if files and all(file.suffix.lower() == TASK for file in files):
        window.show_alone("preferences")
    else:
        window.show_lab(lab or window.first_lab())
    if files:
        QTimer.singleShot(0, lambda: window.open_files(files))
    stopper = _close_on_signals(app, window)
    if then is not None:
        QTimer.singleShot(0, lambda: then(window))
    try:
        return int(app.exec())
    finally:
        runner.close()
        faults.uninstall()
        del stopper


def _close_on_signals(app: QApplication, window: Window) -> object:
    """Ctrl+C and SIGTERM close the window as a person would; a pipe wakes Qt's loop."""
    if sys.platform == "win32":
        timer = QTimer(app)
        timer.start(200)  # Python sees a signal only between two of its own instructions
        timer.timeout.connect(lambda: None)
        signal.signal(signal.SIGINT, lambda *_: window.close())
        return timer
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    notifier = QSocketNotifier(read, QSocketNotifier.Type.Read, app)
    notifier.activated.connect(lambda: (os.read(read, 64), window.close()))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return notifier
