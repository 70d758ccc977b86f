"""A window on a workspace of its own, closed again whatever happens; what most tests of labs begin with."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from core.artifacts import Workspace
from core.problems import LabError
from core.tokenizer.known import known_path
from labapp.labs import CATALOGUE, Entry
from labapp.labs.tokenizer import TokenizerLab
from labapp.runner import Runner
from labapp.window import Window

PATIENCE = 60_000  # ms; no promise of speed: what is waited for may share its processor with others


@contextmanager
def opened(
    qtbot: QtBot, root: Path, catalogue: Sequence[Entry] = CATALOGUE, lab: str | None = None
) -> Iterator[Window]:
    """Open a window on the workspace `root`, with one lab shown and its plots there."""
    runner = Runner()
    window = Window(Workspace(root), runner, catalogue)
    try:
        window.show()
        shown = window.show_lab(lab or window.first_lab())
        assert shown is not None
        qtbot.waitUntil(lambda: settled(window), timeout=PATIENCE)
        yield window
    finally:
        window.close()
        runner.close()
        window.deleteLater()
        runner.deleteLater()
        for _ in range(3):  # what is deleted may delete more
            gc.collect()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            QApplication.processEvents()


@contextmanager
def opened_on_smollm2(qtbot: QtBot, root: Path, lab: str) -> Iterator[Window]:
    """The same for a lab that shows SmolLM2; the test is skipped, and says why, where that is not installed."""
    try:
        known_path("smollm2")
    except LabError as error:
        pytest.skip(str(error))
    with opened(qtbot, root, lab=lab) as made:
        yield made


def wait(qtbot: QtBot, window: Window, until: Callable[[], object]) -> None:
    """Let the window work until nothing runs and `until()` holds."""
    qtbot.waitUntil(lambda: settled(window) and bool(until()), timeout=PATIENCE)


def activate(qtbot: QtBot, window: QWidget) -> None:
    """Have the keyboard: without a window manager it takes the screen a moment."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE)


def settled(window: Window) -> bool:
    """Whether nothing runs but what waits to be stepped, and the plots are there."""
    at_work = [job for job in window.runner.jobs if not job.paused]
    lab = window.lab
    return not at_work and (not isinstance(lab, TokenizerLab) or lab.learn.compression is not None)


def tokenizer_lab(window: Window) -> TokenizerLab:
    """The Tokenizer lab of a window that shows it."""
    lab = window.lab
    assert isinstance(lab, TokenizerLab)
    return lab
