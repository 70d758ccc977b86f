"""The leak gate finds what it is there for: each kind is left behind once, and named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPropertyAnimation, QThread, QTimer
from PySide6.QtWidgets import QLabel, QWidget

from tests.labapp.conftest import Leftovers


def test_a_widget_left_open_is_named(qapp: Any) -> None:
    before = Leftovers()
    widget = QWidget()
    widget.setObjectName("forgotten")
    assert any("forgotten" in line for line in before.since())
    del widget
    assert not before.since()


def test_a_running_timer_is_named(qapp: Any) -> None:
    before = Leftovers()
    timer = QTimer()
    timer.setObjectName("forgotten")
    timer.start(60_000)
    assert any("QTimer 'forgotten'" in line for line in before.since())
    timer.stop()
    assert not before.since()


def test_a_running_animation_is_named(qapp: Any) -> None:
    before = Leftovers()
    label = QLabel()
    animation = QPropertyAnimation(label, b"pos", label)
    animation.setDuration(60_000)
    animation.setEndValue(QPoint(9, 9))
    animation.start()
    assert any("QPropertyAnimation" in line for line in before.since())
    animation.stop()
    del animation, label
    assert not before.since()


def test_a_running_qthread_is_named(qapp: Any) -> None:
    before = Leftovers()
    thread = QThread()
    thread.start()
    assert any("QThread" in line for line in before.since())
    thread.quit()
    assert thread.wait(5000)
    assert not before.since()


def test_a_running_python_thread_is_named() -> None:
    before = Leftovers()
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(20,), name="forgotten")
    thread.start()
    assert any("forgotten" in line for line in before.since())
    go_on.set()
    thread.join()
    assert not before.since()


def test_a_child_process_is_named() -> None:
    before = Leftovers()
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    found = before.since()
    assert any(f"child process: {child.pid}" in line for line in found)
    child.communicate(b"\n")
    assert not before.since()


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are named on Linux")
def test_an_open_file_is_named(tmp_path: Path) -> None:
    before = Leftovers()
    fd = os.open(tmp_path / "forgotten.txt", os.O_CREAT)
    assert any("forgotten.txt" in line for line in before.since())
    os.close(fd)
    assert not before.since()
