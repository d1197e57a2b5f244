"""Refuse label caches that would run code.

Ultralytics saves the labels it has read in a file next to them, and unpickles this file in the next
training. So a data set from someone else may contain code.
"""

from __future__ import annotations

from pathlib import Path

from progressive.data.messages import complaint
from progressive.safe_pickle import ForbiddenPickleError, inspect_pickle

#: What Ultralytics' label caches contain besides plain Python values.
ARRAYS = {
    f"{package}.{name}"
    for package in ("numpy.core", "numpy._core")
    for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
} | {"numpy.ndarray", "numpy.dtype"}

#: First bytes of a file in NumPy's format. Version, header size, header and pickle follow.
_MAGIC = b"\x93NUMPY"


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
            stream.read(size)
            inspect_pickle(stream, allowed=ARRAYS)
    except ForbiddenPickleError as error:
        problem = f"is a label cache that {error}; remove the file"
        raise complaint(file, "data", problem) from None
    except Exception as error:  # damaged bytes can raise anything
        problem = f"is not a readable label cache ({type(error).__name__}); remove the file"
        raise complaint(file, "data", problem) from None
