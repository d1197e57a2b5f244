"""What is wrong with a label file, by the rules by which Ultralytics leaves it out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from ctypes import c_float
from pathlib import Path
from typing import NamedTuple

#: Keypoints of an object, and numbers of each: x, y and, of three, whether it can be seen.
Keypoints = tuple[int, int]


class Labels(NamedTuple):
    """What a label file is good for.

    Attributes:
        problem: in a few words why Ultralytics leaves its image out; None if it does not.
        boxes: whether it has objects, and these as boxes instead of outlines. Ultralytics reads a
            file in one way only: as outlines if some row is longer than a box.
    """

    problem: str | None
    boxes: bool = False


def judge_labels(
    path: str, classes: int, keypoints: Keypoints | None = None, *, pose: bool = False
) -> Labels:
    """Judge the labels of an image; one without a label file is an image without objects.

    Args:
        path: of the label file; a row is a class and a box, or a class and an outline.
        classes: how many there are.
        keypoints: that the data set has; rows then may have them behind the box.
        pose: whether rows must have them.
    """
    try:
        if not Path(path).is_file():
            return Labels(None)
        rows = [line.split() for line in Path(path).read_text("utf-8-sig").splitlines()]
    except FileNotFoundError:
        return Labels(None)
    except OSError as error:
        return Labels(f"labels cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        return Labels("labels are no UTF-8 text")
    rows = [row for row in rows if row]
    wanted = 5 if keypoints is None else 5 + math.prod(keypoints)
    if not pose:
        rows = [row[:5] if len(row) == wanted else row for row in rows]
        wanted = 5
    widths = {len(row) for row in rows}
    outlines = not pose and any(width > 6 for width in widths)
    wrong = {w for w in widths if (w < 3 or not w % 2 if outlines else w != wanted)}
    if outlines and 5 in widths:
        return Labels("boxes and outlines in one label file")
    if wrong:
        return Labels(f"a label of {min(wrong)} numbers, not {wanted}")
    values = keypoints[1] if pose and keypoints else None
    problems = (_row_problem(row, classes, values, outline=outlines) for row in rows)
    return Labels(next(filter(None, problems), None), boxes=bool(rows) and not outlines)


def _row_problem(
    row: Sequence[str], classes: int, values: int | None, *, outline: bool
) -> str | None:
    try:
        number, *numbers = map(_short, row)
    except ValueError:
        return "a label that is no number"
    box = _around(numbers) if outline else numbers
    places = box
    if values is not None:  # of a pose, whose box may be anywhere
        places = [n for at, n in enumerate(numbers[4:]) if at % values < 2]
    if not all(map(math.isfinite, (number, *(numbers[:4] if values else numbers), *places))):
        return "a label that is not finite"
    if number % 1 or number < 0:
        return "a class that is no whole number from 0"
    if number >= classes:
        return f"class {number:.0f} of {classes}"
    if max(places) > HIGHEST:
        return "coordinates above 1"
    if min(box) < LOWEST:
        return "coordinates below 0"
    return "a box of negative size" if min(box[2:4]) < 0 else None


def _around(outline: Sequence[float]) -> list[float]:
    """Return the box around an outline, its center and its size, all that is checked of it."""
    x, y = outline[0::2], outline[1::2]
    ends = [(min(places), max(places)) for places in (x, y)]
    centers = [_short(_short(low + high) / 2) for low, high in ends]
    return [*centers, *(_short(high - low) for low, high in ends)]


def _short(number: float | str) -> float:
    """Return a number as Ultralytics has it, in 32 bits.

    Raises:
        ValueError: it is none.
    """
    return c_float(float(number)).value


#: How far beyond the image a coordinate may be, as a fraction of the image's side.
HIGHEST, LOWEST = _short(1.01), _short(-0.01)
