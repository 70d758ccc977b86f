"""Shares with their 95 % intervals, one below the other on one axis from 0 to 100 %, and the bar of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import Theme, theme_of
from labapp.words import tr

AXIS = 18  # px of the numbers below
POINT = 4.0  # px, radius
LEAST = 0.3  # of the width is for the axis


@dataclass(frozen=True)
class Whisker:
    """A share.

    Attributes:
        name: Short name, "P1".
        title: In plain words.
        share: 0 to 1.
        low: Lower limit.
        high: Upper limit.
        n: Of how many.
        bar: What it has to reach, or None.
    """

    name: str
    title: str
    share: float
    low: float
    high: float
    n: int
    bar: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the share is at its bar or above; true where there is none."""
        return self.bar is None or self.share >= self.bar

    @property
    def text(self) -> str:
        """The share as it is written at the end of the row."""
        sign = "" if self.bar is None else ("✓" if self.reached else "✗")
        return f"{100 * self.share:.1f} % {sign}"

    def in_words(self) -> str:
        """The row in a sentence."""
        words = tr(
            "{name} {title}: {share:.1f} % of {n:,}, 95 % interval {low:.1f} to {high:.1f} %",
            name=self.name, title=self.title, share=100 * self.share, n=self.n, low=100 * self.low,
            high=100 * self.high,
        )  # fmt: skip
        if self.bar is None:
            return words
        verdict = tr("reached") if self.reached else tr("missed")
        return tr("{words}; bar {bar:.0f} % {verdict}", words=words, bar=100 * self.bar, verdict=verdict)


class Whiskers(QWidget):
    """Draws the rows; a click, or Up and Down, chooses one. `row_chosen` tells which."""

    row_chosen = Signal(int)
    ROW = 30  # px, at most

    def __init__(self, name: str) -> None:
        super().__init__()
        self.rows: list[Whisker] = []
        self.chosen = -1
        self.setAccessibleName(name)
        self.setToolTip(tr("Click a row, or walk with the arrow keys"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_rows(self, rows: Sequence[Whisker]) -> None:
        """Show these rows; the chosen one stays where there is still one in its place."""
        self.rows = list(rows)
        self.chosen = min(self.chosen, len(self.rows) - 1)
        self.setAccessibleDescription(self.in_words())
        self.updateGeometry()
        self.update()

    def choose(self, row: int) -> None:
        """Take a row."""
        if 0 <= row < len(self.rows):
            self.chosen = row
            self.update()
            self.row_chosen.emit(row)

    def in_words(self) -> str:
        """All rows in sentences."""
        return ". ".join(row.in_words() for row in self.rows)

    def as_table(self) -> list[tuple[str, ...]]:
        """The numbers, for "Show as table"."""
        return [
            (
                f"{row.name} {row.title}", f"{row.n:,}", f"{100 * row.share:.1f}", f"{100 * row.low:.1f}",
                f"{100 * row.high:.1f}", "" if row.bar is None else f"{100 * row.bar:.0f}",
                "" if row.bar is None else (tr("reached") if row.reached else tr("missed")),
            )
            for row in self.rows
        ]  # fmt: skip

    @staticmethod
    def columns() -> tuple[str, ...]:
        """Headers of `as_table`."""
        return (
            tr("Figure"), tr("n"), tr("Share (%)"), tr("From (%)"), tr("To (%)"), tr("Bar (%)"),
            tr("Verdict"),
        )  # fmt: skip

    def sizeHint(self) -> QSize:
        return QSize(480, self.ROW * max(1, len(self.rows)) + AXIS)

    def minimumSizeHint(self) -> QSize:
        return QSize(300, 16 * max(1, len(self.rows)) + AXIS)

    # Drawing.

    def _height(self) -> float:
        most = self.ROW * self.font().pixelSize() / 13
        return min(most, (self.height() - AXIS) / max(1, len(self.rows)))

    def _fonts(self) -> tuple[QFont, QFont]:
        font, strong = self.font(), self.font()
        font.setPixelSize(max(11, min(font.pixelSize(), int(self._height() * 0.62))))
        strong.setPixelSize(font.pixelSize())
        strong.setBold(True)
        return font, strong

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.rows:
            return
        theme, height = theme_of(self), self._height()
        font, strong = self._fonts()
        metrics = QFontMetricsF(font)
        names = max(QFontMetricsF(strong).horizontalAdvance(row.name) for row in self.rows) + 10
        titles = max(metrics.horizontalAdvance(row.title) for row in self.rows) + 14
        ends = max(metrics.horizontalAdvance(f"{row.text}  n {row.n:,}") for row in self.rows) + 14
        titles = min(titles, self.width() * (1 - LEAST) - names - ends)
        axis = QRectF(names + titles, 0, self.width() - names - titles - ends, height)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw_axis(painter, theme, axis, font)
            for n, row in enumerate(self.rows):
                line = axis.translated(0, n * height)
                if n == self.chosen:
                    back = QRectF(0, line.top(), self.width(), height)
                    painter.fillRect(back, QColor(theme.accent_back))
                self._draw_row(painter, theme, row, line, names, strong)

    def _draw_axis(self, painter: QPainter, theme: Theme, axis: QRectF, font: QFont) -> None:
        bottom = axis.height() * len(self.rows)
        small = QFont(font)
        small.setPixelSize(11)
        painter.setFont(small)
        wide = axis.width() > 180
        for percent in (0, 25, 50, 75, 100) if wide else (0, 50, 100):
            x = axis.left() + axis.width() * percent / 100
            painter.setPen(QColor(theme.line))
            painter.drawLine(QPointF(x, 0), QPointF(x, bottom))
            painter.setPen(QColor(theme.secondary))
            middle = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
            painter.drawText(QRectF(x - 30, bottom + 2, 60, AXIS), middle, f"{percent} %")
        painter.setFont(font)

    def _draw_row(
        self, painter: QPainter, theme: Theme, row: Whisker, line: QRectF, names: float, strong: QFont
    ) -> None:
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        font, y = painter.font(), line.center().y()
        painter.setPen(QColor(theme.text))
        painter.setFont(strong)
        painter.drawText(QRectF(4, line.top(), names, line.height()), left, row.name)
        painter.setFont(font)
        room = line.left() - names - 10
        title = painter.fontMetrics().elidedText(row.title, Qt.TextElideMode.ElideRight, int(room))
        painter.drawText(QRectF(names, line.top(), room, line.height()), left, title)

        def at(share: float) -> float:
            return line.left() + line.width() * min(1.0, max(0.0, share))

        if row.bar is not None:
            painter.setPen(QPen(QColor(theme.secondary), 2))
            painter.drawLine(QPointF(at(row.bar), y - 8), QPointF(at(row.bar), y + 8))
        color = QColor(theme.accent if row.bar is None else theme.good if row.reached else theme.warning)
        painter.setPen(QPen(color, 2))
        painter.drawLine(QPointF(at(row.low), y), QPointF(at(row.high), y))
        for end in (at(row.low), at(row.high)):
            painter.drawLine(QPointF(end, y - 4), QPointF(end, y + 4))
        painter.setBrush(color)
        painter.drawEllipse(QPointF(at(row.share), y), POINT, POINT)
        ends = QRectF(line.right() + 12, line.top(), self.width() - line.right() - 14, line.height())
        painter.setPen(QColor(theme.text))
        painter.drawText(ends, left, row.text)
        painter.setPen(QColor(theme.secondary))
        painter.drawText(ends, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"n {row.n:,}")

    # Choosing.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self.choose(int(event.position().y() // self._height()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
        else:
            self.choose(min(len(self.rows) - 1, max(0, self.chosen + by)))
