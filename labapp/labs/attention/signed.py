"""From numbers of either sign to a picture: blue is positive, orange negative, the deeper the larger."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QImage

from labapp.theme import CATEGORIES, Theme, mix

POSITIVE, NEGATIVE = CATEGORIES[0], CATEGORIES[1]
DEEPEST = 0.85  # share of the color where a number is largest
FULL = 99.0  # percentile of sizes from which on a color is at its deepest


def signed_color(share: float, theme: Theme) -> QColor:
    """The color of a number, given as a share of the largest, from −1 to 1."""
    color = QColor(POSITIVE if share > 0 else NEGATIVE)
    return mix(color, QColor(theme.panel), DEEPEST * min(1.0, abs(share)))


def signed_image(numbers: npt.NDArray[np.float32], theme: Theme, largest: float | None = None) -> QImage:
    """A pixel for each number; what is no number is left in the panel's color."""
    numbers = np.atleast_2d(np.nan_to_num(numbers))
    most = (float(np.percentile(np.abs(numbers), FULL)) if largest is None else largest) or 1.0
    colors = np.array([signed_color(i / 255, theme).rgb() for i in range(-255, 256)], dtype=np.uint32)
    levels = (np.clip(numbers / most, -1, 1) * 255).astype(np.int16) + 255
    pixels = np.ascontiguousarray(colors[levels])
    height, width = pixels.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
