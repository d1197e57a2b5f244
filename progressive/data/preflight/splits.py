"""The images of a split that cannot be used, and those that two splits share."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

from progressive.data.images import label_path
from progressive.data.preflight.images import image_problem
from progressive.data.preflight.labels import Labels

#: Images from which on a bar shows how far it is.
MANY = 5000

#: Bytes at the start and at the end of two files of one size that tell them apart at first.
SAMPLE = 4096

#: Examples of a problem that are kept.
EXAMPLES = 3


def inspect(
    images: Sequence[str],
    classes: int,
    labels: Callable[[str, int], Labels] | None,
) -> dict[str, Any]:
    """Look at the images of a split and, if it has them, at their labels.

    Args:
        images: paths.
        classes: how many there are.
        labels: judges a label file; None if there are none.

    Returns:
        `images` and `left_out`, their numbers, and `problems`: by what is wrong the number of
        `images` and `examples` of them, as records keep it. With labels also `boxes`: the number
        of `images` that are not left out and have boxes instead of outlines, and `examples`.

    Raises:
        SpecialFileError: one of them is a pipe or a device.
    """

    def look(image: str) -> Labels:
        problem = image_problem(image)
        if problem is None and labels is not None:
            return labels(label_path(image), classes)
        return Labels(problem)

    problems: dict[str, list[str]] = defaultdict(list)
    boxes = []
    with ThreadPoolExecutor() as threads:
        for image, found in zip(
            images, _shown(threads.map(look, images), len(images)), strict=True
        ):
            if found.problem is not None:
                problems[found.problem].append(image)
            elif found.boxes:
                boxes.append(image)
    return {
        "images": len(images),
        "left_out": sum(map(len, problems.values())),
        "problems": {problem: _counted(names) for problem, names in problems.items()},
        **({} if labels is None else {"boxes": _counted(boxes)}),
    }


def shared_images(train: Sequence[str], val: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of a training and a validation image with the same content.

    Files are told apart by size, then by their ends, and read whole only if both agree; each is
    read once, however many are of one size.
    """
    for alike in (_size, _ends, _whole):
        trained, validated = ({image: alike(image) for image in part} for part in (train, val))
        both = {*trained.values()} & {*validated.values()} - {None}
        train = [image for image, value in trained.items() if value in both]
        val = [image for image, value in validated.items() if value in both]
    first = {trained[image]: image for image in reversed(train)}
    return [(first[validated[image]], image) for image in val]


def _counted(images: Sequence[str]) -> dict[str, Any]:
    return {"images": len(images), "examples": sorted(images)[:EXAMPLES]}


def _shown(found: Any, count: int) -> Any:
    if count < MANY or not sys.stderr.isatty():
        return found
    from tqdm import tqdm

    return tqdm(found, "Checking images", count, unit="image", leave=False)


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size or None
    except OSError:
        return None


def _ends(path: str) -> bytes | None:
    try:
        with Path(path).open("rb") as file:
            start = file.read(SAMPLE)
            file.seek(-len(start), os.SEEK_END)
            return start + file.read()
    except OSError:
        return None


def _whole(path: str) -> bytes | None:
    try:
        return blake2b(Path(path).read_bytes()).digest()
    except OSError:
        return None
