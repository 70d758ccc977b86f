"""How often each model beat each other one: a grid of shares, ties as halves."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import mix, theme_of
from labapp.words import tr

HEAD = 0.26  # of the width is for names
CELL = 96  # px at most


class WinMatrix(QWidget):
    """Draws the grid; a cell says in how many of the meetings its row won."""

    def __init__(self) -> None:
        super().__init__()
        self.models: tuple[str, ...] = ()
        self._wins: Sequence[Sequence[float]] = ()
        self._games: Sequence[Sequence[float]] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(tr("Win matrix"))

    def set_wins(
        self, models: Sequence[str], wins: Sequence[Sequence[float]], games: Sequence[Sequence[float]]
    ) -> None:
        """Show other models."""
        self.models, self._wins, self._games = tuple(models), wins, games
        self.setAccessibleName(tr("Win matrix of {models}", models=", ".join(models)))
        self.update()

    def share(self, row: int, column: int) -> float | None:
        """In what share of the meetings a row's model won; None where they never met."""
        games = self._games[row][column]
        return self._wins[row][column] / games if games and row != column else None

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 120)

    def paintEvent(self, event: QPaintEvent) -> None:
        count = len(self.models)
        if not count:
            return
        theme = theme_of(self)
        left, top = self.width() * HEAD, 34.0
        wide = min(float(CELL * 1.6), (self.width() - left) / count)
        high = min(56.0, (self.height() - top) / count)
        with QPainter(self) as painter:
            for n, name in enumerate(self.models):
                painter.setPen(QColor(theme.text))
                self._name(painter, QRectF(0, top + n * high, left - 10, high), name, right=True)
                self._name(painter, QRectF(left + n * wide, 0, wide, top), name, right=False)
            for row in range(count):
                for column in range(count):
                    box = QRectF(left + column * wide + 1, top + row * high + 1, wide - 2, high - 2)
                    share = self.share(row, column)
                    strength = 0.0 if share is None else 0.55 * share
                    painter.fillRect(box, mix(QColor(theme.accent), QColor(theme.panel), strength))
                    painter.setPen(QColor(theme.text))
                    text = "–" if share is None else f"{100 * share:.0f} %"
                    if share is not None and high >= 36:
                        text += "\n" + tr("of {n:g}", n=self._games[row][column])
                    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _name(self, painter: QPainter, box: QRectF, name: str, *, right: bool) -> None:
        text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, int(box.width()) - 4)
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignHCenter
        painter.drawText(box, side | Qt.AlignmentFlag.AlignVCenter, text)
