"""Vector icons: glyphs of the Material Design font that ships in qtawesome, in the theme's colors.

qtawesome itself takes 0.5 s to import and 0.2 s for its first icon (it loads eleven fonts); the window is
to be up in one second, so its font and its name table are read here, without importing it.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPalette,
    QPixmap,
)

_FONT = "materialdesignicons6-webfont-*.ttf"
_NAMES = "materialdesignicons6-webfont-charmap-*.json"


class _Glyph(QIconEngine):
    """Draws one glyph in the palette's text color at any size, so that icons follow the theme."""

    def __init__(self, family: str, character: str, role: QPalette.ColorRole) -> None:
        super().__init__()
        self._family = family
        self._character = character
        self._role = role

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        group = QPalette.ColorGroup.Disabled if mode == QIcon.Mode.Disabled else QPalette.ColorGroup.Active
        color: QColor = QGuiApplication.palette().color(group, self._role)
        if state == QIcon.State.On:
            color = QGuiApplication.palette().color(QPalette.ColorRole.Link)
        font = QFont(self._family)
        font.setPixelSize(max(1, rect.height()))
        painter.save()
        painter.setFont(font)
        painter.setPen(color)
        painter.drawText(QRectF(rect), Qt.AlignmentFlag.AlignCenter, self._character)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRectF(QPointF(0, 0), size).toRect(), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _Glyph(self._family, self._character, self._role)


def icon(name: str, role: QPalette.ColorRole = QPalette.ColorRole.WindowText) -> QIcon:
    """The icon of a Material Design name ("play", "content-copy"); empty where the font is not installed."""
    family, names = _font()
    if name not in names:
        return QIcon()
    return QIcon(_Glyph(family, chr(int(names[name], 16)), role))


def has_icon(name: str) -> bool:
    """Whether the font knows a name; for the test that every icon in use exists."""
    return name in _font()[1]


@functools.cache
def _font() -> tuple[str, dict[str, str]]:
    spec = importlib.util.find_spec("qtawesome")
    if spec is None or not spec.submodule_search_locations:
        return "", {}
    folder = Path(next(iter(spec.submodule_search_locations))) / "fonts"
    fonts, names = sorted(folder.glob(_FONT)), sorted(folder.glob(_NAMES))
    if not fonts or not names:
        return "", {}
    number = QFontDatabase.addApplicationFont(str(fonts[-1]))
    families = QFontDatabase.applicationFontFamilies(number)
    if not families:
        return "", {}
    return families[0], json.loads(names[-1].read_text(encoding="utf-8"))
