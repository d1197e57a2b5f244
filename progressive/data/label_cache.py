"""Refuse label caches that would execute something.

Ultralytics keeps what it read of labels in a file beside them and unpickles it in the next
training, so a data set from somewhere else may come with code in it.
"""

from __future__ import annotations

from pathlib import Path

from progressive.data.messages import complaint
from progressive.safe_pickle import ForbiddenPickleError, inspect_pickle

#: What the caches that Ultralytics writes are made of, besides plain Python values.
ARRAYS = {
    f"{package}.{name}"
    for package in ("numpy.core", "numpy._core")
    for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
} | {"numpy.ndarray", "numpy.dtype"}

_MAGIC = b"\x93NUMPY"


def refuse_hostile_cache(file: Path) -> None:
    """Check a label cache, if there is one, without executing anything in it.

    Raises:
        DatasetError: it names something that no label cache of Ultralytics holds, or cannot be
            read to its end: the real reader might get further.
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
    except Exception as error:  # damaged bytes fail in whatever way they happen to
        problem = f"is no label cache that can be read ({type(error).__name__}); remove the file"
        raise complaint(file, "data", problem) from None
