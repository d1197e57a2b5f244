"""Images and boxes of a folder in the format YOLO trains from, for hosts with no reader for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from progressive.data.images import label_path, walk_images
from progressive.errors import DatasetError

Sample = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


class YoloSamples(Sequence[Sample]):
    """The samples of a folder of images, whose labels are where Ultralytics looks for them.

    ``samples[i]`` is an image, uint8 RGB (H, W, 3); its boxes, (N, 4) with x_min, y_min, x_max,
    y_max in pixels; and their classes, integers (N,). An image without a label file has none.

    Args:
        folder: such as ``digits().parent / "images" / "train"``.

    Raises:
        DatasetError: the folder holds no image; on access, a file that cannot be read as one.
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
        middle, half = rows[:, 1:3], rows[:, 3:5] / 2
        corners = np.hstack([middle - half, middle + half]) * [width, height, width, height]
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), corners, rows[:, 0].astype(np.int64)


def _rows(file: Path) -> NDArray[Any]:
    """The lines of a label file: class, then centre x and y, width and height in 0..1."""
    if not file.is_file():
        return np.zeros((0, 5))
    try:
        rows = np.array([line.split() for line in file.read_text().splitlines()], dtype=float)
    except ValueError as error:
        raise DatasetError(f"{file}: every line must hold 5 numbers") from error
    if rows.size and rows.shape[1:] != (5,):
        raise DatasetError(f"{file}: every line must hold 5 numbers")
    return rows.reshape(-1, 5)
