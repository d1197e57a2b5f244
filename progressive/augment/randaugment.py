"""RandAugment for object detection, as an Albumentations transform."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import albumentations as A
import cv2
import numpy as np
from albumentations.core.type_definitions import Targets
from numpy.typing import NDArray

from progressive.augment.geometry import Matrix, Rectangle, move_boxes, move_points, warp
from progressive.augment.operations import (
    MAX_MAGNITUDE,
    OPERATIONS,
    Geometric,
    Photometric,
    left_out,
)

#: A box is dropped if a smaller fraction of its area is visible. Ultralytics' RandomPerspective
#: has the same limit.
MIN_VISIBLE = 0.1


class RandAugment(A.DualTransform):
    """Apply `num_ops` random operations of strength `magnitude` to an image and its labels.

    The operations are drawn uniformly and with replacement. If an operation has two directions, the
    direction is random (Cubuk et al., arXiv 1909.13719). `operations.py` defines the magnitudes.
    Boxes, keypoints and masks move with the image. A box is dropped if less than a tenth of its
    area is visible, because it is outside the image or under a cutout.

    Pixel operations are applied first, then all geometric operations as a single warp, then
    cutouts. In the order in which they were drawn, two warps would blur the image twice. What the
    first warp moves out of the image would be lost, even if the second one moves its box back. And
    Invert would invert the grey borders too.

    Images may have any number of channels. If they are not three, pixel operations treat each by
    itself, and Color, which needs red, green and blue, is not drawn (`operations.left_out`).

    Targets:
        image (uint8, any number of channels), mask, bboxes, keypoints

    Args:
        num_ops: number of operations for each image, at least 1.
        magnitude: strength, 0..30. EfficientNetV2 goes from 5 to 15 (S), 20 (M) or 25 (L).
        operations: names of the operations to draw from; None for all sixteen.
        fill: value of empty pixels. 114 is also what Ultralytics' letterbox and mosaic use, so
            all empty pixels look the same to the detector. The original uses 128.
        fill_mask: value of empty pixels in masks. Ultralytics' semantic masks need 255, "ignore".
        p: probability that an image is augmented at all.

    Raises:
        TypeError: an argument is not a number where one is needed, or an image is not uint8.
        ValueError: an argument is out of range, an operation is unknown, an image is empty, or none
            of the chosen operations means anything for its channels.

    Note:
        Channels are in RGB order, as everywhere in Albumentations. Ultralytics passes BGR images;
        there red and blue exchange their weights in the grey image that Color and Contrast use.
    """

    _targets = (Targets.IMAGE, Targets.MASK, Targets.BBOXES, Targets.KEYPOINTS)

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: float = 9.0,
        operations: Sequence[str] | None = None,
        fill: int = 114,
        fill_mask: int = 0,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=_number("p", p, 0, 1))
        if isinstance(num_ops, bool) or not isinstance(num_ops, int):
            raise TypeError(f"num_ops must be a whole number, got {num_ops!r}")
        if num_ops < 1:
            raise ValueError(f"num_ops must be at least 1, got {num_ops}")
        self.num_ops = num_ops
        self.magnitude = _number("magnitude", magnitude, 0, MAX_MAGNITUDE)
        self.operations = None if operations is None else _known(operations)
        self.fill = int(_number("fill", fill, 0, 255))
        self.fill_mask = int(_number("fill_mask", fill_mask, 0, 255))

    def get_params_dependent_on_data(
        self,
        params: dict[str, Any],
        data: dict[str, Any],  # noqa: ARG002 (Albumentations passes it by name)
    ) -> dict[str, Any]:
        """Draw the operations and prepare them for an image of this shape.

        Returns:
            `pixels`: names and strengths of the pixel operations, in order. `matrix`: the product
            of all geometric operations, None if there are none. `holes`: rectangles to hide.
        """
        height, width = params["shape"][:2]
        names = self._drawn_from(params["shape"])
        pixels: list[tuple[str, float]] = []
        matrix: Matrix | None = None
        holes: list[Rectangle] = []
        for name in self.py_random.choices(names, k=self.num_ops):
            operation = OPERATIONS[name]
            strength = self.py_random.choice(operation.scale.strengths(self.magnitude))
            if isinstance(operation, Photometric):
                pixels.append((name, strength))
            elif isinstance(operation, Geometric):
                step = operation.matrix(strength, height, width)
                matrix = step if matrix is None else step @ matrix
            else:
                x, y = self.py_random.random(), self.py_random.random()
                holes.append(operation.hole(strength, x, y, height, width))
        return {"pixels": pixels, "matrix": matrix, "holes": holes}

    def apply(
        self,
        img: NDArray[Any],
        pixels: Sequence[tuple[str, float]],
        matrix: Matrix | None,
        holes: Sequence[Rectangle],
        **_: Any,
    ) -> NDArray[Any]:
        """Augment an image of shape (H, W) or (H, W, C), without changing its shape."""
        _check_image(img)
        image = img.reshape(img.shape[:2]) if img.shape[2:] == (1,) else img
        for name, strength in pixels:
            operation = OPERATIONS[name]
            assert isinstance(operation, Photometric)
            image = _each_channel(operation, image, strength)
        if matrix is not None:
            image = warp(image, matrix, self.fill, cv2.INTER_LINEAR)
        return _cover(image, holes, self.fill).reshape(img.shape)

    def apply_to_mask(
        self,
        mask: NDArray[Any],
        matrix: Matrix | None,
        holes: Sequence[Rectangle],
        **_: Any,
    ) -> NDArray[Any]:
        """Move a mask of shape (H, W) or (H, W, C), without mixing its values."""
        if matrix is not None:
            mask = warp(mask, matrix, self.fill_mask, cv2.INTER_NEAREST)
        return _cover(mask, holes, self.fill_mask)

    def apply_to_bboxes(
        self,
        bboxes: NDArray[Any],
        matrix: Matrix | None,
        holes: Sequence[Rectangle],
        shape: tuple[int, ...],
        **_: Any,
    ) -> NDArray[Any]:
        """Move boxes, rows of (x_min, y_min, x_max, y_max, ...) in 0..1; drop invisible ones."""
        if len(bboxes) == 0 or (matrix is None and not holes):
            return bboxes
        height, width = shape[:2]
        sides = np.array([width, height, width, height], dtype=np.float64)
        matrix = np.eye(3) if matrix is None else matrix
        moved, visible = move_boxes(bboxes[:, :4] * sides, matrix, holes, height, width)
        result = bboxes.copy()
        result[:, :4] = np.clip(moved / sides, 0, 1)
        return result[visible >= MIN_VISIBLE]

    def apply_to_keypoints(
        self, keypoints: NDArray[Any], matrix: Matrix | None, **_: Any
    ) -> NDArray[Any]:
        """Move keypoints, rows of (x, y, z, angle, scale, ...) in pixels and radians.

        Keypoints outside the image are kept; `A.KeypointParams` decides whether to remove them. The
        scale does not change, because no operation changes an area.
        """
        if matrix is None or len(keypoints) == 0:
            return keypoints
        result = keypoints.copy()
        result[:, :2] = move_points(keypoints[:, :2].astype(np.float64), matrix)
        if keypoints.shape[1] > 3:
            angle = keypoints[:, 3].astype(np.float64)
            heading = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ matrix[:2, :2].T
            result[:, 3] = np.arctan2(heading[:, 1], heading[:, 0]) % (2 * np.pi)
        return result

    def _drawn_from(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Return the operations that mean something for an image of this shape."""
        channels = shape[2] if len(shape) > 2 else 1
        chosen, without = self.operations or tuple(OPERATIONS), left_out(channels)
        names = tuple(name for name in chosen if name not in without)
        if not names:
            raise ValueError(
                f"operations={list(chosen)}: need an image of 3 channels, got {channels}; "
                "choose others as well"
            )
        return names


def _number(name: str, value: float, low: float, high: float) -> float:
    """Return `value` as a float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is outside [low, high].
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
    if not low <= value <= high:  # this form refuses NaN too
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {value}")
    return float(value)


def _known(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple, or raise ValueError if there are none or one is unknown."""
    unknown = [names] if isinstance(names, str) else [n for n in names if n not in OPERATIONS]
    if unknown or not names:
        problem = f"got unknown {unknown}" if unknown else "got none"
        raise ValueError(f"operations must be names out of {list(OPERATIONS)}, {problem}")
    return tuple(names)


def _check_image(image: NDArray[Any]) -> None:
    """Raise TypeError or ValueError for an image that cannot be augmented."""
    if image.dtype != np.uint8:
        raise TypeError(f"RandAugment needs a uint8 image, got {image.dtype}")
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"RandAugment needs an image (H, W) or (H, W, C), got {image.shape}")


def _each_channel(operation: Photometric, image: NDArray[Any], strength: float) -> NDArray[Any]:
    """Apply a pixel operation to a grey or colour image as a whole, to any other by channels."""
    if image.ndim == 2 or image.shape[2] == 3:
        return operation.pixels(image, strength)
    single = (np.ascontiguousarray(image[..., channel]) for channel in range(image.shape[2]))
    return np.stack([operation.pixels(channel, strength) for channel in single], axis=-1)


def _cover(image: NDArray[Any], holes: Sequence[Rectangle], fill: float) -> NDArray[Any]:
    """Return a copy with filled rectangles, or the image itself if there are none."""
    if not holes:
        return image
    covered = image.copy()
    for x_min, y_min, x_max, y_max in holes:
        covered[int(y_min) : int(y_max), int(x_min) : int(x_max)] = fill
    return covered
