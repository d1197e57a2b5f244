"""Data sets: the embedded ones, and checks of a user's own.

Importing this package imports nothing heavy; an embedded set is generated on first use.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from progressive.data.cache import cache_root
from progressive.data.check import DatasetInfo, check_dataset, refuse_remote
from progressive.data.errors import DatasetError, did_you_mean, shown
from progressive.data.pin import pin

__all__ = ["EMBEDDED", "DatasetError", "DatasetInfo", "check_dataset", "pin", "resolve"]


def _digits() -> Path:
    from progressive.data.digits import digits

    return digits()


EMBEDDED: Mapping[str, Callable[[], Path]] = MappingProxyType({"digits": _digits})
"""Name of each embedded data set, and the function that returns the path of its data yaml."""


TRAIN_ARGUMENTS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {"digits": {"fliplr": 0.0}}  # a mirrored digit is no digit
)
"""Ultralytics arguments that suit an embedded data set better than its defaults."""


def check(data: str) -> DatasetInfo | None:
    """Check the data set a user names without writing anything.

    Returns:
        What is known of it; None for an embedded one, which may not exist yet.

    Raises:
        DatasetError: no such data set, or one that cannot be trained on.
    """
    if data in EMBEDDED:
        return None
    refuse_remote(data)
    path = Path(data).expanduser()
    # os.path answers False for a name that the file system would refuse.
    if not {"/", "\\"} & set(data) and not os.path.exists(path):  # noqa: PTH110
        close = difflib.get_close_matches(path.stem.lower(), EMBEDDED, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else did_you_mean(path.absolute())
        raise DatasetError(
            f"data: {shown(data)} is neither a file nor an embedded data set "
            f"({', '.join(EMBEDDED)}){hint or '; give the path of a data.yaml'}"
        )
    return check_dataset(path)


def resolve(data: str) -> DatasetInfo:
    """Return the data set a user names: an embedded one, or the path of a data yaml.

    The yaml in the result is safe to hand to Ultralytics; see `progressive.data.pin`.

    Raises:
        DatasetError: no such data set, one that cannot be trained on, or no cache folder for it.
    """
    info = check(data)
    try:
        if info is None:
            return check_dataset(EMBEDDED[data]())
        return pin(info, cache_root() / "pinned")
    except OSError as error:
        raise DatasetError(str(error)) from error
