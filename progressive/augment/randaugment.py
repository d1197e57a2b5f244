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
from progressive.augment.operations import MAX_MAGNITUDE, OPERATIONS, Geometric, Photometric

MIN_VISIBLE = 0.1  # Ultralytics' RandomPerspective draws the line at the same tenth of the area


class RandAugment(A.DualTransform):
    """Apply ``num_ops`` random operations of strength ``magnitude`` to an image and its labels.

    The operations are drawn with replacement and evenly, each with a random direction where it has
    one (Cubuk et al., arXiv 1909.13719). ``operations.py`` says what a magnitude means to each.
    Boxes, keypoints and masks follow the image. A box of which less than a tenth of the area is
    left to be seen, beyond the border or under a cutout, is dropped.

    Pixel operations go first, then all geometric ones as a single warp, then cutouts. In drawn
    order, two warps would blur twice and lose for good what left the image between them, though its
    box may come back; and Invert would make white borders out of grey ones.

    Targets:
        image (uint8, 1 or 3 channels), mask, bboxes, keypoints

    Args:
        num_ops: operations for each image, at least 1.
        magnitude: strength, 0..30. EfficientNetV2 goes from 5 up to 15 (S), 20 (M) or 25 (L).
        operations: names to draw from, all sixteen by default.
        fill: value of pixels with no image behind them. 114 is what Ultralytics' letterbox and
            mosaic use, so the detector sees one kind of nothing; the original uses 128.
        fill_mask: the same for masks. Semantic masks of Ultralytics want 255, "ignore".
        p: probability that an image is augmented at all.

    Raises:
        TypeError: if an argument is not a number where one is needed, or an image is not uint8.
        ValueError: if an argument is out of its range, an operation is unknown, or an image has
            neither 1 nor 3 channels.

    Note:
        Channels are taken to be RGB, as everywhere in Albumentations. Ultralytics hands over BGR;
        there red and blue swap their weights in the grey that Color and Contrast compare with.
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
        """Draw the operations and say what they do to an image of this shape.

        Returns:
            ``pixels``: names and strengths of the pixel operations, in order; ``matrix``: all
            geometric operations as one, None if there are none; ``holes``: rectangles to hide.
        """
        height, width = params["shape"][:2]
        pixels: list[tuple[str, float]] = []
        matrix: Matrix | None = None
        holes: list[Rectangle] = []
        for name in self.py_random.choices(self.operations or tuple(OPERATIONS), k=self.num_ops):
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
        """Augment an image of shape (H, W), (H, W, 1) or (H, W, 3); the shape stays."""
        _check_image(img)
        image = img.reshape(img.shape[:2]) if img.shape[2:] == (1,) else img
        for name, strength in pixels:
            operation = OPERATIONS[name]
            assert isinstance(operation, Photometric)
            image = operation.pixels(image, strength)
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
        """Move a mask of shape (H, W) or (H, W, C); values are kept, never mixed."""
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
        """Move boxes, rows of (x_min, y_min, x_max, y_max, ...) in 0..1, and drop the lost."""
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

        Those outside the image stay: whether they count is for ``A.KeypointParams`` to say. The
        scale stays too, since no operation changes an area.
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


def _number(name: str, value: float, low: float, high: float) -> float:
    """``value`` as a float; TypeError if it is no number, ValueError if outside [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
    if not low <= value <= high:  # written so that NaN is refused
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {value}")
    return float(value)


def _known(names: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple; ValueError if there is none or one is unknown."""
    unknown = [names] if isinstance(names, str) else [n for n in names if n not in OPERATIONS]
    if unknown or not names:
        problem = f"got unknown {unknown}" if unknown else "got none"
        raise ValueError(f"operations must be names out of {list(OPERATIONS)}, {problem}")
    return tuple(names)


def _check_image(image: NDArray[Any]) -> None:
    if image.dtype != np.uint8:
        raise TypeError(f"RandAugment needs a uint8 image, got {image.dtype}")
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"RandAugment needs 1 or 3 channels, got an image of shape {image.shape}")


def _cover(image: NDArray[Any], holes: Sequence[Rectangle], fill: float) -> NDArray[Any]:
    """A copy with the rectangles painted over; the array itself if there are none."""
    if not holes:
        return image
    covered = image.copy()
    for x_min, y_min, x_max, y_max in holes:
        covered[int(y_min) : int(y_max), int(x_min) : int(x_max)] = fill
    return covered
