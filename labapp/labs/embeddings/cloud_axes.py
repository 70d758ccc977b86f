"""Where the directions of a cloud lead: a small cross in its corner."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from labapp.labs.embeddings.splat import Camera
from labapp.words import tr

LONG = 22.0  # px of an arm


def paint_axes(
    painter: QPainter, camera: Camera, names: Sequence[str], root: QPointF, color: QColor, size: int
) -> None:
    """Draw an arm for each direction, with the number of its component or coordinate, or with its words.

    Args:
        painter: Of the widget.
        camera: From where the cloud is seen.
        names: Of the directions.
        root: Where the arms meet.
        color: Of the arms.
        size: Of the letters, in pixels.
    """
    font = QFont(painter.font())
    font.setPixelSize(size)
    painter.setFont(font)
    for n, name in enumerate(names):
        turn = camera.turn
        x, y = (1.0 - n, float(n)) if camera.flat else (float(turn[0, n]), float(turn[1, n]))
        painter.setPen(QPen(color, 1.5))
        painter.drawLine(root, root + QPointF(x * LONG, -y * LONG))
        short = name.removeprefix(tr("component ")).removeprefix(tr("coordinate "))
        if camera.flat and short == name:  # an axis of words: there is room for its name
            at = QPointF(root.x() + 28, root.y() + 4) if n == 0 else QPointF(root.x() - 24, root.y() - 28)
            painter.drawText(at, name[:60])
        else:
            at = root + QPointF(x * (LONG + 9), -y * (LONG + 9))
            place = QRectF(at.x() - 14, at.y() - 8, 28, 16)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, short[:4])
