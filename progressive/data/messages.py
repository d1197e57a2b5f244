"""Describe a bad data set in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from reprlib import Repr

from progressive.errors import DatasetError, nearest

#: Largest number of characters of a value that a message quotes.
SHOWN = 120

# YAML may refer to one list so often that its whole text fills the memory.
_short = Repr()
_short.maxlevel = 3
_short.maxlist = _short.maxdict = _short.maxtuple = 20
_short.maxstring = _short.maxlong = _short.maxother = SHOWN


def shown(value: object) -> str:
    """Return `repr(value)`, cut if it is too long for a message."""
    text = repr(value) if isinstance(value, str) else _short.repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def complaint(file: Path, field: str, problem: str) -> DatasetError:
    """Return the error for one field of a data set.

    Args:
        file: the data yaml, or the folder of a classification data set.
        field: field of the yaml or name of the split; 'data' for the file or folder as a whole.
        problem: what is wrong and what would be right.
    """
    return DatasetError(f"{file}: {field}: {problem}")


@contextmanager
def refuse_unreadable(path: str | Path) -> Iterator[None]:
    """Turn every error of the file system inside this context into a DatasetError for `path`.

    Such as: no permission to read a folder, a name too long for the file system, a null byte.
    """
    try:
        yield
    except DatasetError:
        raise
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: data: cannot be read: {error}") from error


def did_you_mean(missing: Path) -> str:
    """Return '; did you mean ...?' if there is a similar name, else an empty string.

    Only the first part of the path that does not exist is compared, with at most 1,000 names in
    the same folder.
    """
    parent = missing
    while not parent.parent.is_dir():
        parent = parent.parent
    names: list[str] = []
    with suppress(OSError), os.scandir(parent.parent) as found:
        names = [entry.name for entry in islice(found, 1000)]
    close = nearest(parent.name, names)
    return f"; did you mean '{parent.with_name(close)}'?" if close else ""
