"""From attention weights to a picture: the ramp from the panel's color to that of weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QImage

from labapp.theme import Theme, mix


def ramp(theme: Theme) -> npt.NDArray[np.uint32]:
    """256 colors for weights from 0 to 1, as 0xffRRGGBB."""
    panel, full = QColor(theme.panel), QColor(theme.weight)
    return np.array([mix(full, panel, i / 255).rgb() for i in range(256)], dtype=np.uint32)


def weights_image(weights: npt.NDArray[np.float32], colors: npt.NDArray[np.uint32]) -> QImage:
    """A pixel for each weight; what is no number is left in the panel's color."""
    levels = np.nan_to_num(np.clip(weights, 0.0, 1.0) * 255).astype(np.uint8)
    pixels = np.ascontiguousarray(colors[levels])
    height, width = pixels.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()


def ink(weight: float, theme: Theme) -> QColor:
    """The color in which a number is written on its own weight: whichever stands out."""
    under = mix(QColor(theme.weight), QColor(theme.panel), min(1.0, max(0.0, weight)))
    return QColor("#101318") if under.lightnessF() > 0.42 else QColor("#ffffff")
