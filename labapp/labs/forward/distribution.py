"""What might come next: a bar for each token, before and after the filters, and what cut it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolTip, QWidget

from labapp.theme import CATEGORIES, mix, mono_font, theme_of
from labapp.widgets.export import add_picture_actions
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

ROW = 23  # px at the usual text size
HEADER = 20  # px


@dataclass(frozen=True)
class Row:
    """One token.

    Attributes:
        id: The token.
        name: As a person reads it.
        logit: What the model gives it.
        before: Its probability after the temperature, before anything is cut.
        after: What it is drawn with.
        cut_by: What cut it, or "".
        other: What it is drawn with under the other settings, or None.
    """

    id: int
    name: str
    logit: float
    before: float
    after: float
    cut_by: str
    other: float | None


class Distribution(QWidget):
    """Rows from the most probable token down. A click, or Enter on the marked row, takes a token by hand."""

    taken = Signal(int)  # the token's id

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.chosen: int | None = None  # id of the token that was drawn, marked
        self._current = 0
        self.setAccessibleName(tr("Tokens that might come next"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_rows(self, rows: Sequence[Row], chosen: int | None = None) -> None:
        """Show tokens; `chosen` is the one that was drawn from them."""
        self.rows, self.chosen = list(rows), chosen
        self._current = min(self._current, max(0, len(rows) - 1))
        self.setAccessibleDescription(self.in_words())
        self.update()

    def in_words(self) -> str:
        """The first three in one sentence."""
        return "; ".join(
            tr("{token} {share:.1f} %", token=row.name, share=100 * row.after) for row in self.rows[:3]
        )

    def sizeHint(self) -> QSize:
        return QSize(420, HEADER + 12 * ROW)

    def minimumSizeHint(self) -> QSize:
        return QSize(260, HEADER + 5 * ROW)

    # Where things are.

    def _row_height(self) -> float:
        return ROW * self.font().pixelSize() / 13

    def _header(self) -> float:
        return HEADER * self.font().pixelSize() / 13

    def shown(self) -> int:
        """How many rows there is room for."""
        return min(len(self.rows), max(1, int((self.height() - self._header()) // self._row_height())))

    def row_at(self, point: QPointF) -> int | None:
        """The row under a point."""
        i = int((point.y() - self._header()) // self._row_height())
        return i if 0 <= i < self.shown() else None

    # Qt.

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        rows = self.rows[: self.shown()]
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            mono, small = mono_font(self, 1 / 1.15), QFont(self.font())
            small.setPixelSize(max(11, small.pixelSize() - 1))
            metrics = QFontMetricsF(mono)
            name_width = min(
                self.width() * 0.3,
                max(metrics.horizontalAdvance(name) for name in (tr("token"), *(row.name for row in rows)))
                + 16,
            )
            two = any(row.other is not None for row in rows)
            unit = QFontMetricsF(small).horizontalAdvance("100.0 %") + 14
            columns = [tr("logit"), tr("drawn")] + ([tr("B")] if two else [])
            bars = QRectF(name_width, 0, max(20.0, self.width() - name_width - unit * len(columns) - 62), 1)
            painter.setFont(small)
            painter.setPen(QColor(theme.secondary))
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(2, 0, name_width, self._header()), left, tr("token"))
            painter.drawText(
                QRectF(bars.left(), 0, bars.width(), self._header()), left,
                tr("probability: pale before the filters, full after"),
            )  # fmt: skip
            for n, column in enumerate(columns):
                box = QRectF(bars.right() + n * unit, 0, unit - 4, self._header())
                painter.drawText(box, right, column)
            longest = max([max(row.before, row.after, row.other or 0) for row in rows] or [1.0]) or 1.0
            for i, row in enumerate(rows):
                self._paint_row(painter, i, row, bars, longest, unit, name_width, mono, small)

    def _paint_row(
        self, painter: QPainter, i: int, row: Row, bars: QRectF, longest: float, unit: float,
        name_width: float, mono: QFont, small: QFont,
    ) -> None:  # fmt: skip
        theme, height = theme_of(self), self._row_height()
        y = self._header() + i * height
        if i == self._current and self.hasFocus():
            painter.fillRect(QRectF(0, y, self.width(), height), QColor(theme.accent_back))
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        ink = QColor(theme.secondary if row.cut_by else theme.text)
        painter.setFont(mono)
        painter.setPen(ink)
        name = QFontMetricsF(mono).elidedText(row.name, Qt.TextElideMode.ElideRight, name_width - 10)
        painter.drawText(QRectF(2, y, name_width - 6, height), left, name)
        pale = mix(QColor(theme.accent), QColor(theme.panel), 0.25)
        two = row.other is not None
        half = height * (0.3 if two else 0.56)
        top = y + height * (0.2 if two else 0.22)
        painter.fillRect(QRectF(bars.left(), top, bars.width() * row.before / longest, half), pale)
        full = QColor(theme.accent)
        painter.fillRect(QRectF(bars.left(), top, bars.width() * row.after / longest, half), full)
        if row.other is not None:
            other = QRectF(bars.left(), top + half + 1, bars.width() * row.other / longest, half)
            painter.fillRect(other, QColor(CATEGORIES[1]))
        painter.setFont(small)
        numbers = [f"{row.logit:.2f}", f"{100 * row.after:.1f} %"]
        numbers += [f"{100 * row.other:.1f} %"] if row.other is not None else []
        painter.setPen(ink)
        for n, number in enumerate(numbers):
            painter.drawText(QRectF(bars.right() + n * unit, y, unit - 4, height), right, number)
        says = tr("drawn") if row.id == self.chosen else row.cut_by
        painter.setPen(QColor(theme.good if row.id == self.chosen else theme.secondary))
        painter.drawText(QRectF(bars.right() + len(numbers) * unit + 4, y, 58, height), left, says)
        if row.id == self.chosen:
            painter.setPen(QPen(QColor(theme.good), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(0.75, y + 1, self.width() - 1.5, height - 2), 4, 4)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        i = self.row_at(event.position())
        if i is not None and event.button() == Qt.MouseButton.LeftButton:
            self._current = i
            self.taken.emit(self.rows[i].id)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        i = self.row_at(event.position())
        if i is None:
            QToolTip.hideText()
            return
        row = self.rows[i]
        says = tr(
            "{token}: logit {logit:.3f}; {before:.2%} before the filters, {after:.2%} after them.",
            token=row.name, logit=row.logit, before=row.before, after=row.after,
        )  # fmt: skip
        if row.cut_by:
            says += " " + tr("Cut by {filter}.", filter=row.cut_by)
        says += " " + tr("Click to take it.")
        QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(says), self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(key)
        if step is not None and self.rows:
            self._current = min(max(self._current + step, 0), self.shown() - 1)
            row = self.rows[self._current]
            self.setAccessibleDescription(f"{row.name}: {100 * row.after:.1f} %")
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.rows:
            self.taken.emit(self.rows[self._current].id)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns = [tr("Token"), tr("Logit"), tr("Before the filters"), tr("Drawn with"), tr("Cut by")]
        add_picture_actions(menu, self, tr("Next token"), rows=self.as_table, columns=columns)
        menu.popup(event.globalPos())

    def as_table(self) -> list[tuple[str, ...]]:
        """All rows, as text."""
        return [
            (row.name, f"{row.logit:.4f}", f"{row.before:.6f}", f"{row.after:.6f}", row.cut_by)
            for row in self.rows
        ]
