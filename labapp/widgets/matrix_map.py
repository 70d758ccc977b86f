"""A matrix as a picture: a pixel for a number or a tile of them, one color above 0 and one below."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from labapp.theme import CATEGORIES, Theme, mix, theme_of
from labapp.words import tr

HEAD, FOOT = 20, 18  # px for the title, and for the scale below


class MatrixMap(QWidget):
    """Rows from the top, columns from the left. Above 0 in the color of weights, below in blue.

    Args:
        title: What it is.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.shape_text = ""
        self._values: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._most = 0.0
        self._image: tuple[str, QImage] | None = None
        self.setAccessibleName(title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_matrix(self, values: npt.NDArray[np.float32], most: float, shape_text: str) -> None:
        """Show numbers.

        Args:
            values: (rows, columns); pooled already where they are many.
            most: The number that has the full color.
            shape_text: The shape of the whole matrix, in words.
        """
        self._values, self._most, self._image = values, most, None
        self.shape_text = shape_text
        self.setAccessibleDescription(self.in_words())
        self.update()

    def in_words(self) -> str:
        """The picture in a sentence."""
        if not self._values.size:
            return ""
        largest = float(np.abs(self._values).max())
        return tr("{title}, {shape}: the largest number is {n:.3g}", title=self.title,
                  shape=self.shape_text, n=largest)  # fmt: skip

    def sizeHint(self) -> QSize:
        return QSize(200, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(90, 90)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            font = self.font()
            font.setPixelSize(max(11, font.pixelSize() - 1))
            painter.setFont(font)
            painter.setPen(QColor(theme.text))
            left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, 0, self.width(), HEAD), left, self.title)
            if not self._values.size:
                return
            box = QRectF(0, HEAD, self.width(), self.height() - HEAD - FOOT)
            painter.drawImage(box, self._picture(theme))
            painter.setPen(QColor(theme.line))
            painter.drawRect(box.adjusted(0, 0, -1, -1))
            painter.setPen(QColor(theme.secondary))
            text = tr("{shape}, color ± {n:.2g}", shape=self.shape_text, n=self._most)
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(QRectF(0, self.height() - FOOT, self.width(), FOOT), left, text)

    def _picture(self, theme: Theme) -> QImage:
        if self._image is None or self._image[0] != theme.name:
            self._image = (theme.name, signed_image(self._values, self._most, theme))
        return self._image[1]


def signed_image(values: npt.NDArray[np.float32], most: float, theme: Theme) -> QImage:
    """A pixel for each number: the panel's color at 0, full color at ± `most`."""
    panel = QColor(theme.panel)
    above, below = QColor(theme.weight), QColor(CATEGORIES[0] if theme.name == "light" else CATEGORIES[4])
    colors = np.array(
        [mix(below, panel, 1 - i / 127).rgb() for i in range(127)]
        + [mix(above, panel, i / 127).rgb() for i in range(128)],
        dtype=np.uint32,
    )
    levels = np.clip(np.nan_to_num(values / (most or 1.0)) * 127 + 127, 0, 254).astype(np.uint8)
    pixels = np.ascontiguousarray(colors[levels])
    height, width = pixels.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
