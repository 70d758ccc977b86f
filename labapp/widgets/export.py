"""Taking a picture away: copy, PNG, SVG, the numbers as CSV, or as a table on screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPoint, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QPainter, QPixmap
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QDialog, QFileDialog, QMenu, QVBoxLayout, QWidget

from core.formats.files import write_new
from core.problems import LabError
from labapp.widgets.messages import MessageBar
from labapp.widgets.table import Column, Table
from labapp.words import tr

SHARPNESS = 2  # pixels of a PNG per pixel on screen


def picture_of(widget: QWidget) -> QPixmap:
    """A widget's picture at twice its size on screen."""
    pixmap = QPixmap(widget.size() * SHARPNESS)
    pixmap.setDevicePixelRatio(SHARPNESS)
    pixmap.fill(widget.palette().color(widget.backgroundRole()))
    widget.render(pixmap)
    return pixmap


def png_of(widget: QWidget) -> bytes:
    """A widget's picture as a PNG file."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture_of(widget).save(buffer, "PNG")
    return bytes(data.data())


def svg_of(widget: QWidget) -> bytes:
    """A widget's picture as an SVG file."""
    data = QByteArray()
    buffer = QBuffer(data)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(widget.size())
    generator.setViewBox(QRectF(0, 0, widget.width(), widget.height()))
    painter = QPainter(generator)
    widget.render(painter, QPoint())
    painter.end()
    return bytes(data.data())


def add_picture_actions(
    menu: QMenu,
    widget: QWidget,
    title: str,
    *,
    csv: Callable[[], str] | None = None,
    rows: Callable[[], Sequence[Sequence[str]]] | None = None,
    columns: Sequence[str] = (),
) -> None:
    """Fill a menu with what can be done with a picture."""

    def add(text: str, do: Callable[[], object]) -> None:
        menu.addAction(text).triggered.connect(lambda _=False: do())

    add(tr("Copy picture"), lambda: QGuiApplication.clipboard().setPixmap(picture_of(widget)))
    add(tr("Save as PNG…"), lambda: ask_and_save(widget, title, "png", lambda: png_of(widget)))
    add(tr("Save as SVG…"), lambda: ask_and_save(widget, title, "svg", lambda: svg_of(widget)))
    if csv is not None:
        add(tr("Save numbers as CSV…"), lambda: ask_and_save(widget, title, "csv", lambda: csv().encode()))
    if rows is not None:
        add(tr("Show as table"), lambda: show_table(widget, title, columns, rows()))


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    QGuiApplication.clipboard().setText(text)


def ask_and_save(widget: QWidget, title: str, ending: str, make: Callable[[], bytes]) -> None:
    """Ask for a name and write the file; the dialog asks before one is replaced."""
    name = "".join(c if c.isalnum() or c in " -_" else "-" for c in title).strip() or "picture"
    chosen, _ = QFileDialog.getSaveFileName(
        widget.window(), tr("Save {title}", title=title), str(Path.home() / f"{name}.{ending}"), f"*.{ending}"
    )
    if not chosen:
        return
    path = Path(chosen)
    path = path if path.suffix else path.with_suffix(f".{ending}")
    bar = message_bar_of(widget)
    try:
        write_new(path, make(), overwrite=path == Path(chosen))
    except LabError as error:
        if bar is not None:
            bar.show_problem(error)
        return
    if bar is not None:
        bar.show_note(tr("Saved {path}.", path=path))


def message_bar_of(widget: QWidget) -> MessageBar | None:
    """The message bar of the lab that a widget is in."""
    parent: QWidget | None = widget
    while parent is not None:
        messages = getattr(parent, "messages", None)
        if isinstance(messages, MessageBar):
            return messages
        parent = parent.parentWidget()
    return None


def show_table(widget: QWidget, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show the numbers behind a picture in a window of their own; Ctrl+C copies them."""
    dialog = QDialog(widget.window())
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    table = Table(title, [Column(name, number=i > 0, stretch=i == 0) for i, name in enumerate(columns)])
    table.set_rows(rows)
    layout = QVBoxLayout(dialog)
    layout.addWidget(table)
    dialog.resize(480, 420)
    dialog.show()
