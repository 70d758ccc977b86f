"""Large matrices made small enough for a picture; numpy alone, so that the window can use it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float32]


def shrink(matrix: Numbers, size: int) -> Numbers:
    """A matrix of at most size × size numbers for a picture: in each cell the one farthest from 0.

    >>> shrink(np.array([[1.0, -3.0, 0.5], [2.0, 0.0, 0.0]], dtype=np.float32), 2).tolist()
    [[-3.0, 0.5], [2.0, 0.0]]
    """
    for axis, n in enumerate(matrix.shape):
        if n > size:
            begins = np.arange(0, n, math.ceil(n / size))
            high = np.maximum.reduceat(matrix, begins, axis)
            low = np.minimum.reduceat(matrix, begins, axis)
            matrix = np.where(np.abs(low) > np.abs(high), low, high)
    return matrix
