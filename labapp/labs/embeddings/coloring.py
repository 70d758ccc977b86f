"""The colors of points, and the legend that says what they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import CATEGORIES, theme_of
from labapp.words import tr

SHADES = 9  # of a ramp
LOW, HIGH = QColor("#3b2a8c"), QColor("#f0b429")  # ends of the ramp; dark to bright, for every kind of eye
MIDDLE = QColor("#1f9c8a")


@dataclass(frozen=True, eq=False)
class Coloring:
    """How points are colored.

    Attributes:
        title: By what.
        colors: Row of the palette of each point, shape (N,).
        palette: The colors; none where all points have one.
        legend: What some of them mean: (row of the palette, text).
    """

    title: str
    colors: npt.NDArray[np.uint8]
    palette: tuple[QColor, ...] = ()
    legend: tuple[tuple[int, str], ...] = ()


def plain(n: int) -> Coloring:
    """All points alike."""
    return Coloring("", np.zeros(n, dtype=np.uint8))


def by_category(title: str, values: Sequence[str]) -> Coloring:
    """One color for each of the most frequent values, gray for all others.

    >>> made = by_category("kind", ["word", "number", "word"])
    >>> made.colors.tolist(), [text for _, text in made.legend]
    ([0, 1, 0], ['word 2', 'number 1'])
    """
    counts = Counter(values).most_common()
    kept = counts if len(counts) <= len(CATEGORIES) else counts[: len(CATEGORIES) - 1]
    place = {value: n for n, (value, _) in enumerate(kept)}
    palette = [QColor(color) for color in CATEGORIES[: len(kept)]]
    legend = [(n, f"{value} {count:,}") for n, (value, count) in enumerate(kept)]
    if len(kept) < len(counts):
        rest = sum(count for _, count in counts[len(kept) :])
        legend.append((len(kept), tr("others {n:,}", n=rest)))
        palette.append(QColor("#8a93a3"))
    colors = np.fromiter((place.get(value, len(kept)) for value in values), np.uint8, len(values))
    return Coloring(title, colors, tuple(palette), tuple(legend))


def by_number(title: str, values: npt.NDArray[np.float64], unit: str = "") -> Coloring:
    """A ramp from the smallest to the largest values; as many points in each shade as ties allow.

    >>> by_number("length", np.array([1.0, 5.0, 9.0])).colors.tolist()
    [0, 4, 8]
    """
    order = np.sort(values)
    place = (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") - 1) / 2
    colors = np.minimum(place / max(1, len(values) - 1) * (SHADES - 1) + 0.5, SHADES - 1).astype(np.uint8)
    palette = []
    for n in range(SHADES):
        share = 2 * n / (SHADES - 1)
        a, b, s = (LOW, MIDDLE, share) if share <= 1 else (MIDDLE, HIGH, share - 1)
        palette.append(QColor(*(round(x + (y - x) * s) for x, y in zip(_parts(a), _parts(b), strict=True))))
    ends: tuple[tuple[int, float], ...] = ()
    if len(order):
        ends = ((0, float(order[0])), (SHADES // 2, float(np.median(order))), (SHADES - 1, float(order[-1])))
    legend = tuple(
        (n, f"{value:,.3g}{unit}" if abs(value) < 1000 else f"{value:,.0f}{unit}") for n, value in ends
    )
    return Coloring(title, colors, tuple(palette), legend)


def _parts(color: QColor) -> tuple[int, int, int]:
    return color.red(), color.green(), color.blue()


class Legend(QWidget):
    """Colors and what they mean, in one line; what has no room is left out, and the tooltip has all."""

    def __init__(self) -> None:
        super().__init__()
        self._coloring: Coloring | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    def show_coloring(self, coloring: Coloring) -> None:
        """Show what colors mean; nothing where all points have one."""
        self._coloring = coloring
        words = tr(
            "Colors: {title}. {all}", title=coloring.title, all=", ".join(t for _, t in coloring.legend)
        )
        self.setAccessibleName(words)
        self.setToolTip(words.replace("<", "‹"))
        self.setVisible(bool(coloring.legend))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, self.fontMetrics().height() + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        coloring = self._coloring
        if coloring is None:
            return
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            font = self.font()
            font.setPixelSize(max(11, font.pixelSize() - 1))
            painter.setFont(font)
            metrics = QFontMetricsF(font)
            x, middle = 2.0, self.height() / 2
            left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            for n, text in coloring.legend:
                wide = metrics.horizontalAdvance(text)
                if x + 16 + wide > self.width():
                    break
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(coloring.palette[n])
                painter.drawRect(QRectF(x, middle - 5, 10, 10))
                painter.setPen(QColor(theme.secondary))
                painter.drawText(QRectF(x + 15, 0, wide + 2, self.height()), left, text)
                x += wide + 32
