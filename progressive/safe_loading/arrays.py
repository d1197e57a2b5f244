"""Refuse label caches and image caches that would run code.

Ultralytics saves the labels it has read in a file next to them, and unpickles this file in the next
training. So a data set from someone else may contain code. Decoded images beside their files
(`.npy`) are arrays of numbers; one of Python objects is a pickle as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from progressive.errors import DatasetError
from progressive.safe_loading.pickles import ForbiddenPickleError, inspect_pickle

#: What Ultralytics' label caches contain besides plain Python values.
ARRAYS = {
    f"{package}.{name}"
    for package in ("numpy.core", "numpy._core")
    for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
} | {"numpy.ndarray", "numpy.dtype"}

#: First bytes of a file in NumPy's format. Version, header size, header and data follow.
_MAGIC = b"\x93NUMPY"

#: First byte of a pickle of protocol 2 or later.
_PICKLE = b"\x80"


def refuse_hostile_cache(file: Path) -> None:
    """Check a label cache without running anything in it. A file that does not exist passes.

    Raises:
        DatasetError: the cache names something that no label cache of Ultralytics contains, or it
            cannot be read to its end. Ultralytics' own reader might get further.
    """
    if not file.is_file():
        return
    try:
        with file.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("no array")
            major = stream.read(2)[0]
            size = int.from_bytes(stream.read(2 if major == 1 else 4), "little")
            stream.seek(size, 1)
            inspect_pickle(stream, allowed=ARRAYS)
    except ForbiddenPickleError as error:
        raise DatasetError(
            f"{file}: data: is a label cache that {error}; remove the file"
        ) from None
    except Exception as error:  # damaged bytes can raise anything
        raise DatasetError(
            f"{file}: data: is not a readable label cache ({type(error).__name__}); remove the file"
        ) from None


def refuse_hostile_arrays(folder: Path) -> None:
    """Check the `.npy` files of a folder; those that are damaged otherwise pass.

    Raises:
        DatasetError: one holds Python objects.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(".npy")]
    for name in names:
        refuse_hostile_array(folder / name)


def refuse_hostile_array(file: Path) -> None:
    """Check that a `.npy` file is no pickle. A file that does not exist, or is damaged, passes.

    Raises:
        DatasetError: it holds Python objects.
    """
    if not file.is_file():  # a pipe would wait for ever
        return
    try:
        with file.open("rb") as stream:
            begin = stream.read(len(_MAGIC))
            major = (stream.read(2) or b"\1")[0]
            size = int.from_bytes(stream.read(2 if major == 1 else 4), "little")
            header = stream.read(min(size, 4096)) if begin == _MAGIC else b""
    except OSError:
        return
    # The type of objects is written '|O'. No name of a field, as in [('Ok', '<f4')], begins so.
    if begin[:1] == _PICKLE or b"|O" in header or b"'O'" in header:
        raise DatasetError(
            f"{file}: data: holds Python objects, which may execute code, instead of an image; "
            "remove the file"
        )
