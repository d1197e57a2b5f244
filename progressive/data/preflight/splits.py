"""The images of a split that cannot be used, and those that two splits share."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from progressive.data.images import label_path
from progressive.data.preflight.images import image_problem
from progressive.data.preflight.labels import label_problem

#: Images from which on a bar shows how far it is.
MANY = 5000

#: Bytes at the start and at the end of two files of one size that tell them apart at first.
SAMPLE = 4096

#: Examples of a problem that are kept.
EXAMPLES = 3


@dataclass(frozen=True)
class Split:
    """Images of a split that cannot be used.

    Attributes:
        images: how many there are.
        problems: names of those that cannot be used by what is wrong with them, in sorted order.
    """

    images: int
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        """How many cannot be used."""
        return sum(map(len, self.problems.values()))

    def to_json(self) -> dict[str, Any]:
        """Return counts and examples, as records keep them."""
        found = {
            problem: {"images": len(names), "examples": list(names[:EXAMPLES])}
            for problem, names in self.problems.items()
        }
        return {"images": self.images, "left_out": self.bad, "problems": found}


def inspect(
    images: Sequence[str],
    classes: int,
    *,
    columns: int | None = None,
    labels: bool = True,
) -> Split:
    """Look at the images of a split and, if it has them, at their labels.

    Args:
        images: paths.
        classes: how many there are.
        columns: as for `label_problem`.
        labels: whether the label files are looked at.

    Raises:
        SpecialFileError: one of them is a pipe or a device.
    """

    def look(image: str) -> str | None:
        problem = image_problem(image)
        if problem is None and labels:
            problem = label_problem(label_path(image), classes, columns)
        return problem

    problems: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor() as threads:
        for image, problem in zip(
            images, _shown(threads.map(look, images), len(images)), strict=True
        ):
            if problem is not None:
                problems[problem].append(image)
    return Split(len(images), {key: tuple(sorted(names)) for key, names in problems.items()})


def shared_images(train: Sequence[str], val: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of a training and a validation image with the same content.

    Only files of one size are compared, by their ends first.
    """
    sizes: dict[int, list[str]] = defaultdict(list)
    for image in train:
        sizes[_size(image)].append(image)
    pairs = []
    for image in val:
        alike = sizes.get(_size(image), [])
        if alike and _size(image):
            ends = _ends(image)
            pairs += [(other, image) for other in alike if _ends(other) == ends][:1]
    return [pair for pair in pairs if _whole(pair[0]) == _whole(pair[1])]


def _shown(found: Any, count: int) -> Any:
    if count < MANY or not sys.stderr.isatty():
        return found
    from tqdm import tqdm

    return tqdm(found, "Checking images", count, unit="image", leave=False)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _ends(path: str) -> bytes:
    with Path(path).open("rb") as file:
        start = file.read(SAMPLE)
        file.seek(-min(SAMPLE, _size(path)), os.SEEK_END)
        return start + file.read()


def _whole(path: str) -> bytes:
    return blake2b(Path(path).read_bytes()).digest()
