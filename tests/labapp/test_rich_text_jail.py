"""The rich-text jail (reliability.md, test 22): no text of a user or a file opens anything, in any place.

120 texts go through every kind of place that shows one. A canary picture lies where they point; Python's audit
hook and the canary's time of last reading say whether it was opened. The rule for windows, to be used by every
lab's tests, is `rich_text.assert_nothing_rich`.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QDesktopServices, QImage, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QTableView, QTextBrowser, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

import labapp
from labapp.faults import FaultsPane
from labapp.inline_runner import InlineRunner
from labapp.runner import Slot
from labapp.widgets.job_strip import JobStrip
from labapp.widgets.messages import MessageBar
from labapp.widgets.parts import label
from labapp.widgets.prose import Prose, plain_tooltip
from tests.labapp.rich_text import assert_nothing_rich, payloads

WATCHED: list[str] = []  # names of files that Python opened; an audit hook cannot be taken out again
watching = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if watching and event in ("open", "os.startfile", "webbrowser.open", "subprocess.Popen"):
        WATCHED.append(f"{event} {arguments[0]}")


sys.addaudithook(_hook)


@pytest.fixture
def jail(canary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The canary; afterwards nothing may have read it, and nothing may have been opened elsewhere."""
    global watching
    monkeypatch.chdir(canary.parent)
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(str(url)) or False)
    reads = _reads(canary)
    WATCHED.clear()
    watching = True
    yield canary
    watching = False
    assert not opened, f"an address was opened: {opened}"
    assert not [name for name in WATCHED if canary.name in name or not name.startswith("open ")]
    if reads is not None:
        assert _reads(canary) == reads, "the canary was read"


def _reads(canary: Path) -> int | None:
    """Time of the last reading, set to long ago; None where this disk does not keep it."""
    if not hasattr(_reads, "kept"):
        os.utime(canary, (0, canary.stat().st_mtime))
        canary.read_bytes()
        _reads.kept = canary.stat().st_atime_ns != 0  # type: ignore[attr-defined]
        os.utime(canary, (0, canary.stat().st_mtime))
    return canary.stat().st_atime_ns if _reads.kept else None  # type: ignore[attr-defined]


def show(qtbot: QtBot, widget: QWidget) -> None:
    widget.resize(400, 300)
    widget.show()
    widget.grab()


def test_there_are_120_payloads(canary: Path) -> None:
    assert len(set(payloads(canary))) == 120


def test_the_canary_sings_when_qt_reads_html(canary: Path, qtbot: QtBot) -> None:
    """The test itself is tested: Qt's own reader of HTML does open and decode it."""
    before = _reads(canary)
    browser = QTextBrowser()
    qtbot.addWidget(browser)
    browser.setHtml(f"<img src='{canary.as_uri()}'>")
    show(qtbot, browser)
    if before is not None:
        assert _reads(canary) != before
    with pytest.raises(AssertionError, match="QTextBrowser"):
        assert_nothing_rich(browser)


def test_prose_opens_nothing(jail: Path, qtbot: QtBot) -> None:
    prose = Prose()
    qtbot.addWidget(prose)
    show(qtbot, prose)
    for text in payloads(jail):
        prose.show_markdown(text)
        prose.grab()
        assert_nothing_rich(prose)
        assert prose.document().size().width() > 0


def test_prose_answers_every_request_with_an_empty_picture(jail: Path, qtbot: QtBot) -> None:
    """Qt's way round `loadResource` is to load the picture itself when the answer is empty."""
    prose = Prose()
    qtbot.addWidget(prose)
    for address in (jail.as_uri(), str(jail), "http://127.0.0.1:9/a.png"):
        image = prose.loadResource(2, QUrl(address))
        assert isinstance(image, QImage)
        assert image.width() == 1
    prose.setHtml(f"<img src='{jail}'>")  # what no code of ours does, shown to be harmless all the same
    show(qtbot, prose)


def test_prose_takes_nothing_from_the_clipboard_or_a_drop(jail: Path, qtbot: QtBot) -> None:
    prose = Prose("before")
    qtbot.addWidget(prose)
    data = QMimeData()
    data.setHtml(f"<img src='{jail}'>")
    data.setUrls([QUrl.fromLocalFile(str(jail))])
    assert not prose.canInsertFromMimeData(data)
    prose.paste()
    assert prose.toPlainText() == "before"


def test_labels_bars_strips_and_tables_show_every_payload_as_it_is(jail: Path, qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    bar, pane, words = MessageBar(), FaultsPane(jail), label("")
    plain, table, model = QPlainTextEdit(), QTableView(), QStandardItemModel(1, 1)
    runner = InlineRunner(at_once=False)
    strip = JobStrip(runner)
    table.setModel(model)
    column = QVBoxLayout(window)
    for widget in (bar, pane, words, plain, table, strip):
        column.addWidget(widget)
    show(qtbot, window)
    for text in payloads(jail):
        short = text[:500]
        bar.show_note(short)
        pane.add(short)
        words.setText(short)
        words.setToolTip(plain_tooltip(short))
        plain.setPlainText(short)
        item = QStandardItem(short)
        item.setToolTip(plain_tooltip(short))
        model.setItem(0, 0, item)
        runner.start(
            Slot("a", "b"), lambda: iter(()), title=short,
            on_events=lambda events: None, on_end=lambda end: None,
        )  # fmt: skip
        strip.refresh()
        assert_nothing_rich(window)
        assert words.text() == short
    window.grab()
    bar.clear()
    runner.close()
    qtbot.waitUntil(lambda: not strip.rows)


@pytest.mark.parametrize("spoil", ["label", "tooltip", "cell", "browser", "document", "action"])
def test_the_guard_finds_what_it_is_for(qtbot: QtBot, spoil: str, canary: Path) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    bad = f"<b>x</b><img src='{canary.name}'>"
    match spoil:
        case "label":
            QLabel("a file's name", window)
        case "tooltip":
            window.setToolTip(bad)
        case "action":
            window.addAction(bad).setToolTip(bad)
        case "browser":
            QTextBrowser(window)
        case "cell":
            table, model = QTableView(window), QStandardItemModel(1, 1, window)
            table.setModel(model)
            item = QStandardItem("x")
            item.setToolTip(bad)
            model.setItem(0, 0, item)
        case "document":
            Prose(parent=window).document().setHtml("<a href='http://127.0.0.1:9/'>x</a>")
    with pytest.raises(AssertionError, match="got out of its jail"):
        assert_nothing_rich(window)


FORBIDDEN = {
    "setHtml",
    "setMarkdown",
    "insertHtml",
    "appendHtml",
    "openUrl",
    "QTextBrowser",
    "setOpenExternalLinks",
}
EXCUSED = {("window.py", "openUrl"): "File > Workspace folder: a path of ours, at a click"}


def test_no_code_of_ours_reads_html_or_opens_an_address() -> None:
    folder = Path(labapp.__file__).parent
    found = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
            where = file.relative_to(folder).as_posix()
            if name in FORBIDDEN and (where, name) not in EXCUSED:
                found.append(f"{where}:{node.lineno} {name}")
    assert not found, "\n".join(found)
