"""Plots as every lab uses them: a title, axes with units, a readout under the cursor, reset and export.

Importing this module imports pyqtgraph (0.7 s): labs import it late, through the runner's warm-up. Items
persist and get new data; live curves clip to the view and down-sample by peak. A value that is not finite
leaves a gap and is said in a sentence.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QSize, Qt
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from labapp.theme import CATEGORIES, theme_of
from labapp.widgets.parts import flat_button, label
from labapp.words import tr

Axis = tuple[str, str]
"""What is measured, and its unit: ("loss", "nats per token"). The unit may be empty for a plain count."""


def _axis_text(axis: Axis) -> str:
    name, unit = axis
    return f"{name} ({unit})" if unit else name


def format_number(value: float) -> str:
    """A number as it is set in the app: thousands separated, three significant digits below a thousand.

    >>> [format_number(v) for v in (1234567, 12.3456, 0.001234, 7)]
    ['1,234,567', '12.3', '0.00123', '7']
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class WholeAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph ships no types
    """An axis of counts: no tick between two whole numbers."""

    def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        spacing: list[tuple[float, float]] = super().tickSpacing(low, high, size)
        return [(step, offset) for step, offset in spacing if step >= 1] or [(1.0, 0.0)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return [f"{round(value):,}" for value in values]


@dataclass
class Series:
    """One curve of a plot: its name, its numbers, and the item that draws it."""

    name: str
    x: np.ndarray
    y: np.ndarray
    item: pg.PlotDataItem | pg.BarGraphItem


class Plot(QWidget):
    """A titled plot of curves or bars over one pair of axes."""

    def __init__(self, title: str, x: Axis, y: Axis, whole: bool = True) -> None:
        super().__init__()
        self.title, self.x_axis, self.y_axis = title, x, y
        self.series: list[Series] = []
        self._look: tuple[str, int] = ("", 0)
        self.setObjectName("card")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._title = label(title, "heading")
        self._readout = label("", "small")
        self._beside = True  # whether there is room for the y axis's text beside the axis
        self._menu_button = flat_button("dots-horizontal", tr("Copy or save this plot"), self._open_menu)
        self._head = head = QHBoxLayout()
        head.setContentsMargins(12, 6, 6, 0)
        head.addWidget(self._title)
        head.addStretch(1)
        head.addWidget(self._readout)
        head.addWidget(flat_button("fit-to-screen-outline", tr("Show everything"), self.reset))
        head.addWidget(self._menu_button)
        self.view = pg.PlotWidget(axisItems={"bottom": WholeAxis("bottom")} if whole else None)
        self.view.setMinimumSize(QSize(80, 60))
        self.view.setMenuEnabled(False)
        self.view.hideButtons()
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        plot = self.view.getPlotItem()
        plot.setLabel("bottom", _axis_text(x))
        plot.setLabel("left", _axis_text(y))
        for name in ("bottom", "left"):
            plot.getAxis(name).enableAutoSIPrefix(False)
        plot.showGrid(x=False, y=True, alpha=0.15)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 4)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.view, 1)
        self._marker = pg.InfiniteLine(angle=90, movable=False)
        self._marker.hide()
        plot.addItem(self._marker, ignoreBounds=True)
        self.view.scene().sigMouseMoved.connect(self._read_out)
        self.setAccessibleName(title)
        self.setMinimumHeight(110)
        self._paint_theme()

    def replace_title(self, widget: QWidget) -> None:
        """Put a control in the title's place, such as a choice between plots."""
        self._title.hide()
        self._head.insertWidget(0, widget)

    def add_curve(self, name: str) -> Series:
        """A new curve, empty at first."""
        color = QColor(CATEGORIES[len(self.series) % len(CATEGORIES)])
        item = self.view.plot(pen=pg.mkPen(color, width=2), connect="finite")
        item.setClipToView(True)
        item.setDownsampling(auto=True, method="peak")
        series = Series(name, np.zeros(0), np.zeros(0), item)
        self.series.append(series)
        return series

    def add_bars(self, name: str) -> Series:
        """New bars of width 0.8, one per whole number on the x axis."""
        color = QColor(CATEGORIES[2])
        item = pg.BarGraphItem(x=[], height=[], width=0.8, brush=color, pen=None)
        self.view.addItem(item)
        series = Series(name, np.zeros(0), np.zeros(0), item)
        self.series.append(series)
        return series

    def set_data(
        self, series: Series, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray
    ) -> None:
        """Give a series its numbers; those that are not finite leave a gap and are said."""
        series.x, series.y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        bad = int((~np.isfinite(series.y)).sum())
        if isinstance(series.item, pg.BarGraphItem):
            series.item.setOpts(x=series.x, height=np.nan_to_num(series.y), width=0.8)
        else:
            series.item.setData(series.x, series.y)
        self._title.setText(
            self.title if not bad else tr("{title}: {n} values are not finite", title=self.title, n=bad)
        )
        self.setAccessibleDescription(self.in_words())

    def mark(self, x: float | None) -> None:
        """A vertical line at x, or none."""
        self._marker.setVisible(x is not None)
        if x is not None:
            self._marker.setValue(x)

    def in_words(self) -> str:
        """The plot in a sentence a curve: from where to where."""
        parts = []
        for series in self.series:
            good = np.isfinite(series.y)
            if good.any():
                x, y = series.x[good], series.y[good]
                parts.append(
                    tr(
                        "{name} goes from {a} to {b} while {x} goes from {c} to {d}.",
                        name=series.name,
                        a=format_number(y[0]),
                        b=format_number(y[-1]),
                        x=self.x_axis[0],
                        c=format_number(x[0]),
                        d=format_number(x[-1]),
                    )
                )
        return " ".join(parts)

    def reset(self) -> None:
        """Show everything again after zooming or moving."""
        self.view.getPlotItem().enableAutoRange()

    def as_csv(self) -> str:
        """The numbers behind the plot: series, x, y."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["series", _axis_text(self.x_axis), _axis_text(self.y_axis)])
        for series in self.series:
            writer.writerows([series.name, x, y] for x, y in zip(series.x, series.y, strict=True))
        return text.getvalue()

    def rows(self) -> list[tuple[str, str, str]]:
        """The same as texts, for "Show as table"."""
        return [
            (s.name, format_number(a), format_number(b))
            for s in self.series
            for a, b in zip(s.x, s.y, strict=True)
        ]

    def _open_menu(self) -> None:
        from labapp.widgets.export import add_picture_actions

        menu = QMenu(self)
        add_picture_actions(menu, self, self.title, csv=self.as_csv, rows=self.rows, columns=self.columns())
        menu.exec(self._menu_button.mapToGlobal(QPointF(0, self._menu_button.height()).toPoint()))
        menu.deleteLater()

    def columns(self) -> tuple[str, str, str]:
        """Headers of `rows`."""
        return (tr("Series"), _axis_text(self.x_axis), _axis_text(self.y_axis))

    def _read_out(self, position: QPointF) -> None:
        box = self.view.getPlotItem().getViewBox()
        if not box.sceneBoundingRect().contains(position):
            self._readout.setText("" if self._beside else _axis_text(self.y_axis))
            return
        at = box.mapSceneToView(position).x()
        parts = []
        for series in self.series:
            if len(series.x):
                i = int(np.abs(series.x - at).argmin())
                parts.append(f"{format_number(series.x[i])}: {format_number(series.y[i])}")
        self._readout.setText("  ".join(parts))

    def _paint_theme(self) -> None:
        theme = theme_of(self)
        look = (theme.name, self.font().pixelSize())
        if look == self._look:  # what follows changes fonts and palettes of its own and comes back here
            return
        self._look = look
        self.view.setBackground(theme.panel)
        plot = self.view.getPlotItem()
        for name in ("bottom", "left"):
            axis = plot.getAxis(name)
            axis.setPen(pg.mkPen(theme.line))
            axis.setTextPen(pg.mkPen(theme.secondary))
            font = self.font()
            font.setPixelSize(max(11, self.font().pixelSize() - 2))
            axis.setTickFont(font)
            text = _axis_text(self.x_axis if name == "bottom" else self.y_axis)
            axis.setLabel(text, color=theme.secondary, **{"font-size": f"{font.pixelSize()}px"})
        plot.getAxis("left").showLabel(self._beside)  # setLabel has shown it
        self._marker.setPen(pg.mkPen(theme.accent, width=1.5, style=Qt.PenStyle.DashLine))

    def _place_label(self) -> None:
        """Write the y axis's text over a plot that is too low to have it at the side."""
        plot = self.view.getPlotItem()
        needed = self.fontMetrics().horizontalAdvance(_axis_text(self.y_axis))
        beside = self.view.height() - plot.getAxis("bottom").height() >= needed
        if beside != self._beside:
            self._beside = beside
            plot.getAxis("left").showLabel(beside)
            self._readout.setText("" if beside else _axis_text(self.y_axis))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_label()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_marker"):
            self._paint_theme()


def choice_of_plot(titles: Sequence[str], choose: Callable[[int], object]) -> QComboBox:
    """A choice between plots, to stand in a plot's title."""
    box = QComboBox()
    for title in titles:
        box.addItem(title)
    box.setAccessibleName(tr("What is plotted"))
    box.setToolTip(tr("What is plotted against the steps of the run"))
    box.currentIndexChanged.connect(choose)
    return box


def line_plot(title: str, *, x: Axis, y: Axis, whole: bool = True) -> Plot:
    """A plot for curves; titles, what is measured and units are required. `whole`: x counts something."""
    return Plot(title, x, y, whole)


def bar_plot(title: str, *, x: Axis, y: Axis) -> Plot:
    """A plot for bars over whole numbers."""
    made = Plot(title, x, y)
    made.view.getPlotItem().getViewBox().setLimits(yMin=0)
    return made
