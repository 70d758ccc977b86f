"""Curves by layer: cosines within and across senses, and how many sentences are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from labapp.labs.embeddings.senses_reading import Read
from labapp.theme import theme_of
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.plots import Plot, Series

DASHED = (1, 3, 5, 6)  # curves: what is across senses, and what is shuffled
LINE = 18.0  # px of a legend's line


class CurveLegend(QWidget):
    """Names of curves below their plot, two in a line, where they cover none of them."""

    def __init__(self, name: str, entries: Sequence[tuple[QColor, bool, str]]) -> None:
        super().__init__()
        self._entries = tuple(entries)  # color, dashed, text
        self.setAccessibleName(tr("{title}: {all}", title=name, all=", ".join(t for _, _, t in entries)))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        lines = (len(self._entries) + 1) // 2
        return QSize(180, round(lines * LINE * self.font().pixelSize() / 13))

    def paintEvent(self, event: QPaintEvent) -> None:
        lines = (len(self._entries) + 1) // 2
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            font = self.font()
            font.setPixelSize(max(11, font.pixelSize() - 1))
            painter.setFont(font)
            high, wide = self.height() / lines, self.width() / 2
            metrics = QFontMetricsF(font)
            for n, (color, dashed, text) in enumerate(self._entries):
                x, y = n % 2 * wide + 4, n // 2 * high
                style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
                painter.setPen(QPen(color, 2, style))
                painter.drawLine(QPointF(x, y + high / 2), QPointF(x + 16, y + high / 2))
                painter.setPen(QColor(theme_of(self).secondary))
                shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, wide - 26)
                place = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRectF(x + 21, y, wide - 25, high), place, shown)


class SenseCurves(QWidget):
    """Two plots beside each other.

    Attributes:
        plots: They; none before pyqtgraph is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plots: list[Plot] = []
        self._series: list[Series] = []
        self._read: Read | None = None
        self._at = 0
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)

    def plots_ready(self) -> None:
        """Make the plots, once."""
        if self.plots:
            return
        from labapp.plots import line_plot

        layer = (tr("layer"), "")
        cosines = line_plot(tr("Cosine of two sentences"), x=layer, y=(tr("mean cosine"), ""))
        told = line_plot(tr("Told apart"), x=layer, y=(tr("share of sentences"), ""))
        names = (tr("within, raw"), tr("across, raw"), tr("within, centered"), tr("across, centered"))
        self._series = [cosines.add_curve(name) for name in names]
        names_told = (tr("left out"), tr("shuffled, mean"), tr("shuffled, 95 %"))
        self._series += [told.add_curve(name) for name in names_told]
        entries = []
        for n, series in enumerate(self._series):
            color = QColor(series.item.opts["pen"].color())
            if n in DASHED:
                series.item.setPen(color, width=2, style=Qt.PenStyle.DashLine)
            entries.append((color, n in DASHED, series.name))
        self.plots = [cosines, told]
        for plot, mine in zip(self.plots, (entries[:4], entries[4:]), strict=True):
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(plot, 1)
            column.addWidget(CurveLegend(plot.title, mine))
            self._row.addLayout(column, 1)
        self._draw()

    def show_read(self, read: Read) -> None:
        """Draw what was measured."""
        self._read = read
        self._draw()

    def mark(self, layer: int) -> None:
        """Mark the layer in view."""
        self._at = layer
        for plot in self.plots:
            plot.mark(layer)

    def _draw(self) -> None:
        read = self._read
        if read is None or not self.plots:
            return
        x, told = np.arange(read.found.layers + 1), read.told
        numbers = (
            read.raw.within, read.raw.across, read.centered.within, read.centered.across,
            told.accuracy, told.shuffled, told.shuffled_high,
        )  # fmt: skip
        for n, (series, y) in enumerate(zip(self._series, numbers, strict=True)):
            self.plots[0 if n < 4 else 1].set_data(series, x, y)
        self.mark(self._at)
