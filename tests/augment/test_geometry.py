from __future__ import annotations

import cv2
import numpy as np
import pytest

from progressive.augment import geometry
from progressive.augment.geometry import clip_polygon, move_boxes, move_points, polygon_area, warp

UNIT = (0.0, 0.0, 1.0, 1.0)


def boxes(*rows):
    return np.array(rows, dtype=np.float64)


def test_a_quarter_turn_about_the_centre():
    matrix = geometry.rotation(90, height=10, width=20)
    corner, centre = move_points(np.array([[0.0, 0.0], [10.0, 5.0]]), matrix)
    assert corner == pytest.approx([15, -5])
    assert centre == pytest.approx([10, 5])


def test_shear_moves_along_one_axis_in_proportion_to_the_other():
    point = np.array([4.0, 10.0])
    assert move_points(point, geometry.shear_x(0.3, 50, 50)) == pytest.approx([7, 10])
    assert move_points(point, geometry.shear_y(-0.5, 50, 50)) == pytest.approx([4, 8])


def test_translation_is_relative_to_its_own_side_and_in_whole_pixels():
    origin = np.zeros(2)
    assert move_points(origin, geometry.translation_x(0.1, 200, 304)).tolist() == [30, 0]
    assert move_points(origin, geometry.translation_y(-0.1, 200, 304)).tolist() == [0, -20]


def test_a_polygon_inside_the_bounds_is_left_alone():
    triangle = [(0.2, 0.2), (0.8, 0.2), (0.5, 0.9)]
    assert clip_polygon(triangle, UNIT) == triangle


@pytest.mark.parametrize(
    ("polygon", "area"),
    [
        ([(0.5, 0.5), (1.5, 0.5), (1.5, 1.5), (0.5, 1.5)], 0.25),  # overlaps a corner
        ([(0.5, -0.5), (1.5, 0.5), (0.5, 1.5), (-0.5, 0.5)], 1.0),  # a diamond around the square
        ([(-1, -1), (2, -1), (2, 2), (-1, 2)], 1.0),  # all around
        ([(0, 0), (2, 0), (0, 2)], 1.0),  # the long side touches the opposite corner
        ([(0, 0), (1.5, 0), (0, 1.5)], 0.875),  # that corner is cut off
        ([(2, 2), (3, 2), (3, 3)], 0.0),  # outside
        ([(1, 0), (2, 0), (2, 1), (1, 1)], 0.0),  # next to it
    ],
)
def test_area_of_a_clipped_polygon(polygon, area):
    assert polygon_area(clip_polygon(polygon, UNIT)) == pytest.approx(area)


def test_a_box_pushed_half_out_is_cut_and_half_visible():
    matrix = geometry.translation_x(0.4, 100, 100)
    moved, visible = move_boxes(boxes([50, 20, 70, 40]), matrix, [], 100, 100)
    assert moved.tolist() == [[90, 20, 110 - 10, 40]]
    assert visible == pytest.approx([0.5])


def test_a_square_turned_by_45_degrees_needs_a_larger_box():
    matrix = geometry.rotation(45, 100, 100)
    moved, visible = move_boxes(boxes([40, 40, 60, 60]), matrix, [], 100, 100)
    reach = 14.1421356
    assert moved[0] == pytest.approx([50 - reach, 50 - reach, 50 + reach, 50 + reach])
    assert visible.tolist() == [1]


def test_a_turned_box_at_the_border_is_as_tight_as_what_is_left_of_it():
    # A diamond whose corners are 20 from its centre. The centre is 10 outside the left border. What
    # is left is a triangle of height 10 with its base from y = 90 to 110; the whole diamond goes
    # from y = 80 to 120.
    side = 20 * 2**0.5
    matrix = geometry.rotation(45, 200, 0)  # about (0, 100)
    matrix[0, 2] -= 10
    box = boxes([-side / 2, 100 - side / 2, side / 2, 100 + side / 2])
    moved, visible = move_boxes(box, matrix, [], 200, 200)
    assert moved[0] == pytest.approx([0, 90, 10, 110])
    assert visible[0] == pytest.approx(100 / 800)


def test_a_hole_hides_but_does_not_shrink_a_box():
    hole = (0.0, 0.0, 50.0, 15.0)
    rows = boxes([10, 10, 30, 20], [10, 0, 20, 15], [60, 0, 70, 10])
    moved, visible = move_boxes(rows, np.eye(3), [hole], 100, 100)
    assert moved.tolist() == rows.tolist()
    assert visible == pytest.approx([0.5, 0, 1])


def test_what_is_outside_and_what_has_no_area_is_invisible():
    matrix = geometry.translation_y(0.9, 100, 100)
    rows = boxes([10, 20, 30, 40], [10, 10, 10, 30])
    assert move_boxes(rows, matrix, [], 100, 100)[1].tolist() == [0, 0]


def test_a_half_turn_is_a_mirror_in_both_axes(photo):
    turned = warp(photo, geometry.rotation(180, *photo.shape[:2]), 0, cv2.INTER_NEAREST)
    assert np.array_equal(turned, photo[::-1, ::-1])


@pytest.mark.parametrize(("right", "down"), [(3, 0), (-3, 2), (0, -5), (7, 9), (100, 0)])
def test_a_shift_is_what_it_says(right, down):
    image = np.arange(1, 61, dtype=np.uint8).reshape(6, 10)
    matrix = np.array([[1, 0, right], [0, 1, down], [0, 0, 1]], dtype=np.float64)
    expected = np.zeros_like(image)
    for y in range(6):
        for x in range(10):
            if 0 <= y + down < 6 and 0 <= x + right < 10:
                expected[y + down, x + right] = image[y, x]
    assert np.array_equal(warp(image, matrix, 0, cv2.INTER_NEAREST), expected)


@pytest.mark.parametrize("kind", ["bool", "int8", "int32", "int64", "uint16", "float32"])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (6,)])
def test_masks_of_any_type_and_number_of_channels_can_be_warped(kind, channels):
    mask = np.zeros((20, 30, *channels), dtype=kind)
    mask[8:12, 13:17] = 1
    warped = warp(mask, geometry.rotation(90, 20, 30), 0, cv2.INTER_NEAREST)
    assert warped.dtype == mask.dtype
    assert np.array_equal(warped, mask)  # a centred square does not change
