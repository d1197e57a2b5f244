"""How large the objects of a data set are, from some of its labels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from progressive.data.detection import read_yaml, split_images
from progressive.data.images import label_path

#: Labelled images to look at: enough for a median, in a few milliseconds.
LOOKED_AT = 500


def median_object_side(file: Path, root: Path) -> float | None:
    """Return the median side of the training objects, as a fraction of the side of their image.

    The side of an object is the square root of the area of its box; of an outline, of the box
    around it.

    Args:
        file: the data yaml, checked.
        root: what its paths are relative to.

    Returns:
        None if the labels that were looked at hold no object.
    """
    data = read_yaml(file)
    images = split_images(file, data, root, "train")
    shape = data.get("kpt_shape")
    keypoints = shape[0] * shape[1] if shape else 0
    labels = (path for path in map(Path, map(label_path, images)) if path.is_file())
    sides = [side for path in islice(labels, LOOKED_AT) for side in _sides(path, keypoints)]
    return median(sides) if sides else None


def _sides(path: Path, keypoints: int) -> Iterator[float]:
    """Yield the side of every object in a label file; other lines are for others to tell.

    Args:
        path: of the file.
        keypoints: numbers that an object may have behind its box.
    """
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            _, *numbers = map(float, line.split())
        except ValueError:
            continue
        if keypoints and len(numbers) == 4 + keypoints:
            del numbers[4:]
        if len(numbers) == 4:
            width, height = numbers[2:]
        elif len(numbers) >= 6:
            xs, ys = numbers[0::2], numbers[1::2]
            width, height = max(xs) - min(xs), max(ys) - min(ys)
        else:
            continue
        if 0 < width <= 1 and 0 < height <= 1:
            yield (width * height) ** 0.5
