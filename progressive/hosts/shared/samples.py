"""Check a sample of a detector, in whatever types it comes, the first time it is seen.

A schedule may begin without augmentation, so what augmentation cannot take has to be refused, or
brought into shape, before it begins: in the first stage, not at a boundary hours later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from progressive.errors import InputError


def as_image(image: Any, name: str = "image") -> NDArray[np.uint8]:
    """Return an image as an array, uint8, (H, W) or (H, W, C); an array is returned as it is.

    Args:
        image: an array, or what NumPy takes for one, such as an image of Pillow.
        name: what to call it in an error.

    Raises:
        InputError: it is something else, such as a tensor, or has other values than uint8.
    """
    found: Any = image
    if not isinstance(image, (np.ndarray, torch.Tensor)):
        try:
            found = np.array(image)  # a copy: what Pillow shares must not be written to
        except (TypeError, ValueError):  # lists of several lengths
            found = None
    if (
        not isinstance(found, np.ndarray)
        or found.dtype != np.uint8
        or found.ndim not in (2, 3)
        or 0 in found.shape
    ):
        raise InputError(f"{name}: must be a uint8 array (H, W) or (H, W, C), got {kind(image)}")
    return found


def cut_boxes(
    boxes: Any, labels: Any, height: int, width: int
) -> tuple[NDArray[np.floating], Any, NDArray[np.intp]]:
    """Cut boxes to their image, and drop those of which no area is left, with their labels.

    Args:
        boxes: (N, 4), x_min, y_min, x_max, y_max in pixels: an array, a tensor or a list.
        labels: (N,): an array, a tensor, a list or a tuple.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        The boxes, (M, 4), the labels as they came, (M,), and which rows these are.

    Raises:
        InputError: boxes of another shape, or as many labels as there are not boxes.
    """
    found = as_boxes(boxes)
    if row_count(labels) != len(found):
        raise InputError(f"labels={kind(labels)}: must be one for each of {len(found)} boxes")
    # In float32, as detectors compute: a box may be too thin to have an area there.
    cut = np.clip(found, 0, [width, height, width, height])
    sides = cut.astype(np.float32)[:, 2:] - cut.astype(np.float32)[:, :2]
    kept = np.flatnonzero((sides > 0).all(axis=1))
    if len(kept) < len(cut):
        cut, labels = cut[kept], take(labels, kept)
    return cut, labels, kept


def as_boxes(boxes: Any) -> NDArray[np.floating]:
    """Return boxes as an array of floating point, (N, 4); an empty list has no boxes.

    Raises:
        InputError: they are something else.
    """
    try:
        rows = boxes.detach().cpu() if isinstance(boxes, torch.Tensor) else boxes
        found = np.asarray(rows)
        if not np.issubdtype(found.dtype, np.floating):
            found = found.astype(np.float64)
    except (TypeError, ValueError):
        found = np.zeros(1)
    if found.size == 0 and found.ndim < 3:
        found = found.reshape(0, 4)
    if found.shape[1:] != (4,):
        raise InputError(
            f"boxes: must be (N, 4), x_min, y_min, x_max, y_max in pixels, got {kind(boxes)}"
        )
    return found


def as_classes(labels: Any) -> list[int]:
    """Return classes as integers.

    Raises:
        InputError: one is no whole number of at least 0.
    """
    try:
        # A text would be read as the number that it spells, and a fraction would be cut.
        found = [-1.0 if isinstance(label, str) else float(label) for label in labels]
    except (TypeError, ValueError):
        found = [-1.0]
    if not all(number >= 0 and number.is_integer() for number in found):
        raise InputError(f"classes must be whole numbers of at least 0, got {kind(labels)}")
    return [int(number) for number in found]


def take(rows: Any, kept: NDArray[np.intp]) -> Any:
    """Return some rows of an array, a tensor, a list or a tuple, as one of the same kind."""
    if isinstance(rows, torch.Tensor):
        return rows[torch.as_tensor(kept)]
    if isinstance(rows, np.ndarray):
        return rows[kept]
    found = [rows[index] for index in kept.tolist()]
    return tuple(found) if isinstance(rows, tuple) else found


def join(first: Any, second: Any) -> Any:
    """Return the rows of two arrays, tensors, lists or tuples of one kind."""
    if isinstance(first, torch.Tensor):
        return torch.cat([first, second])
    return np.concatenate([first, second]) if isinstance(first, np.ndarray) else first + second


def row_count(value: Any) -> int | None:
    """Return the number of rows of an array, a tensor, a list or a tuple; None if it has none."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return len(value) if value.ndim else None
    return (
        len(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else None
    )


def must_be(name: str, value: Any, wanted: type) -> None:
    """Raise InputError, naming `name`, unless `value` is of type `wanted`."""
    if not isinstance(value, wanted):
        raise InputError(f"{name}={kind(value)}: must be a {wanted.__name__}")


def kind(value: Any) -> str:
    """Describe a value by its type and shape."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        values = str(value.dtype).removeprefix("torch.")
        return f"{type(value).__name__} of {values} {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) < 40 else f"a {type(value).__name__}"
