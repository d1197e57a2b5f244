"""How a bad data set is described in one line."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from progressive.errors import DatasetError, nearest

SHOWN = 120
"""Characters of a value that a message quotes."""


def shown(value: object) -> str:
    """Return `repr(value)`, cut where it is too long for a message."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def complaint(file: Path, field: str, problem: str) -> DatasetError:
    """Return the error for `field` of the data yaml `file`; 'data' is the file as a whole."""
    return DatasetError(f"{file}: {field}: {problem}")


def did_you_mean(missing: Path) -> str:
    """Return '; did you mean ...?' when something near a missing path has a similar name.

    Looks at the first part of the path that does not exist, and at no more than 1,000 names
    beside it. Empty when there is nothing similar.
    """
    parent = missing
    while not parent.parent.is_dir():
        parent = parent.parent
    names: list[str] = []
    with suppress(OSError), os.scandir(parent.parent) as found:
        names = [entry.name for entry in islice(found, 1000)]
    close = nearest(parent.name, names)
    return f"; did you mean '{parent.with_name(close)}'?" if close else ""
