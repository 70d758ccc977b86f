"""Points into pixels, and names beside them: what a cloud's picture is made of, without Qt."""

from __future__ import annotations

import numpy as np
import pytest

from labapp.labs.embeddings.labels import place_labels
from labapp.labs.embeddings.splat import (
    Camera,
    Splatter,
    inside_polygon,
    nearest,
    normalized,
    project,
    stamp,
)

WHITE = (255, 255, 255)
PALETTE = np.array([[255, 0, 0], [0, 0, 255]], dtype=np.uint8)


def at(*places: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*places, strict=True)
    return np.float32(x), np.float32(y)


def splat(x: np.ndarray, y: np.ndarray, colors: list[int], **values: object) -> np.ndarray:
    kind = np.array(colors, dtype=np.uint8)
    return Splatter().splat(x, y, None, kind, PALETTE, WHITE, 20, 10, **values)  # type: ignore[arg-type]


def channels(pixel: int) -> tuple[int, int, int]:
    return pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255


def test_a_point_covers_its_square_and_nothing_else() -> None:
    image = splat(*at((5, 4)), [0], size=2)
    covered = np.argwhere(image != 0xFFFFFFFF)
    assert covered.tolist() == [[3, 4], [3, 5], [4, 4], [4, 5]]
    red, green, blue = channels(int(image[3, 4]))
    assert red == 255
    assert green == blue < 255


def test_points_over_each_other_grow_denser_and_mix_their_colors() -> None:
    """Density 0.75: one point leaves e^−0.75 of the background, three leave e^−2.25."""
    one = channels(int(splat(*at((5, 4)), [0], size=1)[4, 5]))
    three = channels(int(splat(*at((5, 4), (5, 4), (5, 4)), [0, 0, 0], size=1)[4, 5]))
    both = channels(int(splat(*at((5, 4), (5, 4)), [0, 1], size=1)[4, 5]))
    assert one[1] == round(255 * np.exp(-0.75))
    assert three[1] == round(255 * np.exp(-2.25))
    assert both[0] == both[2], "a red and a blue point count alike"


def test_what_lies_outside_or_nowhere_is_left_out() -> None:
    image = splat(*at((-3, 4), (400, 4), (5, -9), (5, 99), (np.nan, 3)), [0] * 5)
    assert (image == 0xFFFFFFFF).all()


def test_an_empty_cloud_is_the_background() -> None:
    none = np.zeros(0, dtype=np.float32)
    assert (splat(none, none, []) == 0xFFFFFFFF).all()


def test_far_points_are_paler_than_near_ones() -> None:
    x, y = at((2, 2), (8, 2))
    depth = np.float32([-1, 1])
    image = Splatter().splat(x, y, depth, np.zeros(2, np.uint8), PALETTE, WHITE, 20, 10, size=1)
    assert channels(int(image[2, 2]))[1] > channels(int(image[2, 8]))[1]


def test_the_memory_it_works_in_is_taken_anew_for_another_size() -> None:
    maker = Splatter()
    x, y = at((5, 4))
    kind = np.zeros(1, dtype=np.uint8)
    small = maker.splat(x, y, None, kind, PALETTE, WHITE, 20, 10)
    assert maker.splat(x, y, None, kind, PALETTE, WHITE, 40, 30).shape == (30, 40)
    assert (maker.splat(x, y, None, kind, PALETTE, WHITE, 20, 10) == small).all(), "nothing is left of before"


def test_stamps_stay_inside_the_image() -> None:
    image = np.zeros((10, 20), dtype=np.uint32)
    stamp(image, *at((5, 5), (19, 9), (-4, 2)), 3, (1, 2, 3))
    assert (image == 0xFF010203).sum() == 9


def test_a_camera_turns_without_changing_distances() -> None:
    camera = Camera()
    for _ in range(500):
        camera = camera.turned(0.11, -0.07)
    assert np.allclose(camera.turn @ camera.turn.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(camera.turn) == pytest.approx(1, abs=1e-4)


def test_zooming_leaves_the_place_under_the_mouse_where_it_is() -> None:
    camera = Camera(flat=True).moved(0.2, -0.1)
    point = np.float32([[0.3, 0.4, 0]])
    x, y, _ = project(point, camera, 400, 300)
    place = ((float(x[0]) - 200) / 150, (150 - float(y[0])) / 150)
    zoomed = camera.zoomed(1.7, place)
    again_x, again_y, _ = project(point, zoomed, 400, 300)
    assert (again_x[0], again_y[0]) == pytest.approx((x[0], y[0]), abs=0.01)


def test_right_is_right_and_up_is_up() -> None:
    points = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    x, y, _ = project(points, Camera(), 400, 300)
    assert x[1] > x[0]
    assert y[2] < y[0]


def test_points_are_shown_about_their_middle_and_stray_ones_do_not_make_a_dot_of_the_others() -> None:
    draw = np.random.default_rng(1)
    points = draw.standard_normal((1000, 2)).astype(np.float32) + 50
    points[0] = (9000, 9000)
    made = normalized(points)
    assert made.shape == (1000, 3)
    spread = np.linalg.norm(made[1:, :2] - made[1:, :2].mean(0), axis=1)
    assert np.quantile(spread, 0.9) > 0.5
    assert normalized(np.float32([[np.nan, 1], [2, 3]]))[0].tolist() == [0, 0, 0]


def test_the_nearest_point_is_found_within_reach_only() -> None:
    x, y = at((10, 10), (14, 10))
    assert nearest(x, y, (13, 11), 5) == 1
    assert nearest(x, y, (80, 80), 5) is None
    assert nearest(x[:0], y[:0], (1, 1), 5) is None


def test_a_lasso_takes_what_is_inside_of_it_however_it_is_drawn() -> None:
    x, y = at((2, 2), (9, 2), (5, 5))
    corners = [(1.0, 1.0), (8.0, 1.0), (8.0, 4.0), (1.0, 4.0)]
    assert inside_polygon(x, y, corners).tolist() == [True, False, False]
    assert inside_polygon(x, y, corners[::-1]).tolist() == [True, False, False]


def test_no_two_names_lie_over_each_other_and_all_are_inside() -> None:
    draw = np.random.default_rng(2)
    many = [(n, float(x), float(y)) for n, (x, y) in enumerate(draw.uniform(0, 1, (400, 2)) * (500, 300))]
    labels = place_labels(many, lambda row: 30 + row % 40, 14, (500, 300), 80)
    assert 60 < len(labels) <= 80
    for i, a in enumerate(labels):
        assert a.left >= 0
        assert a.left + a.width <= 500
        assert a.top >= 0
        assert a.top + 14 <= 300
        for b in labels[:i]:
            apart_x = a.left + a.width <= b.left or b.left + b.width <= a.left
            assert apart_x or abs(a.top - b.top) >= 14


def test_names_that_come_first_get_their_place_first() -> None:
    near = [(7, 100.0, 50.0), (3, 102.0, 51.0)]
    assert next(label.row for label in place_labels(near, lambda row: 60, 14, (300, 100), 5)) == 7
    assert next(label.row for label in place_labels(near[::-1], lambda row: 60, 14, (300, 100), 5)) == 3
