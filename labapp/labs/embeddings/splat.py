"""Points into pixels: a cloud seen by a camera, as the colors of an image. numpy alone, no Qt.

Every point is a square of a few pixels. Where points lie over each other their colors are averaged and the
pixel gets denser, 1 − e^(−density · n): so no order of painting is needed, and no point hides all others.

N points, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
EYE = 3.2  # distance of the eye from the middle, in radii of the cloud: how strong perspective is
FILL = 0.88  # of the shorter side that the cloud takes at zoom 1
DENSITY = 0.75  # of one point, see above
FAR = 0.45  # weight of the farthest point, where the nearest has 1
NEARLY_ALL = 0.99  # share of the points that are within distance 1
ZOOMS = (0.2, 400.0)


def _straight() -> Floats:
    return np.eye(3, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Camera:
    """From where a cloud is seen.

    Attributes:
        turn: Rotation, shape (3, 3); its rows are the directions to the right, up, and to the eye.
        zoom: 1 shows the whole cloud.
        shift: Where the middle of the cloud stands, in half shorter sides right and up of the picture's
            middle.
        flat: Whether it looks at a plane: no perspective, no turning.
    """

    turn: Floats = field(default_factory=_straight)
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    flat: bool = False

    def turned(self, right: float, up: float) -> Camera:
        """The cloud turned by angles, in radians, about the picture's upright and level axis."""
        a, b, c, d = np.cos(right), np.sin(right), np.cos(up), np.sin(up)
        about_y = np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]])
        about_x = np.array([[1, 0, 0], [0, c, d], [0, -d, c]])
        made = about_x @ about_y @ self.turn.astype(np.float64)
        u, _, v = np.linalg.svd(made)  # stays a rotation after a thousand small turns
        return replace(self, turn=(u @ v).astype(np.float32))

    def zoomed(self, factor: float, at: tuple[float, float] = (0.0, 0.0)) -> Camera:
        """Nearer by a factor, about a place given as `shift` is: what lies there stays there."""
        zoom = min(max(self.zoom * factor, ZOOMS[0]), ZOOMS[1])
        by = zoom / self.zoom
        x, y = (p + (s - p) * by for p, s in zip(at, self.shift, strict=True))
        return replace(self, zoom=zoom, shift=(x, y))

    def moved(self, x: float, y: float) -> Camera:
        """Moved by half shorter sides."""
        return replace(self, shift=(self.shift[0] + x, self.shift[1] + y))


def normalized(points: Floats) -> Floats:
    """Points about their middle, the farthest but a few at distance 1, as three coordinates, shape (N, 3).

    The farthest 1 in 100 may stand outside: else one stray point makes a dot of all others. Values that are
    not finite are put into the middle.

    >>> normalized(np.array([[0, 0], [2, 0]], dtype=np.float32)).tolist()
    [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    made = np.zeros((len(points), 3), dtype=np.float32)
    if not len(points):
        return made
    good = np.asarray(np.isfinite(points).all(axis=1))
    if not good.any():
        return made
    shown = np.where(good[:, None], points, 0).astype(np.float32)
    made[:, : points.shape[1]] = shown - np.median(shown[good], axis=0)
    made[~good] = 0
    far = np.sqrt((made * made).sum(1))
    made /= float(np.quantile(far, NEARLY_ALL)) or 1.0
    return made


def project(points: Floats, camera: Camera, width: int, height: int) -> tuple[Floats, Floats, Floats]:
    """Where normalized points appear: x and y in pixels from the upper left corner, and depth toward the
    eye."""
    half = min(width, height) / 2
    scale = np.float32(half * FILL * camera.zoom)
    if camera.flat:
        x, y, depth = points[:, 0] * scale, points[:, 1] * scale, points[:, 2]
    else:
        seen = points @ camera.turn.T  # (N, 3)
        depth = seen[:, 2]
        near = np.float32(EYE) / np.maximum(np.float32(EYE) - depth, np.float32(0.2))
        near *= scale
        x, y = seen[:, 0] * near, seen[:, 1] * near
    return (
        x + np.float32(width / 2 + camera.shift[0] * half),
        np.float32(height / 2 - camera.shift[1] * half) - y,
        depth,
    )


class Splatter:
    """Makes images of points; it keeps the memory that it works in, which costs more to get than to fill.

    Attributes:
        size: Width and height of the images, in pixels.
    """

    def __init__(self) -> None:
        self.size = (0, 0)
        self._sums = np.zeros((4, 0, 0), dtype=np.float32)  # how many points, and their red, green and blue
        self._spare = np.zeros((0, 0), dtype=np.float32)

    def splat(
        self,
        x: Floats,
        y: Floats,
        depth: Floats | None,
        colors: npt.NDArray[np.uint8],
        palette: npt.NDArray[np.uint8],
        background: tuple[int, int, int],
        width: int,
        height: int,
        size: int = 2,
        density: float = DENSITY,
    ) -> npt.NDArray[np.uint32]:
        """The image of points, shape (H, W), each pixel 0xffRRGGBB.

        Args:
            x: Pixels from the left, shape (N,); what is outside is left out.
            y: Pixels from the top.
            depth: Toward the eye; what is far is paler. None: all alike.
            colors: Row of the palette of each point, shape (N,).
            palette: Colors, shape (K, 3), 0 to 255.
            background: Where there is no point.
            width: W.
            height: H.
            size: Of a point, in pixels.
            density: See above.
        """
        image = np.full(width * height, _packed(background), dtype=np.uint32)
        place, weight, chosen = _places(x, y, depth, colors, width, height, size)
        if not len(place):
            return image.reshape(height, width)
        shades = palette.astype(np.float32)
        one = len(palette) == 1
        sums = self._summed(place, weight, shades[chosen] if not one else None, width, height, size)
        full = np.flatnonzero(sums[0] > 0)
        amount = sums[0][full]
        cover = 1 - np.exp(-np.float32(density) * amount)
        packed = np.full(len(full), 0xFF, dtype=np.uint32)
        for c in range(3):
            mean = shades[0, c] if one else sums[1 + c][full] / amount
            value = np.float32(background[c]) + (mean - np.float32(background[c])) * cover
            packed <<= np.uint32(8)
            packed |= (value + np.float32(0.5)).astype(np.uint32)
        image[full] = packed
        return image.reshape(height, width)

    def _summed(
        self, place: npt.NDArray[np.intp], weight: Floats, shades: Floats | None, width: int, height: int,
        size: int,
    ) -> list[Floats]:  # fmt: skip
        """Of every pixel the weight of the points on it, then the sums of their colors; each shape (H ·
        W,)."""
        if self.size != (width, height):
            self.size = (width, height)
            self._sums = np.zeros((4, height, width), dtype=np.float32)
            self._spare = np.zeros((height, width), dtype=np.float32)
        made = []
        for n in range(1 if shades is None else 4):
            sums = self._sums[n]
            sums.fill(0)
            np.add.at(
                sums.reshape(-1), place, weight if shades is None or n == 0 else weight * shades[:, n - 1]
            )
            self._grow(sums, size)
            made.append(sums.reshape(-1))
        return made

    def _grow(self, sums: Floats, size: int) -> None:
        """Spread every pixel's sum over `size` × `size` pixels, right and down of it."""
        if size <= 1:
            return
        wide = self._spare
        np.copyto(wide, sums)
        for by in range(1, size):
            wide[:, by:] += sums[:, :-by]
        np.copyto(sums, wide)
        for by in range(1, size):
            sums[by:] += wide[:-by]


def _packed(color: tuple[int, int, int]) -> int:
    return 0xFF000000 | color[0] << 16 | color[1] << 8 | color[2]


def _places(
    x: Floats, y: Floats, depth: Floats | None, colors: npt.NDArray[np.uint8], width: int, height: int,
    size: int,
) -> tuple[npt.NDArray[np.intp], Floats, npt.NDArray[np.uint8]]:  # fmt: skip
    """The pixel of every point that is inside, its weight and its color."""
    off = np.float32(size // 2)  # the pixel that a square begins with
    left, top = x - off, y - off
    inside = np.flatnonzero((left >= 0) & (left < width) & (top >= 0) & (top < height))
    place = top[inside].astype(np.intp) * width + left[inside].astype(np.intp)
    if depth is None:
        weight = np.ones(len(inside), dtype=np.float32)
    else:
        weight = np.clip((depth[inside] + 1) * np.float32((1 - FAR) / 2) + np.float32(FAR), FAR, 1)
    return place, weight, colors[inside]


def stamp(
    image: npt.NDArray[np.uint32], x: Floats, y: Floats, size: int, color: tuple[int, int, int]
) -> None:
    """Set squares of one color over an image, shape (H, W); what is outside is left out."""
    height, width = image.shape
    left, top = x.astype(np.intp) - size // 2, y.astype(np.intp) - size // 2
    inside = (left >= 0) & (left < width - size) & (top >= 0) & (top < height - size)
    left, top = left[inside], top[inside]
    for down in range(size):
        for right in range(size):
            image[top + down, left + right] = _packed(color)


def nearest(x: Floats, y: Floats, at: tuple[float, float], within: float) -> int | None:
    """The point nearest to a place of the picture; None where there is none within so many pixels.

    >>> nearest(np.float32([1, 5]), np.float32([1, 1]), (4.5, 1.0), 3)
    1
    """
    if not len(x):
        return None
    far = np.abs(x - np.float32(at[0])) + np.abs(y - np.float32(at[1]))
    best = int(far.argmin())
    return best if far[best] <= within else None


def inside_polygon(x: Floats, y: Floats, corners: Sequence[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    """Which points lie inside a polygon, by the even-odd rule; shape (N,).

    >>> inside_polygon(np.float32([1, 3]), np.float32([1, 1]), [(0, 0), (2, 0), (2, 2), (0, 2)]).tolist()
    [True, False]
    """
    made = np.zeros(len(x), dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            made ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return made
