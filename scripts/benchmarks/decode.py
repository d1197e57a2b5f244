"""Loading a photograph at the size of a stage, against decoding it in full and resizing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from benchmarks.rows import Row
from numpy.typing import NDArray

from progressive.hosts.ultralytics.images.dataset import stage_size
from progressive.hosts.ultralytics.images.decode import Size, read_image

Encoded = NDArray[np.uint8]
Target = Callable[[Size], Size]

#: Real photographs, by the package they come with. The largest has 1280 px, so all are enlarged.
PHOTOGRAPHS = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("ultralytics", "assets/zidane.jpg"),
)
QUALITY = 90
REPEATS = 15


def rows(data: str | None = None) -> list[Row]:
    """Compare on one thread, with files already in memory.

    Args:
        data: yaml of a data set, whose first 50 training images are loaded at half their size.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        found = [
            row
            for side in (1920, 3008, 4032)
            for row in _compare(f"photographs of {side} px at 640", _enlarged(side), 640, ">= 2.0")
        ]
        for name, images, half in _training_images(data):
            # Smaller ones are mostly entropy decoding, which nothing speeds up.
            found += _compare(f"{name} at {half}", images, half, ">= 1.5" if half >= 320 else "")
        return found
    finally:
        cv2.setNumThreads(threads)


def _compare(name: str, images: Sequence[Encoded], size: int, target: str) -> list[Row]:
    """Return the time of two full decodes over that of a reduced one.

    Area resizing is what a reduced decode looks like; bilinear is what Ultralytics does.
    """
    to_stage = partial(stage_size, size, True, False)
    readers: dict[str, Callable[[Encoded], object]] = {
        "reduced": lambda data: read_image(data, to_stage),
        "area": lambda data: _full(data, to_stage, cv2.INTER_AREA),
        "bilinear": lambda data: _full(data, to_stage, cv2.INTER_LINEAR),
    }
    seconds = {reader: [0.0] * REPEATS for reader in readers}
    for repeat in range(REPEATS):
        for data in images:  # in turns for every image: the speed of a shared machine changes fast
            for reader, read in readers.items():
                start = time.perf_counter()
                read(data)
                seconds[reader][repeat] += (time.perf_counter() - start) / len(images)
    return [
        Row(
            f"full decode + {kind} resize / reduced decode: {name}",
            tuple(a / b for a, b in zip(seconds[kind], seconds["reduced"], strict=True)),
            target if kind == "area" else "",
            f"{median(seconds[kind]) * 1e3:.2f} / {median(seconds['reduced']) * 1e3:.2f} ms",
        )
        for kind in ("area", "bilinear")
    ]


def _full(data: Encoded, target: Target, kind: int) -> NDArray[np.uint8]:
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    height, width = target(image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=kind)


def _enlarged(side: int) -> list[Encoded]:
    """Photographs of `side` px, with sides that are multiples of 16 as those of cameras are."""
    found = []
    for package, file in PHOTOGRAPHS:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        image = cv2.imread(str(Path(spec.origin).parent / file))
        scale = side / max(image.shape[:2])
        width, height = (round(pixels * scale / 16) * 16 for pixels in image.shape[1::-1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
        found.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].ravel())
    return found


def _training_images(data: str | None) -> list[tuple[str, list[Encoded], int]]:
    """Return name, images and half their size of a data set; nothing if it has no JPEGs."""
    if data is None:
        return []
    from ultralytics.data.utils import check_det_dataset

    folder = Path(check_det_dataset(data)["train"])
    images = [np.fromfile(file, np.uint8) for file in sorted(folder.glob("*.jpg"))[:50]]
    if not images:
        return []
    side = max(cv2.imdecode(images[0], cv2.IMREAD_COLOR).shape)
    return [(f"images of {Path(data).stem}", images, side // 2)]
