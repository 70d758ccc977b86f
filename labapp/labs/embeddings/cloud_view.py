"""The picture of a cloud: turned, moved and zoomed, with names, a chosen point, marked ones, and a selection.

Pixels come from `splat.py`, names from `labels.py`; this widget knows the mouse, the keys and the theme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.labs.embeddings.cloud_axes import paint_axes
from labapp.labs.embeddings.labels import Label, candidates_of, place_labels
from labapp.labs.embeddings.splat import (
    DENSITY,
    Camera,
    Floats,
    Splatter,
    inside_polygon,
    nearest,
    normalized,
    project,
    stamp,
)
from labapp.theme import CATEGORIES, Theme, mix, theme_of
from labapp.words import tr

Rows = npt.NDArray[np.intp]
Names = Callable[[int], str]

NEAR = 8  # px from the mouse within which a point is found
STEP = 0.08  # radians, or half sides, that a key turns or moves
ZOOM = 1.2  # factor of a key or a notch of the wheel
LABELS = 46  # names at zoom 1; more come with zoom
FONT = (11, 20)  # px of names: at zoom 1, and at most
TRIED = 12  # points that are tried for each name written
SPIN_MS = 33  # between two pictures while the cloud turns by itself
SPIN = 0.012  # radians
LARGE = 1.5e6  # pixels of an image at most: on screens with more it is drawn coarser


class Tool(StrEnum):
    """What dragging does."""

    TURN = "turn"
    RECTANGLE = "rectangle"
    LASSO = "lasso"


class CloudView(QWidget):
    """Points seen by a camera.

    Attributes:
        camera: From where.
        rows: The points in view; all, or those that were isolated.
        selected: Rows that are selected, rising.
        chosen: The row that is looked into, or None.
        tool: What dragging does.
        frames: How many pictures were painted.
    """

    row_chosen = Signal(int)
    row_hovered = Signal(int)  # -1: none
    selection_changed = Signal()
    touched = Signal()
    camera_changed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.camera = Camera()
        self.rows: Rows = np.zeros(0, dtype=np.intp)
        self.selected: Rows = np.zeros(0, dtype=np.intp)
        self.chosen: int | None = None
        self.tool = Tool.TURN
        self.frames = 0
        self.labels: list[Label] = []
        self._points: Floats = np.zeros((0, 3), dtype=np.float32)  # normalized
        self._name: Names = lambda row: ""
        self._order: Rows = np.zeros(0, dtype=np.intp)  # whose names come first
        self._colors: npt.NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self._palette: tuple[QColor, ...] = ()
        self._marked: Rows = np.zeros(0, dtype=np.intp)
        self._axes: tuple[str, ...] = ()
        self._splatter = Splatter()
        self._seen: tuple[Floats, Floats, Floats] | None = None  # x, y, depth of `rows`
        self._image: npt.NDArray[np.uint32] | None = None  # kept while Qt draws it
        self._widths: dict[tuple[int, int], float] = {}  # of names, by row and font size
        self._drag: QPointF | None = None
        self._moved = False
        self._corners: list[QPointF] = []
        self._spin = QTimer(self)
        self._spin.setInterval(SPIN_MS)
        self._spin.timeout.connect(self._turn_on)
        self._left = 0  # pictures that the cloud still turns by itself
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # What is shown.

    def set_points(self, points: Floats, name: Names, order: Rows, keep_camera: bool = False) -> None:
        """Show points, shape (N, 2) or (N, 3).

        Args:
            points: As a projection gives them.
            name: Of a row, as it is written.
            order: Rows whose names are written first.
            keep_camera: Stay where one is, while the same points move.
        """
        same = len(points) == len(self._points)
        self._points = normalized(points)
        self._name, self._order = name, order
        self._seen = None
        flat = points.shape[1] == 2
        if not same:
            self._widths = {}
            self.rows = np.arange(len(points))
            self.selected = self._marked = np.zeros(0, dtype=np.intp)
            self.chosen = None
            self._colors = np.zeros(len(points), dtype=np.uint8)
            self._palette = ()
        if not keep_camera or flat != self.camera.flat:
            self.camera = Camera(flat=True) if flat else Camera().turned(-0.5, 0.35)
        self.update()

    def set_names(self, name: Names) -> None:
        """Write other names."""
        self._name = name
        self._widths = {}
        self.update()

    def set_colors(self, colors: npt.NDArray[np.uint8], palette: Sequence[QColor] = ()) -> None:
        """Color each point by its row of a palette; an empty one shows all in the first category."""
        self._colors, self._palette = colors, tuple(palette)
        self.update()

    def set_axes(self, labels: Sequence[str]) -> None:
        """Name the directions of the points; none have no names."""
        self._axes = tuple(labels)
        self.update()

    def set_marked(self, rows: Rows) -> None:
        """Mark points, such as what was found."""
        self._marked = rows
        self.update()

    def choose(self, row: int | None) -> None:
        """Mark the point that is looked into, without telling."""
        self.chosen = row
        self.update()

    def select(self, rows: Rows) -> None:
        """Select points, and tell."""
        self.selected = np.unique(rows)
        self.update()
        self.selection_changed.emit()

    def isolate(self, rows: Rows | None) -> None:
        """Show some points only; None shows all again."""
        self.rows = np.arange(len(self._points)) if rows is None else np.unique(rows)
        self._seen = None
        self.update()

    def set_camera(self, camera: Camera) -> None:
        """Look from elsewhere."""
        self.camera = camera
        self._seen = None
        self.update()
        self.camera_changed.emit()

    def reset(self) -> None:
        """Show the whole cloud again."""
        self.set_camera(Camera(flat=True) if self.camera.flat else Camera().turned(-0.5, 0.35))

    def go_to(self, row: int) -> None:
        """Move the camera so that a point is in the middle."""
        x, y, _ = project(self._points[row : row + 1], self.camera, self.width(), self.height())
        half = min(self.width(), self.height()) / 2
        if (
            abs(x[0] - self.width() / 2) > self.width() * 0.4
            or abs(y[0] - self.height() / 2) > self.height() * 0.4
        ):
            self.set_camera(
                self.camera.moved(
                    (self.width() / 2 - float(x[0])) / half, (float(y[0]) - self.height() / 2) / half
                )
            )

    def spin(self, seconds: float) -> None:
        """Turn by itself for a while, until it is touched."""
        self._left = int(seconds * 1000 / SPIN_MS)
        self._spin.start()

    def stop_spinning(self) -> None:
        """Stand still."""
        self._spin.stop()

    def _turn_on(self) -> None:
        self._left -= 1
        if self._left <= 0 or not self.isVisible():
            self._spin.stop()
        elif not self.camera.flat:
            self.set_camera(self.camera.turned(SPIN, 0))

    @property
    def zoomed_font(self) -> int:
        """Size of names in pixels; they grow with zoom."""
        grown = FONT[0] + 2 * max(0.0, math.log2(self.camera.zoom))
        return round(min(FONT[1], grown) * self.font().pixelSize() / 13)

    def where(self, row: int) -> QPointF | None:
        """Where a point appears; None where it is not in view."""
        x, y, _ = self._projected()
        at = np.flatnonzero(self.rows == row)
        return QPointF(float(x[at[0]]), float(y[at[0]])) if len(at) else None

    # Painting.

    def _projected(self) -> tuple[Floats, Floats, Floats]:
        if self._seen is None:
            points = self._points if len(self.rows) == len(self._points) else self._points[self.rows]
            self._seen = project(points, self.camera, self.width(), self.height())
        return self._seen

    def _shades(self, theme: Theme) -> npt.NDArray[np.uint8]:
        """The palette as numbers; with a selection everything else stands back."""
        colors = self._palette or (QColor(CATEGORIES[0]) if theme.name == "light" else QColor(CATEGORIES[4]),)
        back = QColor(theme.panel)
        if len(self.selected):
            colors = tuple(mix(color, back, 0.35) for color in colors)
        return np.array([(c.red(), c.green(), c.blue()) for c in colors], dtype=np.uint8)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        sharp = min(self.devicePixelRatioF(), math.sqrt(LARGE / max(1, self.width() * self.height())))
        sharp = max(1.0, sharp)
        with QPainter(self) as painter:
            self._image = self._pixels(theme, sharp)
            high, wide = self._image.shape
            image = QImage(self._image.data, wide, high, 4 * wide, QImage.Format.Format_RGB32)
            painter.drawImage(QRectF(0, 0, self.width(), self.height()), image)
            if len(self.rows):
                self._paint_labels(painter, theme)
                corner = QPointF(44, self.height() - 40)
                size = max(11, self.font().pixelSize() - 2)
                paint_axes(painter, self.camera, self._axes, corner, QColor(theme.secondary), size)
            self._paint_shape(painter, theme)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(theme.accent), 1))
                painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        self.frames += 1

    def _pixels(self, theme: Theme, sharp: float) -> npt.NDArray[np.uint32]:
        x, y, depth = self._projected()
        wide, high = max(1, round(self.width() * sharp)), max(1, round(self.height() * sharp))
        back = QColor(theme.panel)
        background = (back.red(), back.green(), back.blue())
        if sharp != 1.0:
            x, y = x * np.float32(sharp), y * np.float32(sharp)
        n = max(1, len(self.rows))
        size = max(
            2,
            round((2 if n > 3000 else 4 if n > 300 else 6) * sharp + math.log2(max(1, self.camera.zoom)) / 2),
        )
        colors = self._colors if len(self.rows) == len(self._colors) else self._colors[self.rows]
        image = self._splatter.splat(
            x,
            y,
            None if self.camera.flat else depth,
            colors,
            self._shades(theme),
            background,
            wide,
            high,
            size,
            DENSITY if n > 3000 else 3 * DENSITY,  # a few points do not lie over each other
        )
        for rows, color in ((self.selected, QColor(theme.accent)), (self._marked, QColor(theme.weight))):
            if len(rows):
                there = np.flatnonzero(np.isin(self.rows, rows, assume_unique=True))
                stamp(image, x[there], y[there], size + 1, (color.red(), color.green(), color.blue()))
        return image

    def _paint_labels(self, painter: QPainter, theme: Theme) -> None:
        x, y, _depth = self._projected()
        size = self.zoomed_font
        font = QFont(self.font())
        font.setPixelSize(size)
        metrics = QFontMetricsF(font)
        most = round(LABELS * (1 + 0.35 * max(0.0, math.log2(self.camera.zoom))) * self._room())
        first = (self._marked[: 4 * most], self.selected[: 4 * most], self._order)
        inside = np.flatnonzero((x > 0) & (x < self.width()) & (y > 0) & (y < self.height()))
        candidates, must = candidates_of(self.rows, x, y, inside, self.chosen, first, TRIED * most)

        def width_of(row: int) -> float:
            key = (row, size)
            if key not in self._widths:
                self._widths[key] = metrics.horizontalAdvance(self._name(row)) + 4
            return self._widths[key]

        self.labels = place_labels(
            candidates, width_of, metrics.height(), (self.width(), self.height()), most + must, must
        )
        painter.setFont(font)
        back = QColor(theme.panel)
        back.setAlpha(190)
        text, strong = QColor(theme.text), QColor(theme.accent)
        for label in self.labels:
            box = QRectF(label.left, label.top, label.width, metrics.height())
            painter.fillRect(box, back)
            painter.setPen(strong if label.row == self.chosen else text)
            painter.drawText(QPointF(label.left + 2, label.top + metrics.ascent()), self._name(label.row))
        if self.chosen is not None:
            at = self.where(self.chosen)
            if at is not None:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(strong, 2))
                painter.drawEllipse(at, 6, 6)

    def _room(self) -> float:
        """The picture's area, in that of the usual one."""
        return min(2.0, max(0.3, self.width() * self.height() / (640 * 480)))

    def _paint_shape(self, painter: QPainter, theme: Theme) -> None:
        """The rectangle or lasso that is being drawn."""
        if len(self._corners) < 2:
            return
        fill = QColor(theme.accent)
        fill.setAlpha(40)
        painter.setBrush(fill)
        painter.setPen(QPen(QColor(theme.accent), 1, Qt.PenStyle.DashLine))
        painter.drawPolygon(QPolygonF(self._outline()))

    def _outline(self) -> list[QPointF]:
        if self.tool is not Tool.RECTANGLE:
            return self._corners
        a, b = self._corners[0], self._corners[-1]
        return [a, QPointF(b.x(), a.y()), b, QPointF(a.x(), b.y())]

    # Mouse and keys.

    def sizeHint(self) -> QSize:
        return QSize(520, 420)

    def row_at(self, position: QPointF) -> int | None:
        """The point under the mouse."""
        x, y, _ = self._projected()
        found = nearest(x, y, (position.x(), position.y()), NEAR)
        return None if found is None else int(self.rows[found])

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.stop_spinning()
        self.touched.emit()
        self._drag, self._moved = event.position(), False
        if self.tool is not Tool.TURN and event.button() == Qt.MouseButton.LeftButton:
            self._corners = [event.position()]

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._drag is None:
            row = self.row_at(at)
            self.row_hovered.emit(-1 if row is None else row)
            return
        by = at - self._drag
        if not self._moved and by.manhattanLength() < 4:
            return
        self._moved = True
        if self._corners:
            self._corners.append(at)
            self.update()
            return
        half = min(self.width(), self.height()) / 2
        pans = self.camera.flat or event.buttons() & (
            Qt.MouseButton.RightButton | Qt.MouseButton.MiddleButton
        )
        if pans or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.set_camera(self.camera.moved(by.x() / half, -by.y() / half))
        else:
            self.set_camera(self.camera.turned(by.x() / half, by.y() / half))
        self._drag = at

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        corners, self._drag = self._outline() if self._corners else [], None
        self._corners = []
        if self._moved and len(corners) > 2:
            self._select_inside(corners, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif not self._moved:
            row = self.row_at(event.position())
            if row is not None:
                self.choose(row)
                self.row_chosen.emit(row)
        self.update()

    def _select_inside(self, corners: list[QPointF], also: bool) -> None:
        x, y, _ = self._projected()
        found = self.rows[inside_polygon(x, y, [(p.x(), p.y()) for p in corners])]
        self.select(np.union1d(self.selected, found) if also else found)

    def leaveEvent(self, event: object) -> None:
        self.row_hovered.emit(-1)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.stop_spinning()
        self.touched.emit()
        half = min(self.width(), self.height()) / 2
        at = event.position()
        place = ((at.x() - self.width() / 2) / half, (self.height() / 2 - at.y()) / half)
        self.set_camera(self.camera.zoomed(ZOOM ** (event.angleDelta().y() / 120), place))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        arrows = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, 1),
            Qt.Key.Key_Down: (0, -1),
        }
        self.stop_spinning()
        if key in arrows:
            right, up = (STEP * by for by in arrows[key])
            pans = self.camera.flat or event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            self.set_camera(self.camera.moved(right, up) if pans else self.camera.turned(right, -up))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            self.set_camera(self.camera.zoomed(1 / ZOOM if key == Qt.Key.Key_Minus else ZOOM))
        elif key in (Qt.Key.Key_0, Qt.Key.Key_Home):
            self.reset()
        elif key == Qt.Key.Key_Escape and (len(self.selected) or self._corners):
            self._corners = []
            self.select(np.zeros(0, dtype=np.intp))
        else:
            super().keyPressEvent(event)
            return
        self.touched.emit()

    def resizeEvent(self, event: object) -> None:
        self._seen = None

    def describe(self, what: str) -> None:
        """Say in words what is seen, for screen readers."""
        self.setAccessibleDescription(
            tr("{what} Arrow keys turn it, plus and minus zoom, 0 resets.", what=what)
        )
