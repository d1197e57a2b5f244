"""The error a bad data set raises, and the hints in it."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from progressive.errors import InputError

SHOWN = 120
"""Characters of a value that a message quotes."""


class DatasetError(InputError):
    """A data set cannot be used; the message is one line and says what would be right."""


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
    close = difflib.get_close_matches(parent.name, names, n=1)
    return f"; did you mean '{parent.with_name(close[0])}'?" if close else ""
