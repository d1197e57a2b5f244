"""What the settings choose out of a data set: classes, images, and the split for validation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from progressive.data.detection import DatasetInfo, read_yaml, split_images
from progressive.data.embedded import EMBEDDED
from progressive.errors import DatasetError


def check_selection(
    data: str, task: str, info: DatasetInfo | None, arguments: Mapping[str, Any]
) -> None:
    """Check `classes` and `split` among the arguments of Ultralytics against the data set.

    Args:
        data: as the user names it.
        task: that it is for.
        info: what is known about it; None for an embedded one.
        arguments: by name; others are ignored.

    Raises:
        DatasetError: a class or the split does not exist, or no class would be left.
    """
    count = EMBEDDED[data].classes if info is None else len(info.names)
    chosen = arguments.get("classes")
    for number in chosen if isinstance(chosen, list) else [] if chosen is None else [chosen]:
        if number >= count:
            raise DatasetError(
                f"train.classes={_listed(chosen)}: the data set has {count} classes, 0 to "
                f"{count - 1}"
            )
    split = str(arguments.get("split", "val")).lower()
    if split == "test" and not _has_test(task, info):
        raise DatasetError(f"train.split={split}: the data set has no such split; use val or train")


def images_used(images: int, arguments: Mapping[str, Any]) -> int:
    """Return how many of the training images `fraction` among Ultralytics' arguments leaves.

    Args:
        images: of the data set.
        arguments: by name; others are ignored.
    """
    fraction = arguments.get("fraction", 1.0)
    fraction = fraction[0] if isinstance(fraction, list) else fraction
    # Ultralytics takes a whole number above 1 for a number of images.
    counted = isinstance(fraction, int) and fraction > 1
    return min(fraction, images) if counted else max(round(images * fraction), 1)


def _has_test(task: str, info: DatasetInfo | None) -> bool:
    if info is None:
        return False
    if task == "classify":
        return (info.root / "test").is_dir()
    with suppress(DatasetError):
        return bool(split_images(info.source, read_yaml(info.source), Path(info.root), "test"))
    return False


def _listed(value: object) -> str:
    return str(value).replace(" ", "")
