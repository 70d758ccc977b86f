"""The rich-text jail's guards: what may not be anywhere in a window, and texts that try to get in.

`assert_nothing_rich(window)` walks all that can show a text; `PAYLOADS` are 120 texts to put into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from PySide6 import QtGui
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, Qt
from PySide6.QtGui import QAction, QTextBlock, QTextDocument
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGraphicsTextItem,
    QGraphicsView,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QTextBrowser,
    QTextEdit,
    QWidget,
)

from labapp.widgets.prose import Prose

CELLS = 2_000  # cells of one model that are looked at
TIP = re.compile(
    r"<(?!/?qt>|br>)"
)  # any sign of HTML but those that `plain_tooltip` puts around escaped text


def assert_nothing_rich(window: QWidget) -> None:
    """Fail, and name every place, where a text could be taken for HTML or a picture or a link was let in.

    Raises:
        AssertionError: There is one.
    """
    found = list(_rich(window))
    assert not found, "Rich text got out of its jail:\n  " + "\n  ".join(found)


def _rich(window: QWidget) -> Iterator[str]:
    for widget in [window, *window.findChildren(QWidget)]:
        where = _where(widget)
        if isinstance(widget, QLabel) and widget.textFormat() != Qt.TextFormat.PlainText:
            if widget.text() or not _of_qt(widget):
                yield f"{where}: a label whose text {widget.text()[:60]!r} is {widget.textFormat().name}"
        elif isinstance(widget, QMessageBox) and widget.textFormat() != Qt.TextFormat.PlainText:
            yield f"{where}: a message box whose text is {widget.textFormat().name}"
        elif isinstance(widget, QTextBrowser):
            yield f"{where}: a QTextBrowser opens links and files"
        elif isinstance(widget, QTextEdit) and not isinstance(widget, Prose) and widget.acceptRichText():
            yield f"{where}: takes rich text from the clipboard"
        if isinstance(widget, QTextEdit | QPlainTextEdit):
            yield from _in_document(widget.document(), where)
        if isinstance(widget, QGraphicsView) and widget.scene() is not None:
            for item in widget.scene().items():
                if isinstance(item, QGraphicsTextItem):
                    yield from _in_document(item.document(), f"{where} > {type(item).__name__}")
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            yield from _in_model(widget.model(), where)
        for kind, text in (
            ("tooltip", widget.toolTip()),
            ("what's this", widget.whatsThis()),
            ("status tip", widget.statusTip()),
        ):
            yield from _tip(f"{where}: {kind}", text)
    for action in window.findChildren(QAction):
        yield from _tip(f"{_where(action)}: tooltip", action.toolTip())


def _tip(where: str, text: str) -> Iterator[str]:
    if QtGui.Qt.mightBeRichText(text) and TIP.search(text):
        yield f"{where} {text[:60]!r} would be taken for HTML"


def _in_document(document: QTextDocument, where: str) -> Iterator[str]:
    """Pictures, links and frames inside a document."""
    if document.rootFrame().childFrames():
        yield f"{where}: a frame or table inside a document"
    block: QTextBlock = document.begin()
    while block.isValid():
        for form in block.textFormats():
            if form.format.isImageFormat() or form.format.isAnchor():
                yield f"{where}: a picture or link in {block.text()[:60]!r}"
        block = block.next()


def _in_model(model: QAbstractItemModel, where: str) -> Iterator[str]:
    columns = max(1, model.columnCount())
    for row in range(min(model.rowCount(), CELLS // columns)):
        for column in range(columns):
            index = model.index(row, column, QModelIndex())
            tip = index.data(Qt.ItemDataRole.ToolTipRole)
            yield from _tip(f"{where}: tooltip of cell {row}, {column}", str(tip or ""))


def _of_qt(label: QLabel) -> bool:
    return label.objectName().startswith("qt_")


def _where(thing: QObject) -> str:
    names = []
    at: QObject | None = thing
    while at is not None and len(names) < 4:
        names.append(at.objectName() or type(at).__name__)
        at = at.parent()
    return " < ".join(names)


def payloads(canary: Path) -> list[str]:
    """120 texts that try to have `canary` opened, an address opened, or the window stopped."""
    addresses = [
        canary.as_uri(), str(canary), canary.name, f"./{canary.name}", f"../{canary.parent.name}/{canary.name}",
        f"file:{canary}", f"FILE://{canary}", f"file://localhost{canary}", f"//localhost{canary}",
        f"\\\\host\\share\\{canary.name}", f"file://host/share/{canary.name}", f":/{canary.name}",
        f"qrc:/{canary.name}", "data:image/png;base64,iVBORw0KGgo=", "http://127.0.0.1:9/a.png",
        "https://example.invalid/a.png", f"image://{canary}", f"{canary}?x#y",
    ]  # fmt: skip
    shapes = [
        "<img src='{a}'>",
        "![x]({a})",
        '<table background="{a}"><tr><td>x</td></tr></table>',
        "<style>@import url('{a}'); body {{ background-image: url({a}) }}</style>x",
        '<link rel="stylesheet" href="{a}"><p>x</p>',
    ]
    made = [shape.format(a=address) for address in addresses for shape in shapes]
    schemes = ["file:///etc/passwd", "smb://host/x", "mailto:a@b.c", "javascript:alert(1)", "ms-settings:"]
    made += [f'<a href="{scheme}">x</a>' for scheme in schemes] + [f"[x]({scheme})" for scheme in schemes]
    made += [
        f"<qt><img src='{canary}'></qt>",
        f"<!DOCTYPE html><html><body><img src='{canary}'></body></html>",
        f"<p>&#60;img src='{canary}'&#62;</p>",
        f"<svg><image href='{canary}'/></svg>",
        f"<object data='{canary}'></object>",
        f"<iframe src='{canary}'></iframe>",
        f"<ul style='list-style-image: url({canary})'><li>x</ul>",
        f"<div style=\"background-image: url('{canary}')\">x</div>",
        f"<b>x</b>\n![x][r]\n\n[r]: {canary}",
        f"[![x]({canary})](http://127.0.0.1:9/)",
        f"<a href='{canary}'><img src='{canary}'></a>",
        "<table>" * 2_000,
        "<div>" * 2_000,
        "> " * 5_000,
        "&lt;" * 5_000,
        "\ufdd0\ufffc\ufdd1" * 100,
        "<b>" + "x" * 50_000,
        "\u202e<img src=x>\u202c",
        f"<IMG\nSRC={canary}>",
        f"x<br/><img src={canary} width=1 height=1/>",
    ]
    return made
