"""Refuse label caches that would execute something.

Ultralytics keeps what it read of labels in a file beside them and unpickles it in the next
training, so a data set from somewhere else may come with code in it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from progressive.data.errors import complaint

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
                raise pickle.UnpicklingError("no array")
            major = stream.read(2)[0]
            size = int.from_bytes(stream.read(2 if major == 1 else 4), "little")
            stream.read(size)
            _Inspector(stream).load()
    except pickle.PicklingError as error:
        problem = f"is a label cache that names {error}, which may execute code; remove the file"
        raise complaint(file, "data", problem) from None
    except Exception as error:  # damaged bytes fail in whatever way they happen to
        problem = f"is no label cache that can be read ({type(error).__name__}); remove the file"
        raise complaint(file, "data", problem) from None


class _Inspector(pickle.Unpickler):
    """Unpickle with a placeholder in place of every class."""

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in ARRAYS:
            raise pickle.PicklingError(f"{module}.{name}")
        return _Placeholder


class _Placeholder:
    def __new__(cls, *_: Any) -> _Placeholder:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Take any state and keep none."""
