"""The geometry of RandAugment: one matrix moves pixels, masks, boxes and keypoints.

Coordinates are continuous and in pixels, x to the right and y down. Pixel i covers [i, i + 1), so
the image is the rectangle (0, 0, width, height). Boxes and keypoints use these coordinates. In
OpenCV, integer coordinates are the centres of pixels; only `warp` has to take care of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Shape (3, 3), maps a point of the input to its place in the output.
Matrix = NDArray[np.float64]

#: Shape (..., 2), x and y.
Points = NDArray[np.float64]

#: x_min, y_min, x_max, y_max.
Rectangle = tuple[float, float, float, float]

#: Types that cv2.warpAffine accepts. Other types are converted to float64 and back.
_WARPABLE = frozenset(np.dtype(kind) for kind in ("u1", "u2", "i2", "f4", "f8"))


def rotation(degrees: float, height: int, width: int) -> Matrix:
    """Return a rotation about the centre of the image."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y = width / 2, height / 2
    return _matrix(
        cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y
    )


def shear_x(slope: float, _height: int, _width: int) -> Matrix:
    """Return a shear that moves each row by `slope` times its distance from the top edge."""
    return _matrix(1, slope, 0, 0, 1, 0)


def shear_y(slope: float, _height: int, _width: int) -> Matrix:
    """Return a shear that moves each column by `slope` times its distance from the left edge."""
    return _matrix(1, 0, 0, slope, 1, 0)


def translation_x(fraction: float, _height: int, width: int) -> Matrix:
    """Return a shift by a fraction of the width, in whole pixels so that nothing is blurred."""
    return _matrix(1, 0, round(fraction * width), 0, 1, 0)


def translation_y(fraction: float, height: int, _width: int) -> Matrix:
    """Return a shift by a fraction of the height, in whole pixels so that nothing is blurred."""
    return _matrix(1, 0, 0, 0, 1, round(fraction * height))


def warp(image: NDArray[Any], matrix: Matrix, fill: float, interpolation: int) -> NDArray[Any]:
    """Move the pixels of an image or mask. Its size does not change.

    Args:
        image: (H, W) or (H, W, C), any numeric type.
        matrix: in the coordinates of this module.
        fill: value of output pixels that come from outside the input.
        interpolation: an OpenCV flag; masks need `cv2.INTER_NEAREST`.
    """
    shift_x, shift_y = matrix[0, 2], matrix[1, 2]
    if np.array_equal(matrix[:2, :2], np.eye(2)) and shift_x % 1 == 0 and shift_y % 1 == 0:
        return _shift(image, int(shift_x), int(shift_y), fill)
    if image.dtype not in _WARPABLE:
        warped = warp(image.astype(np.float64), matrix, fill, interpolation)
        return warped.astype(image.dtype)
    if image.ndim == 3 and image.shape[2] > 4:  # OpenCV has four fill values
        parts = [image[..., start : start + 4] for start in range(0, image.shape[2], 4)]
        moved = [warp(np.ascontiguousarray(part), matrix, fill, interpolation) for part in parts]
        return np.concatenate(moved, axis=2)
    height, width = image.shape[:2]
    centred = _matrix(1, 0, -0.5, 0, 1, -0.5) @ matrix @ _matrix(1, 0, 0.5, 0, 1, 0.5)
    warped = cv2.warpAffine(
        image,
        centred[:2],
        (width, height),
        flags=interpolation,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill,) * 4,
    )
    return warped.reshape(image.shape)  # OpenCV removes a channel axis of length 1


def move_points(points: Points, matrix: Matrix) -> Points:
    """Return points of shape (..., 2), moved by a matrix."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def move_boxes(
    boxes: NDArray[np.float64],
    matrix: Matrix,
    holes: Sequence[Rectangle],
    height: int,
    width: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the moved boxes, and which fraction of each is visible.

    A moved box is a parallelogram. Its new box is the tightest box around the part of the
    parallelogram that is inside the image. It contains every visible point of the object. It is
    never larger than the usual result, which is the box of the whole parallelogram, cut at the
    border. Holes make a box less visible, but not smaller.

    Args:
        boxes: (n, 4) as x_min, y_min, x_max, y_max in pixels.
        matrix: as for `warp`.
        holes: hidden rectangles of the output image.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Returns:
        The boxes, (n, 4), and the visible fraction of the area of each, (n,), in 0..1. Where two
        holes overlap, the overlap counts twice. The box of an invisible object is meaningless.
    """
    quads = move_points(boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]], matrix)
    moved = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
    visible = np.ones(len(boxes))
    frame = (0.0, 0.0, float(width), float(height))
    cut = (moved[:, :2] < 0).any(axis=1) | (moved[:, 2:] > (width, height)).any(axis=1)
    for hole in holes:
        cut |= (moved[:, :2] < hole[2:]).all(axis=1) & (moved[:, 2:] > hole[:2]).all(axis=1)
    for row in np.flatnonzero(cut):
        moved[row], visible[row] = _visible_part(quads[row].tolist(), frame, holes)
    return moved, visible


def clip_polygon(polygon: Iterable[Sequence[float]], bounds: Rectangle) -> list[Sequence[float]]:
    """Return the part of a convex polygon inside a rectangle (Sutherland and Hodgman, 1974).

    Args:
        polygon: corners (x, y) in order.
        bounds: the rectangle.

    Returns:
        The corners of that part, in the same order; empty if the polygon is outside.
    """
    corners = list(polygon)
    for axis, limit, side in zip((0, 1, 0, 1), bounds, (1, 1, -1, -1), strict=True):
        kept: list[Sequence[float]] = []
        for start, stop in zip(corners, corners[1:] + corners[:1], strict=True):
            before, after = side * (start[axis] - limit), side * (stop[axis] - limit)
            if before >= 0:
                kept.append(start)
            if before * after < 0:
                share = before / (before - after)
                crossing = [a + share * (b - a) for a, b in zip(start, stop, strict=True)]
                crossing[axis] = limit
                kept.append(crossing)
        corners = kept
    return corners


def polygon_area(polygon: Sequence[Sequence[float]]) -> float:
    """Return the area of a simple polygon (shoelace formula); 0 with fewer than three corners."""
    if len(polygon) < 3:
        return 0.0
    following = [*polygon[1:], polygon[0]]
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, following, strict=True))
    return abs(twice) / 2


def _visible_part(
    quad: list[Sequence[float]], frame: Rectangle, holes: Sequence[Rectangle]
) -> tuple[Rectangle, float]:
    """Return the box around the part of `quad` inside `frame`, and its visible fraction."""
    part, whole = clip_polygon(quad, frame), polygon_area(quad)
    if whole == 0 or not part:
        return frame, 0.0
    seen = polygon_area(part) - sum(polygon_area(clip_polygon(part, hole)) for hole in holes)
    xs, ys = [point[0] for point in part], [point[1] for point in part]
    return (min(xs), min(ys), max(xs), max(ys)), max(seen / whole, 0.0)


def _shift(image: NDArray[Any], right: int, down: int, fill: float) -> NDArray[Any]:
    """Move an image by whole pixels. This is a copy, many times faster than a warp."""
    height, width = image.shape[:2]
    moved = np.full_like(image, fill)
    if abs(right) < width and abs(down) < height:
        source = image[max(-down, 0) : height - down, max(-right, 0) : width - right]
        top, left = max(down, 0), max(right, 0)
        moved[top : top + source.shape[0], left : left + source.shape[1]] = source
    return moved


def _matrix(a: float, b: float, c: float, d: float, e: float, f: float) -> Matrix:
    """Return the matrix with the rows (a, b, c), (d, e, f) and (0, 0, 1)."""
    return np.array([[a, b, c], [d, e, f], [0, 0, 1]], dtype=np.float64)
