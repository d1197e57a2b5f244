"""A data set of seconds: a bright box on noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_set(folder: Path, images: Mapping[str, Sequence[Any]]) -> Path:
    """Write the images (H, W, 3) of each split, with one box each; return the yaml."""
    import cv2

    for split, arrays in images.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number, array in enumerate(arrays):
            cv2.imwrite(str(folder / "images" / split / f"{number}.png"), array)
            (folder / "labels" / split / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    yaml = folder / "data.yaml"
    yaml.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [box]\n")
    return yaml


def write_boxes(folder: Path) -> Path:
    """Write 12 training and 4 validation images of 96x96 px; return the yaml."""
    import numpy as np

    random = np.random.default_rng(0)

    def scene() -> Any:
        image = random.integers(0, 120, (96, 96, 3), dtype=np.uint8)
        image[24:72, 24:72] = random.integers(180, 250, 3)
        return image

    images = {"train": [scene() for _ in range(12)], "val": [scene() for _ in range(4)]}
    return write_set(folder, images)
