"""Read images and boxes in YOLO format, for hosts that have no reader for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from progressive.data.images import label_path, walk_images
from progressive.errors import DatasetError

#: An image, its boxes and their classes.
Sample = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


class YoloSamples(Sequence[Sample]):
    """The images of a folder with their labels, which are where Ultralytics looks for them.

    `samples[i]` is a tuple of three arrays: the image, uint8 RGB, (H, W, 3); its boxes, (N, 4), as
    x_min, y_min, x_max, y_max in pixels; and the classes of the boxes, integers, (N,). An image
    without a label file has no boxes.

    Args:
        folder: a folder of images, such as `digits().parent / "images" / "train"`.

    Attributes:
        images: paths of the images, sorted.

    Raises:
        DatasetError: the folder contains no image. On access: an image or a label file that cannot
            be read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.images = sorted(walk_images(Path(folder).absolute()))
        if not self.images:
            raise DatasetError(f"folder={folder}: holds no image")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        path = self.images[index]
        image = cv2.imread(path)
        if image is None:
            raise DatasetError(f"{path}: is not an image that can be read")
        height, width = image.shape[:2]
        rows = _rows(Path(label_path(path)))
        centre, half = rows[:, 1:3], rows[:, 3:5] / 2
        corners = np.hstack([centre - half, centre + half]) * [width, height, width, height]
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), corners, rows[:, 0].astype(np.int64)


def _rows(file: Path) -> NDArray[Any]:
    """Return the lines of a label file, (N, 5): class, centre x and y, width, height in 0..1."""
    if not file.is_file():
        return np.zeros((0, 5))
    try:
        lines = file.read_text("utf-8-sig").splitlines()
        rows = np.array([row for line in lines if (row := line.split())], dtype=float)
    except ValueError as error:
        raise DatasetError(f"{file}: every line must hold 5 numbers") from error
    if rows.size and rows.shape[1:] != (5,):
        raise DatasetError(f"{file}: every line must hold 5 numbers")
    return rows.reshape(-1, 5)
