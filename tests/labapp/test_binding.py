"""The Qt binding itself: faults of a release that would end the app hours later."""

import sys

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFont, QImage, QPainter


def test_calls_that_return_nothing_leave_the_count_of_none_alone(qapp: object) -> None:
    image = QImage(8, 8, QImage.Format.Format_ARGB32)
    painter, font = QPainter(image), QFont()
    before = sys.getrefcount(None)
    for _ in range(1000):
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(QRectF(0, 0, 5, 5), 3, 3)
        font.setPixelSize(12)
    assert abs(sys.getrefcount(None) - before) < 100
    painter.end()
