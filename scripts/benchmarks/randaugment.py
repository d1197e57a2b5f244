"""RandAugment with boxes, against torchvision's without and kornia's with boxes."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from benchmarks.rows import Row
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import v2

from progressive.augment import RandAugment

SIDE, MAGNITUDE, BOXES = 640, 9, 20
REPEATS, IMAGES = 15, 100
#: Kornia takes so long that it does a tenth of the images in each repeat.
IMAGES_KORNIA = 10

Image8 = NDArray[np.uint8]


def rows() -> list[Row]:
    """Compare mean times per image of 640 x 640 x 3 uint8, on one thread, in turns."""
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        return _rows()
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def _rows() -> list[Row]:
    image, boxes = _scene()
    arms: dict[str, tuple[Callable[[], Any], int]] = {
        "ours": (_ours(image, boxes), IMAGES),
        "torchvision": (_torchvision(image), IMAGES),
    }
    if find_spec("kornia") is None:
        print("kornia is not installed, so its row is missing: pip install kornia, or extra bench")
    else:
        arms["kornia"] = (_kornia(image, boxes), IMAGES_KORNIA)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for seed in range(REPEATS + 1):  # the first one warms up
        for name, (augment, images) in arms.items():
            torch.manual_seed(seed)
            start = time.perf_counter()
            for _ in range(images):
                augment()
            if seed:
                seconds[name].append((time.perf_counter() - start) / images)
    return [_row(seconds, *comparison) for comparison in COMPARISONS if comparison[1] in arms]


#: Name of a row, which arm is divided by ours or, where the second is ours, the other way round.
COMPARISONS = (
    ("RandAugment: ours with boxes / torchvision without", "torchvision", "<= 1.0"),
    ("RandAugment: kornia with boxes / ours with boxes", "kornia", ">= 5.0"),
)


def _row(seconds: dict[str, list[float]], name: str, other: str, target: str) -> Row:
    pairs = zip(seconds["ours"], seconds[other], strict=True)
    ratios = tuple(a / b if target.startswith("<=") else b / a for a, b in pairs)
    ours, theirs = (median(seconds[arm]) * 1e3 for arm in ("ours", other))
    return Row(name, ratios, target, f"ours {ours:.2f} ms, {other} {theirs:.2f} ms")


def _scene() -> tuple[Image8, NDArray[np.float32]]:
    """Return a smooth colour image and boxes in pixels, (x_min, y_min, x_max, y_max)."""
    random_ = np.random.default_rng(0)
    noise = cv2.resize(random_.random((20, 20, 3), np.float32), (SIDE, SIDE))
    corner = random_.uniform(0, SIDE * 0.7, (BOXES, 2))
    boxes = np.hstack([corner, corner + random_.uniform(20, SIDE * 0.3, (BOXES, 2))])
    return (noise * 255).astype(np.uint8), boxes.astype(np.float32)


def _ours(image: Image8, boxes: NDArray[np.float32]) -> Callable[[], Any]:
    compose = A.Compose(
        [RandAugment(2, MAGNITUDE)],
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=["labels"]),
        seed=0,
    )
    labels = list(range(len(boxes)))
    return lambda: compose(image=image, bboxes=boxes, labels=labels)


def _torchvision(image: Image8) -> Callable[[], Any]:
    augment, picture = v2.RandAugment(2, MAGNITUDE), Image.fromarray(image)
    return lambda: augment(picture)


def _kornia(image: Image8, boxes: NDArray[np.float32]) -> Callable[[], Any]:
    import kornia.augmentation as K
    from kornia.augmentation.auto import RandAugment as KorniaRandAugment

    augment = K.AugmentationSequential(
        KorniaRandAugment(2, MAGNITUDE), data_keys=["input", "bbox_xyxy"]
    )
    pixels = torch.from_numpy(image)
    labels = torch.from_numpy(boxes)[None]

    def run() -> Any:
        # It works on floats: the conversion from and to uint8 belongs to the comparison.
        batch = pixels.permute(2, 0, 1)[None].float() / 255
        found, moved = augment(batch, labels)
        return (found * 255).to(torch.uint8), moved

    return run
