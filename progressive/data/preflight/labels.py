"""What is wrong with a label file, by the rules by which Ultralytics leaves it out."""

from __future__ import annotations

import math
from pathlib import Path

#: How far beyond the image a coordinate may be, as a fraction of the image's side.
TOLERANCE = 0.01


def label_problem(path: str, classes: int, columns: int | None = None) -> str | None:
    """Say in a few words why the labels of an image cannot be used; None if they can, or miss.

    Args:
        path: of the label file; a row is a class and a box, or a class and an outline.
        classes: how many there are.
        columns: that every row must have, as for pose; by default 5, or more for an outline.
    """
    try:
        rows = [line.split() for line in Path(path).read_text("utf-8-sig").splitlines()]
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"labels cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "labels are no UTF-8 text"
    rows = [row for row in rows if row]
    widths = {len(row) for row in rows}
    if columns is not None and widths - {columns}:
        return f"a label of {min(widths - {columns})} numbers, not {columns}"
    if columns is None:
        outlines = any(width > 6 for width in widths)
        wrong = {w for w in widths if (w < 7 or not w % 2 if outlines else w != 5)}
        if outlines and 5 in wrong:
            return "boxes and outlines in one label file"
        if wrong:
            return f"a label of {min(wrong)} numbers, not 5"
    return next(filter(None, (_row_problem(row, classes, columns) for row in rows)), None)


def _row_problem(row: list[str], classes: int, columns: int | None) -> str | None:
    try:
        number, *values = map(float, row)
    except ValueError:
        return "a label that is no number"
    if not all(map(math.isfinite, (number, *values))):
        return "a label that is not finite"
    if number % 1 or number < 0:
        return "a class that is no whole number from 0"
    if number >= classes:
        return f"class {number:.0f} of {classes}"
    places = values[:4] if columns is not None else values
    if max(places) > 1 + TOLERANCE:
        return "coordinates above 1"
    if min(places) < -TOLERANCE:
        return "coordinates below 0"
    if len(values) == 4 and min(values[2:]) < 0:
        return "a box of negative size"
    return None
