"""What tests of the Preferences lab begin with: a task, a window that shows it, keys pressed at its board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.artifacts import Workspace
from core.preferences.task import Item, Maker, Task, TaskSettings, make_item, make_task
from labapp.labs.preferences import PreferencesLab
from labapp.labs.preferences.rank import RankPage
from labapp.labs.preferences.tasks import add_task
from labapp.window import Window
from tests.labapp.opened import opened, wait


def an_item(name: str, texts: Sequence[str], **more: Any) -> Item:
    return make_item(name, [(text, Maker(f"model {n}")) for n, text in enumerate(texts)], **more)


def a_task(prompts: int = 3, outputs: int = 4, settings: TaskSettings | None = None) -> Task:
    """Prompts "p0", "p1", …; the outputs of each say which they are: "p0 o2"."""
    items = [an_item(f"p{i}", [f"p{i} o{n}" for n in range(outputs)]) for i in range(prompts)]
    return make_task("Test task", items, "Be *fair*.", settings)


@contextmanager
def ranking(qtbot: QtBot, root: Path, task: Task | None = None, name: str = "Ada") -> Iterator[RankPage]:
    """The page Rank on a task, with one person at work where a name is given."""
    key = add_task(Workspace(root), task, task.id) if task is not None else ""
    with opened(qtbot, root, lab="preferences") as window:
        page = rank_page(window)
        wait(qtbot, window, lambda: page.desk.opened is not None)
        if key:
            page.open(key)
            wait(qtbot, window, lambda: page.desk.opened.key == key)
        page.prediction.close_question()
        if name:
            page.consent.name.setText(name)
            page.consent.go.click()
        yield page


def rank_page(window: Window) -> RankPage:
    lab = window.lab
    assert isinstance(lab, PreferencesLab)
    return lab.rank


def press(page: RankPage, *keys: Any, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press keys at the board: digits, characters or Qt's keys."""
    for key in keys:
        if isinstance(key, int) and not isinstance(key, Qt.Key):
            key = Qt.Key(Qt.Key.Key_0.value + key)
        QTest.keyClick(page.work.board, key, modifier)


def press_place(page: RankPage, scan_code: int, text: str, key: int) -> None:
    """Press the key at a place of a keyboard on Linux, whatever it types there."""
    none = Qt.KeyboardModifier.NoModifier
    event = QKeyEvent(QKeyEvent.Type.KeyPress, key, none, scan_code, 0, 0, text)
    QApplication.sendEvent(page.work.board, event)


def texts_of(page: RankPage, tiers: Sequence[Sequence[str]]) -> list[list[str]]:
    """A ranking by what the outputs say."""
    assert page.desk.opened is not None
    items = list(page.desk.opened.store.items())
    texts = {output.id: output.text for item in items for output in item.outputs}
    return [sorted(texts[id] for id in tier) for tier in tiers]
